"""What passes between the steps of reading a corpus, and small questions about characters."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from core.graph.types import NO_NODE, Sentence

__all__ = ["Text", "Tree", "joined", "printable", "sentence_of", "tidy", "wordlike"]


@dataclass
class Tree:
    """A sentence with its gold tree; heads are indices of words, -1 for the root."""

    text: str
    words: list[str]
    spans: list[tuple[int, int]]
    heads: list[int] | None
    relations: list[str]
    tags: list[str]
    lemmas: list[str]


@dataclass
class Text:
    """A piece of a corpus before it is cut into sentences.

    Parameters
    ----------
    row
        Row of the source, from 1.
    piece
        Number of the piece within the row, from 0: long rows are read in pieces.
    content
        A text, the words of one sentence, or a sentence with its tree.
    """

    row: int
    piece: int
    content: str | list[str] | Tree

    @property
    def size(self) -> int:
        """Characters, for bounding the memory."""
        if isinstance(self.content, str):
            return len(self.content)
        words = self.content.words if isinstance(self.content, Tree) else self.content
        return sum(map(len, words)) + 8 * len(words)

    def has_words(self) -> bool:
        """Whether there is any word, number or emoji in it."""
        if isinstance(self.content, str):
            return wordlike(self.content)
        return any(map(wordlike, self.content.words if isinstance(self.content, Tree) else self.content))

    def start(self, characters: int) -> str:
        """Return about the first `characters` of it as text."""
        if isinstance(self.content, Tree):
            return self.content.text[:characters]
        return (self.content if isinstance(self.content, str) else " ".join(self.content))[:characters]


_CONTROLS = dict.fromkeys((*range(32), *range(127, 160)), " ")


def tidy(text: str) -> str:
    """Return a text on one line: control characters and runs of white space are one space."""
    return " ".join(text.translate(_CONTROLS).split())


def printable(text: str) -> bool:
    """Whether a text is whole: readers turn bytes that do not fit the encoding into lone surrogates."""
    if text.isascii():
        return True
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


@lru_cache(maxsize=4096)
def _counts(char: str) -> bool:
    # Letters, digits, and pictures (emoji are "other symbols"); all else is punctuation or white space.
    return unicodedata.category(char)[0] in "LN" or unicodedata.category(char) == "So"


def wordlike(token: str) -> bool:
    """Whether a token is a word, a number or an emoji rather than punctuation."""
    return any(map(_counts, token))


def joined(words: list[str], separator: str) -> tuple[str, np.ndarray]:
    """Join words to a text and return it with their spans, int32 of shape (words, 2)."""
    lengths = np.fromiter(map(len, words), dtype=np.int64, count=len(words))
    ends = np.cumsum(lengths + len(separator)) - len(separator)
    return separator.join(words), np.stack([ends - lengths, ends], axis=1).astype(np.int32)


def sentence_of(text: str, tokens: list[str], spans: Any, row: int, **rest: Any) -> Sentence:
    """Return a sentence whose nodes are not known yet."""
    places = np.asarray(spans, dtype=np.int32).reshape(-1, 2)
    return Sentence(text, tokens, np.full(len(tokens), NO_NODE, dtype=np.int32), places, row=row, **rest)
