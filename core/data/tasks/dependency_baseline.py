"""Heads without a model: every word hangs on its neighbour, with the relation that the word has most often."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

__all__ = ["Neighbours"]


class Neighbours:
    """The usual step from a word to its head, and each word's usual relation.

    Parameters
    ----------
    sentences
        Words, heads (from 1; 0 for the root or none) and relations of each training sentence; relations below 0 are
        passed over.
    tree
        The step is then one to the left or to the right, whichever is right more often, and the word at the end is the
        root: a tree for any sentence. Else it is the most frequent step of all, or none.
    """

    def __init__(self, sentences: Iterable[tuple[Sequence[str], Sequence[int], Sequence[int]]], *, tree: bool):
        self.tree = tree
        steps: Counter[int | None] = Counter()
        every: Counter[int] = Counter()
        named: defaultdict[str, Counter[int]] = defaultdict(Counter)
        for words, heads, relations in sentences:
            for number, head in enumerate(heads, 1):
                steps[head - number if head else None] += 1
            for word, relation in zip(words, relations, strict=True):
                if relation >= 0:
                    named[word.lower()][relation] += 1
                    every[relation] += 1
        if tree:
            self.step: int | None = -1 if steps[-1] > steps[1] else 1
        else:
            self.step = min(steps, key=lambda one: (-steps[one], one is None, one or 0)) if steps else None
        self._usual = min(every, key=lambda one: (-every[one], one)) if every else 0
        self._named = {word: min(found, key=lambda one: (-found[one], one)) for word, found in named.items()}

    def heads(self, words: int) -> np.ndarray:
        """Return the heads of a sentence, shape (words,); a step out of it points to none (a tree's root)."""
        if self.step is None:
            return np.zeros(words, dtype=np.int64)
        found = np.arange(1, words + 1) + self.step
        return np.where((found < 1) | (found > words), 0, found)

    def relations(self, words: Sequence[str]) -> np.ndarray:
        """Return the usual relation of each word, that of all words where it is new; shape (words,)."""
        return np.array([self._named.get(word.lower(), self._usual) for word in words], dtype=np.int64)
