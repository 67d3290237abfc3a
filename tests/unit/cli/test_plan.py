"""``bertloom plan check | curve | templates | new --template`` and ``bertloom decisions``, in one process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner, Result

from core.api import Studio
from core.cli.app import app
from core.config import Plan, plan_from_yaml, plan_to_yaml
from core.config.recipes import recipes
from core.config.templates import templates
from core.runs.events import NewEvent
from core.runs.store import Store
from core.runs.table import NewRun
from core.settings import Home, home
from core.training.counting import count_stages
from tests.tiny import tiny_encoder


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BERTLOOM_HOME", str(tmp_path / "home"))


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def one_object(result: Result) -> dict[str, Any]:
    assert result.stdout.count("\n") == 1, result.stdout
    value = json.loads(result.stdout)
    assert isinstance(value, dict)
    return value


@pytest.fixture
def sound(monkeypatch: pytest.MonkeyPatch) -> list[Plan]:
    """Rows and model of every plan are in order; returns the plans that were asked about."""
    asked: list[Plan] = []

    def check_plan(self: Studio, plan: Plan) -> dict[str, Any]:
        asked.append(plan)
        return {"findings": [], "steps": 12, "stages": [{"name": stage.name} for stage in plan.active]}

    def steps(self: Studio, plan: Plan) -> dict[str, Any]:
        asked.append(plan)
        return {"stages": count_stages(plan, [10] * 320)}

    monkeypatch.setattr(Studio, "check_plan", check_plan)
    monkeypatch.setattr(Studio, "steps", steps)
    return asked


BAD: dict[str, tuple[str, str, int, str]] = {
    "an unknown key": ("stages:\n- lr: 1e-4\n  learning: 3\n", "stages.0.learning", 3, "unknown key"),
    "an unknown key of the plan": ("name: x\nlr: 3\n", "lr", 2, "unknown key"),
    "a stage that starts from one that does not exist": (
        "stages:\n- name: a\n  start_from: best:b\n", "stages.0.start_from", 3, "does not exist"),
    "stages that start from one another": (
        "stages:\n- name: a\n  start_from: best:b\n- name: b\n  start_from: best:a\n", "stages.0.start_from", 3,
        "not executed before"),
    "no steps": ("stages:\n- name: a\n  steps: 0\n", "stages.0.steps", 3, "greater than or equal to 1"),
    "no epochs": ("stages:\n- epochs: 0\n", "stages.0.epochs", 2, "greater than 0"),
    "a range that is upside down": (
        "stages:\n- kind: range_test\n  range_test: {lr_min: 1.0, lr_max: 0.1}\n", "stages.0.range_test", 3,
        "below lr_max"),
    "a searched range that is upside down": (
        "stages:\n- kind: search\n  search:\n    space:\n      lr: {low: 1.0, high: 0.1}\n",
        "stages.0.search.space.lr", 5, "upside down"),
    "a warm-up that is longer than the stage": (
        "stages:\n- steps: 10\n  schedule: {warmup: 20}\n", "stages.0", 2, "longer than the stage"),
    "two stages of one name": (
        "stages:\n- name: a\n- name: b\n- name: a\n", "stages.2.name", 4, "two stages are called"),
    "a search without a space": (
        "stages:\n- kind: search\n  search: {trials: 3}\n", "stages.0.search", 3, "nothing to search"),
    "a search of fixed values only": (
        "stages:\n- kind: search\n  search:\n    space:\n      lr: {low: 1e-5, high: 1e-3, fixed: 1e-4}\n",
        "stages.0.search", 3, "nothing to search"),
    "a search without its settings": ("stages:\n- kind: search\n", "stages.0", 2, "needs search"),
    "a gate on a range test": (
        "stages:\n- kind: range_test\n  gate: {}\n", "stages.0", 2, "a gate belongs to a stage of kind train"),
    "all stages switched off": ("stages:\n- enabled: false\n", "", 0, "switched off"),
    "a rate from a test that does not exist": (
        "stages:\n- name: a\n- name: b\n  lr_from: range\n", "stages.1.lr_from", 4, "does not exist"),
}  # fmt: skip


@pytest.mark.parametrize("what", sorted(BAD))
def test_check_names_key_and_line_of(what: str, tmp_path: Path) -> None:
    text, key, line, words = BAD[what]
    file = tmp_path / "plan.yaml"
    file.write_text(text)
    result = call("plan", "check", str(file), "--json")
    assert result.exit_code == 1
    found = one_object(result)
    assert not found["ok"]
    (finding,) = found["findings"]
    assert (finding["level"], finding["key"], finding["line"]) == ("error", key, line or None)
    assert words in finding["message"]


def test_check_tells_people_where_each_error_stands(tmp_path: Path) -> None:
    file = tmp_path / "plan.yaml"
    file.write_text("stages:\n- lr: fast\n  steps: 0\n")
    result = call("plan", "check", str(file))
    assert result.exit_code == 1
    assert "cannot run (2 errors)" in result.stdout
    told = " ".join(result.stderr.split())
    assert "Error stages.0.lr (line 2):" in told
    assert "Error stages.0.steps (line 3):" in told


@pytest.mark.parametrize("text", ["stages: [", "- a\n- b\n", "\x00"])
def test_check_of_what_is_no_plan_at_all_is_one_error(text: str, tmp_path: Path) -> None:
    file = tmp_path / "plan.yaml"
    file.write_text(text)
    result = call("plan", "check", str(file), "--json")
    assert result.exit_code == 1
    assert one_object(result)["error"] == "ConfigError"


def test_check_of_a_missing_file_fails() -> None:
    assert call("plan", "check", "no-such.yaml").exit_code == 1


def test_check_of_a_sound_plan_counts_its_steps(sound: list[Plan], tmp_path: Path) -> None:
    file = tmp_path / "plan.yaml"
    file.write_text("stages:\n- name: a\n- name: b\n")
    result = call("plan", "check", str(file), "--set", "stages.0.lr=3e-5")
    assert result.exit_code == 0
    assert "can run. 12 optimiser steps in 2 stages." in result.stdout
    assert sound[0].stages[0].lr == 3e-5


def test_warnings_do_not_fail_a_check(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    warning = {"level": "warning", "key": "stages.0.lr", "message": "It is large.", "advice": "Lower it."}
    monkeypatch.setattr(Studio, "check_plan", lambda self, plan: {"findings": [warning]})
    file = tmp_path / "plan.yaml"
    file.write_text("stages:\n- name: a\n  lr: 0.01\n")
    result = call("plan", "check", str(file))
    assert result.exit_code == 0
    assert "Warning stages.0.lr (line 3): It is large. Lower it." in " ".join(result.stderr.split())


def test_the_curve_is_written_as_a_picture(sound: list[Plan], tmp_path: Path) -> None:
    file, out = tmp_path / "plan.yaml", tmp_path / "curve.svg"
    file.write_text("name: <my plan>\nstages:\n- {name: a, freeze_encoder: true}\n- {name: b, gate: {}}\n")
    result = call("plan", "curve", str(file), "--out", str(out), "--json")
    assert result.exit_code == 0
    assert [stage["name"] for stage in one_object(result)["stages"]] == ["a", "b"]
    words = "".join(ElementTree.parse(out).getroot().itertext())
    assert "<my plan>" in words
    assert "gate decides" in words


def test_the_curve_as_json_has_the_rate_of_every_group_at_every_step(sound: list[Plan], tmp_path: Path) -> None:
    file, out = tmp_path / "plan.yaml", tmp_path / "curve.json"
    file.write_text("stages:\n- {steps: 2000, lr: 1e-3, layer_decay: 0.5, schedule: {name: constant}}\n")
    assert call("plan", "curve", str(file), "--out", str(out)).exit_code == 0
    found = json.loads(out.read_text())
    assert found["groups"]["layer 5 + head"] == {
        "steps": list(range(1, 2001)), "lr": [1e-3] * 2000, "low": [1e-3] * 2000, "high": [1e-3] * 2000,
    }  # fmt: skip
    assert found["groups"]["layer 4"]["lr"] == [5e-4] * 2000


def test_the_curve_without_a_file_is_a_table(sound: list[Plan], tmp_path: Path) -> None:
    file = tmp_path / "plan.yaml"
    file.write_text("stages:\n- {name: first, steps: 20, lr: 1e-3, max_retries: 1}\n")
    result = call("plan", "curve", str(file))
    assert "first" in result.stdout
    assert "0.00033 to 0.001" in result.stdout
    assert one_object(call("plan", "curve", str(file), "--json"))["steps"] == 20


def test_a_curve_is_refused_in_other_formats_and_where_it_cannot_be_written(sound: list[Plan], tmp_path: Path) -> None:
    file = tmp_path / "plan.yaml"
    file.write_text("stages:\n- {steps: 20}\n")
    result = call("plan", "curve", str(file), "--out", "curve.png", "--json")
    assert result.exit_code == 2
    assert ".svg or .json" in one_object(result)["expected"]
    assert call("plan", "curve", str(file), "--out", str(tmp_path / "no" / "x.svg")).exit_code == 1


def test_templates_are_listed_with_what_they_are_for() -> None:
    found = one_object(call("plan", "templates", "--json"))["templates"]
    alone, taught = ([one["name"] for one in found if one["teacher"] is needs] for needs in (False, True))
    assert alone == [one.name for one in templates()]
    assert taught == [one.name for one in recipes()]
    assert all(len(one["about"]) > 60 for one in found)
    assert "Gradual unfreezing" in call("plan", "templates").stdout


def test_a_template_makes_a_whole_plan_of_the_data_that_is_named() -> None:
    result = call("plan", "new", "--template", "head-then-all", "--data", "tweets", "--set", "stages.1.lr=5e-5")
    plan = plan_from_yaml(result.stdout)
    assert (plan.data.source, plan.data.train_rows, plan.task.kind) == ("tweets", 2000, "tagging")
    assert [stage.name for stage in plan.stages] == ["head", "all"]
    assert plan.stages[1].lr == 5e-5


@pytest.fixture
def teacher(tmp_path: Path) -> str:
    """A run's folder whose model has a head."""
    folder = tiny_encoder(tmp_path / "run" / "best", layers=4, heads=2, hidden=32)
    return str(folder.parent)


