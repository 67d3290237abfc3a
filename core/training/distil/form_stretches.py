"""Answers about stretches of words: each is an entity of each type, or not, by itself (GlobalPointer).

What a teacher says is kept for whole rows: for each first word the stretches that begin with it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from core.data.tasks.base import Encoded, Rows, Task
from core.data.tasks.pointer_spans import dense
from core.data.tasks.tagging import Tagging
from core.training.distil.form_words import own_words, type_order, word_counts
from core.training.distil.parts import BARRED, NOTHING, Part

if TYPE_CHECKING:
    from core.training.distil.teacher import Teacher

__all__ = ["StretchForm"]


class StretchForm:
    """A word is a position: all stretches that begin with it, each a yes or no, the mean over types.

    Parameters
    ----------
    task
        The student's.
    """

    name = "stretches"
    by = "position"

    def __init__(self, task: Tagging):
        self.task: Task = task
        self._types: list[str] = list(task.types)

    def bounds(self, encoded: Encoded, rows: Rows) -> np.ndarray:
        """Return where the numbers of each row begin; see :class:`~core.training.distil.forms.Form`."""
        words = word_counts(rows)
        return np.concatenate([[0], np.cumsum(words * (words + 1) // 2 * len(self._types))]).astype(np.int64)

    def positions(self, feature: dict[str, Any]) -> np.ndarray:
        """Return the words that a feature answers for."""
        return own_words(feature)

    def parts(self, logits: torch.Tensor, features: Sequence[dict[str, Any]]) -> list[Part]:
        """Return all stretches that begin with each word, by last word, then type."""
        width, device, types = logits.shape[1], logits.device, len(self._types)
        places = [own_words(feature) for feature in features]
        rows = np.repeat(np.arange(len(features)), [len(one) for one in places])
        columns = np.concatenate(places) if places else np.zeros(0, dtype=np.int64)
        here = logits[torch.from_numpy(rows).to(device), torch.from_numpy(columns).to(device)].float()
        shown = np.asarray([len(feature["words"]) for feature in features], dtype=np.int64)[rows]
        last = np.arange(width)[None]
        allowed = (last >= columns[:, None]) & (last < shown[:, None])
        gold = np.full((len(rows), width, types), NOTHING, dtype=np.int64)
        if features and "labels" in features[0]:
            at = 0
            for feature, own in zip(features, places, strict=True):
                gold[at : at + len(own), : len(feature["words"])] = dense(feature, NOTHING)[own]
                at += len(own)
        barred = torch.from_numpy(np.repeat(~allowed, types, axis=1)).to(device)
        golden = torch.from_numpy(gold.reshape(len(rows), -1)).to(device)
        return [Part("stretches", here.masked_fill(barred, BARRED), golden, weight=1.0 / types, apart=True)]

    def told(
        self, values: np.ndarray, bounds: np.ndarray, encoded: Encoded, indices: Sequence[int], width: int
    ) -> list[torch.Tensor]:
        """Return what the teacher says of the stretches; see :class:`~core.training.distil.forms.Form`."""
        types, found = len(self._types), []
        for index in (int(one) for one in indices):
            feature = encoded.features[index]
            words, row = feature["words"], encoded.owner[index]
            for at in own_words(feature):
                scores = np.full((width, types), BARRED, dtype=np.float32)
                kept = self._from(values, bounds, row, int(words[at]))
                scores[at : len(words)] = kept[words[at:] - words[at]]
                found.append(scores.reshape(-1))
        return [torch.from_numpy(np.stack(found) if found else np.zeros((0, width * types), dtype=np.float32))]

    def _from(self, values: np.ndarray, bounds: np.ndarray, row: int, first: int) -> np.ndarray:
        """Return the numbers of the stretches of a row that begin with a word, shape (last words, types)."""
        start, types = int(bounds[row]), len(self._types)
        words = (math.isqrt(8 * ((int(bounds[row + 1]) - start) // types) + 1) - 1) // 2
        begin = start + types * (first * words - first * (first - 1) // 2)
        return values[begin : begin + types * (words - first)].reshape(-1, types)

    def read(self, teacher: Teacher, rows: Rows, encoded: Encoded) -> Encoded:
        """Return the rows in the teacher's own windows: words are the same for all."""
        return teacher.encode(rows)

    def put(self, values: np.ndarray, bounds: np.ndarray, own: Encoded, index: int, logits: np.ndarray) -> None:
        """Keep what is said of the stretches that begin with words of a window's own."""
        feature = own.features[index]
        words, row = feature["words"], own.owner[index]
        scores = logits.reshape(len(words), len(words), -1)
        for at in own_words(feature):
            kept = self._from(values, bounds, row, int(words[at]))
            kept[:] = BARRED
            kept[words[at:] - words[at]] = np.maximum(scores[at, at:], BARRED)

    def order(self, task: Task, labels: Sequence[str]) -> np.ndarray:
        """Return the order of types."""
        return type_order(task, labels, self._types)

    def ordered(self, logits: np.ndarray, order: np.ndarray) -> np.ndarray:
        """Return the scores with the student's types."""
        return logits.reshape(len(logits), len(logits), -1)[..., order].reshape(len(logits), -1)

    def stacked(self, logits: Sequence[np.ndarray], features: Sequence[dict[str, Any]]) -> torch.Tensor:
        """Return logits of shape (features, words, words · types)."""
        width, types = max((len(one) for one in logits), default=0), len(self._types)
        found = np.full((len(logits), width, width, types), BARRED, dtype=np.float32)
        for row, one in enumerate(logits):
            found[row, : len(one), : len(one)] = one.reshape(len(one), len(one), types)
        return torch.from_numpy(found.reshape(len(logits), width, -1))

    def groups(self, features: Sequence[dict[str, Any]]) -> tuple[list[str], np.ndarray]:
        """Return the tags of words."""
        return list(self.task.labels), np.concatenate([np.asarray(one["tags"], dtype=np.int64) for one in features])

    def place(self, feature: dict[str, Any]) -> np.ndarray:
        """Return the numbers of the words in their sentence."""
        return 1 + np.asarray(feature["words"], dtype=np.int64)[own_words(feature)]

    def say(self, feature: dict[str, Any], row: dict[str, Any], position: int, chosen: Sequence[Any]) -> str:
        """Return the entities that begin with a word: ``PER Anna Berg; LOC Anna``."""
        words, tokens, found = feature["words"], row["tokens"], []
        for option in chosen[0]:
            last, kind = divmod(int(option), len(self._types))
            inside = tokens[int(words[position]) : int(words[last]) + 1]
            found.append(f"{self._types[kind]} {' '.join(map(str, inside))}")
        return "; ".join(found) or "none"

    def strip(self, feature: dict[str, Any], row: dict[str, Any], window: int) -> tuple[list[list[str]], list[Any]]:
        """Return a line a word, and the types of what begins with it: of each the best stretch."""
        own = [str(row["tokens"][int(feature["words"][at])]) for at in own_words(feature)]
        kinds = np.tile(np.arange(len(self._types)), len(feature["words"]))
        return [own], [(self._types, kinds)]
