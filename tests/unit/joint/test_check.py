"""A joint plan before its start: the steps that its run will make, and what that run would refuse."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.config.joint import JointPlan
from core.runs.joint_desk import JointDesk, timed_plans
from core.training import MemoryContext, Outcome
from core.training.joint import train
from core.training.joint.check import check_joint

Joint = Callable[..., JointPlan]


def found(answer: dict[str, Any], level: str) -> dict[str, str]:
    return {one["key"]: one["message"] for one in answer["findings"] if one["level"] == level}


@pytest.mark.parametrize(
    "parts",
    [
        {"mixing": {"alpha": 0.3}, "training": {"epochs": 1}},
        {"tasks": {"mood": {"quota": 40}, "names": {"quota": 30}}},
    ],
)
def test_the_steps_of_each_task_are_those_of_the_run(
    parts: dict[str, Any], joint: Joint, fresh: Callable[..., MemoryContext], joint_cache: Path
) -> None:
    plan = joint("mood", "names", **parts)
    answer = check_joint(plan, cache=joint_cache)
    assert not found(answer, "error")
    context = fresh()
    assert train(plan, context) is Outcome.FINISHED
    results = json.loads((context.folder / "results.json").read_text())
    assert answer["steps"] == results["training"]["steps"]
    for told, real in zip(answer["tasks"], results["tasks"], strict=True):
        assert (told["name"], told["steps"], told["rows"]) == (real["name"], real["batches"], real["rows"])
    assert sum(one["share"] for one in answer["tasks"]) == pytest.approx(1)


def test_every_task_that_cannot_be_read_is_named(joint: Joint, joint_cache: Path, tmp_path: Path) -> None:
    gone = {"data": {"source": str(tmp_path / "gone.csv")}}
    plan = joint("mood", "names", "where", tasks={"mood": gone, "where": gone})
    answer = check_joint(plan, cache=joint_cache)
    assert list(found(answer, "error")) == ["tasks.0.data.source", "tasks.2.data.source"]
    assert answer["steps"] is None
    assert [one["rows"] is None for one in answer["tasks"]] == [True, False, True]
    metric = joint("mood", tasks={"mood": {"metric": "strict_f1"}})
    assert list(found(check_joint(metric, cache=joint_cache), "error")) == ["tasks.0.metric"]


def test_labels_that_clash_and_texts_in_two_roles_are_found(joint: Joint, joint_cache: Path, tmp_path: Path) -> None:
    texts = [f"cat {number} ran" for number in range(40)]
    for name, labels, rows in (("one", ("PER", "LOC"), texts), ("two", ("per", "LOC"), texts[::-1])):
        lines = [f"{text},{labels[at % 2]}" for at, text in enumerate(rows)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["text,label", *lines, ""]))

    def plan(**data: Any) -> JointPlan:
        changes = {
            task: {
                "data": {
                    "source": str(tmp_path / f"{file}.csv"), "gate_share": 0.2, "test_share": 0.2, "split_seed": seed,
                    **data,
                }
            }
            for seed, (task, file) in enumerate((("mood", "one"), ("names", "two")))
        }  # fmt: skip
        return joint("mood", "names", tasks={name: {"task": {}, **values} for name, values in changes.items()})

    refused = found(check_joint(plan(), cache=joint_cache), "error")
    assert "clash" in refused["tasks.1.data.source"]
    assert "PER and per" in refused["tasks.1.data.source"]
    leaking = [key for key in refused if key.endswith("drop_duplicates")]
    assert leaking
    assert "row" in refused[leaking[0]]
    dropped = check_joint(plan(drop_duplicates=True), cache=joint_cache)
    assert not [key for key in found(dropped, "error") if key.endswith("drop_duplicates")]
    assert any("left out, whose text is in" in words for words in found(dropped, "note").values())
    kept = [one["rows"]["train"] for one in dropped["tasks"]]
    assert kept < [24, 24]


def test_a_task_without_gate_rows_does_not_count(joint: Joint, joint_data: Path, joint_cache: Path) -> None:
    bare = {"data": {"source": str(joint_data / "reviews.csv"), "gate_share": 0}}
    warned = found(check_joint(joint("mood", "names", tasks={"mood": bare}), cache=joint_cache), "warning")
    assert "does not count for the best checkpoint" in warned["tasks.0.share"]


def test_the_time_is_that_of_the_single_tasks_and_of_the_looks(joint: Joint, tmp_path: Path) -> None:
    plan = joint("mood", "names", training={"eval_every": 5}, mixing={"monitor_every": 10})
    counted = {"steps": 20, "round": 7, "tasks": [{"name": "mood", "steps": 15}, {"name": "names", "steps": 5}]}
    singles = timed_plans(plan, counted)
    assert [(one.stages[0].steps, one.stages[0].eval_every) for one in singles] == [(15, 3), (5, 1)]
    told = {"seconds": 8.0, "seconds_low": 4.0, "seconds_high": 10.0, "memory_mb": 100.0}
    desk = JointDesk.__new__(JointDesk)
    desk._estimate = lambda one: {**told, "memory_mb": 100.0 * one.stages[0].steps}
    found = desk.estimate(plan, counted)
    # Two looks, each of one more batch beside twenty.
    assert found["seconds"] == pytest.approx(16 * 1.1)
    assert (found["memory_mb"], found["steps"]) == (1500.0, 20)
