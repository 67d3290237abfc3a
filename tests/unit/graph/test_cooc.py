"""Co-occurrence edges against brute force."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.config.graph import CoocEdges
from core.graph.edges import pairs
from core.graph.edges.cooc import cooc_edges
from core.graph.types import Corpus, Sentence

WORDS = 6


def corpus(rows: list[list[int]], words: int = WORDS) -> Corpus:
    sentences = [Sentence("", [str(node) for node in row], np.array(row, dtype=np.int32)) for row in rows]
    counts = np.bincount([node for row in rows for node in row if node >= 0], minlength=words)
    return Corpus(sentences, [f"w{i}" for i in range(words)], counts, [""] * words, [""] * words)


def brute_force(rows: list[list[int]], window: int) -> tuple[Counter, dict]:
    counts: Counter = Counter()
    holding: dict = {}
    for index, row in enumerate(rows):
        for i, u in enumerate(row):
            for j, v in enumerate(row):
                if i != j and abs(i - j) <= window and u >= 0 and v >= 0:
                    counts[u, v] += 1
                    holding.setdefault((u, v), []).append(index)
    return counts, holding


def weight(counts: Counter, u: int, v: int, smoothing: float) -> float:
    total = sum(counts.values())
    columns: Counter = Counter()
    for (_, target), count in counts.items():
        columns[target] += count
    source = sum(count for (one, _), count in counts.items() if one == u) / total
    target = columns[v] ** smoothing / sum(column**smoothing for column in columns.values())
    return math.log(counts[u, v] / total / (source * target))


rows_of_nodes = st.lists(st.lists(st.integers(-1, WORDS - 1), max_size=9), max_size=8)


@given(rows_of_nodes, st.integers(1, 10), st.integers(1, 3), st.sampled_from([0.75, 1.0]), st.integers(1, 40))
def test_equals_brute_force_on_any_corpus(
    rows: list[list[int]], window: int, min_count: int, smoothing: float, block: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        # Small blocks, so that merging across them is part of what is compared.
        patch.setattr(pairs.blocks, "__defaults__", (block,))
        found = cooc_edges(corpus(rows), CoocEdges(window=window, min_count=min_count, smoothing=smoothing))
    counts, holding = brute_force(rows, window)
    expected = {
        pair: weight(counts, *pair, smoothing)
        for pair in counts
        if pair[0] != pair[1] and counts[pair] >= min_count and weight(counts, *pair, smoothing) > 1e-6
    }
    edges = {(int(u), int(v)): at for at, (u, v) in enumerate(zip(found.sources, found.targets, strict=True))}
    doubtful = {pair for pair in edges if found.weights[edges[pair]] <= 1e-6}
    assert set(edges) - doubtful == set(expected)
    for pair, at in edges.items():
        if pair in doubtful:
            continue
        assert found.weights[at] == pytest.approx(expected[pair], rel=1e-4, abs=1e-6)
        assert found.counts is not None
        assert found.counts[at] == counts[pair]
        shown = found.examples_of(at)
        shortest = sorted(dict.fromkeys(holding[pair]), key=lambda index: len(rows[index]))
        assert shown == shortest[:3]


def test_filtered_tokens_keep_their_places() -> None:
    # 0 and 1 stand three places apart, with two filtered tokens in between.
    rows = [[0, -1, -1, 1], [2, 3], [4, 5]]
    assert cooc_edges(corpus(rows), CoocEdges(window=2, min_count=1)).find(0, 1) == -1
    assert cooc_edges(corpus(rows), CoocEdges(window=3, min_count=1)).find(0, 1) >= 0


def test_windows_end_with_the_sentence() -> None:
    found = cooc_edges(corpus([[0, 1], [2, 3]]), CoocEdges(window=5, min_count=1))
    assert list(zip(found.sources, found.targets, strict=True)) == [(0, 1), (1, 0), (2, 3), (3, 2)]


def test_counts_are_symmetric_and_smoothed_weights_are_not() -> None:
    rows = [[0, 1], [0, 1], [0, 2], [3, 4], [3, 4], [3, 4]]
    found = cooc_edges(corpus(rows), CoocEdges(window=1, min_count=1, smoothing=0.75))
    there, back = found.find(0, 1), found.find(1, 0)
    assert found.counts is not None
    assert found.counts[there] == found.counts[back] == 2
    assert found.weights[there] != pytest.approx(found.weights[back], rel=1e-3)


def test_rare_pairs_are_left_out_but_count_for_the_marginals() -> None:
    rows = [[0, 1], [0, 1], [0, 2], [3, 4], [3, 4]]
    found = cooc_edges(corpus(rows), CoocEdges(window=1, min_count=2, smoothing=1.0))
    assert found.find(0, 2) == -1
    assert found.weights[found.find(0, 1)] == pytest.approx(math.log((2 / 10) / (3 / 10 * 2 / 10)))


def test_a_word_beside_itself_is_no_edge() -> None:
    assert len(cooc_edges(corpus([[0, 0, 0]]), CoocEdges(min_count=1))) == 0


def test_a_corpus_without_pairs_gives_an_empty_set() -> None:
    for rows in ([], [[]], [[0]], [[-1, -1]]):
        found = cooc_edges(corpus(rows), CoocEdges(min_count=1))
        assert len(found) == 0
        assert found.examples is not None
        assert found.examples.shape == (0, 3)
