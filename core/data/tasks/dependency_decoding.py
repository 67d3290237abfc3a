"""From scores of heads to heads: the best one of each word, or the tree with the highest sum and a single root."""

from __future__ import annotations

import numpy as np

__all__ = ["best_heads", "best_tree", "is_tree"]


def best_heads(scores: np.ndarray) -> np.ndarray:
    """Return the best head of each word by itself; of equals the first.

    Parameters
    ----------
    scores
        Of shape (words, 1 + words): of word t for the root (or none) and for each word as its head; -inf where it
        cannot be.

    Returns
    -------
    numpy.ndarray
        Heads counted from 1, 0 for the root (or none); shape (words,).
    """
    found: np.ndarray = scores.argmax(axis=1)
    return found


def is_tree(heads: np.ndarray) -> bool:
    """Tell whether heads (from 1; 0 for the root) form a tree with exactly one root."""
    if int((heads == 0).sum()) != 1:
        return False
    # Following the heads from all words at once, twice as far in each round, everybody must arrive at the root.
    up = np.concatenate([[0], heads])
    for _ in range(len(heads).bit_length()):
        up = up[up]
    return not up.any()


def best_tree(scores: np.ndarray) -> np.ndarray:
    """Return the tree with one root and the highest sum of scores.

    Parameters
    ----------
    scores
        As for :func:`best_heads`. What cannot be is taken only where no tree does without it.

    Returns
    -------
    numpy.ndarray
        Heads counted from 1, 0 for the root; shape (words,).

    Notes
    -----
    Chu & Liu (1965) and Edmonds (1967), with all circles of a round contracted at once. Every score of the root is
    lowered by more than all scores can differ, so that of all trees one with the fewest roots is best: a single one.

    References
    ----------
    Edmonds (1967), Optimum Branchings. McDonald et al. (2005), Non-projective Dependency Parsing using Spanning Tree
    Algorithms. Zmigrod, Vieira & Cotterell (2020), Please Mind the Root, on why the root needs a rule of its own.
    """
    words = len(scores)
    if words == 0:
        return np.zeros(0, dtype=np.int64)
    greedy = best_heads(scores)
    if np.isfinite(scores[np.arange(words), greedy]).all() and is_tree(greedy):
        return greedy
    known = scores[np.isfinite(scores)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)
    # Finite, or sums of what cannot be would be lost in one another.
    barred = low - (words + 1) * (high - low + 1.0)
    weights = np.full((words + 1, words + 1), -np.inf)
    weights[:, 1:] = np.where(np.isfinite(scores), scores, barred).T
    weights[0, 1:] -= (words + 1) * (high - barred + 1.0)
    np.fill_diagonal(weights, -np.inf)
    return _arborescence(weights)[1:]


def _arborescence(weights: np.ndarray) -> np.ndarray:
    """Return the head of each node in the heaviest arborescence from node 0.

    Parameters
    ----------
    weights
        Of the edge from row to column, shape (nodes, nodes); -inf on the diagonal and towards node 0.

    Returns
    -------
    numpy.ndarray
        Heads, 0 for node 0 itself; shape (nodes,).
    """
    heads: np.ndarray = weights.argmax(axis=0)
    heads[0] = 0
    circles = _circles(heads)
    if not circles:
        return heads
    nodes = len(heads)
    group = np.zeros(nodes, dtype=np.int64)
    inside = np.zeros(nodes, dtype=bool)
    for circle in circles:
        inside[circle] = True
    single = np.flatnonzero(~inside)
    group[single] = np.arange(len(single))
    for number, circle in enumerate(circles, len(single)):
        group[circle] = number
    count = len(single) + len(circles)
    # Entering a circle at a node saves the edge by which the circle enters it.
    saved = np.where(inside, weights[heads, np.arange(nodes)], 0.0)
    gain = weights - saved
    entry = np.empty((nodes, count), dtype=np.int64)
    entry[:, : len(single)] = single
    for number, circle in enumerate(circles, len(single)):
        entry[:, number] = circle[gain[:, circle].argmax(axis=1)]
    entering = np.take_along_axis(gain, entry, axis=1)
    leave = np.empty((count, count), dtype=np.int64)
    leave[: len(single)] = single[:, None]
    for number, circle in enumerate(circles, len(single)):
        leave[number] = circle[entering[circle].argmax(axis=0)]
    smaller = np.take_along_axis(entering, leave, axis=0)
    np.fill_diagonal(smaller, -np.inf)
    above = _arborescence(smaller)
    for number in range(1, count):
        head = leave[above[number], number]
        heads[entry[head, number]] = head
    return heads


def _circles(heads: np.ndarray) -> list[np.ndarray]:
    """Return the circles of heads; node 0 is its own head and no circle."""
    state = np.zeros(len(heads), dtype=np.int64)
    state[0] = -1
    found: list[np.ndarray] = []
    chain = heads.tolist()
    marks = state.tolist()
    for start in range(1, len(chain)):
        at = start
        while marks[at] == 0:
            marks[at] = start
            at = chain[at]
        if marks[at] == start:
            circle = [at]
            following = chain[at]
            while following != at:
                circle.append(following)
                following = chain[following]
            found.append(np.array(circle))
    return found
