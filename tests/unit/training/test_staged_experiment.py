"""Runs of the staged experiment on a tiny encoder: what they count, and searches that are stopped between trials."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.config import Plan
from tests.benchmarks.staged import Job, run_job
from tests.benchmarks.staged_arms import READY, SEARCH, SHORT, ready_plan, search_plan
from tests.benchmarks.staged_records import Result

SMALL = {"batch_size": 16, "eval_every": 4}


@pytest.fixture
def tiny(material: Path, encoders: Callable[..., Path]) -> Callable[[Plan], Plan]:
    """Put a plan on a tiny encoder of two layers and rows of a file."""

    def change(plan: Plan) -> Plan:
        raw: dict[str, Any] = plan.model_dump(mode="json")
        raw["data"] = {"source": str(material / "reviews.csv")}
        raw["model"] = {"source": str(encoders()), "max_length": 32}
        raw["runtime"] |= {"threads": 1, "device": "cpu"}
        for stage in raw["stages"]:
            stage |= SMALL
            stage["freeze_layers"] = min(1, stage["freeze_layers"])
        return Plan.model_validate(raw)

    return change


def run(plan: Plan, name: str, folder: Path, cache: Path, until: float = float("inf")) -> Result | None:
    return run_job(Job(folder, name, 0, lambda: plan), folder / "run", cache, until)


@pytest.mark.parametrize("name", READY)
def test_a_staged_plan_takes_no_more_steps_than_were_counted_before(
    name: str, tiny: Callable[[Plan], Plan], tmp_path: Path, shared_cache: Path
) -> None:
    result = run(tiny(ready_plan(name, SHORT, 0)), name, tmp_path, shared_cache)
    assert result is not None
    assert result.planned == SHORT
    assert 0 < result.spent <= SHORT
    assert not result.run.failed
    assert [stage["name"] for stage in result.stages] == [stage.name for stage in ready_plan(name, SHORT, 0).stages]


def few(plan: Plan) -> Plan:
    """A search of four short trials, two of them random."""
    raw = plan.model_dump(mode="json")
    raw["stages"][0] |= {"steps": 6}
    raw["stages"][0]["search"] |= {"trials": 4, "startup_trials": 2}
    return Plan.model_validate(raw)


def test_a_search_that_is_stopped_after_each_trial_ends_as_one_that_is_not(
    tiny: Callable[[Plan], Plan], tmp_path: Path, shared_cache: Path
) -> None:
    plan = few(tiny(search_plan(0)))
    whole = run(plan, SEARCH, tmp_path / "whole", shared_cache)
    assert whole is not None
    parts, calls = None, 0
    while parts is None:
        calls += 1
        assert calls <= 4
        parts = run(plan, SEARCH, tmp_path / "parts", shared_cache, until=time.monotonic())
    assert calls == 4
    assert [one["values"] for one in parts.trials] == [one["values"] for one in whole.trials]
    assert (parts.gate, parts.score, parts.planned, parts.spent) == (whole.gate, whole.score, 24, 24)
    assert whole.gate == max(one["score"] for one in whole.trials)
