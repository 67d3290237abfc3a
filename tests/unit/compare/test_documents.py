"""Intervals and tests over documents; scipy's own functions are the oracle."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from core.runs.compare import Documents, bootstrap_interval, permutation_p


def _answers(generator: np.random.Generator, seeds: int, documents: int, right: float) -> np.ndarray:
    return (generator.random((seeds, documents, 1)) < right).astype(float)


def test_the_interval_is_that_of_the_seed_averaged_differences() -> None:
    generator = np.random.default_rng(0)
    found = Documents(_answers(generator, 5, 300, 0.8), _answers(generator, 5, 300, 0.7))
    apart = (found.arm.mean(0) - found.reference.mean(0))[:, 0]
    half = 1.96 * apart.std() / 300**0.5  # with 300 documents the normal interval is the same
    assert bootstrap_interval(found) == pytest.approx((apart.mean() - half, apart.mean() + half), abs=0.006)
    assert found.difference() == pytest.approx(apart.mean())


def test_a_higher_level_gives_a_wider_interval() -> None:
    generator = np.random.default_rng(1)
    found = Documents(_answers(generator, 2, 100, 0.6), _answers(generator, 2, 100, 0.6))
    narrow, wide = bootstrap_interval(found, 0.9), bootstrap_interval(found, 0.99)
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_the_interval_covers_the_truth() -> None:
    generator = np.random.default_rng(2)
    hits = 0
    for _ in range(60):
        found = Documents(_answers(generator, 3, 200, 0.75), _answers(generator, 3, 200, 0.65))
        low, high = bootstrap_interval(found)
        hits += low <= 0.10 <= high
    assert hits >= 52  # P(fewer than 52 of 60 | 0.95) < 0.01


def test_the_permutation_test_agrees_with_scipys() -> None:
    generator = np.random.default_rng(3)
    found = Documents(_answers(generator, 5, 40, 0.8), _answers(generator, 5, 40, 0.7))
    apart = (found.arm.mean(0) - found.reference.mean(0))[:, 0]
    oracle = stats.permutation_test(
        (apart,), np.mean, permutation_type="samples", n_resamples=4999, vectorized=True, rng=np.random.default_rng(0)
    )
    assert permutation_p(found) == pytest.approx(oracle.pvalue, abs=0.03)


def test_equal_answers_are_no_evidence() -> None:
    same = np.ones((2, 30, 1))
    assert permutation_p(Documents(same, same)) == 1.0
    assert bootstrap_interval(Documents(same, same)) == (0.0, 0.0)


def test_f1_is_computed_from_summed_counts_not_from_documents() -> None:
    # true positives, predicted, gold of two documents
    arm = np.array([[[2, 2, 2], [0, 2, 2]]], dtype=float)
    reference = np.array([[[1, 2, 2], [1, 2, 2]]], dtype=float)
    assert Documents(arm, reference, "f1").difference() == pytest.approx(0.0)
    one_sided = np.array([[[2, 2, 2], [2, 2, 2]]], dtype=float)
    assert Documents(one_sided, reference, "f1").difference() == pytest.approx(0.5)


def test_the_permutations_of_f1_are_those_of_swapping_one_by_one() -> None:
    """Brute force over all assignments of six documents."""
    generator = np.random.default_rng(4)
    gold = generator.integers(1, 4, size=(1, 6, 1))
    arms = [
        np.concatenate([hits := generator.integers(0, 2, size=(2, 6, 1)), hits + 1, np.repeat(gold, 2, 0)], 2)
        for _ in range(2)
    ]
    found = Documents(arms[0].astype(float), arms[1].astype(float), "f1")
    values = []
    for number in range(2**6):
        swap = np.array([number >> place & 1 for place in range(6)], dtype=bool)[None, :, None]
        values.append(
            Documents(
                np.where(swap, found.reference, found.arm), np.where(swap, found.arm, found.reference), "f1"
            ).difference()
        )
    exact = np.mean(np.abs(values) >= abs(found.difference()) - 1e-12)
    assert permutation_p(found) == pytest.approx(exact, abs=0.03)


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="shape"):
        Documents(np.ones((2, 3)), np.ones((2, 3)))
    with pytest.raises(ValueError, match="answered"):
        Documents(np.ones((2, 3, 1)), np.ones((2, 4, 1)))
