"""How many directions a layer's word graph needs: mutual neighbours and path lengths from fewer principal components.

Pure arrays, no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra
from scipy.stats import rankdata

from core.graph.knn import nearest
from core.search.least import least_interval, least_width

__all__ = [
    "Preservation",
    "least_interval",
    "least_width",
    "mutual_graph",
    "path_lengths",
    "preservation",
    "width_grid",
]


@dataclass
class Preservation:
    """What is left of one layer's word graph in its top principal components.

    Parameters
    ----------
    widths
        The grid, ascending; the full width is its last.
    rho
        Spearman's correlation of path lengths with those in the full graph, one a width.
    overlap
        Mean share of each word's neighbours that are still its neighbours, one a width.
    unreachable
        Share of the pairs without a path, one a width.
    rho_draws, overlap_draws
        The same for each bootstrap draw of words, of shape (draws, widths).
    """

    widths: list[int]
    rho: np.ndarray
    overlap: np.ndarray
    unreachable: np.ndarray
    rho_draws: np.ndarray
    overlap_draws: np.ndarray

    def least(self, rho: float = 0.95, overlap: float = 0.8) -> int:
        """Return d*: the smallest width from which every larger one preserves paths and neighbours."""
        return least_width(self.widths, self.rho, self.overlap, rho, overlap)

    def interval(self, rho: float = 0.95, overlap: float = 0.8, level: float = 0.95) -> tuple[int, int]:
        """Return the percentile interval of d* over the bootstrap draws (Efron 1979)."""
        if not len(self.rho_draws):
            return self.least(rho, overlap), self.least(rho, overlap)
        return least_interval(self.widths, self.rho_draws, self.overlap_draws, rho, overlap, level)


def width_grid(width: int, head_size: int) -> list[int]:
    """Return the multiples of the head size up to a width, and the width itself."""
    return sorted({*range(head_size, width + 1, head_size), width})


def mutual_graph(neighbours: np.ndarray) -> csr_matrix:
    """Return the graph of mutual neighbours, symmetric, with ones.

    Parameters
    ----------
    neighbours
        int of shape (words, k), -1 where there is none.
    """
    words, k = neighbours.shape
    rows = np.repeat(np.arange(words), k)
    columns = neighbours.ravel()
    there = columns >= 0
    one = csr_matrix((np.ones(int(there.sum()), dtype=np.int8), (rows[there], columns[there])), shape=(words, words))
    both: csr_matrix = one.multiply(one.T).tocsr()
    return both


def path_lengths(graph: csr_matrix, sources: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return the number of edges on the shortest path of each pair; infinite where there is none.

    Parameters
    ----------
    graph
        Symmetric.
    sources
        Shape (sources,).
    targets
        Shape (sources, pairs of each).
    """
    found = dijkstra(graph, directed=False, indices=sources, unweighted=True)
    return np.take_along_axis(found, targets, axis=1)


def preservation(
    vectors: np.ndarray,
    widths: Sequence[int],
    *,
    neighbours: int = 10,
    sources: int = 200,
    targets: int = 25,
    draws: int = 100,
    seed: int = 0,
    check: Callable[[], None] = lambda: None,
) -> Preservation:
    """Compare a layer's word graph with those of its top principal components.

    Parameters
    ----------
    vectors
        Word vectors of shape (words, width), normalised as for graphs.
    widths
        The grid; the vectors' own width is added.
    neighbours
        Neighbours of the mutual graph.
    sources, targets
        Pairs whose path lengths are compared: `targets` of each of `sources` words.
    draws
        Bootstrap draws of words; 0 for none.
    seed
        Seed of pairs and draws.
    check
        Called before every width; may raise to stop.
    """
    words, full = vectors.shape
    grid = sorted({*(width for width in widths if width < full), full})
    rng = np.random.default_rng([0x5EA4C4, seed])
    chosen = rng.choice(words, size=min(sources, words), replace=False)
    others = rng.integers(0, words - 1, size=(len(chosen), targets))
    others = others + (others >= chosen[:, None])  # never the word itself
    # Rotated, not centred: all directions together keep every cosine exactly.
    _, _, axes = np.linalg.svd(vectors.astype(np.float64), full_matrices=False)
    turned = vectors @ axes.T
    near, _ = nearest(vectors, neighbours, check=check)
    whole = path_lengths(mutual_graph(near), chosen, others)
    draw_words = [rng.integers(0, words, size=words) for _ in range(draws)]
    draw_sources = [rng.integers(0, len(chosen), size=len(chosen)) for _ in range(draws)]
    rho, overlap, lost = np.ones(len(grid)), np.ones(len(grid)), np.zeros(len(grid))
    rho_draws, overlap_draws = np.ones((draws, len(grid))), np.ones((draws, len(grid)))
    lost[-1] = float(np.isinf(whole).mean())
    for at, width in enumerate(grid[:-1]):
        check()
        few, _ = nearest(turned[:, :width], neighbours, check=check)
        shares = _shared(near, few)
        lengths = path_lengths(mutual_graph(few), chosen, others)
        overlap[at], lost[at] = shares.mean(), np.isinf(lengths).mean()
        rho[at] = _spearman(whole, lengths)
        for draw in range(draws):
            overlap_draws[draw, at] = shares[draw_words[draw]].mean()
            rho_draws[draw, at] = _spearman(whole[draw_sources[draw]], lengths[draw_sources[draw]])
    return Preservation(grid, rho, overlap, lost, rho_draws, overlap_draws)


def _shared(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the share of each word's neighbours in `one` that it also has in `other`; a word without any counts 1."""
    same = ((one[:, :, None] == other[:, None, :]) & (one[:, :, None] >= 0)).any(axis=2).sum(axis=1)
    has = (one >= 0).sum(axis=1)
    return np.where(has > 0, same / np.maximum(has, 1), 1.0)


def _finite(lengths: np.ndarray) -> np.ndarray:
    """Return lengths with the longest finite one + 1 where there is no path."""
    reached = np.isfinite(lengths)
    longest = lengths[reached].max() if reached.any() else 0.0
    return np.where(reached, lengths, longest + 1)


def _spearman(one: np.ndarray, other: np.ndarray) -> float:
    """Return Spearman's correlation of two sets of lengths; 0 where one of them is constant."""
    x, y = (rankdata(_finite(lengths).ravel()) for lengths in (one, other))
    x, y = x - x.mean(), y - y.mean()
    size = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / size if size else 0.0
