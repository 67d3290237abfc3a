"""From what a person types to a word of the graph: normalised look-up, nearest spellings, completions."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

import numpy as np

from core.errors import DataError
from core.graph.memo import Memo
from core.graph.types import WordGraph

__all__ = ["completions", "nearest_spellings", "normalised", "resolve", "shown", "tidy"]

#: Letters of a word in a message, and the longest word that is looked up at all.
SHOWN, LONGEST = 40, 200
#: Words that share most letters and pairs of letters; only these are compared letter by letter.
CANDIDATES = 150


class _Words:
    """Look-ups of one graph's words."""

    def __init__(self, graph: WordGraph):
        self.index = graph.index()
        self.folded = [word.casefold() for word in graph.words]
        self.by_folded: dict[str, int] = {}
        order = np.argsort(-np.asarray(graph.counts, dtype=np.float64), kind="stable").tolist()
        for node in order:
            self.by_folded.setdefault(self.folded[node], node)
        features: dict[str, list[int]] = {}
        sizes = []
        for node, word in enumerate(self.folded):
            parts = _features(word[:LONGEST])
            sizes.append(len(parts))
            for part in parts:
                features.setdefault(part, []).append(node)
        self.features = {part: np.asarray(nodes) for part, nodes in features.items()}
        self.sizes = np.asarray(sizes)


_MEMO = Memo(4)


def _words(graph: WordGraph) -> _Words:
    return _MEMO.get(graph, "words", lambda: _Words(graph))


def _features(word: str) -> set[str]:
    """Return the letters of a word and its pairs of letters, with its ends marked."""
    marked = f"\x02{word}\x03"
    return set(word) | {marked[at : at + 2] for at in range(len(marked) - 1)}


def tidy(text: str) -> str:
    """Return a word in Unicode's composed form, without white space at its ends and with single spaces inside."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def shown(text: str, limit: int = SHOWN) -> str:
    """Return a word for a message: cut, and without control characters or such that turn the direction of text."""
    short = text if len(text) <= limit else text[: limit - 1] + "…"
    kinds = (unicodedata.category(letter) for letter in short)
    return "".join("\ufffd" if kind[0] == "C" else letter for letter, kind in zip(short, kinds, strict=True))


def normalised(graph: WordGraph, text: str) -> int | None:
    """Return the node of a word: as it stands, or else the most frequent one that differs in case only; or None."""
    if len(text) > 10 * LONGEST:
        return graph.index().get(text)
    held = _words(graph)
    word = tidy(text)
    for one in (text, word):
        if one in held.index:
            return held.index[one]
    return held.by_folded.get(word.casefold())


def resolve(graph: WordGraph, text: str, field: str = "word") -> int:
    """Return the node of a word that a person typed.

    Raises
    ------
    DataError
        If the graph has no such word; the message offers the nearest spellings.
    """
    node = normalised(graph, text)
    if node is not None:
        return node
    if not tidy(text):
        raise DataError("No word was given.", where=field, expected="a word of the graph")
    near = nearest_spellings(graph, text)
    offered = ", ".join(shown(word) for word in near)
    raise DataError(
        f"The word “{shown(tidy(text))}” is not in this graph.",
        where=field,
        expected=f"one of its {len(graph):,} words",
        advice=f"Did you mean: {offered}?" if near else "No word of the graph is spelt like it.",
    )


def nearest_spellings(graph: WordGraph, text: str, limit: int = 5) -> list[str]:
    """Return the words that are spelt most like a text, the nearest first; of equal ones the most frequent.

    The distance counts letters that are inserted, left out, replaced, or swapped with their neighbour (Damerau 1964,
    restricted). Words further away than half of the text's length are not offered.
    """
    word = tidy(text[: 2 * LONGEST]).casefold()
    if not word or len(word) > LONGEST or not len(graph):
        return []
    held = _words(graph)
    parts = _features(word)
    shared = np.zeros(len(graph))
    for part in parts:
        nodes = held.features.get(part)
        if nodes is not None:
            shared[nodes] += 1
    alike = 2 * shared / (held.sizes + len(parts))
    nodes = np.argsort(-alike, kind="stable")[:CANDIDATES]
    most = max(1, len(word) // 2)
    ranked = []
    for node in nodes[alike[nodes] > 0].tolist():
        other = held.folded[node]
        if abs(len(other) - len(word)) <= most:
            distance = _distance(word, other)
            if distance <= most:
                ranked.append((distance, -float(graph.counts[node]), graph.words[node]))
    return [one for _, _, one in sorted(ranked)[:limit]]


def _distance(one: str, other: str) -> int:
    before: list[int] = []
    last = list(range(len(other) + 1))
    for row, letter in enumerate(one, 1):
        now = [row]
        for column, opposite in enumerate(other, 1):
            cost = min(last[column] + 1, now[-1] + 1, last[column - 1] + (letter != opposite))
            if row > 1 and column > 1 and letter == other[column - 2] and one[row - 2] == opposite:
                cost = min(cost, before[column - 2] + 1)
            now.append(cost)
        before, last = last, now
    return last[-1]


def completions(graph: WordGraph, prefix: str, limit: int = 10) -> list[str]:
    """Return words that begin with a text, the most frequent first; then words that hold it elsewhere."""
    start = tidy(prefix[: 2 * LONGEST]).casefold()
    if not start or len(start) > LONGEST:
        return []
    folded = _words(graph).folded
    begin = [node for node, word in enumerate(folded) if word.startswith(start)]
    found = _frequent(graph, begin, limit)
    if len(found) < limit and len(start) > 1:
        inside = [node for node, word in enumerate(folded) if start in word and not word.startswith(start)]
        found += _frequent(graph, inside, limit - len(found))
    return [graph.words[node] for node in found]


def _frequent(graph: WordGraph, nodes: Iterable[int], limit: int) -> list[int]:
    return sorted(nodes, key=lambda node: (-float(graph.counts[node]), graph.words[node]))[:limit]
