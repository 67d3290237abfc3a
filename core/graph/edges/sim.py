"""Similarity edges: words that are among each other's nearest neighbours."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from core.config.graph import SimEdges
from core.graph.knn import nearest
from core.graph.types import EdgeSet

__all__ = ["mutual_edges", "sim_edges"]


def sim_edges(
    vectors: np.ndarray, settings: SimEdges, layer: int | None, *, check: Callable[[], None] = lambda: None
) -> EdgeSet:
    """Join words that are mutual k nearest neighbours by cosine.

    Parameters
    ----------
    vectors
        Normalised word vectors of the layer, shape (words, width); rows of zeros get no edge.
    settings
        Neighbours a word, and the lowest cosine.
    layer
        Layer that the vectors are of.
    check
        Called between blocks; may raise to stop.

    Returns
    -------
    EdgeSet
        Both directions of every pair with one weight, the cosine. Pairs whose cosine is not positive are left out: an
        edge of weight 0 can never be walked.
    """
    neighbours, cosines = nearest(vectors, settings.k, check=check)
    return mutual_edges(neighbours, cosines, settings.min_cosine, layer)


def mutual_edges(
    neighbours: np.ndarray, cosines: np.ndarray, min_cosine: float = 0.0, layer: int | None = None
) -> EdgeSet:
    """Keep the pairs that name each other; see :func:`sim_edges`.

    Parameters
    ----------
    neighbours, cosines
        As :func:`core.graph.knn.nearest` gives them, shape (words, k).
    min_cosine, layer
        Lowest cosine; layer of the set.
    """
    words, k = neighbours.shape
    sources = np.repeat(np.arange(words, dtype=np.int64), k)
    targets = neighbours.reshape(-1).astype(np.int64)
    weights = cosines.reshape(-1)
    kept = (targets >= 0) & (weights > 0) & (weights >= np.float32(min_cosine))
    sources, targets, weights = sources[kept], targets[kept], weights[kept]
    there, back = sources * words + targets, targets * words + sources
    mutual = np.isin(there, back, assume_unique=True)
    return EdgeSet.of("sim", sources[mutual], targets[mutual], weights[mutual], layer=layer)
