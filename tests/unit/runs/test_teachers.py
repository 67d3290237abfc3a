"""What can teach: finished runs of a task with their scores, and exports."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from core.config import Plan, TaskConfig
from core.runs.records import RunRecord, Status
from core.runs.teachers import list_teachers, score_of
from core.settings import Home


def _record(number: int, metrics: dict[str, float], **plan: Any) -> RunRecord:
    return RunRecord(
        id=f"20260101-12000{number}-ab12", kind="train", name=f"run {number}", status=Status.FINISHED,
        plan=Plan.model_validate(plan).model_dump(mode="json"), tags=(), created=1.0, started=1.0, ended=2.0,
        seconds=1.0, position=None, backend="process", pid=None, heartbeat=None, metrics=metrics, has_model=True,
    )  # fmt: skip


def _folder(folder: Path, labels: list[str], **task: Any) -> None:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    side = {"format": 1, "task": TaskConfig.model_validate(task).model_dump(), "labels": labels, "max_length": 64}
    (folder / "bertloom.json").write_text(json.dumps(side))


def test_runs_and_exports_of_a_task_are_offered(tmp_path: Path) -> None:
    home = Home(tmp_path / "home").ensure()
    records = [_record(number, {"test/accuracy": number / 10}) for number in range(1, 5)]
    _folder(home.run(records[0].id) / "best", ["a", "b"])
    _folder(home.run(records[1].id) / "best", ["O", "B-x"], kind="tagging")
    _folder(home.run(records[2].id) / "best", ["a", "b"], multi_label=True)  # and of the fourth there is nothing left
    _folder(home.exports / "given", ["c", "d"])
    store: Any = SimpleNamespace(home=home, runs=SimpleNamespace(list=lambda status: records))
    found = list_teachers(store, TaskConfig())
    assert [(one["title"], one["run"], one["labels"]) for one in found] == [
        ("run 1", records[0].id, ["a", "b"]), ("given (exported)", None, ["c", "d"]),
    ]  # fmt: skip
    assert found[0]["score"] == {"role": "test", "metric": "accuracy", "value": 0.1}
    assert [one["title"] for one in list_teachers(store, TaskConfig(kind="tagging"))] == ["run 2"]


def test_each_part_of_a_joint_run_is_offered_with_its_own_score(tmp_path: Path) -> None:
    home = Home(tmp_path / "home").ensure()
    metrics = {"test/names/strict_f1": 0.7, "test/asked/f1": 0.6}
    tasks = [{"name": "names", "task": {"kind": "tagging"}}, {"name": "asked", "task": {"kind": "question_answering"}}]
    record = dataclasses.replace(_record(1, metrics), kind="joint", plan={"tasks": tasks}, has_model=False)
    best = home.run(record.id) / "best"
    _folder(best / "names", ["O", "B-x"], kind="tagging")
    _folder(best / "asked", ["start", "end"], kind="question_answering", head="pointer")
    store: Any = SimpleNamespace(home=home, runs=SimpleNamespace(list=lambda status: [record]))
    assert list_teachers(store, TaskConfig()) == []
    assert list_teachers(store, TaskConfig.model_validate({"kind": "tagging", "head": "pointer"})) == []
    for kind, name, score in (("tagging", "names", 0.7), ("question_answering", "asked", 0.6)):
        (found,) = list_teachers(store, TaskConfig.model_validate({"kind": kind}))
        assert (found["source"], found["title"], found["run"]) == (str(best / name), f"run 1 · {name}", record.id)
        assert found["score"]["value"] == score


@pytest.mark.parametrize(
    ("metrics", "plan", "expected"),
    [
        ({"gate/accuracy": 0.5}, {}, ("gate", "accuracy", 0.5)),
        ({"gate/accuracy": 0.5, "test/accuracy": 0.4}, {}, ("test", "accuracy", 0.4)),
        ({"test/strict_f1": 0.3, "test/accuracy": 0.9}, {}, ("test", "strict_f1", 0.3)),
        ({"test/macro_f1": 0.2, "test/accuracy": 0.9}, {"stages": [{"metric": "macro_f1"}]}, ("test", "macro_f1", 0.2)),
        ({}, {}, None),
    ],
)
def test_a_score_is_that_of_the_metric_that_picked_the_model(
    metrics: dict[str, float], plan: dict[str, Any], expected: tuple[str, str, float] | None
) -> None:
    found = score_of(_record(1, metrics, **plan))
    assert (None if found is None else (found["role"], found["metric"], found["value"])) == expected
