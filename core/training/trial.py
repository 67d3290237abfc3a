"""A whole stage in its own right, within a run: what a search tries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from core.config import Stage
from core.training.context import RunContext
from core.training.run import Run
from core.training.snapshot import Snapshot
from core.training.stage import Evaluated, StageRun

__all__ = ["Trained", "train_stage"]


@dataclass
class Trained:
    """What :meth:`core.training.run.Run.train_stage` leaves.

    Parameters
    ----------
    outcome, entry
        As in results.json.
    best
        Metric, value and step of the best evaluation; None without one.
    metrics
        Gate metrics of the best evaluation, without ``gate/``.
    seconds
        Seconds of the stage.
    parameters
        Number of parameters that were trained.
    pruned
        Whether `on_evaluation` ended it.
    weights
        The best evaluation's weights, where they were asked for: the last ones without an evaluation.
    """

    outcome: str
    entry: dict[str, Any]
    best: dict[str, Any] | None
    metrics: dict[str, float]
    seconds: float
    parameters: int
    pruned: bool
    weights: Snapshot | None = field(default=None, repr=False)


def train_stage(
    run: Run,
    stage: Stage,
    index: int,
    *,
    context: RunContext | None = None,
    on_evaluation: Callable[[Evaluated], bool] | None = None,
    keep_best: bool = False,
) -> Trained:
    """Run a stage; see :meth:`core.training.run.Run.train_stage`."""
    trial = Run(run.plan, context or run.context, parent=run)
    trial.folder.mkdir(parents=True, exist_ok=True)
    part = StageRun(trial, stage, index, on_evaluation=on_evaluation, keep_best=keep_best)
    try:
        part.prepare()
        done = part.execute()
        weights = None
        if keep_best:
            left = part.session.weights.take()
            if part.best_weights is not None:
                part.session.weights.put(part.best_weights)
            weights = Snapshot.of(run.material)
            part.session.weights.put(left)
        metrics = {} if part.best is None else dict(part.best["metrics"])
        return Trained(
            done.outcome, done.entry, part.keeper.as_dict(), metrics, part.seconds, part.session.parameters,
            part.pruned, weights,
        )  # fmt: skip
    finally:
        part.close()
        trial.points.clear()
