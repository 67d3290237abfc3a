"""Pairs of nodes with a strength and a cost, as igraph takes them, and igraph's random numbers under a seed."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

if TYPE_CHECKING:
    from core.graph.mixing import Mixed
    from core.graph.types import EdgeSet

__all__ = ["Pairs", "seeded"]

#: igraph wants costs above 0; an edge of probability 1 costs nothing.
_LEAST_COST = 1e-9
_LOCK = threading.Lock()
#: The pairs of mixtures that are in use: every view of one asks for them.
_KNOWN: WeakKeyDictionary[Mixed, Pairs] = WeakKeyDictionary()


@dataclass(frozen=True, eq=False)
class Pairs:
    """Directed pairs of nodes, each at most once.

    Parameters
    ----------
    nodes
        Number of nodes.
    sources, targets
        Nodes, int64 of shape (pairs,).
    strengths
        How strong a pair is, in (0, 1], float64 of shape (pairs,).
    costs
        Cost of walking it, at least 0, float64 of shape (pairs,); None: each costs the same.
    """

    nodes: int
    sources: np.ndarray
    targets: np.ndarray
    strengths: np.ndarray
    costs: np.ndarray | None = None

    @classmethod
    def of_mixed(cls, mixed: Mixed) -> Pairs:
        """Take the edges of a mixed graph: p(v|u) is their strength (exp(−cost) in the undirected view)."""
        with _LOCK:
            found = _KNOWN.get(mixed)
        if found is None:
            found = cls(
                len(mixed), mixed.sources.astype(np.int64), mixed.targets.astype(np.int64), np.exp(-mixed.costs),
                mixed.costs,
            )  # fmt: skip
            with _LOCK:
                _KNOWN[mixed] = found
        return found

    @classmethod
    def of_sets(cls, nodes: int, sets: Sequence[EdgeSet]) -> Pairs:
        """Take the edges of several sets: weights as shares of each set's largest, their mean over the sets."""
        keys = np.concatenate([np.empty(0, dtype=np.int64), *(_keys(one, nodes) for one in sets)])
        values = np.concatenate([np.empty(0), *(one.weights / max(float(one.weights.max()), 1e-30) for one in sets
                                                if len(one))])  # fmt: skip
        found, place = np.unique(keys, return_inverse=True)
        strengths = np.bincount(place, weights=values, minlength=len(found)) / max(len(sets), 1)
        kept = strengths > 0
        sources, targets = np.divmod(found[kept], max(nodes, 1))
        return cls(nodes, sources, targets, strengths[kept])

    @cached_property
    def both_ways(self) -> tuple[list[int], np.ndarray, np.ndarray, list[float]]:
        """Start of each node's neighbours, the neighbours, cheapest first, and their costs; log(1 + neighbours)."""
        costs = self.costs if self.costs is not None else np.ones(len(self.sources))
        rows = np.concatenate([self.sources, self.targets])
        columns, both = np.concatenate([self.targets, self.sources]), np.concatenate([costs, costs])
        order = np.lexsort((columns, both, rows))
        rows, columns, both = rows[order], columns[order], both[order]
        starts = np.searchsorted(rows, np.arange(self.nodes + 1)).tolist()
        joined = np.unique(rows * self.nodes + columns) // max(self.nodes, 1)
        return starts, columns, both, np.log1p(np.bincount(joined, minlength=self.nodes)).tolist()

    def graph(self) -> Any:
        """Return the pairs as a directed igraph.Graph, in the same order."""
        import igraph

        return igraph.Graph(n=self.nodes, edges=np.column_stack([self.sources, self.targets]), directed=True)

    def walking_costs(self) -> np.ndarray | None:
        """Return costs above 0, as igraph wants them."""
        return None if self.costs is None else np.maximum(self.costs, _LEAST_COST)

    def undirected(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return (low, high, strength) of each unordered pair; strengths of both directions are added."""
        low, high = np.minimum(self.sources, self.targets), np.maximum(self.sources, self.targets)
        keys, place = np.unique(low * max(self.nodes, 1) + high, return_inverse=True)
        strengths = np.bincount(place, weights=self.strengths, minlength=len(keys))
        first, second = np.divmod(keys, max(self.nodes, 1))
        return first, second, strengths


def _keys(one: EdgeSet, nodes: int) -> np.ndarray:
    return one.sources.astype(np.int64) * max(nodes, 1) + one.targets


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Let igraph draw from a seed while the block runs; it has one generator a process, so others wait."""
    import igraph

    with _LOCK:
        igraph.set_random_number_generator(random.Random(seed))
        try:
            yield
        finally:
            igraph.set_random_number_generator(random)
