"""d*: the smallest width from which every larger one holds both thresholds, read off measured curves. Pure numpy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["least_interval", "least_width"]


def least_width(
    widths: Sequence[int], rho: np.ndarray, overlap: np.ndarray, least_rho: float, least_overlap: float
) -> int:
    """Return the smallest width from which every larger one holds both thresholds; the largest holds by definition."""
    return int(_least(widths, np.atleast_2d(rho), np.atleast_2d(overlap), least_rho, least_overlap)[0])


def least_interval(
    widths: Sequence[int], rho: np.ndarray, overlap: np.ndarray, least_rho: float, least_overlap: float,
    level: float = 0.95,
) -> tuple[int, int]:  # fmt: skip
    """Return the percentile interval of d* over bootstrap draws (Efron 1979).

    Parameters
    ----------
    widths
        The grid, ascending.
    rho, overlap
        Of shape (draws, widths), at least one draw.
    least_rho, least_overlap
        The thresholds.
    level
        Share of the draws within.
    """
    found = _least(widths, np.asarray(rho), np.asarray(overlap), least_rho, least_overlap)
    tail = (1 - level) / 2
    low, high = np.quantile(found, [tail, 1 - tail], method="nearest")
    return int(low), int(high)


def _least(
    widths: Sequence[int], rho: np.ndarray, overlap: np.ndarray, least_rho: float, least_overlap: float
) -> np.ndarray:
    """Return d* of every row of curves of shape (rows, widths)."""
    holds = (rho >= least_rho) & (overlap >= least_overlap)
    holds[:, -1] = True
    wide_enough = np.logical_and.accumulate(holds[:, ::-1], axis=1).sum(axis=1)
    return np.asarray(widths)[len(widths) - wide_enough]
