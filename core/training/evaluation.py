"""Scoring a role: large batches, no autograd, fp32, with a look at requests between batches."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from core.config import TaskConfig
from core.data.tasks.base import Encoded
from core.training.batches import evaluation_batches

if TYPE_CHECKING:
    from core.training.engine import Engine

__all__ = ["EVALUATION_TOKENS", "Forward", "distinct_predictions", "role_logits", "score_roles"]

#: Sub-words of an evaluation batch, padding included.
EVALUATION_TOKENS = 4096


class Forward(Protocol):
    """Something that turns features into logits: the plain model, or the model fed from the activation cache."""

    def __call__(
        self, features: Sequence[dict[str, Any]], indices: np.ndarray
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Return (logits, collated batch) of the features with these indices."""
        ...


def role_logits(
    forward: Forward,
    encoded: Encoded,
    *,
    check: Callable[[], None] = lambda: None,
    tokens: int = EVALUATION_TOKENS,
) -> list[np.ndarray]:
    """Return the logits of every feature, without padding.

    Parameters
    ----------
    forward
        The model, in evaluation mode.
    encoded
        The role.
    check
        Called between batches; may raise to stop.
    tokens
        Sub-words of a batch, padding included.

    Returns
    -------
    list of numpy.ndarray
        For each feature, in order, shape (classes,) or (length, classes).
    """
    found: list[np.ndarray | None] = [None] * len(encoded.features)
    lengths = np.asarray(encoded.lengths)
    for batch in evaluation_batches(lengths, tokens):
        check()
        with torch.inference_mode():
            logits, _ = forward([encoded.features[index] for index in batch], batch)
            values = logits.float().cpu().numpy()
        for position, index in enumerate(batch):
            one = values[position]
            found[index] = (one[: lengths[index]] if one.ndim == 2 else one).copy()
    return [one for one in found if one is not None]


def distinct_predictions(logits: Sequence[np.ndarray], task: TaskConfig) -> int:
    """Return how many different classes (multi-label: different label sets) the logits choose."""
    if task.multi_label:
        least = math.log(task.threshold / (1 - task.threshold))
        return len({tuple((one >= least).tolist()) for one in logits})
    return len({int(index) for one in logits for index in np.atleast_1d(one.argmax(-1))})


def score_roles(engine: Engine, check: Callable[[], None]) -> tuple[dict[str, float], dict[str, Any]]:
    """Score gate and test with the model as it is.

    Parameters
    ----------
    engine
        The engine, with the weights to score.
    check
        Called between batches; may raise to stop.

    Returns
    -------
    metrics
        Numbers by ``role/metric``.
    details
        Intervals, tables, worst predictions and the baseline by role.
    """
    prepared = engine.prepared
    metrics: dict[str, float] = {}
    details: dict[str, Any] = {}
    for role in ("gate", "test"):
        if role not in prepared.encoded:
            continue
        rows = getattr(prepared.roles, role)
        with engine.scoring():
            logits = role_logits(engine.scorer(role), prepared.encoded[role], check=check)
        found = prepared.task.evaluate(logits, prepared.encoded[role], rows, details=True)
        metrics.update({f"{role}/{name}": float(value) for name, value in found.metrics.items()})
        details[role] = found.details
        if baseline := prepared.task.baseline(prepared.roles.train, rows):
            details[role]["baseline"] = baseline
    return metrics, details
