"""Answers of all words of all rows: what windows say of them, and the entities that their tags spell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from core.data.tasks.base import Encoded
from core.data.tasks.words import spans

__all__ = ["Answers", "entities_of", "read_answers"]


@dataclass
class Answers:
    """Answers of all words of all rows, one behind the other; those of row i stand at ``bounds[i] : bounds[i + 1]``.

    Parameters
    ----------
    bounds
        Shape (rows + 1,).
    tags
        Predicted tag of each word; 0 (``O``) where the tokeniser leaves nothing of it.
    shares
        Probability of the predicted tag; 1 where the tokeniser leaves nothing.
    answered
        Whether the tokeniser leaves anything of the word.
    log_shares
        Logarithms of all probabilities, shape (words, labels), where each tag has one.
    """

    bounds: np.ndarray
    tags: np.ndarray
    shares: np.ndarray
    answered: np.ndarray
    log_shares: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))

    def part(self, row: int) -> slice:
        """Return where the words of a row stand."""
        return slice(int(self.bounds[row]), int(self.bounds[row + 1]))

    def losses(self, gold: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the loss of each word, and whether it counts.

        Parameters
        ----------
        gold
            Gold tags of all words, shape (words,).
        """
        losses = -self.log_shares[np.arange(len(gold)), gold]
        losses[~self.answered] = 0.0
        return losses, self.answered


def read_answers(logits: Sequence[Any], encoded: Encoded, words: list[int], size: int) -> Answers:
    """Return the most probable tag of each word.

    Parameters
    ----------
    logits
        Of each feature, shape (length, labels).
    encoded
        The features, with ``positions`` and ``words``.
    words
        Words of each row.
    size
        Number of labels.
    """
    bounds = np.concatenate([[0], np.cumsum(words)]).astype(np.int64)
    log_shares = np.zeros((bounds[-1], size))
    answered = np.zeros(bounds[-1], dtype=bool)
    if encoded.features:
        chosen = np.concatenate(
            [np.asarray(part)[feature["positions"]] for part, feature in zip(logits, encoded.features, strict=True)]
        ).astype(np.float64)
        places = np.concatenate(
            [bounds[row] + feature["words"] for row, feature in zip(encoded.owner, encoded.features, strict=True)]
        )
        chosen -= chosen.max(axis=1, keepdims=True)
        log_shares[places] = chosen - np.log(np.exp(chosen).sum(axis=1, keepdims=True))
        answered[places] = True
    tags = np.where(answered, log_shares.argmax(axis=1), 0)
    shares = np.exp(log_shares[np.arange(len(tags)), tags])
    return Answers(bounds, tags, shares, answered, log_shares)


def entities_of(tokens: list[str], tags: list[str], shares: list[float]) -> list[dict[str, Any]]:
    """Return the entities with their characters in the words joined by single spaces."""
    starts = np.cumsum([0] + [len(token) + 1 for token in tokens])
    return [
        {
            "type": kind,
            "text": " ".join(tokens[first : last + 1]),
            "start": int(starts[first]),
            "end": int(starts[last]) + len(tokens[last]),
            "first": first,
            "last": last,
            "score": float(np.mean(shares[first : last + 1])),
        }
        for kind, first, last in spans(tags)
    ]
