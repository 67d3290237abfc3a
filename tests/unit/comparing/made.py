"""Made-up runs of strategies: what one reaches is a formula, so that verdicts are known beforehand."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np

from core.config import Comparison, RunConfig
from core.config.comparison import Strategy
from core.errors import TrainingDiverged
from core.training.context import Outcome, RunContext

__all__ = ["ROWS", "Trainer", "comparison"]

ROWS = 200
#: Plan → accuracy, or None for a run that diverges.
Learns = Callable[[Any], "float | None"]


def comparison(**changes: Any) -> Comparison:
    """Two strategies that differ in their rate, on two tasks of two samples."""
    fields: dict[str, Any] = {
        "name": "slow or fast",
        "strategies": [{"name": "slow", "stage": {"lr": 1e-5}}, {"name": "fast", "stage": {"lr": 1e-3}}],
        "tasks": [
            {"name": "reviews", "data": {"source": "reviews"}},
            {"name": "moods", "data": {"source": "reviews", "split_seed": 1}},
        ],
        "seeds": 5, "budget": {"steps": 24},
    }  # fmt: skip
    return Comparison.model_validate(fields | changes)


def strategy(name: str, **fields: Any) -> Strategy:
    """A strategy."""
    return Strategy.model_validate({"name": name, **fields})


class Trainer:
    """Stands for the training: notes the plans, tells what the formula says, and obeys requests."""

    def __init__(self, learns: Learns, *, stop_at: int | None = None) -> None:
        self.learns = learns
        self.plans: list[Any] = []
        self.stop_at = stop_at

    def __call__(self, plan: RunConfig, context: RunContext, *, resume: bool = True) -> Outcome:
        """Train."""
        self.plans.append(plan)
        if self.stop_at is not None and len(self.plans) == self.stop_at:
            return Outcome.PAUSED
        accuracy = self.learns(plan)
        context.metrics(1, {"train/loss": 0.7, "train/memory_mb": 300.0})
        if accuracy is None:
            raise TrainingDiverged("The loss is nan at step 3.", where="step 3")
        for step in (12, 24):
            context.metrics(step, {"train/loss": 0.4, "gate/accuracy": accuracy * step / 24, "gate/loss": 0.5})
        hard = np.random.default_rng(9).random(ROWS)
        luck = np.random.default_rng([plan.runtime.seed, int(1e6 * plan.stages[0].lr)]).normal(0, 0.01, ROWS)
        right = hard + luck < accuracy
        test = {
            "n": ROWS, "majority": 0.5, "documents": {"score": "mean", "bits": np.packbits(right).tobytes().hex()},
            "per_label": [{"label": name, "f1": accuracy, "support": ROWS // 2} for name in ("pos", "neg")],
        }  # fmt: skip
        results = {
            "metrics": {"test/accuracy": float(right.mean()), "gate/accuracy": accuracy},
            "details": {"test": test, "gate": {"n": 50}}, "choices": {"threads": 1},
            "training": {"rows": {"train": 100, "test": ROWS}, "features": {"train": 100}},
        }  # fmt: skip
        (context.folder / "results.json").write_text(json.dumps(results))
        return Outcome.FINISHED
