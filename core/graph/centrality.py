"""How central a word is: neighbours, PageRank, and betweenness from a sample of sources."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.graph.pairs import Pairs

__all__ = ["Betweenness", "betweenness", "degree", "pagerank"]


@dataclass(frozen=True, eq=False)
class Betweenness:
    """Betweenness of every node.

    Parameters
    ----------
    values
        Number of ordered pairs of other nodes whose shortest path leads over the node (a share where there are several
        shortest paths), estimated if not all nodes were sources; float64 of shape (nodes,).
    sources
        Number of nodes that were sources.
    exact
        Whether all nodes were sources.
    """

    values: np.ndarray
    sources: int
    exact: bool

    @property
    def label(self) -> str:
        """What it is, in words for a person."""
        if self.exact:
            return "betweenness"
        return f"betweenness, estimated from {self.sources:,} of {len(self.values):,} sources"


def degree(pairs: Pairs) -> np.ndarray:
    """Return the number of neighbours of each node, whichever way the edges lead; int64 of shape (nodes,)."""
    low, high, _ = pairs.undirected()
    return np.bincount(low, minlength=pairs.nodes) + np.bincount(high, minlength=pairs.nodes)


def pagerank(pairs: Pairs, *, damping: float = 0.85) -> np.ndarray:
    """Return PageRank (Brin & Page 1998) by strength; float64 of shape (nodes,), summing to 1."""
    if not pairs.nodes:
        return np.zeros(0)
    ranks = pairs.graph().pagerank(directed=True, damping=damping, weights=pairs.strengths.tolist())
    return np.asarray(ranks, dtype=np.float64)


def betweenness(pairs: Pairs, *, sources: int = 64, seed: int = 0) -> Betweenness:
    """Estimate betweenness by shortest paths from some nodes, drawn evenly (Brandes & Pich 2007).

    The sum over the sources is scaled by nodes / sources, so that its expectation is the exact value. A graph of no
    more nodes than `sources` gets the exact one.
    """
    if not pairs.nodes:
        return Betweenness(np.zeros(0), 0, True)
    exact = pairs.nodes <= sources
    drawn = np.arange(pairs.nodes)
    if not exact:
        drawn = np.sort(np.random.default_rng(seed).choice(pairs.nodes, sources, replace=False))
    costs = pairs.walking_costs()
    found = pairs.graph().betweenness(
        directed=True, weights=None if costs is None else costs.tolist(), sources=None if exact else drawn.tolist()
    )
    return Betweenness(np.asarray(found, dtype=np.float64) * (pairs.nodes / len(drawn)), len(drawn), exact)