def test_a_recipe_makes_a_student_of_its_teachers_layers(teacher: str) -> None:
    result = call("plan", "new", "--template", "pkd", "--teacher", teacher, "--keep-layers", "3", "--data", "tweets")
    plan = plan_from_yaml(result.stdout)
    assert (plan.model.source, plan.model.keep_layers, plan.task.kind) == (teacher, [1, 2, 3], "tagging")
    assert plan.stages[0].distil is not None
    assert plan.stages[0].distil.teachers[0].source == teacher
    assert plan.stages[0].distil.states[0].weight == pytest.approx(100 / 32)  # the teacher's width was read


def test_a_teacher_may_be_named_by_its_runs_id() -> None:
    run = "20261122-141530-a1b2"
    tiny_encoder(home().root / "runs" / run / "best", layers=4, hidden=16)
    plan = plan_from_yaml(call("plan", "new", "--template", "weigh-differences", "--teacher", run).stdout)
    assert (plan.model.source, plan.model.keep_layers) == (run, 2)


def test_a_recipe_asks_for_its_teacher_and_says_when_there_is_none(teacher: str, tmp_path: Path) -> None:
    for more, told in (
        ([], "learns from a teacher"),
        (["--teacher", "bundled"], "has no trained head"),
        (["--teacher", str(tmp_path / "nowhere")], "nowhere"),
        (["--teacher", teacher, "--keep-layers", "9"], "there are 4"),
    ):
        result = call("plan", "new", "--template", "minilmv2", *more, "--json")
        assert result.exit_code == 2
        assert told in json.dumps(one_object(result))
    result = call("plan", "new", "--template", "head-only", "--teacher", teacher, "--json")
    assert result.exit_code == 2
    assert "tinybert" in one_object(result)["expected"]


