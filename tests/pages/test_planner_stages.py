"""Stages in the planner: cards, their actions, gates, lists and the freeze map."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.config import Plan, Stage, plan_from_yaml, plan_to_yaml
from core.config.templates import Template, templates
from pages.ui import planner_draft
from pages.ui.forms import plan_from_state, stage_from_values, state_from_plan, values_of_stage
from pages.ui.planner_map import cells
from pages.ui.planner_map_view import clicked, map_rows
from pages.ui.planner_stage_words import READY, new_stage, rate_words, ready_stage, start_choices, summary
from tests.pages.fake_studio import FakeStudio

THREE = Plan.model_validate(
    {
        "name": "three",
        "stages": [
            {"name": "find", "kind": "range_test", "range_test": {"steps": 40}},
            {"name": "head", "freeze_encoder": True, "lr": 0.01, "lr_from": "find"},
            {"name": "all", "lr": 5e-5, "gate": {"metric": "accuracy", "min_delta": 0.01}, "start_from": "best:head"},
        ],
    }
)


@pytest.fixture
def open_three(open_planner: Callable[..., AppTest], studio: FakeStudio) -> Callable[[], AppTest]:
    studio.presets.kept["three"] = THREE
    return lambda: open_planner(preset="three")


def key(app: AppTest, path: str) -> str:
    """Return the key of a widget; `path` counts stages by the number that they got, not by their place."""
    return f"plan{app.session_state['planner_draft'].generation}_{path.replace('.', '_')}"


def shown_plan(app: AppTest) -> Plan:
    return plan_from_yaml(app.code[0].value)


def names(app: AppTest) -> list[str]:
    return [stage.name for stage in shown_plan(app).stages]


def words(app: AppTest) -> str:
    parts = [*app.markdown, *app.caption, *app.error, *app.warning]
    return "\n".join(str(part.value) for part in parts).replace("\\", "").replace("\u2060", "")


def add(app: AppTest, what: str) -> AppTest:
    return app.menu_button(key="planner_add_stage").set_value(what).run()


def act(app: AppTest, number: int, what: str) -> AppTest:
    return app.menu_button(key=f"stage_menu_{number}").set_value(what).run()


def open_card(app: AppTest, number: int) -> AppTest:
    return app.button(key=f"stage_open_{number}").click().run()


def test_a_plan_of_one_stage_has_no_cards(open_planner: Callable[..., AppTest]) -> None:
    app = open_planner()
    assert not [button for button in app.button if str(button.key).startswith("stage_open_")]
    assert not [menu for menu in app.menu_button if str(menu.key).startswith("stage_menu_")]


def test_a_plan_with_stages_goes_through_the_form_without_loss(
    open_three: Callable[[], AppTest], studio: FakeStudio
) -> None:
    app = open_three()
    assert app.code[0].value == plan_to_yaml(THREE).strip()
    for number in range(3):
        open_card(app, number)
    assert app.code[0].value == plan_to_yaml(THREE).strip()
    app.button(key="primary_action").click().run()
    assert studio.runs.submitted == [THREE]


def test_closed_cards_say_what_a_stage_does(open_three: Callable[[], AppTest]) -> None:
    text = words(open_three())
    assert "everything · 1e-6 to 1 · 40 steps" in text
    assert "head only · rate from find · 1 epoch" in text
    assert "gate: Accuracy better than its start by 0.010" in text


@pytest.mark.parametrize("what", ["range_test", "upper half"])
def test_a_stage_of_the_menu_can_be_started(
    open_planner: Callable[..., AppTest], studio: FakeStudio, what: str
) -> None:
    app = add(open_planner(), what)
    assert not app.exception
    assert len(shown_plan(app).stages) == 2
    app.button(key="primary_action").click().run()
    assert len(studio.runs.submitted[0].stages) == 2


def test_stages_are_duplicated_moved_switched_off_and_removed(open_three: Callable[[], AppTest]) -> None:
    app = open_three()
    act(app, 2, "duplicate")
    assert names(app) == ["find", "head", "all", "all 2"]
    act(app, 3, "up")
    assert names(app) == ["find", "head", "all 2", "all"]
    act(app, 3, "off")
    assert [stage.enabled for stage in shown_plan(app).stages] == [True, True, False, True]
    assert ":gray-badge[:material/toggle_off: Off]" in words(app)
    act(app, 3, "remove")
    assert names(app) == ["find", "head", "all"]


def test_a_stage_keeps_what_was_typed_when_it_moves(open_planner: Callable[..., AppTest]) -> None:
    app = add(open_planner(), "train")
    app.number_input(key=key(app, "stages.1.epochs")).set_value(7.0).run()
    act(app, 1, "up")
    assert [stage.epochs for stage in shown_plan(app).stages] == [7.0, 1.0]
    assert app.number_input(key=key(app, "stages.1.epochs")).value == 7.0


def test_a_stage_that_others_begin_with_can_be_renamed(open_three: Callable[[], AppTest]) -> None:
    app = open_card(open_card(open_card(open_three(), 0), 1), 2)
    app.text_input(key=key(app, "stages.1.name")).input("first").run()
    app.text_input(key=key(app, "stages.0.name")).input("look").run()
    plan = shown_plan(app)
    assert (plan.stages[2].start_from, plan.stages[1].lr_from) == ("best:first", "look")


def test_a_name_that_is_taken_is_said_in_its_card(open_three: Callable[[], AppTest]) -> None:
    app = open_card(open_three(), 2)
    app.text_input(key=key(app, "stages.2.name")).input("head").run()
    assert "another stage is called" in words(app)
    assert app.button(key="primary_action").disabled


def test_a_card_with_a_problem_is_open_and_marked(open_three: Callable[[], AppTest]) -> None:
    app = open_three()
    act(app, 0, "remove")
    assert "1 to mend" in words(app)
    assert "which does not exist" in words(app)
    app.selectbox(key=key(app, "stages.1.lr_from")).set_value("").run()
    assert not app.button(key="primary_action").disabled


def test_a_gate_is_switched_on_set_and_kept_when_it_is_off(open_planner: Callable[..., AppTest]) -> None:
    app = add(open_planner(), "train")
    switch = f"{key(app, 'stages.1.gate')}_on"
    app.toggle(key=switch).set_value(True).run()
    app.number_input(key=key(app, "stages.1.gate.min_delta")).set_value(0.02)
    app.selectbox(key=f"{key(app, 'stages.1.gate.reference')}_kind").set_value("number")
    app.selectbox(key=key(app, "stages.1.on_fail")).set_value("cut")
    app.run()
    app.number_input(key=key(app, "stages.1.gate.reference")).set_value(0.75).run()
    stage = shown_plan(app).stages[1]
    assert stage.gate is not None
    assert (stage.gate.min_delta, stage.gate.reference, stage.on_fail) == (0.02, 0.75, "cut")
    app.toggle(key=switch).set_value(False).run()
    assert shown_plan(app).stages[1].gate is None
    app.toggle(key=switch).set_value(True).run()
    assert shown_plan(app).stages[1].gate == stage.gate


def test_a_number_outlives_a_choice_that_is_told_again(open_planner: Callable[..., AppTest]) -> None:
    def again() -> None:  # a page that calls once more what the choice has called
        from pages.ui.planner_widgets import choose_reference

        choose_reference("stages.1.gate.reference", "number")

    app = add(open_planner(), "train")
    app.toggle(key=f"{key(app, 'stages.1.gate')}_on").set_value(True).run()
    kind = f"{key(app, 'stages.1.gate.reference')}_kind"
    app.selectbox(key=kind).set_value("number").run()
    app.number_input(key=key(app, "stages.1.gate.reference")).set_value(0.75).run()
    second = AppTest.from_function(again, default_timeout=60)
    second.session_state["planner_draft"] = app.session_state["planner_draft"]
    assert not second.run().exception
    assert app.session_state["planner_draft"].state["stages.1.gate"]["reference"] == 0.75
    # Another choice and back: the number is there again.
    app.selectbox(key=kind).set_value("majority").run()
    assert shown_plan(app).stages[1].gate.reference == "majority"
    app.selectbox(key=kind).set_value("number").run()
    assert shown_plan(app).stages[1].gate.reference == 0.75


def test_a_gate_offers_the_metrics_of_the_task(open_planner: Callable[..., AppTest]) -> None:
    app = add(open_planner(), "all, gated")
    box = app.selectbox(key=key(app, "stages.1.gate.metric"))
    assert box.options == ["the stage's", "Accuracy", "Macro F1", "MCC", "Loss"]
    box.set_value("macro_f1").run()
    app.button_group(key=f"{key(app, 'data.source')}_sample").set_value("tweets").run()
    assert "this task has no metric of this name; it has strict_f1" in words(app)
    assert app.button(key="primary_action").disabled


def test_another_kind_of_stage_brings_its_own_settings(open_planner: Callable[..., AppTest]) -> None:
    app = add(open_planner(), "all, gated")
    app.selectbox(key=key(app, "stages.1.kind")).set_value("search").run()
    stage = shown_plan(app).stages[1]
    assert (stage.kind, stage.gate) == ("search", None)
    app.selectbox(key=key(app, "stages.1.kind")).set_value("range_test").run()
    assert shown_plan(app).stages[1].range_test is not None
    app.selectbox(key=key(app, "stages.1.kind")).set_value("train").run()
    stage = shown_plan(app).stages[1]
    assert (stage.kind, stage.search, stage.range_test) == ("train", None, None)


def test_a_search_is_filled_in_row_by_row(open_planner: Callable[..., AppTest]) -> None:
    app = add(open_planner(), "search")
    space = key(app, "stages.1.search.space")
    app.button(key=f"{space}_add").click().run()
    assert app.button(key="primary_action").disabled
    app.selectbox(key=key(app, "stages.1.search.space.1.field")).set_value("batch_size")
    app.selectbox(key=f"{key(app, 'stages.1.search.space.1.low')}_kind").set_value("choices").run()
    version = "stages.1.v1.search.space.1"
    app.text_input(key=key(app, f"{version}.choices")).input("16, 32, 64").run()
    app.number_input(key=key(app, "stages.1.search.trials")).set_value(8).run()
    search = shown_plan(app).stages[1].search
    assert search is not None
    assert (search.space["batch_size"].choices, search.trials) == ([16, 32, 64], 8)
    app.button(key=f"{key(app, 'stages.1.v1.search.space.0.x')}_remove").click().run()
    search = shown_plan(app).stages[1].search
    assert search is not None
    assert list(search.space) == ["batch_size"]


def test_objectives_are_rows_too(open_planner: Callable[..., AppTest]) -> None:
    app = add(open_planner(), "search")
    add_one = f"{key(app, 'stages.1.search.objectives')}_add"
    app.button(key=add_one).click().run()
    app.button(key=add_one).click().run()
    app.selectbox(key=key(app, "stages.1.search.objectives.1.metric")).set_value("seconds").run()
    search = shown_plan(app).stages[1].search
    assert search is not None
    assert [one.metric for one in search.objectives] == ["accuracy", "seconds"]


def test_groups_say_how_much_they_match(open_planner: Callable[..., AppTest]) -> None:
    app = open_planner()
    app.button(key=f"{key(app, 'stages.0.groups')}_add").click().run()
    assert "Matches 768 parameters in 1 tensors" in words(app)
    app.text_input(key=key(app, "stages.0.groups.0.pattern")).input("layer:0-1").run()
    assert "Matches 3,548,928 parameters in 4 tensors" in words(app)
    app.number_input(key=key(app, "stages.0.groups.0.lr")).set_value(1e-3).run()
    assert shown_plan(app).stages[0].groups[0].lr == 1e-3
    app.text_input(key=key(app, "stages.0.groups.0.pattern")).input("nowhere").run()
    assert "matches no parameter of this encoder" in words(app)
    assert app.button(key="primary_action").disabled
    app.button(key=f"{key(app, 'stages.0.groups.0.x')}_remove").click().run()
    assert shown_plan(app).stages[0].groups == []


def test_more_frozen_layers_than_the_encoder_has_are_refused_beside_the_field(
    open_planner: Callable[..., AppTest],
) -> None:
    app = open_planner()
    app.number_input(key=key(app, "stages.0.freeze_layers")).set_value(7).run()
    assert "the encoder has 6 layers" in words(app)
    assert app.button(key="primary_action").disabled


def test_steps_of_all_stages_are_counted(open_three: Callable[[], AppTest]) -> None:
    metrics = {metric.label: metric.value for metric in open_three().metric}
    assert metrics["Optimiser steps"] == "189"


def _click() -> None:
    import streamlit as st

    from pages.ui.planner_draft import load, sync
    from pages.ui.planner_map_view import clicked

    if "ready" not in st.session_state:
        from core.config import Plan, Stage

        load(Plan(stages=[Stage(name="one"), Stage(name="two", freeze_encoder=True)]))
        st.session_state["ready"] = True
    for stage, unit in st.session_state.get("clicks", []):
        clicked(stage, unit, 6)
    st.session_state["plan"] = sync().plan()


@pytest.mark.parametrize(
    ("clicks", "expected"),
    [
        ([(0, "embeddings"), (0, "layer 0")], [{"freeze_layers": 1}, {"freeze_encoder": True}]),
        ([(1, "layer 5")], [{}, {"freeze_layers": 5}]),
        ([(1, "head")], [{}, {"freeze_encoder": True}]),
        ([(7, "head")], [{}, {"freeze_encoder": True}]),
    ],
    ids=["freeze two", "train one more", "nothing would be left", "a stage that is gone"],
)
def test_a_click_on_the_map_changes_the_fields(clicks: list[tuple[int, str]], expected: list[dict[str, Any]]) -> None:
    app = AppTest.from_function(_click, default_timeout=60)
    app.session_state["clicks"] = clicks
    app.run()
    wanted = [Stage(name=name, **fields) for name, fields in zip(("one", "two"), expected, strict=True)]
    assert app.session_state["plan"].stages == wanted
    assert clicked is not None


def test_rows_of_the_map_have_words_for_every_cell() -> None:
    stages = [new_stage("train", []), new_stage("search", ["train"])]
    one = Stage(freeze_layers=1, lr=1e-4, head_lr=1e-2)
    rows = map_rows([4, 7], stages, [cells(one, 2), None], ["embeddings", "layer 0", "layer 1", "head"])
    assert [row["id"] for row in rows] == [4, 7]
    assert [cell["state"] for cell in rows[0]["cells"]] == ["frozen", "frozen", "trained", "trained"]
    assert [cell["strength"] for cell in rows[0]["cells"]] == [0.0, 0.0, 0.0, 1.0]
    assert rows[0]["cells"][2]["title"] == "train: layer 1, learning rate 1e-4"
    assert {cell["state"] for cell in rows[1]["cells"]} == {"unknown"}


def test_a_stage_can_only_begin_with_what_runs_before_it() -> None:
    stages = [
        {**new_stage("range_test", []), "name": "find"},
        {**new_stage("train", []), "name": "head"},
        {**new_stage("train", []), "name": "off", "enabled": False},
        {**new_stage("train", []), "name": "all"},
    ]
    assert start_choices(stages, 3) == (["last", "pretrained", "best:head"], ["find"])


@pytest.mark.parametrize(
    ("rate", "text"), [(5e-5, "5e-5"), (0.01, "1e-2"), (0.5, "0.5"), (1.0, "1"), (3.7e-5, "3.7e-5"), ("x", "x")]
)
def test_rates_are_written_short(rate: Any, text: str) -> None:
    assert rate_words(rate) == text


def test_a_summary_of_a_search_names_what_moves() -> None:
    values = new_stage("search", [])
    assert "20 trials over lr" in summary(values, None)


@pytest.mark.parametrize("values", [new_stage(kind, []) for kind in ("train", "range_test", "search")])
def test_a_new_stage_is_valid(values: dict[str, Any]) -> None:
    assert stage_from_values(values) is not None


@pytest.mark.parametrize("name", READY)
def test_a_ready_stage_is_valid(name: str) -> None:
    assert stage_from_values(ready_stage(name, [], 6)) is not None


def test_a_ready_stage_fits_the_encoder() -> None:
    assert ready_stage("upper half", [], 6)["freeze_layers"] == 3
    assert ready_stage("upper half", ["upper half"], 12)["name"] == "upper half 2"


def test_a_ready_plan_fills_the_stages_and_keeps_the_rest(open_planner: Callable[..., AppTest]) -> None:
    app = open_planner()
    app.number_input(key=key(app, "data.train_rows")).set_value(700).run()
    app.button(key="planner_gallery").click().run()
    assert "Kumar et al. 2022" in words(app)
    app.button(key="template_use_head-then-all").click().run()
    assert not app.exception
    plan = shown_plan(app)
    assert [stage.name for stage in plan.stages] == ["head", "all"]
    assert (plan.data.train_rows, plan.name) == (700, "reviews")


@pytest.mark.parametrize("template", templates(), ids=lambda one: one.name)
def test_every_ready_plan_goes_through_the_form(template: Template) -> None:
    plan = template.plan()
    assert plan_from_state(state_from_plan(plan)) == plan
    assert all(summary(values_of_stage(stage), cells(stage, 6)) for stage in plan.stages)


def test_the_curve_of_several_stages_is_drawn_with_its_words(open_three: Callable[[], AppTest]) -> None:
    app = open_three()
    (chart,) = [part for part in app.get("plotly_chart") if "3 stages" in str(part.proto)]
    assert "depends on results" in str(chart.proto)
    assert "the range of what depends on results. Diamonds" in words(app)


def test_each_stage_has_a_line_with_what_it_costs(open_three: Callable[[], AppTest]) -> None:
    app = open_three()
    assert list(app.table[0].value["Steps"]) == ["63", "63", "63"]
    app.button(key="planner_estimate").click().run()
    for job in app.session_state["planner_jobs"].values():
        job.future.exception(timeout=60)
    app.run()
    assert list(app.table[0].value["Time"]) == ["40 s"] * 3


def test_a_check_of_the_plan_speaks_beside_the_fields_until_the_plan_changes(open_three: Callable[[], AppTest]) -> None:
    app = open_card(open_three(), 2)
    app.button(key="planner_plan_check").click().run()
    for job in app.session_state["planner_jobs"].values():
        job.future.exception(timeout=60)
    app.run()
    text = words(app)
    assert text.count("The first steps replace what was learnt. Lower the rate.") == 2
    assert "(stage 3, Learning rate)" in text
    assert "The plan fits its data and its encoder." in text
    assert not app.button(key="primary_action").disabled
    app.number_input(key=key(app, "stages.2.lr")).set_value(1e-5).run()
    assert "The first steps replace" not in words(app)


def test_steps_take_the_place_of_epochs(open_planner: Callable[..., AppTest]) -> None:
    app = open_planner()
    app.number_input(key=key(app, "stages.0.steps")).set_value(40).run()
    order = [str(box.key) for box in app.number_input if "stages_0" in str(box.key)]
    assert order.index(key(app, "stages.0.steps")) < order.index(key(app, "stages.0.epochs"))
    assert shown_plan(app).stages[0].steps == 40


def test_a_click_that_is_told_twice_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    held = planner_draft.Draft({}, {})
    monkeypatch.setattr(planner_draft, "draft", lambda: held)
    monkeypatch.setattr(planner_draft, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    done: list[tuple[float, str]] = []
    for moment, key in ((10.0, "add"), (10.4, "add"), (10.5, "remove"), (10.9, "add"), (11.0, "add"), (11.9, "remove")):
        clock[0] = moment
        planner_draft.once(key, lambda moment=moment, key=key: done.append((moment, key)))()
    assert done == [(10.0, "add"), (10.5, "remove"), (11.0, "add"), (11.9, "remove")]
