"""A search whose worker was killed in the middle of a trial goes on, and ends as one that was not."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from core.api import Studio
from core.config import Plan
from core.runs.records import Status
from tests.unit.runs.test_exact_resume import in_this_process, make_plan

SEARCH: dict[str, Any] = {
    "name": "look", "kind": "search", "steps": 6, "eval_every": 3, "freeze_layers": 1,
    "search": {"trials": 6, "startup_trials": 2, "pruner": "median",
               "space": {"lr": {"low": 1e-4, "high": 1e-1, "log": True}, "weight_decay": {"low": 0.0, "high": 0.2}}},
}  # fmt: skip


def told(studio: Studio, run: str) -> dict[str, Any]:
    """Return what must be equal: values, scores and runs' curves of all trials, and the best weights."""
    (search,) = studio.runs.searches(run)
    curves = [
        studio.runs.series(one, names=["train/loss"], max_points=None).series["train/loss"]["values"]
        for trial in search["trials"] for one in trial["runs"]
    ]  # fmt: skip
    weights = (studio.home.run(run) / "best" / "model.safetensors").read_bytes()
    return {
        "trials": [(one["values"], one["scores"], one["state"]) for one in search["trials"]],
        "best": search["best"], "curves": curves, "weights": hashlib.sha256(weights).hexdigest(),
    }  # fmt: skip


@pytest.mark.slow
def test_a_killed_search_goes_on_and_leaves_no_trial_at_work(studio: Studio, tmp_path: Path) -> None:
    plan: Plan = make_plan(tmp_path, [SEARCH])
    calm, struck = studio.runs.submit(in_this_process(plan)), studio.runs.submit(plan, kind="doomed")
    place = studio.home.run(struck)
    place.mkdir(parents=True, exist_ok=True)
    (place / "kill_at").write_text("3 0.03")  # as the third trial is told, or in the fourth
    assert studio.runs.wait(calm, 120).status is Status.FINISHED
    assert studio.runs.wait(struck, 120).status is Status.INTERRUPTED
    parts = studio.runs.list(part_of=struck)
    assert parts
    assert not any(part.status.active for part in parts)
    studio.runs.resume(struck)
    assert studio.runs.wait(struck, 120).status is Status.FINISHED
    assert told(studio, struck) == told(studio, calm)
    assert not any(part.status in (Status.INTERRUPTED, Status.RUNNING) for part in studio.runs.list(part_of=struck))
