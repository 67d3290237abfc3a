"""A distillation in the planner: from an empty form, from a run, from a recipe; and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from core.config import Plan, plan_from_yaml
from pages.ui import planner_distil_towers
from tests.pages.fake_studio import FakeStudio
from tests.pages.test_planner_stages import add, key, shown_plan, words

LOST = """
stages: [{kind: distil, distil: {teachers: [{source: /no/where}]}}]
"""


def distil(app: AppTest, index: int = 1) -> Any:
    return shown_plan(app).stages[index].distil


def test_a_distillation_is_planned_key_by_key(open_planner: Callable[..., AppTest], studio: FakeStudio) -> None:
    source = studio.models.teach("my teacher")
    app = add(open_planner(), "distil")
    assert not app.exception
    assert [one.source for one in distil(app).teachers] == [source]  # the newest run of this task is offered first
    assert "Its task and its 2 labels are those of the rows." in words(app)
    assert "2,000 answers × 2 classes × 2 bytes = 8.0 kB, at most" in words(app)
    path = "stages.1.distil"
    app.slider(key=f"{key(app, f'{path}.alpha')}_slider_1").set_value(0.25).run()
    assert distil(app).alpha == 0.25
    app.number_input(key=key(app, f"{path}.temperature")).set_value(40.0).run()
    assert distil(app).temperature == 40.0
    assert app.slider(key=f"{key(app, f'{path}.temperature')}_slider_20").value == 20.0
    app.menu_button(key=f"{key(app, f'{path}.states')}_add").set_value("hidden").run()
    app.selectbox(key=f"{key(app, f'{path}.states.0.layers')}_way").set_value("hand").run()
    assert distil(app).states[0].layers == [(one, one) for one in range(1, 7)]
    app.button_group(key=f"{key(app, f'{path}.states.0.layers')}_pair_2").set_value([1, 5]).run()
    assert distil(app).states[0].layers[:3] == [(1, 1), (2, 1), (2, 5)]
    app.button(key=f"{key(app, f'{path}.states.0.x')}_content_copy").click().run()
    assert len(distil(app).states) == 2
    assert distil(app).states[0] == distil(app).states[1]
    kind = next(box for box in app.selectbox if str(box.key).endswith("states_1_kind"))
    kind.set_value("relation").run()
    assert [one.kind for one in distil(app).states] == ["hidden", "relation"]
    app.button(key="primary_action").click().run()
    assert studio.runs.submitted[0].stages[1].distil is not None


def test_pairs_by_likeness_are_found_when_asked_and_void_when_the_student_changes(
    open_planner: Callable[..., AppTest], studio: FakeStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[str] = []
    monkeypatch.setattr(planner_distil_towers, "show_svg", lambda svg, **_: drawn.append(svg))
    studio.models.teach("my teacher")
    app = add(open_planner(), "distil")
    states = f"{key(app, 'stages.1.distil.states')}"
    app.menu_button(key=f"{states}_add").set_value("hidden").run()
    assert not _find(app)
    app.selectbox(key=f"{key(app, 'stages.1.distil.states.0.layers')}_way").set_value("cka").run()
    assert "layers found before the first step" in drawn[-1]
    (button,) = _find(app)
    button.click().run()
    assert studio.asked[-1] == "match_layers"
    app.session_state["planner_jobs"]["pairs"].future.result(timeout=60)
    app.run()
    assert not app.exception
    assert "1 from 4 (0.90), 2 from 6: as measured now on 4,090 sub-words" in words(app)
    assert "layer 1 from the teacher's layer 4, layer 2 from the teacher's layer 6" in drawn[-1]
    assert not _find(app)
    app.number_input(key=key(app, "stages.1.distil.temperature")).set_value(3.0).run()
    assert not _find(app)  # nothing that the answer depends on
    app.number_input(key=key(app, "model.max_length")).set_value(48).run()
    assert _find(app)
    assert "layers found before the first step" in drawn[-1]


def _find(app: AppTest) -> list[Any]:
    return [one for one in app.button if one.label == "Find the pairs"]


def test_a_teacher_of_other_labels_or_of_nowhere_keeps_the_plan_from_starting(
    open_planner: Callable[..., AppTest], studio: FakeStudio
) -> None:
    studio.models.teach("other", labels=("fresh", "stale"))
    app = add(open_planner(), "distil")
    assert "choose the teacher" in words(app)
    assert app.button(key="primary_action").disabled
    box = key(app, "stages.1.distil.teachers.0.source")
    other = next(iter(studio.models.taught))
    app.selectbox(key=box).set_value(other).run()
    assert "only in the data: rotten; only the teacher's: stale" in words(app)
    assert app.button(key="primary_action").disabled
    field = key(app, "stages.1.distil.teachers.0.labels")
    assert not [one for one in app.button if one.key == f"{field}_take"]  # no two names are plainly one
    app.text_area(key=field).set_value("stale: rotten").run()
    assert distil(app).teachers[0].labels == {"stale": "rotten"}
    assert "Its task and its 2 labels are those of the rows." in words(app)
    assert not app.button(key="primary_action").disabled
    studio.presets.kept["lost"] = plan_from_yaml(LOST)
    app = open_planner(preset="lost")
    assert "There is no such model folder." in words(app)
    assert app.button(key="primary_action").disabled


def test_names_of_labels_that_are_plainly_the_same_are_offered(
    open_planner: Callable[..., AppTest], studio: FakeStudio
) -> None:
    studio.models.teach("near", labels=("FRESH", "rott"))
    app = add(open_planner(), "distil")
    app.selectbox(key=key(app, "stages.1.distil.teachers.0.source")).set_value(next(iter(studio.models.taught))).run()
    assert app.button(key="primary_action").disabled
    app.button(key=f"{key(app, 'stages.1.distil.teachers.0.labels')}_take").click().run()
    assert distil(app).teachers[0].labels == {"FRESH": "fresh", "rott": "rotten"}
    assert "FRESH: fresh" in app.text_area(key=key(app, "stages.1.distil.teachers.0.labels")).value
    assert not app.button(key="primary_action").disabled


def test_a_student_is_distilled_from_a_run_by_its_address(
    open_planner: Callable[..., AppTest], studio: FakeStudio
) -> None:
    source = studio.models.teach("my teacher")
    record = next(iter(studio.runs.records.values()))
    own = {"data": {"train_rows": 70}, "runtime": {"seed": 9}, "model": {"max_length": 40}}
    plan = Plan.model_validate({**record.plan, **own})
    studio.runs.records[record.id] = record.__class__(**{**record.__dict__, "plan": plan.model_dump(mode="json")})
    app = open_planner(teacher=record.id)
    made = plan_from_yaml(app.code[0].value)
    assert (made.model.source, made.model.keep_layers, made.model.max_length) == (source, 3, 40)
    assert (made.data, made.runtime) == (plan.data, plan.runtime)
    (stage,) = made.stages
    assert stage.distil is not None
    assert ([one.source for one in stage.distil.teachers], stage.distil.differences) == ([source], 0.5)
    assert "as a teacher" in words(app)
    assert "The student has 17.4 M parameters, 77% of its teacher's 22.7 M." in words(app)
    way = key(app, "model.keep_layers")
    app.slider(key=f"{way}_many").set_value(2).run()
    assert shown_plan(app).model.keep_layers == 2
    app.button(key="planner_keep_alike").click().run()
    assert studio.asked[-1] == "alike_layers"
    app.session_state["planner_jobs"]["alike"].future.result(timeout=60)
    app.run()
    app.button(key="planner_keep_take").click().run()
    assert shown_plan(app).model.keep_layers == [1, 6]
    way = f"{key(app, 'model.keep_layers')}_{app.session_state['planner_draft'].turns['model.keep_layers']}"
    app.button_group(key=f"{way}_way").set_value("which").run()
    app.button_group(key=f"{way}_which").set_value([1, 6]).run()
    assert shown_plan(app).model.keep_layers == [1, 6]
    app.button_group(key=f"{way}_way").set_value("all").run()
    assert shown_plan(app).model.keep_layers is None
    assert "as large as its teacher" in words(app)


def test_a_recipe_asks_for_its_teacher_and_makes_the_student_of_it(
    open_planner: Callable[..., AppTest], studio: FakeStudio
) -> None:
    app = open_planner()
    app.button(key="planner_gallery").click().run()
    assert app.button(key="recipe_use_tinybert").disabled
    source = studio.models.teach("my teacher")
    st.cache_data.clear()  # as some seconds later
    app = open_planner()
    app.button(key="planner_gallery").click().run()
    app.button(key="recipe_use_tinybert").click().run()
    assert not app.exception
    plan = shown_plan(app)
    assert [stage.name for stage in plan.stages] == ["layers", "answers"]
    assert (plan.model.source, plan.model.keep_layers) == (source, 3)
    assert [one.weight for one in plan.stages[0].distil.states] == [1.0, 3.0, 3.0]  # type: ignore[union-attr]
