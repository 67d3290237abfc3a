from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import NearestNeighbors

from core.graph.knn import nearest


def brute(vectors: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """All cosines in float64, each word's sorted by (−cosine, index)."""
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1)
    unit = vectors / np.where(lengths > 0, lengths, 1)[:, None]
    neighbours = np.full((len(vectors), k), -1)
    cosines = np.zeros((len(vectors), k))
    for one in range(len(vectors)):
        others = [other for other in range(len(vectors)) if other != one and lengths[other] and lengths[one]]
        ranked = sorted(others, key=lambda other: (-round(float(unit[one] @ unit[other]), 6), other))[:k]
        neighbours[one, : len(ranked)] = ranked
        cosines[one, : len(ranked)] = [unit[one] @ unit[other] for other in ranked]
    return neighbours, cosines


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 60), st.integers(1, 6), st.integers(1, 12), st.integers(1, 25), st.integers(0, 2**32 - 1))
def test_neighbours_and_ties_are_those_of_brute_force(words: int, width: int, k: int, block: int, seed: int) -> None:
    # Few different small numbers: many equal cosines and some vectors of zeros.
    vectors = np.random.default_rng(seed).integers(-1, 2, (words, width)).astype(np.float32)
    # Rounding must not part what is equal: exact lengths only.
    lengths = (vectors**2).sum(axis=1)
    vectors[~np.isin(lengths, [1.0, 4.0])] = 0
    neighbours, cosines = nearest(vectors, k, block=block)
    expected, values = brute(vectors, k)
    np.testing.assert_array_equal(neighbours, expected)
    np.testing.assert_allclose(cosines, values, atol=1e-6)


@pytest.mark.parametrize(("k", "block"), [(1, 64), (10, 64), (10, 400), (100, 64)])
def test_neighbours_are_those_of_scikit_learn(k: int, block: int) -> None:
    vectors = np.random.default_rng(3).normal(size=(500, 24)).astype(np.float32)
    neighbours, cosines = nearest(vectors, k, block=block)
    search = NearestNeighbors(n_neighbors=k, metric="cosine", algorithm="brute").fit(vectors.astype(np.float64))
    distances, expected = search.kneighbors()
    np.testing.assert_allclose(cosines, 1 - distances, atol=2e-6)
    assert (neighbours == expected).mean() > 0.999


def test_equal_vectors_far_apart_are_ordered_by_index() -> None:
    vectors = np.zeros((90, 3), dtype=np.float32)
    vectors[:, 0] = 1
    neighbours, cosines = nearest(vectors, 3, block=8)
    assert neighbours[0].tolist() == [1, 2, 3]
    assert neighbours[50].tolist() == [0, 1, 2]
    assert neighbours[1].tolist() == [0, 2, 3]
    assert (cosines == 1).all()


def test_lengths_do_not_count_and_half_precision_is_taken() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(80, 8)).astype(np.float16)
    scaled = vectors.astype(np.float32) * rng.uniform(1e-30, 1e30, (80, 1)).astype(np.float32)
    np.testing.assert_array_equal(nearest(vectors, 5)[0], nearest(scaled, 5)[0])


def test_a_vector_of_zeros_has_no_neighbours_and_is_nobodys() -> None:
    vectors = np.eye(4, dtype=np.float32)
    vectors[2] = 0
    neighbours, cosines = nearest(vectors, 3)
    assert neighbours[2].tolist() == [-1, -1, -1]
    assert neighbours[0].tolist() == [1, 3, -1]
    assert not (neighbours == 2).any()
    assert cosines.tolist()[0] == [0.0, 0.0, 0.0]


def test_the_input_is_left_as_it_was() -> None:
    vectors = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
    before = vectors.copy()
    nearest(vectors, 3)
    np.testing.assert_array_equal(vectors, before)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_no_finite_numbers_are_refused(bad: float) -> None:
    vectors = np.ones((3, 2), dtype=np.float32)
    vectors[1, 1] = bad
    with pytest.raises(ValueError, match="finite"):
        nearest(vectors, 1)


def test_it_can_be_stopped_between_blocks() -> None:
    calls = []

    def check() -> None:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        nearest(np.random.default_rng(0).normal(size=(64, 4)), 2, check=check, block=8)


def test_what_the_dashboard_imports_does_not_load_torch() -> None:
    modules = "core.graph.knn, core.models.cka, core.graph.pieces, core.graph.edges.sim"
    code = f"import sys, {modules}; print('torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
