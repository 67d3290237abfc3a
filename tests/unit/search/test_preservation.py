"""What is left of a word graph in fewer directions, against networkx, scipy and graphs whose answer is known."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from scipy.stats import spearmanr

from core.search.preservation import (
    _finite,
    _shared,
    _spearman,
    least_width,
    mutual_graph,
    path_lengths,
    preservation,
    width_grid,
)


def vectors(words: int = 120, used: int = 6, width: int = 24, noise: float = 0.0, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    found = rng.normal(size=(words, used)) @ np.linalg.qr(rng.normal(size=(width, used)))[0].T
    found += noise * rng.normal(size=found.shape)
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def test_neighbours_are_mutual() -> None:
    graph = mutual_graph(np.array([[1, 2], [0, 2], [0, -1]])).toarray()
    assert graph.tolist() == [[0, 1, 1], [1, 0, 0], [1, 0, 0]]


def test_path_lengths_are_those_of_networkx() -> None:
    rng = np.random.default_rng(0)
    neighbours = np.array([rng.choice(40, size=9, replace=False) for _ in range(40)])
    graph = mutual_graph(neighbours)
    sources, targets = np.arange(10), rng.integers(0, 40, size=(10, 5))
    oracle = dict(nx.all_pairs_shortest_path_length(nx.from_scipy_sparse_array(graph)))
    found = path_lengths(graph, sources, targets)
    wanted = [
        [oracle[int(one)].get(int(other), np.inf) for other in row] for one, row in zip(sources, targets, strict=True)
    ]
    np.testing.assert_array_equal(found, wanted)
    assert np.isinf(found).any()
    assert np.isfinite(found).any()


def test_pairs_without_a_path_count_as_one_more_than_the_longest() -> None:
    assert _finite(np.array([[1.0, np.inf, 4.0]])).tolist() == [[1.0, 5.0, 4.0]]


def test_the_correlation_is_scipys() -> None:
    rng = np.random.default_rng(1)
    one, other = rng.integers(1, 6, size=(8, 9)).astype(float), rng.integers(1, 6, size=(8, 9)).astype(float)
    assert _spearman(one, other) == pytest.approx(spearmanr(one.ravel(), other.ravel()).statistic)
    assert _spearman(one, np.ones_like(one)) == 0.0


def test_the_overlap_counts_common_neighbours() -> None:
    one = np.array([[1, 2, 3], [0, 2, -1], [-1, -1, -1]])
    other = np.array([[3, 1, 9], [5, 6, 7], [0, 1, 2]])
    np.testing.assert_allclose(_shared(one, other), [2 / 3, 0.0, 1.0])


def test_directions_beyond_those_that_are_used_are_not_needed() -> None:
    found = preservation(vectors(), [2, 4, 6, 12, 24], neighbours=5, sources=60, draws=20)
    assert found.widths == [2, 4, 6, 12, 24]
    assert found.rho[2] == pytest.approx(1.0, abs=0.02)
    assert found.overlap[2] == pytest.approx(1.0, abs=0.01)
    assert found.overlap[0] < found.overlap[1] < found.overlap[2]
    assert found.least() == 6
    low, high = found.interval()
    assert low <= 6 <= high <= 12


def test_all_directions_together_preserve_everything() -> None:
    found = preservation(vectors(noise=0.3), [8], neighbours=5, sources=50, draws=0)
    assert found.widths == [8, 24]
    assert (found.rho[-1], found.overlap[-1]) == (1.0, 1.0)


def test_the_least_width_needs_every_larger_one_to_hold() -> None:
    rho, overlap = np.array([0.99, 0.9, 0.99, 1.0]), np.array([0.9, 0.9, 0.9, 1.0])
    assert least_width([8, 16, 24, 32], rho, overlap, 0.95, 0.8) == 24
    assert least_width([8, 16, 24, 32], rho, overlap, 0.85, 0.8) == 8
    assert least_width([8, 16, 24, 32], rho, overlap, 0.95, 0.95) == 32


def test_one_seed_gives_one_answer() -> None:
    first, again = (
        preservation(vectors(noise=0.2), [4, 8], neighbours=5, sources=40, draws=5, seed=7) for _ in range(2)
    )
    np.testing.assert_array_equal(first.rho_draws, again.rho_draws)
    np.testing.assert_array_equal(first.overlap, again.overlap)


def test_the_grid_is_of_whole_heads() -> None:
    assert width_grid(384, 32) == list(range(32, 385, 32))
    assert width_grid(100, 32) == [32, 64, 96, 100]
