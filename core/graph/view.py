"""What is drawn of a graph: a path and its surroundings, a word's neighbourhood, an overview, a map.

Every view is plain data, ready for JSON: ``kind``, ``layer``, ``nodes``, ``edges``, ``communities``, ``legend``,
``notices`` (what was left out) and ``size_by``. Words in it are words of users: they are shown as text, never as HTML.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from heapq import heappop, heappush
from itertools import pairwise
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from core.graph.centrality import pagerank
from core.graph.communities import Communities, find_communities
from core.graph.drawn import Drawn, assemble, pick_edges
from core.graph.mixing import Mixed
from core.graph.pairs import Pairs
from core.graph.suggest import resolve
from core.graph.types import WordGraph

__all__ = ["map_view", "neighbourhood", "overview", "path_view"]

#: Edges a word that is not on the path; fewer where nothing is in front.
EDGES = 4
_EDGES = {"overview": 3, "map": 4}
#: Neighbours of each word of a path that are not faded.
_BESIDE = 6
#: Words that a word of a path leads to, and that any other does.
_LEADS = (14, 4)
#: Ends of the best path, in halves of the box.
_ACROSS = 0.45
#: Above so many words a picture of paths is the overview, in which paths and the words near to them are shown: a new
#: question then leaves nearly everything where it is.
_STEADY, _NEAR = 1000, 150
#: Pixels between a word without a place and those beside it, and the golden angle.
_STEP, _TURN = 24.0, math.pi * (3 - math.sqrt(5))
_PLACES: WeakKeyDictionary[Mixed, dict[tuple[int, int], dict[int, tuple[float, float]]]] = WeakKeyDictionary()
_AROUND = {"path": "the words of the paths, a few beside each", "neighbourhood": "the word, a few beside each"}


def path_view(
    graph: WordGraph,
    mixed: Mixed,
    paths: Sequence[Mapping[str, Any] | Sequence[str]],
    *,
    limit: int = 150,
    groups: Communities | None = None,
    sizes: np.ndarray | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Return the words of paths, their strongest neighbours, and the words nearest to them, faded.

    Parameters
    ----------
    graph, mixed
        The word graph, and its edges as they were mixed for the search.
    paths
        Paths as a query answers them (mappings with ``words``), or lists of words; the best first. It lies in the
        middle, from left to right; among more than 1,000 words it lies where the overview has its words.
    limit
        Most words that are drawn; the paths' own are never left out. Above about 200 the picture is hard to read.
    groups, sizes
        Communities, and a number a word that makes it large; computed here if None.
    seed
        Seed of communities and positions.

    Returns
    -------
    dict
        See the module. Words and edges of paths have the role ``path`` and name their ``paths`` from 0.

    Raises
    ------
    DataError
        If a path holds a word that the graph does not have.
    """
    return _around(graph, mixed, "path", paths, limit, groups, sizes, seed)


