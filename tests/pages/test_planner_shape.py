"""Fewer heads and units, and weights from scratch, beside the planner's choice of an encoder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from streamlit.testing.v1 import AppTest

from core.config import Plan
from core.config.shape import EncoderShape
from core.errors import ModelError, StorageError
from core.models.shaped.count import count
from pages.ui.planner_shape_words import (
    LayerFacts,
    Wish,
    facts_of,
    folder_problem,
    heads_table,
    loss_words,
    remaining,
    suggested_name,
    wish_problem,
)
from tests.pages.fake_models import BUNDLED, pruning_report
from tests.pages.fake_studio import FakeStudio
from tests.pages.test_planner_page import shown_plan, wait_for_answers, words


def button(app: AppTest, key: str) -> Any:
    return next(one for one in app.button if one.key == key)


def names(app: AppTest) -> list[str]:
    return [str(one.key) for one in app.button]


def pruned(app: AppTest) -> AppTest:
    button(app, "planner_prune").click().run()
    wait_for_answers(app)
    app.run()
    assert not app.exception, app.exception
    return app


# -- in the page -----------------------------------------------------------------------------------------------------
def test_the_pruned_folder_becomes_the_plans_model_and_says_what_was_lost(
    open_planner: Callable[..., AppTest], studio: FakeStudio
) -> None:
    app = open_planner()
    app.number_input(key="prune_heads").set_value(25.0).run()
    pruned(app)
    folder = str(studio.home.exports / "bundled-pruned")
    assert shown_plan(app).model.source == folder
    assert "Pruned from bundled" in words(app)
    assert "mean cosine of 0.739" in words(app)
    assert "sample of 512 of 1,275 rows" in words(app)
    assert {one.label: one.value for one in app.metric}["Parameters"] == "17.4 M"
    (asked,) = studio.models.wanted
    assert (asked["heads"], asked["units"], asked["data"].source) == (0.25, 0.5, "reviews")


def test_pruning_can_be_undone(open_planner: Callable[..., AppTest], studio: FakeStudio) -> None:
    app = pruned(open_planner())
    button(app, "planner_model_back").click().run()
    assert shown_plan(app).model.source == "bundled"
    assert "Pruned from" not in words(app)
    assert (studio.home.exports / "bundled-pruned").is_dir()


def test_a_plan_that_names_a_pruned_folder_shows_what_was_lost_without_pruning_again(
    open_planner: Callable[..., AppTest], studio: FakeStudio
) -> None:
    studio.models.made["/models/small"] = ("pruned", pruning_report("bundled", "/models/small"))
    studio.presets.kept["small"] = Plan.model_validate({"name": "p", "model": {"source": "/models/small"}})
    app = open_planner(preset="small")
    assert "Pruned from bundled" in words(app)
    assert studio.models.wanted == []


def test_while_it_prunes_the_form_can_be_used_and_the_other_choice_is_kept(
    open_planner: Callable[..., AppTest], studio: FakeStudio
) -> None:
    studio.models.made["/models/other"] = ("random", {"seed": 0, "tokenizer": "bundled"})
    app = open_planner()
    studio.gate.clear()
    button(app, "planner_prune").click().run()
    assert button(app, "planner_prune").disabled
    app.query_params["model"] = "/models/other"
    app.run()
    studio.gate.set()
    wait_for_answers(app)
    app.run()
    assert shown_plan(app).model.source == "/models/other"
    button(app, "planner_making_take").click().run()
    assert shown_plan(app).model.source == str(studio.home.exports / "bundled-pruned")
    assert "planner_making_take" not in names(app)


def test_pruning_can_be_cancelled(open_planner: Callable[..., AppTest], studio: FakeStudio) -> None:
    app = open_planner()
    studio.gate.clear()
    button(app, "planner_prune").click().run()
    button(app, "planner_making_cancel").click().run()
    studio.gate.set()
    app.run()
    assert shown_plan(app).model.source == "bundled"
    assert not button(app, "planner_prune").disabled
    assert list(studio.home.exports.iterdir()) == []


def test_why_it_could_not_be_pruned_is_told_and_the_model_stays(
    open_planner: Callable[..., AppTest], studio: FakeStudio
) -> None:
    studio.models.refusal = StorageError("The disk is full.", advice="Free some space.")
    app = pruned(open_planner())
    assert "The disk is full." in words(app)
    assert shown_plan(app).model.source == "bundled"
    button(app, "planner_making_close").click().run()
    assert "The disk is full." not in words(app)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"prune_heads": 0.0}, "at least one stays in every layer"),
        ({"prune_units": 0.0}, "at least one stays in every layer"),
        ({"prune_heads": 100.0, "prune_units": 100.0}, "Nothing would go"),
    ],
)
def test_shares_of_which_nothing_can_be_made_are_refused_beside_the_button(
    open_planner: Callable[..., AppTest], fields: dict[str, float], said: str
) -> None:
    app = open_planner()
    for key, value in fields.items():
        app.number_input(key=key).set_value(value)
    app.run()
    assert said in words(app)
    assert button(app, "planner_prune").disabled


def test_a_folder_in_the_way_is_not_written_over(open_planner: Callable[..., AppTest], studio: FakeStudio) -> None:
    (studio.home.exports / "mine").mkdir()
    app = open_planner()
    app.text_input(key="prune_name").input("mine").run()
    assert "There is a folder of this name already" in words(app)
    assert button(app, "planner_prune").disabled
    app.text_input(key="prune_name").input("../../mine").run()
    assert button(app, "planner_prune").disabled


def test_an_encoder_that_cannot_be_pruned_says_so_in_place_of_the_form(
    open_planner: Callable[..., AppTest], studio: FakeStudio
) -> None:
    app = open_planner(model="distil")
    assert "This encoder cannot be pruned" in words(app)
    assert "planner_prune" not in names(app)


def test_counts_can_be_given_in_place_of_shares(open_planner: Callable[..., AppTest], studio: FakeStudio) -> None:
    app = open_planner()
    app.segmented_control(key="prune_by").set_value("count").run()
    app.number_input(key="prune_heads_layer_12").set_value(3).run()
    assert "3 of 12 heads a layer" in words(app)
    pruned(app)
    assert studio.models.wanted[0]["heads"] == pytest.approx(3 / 12)


def test_weights_from_scratch_are_called_random(open_planner: Callable[..., AppTest], studio: FakeStudio) -> None:
    app = open_planner()
    app.segmented_control(key="planner_shape_way").set_value("scratch").run()
    assert "Everything that pre-training taught is lost" in words(app)
    app.number_input(key="scratch_layers_6").set_value(2).run()
    button(app, "planner_scratch").click().run()
    wait_for_answers(app)
    app.run()
    assert shown_plan(app).model.source == str(studio.home.exports / "bundled-random")
    assert "Random weights" in words(app)
    shape: EncoderShape = studio.models.wanted[0]["shape"]
    assert [layer.heads for layer in shape.layers] == [12, 12]
    assert (shape.embedding, shape.vocabulary) == (BUNDLED["hidden_size"], BUNDLED["vocab_size"])


def test_numbers_that_make_no_encoder_are_refused(open_planner: Callable[..., AppTest]) -> None:
    app = open_planner()
    app.segmented_control(key="planner_shape_way").set_value("scratch").run()
    app.number_input(key="scratch_heads_12").set_value(7).run()
    assert "do not divide the width" in words(app)
    assert button(app, "planner_scratch").disabled


# -- words and numbers -----------------------------------------------------------------------------------------------
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(
    heads=some.integers(1, 8), units=some.integers(1, 40), size=some.integers(1, 8), layers=some.integers(1, 4),
    keep=some.tuples(some.floats(0.01, 1.0), some.floats(0.01, 1.0)),
)  # fmt: skip
def test_the_parameters_that_stay_are_those_of_the_pruned_shape(
    heads: int, units: int, size: int, layers: int, keep: tuple[float, float]
) -> None:
    def parameters(of: int, wide: int) -> int:
        layer = {"width": heads * size, "heads": of, "intermediate": wide, "head_size": size}
        return count(EncoderShape.model_validate({"layers": [layer] * layers, "embedding": heads * size})).total

    before = parameters(heads, units)
    left = max(1, round(keep[0] * heads)), max(1, round(keep[1] * units))
    said = remaining([LayerFacts(heads, units, heads * size, size)] * layers, Wish(*keep), before)
    assert f"{left[0]} of {heads} heads a layer" in said
    assert f" {parameters(*left) / 1e6:.2f} M of {before / 1e6:.2f} M parameters" in said


def test_counts_of_all_layers_are_shares_of_all_of_them() -> None:
    layers = [LayerFacts(4, 10, 8, 2), LayerFacts(2, 30, 8, 2)]
    assert Wish.of_counts(layers, 3, 20, "global") == Wish(0.5, 0.5, "global")
    assert "3 of 6 heads in all and 20 of 40 FFN units in all" in remaining(layers, Wish(0.5, 0.5, "global"), None)


@pytest.mark.parametrize("share", [0.0, -0.5, 1.5, float("nan")])
def test_a_share_that_is_none_has_a_message(share: float) -> None:
    assert wish_problem(Wish(share, 0.5)) is not None
    assert wish_problem(Wish(0.5, share)) is not None
    assert wish_problem(Wish(0.5, 1.0)) is None


def test_layers_of_a_hub_encoder_come_from_its_description_and_other_families_are_refused() -> None:
    assert facts_of(BUNDLED, None) == [LayerFacts(12, 1536, 384, 32)] * 6
    with pytest.raises(ModelError, match="cannot be told apart"):
        facts_of({**BUNDLED, "family": "roberta"}, None)


def test_a_name_that_is_taken_gets_a_number_and_a_bad_one_a_message() -> None:
    assert suggested_name("bundled", "pruned", []) == "bundled-pruned"
    assert suggested_name("hub:owner/a b", "pruned", ["a-b-pruned"]) == "a-b-pruned-2"
    assert suggested_name("/home/runs/20261101-x/best", "pruned", []) == "20261101-x-best-pruned"
    assert folder_problem("fine", []) is None
    assert folder_problem("fine", ["fine"]) is not None
    assert folder_problem("a/b", []) is not None


def test_the_table_fills_exactly_the_heads_that_stay_and_holds_no_words_of_the_file() -> None:
    report = pruning_report("<b>x</b>", "out")
    report["heads"][0][0]["score"] = 7.0
    table = heads_table(report, "#123456")
    assert table.count("class='on'") == table.count("class='off'") == 36
    assert table.count("6 of 12") == 6
    assert "<b>" not in table
    assert "importance 1.00" in table


def test_a_lost_score_is_told_in_per_cent_and_few_rows_are_called_few() -> None:
    report = pruning_report("bundled", "out") | {
        "trained": True, "measure": "gradient", "lost": {"metric": "accuracy", "before": 0.83, "after": 0.76},
        "rows": {"calibration": 20, "test": 40, "of": 40},
    }  # fmt: skip
    said = " ".join(loss_words(report))
    assert "went from 83.0 % to 76.0 % on 40 rows, before any further training" in said
    assert "So few rows say little." in said
    assert "how much the loss would change" in said