def test_a_student_may_be_an_encoder_of_its_own(teacher: str, tmp_path: Path) -> None:
    small = str(tiny_encoder(tmp_path / "small", layers=2, hidden=16))
    result = call("plan", "new", "--template", "tinybert", "--teacher", teacher, "--model", small)
    plan = plan_from_yaml(result.stdout)
    assert (plan.model.source, plan.model.keep_layers) == (small, None)
    assert plan.stages[0].distil is not None
    assert [one.weight for one in plan.stages[0].distil.states] == [1.0, 2.0, 2.0]
    assert plan.stages[1].head_lr == 1e-3  # its head is new


def test_layers_can_be_left_out_of_any_new_plan() -> None:
    assert plan_from_yaml(call("plan", "new", "--keep-layers", "3").stdout).model.keep_layers == 3
    gradual = plan_from_yaml(call("plan", "new", "--template", "gradual-unfreezing", "--keep-layers", "3").stdout)
    assert gradual.model.keep_layers == 3
    assert max(stage.freeze_layers for stage in gradual.stages) < 3


def test_an_unknown_template_names_those_that_there_are() -> None:
    result = call("plan", "new", "--template", "magic", "--json")
    assert result.exit_code == 2
    assert "range-test" in one_object(result)["expected"]


def test_a_template_for_a_sample_without_labels_is_refused() -> None:
    result = call("plan", "new", "--template", "head-only", "--data", "headlines", "--json")
    assert result.exit_code == 2
    assert "reviews" in one_object(result)["expected"]


def test_decisions_are_listed_with_their_evidence() -> None:
    store = Store(Home(home().root).ensure())
    store.runs.insert(NewRun(id="20261122-141530-a1b2", kind="train", name="x", plan=Plan().model_dump(mode="json"),
                             tags=(), backend="process"))  # fmt: skip
    evidence = {"metric": "gate/accuracy", "value": 0.71, "low": 0.66, "reference": 0.58, "min_delta": 0.01}
    data = {"stage": "head", "index": 0, "attempt": 2, "rule": "gate", "action": "promote", "evidence": evidence,
            "lr_scale": 0.5, "step": 120}  # fmt: skip
    with store.db.transaction() as connection:
        number = connection.execute("select no from runs").fetchone()[0]
        store.events.write(connection, number, [NewEvent("decision", "Gate passes.", 120, data), NewEvent("info", "x")])
    store.close()
    found = one_object(call("decisions", "20261122", "--json"))
    (one,) = found["decisions"]
    assert (one["stage"], one["attempt"], one["rule"], one["action"], one["step"]) == (
        "head",
        2,
        "gate",
        "promote",
        120,
    )
    assert one["words"] == "accuracy 0.71 (from 0.66) against 0.58, by more than 0.01"
    assert "promote" in call("decisions", "20261122").stdout
    assert one_object(call("decisions", "20261122", "--stage", "all", "--json"))["decisions"] == []


def test_a_plan_that_is_written_is_one_that_can_be_checked(sound: list[Plan], tmp_path: Path) -> None:
    for one in templates():
        file = tmp_path / "plan.yaml"
        file.write_text(plan_to_yaml(one.plan()))
        assert call("plan", "check", str(file)).exit_code == 0
    assert len(sound) == len(templates())
