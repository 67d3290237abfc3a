"""Answers to questions without a model: the words of a context that stand nearest to those of the question."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

import numpy as np

from core.data.tasks.words import split_words

__all__ = ["nearest_words", "usual_length"]

#: Words on either side of a candidate that are compared with the question.
REACH = 5
_WORD = re.compile(r"\w")


def usual_length(answers: Iterable[str]) -> int:
    """Return the most frequent number of words of answers (the lower one of equals); 1 where there are none."""
    counts = Counter(max(1, len(split_words(answer))) for answer in answers)
    return min(counts, key=lambda length: (-counts[length], length)) if counts else 1


def nearest_words(question: str, context: str, length: int) -> str:
    """Return the stretch of a context with most words of the question around it, and none of them in it.

    The sliding window of Richardson, Burges & Renshaw (2013, MCTest), here over all stretches of one length.

    Parameters
    ----------
    question, context
        Texts; words are those of :func:`core.data.tasks.words.split_words`.
    length
        Words of the answer.

    Returns
    -------
    str
        The first of equals; empty where the context has fewer words.
    """
    words = split_words(context)
    count = len(words)
    if count < length or length < 1:
        return ""
    asked = {word.lower() for word, _, _ in split_words(question) if _WORD.search(word)}
    shared = np.fromiter((word.lower() in asked for word, _, _ in words), dtype=np.int64, count=count)
    plain = np.fromiter((_WORD.search(word) is None for word, _, _ in words), dtype=np.int64, count=count)
    sums = np.concatenate([[0], np.cumsum(shared)])
    signs = np.concatenate([[0], np.cumsum(plain)])
    begin = np.arange(count - length + 1)
    end = begin + length
    around = sums[np.minimum(end + REACH, count)] - sums[np.maximum(begin - REACH, 0)]
    inside = sums[end] - sums[begin]
    # A sign or a word of the question within the stretch makes it a poor answer; any other one is better.
    score = around - (count + 1) * (inside + signs[end] - signs[begin])
    best = int(score.argmax())
    return context[words[best][1] : words[best + length - 1][2]]
