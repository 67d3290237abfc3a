"""Shortest paths on CSR arrays: one pair by a search from both ends, one source to all by scipy.

A search from both ends passes a few hundred of 30,000 nodes, so nothing that touches every node or every edge may
happen per question. Rows of edges are turned into lists when a search that is led by bounds first reaches them.

A node's penalty counts for every node strictly between the ends. It is charged on leaving a node, and taken off at the
source, so that the searches below see ordinary edge costs.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from heapq import heappop, heappush
from itertools import pairwise
from typing import Protocol

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from core.graph.halves import Halves

__all__ = ["SearchGraph", "Searchable", "directed_search", "distances", "path_cost", "shortest_path"]

#: Marks nodes that a search must not enter: no cost is smaller.
_CLOSED = -math.inf


class Searchable(Protocol):
    """What has arrays to search: a mixed or a layered graph."""

    @property
    def search(self) -> SearchGraph:
        """Its edges, prepared for searching."""
        ...


class SearchGraph:
    """Edges with costs in CSR order, prepared for searching.

    Parameters
    ----------
    indptr
        Start of each node's edges, int64 of shape (nodes + 1,).
    targets
        Nodes, int32 of shape (edges,).
    costs
        Non-negative float64 of shape (edges,).
    penalty
        Non-negative cost of every node between the ends, shape (nodes,); None: none.
    """

    def __init__(self, indptr: np.ndarray, targets: np.ndarray, costs: np.ndarray, penalty: np.ndarray | None = None):
        self.size = len(indptr) - 1
        self.indptr = indptr
        self.targets = targets
        self.costs = costs
        self.penalty = penalty if penalty is not None and bool(np.any(penalty)) else None
        self._rows: list[list[tuple[float, int]] | None] = [None] * self.size

    @property
    def search(self) -> SearchGraph:
        """Itself: a search graph is searchable."""
        return self

    @cached_property
    def sources(self) -> np.ndarray:
        """Source of every edge, int32 of shape (edges,)."""
        return np.repeat(np.arange(self.size, dtype=np.int32), np.diff(self.indptr))

    @cached_property
    def weights(self) -> np.ndarray:
        """Cost of every edge with the penalty of leaving its source, shape (edges,)."""
        return self.costs if self.penalty is None else self.costs + self.penalty[self.sources]

    @cached_property
    def matrix(self) -> csr_array:
        """Weights as a scipy matrix; edges of cost 0 are kept as explicit zeros."""
        indices, indptr = self.targets.astype(np.int32), self.indptr.astype(np.int32)
        return csr_array((self.weights, indices, indptr), shape=(self.size, self.size))

    @cached_property
    def reversed(self) -> csr_array:
        """The same matrix with every edge turned round."""
        columns = self.matrix.tocsc()
        return csr_array((columns.data, columns.indices, columns.indptr), shape=columns.shape)

    def row(self, node: int) -> list[tuple[float, int]]:
        """Return (weight, target) of the edges that leave a node, the cheapest first."""
        found = self._rows[node]
        if found is None:
            low, high = self.indptr[node], self.indptr[node + 1]
            found = sorted(zip(self.weights[low:high].tolist(), self.targets[low:high].tolist(), strict=True))
            self._rows[node] = found
        return found

    @cached_property
    def potentials(self) -> tuple[np.ndarray, np.ndarray]:
        """Least cost of leaving and rest of the least cost of entering each node, two arrays of shape (nodes,).

        An edge u → v costs at least leave(u) + enter(v). Two searches that have not met are at least one edge apart, so
        they may stop earlier by that much: with these as potentials (Goldberg & Harrelson 2005) each settles about
        half the nodes.
        """
        leave, enter = np.zeros(self.size), np.zeros(self.size)
        held = np.flatnonzero(np.diff(self.indptr))
        if len(held):
            leave[held] = np.minimum.reduceat(self.weights, self.indptr[held])
            turned = self.reversed
            held = np.flatnonzero(np.diff(turned.indptr))
            rest = turned.data - leave[turned.indices]
            enter[held] = np.maximum(np.minimum.reduceat(rest, turned.indptr[held]), 0.0)
        return leave, enter

    @cached_property
    def halves(self) -> Halves:
        """The edges in both directions without the potentials, for searches from both ends."""
        leave, enter = self.potentials
        sources, targets, turned = self.sources, self.targets, self.reversed
        ends = np.repeat(np.arange(self.size, dtype=np.int32), np.diff(turned.indptr))
        ahead = np.maximum(self.weights - leave[sources] + leave[targets], 0.0)
        behind = np.maximum(turned.data - enter[ends] + enter[turned.indices], 0.0)
        return Halves((self.indptr, targets, ahead), (turned.indptr, turned.indices, behind), leave + enter)

    def edge(self, source: int, target: int) -> int:
        """Return the index of an edge, or -1."""
        low, high = self.indptr[source], self.indptr[source + 1]
        at = int(low + np.searchsorted(self.targets[low:high], target))
        return at if at < high and int(self.targets[at]) == target else -1

    def toll(self, node: int) -> float:
        """Return the penalty of a node."""
        return 0.0 if self.penalty is None else float(self.penalty[node])


def path_cost(graph: Searchable, path: Sequence[int]) -> float:
    """Return the cost of a path: its edges' costs and the penalties of the nodes between its ends.

    Raises
    ------
    ValueError
        If it uses an edge that is not there.
    """
    search = graph.search
    parts = []
    for source, target in pairwise(path):
        edge = search.edge(source, target)
        if edge < 0:
            raise ValueError(f"there is no edge from node {source} to node {target}")
        parts.append(float(search.costs[edge]))
    parts.extend(search.toll(node) for node in path[1:-1])
    return math.fsum(parts)


def distances(graph: Searchable, source: int, *, limit: float = math.inf) -> np.ndarray:
    """Return the cost of the shortest path from one node to every node (Dijkstra 1959).

    Returns
    -------
    numpy.ndarray
        float64 of shape (nodes,); infinite where no path leads, or none below `limit`.
    """
    search = graph.search
    found = dijkstra(search.matrix, indices=source, limit=limit + search.toll(source)) - search.toll(source)
    found[source] = 0.0
    return found


def shortest_path(
    graph: Searchable,
    source: int,
    target: int,
    *,
    blocked: Collection[int] = (),
    blocked_edges: Collection[tuple[int, int]] = (),
) -> list[int] | None:
    """Find the shortest path of one pair by Dijkstra's search from both ends at once (Pohl 1971).

    Parameters
    ----------
    graph
        What is searched.
    source, target
        Two different nodes.
    blocked
        Nodes that the path must not enter.
    blocked_edges
        (source, target) of edges that it must not use.

    Returns
    -------
    list of int or None
        The nodes from `source` to `target`; None if no path leads there. The same arrays give the same path.
    """
    if source == target or source in blocked or target in blocked:
        return None
    found = graph.search.halves.path(source, target, blocked, list(blocked_edges))
    return None if found is None else _simple(found)


def _simple(path: list[int]) -> list[int]:
    """Cut out loops, which only edges of cost 0 can make: where both searches meet, each is simple only by itself."""
    if len(set(path)) == len(path):
        return path
    kept: list[int] = []
    for node in path:
        if node in kept:
            del kept[kept.index(node) :]
        kept.append(node)
    return kept


def directed_search(
    search: SearchGraph,
    starts: Sequence[tuple[float, int]],
    target: int,
    bounds: Sequence[float],
    beyond: float,
    closed: Collection[int],
    shut: Mapping[int, Collection[int]] | None = None,
) -> tuple[float, list[int]] | None:
    """Find the shortest way from several starts to a target, led by lower bounds (A*: Hart, Nilsson & Raphael 1968).

    Parameters
    ----------
    search
        What is searched.
    starts
        (cost so far, node).
    target
        Node to reach.
    bounds
        Lower bound of the cost from each node to the target, consistent with the weights; infinite: see `beyond`.
    beyond
        Bound of the nodes whose own is infinite; infinite too if they cannot reach the target.
    closed
        Nodes that must not be entered.
    shut
        Node → targets of the edges that must not be used.

    Returns
    -------
    tuple or None
        Cost and the nodes from one of the starts to the target.
    """
    rows = search._rows
    costs: dict[int, float] = dict.fromkeys(closed, _CLOSED)
    came: dict[int, int] = {}
    heap: list[tuple[float, float, int]] = []
    for cost, node in starts:
        bound = bounds[node]
        if bound == math.inf:
            bound = beyond
        known = costs.get(node)
        if bound < math.inf and (known is None or cost < known):
            costs[node] = cost
            heappush(heap, (cost + bound, cost, node))
    while heap:
        _, at, node = heappop(heap)
        if node == target:
            path = [node]
            while path[-1] in came:
                path.append(came[path[-1]])
            return at, path[::-1]
        if at > costs[node]:
            continue
        row = rows[node] or search.row(node)
        if shut and node in shut:
            row = [pair for pair in row if pair[1] not in shut[node]]
        for weight, other in row:
            reached = at + weight
            known = costs.get(other)
            if known is None or reached < known:
                bound = bounds[other]
                if bound == math.inf:
                    if beyond == math.inf:
                        continue
                    bound = beyond
                costs[other] = reached
                came[other] = node
                heappush(heap, (reached + bound, reached, other))
    return None
