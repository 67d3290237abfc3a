"""Dependency edges: heads to dependents, relations counted, filtered words left out."""

from __future__ import annotations

import math
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.config.graph import DepEdges
from core.errors import DataError
from core.graph.edges import pairs
from core.graph.edges.dep import dep_edges
from core.graph.types import Corpus, Sentence

WORDS = 6
RELATIONS = ["det", "nsubj", "obj", "punct"]
Row = tuple[list[int], list[int], list[str]]


def corpus(rows: list[Row], words: int = WORDS) -> Corpus:
    sentences = [
        Sentence("", ["x"] * len(nodes), np.array(nodes, dtype=np.int32), None, np.array(heads, dtype=np.int32), labels)
        for nodes, heads, labels in rows
    ]
    return Corpus(
        sentences, [f"w{i}" for i in range(words)], np.ones(words), [""] * words, [""] * words, trees="silver"
    )


THE_CAT_SAT: Row = ([0, 1, 2], [1, 2, -1], ["det", "nsubj", "ROOT"])
OTHER: Row = ([3, 4], [1, -1], ["det", "ROOT"])


@st.composite
def rows_of_trees(draw: st.DrawFn) -> list[Row]:
    rows = []
    for _ in range(draw(st.integers(0, 6))):
        size = draw(st.integers(1, 7))
        nodes = draw(st.lists(st.integers(-1, WORDS - 1), min_size=size, max_size=size))
        heads = [-1] + [draw(st.integers(0, index - 1)) for index in range(1, size)]
        rows.append((nodes, heads, [draw(st.sampled_from(RELATIONS)) for _ in range(size)]))
    return rows


@given(rows_of_trees(), st.integers(1, 2), st.booleans(), st.integers(1, 30))
def test_equals_brute_force_on_any_trees(rows: list[Row], min_count: int, punctuation: bool, block: int) -> None:
    if not rows:
        return
    counts: Counter = Counter()
    labels: dict = defaultdict(Counter)
    for nodes, heads, names in rows:
        for node, head, name in zip(nodes, heads, names, strict=True):
            if head >= 0 and node >= 0 and nodes[head] >= 0 and (punctuation or name != "punct"):
                counts[nodes[head], node] += 1
                labels[nodes[head], node][name] += 1
    of_head: Counter = Counter()
    of_dependent: Counter = Counter()
    for (head, dependent), count in counts.items():
        of_head[head] += count
        of_dependent[dependent] += count
    total = sum(counts.values())
    expected = {
        pair: math.log(count * total / (of_head[pair[0]] * of_dependent[pair[1]]))
        for pair, count in counts.items()
        if pair[0] != pair[1] and count >= min_count
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pairs.blocks, "__defaults__", (block,))
        found = dep_edges(corpus(rows), DepEdges(min_count=min_count, punctuation=punctuation))
    for at, pair in enumerate(zip(found.sources.tolist(), found.targets.tolist(), strict=True)):
        assert found.weights[at] == pytest.approx(expected[pair], rel=1e-4, abs=1e-6)
        assert found.relations_of(at) == labels[pair]
        assert found.counts is not None
        assert found.counts[at] == counts[pair] == sum(found.relations_of(at).values())
        for index in found.examples_of(at):
            nodes, heads, _ = rows[index]
            assert any(head >= 0 and (nodes[head], node) == pair for node, head in zip(nodes, heads, strict=True))
    clear = {pair for pair, value in expected.items() if value > 1e-6}
    assert clear <= set(zip(found.sources.tolist(), found.targets.tolist(), strict=True))


def test_edges_lead_from_head_to_dependent_only() -> None:
    found = dep_edges(corpus([THE_CAT_SAT, OTHER]), DepEdges())
    assert list(zip(found.sources, found.targets, strict=True)) == [(1, 0), (2, 1), (4, 3)]
    assert found.type == "dep"
    assert found.layer is None


def test_relations_are_counted_by_edge() -> None:
    passive: Row = ([0, 1, 2], [1, 2, -1], ["det", "nsubjpass", "ROOT"])
    found = dep_edges(corpus([THE_CAT_SAT, THE_CAT_SAT, passive, OTHER]), DepEdges())
    assert found.relations_of(found.find(2, 1)) == {"nsubj": 2, "nsubjpass": 1}
    assert found.relations_of(found.find(1, 0)) == {"det": 3}
    # The root has no head: its label is no relation of any edge.
    assert found.relations == ["det", "nsubj", "nsubjpass"]


def test_a_filtered_word_takes_its_pairs_along() -> None:
    no_cat: Row = ([0, -1, 2], [1, 2, -1], ["det", "nsubj", "ROOT"])
    found = dep_edges(corpus([no_cat, OTHER, ([0, 5], [1, -1], ["det", "ROOT"])]), DepEdges())
    assert list(zip(found.sources, found.targets, strict=True)) == [(4, 3), (5, 0)]


def test_a_word_that_depends_on_itself_is_no_edge() -> None:
    found = dep_edges(corpus([([0, 0], [1, -1], ["advmod", "ROOT"]), OTHER]), DepEdges())
    assert list(zip(found.sources, found.targets, strict=True)) == [(4, 3)]


def test_punctuation_is_left_out_unless_it_is_kept() -> None:
    rows: list[Row] = [([0, 1], [1, -1], ["punct", "ROOT"]), OTHER]
    assert dep_edges(corpus(rows), DepEdges()).find(1, 0) == -1
    assert dep_edges(corpus(rows), DepEdges(punctuation=True)).find(1, 0) >= 0


def test_trees_of_a_probe_have_no_direction_and_one_label() -> None:
    heads = [np.array([-1, 0, 1]), np.array([-1, 0])]
    found = dep_edges(corpus([THE_CAT_SAT, OTHER]), DepEdges(source="probe"), heads)
    edges = set(zip(found.sources.tolist(), found.targets.tolist(), strict=True))
    assert edges == {(0, 1), (1, 0), (1, 2), (2, 1), (3, 4), (4, 3)}
    assert found.relations == ["probe"]
    assert found.weights[found.find(0, 1)] == pytest.approx(found.weights[found.find(1, 0)])


def test_sentences_without_a_tree_are_passed_over() -> None:
    corpora = corpus([THE_CAT_SAT, OTHER])
    corpora.sentences[0].heads = corpora.sentences[0].relations = None
    corpora.sentences.append(corpora.sentences[1])
    corpora.sentences.append(corpus([([0, 1], [1, -1], ["det", "ROOT"])]).sentences[0])
    found = dep_edges(corpora, DepEdges())
    assert list(zip(found.sources, found.targets, strict=True)) == [(1, 0), (4, 3)]


def test_a_corpus_without_trees_is_refused_with_what_works_instead() -> None:
    corpora = corpus([THE_CAT_SAT])
    corpora.sentences[0].heads = None
    with pytest.raises(DataError, match=r"cooc.*sim and attn"):
        dep_edges(corpora, DepEdges())


def test_heads_that_do_not_fit_are_refused() -> None:
    corpora = corpus([THE_CAT_SAT, OTHER])
    with pytest.raises(ValueError, match="1 trees for 2 sentences"):
        dep_edges(corpora, DepEdges(), [np.array([-1, 0, 1])])
    with pytest.raises(ValueError, match=r"heads\[1\]"):
        dep_edges(corpora, DepEdges(), [np.array([-1, 0, 1]), np.array([-1, 0, 1])])
