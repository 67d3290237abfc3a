"""Paths with conditions: at least m words in between, through given words, in the layered graph; k of them.

A search over prefixes, each a simple path, led by the cost of the cheapest *walk* that meets what is left of the
conditions. Walks may repeat words and paths may not, so the bound can be too small; a walk that turns straight back is
left out of it, which is the common case (2-cycle elimination, Houck et al. 1980). The search ends with the exact
answer, or at its limit: then the best of a narrower search is given, and said not to be exact.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush, nsmallest

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from core.graph.shortest import Searchable, SearchGraph, path_cost

__all__ = ["EXPANSIONS", "Found", "constrained_paths"]

#: Prefixes that are lengthened at most, and prefixes kept at most.
EXPANSIONS, PREFIXES = 40_000, 400_000
#: Prefixes a length that the narrower search keeps.
BEAM = 200


@dataclass(frozen=True)
class Found:
    """Paths as (cost, nodes), the shortest first, and whether no better ones can exist."""

    paths: list[tuple[float, list[int]]]
    exact: bool


def constrained_paths(
    graph: Searchable,
    sources: Sequence[int],
    targets: Sequence[int],
    k: int = 1,
    *,
    min_between: int = 0,
    through: Sequence[Collection[int]] = (),
    blocked: Collection[int] = (),
    words: int | None = None,
    expansions: int = EXPANSIONS,
) -> Found:
    """Find the k shortest simple paths that meet conditions.

    Parameters
    ----------
    graph
        What is searched.
    sources, targets
        Nodes to start from and to end at: one, or the same word in several layers.
    k
        How many paths at most.
    min_between
        Fewest words between the ends.
    through
        For each word that must be passed, in any order: its nodes.
    blocked
        Nodes that must not be entered.
    words
        Number of words; node % words is a node's word, and steps inside a word do not count as words in between. A word
        that a path has left is not entered again. None: every node is a word.
    expansions
        Prefixes that are lengthened at most.

    Returns
    -------
    Found
        Costs include the penalties of the nodes between the ends.
    """
    search = graph.search
    number = words or search.size
    bounds = _Bounds(search, sources, targets, min_between + 1, through, set(blocked), number)
    full = (1 << len(through)) - 1
    passes = bounds.passes
    closed, ends = set(blocked), set(targets)
    begin = []
    for source in sources:
        rest = bounds.of(min_between + 1, full)[0][source]
        if source not in closed and rest < math.inf:
            cost = -search.toll(source)
            begin.append((cost + rest, (source,), cost, min_between + 1, full))

    def steps(entry: tuple[float, tuple[int, ...], float, int, int]) -> list[tuple]:
        """Lengthen a prefix by every edge that may still lead to a path."""
        _, path, cost, left, need = entry
        last = path[-1]
        word = last % number
        entered = {node % number for node in path}
        longer = []
        for weight, node in search.row(last):
            other = node % number
            if other == word:
                if words is None or node in path:
                    continue
                now = left
            elif other in entered or node in closed:
                continue
            else:
                now = max(0, left - 1)
            want = need & ~passes.get(node, 0)
            first, following, second = bounds.of(now, want)
            rest = first[node] if following[node] != last else second[node]
            if rest < math.inf:
                longer.append((cost + weight + rest, (*path, node), cost + weight, now, want))
        return longer

    heap = sorted(begin)
    done: list[tuple[float, list[int]]] = []
    exact, used = True, 0
    while heap and len(done) < k:
        if used >= expansions or len(heap) > PREFIXES:
            exact = False
            break
        entry = heappop(heap)
        if entry[1][-1] in ends and not entry[3] and not entry[4]:
            done.append((path_cost(search, entry[1]), list(entry[1])))
            continue
        used += 1
        for longer in steps(entry):
            heappush(heap, longer)
    if not exact:
        # What was found before the limit is right; the narrower search adds to it.
        have = {tuple(path) for _, path in done}
        level = begin
        for _ in range(min_between + 2 + 4 * (len(through) + 1) + 40):
            level = nsmallest(BEAM, [longer for entry in level for longer in steps(entry)])
            for entry in level:
                if entry[1][-1] in ends and not entry[3] and not entry[4] and entry[1] not in have:
                    have.add(entry[1])
                    done.append((path_cost(search, entry[1]), list(entry[1])))
            level = [entry for entry in level if not (entry[1][-1] in ends and not entry[3] and not entry[4])]
            if not level:
                break
    return Found(sorted(done, key=lambda one: (one[0], one[1]))[:k], exact)


class _Bounds:
    """Cost of the cheapest walk from each node that still makes `left` steps between words and passes `need`.

    Each is three lists by node: the least cost, the node that comes next on it (−1: unknown), and the least cost when
    another node comes next.
    """

    def __init__(
        self,
        search: SearchGraph,
        sources: Sequence[int],
        targets: Sequence[int],
        left: int,
        through: Sequence[Collection[int]],
        closed: set[int],
        words: int,
    ):
        self.size = search.size
        self.through = [np.asarray(sorted(nodes)) for nodes in through]
        self.passes: dict[int, int] = {}
        for bit, nodes in enumerate(through):
            for node in nodes:
                self.passes[node] = self.passes.get(node, 0) | 1 << bit
        self.mask = np.zeros(self.size, dtype=np.int64)
        for node, bits in self.passes.items():
            self.mask[node] = bits
        self.targets = np.asarray(sorted(set(targets)))
        froms, tos, weights = search.sources, search.targets, search.weights
        inside = froms % words == tos % words
        end = int(self.targets[0]) % words
        # No walk goes back to the source's word or on from the target's, but for changing the layer.
        start = int(sources[0]) % words
        keep = ((tos % words != start) | inside) & ((froms % words != end) | inside)
        if closed:
            shut = np.zeros(self.size, dtype=bool)
            shut[list(closed)] = True
            keep &= ~(shut[froms] | shut[tos])
        self.froms, self.tos, self.weights, self.inside = froms[keep], tos[keep], weights[keep], inside[keep]
        self.back = csr_array((self.weights, (self.tos, self.froms)), shape=(self.size, self.size))
        self.single = not bool(self.inside.any())
        self.arrays: dict[tuple[int, int], tuple[np.ndarray, np.ndarray, np.ndarray]] = {}
        self.plain: dict[tuple[int, int], tuple[array[float], array[int], array[float]]] = {}

    def of(self, left: int, need: int) -> tuple[array[float], array[int], array[float]]:
        found = self.plain.get((left, need))
        if found is None:
            first, following, second = self.numbers(left, need)
            # Python's own arrays give Python's numbers, at a quarter of a list's memory.
            found = array("d", first.tobytes()), array("q", following.tobytes()), array("d", second.tobytes())
            self.plain[left, need] = found
        return found

    def numbers(self, left: int, need: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        found = self.arrays.get((left, need))
        if found is None:
            found = self.arrays[left, need] = self._rest(need) if left == 0 else self._steps(left, need)
        return found

    def _rest(self, need: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        unknown = np.full(self.size, -1)
        if need == 0:
            least = dijkstra(self.back, indices=self.targets, min_only=True)
            return least, unknown, least
        least = np.full(self.size, np.inf)
        for bit, nodes in enumerate(self.through):
            if need >> bit & 1:
                after, _, _ = self.numbers(0, need & ~(1 << bit))
                for node in nodes.tolist():
                    if after[node] < np.inf:
                        least = np.minimum(least, dijkstra(self.back, indices=node) + after[node])
        return least, unknown, least

    def _steps(self, left: int, need: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        # Where a step ends decides what is still needed after it.
        froms, tos, weights = self.froms, self.tos, self.weights
        costs = np.full(len(froms), np.inf)
        remaining = need & ~self.mask[tos]
        for after in np.unique(remaining).tolist():
            first, following, second = self.numbers(left - 1, after)
            at = (remaining == after) & ~self.inside
            rest = np.where(following[tos[at]] != froms[at], first[tos[at]], second[tos[at]])
            costs[at] = weights[at] + rest
        least, best = _least(costs, froms, self.size)
        following = np.full(self.size, -1)
        reached = np.flatnonzero(np.isfinite(least))
        following[reached] = tos[best[reached]]
        if self.single:
            costs[best[reached]] = np.inf
            return least, following, _least(costs, froms, self.size)[0]
        # Steps inside a word are free of charge in words: walks along the layers until nothing gets cheaper.
        origin, goal, price = froms[self.inside], tos[self.inside], weights[self.inside]
        while True:
            before = least.copy()
            np.minimum.at(least, origin, price + before[goal])
            if not (least < before).any():
                break
        return least, np.full(self.size, -1), least


def _least(costs: np.ndarray, froms: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the least cost of each node's edges and the edge that has it; edges are sorted by source."""
    least = np.full(size, np.inf)
    best = np.full(size, -1)
    if len(froms):
        starts = np.flatnonzero(np.r_[True, froms[1:] != froms[:-1]])
        least[froms[starts]] = np.minimum.reduceat(costs, starts)
        at = np.flatnonzero(costs == least[froms])[::-1]
        best[froms[at]] = at  # the first of equals is written last
    return least, best
