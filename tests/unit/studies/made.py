"""Made-up runs of arms: what a rate does is a formula, so that verdicts are known beforehand."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from core.config import ClaimConfig, Plan
from core.errors import TrainingDiverged
from core.runs.records import Status
from core.runs.store import Store
from core.settings import Home
from core.studies.arms import plan_of
from core.studies.records import ArmRun, record_of
from core.studies.run import jobs_of, run
from core.studies.shelf import Claim
from core.training.context import MemoryContext, Outcome, RunContext

__all__ = ["Trainer", "config", "execute", "made_record", "records"]

ROWS = 400
#: Plan → (final accuracy, steps after which half of the gain is there), or None for a run that diverges.
Learns = Callable[[Plan], "tuple[float, float] | None"]


def config(claim: str, **changes: Any) -> ClaimConfig:
    """A config of five seeds."""
    return ClaimConfig.model_validate({"claim": claim, "name": claim, **changes})


def _answers(accuracy: float, seed: int, plan: Plan) -> np.ndarray:
    """Right answers: the same documents are hard for every arm, a little luck belongs to each run."""
    hard = np.random.default_rng(99).random(ROWS)
    luck = np.random.default_rng([seed, abs(hash(plan.stages[-1].lr)) % 2**31]).normal(0, 0.02, ROWS)
    return np.asarray(hard + luck < accuracy)


def _curve(plan: Plan, final: float, half: float) -> list[tuple[int, float]]:
    steps = sum(stage.steps or 0 for stage in plan.stages)
    every = plan.stages[0].eval_every or 1
    return [(step, 0.5 + (final - 0.5) * (1 - math.exp(-step * math.log(2) / half)))
            for step in range(every, steps + 1, every)]  # fmt: skip


def results_of(plan: Plan, final: float) -> dict[str, Any]:
    """``results.json`` of a run that ended with an accuracy."""
    right = _answers(final, plan.runtime.seed, plan)
    test = {
        "n": ROWS, "majority": 0.5,
        "documents": {"score": "mean", "bits": np.packbits(right).tobytes().hex()},
    }  # fmt: skip
    return {"metrics": {"test/accuracy": float(right.mean())}, "details": {"test": test, "gate": {"n": 300}}}


def points_of(plan: Plan, final: float, half: float) -> dict[str, list[tuple[int, float]]]:
    """Series of such a run."""
    steps = sum(stage.steps or 0 for stage in plan.stages)
    return {
        "train/loss": [(step, 0.7 * math.exp(-step / 100)) for step in range(1, steps + 1)],
        "train/memory_mb": [(step, 400.0 + 2 * plan.stages[0].batch_size) for step in range(1, steps + 1)],
        "gate/accuracy": _curve(plan, final, half),
    }


def made_record(claim: Claim, of: ClaimConfig, learns: Learns, job: Any) -> ArmRun:
    """The record of one run."""
    plan = plan_of(of, job.part, job.arm, job.seed)
    learnt = learns(plan)
    if learnt is None:
        return record_of(job.part, job.arm.name, job.seed, plan, {}, None, failed="The loss is nan at step 3.")
    return record_of(
        job.part, job.arm.name, job.seed, plan, points_of(plan, *learnt), results_of(plan, learnt[0]), seconds=2.0
    )


def records(claim: Claim, of: ClaimConfig, learns: Learns) -> list[ArmRun]:
    """All records of a claim."""
    return [made_record(claim, of, learns, job) for job in jobs_of(claim, of)]


class Trainer:
    """Stands for the training: notes the plans, tells what the formula says, and obeys requests."""

    def __init__(self, learns: Learns, *, stop_at: int | None = None) -> None:
        self.learns = learns
        self.plans: list[Plan] = []
        self.stop_at = stop_at

    def __call__(self, plan: Plan, context: RunContext, *, resume: bool = True) -> Outcome:
        """Train."""
        self.plans.append(plan)
        if self.stop_at is not None and len(self.plans) == self.stop_at:
            return Outcome.PAUSED
        learnt = self.learns(plan)
        context.metrics(1, {"train/loss": 0.7})
        if learnt is None:
            raise TrainingDiverged("The loss is nan at step 3.", where="step 3")
        for name, curve in points_of(plan, *learnt).items():
            for step, value in curve:
                context.metrics(step, {name: value})
        (context.folder / "best").mkdir(exist_ok=True)
        (context.folder / "results.json").write_text(json.dumps(results_of(plan, learnt[0])))
        return Outcome.FINISHED


def execute(home: Home, run_id: str, of: ClaimConfig, trainer: Trainer) -> None:
    """Claim the next queued run of a home, which is this one, and execute it as a worker does."""
    store = Store(home)
    try:
        store.claims.beat("test")
        claimed = store.claims.claim("test")
        assert claimed is not None
        assert claimed.id == run_id
        store.claims.begin(run_id, claimed.token)
        outcome = run(of, MemoryContext(home.run(run_id), home.cache), trainer=trainer)
        store.claims.end(run_id, claimed.token, Status.FINISHED if outcome is Outcome.FINISHED else Status.PAUSED)
    finally:
        store.close()
