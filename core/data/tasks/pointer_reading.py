"""What the windows of all rows say about pointers: targets, types, tags, and their losses. Pure numpy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from core.data.tasks.base import Encoded
from core.data.tasks.pointer_decoding import ENTRY, NOWHERE, pointed_entities, pointers_of
from core.data.tasks.tagging_answers import Answers
from core.data.tasks.words import spans

__all__ = ["PointerAnswers", "Settings", "entry_shares", "pointer_counts", "read_pointers", "sentence_counts"]


@dataclass(frozen=True)
class Settings:
    """What reading needs of a task.

    Parameters
    ----------
    labels
        IOB2 tags in the order of their indices.
    types
        Types of entities in the order of the head's outputs.
    type_weight, sentence_weight
        Weights μ and λ of the losses of types, and of what a sentence contains (0: it is not scored).
    entries
        Type of each entry of the dictionary, as its place in `types`; -1 for one that is none of them.
    """

    labels: list[str]
    types: list[str]
    type_weight: float
    sentence_weight: float = 0.0
    entries: Sequence[int] = ()


@dataclass(frozen=True)
class _Window:
    """Answered words (of all), shown words (of the row, after the empty slot), shares, and the sentence's scores.

    Shares are those of the empty slot, the shown words, and the entries.
    """

    places: np.ndarray
    shown: np.ndarray
    shares: np.ndarray
    start: int
    sentence: np.ndarray


@dataclass
class PointerAnswers(Answers):
    """Answers of all words of all rows, with what each word points to.

    Parameters
    ----------
    targets
        What each word points to, counted within its row; :data:`NOWHERE` for the empty slot and for words of which the
        tokeniser leaves nothing, :data:`ENTRY` and below for entries. Shape (words,).
    type_shares
        Logarithms of the probabilities of types, shape (words, types).
    contains
        Probability that a row contains each type, the highest of its windows; shape (rows, types), without rows where
        that is not scored.
    settings
        Of the task.
    named
        Gold of first words that point to entries (:data:`ENTRY` and below), 0 elsewhere; shape (words,).
    """

    targets: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    type_shares: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    contains: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    settings: Settings = field(default_factory=lambda: Settings([], [], 1.0))
    named: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    _windows: list[_Window] = field(default_factory=list)

    def gold(self, tags: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return gold targets and types of all words (-1 where a word is in no entity).

        Parameters
        ----------
        tags
            Gold tags of all words, shape (words,).
        """
        named = [self.settings.labels[index] for index in tags]
        targets, types = np.full(len(named), NOWHERE), np.full(len(named), -1)
        numbers = {name: index for index, name in enumerate(self.settings.types)}
        for row in range(len(self.bounds) - 1):
            part = self.part(row)
            targets[part] = pointers_of(named[part])
        inside = np.flatnonzero(targets != NOWHERE)
        types[inside] = [numbers[named[at][2:]] for at in inside]
        return np.where(self.named <= ENTRY, self.named, targets), types

    def losses(self, gold: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return pointer's and type's loss of each word, and whether it counts; see :class:`Answers`.

        A word whose target its window does not show does not count: nothing is learnt from it either.
        """
        targets, types = self.gold(gold)
        losses, counted = np.zeros(len(gold)), np.zeros(len(gold), dtype=bool)
        for one in self._windows:
            wanted = targets[one.places]
            columns = np.searchsorted(one.shown, wanted)  # they begin with the empty slot and rise
            known = one.shown[np.minimum(columns, len(one.shown) - 1)] == wanted
            entries = wanted <= ENTRY
            columns[entries] = len(one.shown) + ENTRY - wanted[entries]
            known |= entries
            losses[one.places[known]] = -one.shares[np.flatnonzero(known), columns[known]]
            counted[one.places[known]] = True
            if len(one.sentence):
                has = np.isin(np.arange(len(one.sentence)), types[one.start + one.shown[1:]])
                each = np.logaddexp(0.0, np.where(has, -one.sentence, one.sentence))
                losses[one.places[known]] += self.settings.sentence_weight * each.mean()
        typed = np.flatnonzero(counted & (types >= 0))
        losses[typed] -= self.settings.type_weight * self.type_shares[typed, types[typed]]
        return losses, counted


def read_pointers(logits: Sequence[Any], encoded: Encoded, words: list[int], settings: Settings) -> PointerAnswers:
    """Return what the windows of all rows say.

    Parameters
    ----------
    logits
        Of each feature, shape (at least the words that it shows, 1 + words + entries + types): the empty slot, the
        words, the entries of a dictionary, then the types, and what the sentence contains where that is scored. Further
        words are padding.
    encoded
        The features, with ``words`` (those that the window shows) and ``own`` (for which it answers); with a dictionary
        and gold ``gold`` (targets of the words that it answers for).
    words
        Words of each row.
    settings
        Of the task.
    """
    bounds = np.concatenate([[0], np.cumsum(words)]).astype(np.int64)
    size = len(settings.types)
    found = PointerAnswers(
        bounds, np.zeros(bounds[-1], dtype=np.int64), np.ones(bounds[-1]), np.zeros(bounds[-1], dtype=bool),
        targets=np.full(bounds[-1], NOWHERE), type_shares=np.zeros((bounds[-1], size)), settings=settings,
        named=np.zeros(bounds[-1], dtype=np.int64),
    )  # fmt: skip
    entries = ENTRY - np.arange(len(settings.entries))
    told = size if settings.sentence_weight else 0
    if told:
        found.contains = np.zeros((len(words), size))
    best, outside = np.zeros(bounds[-1]), np.zeros(bounds[-1])
    for part, feature, row in zip(logits, encoded.features, encoded.owner, strict=True):
        rows = np.asarray(part, dtype=np.float64)[np.flatnonzero(feature["own"])]
        shown = np.concatenate([[NOWHERE], feature["words"]])
        shares = _log_shares(rows[:, : len(shown) + len(entries)])
        places = bounds[row] + feature["words"][feature["own"]]
        chosen = shares.argmax(axis=1)
        found.targets[places], found.answered[places] = np.concatenate([shown, entries])[chosen], True
        if "gold" in feature:
            found.named[places] = np.minimum(feature["gold"], 0)
        best[places], outside[places] = shares[np.arange(len(chosen)), chosen], shares[:, 0]
        end = rows.shape[1] - told
        found.type_shares[places] = _log_shares(rows[:, end - size : end])
        sentence = rows[0, end:]
        if told:
            found.contains[row] = np.maximum(found.contains[row], np.exp(-np.logaddexp(0.0, -sentence)))
        found._windows.append(_Window(places, shown, shares, int(bounds[row]), sentence))
    _spell(found, best, outside)
    return found


def sentence_counts(answers: PointerAnswers, gold: np.ndarray) -> np.ndarray:
    """Return for each row whether it is told rightly what it contains, whether its entities are right too, and 1.

    Parameters
    ----------
    answers
        Of all words.
    gold
        Gold tags of all words.

    Returns
    -------
    numpy.ndarray
        Shape (rows, 3).
    """
    _, types = answers.gold(gold)
    found = np.ones((len(answers.contains), 3), dtype=np.int64)
    for row, shares in enumerate(answers.contains):
        part = answers.part(row)
        right = set(np.flatnonzero(shares > 0.5).tolist()) == set(types[part][types[part] >= 0].tolist())
        named = ([answers.settings.labels[index] for index in tags[part]] for tags in (answers.tags, gold))
        found[row, :2] = right, right and len({tuple(spans(tags)) for tags in named}) == 1
    return found


def _spell(found: PointerAnswers, best: np.ndarray, outside: np.ndarray) -> None:
    """Turn targets into tags with their probabilities."""
    numbers = {label: index for index, label in enumerate(found.settings.labels)}
    found.shares[found.answered] = np.exp(outside[found.answered])
    for row in range(len(found.bounds) - 1):
        start = int(found.bounds[row])
        for first, last in pointed_entities(found.targets[found.part(row)]):
            inside = np.arange(start + first, start + last + 1)
            entry = ENTRY - int(found.targets[start + first])
            named = found.settings.entries[entry] if entry >= 0 else -1
            # An entry says the type; else all words of the entity have a say.
            chosen = named if named >= 0 else int(found.type_shares[inside].sum(axis=0).argmax())
            kind = found.settings.types[chosen]
            if f"B-{kind}" not in numbers:
                continue
            if f"I-{kind}" not in numbers:  # no entity of this type had a second word
                inside = inside[:1]
            found.tags[inside] = numbers.get(f"I-{kind}", 0)
            found.tags[inside[0]] = numbers[f"B-{kind}"]
            typed = 0.0 if named >= 0 else found.type_shares[inside, chosen]
            found.shares[inside] = np.exp(best[inside] + typed)


def _log_shares(values: np.ndarray) -> np.ndarray:
    """Return logarithms of the softmax over the last axis."""
    shifted = values - values.max(axis=1, keepdims=True)
    found: np.ndarray = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return found


def pointer_counts(answers: PointerAnswers, gold: np.ndarray) -> np.ndarray:
    """Return counts of each row: right pointers, words; of empty slots and then of entries right, predicted, gold.

    Entries are those of a dictionary: right is a word that points to the very entry that its gold points to.

    Parameters
    ----------
    answers
        Of all words.
    gold
        Gold tags of all words.

    Returns
    -------
    numpy.ndarray
        Shape (rows, 8).
    """
    targets, _ = answers.gold(gold)
    right = answers.targets == targets
    none, wanted = answers.targets == NOWHERE, targets == NOWHERE
    entry, named = answers.targets <= ENTRY, targets <= ENTRY
    each = np.stack([right, np.ones_like(right), none & wanted, none, wanted, right & named, entry, named], axis=1)
    padded = np.concatenate([each.astype(np.int64), np.zeros((1, each.shape[1]), dtype=np.int64)])
    sums: np.ndarray = np.add.reduceat(padded, answers.bounds[:-1], axis=0)
    sums[np.diff(answers.bounds) == 0] = 0
    return sums


def entry_shares(encoded: Encoded, entries: int) -> np.ndarray:
    """Return which share of the words that point has each entry of a dictionary as its gold; never 0.

    Parameters
    ----------
    encoded
        Features with gold.
    entries
        How many there are.
    """
    counts, pointing = np.full(entries, 0.5), 0.5 * (1 + entries)
    for feature in encoded.features if entries else ():
        targets = np.asarray(feature["labels"])[:, 0]
        pointing += (targets > 0).sum()
        counts += np.bincount(targets[targets > len(targets)] - len(targets) - 1, minlength=entries)
    return counts / pointing
