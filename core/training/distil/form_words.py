"""Answers of words that point: to a word or to none, and then the type of what they belong to, or their relation.

What a teacher says is kept for whole rows, words by words, so that it serves whatever windows and tokeniser a student
has: of the words that a student's window shows the shares are taken anew, and what the teacher never saw together with
a word has no share.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from core.data.tasks.base import Encoded, Rows, Task
from core.data.tasks.pointer_tagging import PointerTagging
from core.data.tasks.tagging import Tagging
from core.training.distil.forms import halves
from core.training.distil.parts import BARRED, NOTHING, Part

if TYPE_CHECKING:
    from core.training.distil.teacher import Teacher

__all__ = ["PointerForm", "own_words", "type_order", "word_counts"]

_UNKNOWN = "not in training"


def word_counts(rows: Rows) -> np.ndarray:
    """Return how many words each row has."""
    return np.asarray([len(tokens) for tokens in rows["tokens"]], dtype=np.int64)


def own_words(feature: dict[str, Any]) -> np.ndarray:
    """Return the places, among the words that a feature shows, of those that it answers for."""
    return np.flatnonzero(feature["own"])


def type_order(task: Any, labels: Sequence[str], types: Sequence[str]) -> np.ndarray:
    """Return for each type of the student's its place among a teacher's.

    Parameters
    ----------
    task
        The teacher's, of tagging.
    labels
        Its labels as they are called in the student's data.
    types
        The student's.
    """
    called = {old[2:]: new[2:] for old, new in zip(task.labels, labels, strict=True) if old != "O"}
    theirs = [called[name] for name in task.types]
    return np.asarray([theirs.index(name) for name in types])


def _called(tokens: Sequence[Any], word: int) -> str:
    """Return a word, with its number where the sentence has it several times."""
    name = str(tokens[word])
    return name if sum(str(one) == name for one in tokens) == 1 else f"{name} ({word + 1})"


class PointerForm:
    """A word is a position: it is right where its pointer is and, as far as it has one, its type or relation.

    Its options are the empty slot, the entries of a dictionary, and the words: so an option has one number whatever
    words stand beside it.

    Parameters
    ----------
    task
        The student's: tagging by pointers, or dependency.
    """

    name = "pointers"
    by = "position"

    def __init__(self, task: Task):
        self.task = task
        own, config = task.config.pointer, task.config
        self._tagging = isinstance(task, Tagging)
        names = list(task.types) if isinstance(task, Tagging) else list(task.labels) if config.relations else []
        #: What stands behind the pointers of a word: name and size of each block, the last ones yes or no.
        self._blocks = [("type" if self._tagging else "relation", len(names))] if names else []
        if self._tagging and own.sentence_weight:
            self._blocks.append(("sentence", len(names)))
        self._names = names
        self._extra = sum(size for _, size in self._blocks)
        self._entries = list(task.dictionary.entries) if isinstance(task, PointerTagging) and task.dictionary else []
        #: Options before the words.
        self._before = 1 + len(self._entries)

    def bounds(self, encoded: Encoded, rows: Rows) -> np.ndarray:
        """Return where the numbers of each row begin; see :class:`~core.training.distil.forms.Form`."""
        words = word_counts(rows)
        return np.concatenate([[0], np.cumsum(words * (self._before + words + self._extra))]).astype(np.int64)

    def positions(self, feature: dict[str, Any]) -> np.ndarray:
        """Return the words that a feature answers for, as far as they are learnt."""
        own = own_words(feature)
        if "labels" not in feature:
            return own
        return own[np.asarray(feature["labels"])[own, 0] != NOTHING]

    def parts(self, logits: torch.Tensor, features: Sequence[dict[str, Any]]) -> list[Part]:
        """Return pointer, type or relation, and what the sentence contains."""
        width, device = logits.shape[1], logits.device
        places = [self.positions(feature) for feature in features]
        rows = np.repeat(np.arange(len(features)), [len(one) for one in places])
        columns = np.concatenate(places) if places else np.zeros(0, dtype=np.int64)
        here = logits[torch.from_numpy(rows).to(device), torch.from_numpy(columns).to(device)].float()
        shown = np.asarray([len(feature["words"]) for feature in features], dtype=np.int64)[rows]
        more = self._before
        barred = torch.from_numpy(np.arange(more + width)[None] >= more + shown[:, None]).to(device)
        scores = torch.cat([here[:, :1], here[:, 1 + width : more + width], here[:, 1 : 1 + width]], dim=1)
        pointers = scores.masked_fill(barred | (scores <= BARRED), BARRED)
        gold = self._gold(features, places, device)
        found = [Part("pointer", pointers, gold[:, 0])]
        begin, own = more + width, self.task.config.pointer
        for name, size in self._blocks:
            block = here[:, begin : begin + size]
            begin += size
            if name == "sentence":
                found.append(Part(name, block, gold[:, 3:], own.sentence_weight / size, apart=True, judged=False))
                continue
            gated = self._tagging or not self.task.config.tree
            weight = float(own.type_weight)
            found.append(Part(name, block, gold[:, 1], weight, gated=gated, judged=weight > 0))
        return found

    def _gold(
        self, features: Sequence[dict[str, Any]], places: Sequence[np.ndarray], device: torch.device
    ) -> torch.Tensor:
        """Return the gold of positions: target, type or relation, (tagging) tag and types of the sentence."""
        if features and "labels" in features[0]:
            listed = [self._moved(np.asarray(one["labels"]))[at] for one, at in zip(features, places, strict=True)]
            return torch.from_numpy(np.concatenate(listed).astype(np.int64)).to(device)
        count = sum(len(one) for one in places)
        return torch.full((count, 3 + len(self._names)), NOTHING, dtype=torch.int64, device=device)

    def _moved(self, labels: np.ndarray) -> np.ndarray:
        """Return a feature's gold with targets as options: its words stand before the entries there."""
        more, words = len(self._entries), len(labels)
        if not more:
            return labels
        targets = labels[:, :1]
        moved = np.where(targets > words, targets - words, np.where(targets > 0, targets + more, targets))
        return np.concatenate([moved, labels[:, 1:]], axis=1)

    def told(
        self, values: np.ndarray, bounds: np.ndarray, encoded: Encoded, indices: Sequence[int], width: int
    ) -> list[torch.Tensor]:
        """Return the teacher's pointers, and its blocks; see :class:`~core.training.distil.forms.Form`."""
        chosen = [(int(index), self.positions(encoded.features[int(index)])) for index in indices]
        count = sum(len(places) for _, places in chosen)
        pointers = np.full((count, self._before + width), BARRED, dtype=np.float32)
        blocks = np.zeros((count, self._extra), dtype=np.float32)
        at = 0
        for index, places in chosen:
            feature = encoded.features[index]
            rows = self._row(values, bounds, encoded.owner[index])[feature["words"][places]]
            end = at + len(places)
            columns = np.concatenate([np.arange(self._before), self._before + feature["words"]])
            pointers[at:end, : len(columns)] = rows[:, columns]
            blocks[at:end] = rows[:, rows.shape[1] - self._extra :]
            at = end
        found, begin = [torch.from_numpy(pointers)], 0
        for _, size in self._blocks:
            found.append(torch.from_numpy(blocks[:, begin : begin + size].copy()))
            begin += size
        return found

    def _row(self, values: np.ndarray, bounds: np.ndarray, row: int) -> np.ndarray:
        """Return the numbers of a row, shape (words, 1 + entries + words + others)."""
        size, more = int(bounds[row + 1] - bounds[row]), self._before + self._extra
        words = (math.isqrt(more * more + 4 * size) - more) // 2
        return values[int(bounds[row]) : int(bounds[row + 1])].reshape(words, words + more)

    def read(self, teacher: Teacher, rows: Rows, encoded: Encoded) -> Encoded:
        """Return the rows in the teacher's own windows: words are the same for all."""
        return teacher.encode(rows)

    def put(self, values: np.ndarray, bounds: np.ndarray, own: Encoded, index: int, logits: np.ndarray) -> None:
        """Keep what is said of the words that a window answers for."""
        feature = own.features[index]
        kept = self._row(values, bounds, own.owner[index])
        words, places = feature["words"], own_words(feature)
        pointers = np.full((len(places), kept.shape[1] - self._extra), BARRED, dtype=np.float32)
        begin = self._before + len(words)
        columns = np.concatenate([np.arange(self._before), self._before + words])
        options = np.concatenate([[0], np.arange(1 + len(words), begin), np.arange(1, 1 + len(words))])
        pointers[:, columns] = logits[places][:, options]
        answered = [halves(pointers)]
        for name, size in self._blocks:
            block = logits[places, begin : begin + size]
            answered.append(block.astype(np.float16) if name == "sentence" else halves(block))
            begin += size
        kept[words[places]] = np.concatenate(answered, axis=1)

    def order(self, task: Task, labels: Sequence[str]) -> np.ndarray:
        """Return the order of types, or of relations; behind them that of a dictionary's entries."""
        if self._tagging:
            types = type_order(task, labels, self._names)
            return np.concatenate([types, self._entry_order(task, types)])
        return np.asarray([list(labels).index(name) for name in self._names], dtype=np.int64)

    def _entry_order(self, task: Task, types: np.ndarray) -> np.ndarray:
        """Return for each entry of the student's its place among a teacher's."""
        if not self._entries:
            return np.zeros(0, dtype=np.int64)
        if self.task.config.pointer.dictionary == "labels":  # one a type, whatever it is called
            return types
        assert isinstance(task, PointerTagging)
        assert task.dictionary is not None
        return np.asarray([task.dictionary.find([one.text], one.kind) for one in self._entries], dtype=np.int64)

    def ordered(self, logits: np.ndarray, order: np.ndarray) -> np.ndarray:
        """Return the logits with the student's entries and blocks; a teacher may say more."""
        words, more = len(logits), len(self._entries)
        begin, found = 1 + words + more, [logits[:, : 1 + words]]
        if more:
            found.append(logits[:, 1 + words : begin][:, order[len(order) - more :]])
        order = order[: len(order) - more]
        for _, size in self._blocks:
            found.append(logits[:, begin : begin + size][:, order])
            begin += size
        return np.concatenate(found, axis=1)

    def stacked(self, logits: Sequence[np.ndarray], features: Sequence[dict[str, Any]]) -> torch.Tensor:
        """Return logits of shape (features, words, 1 + words + entries + others)."""
        width = max((len(one) for one in logits), default=0)
        found = np.zeros((len(logits), width, self._before + width + self._extra), dtype=np.float32)
        for row, one in enumerate(logits):
            found[row, : len(one), : 1 + len(one)] = one[:, : 1 + len(one)]
            found[row, : len(one), 1 + width :] = one[:, 1 + len(one) :]
        return torch.from_numpy(found)

    def groups(self, features: Sequence[dict[str, Any]]) -> tuple[list[str], np.ndarray]:
        """Return the tags of words, their relations, or whether they point to a word."""
        listed = [np.asarray(one["labels"])[self.positions(one)] for one in features]
        gold = np.concatenate(listed)
        names = [*self.task.labels, _UNKNOWN]
        pointing = (gold[:, 0] > 0).astype(np.int64)  # what dependency without relations is counted by
        kinds = gold[:, 2] if self._tagging else gold[:, 1] if self._names else pointing
        return names, np.where(kinds < 0, len(names) - 1, kinds)

    def place(self, feature: dict[str, Any]) -> np.ndarray:
        """Return the numbers of the words in their sentence."""
        return 1 + np.asarray(feature["words"], dtype=np.int64)[self.positions(feature)]

    def say(self, feature: dict[str, Any], row: dict[str, Any], position: int, chosen: Sequence[Any]) -> str:
        """Return ``PER`` for an entity's first word, ``PER from Anna`` behind it; of heads ``nsubj of ran``."""
        target, words, tokens = int(chosen[0]), feature["words"], row["tokens"]
        name = self._names[int(chosen[1])] if len(chosen) > 1 and int(chosen[1]) >= 0 else ""
        if 0 < target < self._before:
            entry = self._entries[target - 1]
            return f"{entry.kind} by {entry.text}"
        target -= len(self._entries) if target > 0 else 0
        other = None if target <= 0 else _called(tokens, int(words[target - 1]))
        if self._tagging:
            if other is None:
                return "none"
            return (name or "entity") if target - 1 == position else f"{name or 'entity'} from {other}"
        if other is None:
            return "root" if self.task.config.tree else "none"
        return f"{name} of {other}" if name else f"to {other}"

    def strip(self, feature: dict[str, Any], row: dict[str, Any], window: int) -> tuple[list[list[str]], list[Any]]:
        """Return a line a word for its pointer, and one for its type or relation."""
        words = [str(row["tokens"][int(word)]) for word in feature["words"]]
        own = [words[int(at)] for at in self.positions(feature)]
        nothing = "root" if not self._tagging and self.task.config.tree else "none"
        named = [f"{word} {1 + number}" for word, number in zip(words, feature["words"], strict=True)]
        options: list[Any] = [[nothing, *(f"‹{one.text}›" for one in self._entries), *named]]
        titles = [own]
        if self._names and self.task.config.pointer.type_weight > 0:
            titles.append([f"{word}, {self._blocks[0][0]}" for word in own])
            options.append(self._names)
        return titles, options
