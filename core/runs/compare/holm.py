"""Holm's correction (1979) for several comparisons: adjusted p-values, and levels for intervals that agree with them.

Holm, S.: A simple sequentially rejective multiple test procedure. Scandinavian Journal of Statistics 6, 65–70.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["holm", "holm_levels"]


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the adjusted p-values: at or below α exactly where Holm's procedure at level α rejects."""
    count = len(p_values)
    adjusted = [0.0] * count
    largest = 0.0
    for rank, index in enumerate(sorted(range(count), key=lambda at: p_values[at])):
        largest = max(largest, min(1.0, (count - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def holm_levels(p_values: Sequence[float], alpha: float = 0.05) -> list[float]:
    """Return for each comparison the confidence level at which its interval excludes 0 exactly if Holm rejects.

    The comparison with the k-th smallest of m p-values was tested at α/(m − k + 1). Those behind the first that was
    not rejected share its level: the procedure went no further.
    """
    count = len(p_values)
    levels = [1 - alpha] * count
    stopped: float | None = None
    for rank, index in enumerate(sorted(range(count), key=lambda at: p_values[at])):
        share = stopped if stopped is not None else alpha / (count - rank)
        levels[index] = 1 - share
        if stopped is None and p_values[index] > share:
            stopped = share
    return levels
