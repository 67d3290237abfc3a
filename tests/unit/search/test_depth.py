"""Depth: the dynamic programme against every partition there is, and the layers that stand for segments."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.search.depth import best_partition, depth_of, novelty, representatives, segment_cost


def matrix(layers: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    half = np.triu(rng.uniform(0, 1, size=(layers, layers)), k=1)
    return half + half.T + np.eye(layers)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 8), st.integers(0, 10**6), st.data())
def test_the_best_partition_is_that_of_trying_all(layers: int, seed: int, data: st.DataObject) -> None:
    cka = matrix(layers, seed)
    segments = data.draw(st.integers(1, layers))
    costs = []
    for cuts in itertools.combinations(range(1, layers), segments - 1):
        edges = [0, *cuts, layers]
        pairs = list(itertools.pairwise(edges))
        costs.append(sum(1 - cka[i, j] for start, end in pairs for i in range(start, end) for j in range(i + 1, end)))
    cost, bounds = best_partition(cka, segments)
    assert cost == pytest.approx(min(costs))
    assert sum(segment_cost(cka, *one) for one in bounds) == pytest.approx(cost)
    assert [layer for first, last in bounds for layer in range(first, last + 1)] == list(range(1, layers + 1))


def test_two_blocks_of_equal_layers_are_two_segments() -> None:
    cka = np.full((6, 6), 0.2)
    cka[:4, :4] = 0.99
    cka[4:, 4:] = 0.99
    np.fill_diagonal(cka, 1.0)
    found = depth_of(cka)
    assert found.fewest == 2
    assert (found.lowest, found.highest) == (1, 4)
    assert best_partition(cka, 2)[1] == [(1, 4), (5, 6)]


def test_layers_without_likeness_all_stay() -> None:
    assert depth_of(np.eye(4)).fewest == 4


def test_the_representative_stands_out_in_syntax_and_in_newness() -> None:
    new = np.array([0.1, 0.1, 0.4, 0.1])
    assert [one.representative for one in representatives([(1, 2), (3, 4)], None, new)] == [1, 3]
    margin = np.array([0.0, 0.3, 0.0, 0.0])
    assert [one.representative for one in representatives([(1, 2), (3, 4)], margin, new)] == [2, 3]


def test_newness_compares_each_layer_with_the_one_below() -> None:
    cka = np.array([[1, 0.9, 0.3], [0.9, 1, 0.6], [0.3, 0.6, 1]])
    np.testing.assert_allclose(novelty(cka), [0.1, 0.4])
