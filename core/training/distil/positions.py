"""Positions at which a task answers, in one form for all tasks: logits (positions, classes) and gold (positions,)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, overload

import numpy as np
import torch

from core.data.tasks.base import Encoded, Rows, Task
from core.data.tasks.tagging import IGNORED

__all__ = ["Places", "answers_of", "counted", "halved", "spread", "unit_answers", "units"]


def counted(task: Task, logits: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what counts of a batch: padding and sub-words that no label belongs to do not.

    Parameters
    ----------
    task
        The task.
    logits
        Shape (batch, classes), or (batch, length, classes).
    labels
        Shape (batch,); with several labels a text (batch, labels); for words (batch, length), -100 where none answers.

    Returns
    -------
    (torch.Tensor, torch.Tensor)
        Logits of shape (positions, classes) and gold of shape (positions,). With several labels a text every label is
        a position of two classes, no and yes: a sigmoid is the softmax of (0, x).
    """
    if logits.ndim == 3:
        flat = labels.reshape(-1)
        here = flat != IGNORED
        return logits.reshape(-1, logits.shape[-1])[here], flat[here]
    return spread(task, logits), labels.reshape(-1).long()


def spread(task: Task, logits: torch.Tensor) -> torch.Tensor:
    """Return answers of shape (units, classes) as positions: with several labels a text, one for each label."""
    if not task.config.multi_label:
        return logits
    return torch.stack([torch.zeros_like(logits), logits], dim=-1).reshape(-1, 2)


class Places(Sequence[np.ndarray]):
    """The units of each feature's positions, without an object for each feature.

    Parameters
    ----------
    places
        For each feature the units of its positions, in their order.
    """

    def __init__(self, places: Iterable[np.ndarray]) -> None:
        found = [np.asarray(one, dtype=np.int64) for one in places]
        self._ends = np.cumsum([0, *(len(one) for one in found)])
        self._flat = np.concatenate([np.empty(0, dtype=np.int64), *found])

    def __len__(self) -> int:
        return len(self._ends) - 1

    @overload
    def __getitem__(self, index: int) -> np.ndarray: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[np.ndarray]: ...
    def __getitem__(self, index: int | slice) -> np.ndarray | Sequence[np.ndarray]:
        if isinstance(index, slice):
            return [self[one] for one in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        index %= len(self)
        return self._flat[self._ends[index] : self._ends[index + 1]]


def units(encoded: Encoded, rows: Rows) -> tuple[Places, int]:
    """Return which unit of the rows each feature's positions are, and how many units the rows have.

    A unit is a text, or a word of a text: it is the same for every tokeniser and every length of windows.

    Parameters
    ----------
    encoded
        The tokenised rows.
    rows
        In standard columns.
    """
    if encoded.features and "words" not in encoded.features[0]:
        return Places(np.asarray([owner]) for owner in encoded.owner), len(rows)
    bounds = np.concatenate([[0], np.cumsum([len(tokens) for tokens in rows["tokens"]])]).astype(np.int64)
    pairs = zip(encoded.features, encoded.owner, strict=True)
    return Places(bounds[owner] + np.asarray(feature["words"]) for feature, owner in pairs), int(bounds[-1])


def answers_of(logits: np.ndarray, feature: dict[str, Any] | Sequence[Any]) -> np.ndarray:
    """Return the logits of a feature's positions, shape (positions, classes), from those of the feature."""
    if logits.ndim == 1:
        return logits[None]
    assert isinstance(feature, dict)
    return logits[np.asarray(feature["positions"])]


def halved(task: Task, answers: np.ndarray) -> np.ndarray:
    """Return answers in half precision, so that distributions stay as exact as it allows.

    Rounding alone changes a logit by up to 1/2048 of itself, and losses by several times 1e-4. Where classes exclude
    each other, all logits of a unit may be moved by one number without changing its distribution. They are moved so
    that the second most probable class falls on a number that half precision has, and the most probable one on the
    small remainder: how far these two lie apart is then kept to about 1e-6, and only improbable classes are rounded.

    Parameters
    ----------
    task
        With several labels a text each logit is a question of its own and stays where it is.
    answers
        Logits of shape (units, classes), float32; not a number stays one.
    """
    if task.config.multi_label or answers.shape[-1] < 2:
        return answers.astype(np.float16)
    moved = answers - answers.max(axis=-1, keepdims=True)
    second = np.partition(moved, -2, axis=-1)[:, -2, None]
    return (moved + (second.astype(np.float16) - second)).astype(np.float16)


def unit_answers(logits: Sequence[np.ndarray], encoded: Encoded, rows: Rows, classes: int) -> np.ndarray:
    """Return the logits of every unit of the rows, float32 of shape (units, classes).

    Not a number where nothing answers: a word of which a tokeniser leaves nothing.

    Parameters
    ----------
    logits
        Those of each feature, without padding.
    encoded, rows
        The rows, and as they were read.
    classes
        Classes, or labels.
    """
    places, count = units(encoded, rows)
    found = np.full((count, classes), np.nan, dtype=np.float32)
    for one, feature, place in zip(logits, encoded.features, places, strict=True):
        found[place] = answers_of(one, feature)
    return found
