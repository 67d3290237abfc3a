"""The experiment on strategies: runs that differ in nothing else, and a page that says what the files say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.config.joint import JointPlan
from core.studies.comparing.plans import Job, digest_of, jobs_of, plan_of
from core.studies.comparing.records import ChildRun, TaskResult, write_child
from tests.benchmarks import strategies
from tests.benchmarks.report_strategies import page, picture
from tests.benchmarks.strategies_arms import ABLATED, RULES, SEEDS, WAYS, comparison, judged

#: Made-up scores by strategy; the pointer head loses three points without its memory.
REACHED = {
    "single": 0.60, "joint": 0.70, "pointer": 0.60, "pointer, no memory": 0.57,
    "pointer, no distances": 0.60,
}  # fmt: skip


def made(rule: str, job: Job) -> ChildRun:
    """A run whose answers have an F1 near what its strategy reaches, the same rows hard for all."""
    hard = np.random.default_rng(3).random(400)
    luck = np.random.default_rng([job.seed, sorted(REACHED).index(job.strategy.name)]).normal(0, 0.01, 400)
    right = (hard + luck < REACHED[job.strategy.name]).astype(float)
    tasks = {
        one.name: TaskResult(
            one.score, score=float(right.mean()) if one.score == "f1" else REACHED[job.strategy.name], gate_score=0.5,
            majority=0.1, documents={"f1": right.tolist(), "n": 400} if one.score == "f1" else {},
            rows={"train": 100, "gate": 20, "test": 400},
        )
        for one in job.tasks
    }  # fmt: skip
    config = comparison(rule)
    return ChildRun(
        job.key, job.strategy.name, job.seed, tasks, steps=200, seconds=30.0, parameters=1100, encoder_parameters=1000,
        digest=digest_of(plan_of(config, job)),
    )  # fmt: skip


def everything() -> dict[str, list[ChildRun]]:
    return {rule: [made(rule, job) for job in jobs_of(comparison(rule))] for rule in RULES}


def test_all_runs_train_on_the_same_rows_with_the_same_budget() -> None:
    for rule in RULES:
        config = comparison(rule)
        plans = [(job, plan_of(config, job)) for job in jobs_of(config) if job.seed == 0]
        assert len(plans) == (4 if rule == "steps" else 0) + 2 + 1 + 2
        for job, plan in plans:
            assert isinstance(plan, JointPlan)
            assert {one.name for one in (*plan.tasks, *plan.beside)} == {"names", "questions"}
            if rule == "steps":
                assert plan.training.steps == 400 * len(job.tasks)
            else:
                assert [one.quota for one in plan.tasks] == [6400] * len(job.tasks)


def test_a_part_of_the_pointer_head_is_all_that_an_ablation_changes() -> None:
    config = comparison("steps")
    whole, *parts = (
        plan_of(config, next(job for job in jobs_of(config) if job.strategy.name == name))
        for name in ("pointer", *ABLATED)
    )
    for part, changes in zip(parts, ABLATED.values(), strict=True):
        (task,), (other,) = whole.tasks, part.tasks
        (field,) = changes
        assert other.task.pointer.model_dump() == task.task.pointer.model_dump() | changes
        assert getattr(task.task.pointer, field) is True
        same = other.model_copy(update={"task": task.task})
        assert same == task


def test_runs_that_are_there_are_not_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strategies, "RESULTS", tmp_path)
    before = strategies.missing()
    assert len(before) == SEEDS * (9 + 5)
    order = [(one[2].strategy.name in ABLATED, one[2].seed) for one in before]
    assert order == sorted(order)
    assert {one[2].seed for one in strategies.missing(["examples"], [1, 3])} == {1, 3}
    rule, _, job = before[0]
    write_child(tmp_path / rule, made(rule, job))
    assert next(one[2].key for one in strategies.missing() if one[0] == rule) != job.key
    assert len(strategies.missing()) == len(before) - 1
    (record,) = strategies.read_results(rule)
    write_child(tmp_path / rule, replace(record, strategy="another"))  # of an experiment of another shape
    assert len(strategies.missing()) == len(before)


def test_the_page_judges_what_is_there() -> None:
    told = page(everything())
    assert "joint is better than single" in told
    assert "| questions | single − joint | 5 |" in told
    assert "pointer is better than pointer, no memory" in told
    assert "Not finished" not in told
    assert told.count("*questions*, joint − single: +") == len(RULES)
    ways = told[: told.index("## The pointer head")]
    assert not set(ABLATED) & {name for name in ABLATED if f"| {name} |" in ways}


def test_nothing_is_judged_before_all_seeds_are_there() -> None:
    some = {rule: [one for one in runs if one.seed < 3] for rule, runs in everything().items()}
    told = page(some)
    assert "18 of 45 runs are missing" in told
    assert "is better than" not in told
    assert "no verdict" in told
    assert "Not measured yet." in page({rule: [] for rule in RULES})


def test_the_picture_has_a_row_for_every_strategy_under_every_rule_and_a_dot_for_every_score() -> None:
    drawn = picture(everything())
    for name in ("single, equal steps", "joint, equal examples", "pointer, no memory, equal steps"):
        assert f">{name}</text>" in drawn
    assert drawn.count("<circle") == 2 * SEEDS * (5 + 3)
    assert picture({rule: [] for rule in RULES}).count("<circle") == 0


def test_both_families_are_of_one_experiment() -> None:
    assert [one.name for one in judged("steps", "ways").strategies] == list(WAYS)
    assert [one.name for one in judged("steps", "pointer").strategies] == ["pointer", *ABLATED]
