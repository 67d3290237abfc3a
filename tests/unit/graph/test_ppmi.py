"""PPMI against brute force over a table of counts."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.graph.edges.ppmi import ppmi


def brute_force(table: list[list[int]], smoothing: float) -> dict[tuple[int, int], float]:
    total = sum(map(sum, table))
    columns = [sum(row[v] for row in table) for v in range(len(table))]
    smoothed = sum(column**smoothing for column in columns if column)
    found = {}
    for u, row in enumerate(table):
        for v, count in enumerate(row):
            if count:
                joint, source, target = count / total, sum(row) / total, columns[v] ** smoothing / smoothed
                found[u, v] = max(0.0, math.log(joint / (source * target)))
    return found


@given(
    st.integers(1, 6).flatmap(
        lambda n: st.lists(st.lists(st.integers(0, 20), min_size=n, max_size=n), min_size=n, max_size=n)
    ),
    st.sampled_from([1.0, 0.75, 0.3]),
)
def test_equals_brute_force_over_any_table_of_counts(table: list[list[int]], smoothing: float) -> None:
    counts = np.array(table)
    sources, targets = np.nonzero(counts)
    found = ppmi(sources, targets, counts[sources, targets], len(table), smoothing)
    expected = brute_force(table, smoothing)
    assert found.dtype == np.float32
    assert found == pytest.approx([expected[u, v] for u, v in zip(sources.tolist(), targets.tolist(), strict=True)])


def test_equals_the_mutual_information_of_scikit_learn_on_average() -> None:
    from sklearn.metrics import mutual_info_score

    counts = np.array([[5, 1], [1, 5]])
    sources, targets = np.nonzero(counts)
    first, second = np.repeat(sources, counts.ravel()), np.repeat(targets, counts.ravel())
    # Where all pairs of positive information are kept, the others are those with less than by chance.
    information = np.log(counts * 12 / 36)
    mean = float((information * counts).sum() / 12)
    assert mutual_info_score(first, second) == pytest.approx(mean)
    found = ppmi(sources, targets, counts.ravel(), 2)
    assert found == pytest.approx(np.maximum(information.ravel(), 0))


def test_independent_words_have_none() -> None:
    counts = np.outer([1, 2, 3], [4, 5, 6])
    sources, targets = np.nonzero(counts)
    assert ppmi(sources, targets, counts.ravel(), 3) == pytest.approx(np.zeros(9), abs=1e-6)


def test_smoothing_favours_rare_targets_less() -> None:
    # Targets 1 (rare) and 2 (frequent) both occur with source 0 only; 3 with 4 often.
    sources, targets, counts = np.array([0, 0, 4]), np.array([1, 2, 3]), np.array([1, 20, 30])
    plain, smoothed = (ppmi(sources, targets, counts, 5, smoothing) for smoothing in (1.0, 0.75))
    assert smoothed[0] < plain[0]
    assert plain[0] - smoothed[0] > plain[1] - smoothed[1]


def test_marginals_stand_for_pairs_that_are_not_given() -> None:
    counts = np.array([[5, 1], [1, 5]])
    sources, targets = np.nonzero(counts)
    whole = ppmi(sources, targets, counts.ravel(), 2, 0.75)
    part = ppmi(np.array([0]), np.array([0]), np.array([5]), 2, 0.75, (counts.sum(1), counts.sum(0)))
    assert part[0] == pytest.approx(whole[0])


def test_no_pairs_give_no_weights() -> None:
    nothing = np.zeros(0, dtype=np.int64)
    assert len(ppmi(nothing, nothing, nothing, 3)) == 0


@pytest.mark.parametrize("smoothing", [0.0, -1.0, 1.5])
def test_an_exponent_out_of_range_is_refused(smoothing: float) -> None:
    with pytest.raises(ValueError, match="smoothing"):
        ppmi(np.array([0]), np.array([1]), np.array([1]), 2, smoothing)
