"""Thresholds applied to stored curves: no more and no less than measuring with them would say."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import ConfigError
from core.models.shaped import count
from core.search.least import least_interval, least_width
from core.search.proposal import fitted, parent_shape, propose, segments_of
from tests.measured import measured

SHARES = st.floats(0.01, 0.99)


def brute_least(widths: list[int], rho: Any, overlap: Any, least_rho: float, least_overlap: float) -> int:
    """The definition word by word: the smallest width such that it and every larger one hold; the last always does."""
    for at, width in enumerate(widths):
        if all(rho[i] >= least_rho and overlap[i] >= least_overlap for i in range(at, len(widths) - 1)):
            return width
    return widths[-1]


@given(
    curves=st.lists(st.tuples(SHARES, SHARES), min_size=1, max_size=8), rho=SHARES, overlap=SHARES
)  # fmt: skip
def test_d_star_is_the_smallest_width_from_which_all_hold(
    curves: list[tuple[float, float]], rho: float, overlap: float
) -> None:
    widths = [16 * (at + 1) for at in range(len(curves))]
    ones, others = (np.array(column) for column in zip(*curves, strict=True))
    assert least_width(widths, ones, others, rho, overlap) == brute_least(widths, ones, others, rho, overlap)


@settings(max_examples=30)
@given(seed=st.integers(0, 1000), rho=SHARES, overlap=SHARES)
def test_the_interval_is_that_of_the_draws_one_by_one(seed: int, rho: float, overlap: float) -> None:
    draws = np.random.default_rng(seed).uniform(size=(2, 40, 6))
    widths = [8, 16, 24, 32, 40, 48]
    found = sorted(brute_least(widths, one, other, rho, overlap) for one, other in zip(*draws, strict=True))
    low, high = np.quantile(found, [0.025, 0.975], method="nearest")
    assert least_interval(widths, draws[0], draws[1], rho, overlap) == (low, high)


def test_stricter_thresholds_never_need_fewer_directions_and_a_larger_share_never_more_segments() -> None:
    found = measured()
    lax = propose(found, rho=0.5, overlap=0.3, share=0.1)
    strict = propose(found, rho=0.9, overlap=0.7, share=0.1)
    assert all(one["least"] <= other["least"] for one, other in zip(lax["layers"], strict["layers"], strict=True))
    assert lax["layers"] != strict["layers"]
    counts = [propose(found, rho=0.5, overlap=0.3, share=share)["depth"]["fewest"] for share in (0.02, 0.1, 0.5, 0.9)]
    assert counts == sorted(counts, reverse=True)
    assert len(set(counts)) > 1


def test_what_was_measured_stays_as_it_is() -> None:
    found = measured()
    before = json.dumps(found)
    moved = propose(found, rho=0.4, overlap=0.2, share=0.5)
    assert json.dumps(found) == before
    assert moved["cka"] == found["cka"]
    assert moved["thresholds"] == {"rho": 0.4, "overlap": 0.2, "share": 0.5}


def test_without_draws_the_interval_is_the_width_itself() -> None:
    found = {**measured(), "draws": []}
    for entry in propose(found, rho=0.6, overlap=0.4, share=0.1)["layers"]:
        assert entry["least_low"] == entry["least"] == entry["least_high"]


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_segments_cover_every_layer_once_and_need_what_their_neediest_layer_needs(depth: int) -> None:
    found = propose(measured(), rho=0.6, overlap=0.4, share=0.1)
    segments = segments_of(np.asarray(found["cka"]), found["layers"], depth)
    covered = [layer for one in segments for layer in range(one["first"], one["last"] + 1)]
    assert covered == [1, 2, 3, 4]
    for one in segments:
        needed = [found["layers"][layer]["least"] for layer in range(one["first"], one["last"] + 1)]
        assert one["least"] == max(needed)


def test_of_two_layers_the_one_with_more_syntax_stands_for_a_segment() -> None:
    found = propose(measured(), rho=0.6, overlap=0.4, share=0.1)
    likeness = np.asarray(found["cka"])
    layers = [dict(entry) for entry in found["layers"]]
    for entry in layers[1:]:
        entry["margin"] = 5.0 if entry["layer"] == 3 else 0.0
    for one in segments_of(likeness, layers, 2):
        if one["first"] <= 3 <= one["last"]:
            assert one["representative"] == 3


# -- widths within a budget ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("depth", [2, 3, 4])
@pytest.mark.parametrize("readout", [True, False])
def test_a_proposed_shape_meets_the_budget_and_is_wider_where_more_is_needed(depth: int, readout: bool) -> None:
    found = propose(measured(6, width=384, heads=12), rho=0.9, overlap=0.7, share=0.1)
    budget = round(0.7 * depth / 6 * count(parent_shape(found)).body)
    made = fitted(found, depth, budget, readout=readout)
    assert abs(count(made.shape).body - budget) <= 0.03 * budget
    widths = [layer.width for layer in made.shape.layers]
    assert all(width % 32 == 0 for width in widths)
    if not readout:
        assert widths[-1] == 384
    free = widths if readout else widths[:-1]
    needed = [one["least"] for one in made.segments][: len(free)]
    for one, other in zip(np.argsort(needed)[:-1], np.argsort(needed)[1:], strict=True):
        assert free[one] <= free[other] or needed[one] == needed[other]


def test_a_budget_that_nothing_meets_names_the_nearest() -> None:
    found = propose(measured(6, width=384, heads=12), rho=0.9, overlap=0.7, share=0.1)
    with pytest.raises(ConfigError, match="nearest budget"):
        fitted(found, 2, 10**9)


def test_the_parent_s_own_shape_is_plain() -> None:
    shape = parent_shape(measured(6, width=384, heads=12))
    assert shape.plain
    assert (len(shape.layers), shape.layers[0].intermediate, shape.vocabulary) == (6, 1536, 30522)
