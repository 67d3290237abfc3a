"""Trees as distances and distances as trees: numpy and scipy only."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import numpy as np
from scipy.sparse.csgraph import minimum_spanning_tree

from core.errors import DataError

__all__ = [
    "chain_distances",
    "contract",
    "edges_of",
    "heads_from_edges",
    "is_tree",
    "spanning_edges",
    "tree_distances",
    "word_mask",
]

#: Universal parts of speech that are no words of a tree: punctuation, and white space (spaCy's own tag).
_NO_WORDS = ("PUNCT", "SPACE")


def _order(heads: np.ndarray) -> list[int]:
    """Return the tokens that are reached from the roots, each after its head."""
    children: list[list[int]] = [[] for _ in heads]
    order: list[int] = []
    for token, head in enumerate(heads.tolist()):
        if head < 0:
            order.append(token)
        elif head < len(children):
            children[head].append(token)
    for token in order:  # grows while it is read
        order.extend(children[token])
    return order


def is_tree(heads: np.ndarray) -> bool:
    """Tell whether heads of shape (tokens,), -1 for the root, make one tree: one root, and every token below it."""
    heads = np.asarray(heads, dtype=np.int64)
    return int((heads < 0).sum()) == 1 and len(_order(heads)) == len(heads)


def tree_distances(heads: np.ndarray) -> np.ndarray:
    """Count the edges between every two tokens of a tree.

    Parameters
    ----------
    heads
        Index of each token's head, -1 for the root; shape (tokens,).

    Returns
    -------
    numpy.ndarray
        Distances, int16 of shape (tokens, tokens).

    Raises
    ------
    DataError
        If the heads are no tree: no root or several, or a circle.
    """
    heads = np.asarray(heads, dtype=np.int64)
    if not is_tree(heads):
        raise DataError(
            "The heads of a sentence do not make a tree.", expected="one root (-1) and no circle",
            where=f"heads {heads[:20].tolist()}",
        )  # fmt: skip
    distances = np.zeros((len(heads), len(heads)), dtype=np.int16)
    order = _order(heads)
    for at, token in enumerate(order[1:], 1):
        done = order[:at]
        distances[token, done] = distances[done, token] = distances[heads[token], done] + 1
    return distances


def chain_distances(length: int) -> np.ndarray:
    """Return |i − j|: the distances if every token hung on its neighbour; int16 of shape (length, length)."""
    places = np.arange(length, dtype=np.int16)
    return np.abs(places[:, None] - places[None, :])


def word_mask(tokens: Sequence[str], tags: Sequence[str] = ()) -> np.ndarray:
    """Tell words from punctuation.

    Parameters
    ----------
    tokens
        The tokens.
    tags
        Their universal parts of speech; where there are none, a token without any letter, digit or symbol is
        punctuation.

    Returns
    -------
    numpy.ndarray
        Booleans of shape (tokens,).
    """
    if len(tags) == len(tokens) and any(tags):
        return np.array([tag not in _NO_WORDS for tag in tags], dtype=bool)
    return np.array([any(unicodedata.category(sign)[0] in "LNSM" for sign in token) for token in tokens], dtype=bool)


def contract(heads: np.ndarray, keep: np.ndarray) -> np.ndarray:
    """Take tokens out of a tree: their children hang on the nearest kept ancestor.

    A kept token without a kept ancestor becomes the root if it is the first, otherwise it hangs on that first one.

    Parameters
    ----------
    heads
        Index of each token's head, -1 for the root; a tree of shape (tokens,).
    keep
        Which tokens stay; booleans of shape (tokens,).

    Returns
    -------
    numpy.ndarray
        Heads among the kept tokens, counted among them; shape (kept,).
    """
    heads, keep = np.asarray(heads, dtype=np.int64), np.asarray(keep, dtype=bool)
    place = np.where(keep, np.cumsum(keep) - 1, -1)
    nearest = np.full(len(heads), -1, dtype=np.int64)  # nearest kept ancestor, in the old numbering
    for token in _order(heads):
        head = int(heads[token])
        if head >= 0:
            nearest[token] = head if keep[head] else nearest[head]
    kept = np.flatnonzero(keep)
    found = np.where(nearest[kept] >= 0, place[nearest[kept]], -1)
    roots = np.flatnonzero(found < 0)
    if len(roots) > 1:
        found[roots[1:]] = roots[0]
    return found


def edges_of(heads: np.ndarray) -> np.ndarray:
    """Return a tree's edges without direction: shape (tokens − 1, 2), the smaller index first, sorted."""
    heads = np.asarray(heads, dtype=np.int64)
    below = np.flatnonzero(heads >= 0)
    return _sorted(np.stack([below, heads[below]], axis=1))


def spanning_edges(distances: np.ndarray) -> np.ndarray:
    """Return the edges of the minimum spanning tree: shape (tokens − 1, 2), the smaller index first, sorted.

    Parameters
    ----------
    distances
        Symmetric, shape (tokens, tokens); zeros are distances like others.
    """
    distances = np.asarray(distances, dtype=np.float64)
    if len(distances) < 2:
        return np.empty((0, 2), dtype=np.int64)
    # scipy reads 0 as "no edge". All spanning trees have equally many edges, so a constant changes none.
    tree = minimum_spanning_tree(np.triu(distances - distances.min() + 1.0, 1)).tocoo()
    return _sorted(np.stack([tree.row, tree.col], axis=1).astype(np.int64))


def heads_from_edges(edges: np.ndarray, length: int) -> np.ndarray:
    """Give an undirected tree a root: the token with the smallest sum of tree distances to all others.

    A structural probe says nothing of direction. The middle of the tree is a guess that depends on nothing else; of
    equals the first token is taken.

    Parameters
    ----------
    edges
        Edges of a tree, shape (length − 1, 2).
    length
        Number of tokens.

    Returns
    -------
    numpy.ndarray
        Index of each token's head, -1 for the root; shape (length,).
    """
    if length == 0:
        return np.empty(0, dtype=np.int64)
    heads = _hang(edges, length, 0)
    return _hang(edges, length, int(tree_distances(heads).sum(axis=1, dtype=np.int64).argmin()))


def _hang(edges: np.ndarray, length: int, root: int) -> np.ndarray:
    near: list[list[int]] = [[] for _ in range(length)]
    for one, other in np.asarray(edges, dtype=np.int64).tolist():
        near[one].append(other)
        near[other].append(one)
    heads = np.full(length, -1, dtype=np.int64)
    order = [root]
    for token in order:
        for other in near[token]:
            if other != heads[token]:
                heads[other] = token
                order.append(other)
    return heads


def _sorted(edges: np.ndarray) -> np.ndarray:
    edges = np.sort(edges, axis=1)
    return edges[np.lexsort((edges[:, 1], edges[:, 0]))]
