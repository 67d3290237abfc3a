"""``bertloom plan check`` of a joint plan: key, line, and the batches of each task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from core.config import plan_to_yaml
from core.config.joint import JointPlan
from core.config.joint_demo import names_and_questions
from core.runs.joint_desk import JointDesk
from tests.unit.cli.test_plan import call, one_object


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[JointPlan]:
    monkeypatch.setenv("BERTLOOM_HOME", str(tmp_path / "home"))
    asked: list[JointPlan] = []

    def check(self: JointDesk, plan: JointPlan) -> dict[str, Any]:
        asked.append(plan)
        clash = {"level": "warning", "key": "tasks.1.data.source", "message": "They clash.", "advice": None}
        tasks = [{"name": "names", "steps": 62}, {"name": "questions", "steps": 64}]
        return {"findings": [clash], "steps": 126, "round": 63, "tasks": tasks}

    monkeypatch.setattr(JointDesk, "check", check)
    return asked


def test_what_is_found_has_its_key_and_line(checked: list[JointPlan], tmp_path: Path) -> None:
    file = tmp_path / "joint.yaml"
    file.write_text(plan_to_yaml(names_and_questions()))
    found = one_object(call("plan", "check", str(file), "--json"))
    assert checked == [names_and_questions()]
    (one,) = found["findings"]
    line = file.read_text().splitlines()[one["line"] - 1]
    assert (found["ok"], one["key"], line.strip()) == (True, "tasks.1.data.source", "source: tweet-questions")
    told = call("plan", "check", str(file))
    assert told.exit_code == 0
    assert "126 optimiser steps; batches of each task: names 62, questions 64." in " ".join(told.stdout.split())


def test_a_task_that_does_not_exist_is_named(checked: list[JointPlan], tmp_path: Path) -> None:
    file = tmp_path / "joint.yaml"
    file.write_text("kind: joint\ntasks:\n- name: a\n  task: {kind: parsing}\n")
    result = call("plan", "check", str(file), "--json")
    assert result.exit_code == 1
    (one,) = one_object(result)["findings"]
    assert (one["key"], one["line"]) == ("tasks.0.task.kind", 4)
    assert "'tagging'" in one["message"]
    assert not checked
