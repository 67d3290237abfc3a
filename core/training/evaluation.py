"""Scoring a role: large batches, no autograd, fp32, with a look at requests between batches."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from core.config import TaskConfig
from core.data.tasks.base import Encoded
from core.data.tasks.heads import cut_logits
from core.data.tasks.pointer_spans import doubt_of, kinds_of
from core.data.tasks.scores import softmax
from core.training.batches import evaluation_batches

if TYPE_CHECKING:
    from core.training.engine import Engine

__all__ = ["EVALUATION_TOKENS", "Forward", "distinct_predictions", "entropy_share", "role_logits", "score_roles"]

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
        For each feature, in order, shape (classes,) or (length, classes), or of a head that points from words (words,
        1 + words + others).
    """
    found: list[np.ndarray | None] = [None] * len(encoded.features)
    lengths = np.asarray(encoded.lengths)
    for batch in evaluation_batches(lengths, tokens):
        check()
        with torch.inference_mode():
            logits, _ = forward([encoded.features[index] for index in batch], batch)
            values = logits.float().cpu().numpy()
        for position, index in enumerate(batch):
            found[index] = cut_logits(values[position], encoded.features[index], int(lengths[index])).copy()
    return [one for one in found if one is not None]


def distinct_predictions(logits: Sequence[np.ndarray], task: TaskConfig) -> int:
    """Return how many different classes (multi-label: label sets; questions: first positions) the logits choose.

    Of heads how many different steps there are from a word to what it points to.
    """
    if task.kind == "dependency":
        return len({int(head) - at for one in logits for at, head in enumerate(one[:, : 1 + len(one)].argmax(-1))})
    if task.kind == "question_answering":
        return len({int(one[:, 0].argmax()) for one in logits})
    if task.stretches:
        return len({kind for one in logits for kind in kinds_of(one)})
    if task.head == "pointer":  # the empty slot, or the type of what is pointed to
        return len({kind for one in logits for kind in _pointed(one, task)})
    if task.multi_label:
        least = math.log(task.threshold / (1 - task.threshold))
        return len({tuple((one >= least).tolist()) for one in logits})
    return len({int(index) for one in logits for index in np.atleast_1d(one.argmax(-1))})


def entropy_share(logits: Sequence[np.ndarray], encoded: Encoded, task: TaskConfig) -> float:
    """Return the mean entropy of the predictions as a share of its maximum, 0 (certain) to 1 (no idea).

    Parameters
    ----------
    logits
        For each feature shape (classes,), or (length, classes) of which the positions of words count.
    encoded
        The role.
    task
        With several labels the entropy is that of each label's yes or no; with questions that of start and end over
        the positions of each window; with heads that over the words of each window and none.
    """
    if task.kind == "dependency" or (task.kind == "tagging" and task.head == "pointer"):
        return _pointer_entropy(logits, encoded)
    if task.kind == "question_answering":
        return _position_entropy(logits, encoded)
    places = [
        one if one.ndim == 1 else one[feature["positions"]]
        for one, feature in zip(logits, encoded.features, strict=True)
    ]
    values = np.concatenate([np.atleast_2d(one) for one in places]).astype(np.float64)
    if task.multi_label:
        values = np.stack([values, np.zeros_like(values)], axis=-1)  # a sigmoid is the softmax of (x, 0)
    if not values.size or values.shape[-1] < 2:
        return 1.0
    shares = softmax(values)
    entropy = -(shares * np.log(np.maximum(shares, 1e-300))).sum(axis=-1)
    return float(entropy.mean() / math.log(values.shape[-1]))


def _pointed(one: np.ndarray, task: TaskConfig) -> list[int]:
    """Return for each word 0 where it points to the empty slot, else its type from 1."""
    size, entries = 1 + len(one), 0
    blocks = 2 if task.pointer.sentence_weight > 0 else 1  # the types of words, then those of sentences
    if task.entered and task.pointer.dictionary == "labels":
        entries = (one.shape[1] - size) // (1 + blocks)  # one a type
    elif task.entered:
        entries = len(task.pointer.entries or ())
    types = one[:, size + entries :]
    types = types[:, : types.shape[1] // blocks]
    kinds: list[int] = np.where(one[:, : size + entries].argmax(-1) == 0, 0, 1 + types.argmax(-1)).tolist()
    return kinds


def _position_entropy(logits: Sequence[np.ndarray], encoded: Encoded) -> float:
    found = []
    for one, feature in zip(logits, encoded.features, strict=True):
        places = [feature["empty"], *range(feature["first"], feature["first"] + len(feature["starts"]))]
        if len(places) > 1:
            shares = softmax(one[places].T)
            found.append(-(shares * np.log(np.maximum(shares, 1e-300))).sum(axis=-1).mean() / math.log(len(places)))
    return float(np.mean(found)) if found else 1.0


def _pointer_entropy(logits: Sequence[np.ndarray], encoded: Encoded) -> float:
    found: list[float] = []
    for one, feature in zip(logits, encoded.features, strict=True):
        if "spans" in feature:
            found += doubt_of(one, feature["own"]).tolist()
            continue
        words = len(feature["places"])
        size = 1 + words + feature.get("entries", 0)
        shares = softmax(one[:words, :size][feature["own"]])
        found += (-(shares * np.log(np.maximum(shares, 1e-300))).sum(axis=-1) / math.log(size)).tolist()
    return float(np.mean(found)) if found else 1.0


def score_roles(
    engine: Engine, check: Callable[[], None], keep: dict[str, list[np.ndarray]] | None = None
) -> tuple[dict[str, float], dict[str, Any]]:
    """Score gate and test with the model as it is.

    Parameters
    ----------
    engine
        The engine, with the weights to score.
    check
        Called between batches; may raise to stop.
    keep
        Given the logits of every feature, by role.

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
        if keep is not None:
            keep[role] = logits
        if role == "gate":  # what is decided on these rows holds for the test
            prepared.task.calibrate(logits, prepared.encoded[role], rows)
        found = prepared.task.evaluate(logits, prepared.encoded[role], rows, details=True)
        metrics.update({f"{role}/{name}": float(value) for name, value in found.metrics.items()})
        details[role] = found.details
        if baseline := prepared.task.baseline(prepared.roles.train, rows):
            details[role]["baseline"] = baseline
    return metrics, details