def neighbourhood(
    graph: WordGraph,
    mixed: Mixed,
    word: str,
    limit: int = 60,
    *,
    groups: Communities | None = None,
    sizes: np.ndarray | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Return a word (role ``path``), its strongest neighbours, and words near to them; see :func:`path_view`.

    Raises
    ------
    DataError
        If the graph does not have the word; the nearest spellings are named.
    """
    return _around(graph, mixed, "neighbourhood", [[word]], limit, groups, sizes, seed)


def overview(
    graph: WordGraph,
    mixed: Mixed,
    limit: int = 500,
    *,
    groups: Communities | None = None,
    sizes: np.ndarray | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Return the most central words by PageRank and their strongest edges; the rest is folded into communities.

    Of each community ``size`` words are there and ``shown`` are drawn; ``x`` and ``y`` are the middle of those.
    """
    return _central(graph, mixed, "overview", limit, groups, sizes, seed)


def map_view(
    graph: WordGraph,
    mixed: Mixed,
    limit: int = 5000,
    *,
    groups: Communities | None = None,
    sizes: np.ndarray | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Return the whole graph (its most central `limit` words) for a map: labels may overlap, few edges a word."""
    return _central(graph, mixed, "map", limit, groups, sizes, seed)


def _around(
    graph: WordGraph, mixed: Mixed, kind: str, paths: Sequence[Mapping[str, Any] | Sequence[str]], limit: int,
    groups: Communities | None, sizes: np.ndarray | None, seed: int,
) -> dict[str, Any]:  # fmt: skip
    chosen = [_nodes_of(graph, one) for one in paths]
    on: dict[int, list[int]] = {}
    steps: dict[tuple[int, int], list[int]] = {}
    for number, nodes in enumerate(chosen):
        for node in nodes:
            on.setdefault(node, []).append(number)
        for step in pairwise(nodes):
            steps.setdefault(step, []).append(number)
    pairs = Pairs.of_mixed(mixed)
    steady = kind == "path" and limit > _STEADY
    shown, tree = _nearest(pairs, list(on), max(_NEAR if steady else limit, len(on)))
    places: dict[int, tuple[float, float]] | None = None
    if steady:
        central = _central_places(graph, mixed, limit, groups, sizes, seed)
        shown = list(dict.fromkeys([*shown, *central]))[: max(limit, len(shown))]
        places = _beside(chosen, tree, central)
    roles = dict.fromkeys(shown, "context")
    for node in on:
        roles.update(dict.fromkeys(_strongest(pairs, node, set(shown) - set(on), _BESIDE), "neighbour"))
    roles.update(dict.fromkeys(on, "path"))
    pinned = {}
    if chosen and len(chosen[0]) > 1 and not steady:
        across = np.linspace(-_ACROSS, _ACROSS, len(chosen[0]))
        pinned = {node: (float(x), 0.0) for node, x in zip(chosen[0], across, strict=True)}
    picked = pick_edges(pairs, np.array(shown, dtype=np.int64), EDGES, steps=steps, tree=tree)
    chosen_by = f"nearest to {_AROUND[kind]}" + (", and the most central by PageRank" if steady else "")
    drawn = Drawn(kind, shown, roles, picked, steps, on, pinned, chosen_by, places)
    return _finish(graph, mixed, pairs, drawn, groups, sizes, seed)


def _central_places(
    graph: WordGraph, mixed: Mixed, limit: int, groups: Communities | None, sizes: np.ndarray | None, seed: int
) -> dict[int, tuple[float, float]]:
    """Return where an overview puts the most central words, the most central first; kept with the mixture."""
    kept = _PLACES.setdefault(mixed, {})
    if (limit, seed) not in kept:
        drawn = overview(graph, mixed, limit, groups=groups, sizes=sizes, seed=seed)
        kept[limit, seed] = {node["id"]: (node["x"], node["y"]) for node in drawn["nodes"]}
    return kept[limit, seed]


def _beside(
    paths: list[list[int]], tree: list[tuple[int, int]], places: Mapping[int, tuple[float, float]]
) -> dict[int, tuple[float, float]]:
    """Give words that have no place one beside those that lead to them."""
    found = dict(places)
    new: dict[int, list[int]] = {node: nodes for nodes in paths for node in nodes if node not in found}
    new |= {node: [before] for before, node in tree if node not in found}
    for number, (node, others) in enumerate(new.items()):
        there = [found[one] for one in others if one in found]
        x, y = np.mean(there, axis=0) if there else (0.0, 0.0)
        angle = number * _TURN  # no two in the same direction
        found[node] = (float(x) + _STEP * math.cos(angle), float(y) + _STEP * math.sin(angle))
    return found


def _central(
    graph: WordGraph, mixed: Mixed, kind: str, limit: int, groups: Communities | None, sizes: np.ndarray | None,
    seed: int,
) -> dict[str, Any]:  # fmt: skip
    pairs = Pairs.of_mixed(mixed)
    ranks = pagerank(pairs)
    sizes = ranks if sizes is None else sizes
    # words without edges come last: there is nothing to see of them
    order = np.lexsort((np.arange(len(ranks)), -ranks, mixed.neighbours == 0))
    shown = order[: max(limit, 0)].tolist()
    picked = pick_edges(pairs, np.array(shown, dtype=np.int64), _EDGES[kind])
    drawn = Drawn(kind, shown, dict.fromkeys(shown, "neighbour"), picked, {}, {}, {}, "most central by PageRank")
    return _finish(graph, mixed, pairs, drawn, groups, sizes, seed)


def _finish(
    graph: WordGraph, mixed: Mixed, pairs: Pairs, drawn: Drawn, groups: Communities | None, sizes: np.ndarray | None,
    seed: int,
) -> dict[str, Any]:  # fmt: skip
    groups = find_communities(graph, pairs, seed=seed) if groups is None else groups
    sizes = pagerank(pairs) if sizes is None else sizes
    if len(groups.membership) != len(graph) or len(sizes) != len(graph):
        raise ValueError("communities and sizes belong to another graph")
    return assemble(graph, mixed, drawn, groups, np.asarray(sizes, dtype=np.float64), seed)


def _nodes_of(graph: WordGraph, path: Mapping[str, Any] | Sequence[str]) -> list[int]:
    return [resolve(graph, str(word)) for word in (path["words"] if isinstance(path, Mapping) else path)]


def _nearest(pairs: Pairs, seeds: list[int], limit: int) -> tuple[list[int], list[tuple[int, int]]]:
    """Return the nodes that are cheapest to reach from the seeds, whichever way, and the edges that lead to them.

    Two things keep hubs from drawing everything near. To pass a word costs log(1 + its neighbours) beside the edges, as
    in a query with hub penalty 1; and each word leads to its few cheapest only.
    """
    if not pairs.nodes:
        return [], []
    starts, columns, both, tolls = pairs.both_ways
    shown: dict[int, None] = dict.fromkeys(seeds)
    tree: list[tuple[int, int]] = []
    led: dict[int, int] = {}
    heap: list[tuple[float, int, int]] = []

    def look(node: int, far: float) -> None:
        low, high = starts[node], starts[node + 1]
        if node not in starting:
            far += tolls[node]
        for other, cost in zip(columns[low:high].tolist(), both[low:high].tolist(), strict=True):
            if other not in shown:
                heappush(heap, (far + cost, other, node))

    starting = set(seeds)
    for seed in seeds:
        look(seed, 0.0)
    while heap and len(shown) < limit:
        far, node, before = heappop(heap)
        if node not in shown and led.get(before, 0) < (_LEADS[0] if before in starting else _LEADS[1]):
            shown[node] = None
            led[before] = led.get(before, 0) + 1
            tree.append((before, node))
            look(node, far)
    return list(shown), tree


def _strongest(pairs: Pairs, node: int, allowed: set[int], most: int) -> list[int]:
    """Return the strongest neighbours of a node, whichever way the edges lead."""
    out, back = pairs.sources == node, pairs.targets == node
    others = np.concatenate([pairs.targets[out], pairs.sources[back]])
    strengths = np.concatenate([pairs.strengths[out], pairs.strengths[back]])
    found: dict[int, float] = {}
    for other, strength in zip(others.tolist(), strengths.tolist(), strict=True):
        if other in allowed:
            found[other] = max(found.get(other, 0.0), strength)
    return sorted(found, key=lambda other: (-found[other], other))[:most]
