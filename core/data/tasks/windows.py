"""Overlapping windows over long sentences, so that no sub-word is lost, and which window answers for a word."""

from __future__ import annotations

import numpy as np

__all__ = ["plan_windows", "window_of"]


def plan_windows(length: int, capacity: int, stride: int) -> list[tuple[int, int]]:
    """Cover positions 0 … `length` − 1 with windows of at most `capacity` positions.

    Parameters
    ----------
    length
        Sub-words of the sentence, without special pieces.
    capacity
        Sub-words that a window holds, at least 1.
    stride
        Sub-words that neighbouring windows share at least, below `capacity`.

    Returns
    -------
    list of (int, int)
        First position and the one behind the last of each window, from left to right; one window ``(0, length)`` where
        everything fits. The last window is moved to the left so that it is full: more context costs nothing there.
    """
    if length <= capacity:
        return [(0, length)]
    step = max(1, capacity - stride)
    starts = list(range(0, length - capacity, step))
    starts.append(length - capacity)
    return [(start, start + capacity) for start in starts]


def window_of(positions: np.ndarray, windows: list[tuple[int, int]]) -> np.ndarray:
    """Return for each position the window in which it has most context.

    Context is the distance to the window's nearer edge. An edge that is the sentence's own cuts nothing off and counts
    as infinitely far. Of equals the earlier window is taken.

    Parameters
    ----------
    positions
        Positions of the words' first sub-words; shape (words,).
    windows
        As :func:`plan_windows` gives them.
    """
    bounds = np.asarray(windows, dtype=np.float64)
    length = bounds[-1, 1]
    left = np.where(bounds[:, 0] == 0, np.inf, positions[:, None] - bounds[:, 0])
    right = np.where(bounds[:, 1] == length, np.inf, bounds[:, 1] - 1 - positions[:, None])
    inside = (positions[:, None] >= bounds[:, 0]) & (positions[:, None] < bounds[:, 1])
    context = np.where(inside, np.minimum(left, right), -np.inf)
    return context.argmax(axis=1)
