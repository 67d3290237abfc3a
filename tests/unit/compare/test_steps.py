"""Steps to a target."""

from __future__ import annotations

import math

import pytest

from core.runs.compare import Pair, Verdict, compare, restricted, steps_to_target


def test_the_first_step_at_or_above_the_target_counts() -> None:
    assert steps_to_target([5, 10, 15], [0.5, 0.7, 0.9], 0.7) == 10


def test_a_loss_reaches_its_target_from_above() -> None:
    assert steps_to_target([1, 2, 3], [0.9, 0.6, 0.2], 0.6, minimise=True) == 2


def test_a_run_that_never_arrives_has_no_step() -> None:
    assert steps_to_target([1, 2], [0.1, 0.2], 0.5) is None
    assert steps_to_target([], [], 0.5) is None


def test_smoothing_keeps_one_lucky_evaluation_from_being_an_arrival() -> None:
    steps, values = [1, 2, 3, 4, 5, 6], [0.5, 0.5, 0.8, 0.5, 0.8, 0.8]
    assert steps_to_target(steps, values, 0.7) == 3
    assert steps_to_target(steps, values, 0.7, smoothing=0.5) == 6


def test_values_that_are_no_numbers_are_skipped() -> None:
    assert steps_to_target([1, 2, 3], [None, math.nan, 0.8], 0.7) == 3


def test_never_counts_as_the_whole_budget() -> None:
    assert restricted({0: 10, 1: None, 2: 90}, 80) == ({0: 10.0, 1: 80.0, 2: 80.0}, 1)


def test_fewer_steps_are_better() -> None:
    fast, _ = restricted({seed: 10 + seed for seed in range(5)}, 80)
    slow, _ = restricted(dict.fromkeys(range(5)), 80)
    found = compare([Pair("fast against slow", fast, slow, delta=8, larger_is_better=False, resolution=5)])[0]
    assert found.verdict is Verdict.BETTER
    assert found.difference == pytest.approx(-68)
