"""Trees of highest score: against all trees there are, and against networkx."""

from __future__ import annotations

import itertools
from functools import cache

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.data.tasks.dependency_decoding import best_heads, best_tree, is_tree
from core.data.tree_rows import circle

NO = float("-inf")


def total(scores: np.ndarray, heads: np.ndarray) -> float:
    return float(scores[np.arange(len(heads)), heads].sum())


def a_tree(heads: np.ndarray) -> bool:
    graph = nx.DiGraph((int(head), word) for word, head in enumerate(heads, 1))
    return nx.is_arborescence(graph) and int((heads == 0).sum()) == 1


@cache
def every(words: int) -> tuple[np.ndarray, np.ndarray]:
    """All heads that words could have, and those of them that are trees; shape (…, words)."""
    found = np.array(list(itertools.product(range(words + 1), repeat=words)))
    return found, found[[a_tree(heads) for heads in found]]


@given(st.integers(1, 5), st.randoms(use_true_random=False), st.sampled_from([0.0, 0.3]))
@settings(max_examples=60, deadline=None)
def test_no_tree_with_one_root_has_a_higher_sum(words: int, rng: object, barred: float) -> None:
    # whole numbers: ties are as likely as anything, and sums are exact
    draw = rng.randint  # type: ignore[attr-defined]
    scores = np.array([[float(draw(-6, 6)) for _ in range(words + 1)] for _ in range(words)])
    scores[np.arange(words), np.arange(1, words + 1)] = NO
    trees = every(words)[1]
    for row in range(words):  # some heads cannot be, but for those of one tree
        for column in range(words + 1):
            if draw(0, 9) < 10 * barred and column != trees[0][row]:
                scores[row, column] = NO
    found = best_tree(scores)
    assert a_tree(found)
    assert total(scores, found) == scores[np.arange(words), trees].sum(axis=1).max()


@pytest.mark.parametrize("words", [1, 2, 3, 4])
def test_trees_have_one_root_and_no_circle(words: int) -> None:
    heads, trees = every(words)
    assert len(trees) == words ** (words - 1)  # Cayley's formula, with a root chosen
    assert [is_tree(one) for one in heads] == [a_tree(one) for one in heads]


@pytest.mark.parametrize("words", [6, 17, 40])
def test_the_tree_is_that_of_networkx(words: int) -> None:
    rng = np.random.default_rng(words)
    scores = rng.normal(size=(words, words + 1)) * 3
    # with a root that costs as much as everything else together, networkx takes it once
    graph = nx.DiGraph()
    for word, head in itertools.product(range(words), range(words + 1)):
        if head != word + 1:
            graph.add_edge(head, word + 1, weight=scores[word, head] - (1000.0 if head == 0 else 0.0))
    tree = nx.maximum_spanning_arborescence(graph)
    wanted = np.array([next(iter(tree.predecessors(word + 1))) for word in range(words)])
    assert best_tree(scores).tolist() == wanted.tolist()


def test_a_second_root_is_not_taken_however_high_its_score() -> None:
    scores = np.array([[9.0, NO, 0.0], [9.5, 0.5, NO]])
    assert best_heads(scores).tolist() == [0, 0]
    assert best_tree(scores).tolist() == [0, 1]


def test_what_cannot_be_is_taken_only_where_nothing_else_makes_a_tree() -> None:
    apart = np.array([[1.0, NO, NO], [1.0, NO, NO]])
    assert is_tree(best_tree(apart))
    assert best_tree(np.zeros((0, 1))).tolist() == []
    assert best_tree(np.array([[NO, NO]])).tolist() == [0]


def test_circles_are_found() -> None:
    assert circle([2, 3, 1]) == [0, 1, 2]
    assert circle([1]) == [0]
    assert circle([0, 3, 2, 2]) == [1, 2]
    assert circle([0, 1, 2]) == []
    assert not is_tree(np.array([2, 1, 0]))
    assert not is_tree(np.array([0, 0]))
    assert is_tree(np.array([2, 0, 2]))
