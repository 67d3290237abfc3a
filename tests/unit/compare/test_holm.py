"""Holm's correction: the oracle is the closed test with Bonferroni, of which Holm's procedure is the short way."""

from __future__ import annotations

from itertools import chain, combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.runs.compare import holm, holm_levels

_FAMILIES = st.lists(st.floats(0, 1, allow_nan=False), min_size=1, max_size=6)


def _closed(p_values: list[float], index: int) -> float:
    """Largest Bonferroni p-value of all intersections that hold the hypothesis (Marcus, Peritz and Gabriel 1976)."""
    others = [at for at in range(len(p_values)) if at != index]
    subsets = chain.from_iterable(combinations(others, size) for size in range(len(others) + 1))
    return max(min(1.0, (len(rest) + 1) * min(p_values[at] for at in (index, *rest))) for rest in subsets)


@given(_FAMILIES)
def test_adjusted_values_are_those_of_the_closed_test(p_values: list[float]) -> None:
    assert holm(p_values) == pytest.approx([_closed(p_values, at) for at in range(len(p_values))])


@given(_FAMILIES)
def test_an_interval_at_its_level_excludes_zero_exactly_where_holm_rejects(p_values: list[float]) -> None:
    adjusted, levels = holm(p_values), holm_levels(p_values, 0.05)
    for p, corrected, level in zip(p_values, adjusted, levels, strict=True):
        if abs(corrected - 0.05) > 1e-9:
            assert (p <= 1 - level) == (corrected <= 0.05)


def test_a_single_comparison_is_not_corrected() -> None:
    assert holm([0.03]) == [0.03]
    assert holm_levels([0.03]) == [0.95]
    assert holm([]) == holm_levels([]) == []
