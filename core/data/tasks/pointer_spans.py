"""What scores of stretches say: stretches above zero, flat entities among them, tags, and the loss. Pure numpy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from core.data.tasks.base import Encoded
from core.data.tasks.tagging_answers import Answers
from core.data.tasks.words import spans

__all__ = [
    "SpanAnswers", "Stretch", "covered", "dense", "doubt_of", "flat", "kinds_of", "read_spans", "span_counts",
    "window_loss",
]  # fmt: skip


@dataclass(frozen=True, order=True)
class Stretch:
    """First and last word of a row, type and score; scores above 0 say that it is an entity."""

    first: int
    last: int
    kind: str
    score: float = field(compare=False, default=0.0)


@dataclass
class SpanAnswers(Answers):
    """Answers of all words of all rows, with the stretches that were found.

    Parameters
    ----------
    found
        Stretches with a score above 0 of each row, from the left; they may lie inside each other.
    first
        Of each window the place of its first answered word, whose loss stands for that of the window.
    window_losses
        Loss of each window, by :func:`window_loss`; nan without gold.
    """

    found: list[list[Stretch]] = field(default_factory=list)
    first: list[int] = field(default_factory=list)
    window_losses: list[float] = field(default_factory=list)

    def losses(self, gold: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the loss of each window at its first answered word, and where these are; see :class:`Answers`."""
        losses, counted = np.zeros(len(gold)), np.zeros(len(gold), dtype=bool)
        losses[self.first], counted[self.first] = self.window_losses, True
        return losses, counted


def window_loss(scores: np.ndarray, gold: np.ndarray) -> np.ndarray:
    """Return the loss of each type.

    Parameters
    ----------
    scores
        Shape (first words, last words, types).
    gold
        1 for an entity, 0 for none, below 0 for what does not count; of the same shape.

    References
    ----------
    Su et al. (2022), ZLPR, arXiv 2208.02955, equation 5: log(1 + Σ over none of e^s) + log(1 + Σ over entities of
    e^-s).
    """
    sides = []
    for wanted, sign in ((0, 1.0), (1, -1.0)):
        values = np.where(gold == wanted, sign * scores, -np.inf).reshape(-1, scores.shape[2])
        values = np.concatenate([np.zeros((1, scores.shape[2])), values])
        top = values.max(axis=0)
        sides.append(top + np.log(np.exp(values - top).sum(axis=0)))
    found: np.ndarray = sides[0] + sides[1]
    return found


def flat(stretches: Sequence[Stretch]) -> list[Stretch]:
    """Return stretches that do not overlap, from the left: of two that do, the one with the higher score stays.

    Examples
    --------
    >>> [one.kind for one in flat([Stretch(0, 3, "A", 1.0), Stretch(1, 2, "B", 2.0), Stretch(3, 3, "C", 0.5)])]
    ['B', 'C']
    """
    kept: list[Stretch] = []
    for one in sorted(stretches, key=lambda one: (-one.score, one)):
        if all(one.last < other.first or other.last < one.first for other in kept):
            kept.append(one)
    return sorted(kept)


def covered(scores: np.ndarray) -> np.ndarray:
    """Return for each word the highest score of a stretch that it lies in.

    Parameters
    ----------
    scores
        Shape (words, words, types), the lowest numbers where the last word stands before the first.
    """
    best = scores.max(axis=2)
    best = np.maximum.accumulate(best, axis=0)  # beginning at the word or before
    best = np.maximum.accumulate(best[:, ::-1], axis=1)[:, ::-1]  # ending at it or behind
    return best.diagonal()


def kinds_of(part: np.ndarray) -> set[int]:
    """Return the types of stretches above 0 (from 1), and 0 if a word is in none; of the logits of a window."""
    scores = part.reshape(len(part), len(part), -1)
    found = set((1 + np.flatnonzero((scores > 0).any(axis=(0, 1)))).tolist())
    return found | ({0} if (covered(scores) <= 0).any() else set())


