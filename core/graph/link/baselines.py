"""What a graph network has to beat: cosine, common neighbours, Adamic–Adar and the mere degree."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from scipy import sparse

__all__ = ["adamic_adar", "adjacency", "common_neighbours", "cosine"]

#: Stored entries of neighbour rows that are held at once.
BLOCK = 20_000_000


def adjacency(pairs: Iterable[np.ndarray], nodes: int) -> sparse.csr_array:
    """Return who neighbours whom in any of some edge lists, direction and weight aside.

    Parameters
    ----------
    pairs
        Edge lists of shape (edges, 2).
    nodes
        Number of nodes.

    Returns
    -------
    scipy.sparse.csr_array
        Symmetric, ones, no loops; shape (nodes, nodes).
    """
    both = np.concatenate([np.empty((0, 2), dtype=np.int64), *(np.asarray(one).reshape(-1, 2) for one in pairs)])
    both = both[both[:, 0] != both[:, 1]]
    keys = np.unique(np.concatenate([both[:, 0] * nodes + both[:, 1], both[:, 1] * nodes + both[:, 0]]))
    return sparse.csr_array((np.ones(len(keys)), np.divmod(keys, max(nodes, 1))), shape=(nodes, nodes))


def cosine(vectors: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Return the cosine of the two vectors of each pair; 0 where one is zero. Shape (pairs,)."""
    size = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = np.divide(vectors, size, out=np.zeros(vectors.shape, dtype=np.float32), where=size > 0)
    step = max(1, BLOCK // max(1, unit.shape[1]))
    parts = [
        np.einsum("ij,ij->i", unit[pairs[at : at + step, 0]], unit[pairs[at : at + step, 1]])
        for at in range(0, len(pairs), step)
    ]
    return np.concatenate([np.empty(0, dtype=np.float32), *parts]).astype(np.float64)


def common_neighbours(graph: sparse.csr_array, pairs: np.ndarray) -> np.ndarray:
    """Count the neighbours that the two ends of each pair share; shape (pairs,)."""
    return _shared(graph, np.ones(graph.shape[0]), pairs)


def adamic_adar(graph: sparse.csr_array, pairs: np.ndarray) -> np.ndarray:
    """Sum 1 / log(degree) over the neighbours that the two ends of each pair share; shape (pairs,).

    References
    ----------
    Adamic and Adar, "Friends and neighbors on the Web", Social Networks 25, 2003.
    """
    degrees = np.asarray(graph.sum(axis=1)).ravel()
    # A shared neighbour has two neighbours at least: logarithms of 0 and 1 are never used.
    weights = np.divide(1.0, np.log(degrees, where=degrees > 1, out=np.ones(len(degrees))), where=degrees > 1,
                        out=np.zeros(len(degrees)))  # fmt: skip
    return _shared(graph, weights, pairs)


def _shared(graph: sparse.csr_array, weights: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    weighted = sparse.csr_array(graph.multiply(weights[None, :]))
    found = np.zeros(len(pairs))
    if not len(pairs):
        return found
    degrees = np.diff(graph.indptr)
    block = np.cumsum(degrees[pairs].sum(axis=1)) // BLOCK
    for part in np.split(np.arange(len(pairs)), np.flatnonzero(np.diff(block)) + 1):
        one, other = graph[pairs[part, 0]], weighted[pairs[part, 1]]
        found[part] = np.asarray(one.multiply(other).sum(axis=1)).ravel()
    return found
