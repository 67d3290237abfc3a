"""A joint run with teachers: a task of it as a run of its own, its page, its form, and the way to a student of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient
from streamlit.testing.v1 import AppTest
from typer.testing import CliRunner

from core.api import Studio
from core.cli.app import app
from core.config import Plan
from core.config.distillation import DistillationConfig
from core.config.joint import JointPlan
from core.errors import RunError
from core.runs.control import Control
from core.runs.distilled import alone, alone_key, distils
from core.runs.joint_tasks import taught_tasks
from core.runs.line import Batch, StoreLine
from core.runs.sources import absolute_sources, names_hub
from core.runs.store import Store
from core.runs.teachers import joint_student_plan
from core.settings import Home
from core.training.diary import FILE, Diary
from core.training.distil.places import taught_folder
from pages.ui import routes, tokens
from pages.ui.joint.parts import from_single, parts_of, read
from pages.ui.joint.teacher import taught_words
from pages.ui.live.component import panels_of
from tests.pages.fake_studio import FakeStudio
from tests.pages.test_joint_form import held, key, shared, shown
from tests.pages.test_joint_form import opened as opened_form
from tests.pages.test_joint_form import words as form_words
from tests.pages.test_planner_page import primary
from tests.pages.test_run_page import finished, home, metrics, opened, words
from tests.pages.test_run_teaching import GAPS

__all__ = ["home"]

TAUGHT = {"teachers": [{"source": "/gone/run/best/mood"}], "alpha": 0.4, "states": [{"kind": "relation"}]}
PLAN = JointPlan.model_validate(
    {
        "name": "both",
        "tasks": [
            {"name": "mood", "distil": TAUGHT},
            {"name": "names", "task": {"kind": "tagging"}, "data": {"source": "tweets"},
             "distil": {"teachers": [{"source": "/gone/run/best/names"}]}},
            {"name": "asked", "task": {"kind": "question_answering"}, "data": {"source": "tweet-questions"}},
        ],
    }
)  # fmt: skip
SCORES = {"test/mood/accuracy": 0.72, "test/names/strict_f1": 0.5}
TEACHERS = [
    {"task": name, "source": f"/gone/run/best/{name}", "name": name, "parameters": 900, "lost": {}, "details": {},
     "metrics": {f"test/{metric}": 0.8}}
    for name, metric in (("mood", "accuracy"), ("names", "strict_f1"))
]  # fmt: skip
DETAILS = {"test": {"mood": {"n": 50}, "names": {"n": 20}}}


@pytest.fixture
def done(home: Home) -> str:
    run = finished(home, PLAN, SCORES, DETAILS)
    results = {"metrics": SCORES, "details": DETAILS, "teachers": TEACHERS, "tasks": []}
    (home.run(run) / "results.json").write_text(json.dumps(results), encoding="utf-8")
    diary_folder = taught_folder(home.run(run), "names")
    diary_folder.mkdir(parents=True)
    diary = Diary(diary_folder / FILE, lambda entry: True)
    diary.write("gaps", 100, stage=0, **GAPS)
    diary.write("pin", 100, "p", stage=0, parts=["Anna"], classes=["a"], teacher=[[[0, 900]]])
    return run


def test_the_page_shows_the_student_of_the_task_that_is_chosen(done: str) -> None:
    test = opened(done)
    labels = [tab.label.split()[-1] for tab in test.tabs]
    assert labels == ["Results", "Teacher", "learns", "Decisions", "it", "Plan", "Log", "Export"]
    drawn = AppTest.from_function(_draw, args=(done,), default_timeout=60).run()
    assert not drawn.exception, [item.message for item in drawn.exception]
    assert metrics(drawn)["Kept of the teacher"] == "90.0 %"
    assert "asked has no teacher" in words(drawn)
    drawn.session_state[f"taught_teaching_{done}"] = drawn.session_state[f"taught_teacher_{done}"] = "names"
    drawn.run()
    assert not drawn.exception, [item.message for item in drawn.exception]
    shown_now = metrics(drawn)
    assert (shown_now["Kept of the teacher"], shown_now["Agreement"]) == ("62.5 %", "80.0 %")
    assert "T 2 · α 0.7 · λ 0" in words(drawn)


def _draw(run_id: str) -> None:
    from pages.ui.run_joint_taught import joint_teacher_tab, joint_teaching_tab
    from pages.ui.studio import studio

    joint_teacher_tab(studio().runs.get(run_id))
    joint_teaching_tab(studio().runs.get(run_id))


def test_a_task_is_reported_pinned_and_watched_under_its_own_name(done: str, home: Home) -> None:
    with Studio(home, watch=False) as desk:
        record = desk.runs.get(done)
        assert panels_of(record) == "joint-taught"
        one = desk.runs.student(f"{done}/mood")
        assert (one.kind, one.metrics, one.plan["stages"][0]["kind"]) == ("train", {"test/accuracy": 0.72}, "distil")
        assert desk.runs.distillation(f"{done}/mood")["teachers"][0]["retention"]["value"] == pytest.approx(0.9)
        with pytest.raises(RunError, match="learnt several tasks") as error:
            desk.runs.distillation(done)
        assert error.value.expected == f"{done}/mood or {done}/names"
        with pytest.raises(RunError, match="has no task 'moods'"):
            desk.runs.pins(f"{done}/moods")
        with pytest.raises(RunError, match="learns from no teacher"):
            desk.runs.pin(f"{done}/asked", "a film")
        assert [one["kind"] for one in desk.runs.watched(f"{done}/names")["entries"]] == ["gaps", "pin"]
        assert desk.runs.watched(f"{done}/mood")["entries"] == []
        overview = desk.students.overview(f"{done}/mood")
        assert [(one["run"], one["here"]) for one in overview["students"]] == [(f"{done}/mood", True)]
    client = TestClient(Starlette(routes=routes.routes()), base_url="http://localhost:8501")
    address, asked = f"/bertloom/watched/{done}", {"token": tokens.issue(home, done), "task": "names"}
    assert [one["pin"] for one in client.get(address, params=asked).json()["entries"]] == ["p"]
    assert client.get(address, params={**asked, "task": "mood"}).json()["entries"] == []
    assert client.get(address, params={**asked, "task": "../names"}).status_code == 404
    told = CliRunner().invoke(app, ["distil", "report", f"{done}/names", "--json"])
    assert told.exit_code == 0, told.output
    assert json.loads(told.stdout)["student"]["id"] == f"{done}/names"


def test_values_of_a_running_task_are_asked_for_with_its_name(home: Home) -> None:
    store = Store(home.ensure())
    run = Control(store).submit(PLAN, kind="joint", now=True)
    claim = store.claims.claim("test")
    assert claim is not None
    store.claims.begin(claim.id, claim.token)
    line = StoreLine(store, claim)
    line.write(Batch(progress={"phase": "training", "stage": 0}))
    with Studio(home, watch=False) as desk:
        desk.runs.change(f"{run}/names", alpha=0.25)
        with pytest.raises(RunError, match="learns from no teacher"):
            desk.runs.change(f"{run}/asked", alpha=0.25)
        pin = desk.runs.pin(f"{run}/names", "Anna lives in Paris.")
        assert [one["id"] for one in desk.runs.pins(f"{run}/names")] == [pin]
        assert desk.runs.pins(f"{run}/mood") == []
    (wish,) = line.write(Batch()).wishes
    assert (wish.task, wish.stage, dict(wish.values)) == ("names", 0, {"alpha": 0.25})
    store.close()


def test_without_teachers_the_plan_is_the_same_joint_plan(done: str, home: Home) -> None:
    without = alone(PLAN)
    assert taught_tasks(PLAN.model_dump(mode="json")) == ["mood", "names"]
    assert (distils(PLAN.model_dump()), distils(without.model_dump()), without.taught) == (True, False, [])
    assert alone_key(PLAN.model_dump(mode="json")) == alone_key(without.model_dump(mode="json"))
    twin = finished(home, without, SCORES, DETAILS)
    with Studio(home, watch=False) as desk:
        found = desk.runs.without_teacher(done)
        assert found is not None
        assert found.id == twin
        assert desk.runs.distillation(f"{done}/mood")["alone"]["id"] == f"{twin}/mood"


def test_a_joint_run_teaches_each_task_what_it_learnt_by_that_name(tmp_path: Path) -> None:
    home = Home(tmp_path / "home").ensure()
    best = home.runs / "r1" / "best"
    for name in ("mood", "names"):
        (best / name).mkdir(parents=True)
        (best / name / "config.json").write_text("{}")
    data = PLAN.model_dump(mode="json")
    for at, source in enumerate(("r1", "r1/names")):
        data["tasks"][at]["distil"]["teachers"][0]["source"] = source
    found = absolute_sources(JointPlan.model_validate({**data, "model": {"source": "r1/mood"}}), home)
    assert [one.distil.teachers[0].source for one in found.tasks[:2] if one.distil] == [
        str(best / "mood"), str(best / "names"),
    ]  # fmt: skip
    assert found.model.source == str(best / "mood")
    data["tasks"][1]["distil"]["teachers"][0]["source"] = "hub:someone/teacher"
    assert names_hub(data)


def test_a_student_of_a_joint_run_has_half_of_its_layers_and_all_of_its_tasks_as_teachers() -> None:
    folders = {"mood": "/r/best/mood", "asked": "/r/best/asked"}
    made = joint_student_plan(PLAN, folders, {"folder": "/r/best/mood", "layers": 4, "family": "bert"})
    assert (made.model.source, made.model.keep_layers) == ("/r/best/mood", 2)
    assert made.taught == ["mood", "asked"]
    assert made.tasks[2].distil is not None
    assert (made.tasks[2].distil.teachers[0].source, made.tasks[2].distil.differences) == ("/r/best/asked", 0.5)
    assert made.training == PLAN.training
    plain = joint_student_plan(PLAN, folders, {"folder": "/r/best/mood", "layers": 4, "family": "modernbert"})
    assert plain.model.keep_layers is None


# -- the form --------------------------------------------------------------------------------------------------------
def test_teachers_that_came_by_yaml_are_kept_and_named() -> None:
    parts = parts_of(PLAN)
    assert read(parts) == (PLAN, {})
    assert [taught_words(state) for state in parts.tasks] == ["taught by run/mood", "taught by run/names", ""]


def test_a_task_is_given_a_teacher_in_the_form(open_planner: Callable[..., AppTest], studio: FakeStudio) -> None:
    source = studio.models.teach("my teacher")
    test = opened_form(open_planner)
    (number,) = held(test).order
    path = "stages.0.distil"
    test.toggle(key=f"{key(test, number, path)}_on").set_value(True).run()
    assert not test.exception, test.exception
    (task,) = shown(test).tasks
    assert task.distil is not None
    assert [one.source for one in task.distil.teachers] == [source]
    assert f"taught by {Path(source).parent.name}" in form_words(test)
    assert "Its task and its 2 labels are those of the rows." in form_words(test)
    test.slider(key=f"{key(test, number, f'{path}.alpha')}_slider_1").set_value(0.25).run()
    test.segmented_control(key=f"{shared(test, 'model.source')}_kind_taught").set_value("teacher").run()
    assert (shown(test).model.source, shown(test).model.keep_layers) == (source, 3)
    test.button(key="joint_add").click().run()  # the second task has none
    plan = shown(test)
    assert [None if one.distil is None else one.distil.alpha for one in plan.tasks] == [0.25, None]
    primary(test).click().run()
    assert studio.runs.submitted == [plan]


def test_a_teacher_that_is_gone_stands_beside_its_field(
    open_planner: Callable[..., AppTest], studio: FakeStudio
) -> None:
    test = opened_form(open_planner)
    (number,) = held(test).order
    test.toggle(key=f"{key(test, number, 'stages.0.distil')}_on").set_value(True).run()  # nothing can teach
    assert primary(test).disabled
    assert "taught by nobody yet" in form_words(test)
    test.toggle(key=f"{key(test, number, 'stages.0.distil')}_on").set_value(False).run()
    assert shown(test).tasks[0].distil is None
    assert not primary(test).disabled


def test_a_distillation_of_one_task_becomes_the_first_of_several() -> None:
    stage = {"kind": "distil", "lr": 3e-4, "distil": TAUGHT}
    joint = from_single(Plan.model_validate({"name": "one", "stages": [stage]}))
    assert (joint.taught, joint.training.lr) == (["reviews"], 3e-4)
    assert joint.plan_of(0).stages[0].distil == DistillationConfig.model_validate(TAUGHT)
