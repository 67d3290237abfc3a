"""From chosen words and edges to the plain data of a view: positions, labels, roles, legend, what was left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from core.graph.communities import NO_COMMUNITY, Communities
from core.graph.layout import label_box, place, separate
from core.graph.mixing import Mixed
from core.graph.pairs import Pairs
from core.graph.types import WordGraph

__all__ = ["MEANINGS", "Drawn", "assemble", "pick_edges", "short"]

#: What an edge of a type means, for the legend.
MEANINGS: dict[str, str] = {
    "dep": "head and dependent in the corpus' trees",
    "sim": "mutual nearest neighbours among the word vectors",
    "cooc": "words that stand near each other",
    "attn": "attention from word to word",
    "gnn": "predicted by the graph network",
}
_LABEL = 28
_RADIUS = (5.0, 20.0)
#: Pixels between a path's line and the boxes of other words.
_CLEAR = 14.0
#: How much stronger an edge inside a community pulls.
_TOGETHER = 8.0
#: Above this many words labels are not moved apart: nobody reads them all at once.
_READABLE = 600
#: Relations named at an edge.
_RELATIONS = 4


@dataclass(frozen=True)
class Drawn:
    """What a view shows.

    Parameters
    ----------
    kind
        ``path``, ``neighbourhood``, ``overview`` or ``map``.
    nodes
        Nodes, in order of importance.
    roles
        Role of each node: ``path``, ``neighbour`` or ``context``.
    edges
        Indices of the edges in the mixed graph.
    steps, on
        (source, target) and node → numbers of the paths that use it.
    pinned
        Nodes with a place of their own; see :func:`~core.graph.layout.place`.
    chosen_by
        How the words were chosen, for the notice.
    places
        Node → x and y in pixels, of every node; None: they are laid out here.
    """

    kind: str
    nodes: list[int]
    roles: dict[int, str]
    edges: np.ndarray
    steps: dict[tuple[int, int], list[int]]
    on: dict[int, list[int]]
    pinned: dict[int, tuple[float, float]]
    chosen_by: str
    places: dict[int, tuple[float, float]] | None = None


def pick_edges(
    pairs: Pairs,
    shown: np.ndarray,
    most: int,
    *,
    steps: dict[tuple[int, int], list[int]] | None = None,
    tree: list[tuple[int, int]] | None = None,
) -> np.ndarray:
    """Choose the edges that are drawn between the nodes shown; one of two opposite edges, the stronger.

    Parameters
    ----------
    pairs
        All edges.
    shown
        Nodes.
    most
        Edges a node, strongest first; those of `steps` and `tree`, and one for a node that would have none, come on
        top.
    steps
        Directed edges that are drawn in any case, in their direction.
    tree
        Pairs of nodes that are drawn joined in any case.

    Returns
    -------
    numpy.ndarray
        Indices of edges, int64.
    """
    inside = np.zeros(pairs.nodes, dtype=bool)
    inside[shown] = True
    edges = np.flatnonzero(inside[pairs.sources] & inside[pairs.targets])
    order = edges[np.lexsort((edges, -pairs.strengths[edges]))]
    steps, tree = steps or {}, tree or []
    wanted = {tuple(sorted(pair)) for pair in tree}
    free = {tuple(sorted(pair)) for pair in steps}
    picked: list[int] = []
    done: set[tuple[int, ...]] = set()
    used = np.zeros(pairs.nodes, dtype=np.int64)
    ends = list(zip(pairs.sources[order].tolist(), pairs.targets[order].tolist(), order.tolist(), strict=True))

    def take(source: int, target: int, edge: int) -> None:
        key = (source, target) if source < target else (target, source)
        if key not in done:
            done.add(key)
            picked.append(edge)
            if key not in free:
                used[source] += 1
                used[target] += 1

    for source, target, edge in ends:
        if (source, target) in steps:
            take(source, target, edge)
    for source, target, edge in ends:
        if ((source, target) if source < target else (target, source)) in wanted:
            take(source, target, edge)
    for source, target, edge in ends:
        if used[source] < most and used[target] < most:
            take(source, target, edge)
    for source, target, edge in ends:
        if not used[source] or not used[target]:
            take(source, target, edge)
    return np.array(sorted(picked), dtype=np.int64)


def assemble(
    graph: WordGraph, mixed: Mixed, drawn: Drawn, groups: Communities, sizes: np.ndarray, seed: int
) -> dict[str, Any]:
    """Return the plain data of a view; see :mod:`core.graph.view`."""
    local = {node: number for number, node in enumerate(drawn.nodes)}
    sources = np.array([local[node] for node in mixed.sources[drawn.edges].tolist()], dtype=np.int64)
    targets = np.array([local[node] for node in mixed.targets[drawn.edges].tolist()], dtype=np.int64)
    strengths = np.exp(-mixed.costs[drawn.edges])
    shown = np.array(drawn.nodes, dtype=np.int64)
    radius = _radius(sizes[shown])
    labels = [short(graph.words[node]) for node in drawn.nodes]
    pinned = {local[node]: where for node, where in drawn.pinned.items()}
    member = groups.membership[shown]
    together = (member[sources] == member[targets]) & (member[sources] != NO_COMMUNITY)
    pull = np.where(together, _TOGETHER, 1.0) * strengths  # so that communities are seen
    if drawn.places is not None:
        positions = np.array([drawn.places[node] for node in drawn.nodes], dtype=np.float64).reshape(-1, 2)
    else:
        positions = place(len(shown), sources, targets, pull, seed=seed, pinned=pinned)
    if drawn.places is None and len(shown) <= _READABLE:
        boxes = np.array([label_box(label, size) for label, size in zip(labels, radius.tolist(), strict=True)])
        positions = _apart(positions, boxes.reshape(-1, 2), list(pinned))
    positions = np.round(positions, 1) + 0.0
    width = dict(zip(graph.layers, graph.widths, strict=True)).get(mixed.layer) if mixed.layer is not None else None
    nodes = []
    for number, node in enumerate(drawn.nodes):
        word: dict[str, Any] = {
            "id": node, "label": labels[number], "word": graph.words[node], "x": float(positions[number, 0]),
            "y": float(positions[number, 1]), "size": round(float(radius[number]), 2),
            "value": round(float(sizes[node]), 12), "community": int(groups.membership[node]),
            "count": int(graph.counts[node]), "tag": graph.tags[node], "width": width,
            "neighbours": int(mixed.neighbours[node]), "role": drawn.roles[node],
        }  # fmt: skip
        if node in drawn.on:
            word["paths"] = drawn.on[node]
        nodes.append(word)
    return {
        "kind": drawn.kind,
        "layer": mixed.layer,
        "directed": mixed.directed,
        "nodes": nodes,
        "edges": [_edge(mixed, drawn, int(edge)) for edge in drawn.edges],
        "communities": _communities(groups, shown, positions),
        "legend": _legend(mixed, drawn.edges),
        "notices": _notices(graph, mixed, drawn),
    }


def _apart(positions: np.ndarray, boxes: np.ndarray, path: list[int]) -> np.ndarray:
    """Move labels apart, and what is above and below a path away from its line: on it, a word would seem to belong."""
    found = separate(positions, boxes, pinned=path)
    if len(path) < 2:
        return found
    others = np.ones(len(found), dtype=bool)
    others[path] = False
    below = found[:, 1] >= found[path[0], 1]
    room = np.abs(found[:, 1] - found[path[0], 1])
    for side in (below & others, ~below & others):
        if side.any():  # by one distance a side, so that nothing comes nearer to anything
            lacking = max(0.0, float((boxes[side, 1] / 2 + _CLEAR - room[side]).max()))
            found[side, 1] += np.where(below[side], lacking, -lacking)
    return found


def _edge(mixed: Mixed, drawn: Drawn, edge: int) -> dict[str, Any]:
    source, target = int(mixed.sources[edge]), int(mixed.targets[edge])
    shares = mixed.shares[edge].astype(np.float64)
    types = {
        name: round(float(share), 6) for name, share in zip(mixed.types, shares.tolist(), strict=True) if share > 0
    }
    on = drawn.steps.get((source, target), [])
    both = {drawn.roles[source], drawn.roles[target]}
    role = "path" if on else "neighbour" if "context" not in both else "context"
    found: dict[str, Any] = {
        "from": source, "to": target, "type": max(types, key=lambda name: types[name]), "types": types,
        "weight": round(float(np.exp(-mixed.costs[edge])), 9), "role": role,
        "mutual": mixed.edge(target, source) >= 0,
    }  # fmt: skip
    if on:
        found["paths"] = on
    if "dep" in types:
        index = int(mixed.edge_index[edge, mixed.types.index("dep")])
        found["relations"] = list(mixed.sets["dep"].relations_of(index))[:_RELATIONS]
    return found


def _radius(values: np.ndarray) -> np.ndarray:
    """Return radii in pixels: areas grow with the value."""
    most = float(values.max(initial=0.0))
    share = np.sqrt(np.clip(values, 0, None) / most) if most > 0 else np.zeros(len(values))
    return _RADIUS[0] + (_RADIUS[1] - _RADIUS[0]) * share


def _communities(groups: Communities, shown: np.ndarray, positions: np.ndarray) -> list[dict[str, Any]]:
    member = groups.membership[shown]
    found = []
    for one in groups.communities:
        here = np.flatnonzero(member == one.id)
        if len(here):
            x, y = np.median(positions[here], axis=0)
            found.append(
                {"id": one.id, "name": one.name, "size": one.size, "shown": len(here), "x": round(float(x), 1),
                 "y": round(float(y), 1)}
            )  # fmt: skip
    return found


def _legend(mixed: Mixed, edges: np.ndarray) -> list[dict[str, Any]]:
    strongest = np.argmax(mixed.shares[edges], axis=1) if len(edges) else np.empty(0, dtype=np.int64)
    return [
        {"type": name, "meaning": MEANINGS[name], "edges": int((strongest == column).sum()),
         "weight": round(mixed.weights[name], 6)}
        for column, name in enumerate(mixed.types)
    ]  # fmt: skip


def _notices(graph: WordGraph, mixed: Mixed, drawn: Drawn) -> list[str]:
    notices = []
    if len(drawn.nodes) < len(graph):
        notices.append(f"{len(drawn.nodes):,} of {len(graph):,} words are drawn: those {drawn.chosen_by}.")
    inside = np.zeros(len(graph), dtype=bool)
    inside[drawn.nodes] = True
    there = np.flatnonzero(inside[mixed.sources] & inside[mixed.targets])
    low = np.minimum(mixed.sources[there], mixed.targets[there]).astype(np.int64)
    high = np.maximum(mixed.sources[there], mixed.targets[there]).astype(np.int64)
    joined = len(np.unique(low * len(graph) + high))
    if len(drawn.edges) < joined:
        notices.append(
            f"{len(drawn.edges):,} of the {joined:,} pairs that are joined are drawn: each word's strongest."
        )
    return notices


def short(word: str, limit: int = _LABEL) -> str:
    """Return a word for a label: one line, not longer than `limit` letters."""
    flat = " ".join(word.split()) or word
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"
