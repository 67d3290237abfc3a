"""The editor of layers, on a page of its own, with a studio in memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.config.shape import EncoderShape
from core.models.shaped import count
from pages.ui.structure import editor_state
from pages.ui.structure.editor_form import yaml_of
from tests.pages.explorer import words
from tests.pages.fake_studio import FakeStudio
from tests.pages.structure import SCRIPT, statistics

WIDTHS = [384] * 6
Opened = Callable[..., AppTest]


@pytest.fixture
def open_layers(studio: FakeStudio, monkeypatch: pytest.MonkeyPatch) -> Opened:
    monkeypatch.setattr(editor_state, "SAME_CLICK", 0.0)  # nobody clicks as fast as a test

    def opened(*, measured: bool = False) -> AppTest:
        app = AppTest.from_string(SCRIPT, default_timeout=60)
        app.session_state["test_part"] = "layers"
        app.session_state["test_statistics"] = statistics() if measured else None
        app.run()
        assert not app.exception, app.exception
        return app

    return opened


def field(app: AppTest, name: str, layer: int) -> Any:
    (found,) = [one for one in app.number_input if one.label == f"{name} of layer {layer}"]
    return found


def widths(app: AppTest) -> list[int]:
    return [one.value for one in app.number_input if one.label.startswith("Width of layer")]


def choose(app: AppTest, preset: str) -> AppTest:
    return app.button(key=f"layers_preset_{preset}").click().run()


def act(app: AppTest, number: int, action: str) -> AppTest:
    return app.menu_button(key=f"layer_menu_{number}").set_value(action).run()


def page(app: AppTest) -> str:
    """Return which other page is shown, with its address."""
    return str(app.text[0].value)


# -- the form ----------------------------------------------------------------------------------------------------------
def test_it_begins_with_the_articles_example(open_layers: Opened) -> None:
    app = open_layers()
    assert widths(app) == [768, 1024]
    assert app.session_state["structure_editor"].shape == EncoderShape.of_widths([768, 1024], mode="stepped")


def test_heads_that_do_not_divide_are_told_and_what_fits_is_one_click_away(open_layers: Opened) -> None:
    app = open_layers()
    field(app, "Heads", 2).set_value(7).run()
    assert "Layer 2: heads 7 do not divide the width 1024" in words(app)
    (fits,) = [one for one in app.button if one.key.endswith("_heads_use_8")]
    fits.click().run()
    assert field(app, "Heads", 2).value == 8
    assert "do not divide" not in words(app)


def test_nothing_can_be_done_with_a_shape_that_does_not_fit_together(open_layers: Opened) -> None:
    app = choose(open_layers(), "parent")
    field(app, "Width", 1).set_value(0).run()
    assert "Layer 1: Input should be greater than or equal to 1" in words(app)
    assert "The last shape that fitted together" in words(app)
    assert not [one for one in app.button if one.key == "layers_distil_go"]


def test_heads_and_units_follow_a_width_unless_they_shall_not(open_layers: Opened) -> None:
    app = choose(open_layers(), "parent")
    field(app, "Width", 3).set_value(256).run()
    assert (field(app, "Heads", 3).value, field(app, "FFN units", 3).value) == (8, 1024)
    app.toggle(key="layers_follow").set_value(False).run()
    field(app, "Width", 3).set_value(128).run()
    assert (field(app, "Heads", 3).value, field(app, "FFN units", 3).value) == (8, 1024)


def test_a_changing_stream_takes_the_readout_away(open_layers: Opened) -> None:
    app = choose(open_layers(), "even")
    now = app.session_state["structure_editor"]
    assert now.shape.readout
    (mode,) = [one for one in app.segmented_control if one.label == "Mode"]
    mode.set_value("stepped").run()
    assert app.session_state["structure_editor"].shape is not None
    assert not app.session_state["structure_editor"].shape.readout


def test_layers_are_added_duplicated_moved_and_removed(open_layers: Opened) -> None:
    app = open_layers()
    app.button(key="layers_add").click().run()
    assert widths(app) == [768, 1024, 1024]
    assert widths(act(app, 0, "up")) == [1024, 768, 1024]
    assert widths(act(app, 0, "duplicate")) == [1024, 768, 768, 1024]
    assert widths(act(app, 1, "remove")) == [768, 768, 1024]


def test_a_field_keeps_what_was_typed_when_its_layer_moves(open_layers: Opened) -> None:
    app = choose(open_layers(), "parent")
    field(app, "FFN units", 1).set_value(700).run()
    act(app, 0, "up")
    assert field(app, "FFN units", 2).value == 700


# -- presets, budget, parent -------------------------------------------------------------------------------------------
@pytest.mark.parametrize("preset", ["even", "taper", "reverse"])
def test_presets_within_the_budget_meet_it(open_layers: Opened, preset: str) -> None:
    app = open_layers()
    app.slider(key="layers_budget").set_value(40).run()
    choose(app, preset)
    shape = app.session_state["structure_editor"].shape
    body = count(EncoderShape.of_widths(WIDTHS, head_size=32)).body
    assert abs(count(shape).body / (0.4 * body) - 1) <= 0.03


def test_the_prior_needs_statistics(open_layers: Opened) -> None:
    assert open_layers().button(key="layers_preset_prior").disabled
    app = choose(open_layers(measured=True), "prior")
    assert len(widths(app)) == statistics()["depth"]["fewest"]


def test_statistics_choose_which_layers_are_inherited(open_layers: Opened) -> None:
    app = choose(open_layers(measured=True), "prior")
    assert "chosen by the parent's statistics" in words(app)
    (table,) = [one.value for one in app.dataframe if "stands for" in one.value.columns]
    assert list(table["stands for"]) == ["1", "2 – 5", "6"]
    assert "divided evenly" in words(choose(open_layers(), "parent"))


def test_a_shape_with_other_embeddings_says_why_it_cannot_inherit(open_layers: Opened) -> None:
    app = open_layers()
    assert "embeddings are 768 wide, the parent's 384" in words(app)
    assert not [one for one in app.button if one.key == "layers_train_inherit"]


# -- what is done with it ----------------------------------------------------------------------------------------------
def test_the_parent_is_distilled_into_the_shape_with_the_segments_of_its_statistics(
    open_layers: Opened, studio: FakeStudio
) -> None:
    app = choose(open_layers(measured=True), "prior")
    shape = app.session_state["structure_editor"].shape
    app.number_input(key="layers_distil_steps").set_value(120)
    app.button(key="layers_distil_go").click().run()
    (config,) = studio.runs.submitted
    assert (config.kind, config.shape, config.steps, config.model.source) == ("distil", shape, 120, "bundled")
    assert config.segments == [(0, 0), (1, 4), (5, 5)]
    assert page(app).startswith("page run id=")


def test_random_weights_are_written_and_taken_to_the_planner(
    open_layers: Opened, studio: FakeStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[EncoderShape, Path, str]] = []

    def new(shape: EncoderShape, out: Path, *, tokenizer: str, seed: int = 0) -> Path:
        asked.append((shape, out, tokenizer))
        return out

    monkeypatch.setattr(studio.models, "new", new, raising=False)
    app = open_layers()
    app.text_input(key="layers_train_name").set_value("mine").run()
    app.button(key="layers_train_new").click().run()
    assert asked == [(EncoderShape.of_widths([768, 1024], mode="stepped"), studio.home.exports / "mine", "bundled")]
    assert page(app) == f"page planner model={studio.home.exports / 'mine'}"


def test_a_folder_name_that_leads_elsewhere_is_refused(open_layers: Opened) -> None:
    app = open_layers()
    app.text_input(key="layers_train_name").set_value("../mine").run()
    app.button(key="layers_train_new").click().run()
    assert "The model was not written" in words(app)


def test_the_shape_is_compared_with_models(open_layers: Opened) -> None:
    app = choose(open_layers(), "even")
    (table,) = [one.value for one in app.dataframe if "operations" in one.value.columns]
    assert list(table["layers"]) == [6, 6]


def test_the_settings_file_holds_the_shape(open_layers: Opened) -> None:
    app = open_layers()
    assert app.code[0].value == yaml_of(EncoderShape.of_widths([768, 1024], mode="stepped")).strip()
