"""Made-up runs of strategies: what one reaches is a formula, so that verdicts are known beforehand."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np

from core.config import Comparison, RunConfig
from core.config.joint import JointPlan
from core.errors import TrainingDiverged
from core.runs.records import Status
from core.runs.store import Store
from core.settings import Home
from core.studies.comparing.run import run
from core.training.context import MemoryContext, Outcome, RunContext

__all__ = ["ROWS", "Torn", "Trainer", "comparison", "execute", "learns"]

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


def learns(plan: Any) -> float:
    """Say what a run reaches: a large rate does better, several tasks together do worse."""
    if isinstance(plan, JointPlan):
        if len(plan.tasks) > 1:
            return 0.6
        return 0.9 if plan.training.lr > 1e-4 else 0.7
    return 0.9 if plan.stages[0].lr > 1e-4 else 0.7


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
        rows = {"train": 100, "test": ROWS}
        results: dict[str, Any] = {"metrics": {}, "details": {"test": {}}, "choices": {"threads": 1}}
        if isinstance(plan, JointPlan):
            names = [one.name for one in plan.tasks]
            told = [{"name": name, "parameters": 10, "examples": 77, "rows": rows} for name in names]
            results |= {"tasks": told, "shared_parameters": 1000}
            for name in names:
                test = results["details"]["test"].setdefault(name, {})
                self._learn(context, results, plan, accuracy, f"{name}/", test)
        else:
            results["training"] = {"rows": rows, "features": {"train": 100}}
            self._learn(context, results, plan, accuracy, "", results["details"]["test"])
        (context.folder / "results.json").write_text(json.dumps(results))
        return Outcome.FINISHED

    def _learn(
        self,
        context: RunContext,
        results: dict[str, Any],
        plan: Any,
        accuracy: float,
        prefix: str,
        test: dict[str, Any],
    ) -> None:
        for step in (12, 24):
            context.metrics(step, {"train/loss": 0.4, f"gate/{prefix}accuracy": accuracy * step / 24})
        hard = np.random.default_rng(9).random(ROWS)
        lr = plan.training.lr if isinstance(plan, JointPlan) else plan.stages[0].lr
        luck = np.random.default_rng([plan.runtime.seed, int(1e6 * lr)]).normal(0, 0.01, ROWS)
        right = hard + luck < accuracy
        test |= {
            "n": ROWS, "majority": 0.5, "documents": {"score": "mean", "bits": np.packbits(right).tobytes().hex()},
            "per_label": [{"label": name, "f1": accuracy, "support": ROWS // 2} for name in ("pos", "neg")],
        }  # fmt: skip
        results["metrics"] |= {f"test/{prefix}accuracy": float(right.mean()), f"gate/{prefix}accuracy": accuracy}


class Torn(Trainer):
    """A trainer whose joint runs look at their gradients: the higher layer disagrees in the second half."""

    def __call__(self, plan: RunConfig, context: RunContext, *, resume: bool = True) -> Outcome:
        """Train."""
        outcome = super().__call__(plan, context, resume=resume)
        if isinstance(plan, JointPlan) and len(plan.tasks) > 1:
            a, b = (one.name for one in plan.tasks)
            for step in (6, 12, 18, 24):
                for layer in (0, 1):
                    cosine = -0.4 if layer and step > 12 else 0.2 + 0.01 * plan.runtime.seed
                    found = {f"cosine/layer {layer}": cosine, f"ratio/layer {layer}": 4.0 if step > 12 else 1.0}
                    context.metrics(step, {f"conflict/{a}~{b}/{name}": value for name, value in found.items()})
            path = context.folder / "results.json"
            means = [{"cosine": 0.2, "rate": 0.0, "ratio": 2.5}, {"cosine": -0.1, "rate": 0.5, "ratio": 2.5}]
            units = [{"unit": f"layer {layer}", **one} for layer, one in enumerate(means)]
            told = {"every": 6, "looks": 4, "pairs": [{"a": a, "b": b, "units": units}]}
            path.write_text(json.dumps(json.loads(path.read_text()) | {"conflicts": told}))
        return outcome


def execute(home: Home, run_id: str, of: Comparison, trainer: Trainer) -> None:
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