def doubt_of(part: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Return for each own word the entropy of its lying in a stretch, as a share of the largest; of a window's logits.

    Parameters
    ----------
    part
        Shape (words, words · types).
    own
        Whether the window answers for the word, shape (words,).
    """
    best = covered(part.reshape(len(part), len(part), -1).astype(np.float64))[own]
    share = 1.0 / (1.0 + np.exp(-np.abs(best)))
    found: np.ndarray = -(share * np.log(share) + (1 - share) * np.log(np.maximum(1 - share, 1e-300))) / np.log(2)
    return found


def read_spans(
    logits: Sequence[Any], encoded: Encoded, words: list[int], labels: list[str], types: list[str]
) -> SpanAnswers:
    """Return what the windows of all rows say.

    Parameters
    ----------
    logits
        Of each feature, shape (words that it shows, words · types).
    encoded
        The features; a window answers for the stretches that begin with words of its own.
    words
        Words of each row.
    labels, types
        Tags, and types in the order of the head's outputs.
    """
    bounds = np.concatenate([[0], np.cumsum(words)]).astype(np.int64)
    found = SpanAnswers(
        bounds, np.zeros(bounds[-1], dtype=np.int64), np.ones(bounds[-1]), np.zeros(bounds[-1], dtype=bool),
        found=[[] for _ in words],
    )  # fmt: skip
    best = np.full(bounds[-1], -np.inf)
    for part, feature, row in zip(logits, encoded.features, encoded.owner, strict=True):
        shown, own = feature["words"], feature["own"]
        order = np.triu(np.ones((len(shown), len(shown)), dtype=bool))
        scores = np.asarray(part, dtype=np.float64).reshape(len(shown), len(shown), len(types))
        scores = np.where(order[..., None], scores, -np.inf)
        for first, last, kind in zip(*np.nonzero((scores > 0) & own[:, None, None]), strict=True):
            score = float(scores[first, last, kind])
            found.found[row].append(Stretch(int(shown[first]), int(shown[last]), types[kind], score))
        places = bounds[row] + shown
        best[places] = np.maximum(best[places], covered(scores))
        found.answered[places[own]] = True
        found.first.append(int(places[own][0]))
        gold = feature.get("labels")
        found.window_losses.append(float(window_loss(scores, dense(feature)).mean()) if gold is not None else np.nan)
    found.shares[found.answered] = 1.0 / (1.0 + np.exp(best[found.answered]))
    numbers = {label: index for index, label in enumerate(labels)}
    for row, stretches in enumerate(found.found):
        stretches.sort()
        for one in flat(stretches):
            inside = np.arange(bounds[row] + one.first, bounds[row] + one.last + 1)
            if f"B-{one.kind}" not in numbers:
                continue
            if f"I-{one.kind}" not in numbers:  # no entity of this type had a second word
                inside = inside[:1]
            found.tags[inside] = numbers.get(f"I-{one.kind}", 0)
            found.tags[inside[0]] = numbers[f"B-{one.kind}"]
            found.shares[inside] = 1.0 / (1.0 + np.exp(-one.score))
    return found


def dense(feature: dict[str, Any], ignored: int = -100) -> np.ndarray:
    """Return the gold of a window, shape (words, words, types): 1, 0, or `ignored`; see :func:`window_loss`."""
    words = len(feature["words"])
    gold = np.full((words, words, feature["spans"]), ignored, dtype=np.int8)
    gold[np.triu(np.ones((words, words), dtype=bool)) & feature["own"][:, None]] = 0
    for first, last, kind in feature["labels"]:
        gold[first, last, kind] = 1
    return gold


def span_counts(answers: SpanAnswers, gold: list[list[str]]) -> np.ndarray:
    """Return for each row how many stretches above 0 are right, how many there are, and how many entities.

    Parameters
    ----------
    answers
        Of all rows.
    gold
        Gold tags of each row.

    Returns
    -------
    numpy.ndarray
        Shape (rows, 3).
    """
    counts = np.zeros((len(gold), 3), dtype=np.int64)
    for row, tags in enumerate(gold):
        wanted = {Stretch(first, last, kind) for kind, first, last in spans(tags)}
        given = set(answers.found[row])
        counts[row] = len(wanted & given), len(given), len(wanted)
    return counts
