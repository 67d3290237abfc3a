"""The front against the definition, the hypervolume against Optuna's and against counted cells."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.search.front import dominates, hypervolume, pareto_front

POINTS = st.integers(1, 12).flatmap(
    lambda count: st.integers(2, 4).flatmap(
        lambda objectives: st.lists(
            st.lists(st.integers(0, 6).map(lambda cell: cell / 6), min_size=objectives, max_size=objectives),
            min_size=count, max_size=count,
        )
    )
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(POINTS)
def test_the_front_is_what_nothing_dominates(points: list[list[float]]) -> None:
    found = pareto_front(points)
    for at, point in enumerate(points):
        assert (at in found) == (not any(dominates(other, point) for other in points))


@settings(max_examples=150, deadline=None)
@given(POINTS)
def test_the_hypervolume_is_optunas(points: list[list[float]]) -> None:
    from optuna._hypervolume import compute_hypervolume

    reference = np.full(len(points[0]), 0.9)
    inside = np.asarray([point for point in points if (np.asarray(point) <= reference).all()])
    oracle = float(compute_hypervolume(inside, reference)) if len(inside) else 0.0
    assert hypervolume(points, reference.tolist()) == pytest.approx(oracle, abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(POINTS)
def test_the_hypervolume_is_the_number_of_dominated_cells(points: list[list[float]]) -> None:
    corners = itertools.product(np.arange(6) / 6, repeat=len(points[0]))
    held = np.asarray(points)
    count = sum(bool((held <= np.asarray(corner) + 1e-9).all(axis=1).any()) for corner in corners)
    assert hypervolume(points, [1.0] * len(points[0])) == pytest.approx(count / 6 ** len(points[0]))


def test_points_beyond_the_reference_add_nothing() -> None:
    assert hypervolume([[0.5, 1.0], [2.0, 0.1]], [1.0, 1.0]) == 0.0
    assert hypervolume([], [1.0, 1.0]) == 0.0


def test_equal_candidates_are_on_the_front_together() -> None:
    assert pareto_front([[1.0, 2.0], [1.0, 2.0], [2.0, 1.0], [2.0, 2.0]]) == [0, 1, 2]


def test_what_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="row of numbers"):
        pareto_front([[1.0, float("nan")]])
    with pytest.raises(ValueError, match="3 objectives, but the reference has 2"):
        hypervolume([[0.1, 0.1, 0.1]], [1.0, 1.0])
