"""Trees as distances and distances as trees."""

from __future__ import annotations

import networkx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import DataError
from core.graph.probe.trees import (
    chain_distances,
    contract,
    edges_of,
    heads_from_edges,
    is_tree,
    spanning_edges,
    tree_distances,
    word_mask,
)


@st.composite
def trees(draw: st.DrawFn, most: int = 12) -> np.ndarray:
    """Heads of any tree, tokens in any order."""
    size = draw(st.integers(1, most))
    order = draw(st.permutations(range(size)))
    heads = np.full(size, -1)
    for at in range(1, size):
        heads[order[at]] = order[draw(st.integers(0, at - 1))]
    return heads


def as_graph(heads: np.ndarray) -> networkx.Graph:
    graph = networkx.Graph()
    graph.add_nodes_from(range(len(heads)))
    graph.add_edges_from((token, int(head)) for token, head in enumerate(heads) if head >= 0)
    return graph


@given(trees())
def test_distances_of_a_tree_are_networkx_shortest_paths(heads):
    lengths = dict(networkx.all_pairs_shortest_path_length(as_graph(heads)))
    expected = [[lengths[one][other] for other in range(len(heads))] for one in range(len(heads))]
    assert tree_distances(heads).tolist() == expected


@pytest.mark.parametrize("heads", [[1, 0], [-1, -1], [1, 2, 1], [-1, 5], []])
def test_heads_that_are_no_tree_are_refused(heads):
    assert not is_tree(np.array(heads, dtype=int))
    with pytest.raises(DataError, match="tree"):
        tree_distances(np.array(heads, dtype=int))


@given(trees())
def test_the_spanning_tree_of_a_trees_own_distances_is_the_tree(heads):
    assert spanning_edges(tree_distances(heads)).tolist() == edges_of(heads).tolist()


@given(st.integers(2, 9), st.integers(0, 10_000))
def test_a_spanning_tree_weighs_as_little_as_networkx_finds(size, seed):
    distances = np.random.default_rng(seed).integers(0, 4, (size, size)).astype(float)  # zeros and ties included
    distances = np.triu(distances, 1) + np.triu(distances, 1).T
    found = spanning_edges(distances)
    graph = networkx.Graph()
    graph.add_weighted_edges_from((i, j, distances[i, j]) for i in range(size) for j in range(i))
    least = networkx.minimum_spanning_tree(graph).size(weight="weight")
    assert networkx.is_tree(networkx.Graph(found.tolist()))
    assert distances[found[:, 0], found[:, 1]].sum() == pytest.approx(least)


@given(trees(), st.data())
def test_taking_tokens_out_leaves_a_tree(heads, data):
    keep = np.array(data.draw(st.lists(st.booleans(), min_size=len(heads), max_size=len(heads))))
    left = contract(heads, keep)
    assert len(left) == keep.sum()
    assert not len(left) or is_tree(left)


def test_leaves_that_are_taken_out_change_no_other_head():
    heads = np.array([1, -1, 1, 1, 3])
    assert contract(heads, np.array([True, True, False, True, True])).tolist() == [1, -1, 1, 2]


def test_children_of_what_is_taken_out_hang_on_the_next_above():
    heads = np.array([-1, 0, 1, 2])
    assert contract(heads, np.array([True, False, True, True])).tolist() == [-1, 0, 1]


def test_children_of_a_root_that_is_taken_out_hang_on_the_first_of_them():
    heads = np.array([1, -1, 1, 1])
    assert contract(heads, np.array([True, False, True, True])).tolist() == [-1, 0, 0]


def test_the_root_that_a_tree_is_given_is_its_middle():
    chain = np.array([[0, 1], [1, 2], [2, 3], [3, 4]])
    assert heads_from_edges(chain, 5).tolist() == [1, 2, -1, 2, 3]


@given(trees())
def test_rooting_keeps_the_edges_and_takes_the_token_of_least_total_distance(heads):
    edges = edges_of(heads)
    rooted = heads_from_edges(edges, len(heads))
    assert edges_of(rooted).tolist() == edges.tolist()
    totals = tree_distances(heads).sum(axis=1)
    assert totals[int(np.flatnonzero(rooted < 0)[0])] == totals.min()


def test_a_chain_counts_places():
    assert chain_distances(3).tolist() == [[0, 1, 2], [1, 0, 1], [2, 1, 0]]


def test_punctuation_is_known_by_its_tag_where_there_are_tags():
    assert word_mask(["a", "-", "%"], ["DET", "PUNCT", "SYM"]).tolist() == [True, False, True]


def test_punctuation_is_known_by_its_signs_where_there_are_no_tags():
    assert word_mask(["can't", "…", "%", "。", "3", "--", "$"]).tolist() == [
        True,
        False,
        False,
        False,
        True,
        False,
        True,
    ]
