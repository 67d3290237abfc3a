"""The range test's analysis, on curves whose answer is known."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.config import RangeTestConfig
from core.training.range_test import Watch, analyse, rates, smooth

CONFIG = RangeTestConfig(lr_min=1e-6, lr_max=1.0, steps=120)


def curve(
    *, fall_at: float = 1e-3, depth: float = 0.5, explode_at: float = 0.1, noise: float = 0.0, seed: int = 0
) -> tuple[list[float], list[float]]:
    """A loss of 0.7 that falls around one rate (steepest exactly there) and explodes from another one on."""
    lrs = np.asarray(rates(CONFIG))
    x = np.log(lrs)
    loss = 0.7 - depth / (1 + np.exp(-(x - math.log(fall_at)) / 0.8))
    loss += np.maximum(0, x - math.log(explode_at)) ** 3
    loss += np.random.default_rng(seed).normal(0, noise, len(lrs))
    return lrs.tolist(), loss.tolist()


def test_rates_grow_by_one_factor_and_hit_both_ends_exactly() -> None:
    found = rates(CONFIG)
    assert found[0] == 1e-6
    assert found[-1] == 1.0
    assert len(found) == 120
    factors = np.diff(np.log(found))
    assert np.allclose(factors, factors[0])


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=60), st.floats(0, 0.99))
@settings(max_examples=60, deadline=None)
def test_smoothing_is_pandas_bias_corrected_exponential_mean(values: list[float], past: float) -> None:
    oracle = pd.Series(values).ewm(alpha=1 - past, adjust=True).mean().to_numpy()
    assert np.allclose(smooth(values, past), oracle, atol=1e-9)


def test_a_constant_loss_is_smoothed_to_itself_from_the_first_step_on() -> None:
    assert np.allclose(smooth([0.7] * 20, 0.98), 0.7)


@pytest.mark.parametrize("fall_at", [1e-4, 1e-3, 1e-2])
def test_the_steepest_fall_is_found_at_the_rate_where_it_is(fall_at: float) -> None:
    found = analyse("all", *curve(fall_at=fall_at), CONFIG)
    assert found.lr == found.steepest
    assert found.steepest == pytest.approx(fall_at, rel=0.35)  # without the lag correction it is 2.8 times that


@pytest.mark.parametrize("seed", range(8))
def test_noise_moves_the_suggestion_by_less_than_a_factor_of_four(seed: int) -> None:
    found = analyse("all", *curve(noise=0.05, seed=seed), CONFIG)
    assert found.lr is not None
    assert 1e-3 / 4 < found.lr < 1e-3 * 4
    assert found.noise == pytest.approx(0.05, rel=0.4)


def test_a_tenth_of_the_lowest_rate_and_the_divergence_are_told() -> None:
    found = analyse("all", *curve(), CONFIG)
    assert found.lowest is not None
    assert found.tenth == pytest.approx(found.lowest / 10)
    assert found.diverged is not None
    # the loss is at 0.2 and rises above 0.7 where (log(lr) − log(0.1))³ is 0.5
    crossed = 0.1 * math.exp(0.5 ** (1 / 3))
    assert crossed < found.diverged < 2 * crossed
    assert found.lowest < found.diverged
    for number in (found.steepest, found.tenth, found.diverged):
        assert f"{number:.2g}" in found.reason


def test_noise_alone_suggests_nothing() -> None:
    lrs = rates(CONFIG)
    wrong = [
        seed for seed in range(200)
        if analyse("all", lrs, np.random.default_rng(seed).normal(0.7, 0.05, len(lrs)).tolist(), CONFIG).lr is not None
    ]  # fmt: skip
    assert len(wrong) <= 4


def test_a_loss_that_only_rises_suggests_nothing_and_says_where_it_diverged() -> None:
    lrs, losses = curve(depth=0.0, explode_at=1e-3)
    found = analyse("head", lrs, losses, CONFIG)
    assert found.lr is None
    assert "did not fall" in found.reason
    assert found.diverged is not None
    assert found.diverged > 1e-3


def test_a_loss_that_is_no_number_ends_the_curve_and_counts_as_divergence() -> None:
    lrs, losses = curve()
    at = 90
    losses[at:] = [math.nan] * (len(losses) - at)
    found = analyse("all", lrs, losses, CONFIG)
    assert found.lr == pytest.approx(1e-3, rel=0.35)
    assert found.diverged == lrs[at]


def test_no_number_at_once_asks_for_a_smaller_start() -> None:
    found = analyse("all", rates(CONFIG)[:2], [0.7, math.inf], CONFIG)
    assert found.lr is None
    assert "smaller rate" in found.reason


def test_a_fall_that_goes_on_at_the_end_asks_for_a_larger_end() -> None:
    lrs = rates(CONFIG)
    losses = [0.7 - 0.05 * max(0.0, math.log(lr / 1e-4)) for lr in lrs]
    assert "larger lr_max" in analyse("all", lrs, losses, CONFIG).reason


def test_the_watch_smooths_as_the_analysis_does_and_ends_when_it_diverges() -> None:
    lrs, losses = curve()
    watch = Watch(CONFIG)
    seen = []
    for loss in losses:
        seen.append(watch.observe(loss))
        if watch.ended:
            break
    assert np.allclose(seen, smooth(losses[: len(seen)], CONFIG.smoothing))
    assert len(seen) < len(losses)
    found = analyse("all", lrs[: len(seen)], losses[: len(seen)], CONFIG)
    assert found.diverged is not None
    assert found.diverged < lrs[len(seen) - 1]  # it diverged before the test gave it up


def test_a_loss_near_zero_may_grow_many_fold_without_ending_the_test() -> None:
    watch = Watch(CONFIG)
    for at in range(120):
        watch.observe(0.7 if at < 12 else (1e-5 if at < 60 else 0.2))
    assert not watch.ended


def test_the_watch_ends_at_the_first_loss_that_is_no_number() -> None:
    watch = Watch(CONFIG)
    watch.observe(math.nan)
    assert watch.ended
