"""The k shortest simple paths of one pair (Yen 1971), with the searches put off until they are needed.

All simple paths are divided by their first nodes: a part is a prefix and the next nodes that it must not take (Lawler
1972). Distances to the target, searched once backwards, give every part a lower bound without a search; only a part
whose bound is the smallest of all is searched, and led by the same distances that search mostly walks straight to the
target.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from heapq import heappop, heappush

from scipy.sparse.csgraph import dijkstra

from core.graph.shortest import Searchable, directed_search, path_cost, shortest_path

__all__ = ["REACH", "k_shortest"]

#: How far the backward distances are searched, as a share of the shortest path's cost. Further away their smallest
#: possible value is taken: a full search would cost more than all the others together.
REACH = 0.8


def k_shortest(
    graph: Searchable,
    source: int,
    target: int,
    k: int,
    *,
    blocked: Collection[int] = (),
    blocked_edges: Collection[tuple[int, int]] = (),
) -> list[tuple[float, list[int]]]:
    """Return the k shortest simple paths as (cost, nodes), the shortest first; fewer where there are fewer.

    Parameters
    ----------
    graph
        What is searched.
    source, target
        Two different nodes.
    k
        How many paths at most.
    blocked, blocked_edges
        As in :func:`core.graph.shortest.shortest_path`.

    Returns
    -------
    list of (float, list of int)
        Costs include the penalties of the nodes between the ends. Equal costs come in an order that depends on the
        arrays only.
    """
    search = graph.search
    first = shortest_path(search, source, target, blocked=blocked, blocked_edges=blocked_edges)
    if first is None or k < 1:
        return []
    length = path_cost(search, first)
    if k == 1:
        return [(length, first)]
    limit = REACH * (length + search.toll(source))
    bounds = dijkstra(search.reversed, indices=target, limit=limit).tolist()
    shut: dict[int, set[int]] = {}
    for one, other in blocked_edges:
        shut.setdefault(one, set()).add(other)
    closed = set(blocked)

    def starts(prefix: tuple[int, ...], cost: float, banned: frozenset[int]) -> list[tuple[float, int]]:
        last = prefix[-1]
        never = banned | shut.get(last, set())
        return [
            (cost + weight, node)
            for weight, node in search.row(last)
            if node not in never and node not in prefix and node not in closed
        ]

    def bound(options: list[tuple[float, int]]) -> float:
        return min((cost + min(bounds[node], limit) for cost, node in options), default=math.inf)

    # Entries: (cost or its lower bound, whether it is a path, path or prefix, cost and length of the prefix, banned).
    # A bound comes before a path of the same cost, so that equal paths are all found before one of them is given.
    start = -search.toll(source)
    heap: list[tuple[float, bool, tuple[int, ...], float, int, frozenset[int]]] = []
    heappush(heap, (length, True, tuple(first), start, 1, frozenset()))
    found: list[tuple[float, list[int]]] = []
    while heap:
        _, is_path, nodes, cost, spur, banned = heappop(heap)
        if not is_path:
            options = starts(nodes, cost, banned)
            way = directed_search(search, options, target, bounds, limit, closed.union(nodes), shut)
            if way is not None:
                heappush(heap, (way[0], True, (*nodes, *way[1]), cost, len(nodes), banned))
            continue
        found.append((path_cost(search, nodes), list(nodes)))
        if len(found) == k:
            break
        for at in range(spur - 1, len(nodes) - 1):
            prefix = nodes[: at + 1]
            never = (banned if at == spur - 1 else frozenset()) | {nodes[at + 1]}
            lowest = bound(starts(prefix, cost, never))
            if lowest < math.inf:
                heappush(heap, (lowest, False, prefix, cost, len(prefix), never))
            cost += next(weight for weight, node in search.row(nodes[at]) if node == nodes[at + 1])
    return sorted(found, key=lambda one: (one[0], one[1]))
