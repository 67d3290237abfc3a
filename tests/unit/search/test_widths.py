"""Widths: budgets are met, the prior's centre lies where the statistics say, and impossible budgets are refused."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import ConfigError
from core.models.shaped import count
from core.search.widths import TOLERANCE, Space, _bodies, even_shape, sample_even, sample_prior, scale_to_budget

SPACE = Space(layers=6, stream=384, head_size=32, budget=5_300_000)
NEEDED = [384, 320, 256, 192, 256, 320]


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 8), st.integers(2, 12), st.sampled_from(["readout", "bus", "stepped"]), st.integers(0, 10**6))
def test_counting_many_at_once_agrees_with_the_formula(layers: int, heads: int, kind: str, seed: int) -> None:
    mode: Literal["bus", "stepped"] = "stepped" if kind == "stepped" else "bus"
    space = Space(layers=layers, stream=16 * heads, head_size=16, budget=1, readout=kind == "readout", mode=mode)
    widths = np.random.default_rng(seed).choice(space.grid, size=(5, layers))
    assert _bodies(space, widths).tolist() == [space.body(list(row)) for row in widths]


@pytest.mark.parametrize("readout", [True, False])
def test_every_sampled_shape_meets_the_budget_and_ends_wide(readout: bool) -> None:
    space = Space(**{**SPACE.__dict__, "readout": readout})
    for shapes in (sample_prior(space, NEEDED, 20, seed=1), sample_even(space, 20, seed=1)):
        assert len(shapes) == 20
        for shape in shapes:
            assert abs(count(shape).body - space.budget) <= TOLERANCE * space.budget
            assert shape.readout or shape.layers[-1].width == space.stream
            assert all(layer.width % 32 == 0 and layer.size_of_head == 32 for layer in shape.layers)
        assert len({tuple(layer.width for layer in shape.layers) for shape in shapes}) == 20


def test_the_prior_gives_more_width_where_more_is_needed() -> None:
    shapes = sample_prior(SPACE, NEEDED, 200, seed=0, deviation=0.3)
    means = np.mean([[layer.width for layer in shape.layers] for shape in shapes], axis=0)
    assert means[3] < means[1] < means[0]
    assert np.corrcoef(np.log(means), np.log(NEEDED))[0, 1] > 0.95


def test_one_seed_gives_one_sample() -> None:
    first, again, other = (sample_prior(SPACE, NEEDED, 5, seed=seed) for seed in (3, 3, 4))
    assert first == again != other


def test_the_scale_meets_the_budget() -> None:
    scale = scale_to_budget(SPACE, NEEDED)
    widths = np.clip(scale * np.asarray(NEEDED), 32, 384)
    exact = SPACE.body([int(32 * round(width / 32)) for width in widths])
    assert exact == pytest.approx(SPACE.budget, rel=0.1)


def test_a_budget_that_no_shape_meets_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"No shape of 6 layers has 50,000,000.*nearest budget that can be met"):
        sample_prior(Space(**{**SPACE.__dict__, "budget": 50_000_000}), NEEDED, 1, seed=0)
    with pytest.raises(ConfigError, match="nearest"):
        sample_even(Space(**{**SPACE.__dict__, "budget": 10}), 1, seed=0)


def test_the_uniform_shape_meets_the_budget_with_the_ratio_nearest_to_the_usual() -> None:
    shape = even_shape(SPACE)
    assert shape is not None
    assert len({layer.width for layer in shape.layers}) == 1
    assert abs(count(shape).body - SPACE.budget) <= TOLERANCE * SPACE.budget
    assert 3 < shape.layers[0].intermediate / shape.layers[0].width < 5
