"""What no other candidate is better than: the Pareto front and the space that it dominates. Pure numpy.

Every objective is a number that is to be small.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["dominates", "hypervolume", "pareto_front"]


def dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    """Whether `one` is nowhere worse than `other` and somewhere better."""
    first, second = np.asarray(one, dtype=float), np.asarray(other, dtype=float)
    return bool((first <= second).all() and (first < second).any())


def pareto_front(values: Sequence[Sequence[float]] | np.ndarray) -> list[int]:
    """Return the numbers of the rows that no other row dominates, ascending; equal rows stay together.

    Parameters
    ----------
    values
        Of shape (candidates, objectives), all to be small.

    Raises
    ------
    ValueError
        If a value is no number: nothing can be said of such a candidate.
    """
    points = _points(values)
    kept = []
    for at, point in enumerate(points):
        better = (points <= point).all(axis=1) & (points < point).any(axis=1)
        if not better.any():
            kept.append(at)
    return kept


def hypervolume(values: Sequence[Sequence[float]] | np.ndarray, reference: Sequence[float]) -> float:
    """Return the volume that points dominate within a reference point (Zitzler & Thiele 1999), exactly.

    By the recursion of While, Bradstreet & Barone (2012): what a point adds to those before it is its own box less what
    they dominate within that box.

    Parameters
    ----------
    values
        Of shape (points, objectives), all to be small.
    reference
        One bound an objective; a point that reaches a bound adds nothing.

    Raises
    ------
    ValueError
        If the reference has another number of objectives, or a value is no number.
    """
    bound = np.asarray(reference, dtype=float)
    if bound.ndim != 1 or not len(bound) or not np.isfinite(bound).all():
        raise ValueError("the reference is a finite number for each objective")
    if len(values) == 0:
        return 0.0
    points = _points(values)
    if points.shape[1] != len(bound):
        raise ValueError(f"{points.shape[1]} objectives, but the reference has {len(bound)}")
    inside = points[(points < bound).all(axis=1)]
    return _volume(np.unique(inside, axis=0), bound) if len(inside) else 0.0


def _points(values: Sequence[Sequence[float]] | np.ndarray) -> np.ndarray:
    points = np.asarray(values, dtype=float)
    if points.size == 0:
        return points.reshape(0, 0)
    if points.ndim != 2 or np.isnan(points).any():
        raise ValueError("one row of numbers a candidate is needed")
    return points


def _volume(points: np.ndarray, bound: np.ndarray) -> float:
    """Points are different, and all of them within the bound."""
    if points.shape[1] == 1:
        return float(bound[0] - points.min())
    points = points[pareto_front(points)]
    if points.shape[1] == 2:
        ordered = points[np.argsort(points[:, 0])]
        heights = np.concatenate([[bound[1]], ordered[:-1, 1]]) - ordered[:, 1]
        return float(((bound[0] - ordered[:, 0]) * heights).sum())
    points = points[np.argsort(points[:, -1])[::-1]]  # from the worst in the last objective: later boxes hold earlier
    total = 0.0
    for at, point in enumerate(points):
        rest = points[at + 1 :]
        own = float(np.prod(bound - point))
        if len(rest):
            limited = np.unique(np.maximum(rest, point), axis=0)
            own -= _within(limited, bound)
        total += own
    return total


def _within(points: np.ndarray, bound: np.ndarray) -> float:
    inside = points[(points < bound).all(axis=1)]
    return _volume(inside, bound) if len(inside) else 0.0
