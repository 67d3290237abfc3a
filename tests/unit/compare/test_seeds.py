"""Intervals over seeds: scipy is the oracle, coverage and power are simulated."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from core.runs.compare import paired_difference, seeds_needed, welch_difference

_VALUES = st.lists(st.floats(0, 1, allow_nan=False), min_size=2, max_size=12)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=12))
def test_the_paired_interval_is_that_of_scipy(pairs: list[tuple[float, float]]) -> None:
    arm, reference = (np.array(side) for side in zip(*pairs, strict=True))
    if np.ptp(arm - reference) < 1e-9:
        return
    found = paired_difference(arm, reference)
    oracle = stats.ttest_rel(arm, reference)
    assert found.p == pytest.approx(oracle.pvalue, rel=1e-6, abs=1e-12)
    assert found.df == oracle.df == len(pairs) - 1
    for level in (0.95, 0.99):
        wanted = oracle.confidence_interval(level)
        assert found.interval(level) == pytest.approx((wanted.low, wanted.high), rel=1e-6, abs=1e-9)


@given(_VALUES, _VALUES)
def test_the_unpaired_interval_is_welchs_of_scipy(arm: list[float], reference: list[float]) -> None:
    if np.ptp(arm) < 1e-6 or np.ptp(reference) < 1e-6:
        return
    found = welch_difference(arm, reference)
    oracle = stats.ttest_ind(arm, reference, equal_var=False)
    wanted = oracle.confidence_interval(0.95)
    assert found.p == pytest.approx(oracle.pvalue, rel=1e-6, abs=1e-12)
    assert found.interval() == pytest.approx((wanted.low, wanted.high), rel=1e-6, abs=1e-9)


def test_the_paired_interval_of_five_seeds_covers_the_truth_95_times_in_100() -> None:
    generator = np.random.default_rng(7)
    truth, trials = 0.02, 2000
    hits = 0
    for noise in generator.normal(0, 0.03, size=(trials, 5)):
        shared = generator.normal(0, 0.1, size=5)  # what a seed does to both arms cancels
        low, high = paired_difference(shared + truth + noise, shared).interval()
        hits += low <= truth <= high
    assert hits / trials == pytest.approx(0.95, abs=0.015)


def test_a_percentile_bootstrap_over_five_seeds_would_not() -> None:
    """Why seeds get a t-interval."""
    generator = np.random.default_rng(8)
    drawn = generator.normal(0, 1, size=(2000, 5))
    means = drawn[:, generator.integers(0, 5, size=(400, 5))].mean(axis=2)
    low, high = np.quantile(means, [0.025, 0.975], axis=1)
    assert ((low <= 0) & (high >= 0)).mean() < 0.88


def test_values_on_a_grid_never_give_an_interval_without_width() -> None:
    same = paired_difference([40.0] * 5, [20.0] * 5, resolution=10.0)
    low, high = same.interval()
    assert low < 20 < high
    assert same.sd == pytest.approx(10 / 6**0.5)


def test_a_difference_without_any_spread_is_certain() -> None:
    assert paired_difference([1.0] * 3, [0.0] * 3).p == 0.0
    assert paired_difference([1.0] * 3, [1.0] * 3).p == 1.0


@pytest.mark.parametrize(("arm", "reference"), [([1.0], [1.0]), ([1.0, 2.0], [1.0])])
def test_one_pair_is_no_comparison(arm: list[float], reference: list[float]) -> None:
    with pytest.raises(ValueError, match="two"):
        paired_difference(arm, reference)


@pytest.mark.parametrize("ratio", [0.5, 1.0, 2.0, 4.0])
def test_the_seeds_that_are_needed_find_the_margin_four_times_in_five(ratio: float) -> None:
    count = seeds_needed(ratio, 1.0)
    assert count is not None
    power = 1 - stats.nct.cdf(stats.t.ppf(0.975, count - 1), count - 1, count**0.5 / ratio)
    assert 0.78 <= power <= 0.97 if count < 8 else 0.79 <= power <= 0.85


def test_more_than_a_thousand_seeds_are_no_answer() -> None:
    assert seeds_needed(20.0, 1.0) is None
    assert seeds_needed(float("nan"), 1.0) is None
    assert seeds_needed(0.0, 1.0) == 2
