"""Evaluations of a joint run: every task's scores, their combination, and what guards ask of them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np

from core.config.joint import COMBINED
from core.data.tasks.base import Evaluation
from core.training.engine import Engine
from core.training.evaluation import distinct_predictions, entropy_share, role_logits, score_roles
from core.training.intervals import majority_score
from core.training.joint.combined import CombinedTask, combine, mean_loss
from core.training.joint.material import JointMaterial
from core.training.session import Scored

__all__ = ["Scorer"]


class Scorer:
    """Scores all tasks with the weights as they are.

    Parameters
    ----------
    material
        The run's rows and models.
    engines
        One a task.
    """

    def __init__(self, material: JointMaterial, engines: Sequence[Engine]):
        self._tasks = list(zip(material.names, material.parts, engines, strict=True))
        self._shares = cast(CombinedTask, material.task).shares
        #: Logits of the last evaluation, task by task; none of a task without gate rows.
        self.logits: dict[str, list[np.ndarray]] = {}

    def gate(self, *, details: bool, check: Callable[[], None]) -> Scored:
        """Evaluate every task's gate rows; see :meth:`core.training.joint.session.JointSession.score`."""
        started = time.perf_counter()
        metrics: dict[str, float] = {}
        told: dict[str, Any] = {}
        self.logits.clear()
        for name, part, engine in self._tasks:
            encoded = part.encoded.get("gate")
            if encoded is None:
                continue
            with engine.scoring():
                logits = role_logits(engine.scorer("gate"), encoded, check=check)
            part.task.calibrate(logits, encoded, part.roles.gate)
            found = part.task.evaluate(logits, encoded, part.roles.gate, details=details)
            metrics.update({f"{name}/{metric}": float(value) for metric, value in found.metrics.items()})
            told[name], self.logits[name] = found.details, logits
        value = self._combined(metrics)
        whole = {COMBINED: math.nan if value is None else value, **metrics, "loss": mean_loss(metrics)}
        return Scored(Evaluation(whole, told), [], time.perf_counter() - started)

    def roles(
        self, check: Callable[[], None], keep: dict[str, list[np.ndarray]] | None = None
    ) -> tuple[dict[str, float], dict[str, Any]]:
        """Score gate and test of every task; see :meth:`core.training.joint.session.JointSession.score_roles`."""
        metrics: dict[str, float] = {}
        details: dict[str, Any] = {}
        by_role: dict[str, dict[str, float]] = {}
        for name, _, engine in self._tasks:
            own: dict[str, list[np.ndarray]] = {}
            found, told = score_roles(engine, check, own)
            if keep is not None:
                keep.update({f"{name}/{role}": logits for role, logits in own.items()})
            for key, value in found.items():
                role, _, metric = key.partition("/")
                metrics[f"{role}/{name}/{metric}"] = by_role.setdefault(role, {})[f"{name}/{metric}"] = value
            for role, one in told.items():
                details.setdefault(role, {})[name] = one
        for role, within in by_role.items():
            combined = self._combined(within)
            if combined is not None:
                metrics[f"{role}/{COMBINED}"] = combined
        return metrics, details

    def distinct(self) -> tuple[int, str] | None:
        """Return how many classes the task that chose the fewest did choose, and of how many rows."""
        found: list[tuple[int, str]] = []
        for name, part, _ in self._tasks:
            logits = self.logits.get(name)
            if logits and sum(count > 0 for count in part.task.label_counts(part.encoded["gate"])) > 1:
                found.append((distinct_predictions(logits, part.task.config), f"{len(part.roles.gate)} ({name})"))
        return min(found) if found else None

    def entropy(self) -> float:
        """Return the lowest of the tasks' mean entropies as a share of its maximum."""
        return min(
            entropy_share(self.logits[name], part.encoded["gate"], part.task.config)
            for name, part, _ in self._tasks if name in self.logits
        )  # fmt: skip

    def majority(self, metric: str) -> float | None:
        """Return what the combination is without a model; None where a task has no such score."""
        known: dict[str, float] = {}
        for name, part, _ in self._tasks:
            if name in self._shares:
                own = self._shares[name][0]
                value = majority_score(part.task, own, part.roles, part.encoded["gate"])
                if value is not None:
                    known[f"{name}/{own}"] = value
        return self._combined(known) if metric == COMBINED else None

    def _combined(self, metrics: Mapping[str, float]) -> float | None:
        return combine(self._shares, metrics)
