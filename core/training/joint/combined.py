"""What stands for the task in a run of several: the metric that picks the best checkpoint, and rows as their sums."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from core.config import TaskConfig
from core.config.joint import COMBINED

__all__ = ["CombinedTask", "combine", "mean_loss"]


class CombinedTask:
    """Names and weights of the tasks' gate metrics; rows, heads and losses are the tasks' own.

    Parameters
    ----------
    shares
        Task → (name of its metric, how much it counts); tasks that do not count, or have no gate rows, are missing.
    names
        Task → names of all its metrics.
    """

    kind = "joint"
    auto_class = ""
    primary_metric = COMBINED
    labels: Sequence[str] = ()

    def __init__(self, shares: Mapping[str, tuple[str, float]], names: Mapping[str, Sequence[str]]):
        self.shares = dict(shares)
        self.config = TaskConfig()
        every = [f"{task}/{metric}" for task, metrics in names.items() for metric in metrics]
        self.metric_names = (COMBINED, *every, "loss")

    def label_counts(self, _: Any) -> list[int]:
        """Return no labels: weights of classes belong to the tasks."""
        return []


def combine(shares: Mapping[str, tuple[str, float]], metrics: Mapping[str, float]) -> float | None:
    """Return the weighted mean of the tasks' metrics; None where one is missing.

    Parameters
    ----------
    shares
        Task → (name of its metric, how much it counts).
    metrics
        ``task/metric`` → value.
    """
    names = {f"{task}/{metric}": share for task, (metric, share) in shares.items()}
    if not names or any(name not in metrics for name in names):
        return None
    return sum(share * metrics[name] for name, share in names.items()) / sum(names.values())


def mean_loss(metrics: Mapping[str, float]) -> float:
    """Return the mean of the tasks' losses, which is a number only if all are."""
    losses = [value for name, value in metrics.items() if name.endswith("/loss")]
    return sum(losses) / len(losses)
