"""What a hop of a path consists of, with sentences that show it; and why there is no path."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.sparse.csgraph import breadth_first_order, connected_components

from core.graph.layered import Layered
from core.graph.memo import Memo
from core.graph.mixing import Mixed
from core.graph.suggest import nearest_spellings, shown
from core.graph.types import EXAMPLES, WordGraph

__all__ = ["explain_hop", "explain_layered_hop", "no_path", "sentences_with"]

#: Letters of an example that are given.
TEXT = 400
#: Type of the step from a word to itself in the next layer.
BETWEEN = "layer"

_MEMO = Memo(4)


def explain_hop(graph: WordGraph, mixed: Mixed, source: int, target: int, *, last: bool = True) -> dict[str, Any]:
    """Explain one step of a path.

    Parameters
    ----------
    graph, mixed
        The word graph and the mixture that the path was found in.
    source, target
        Nodes of an edge.
    last
        Whether the path ends at `target`; otherwise the step's cost holds the hub term of `target`.

    Returns
    -------
    dict
        ``from``, ``to``, ``cost``, ``hub`` (the part of it that is the hub term), ``probability`` (None in the
        undirected view), ``types`` (type → share, summing to 1), ``relations`` ([{relation, count, head}], most
        frequent first), ``layer``, ``examples`` (texts of at most three sentences, the shortest first), ``sentences``
        (their indices) and ``examples_hold``: ``both`` words, ``one`` of them each, or ``none``.

    Raises
    ------
    ValueError
        If there is no such edge.
    """
    edge = mixed.edge(source, target)
    if edge < 0:
        raise ValueError(f"there is no edge from node {source} to node {target}")
    hub = 0.0 if last else float(mixed.penalty[target])
    shares = mixed.shares[edge].astype(np.float64)
    shares /= shares.sum()
    order = sorted(range(len(mixed.types)), key=lambda column: (-shares[column], column))
    sentences, hold = _examples(graph, mixed, source, target)
    return {
        "from": graph.words[source],
        "to": graph.words[target],
        "cost": float(mixed.costs[edge]) + hub,
        "hub": hub,
        "probability": None if mixed.probability is None else float(mixed.probability[edge]),
        "types": {mixed.types[column]: float(shares[column]) for column in order if shares[column] > 0},
        "relations": _relations(graph, mixed, source, target),
        "layer": mixed.layer,
        "examples": [_cut(graph.sentences[index]) for index in sentences],
        "sentences": sentences,
        "examples_hold": hold,
    }


def explain_layered_hop(
    graph: WordGraph, over: Layered, source: int, target: int, *, last: bool = True
) -> dict[str, Any]:
    """Explain one step of a path through the layered graph; see :func:`explain_hop`.

    A step to the same word in the next layer has the type ``layer`` alone, and ``cosine`` says how alike the word is in
    both. Every step has ``from_layer`` and ``to_layer``.
    """
    word, layer = over.place(source)
    other, to_layer = over.place(target)
    if word != other:
        hop = explain_hop(graph, over.mixed[over.layers.index(layer)], word, other, last=last)
        return hop | {"from_layer": layer, "to_layer": layer}
    edge = over.search.edge(source, target)
    if edge < 0:
        raise ValueError(f"there is no edge from node {source} to node {target}")
    hub = 0.0 if last else float(over.penalty[target])
    low = min(over.layers.index(layer), over.layers.index(to_layer))
    return {
        "from": graph.words[word],
        "to": graph.words[word],
        "cost": float(over.costs[edge]) + hub,
        "hub": hub,
        "probability": None,
        "types": {BETWEEN: 1.0},
        "relations": [],
        "layer": to_layer,
        "examples": [],
        "sentences": [],
        "examples_hold": "none",
        "from_layer": layer,
        "to_layer": to_layer,
        "cosine": float(over.cosines[low, word]),
    }


def _relations(graph: WordGraph, mixed: Mixed, source: int, target: int) -> list[dict[str, Any]]:
    dep = mixed.sets.get("dep")
    if dep is None:
        return []
    found = [
        {"relation": name, "count": count, "head": graph.words[head]}
        for head, other in ((source, target), (target, source))
        for name, count in dep.relations_of(dep.find(head, other)).items()
    ]
    return sorted(found, key=lambda one: (-one["count"], one["relation"], one["head"]))


def _examples(graph: WordGraph, mixed: Mixed, source: int, target: int) -> tuple[list[int], str]:
    """Return sentences for an edge: its own, else any with both words, else one for each word."""
    kept = {
        index
        for one in mixed.sets.values()
        for edge in (one.find(source, target), one.find(target, source))
        for index in one.examples_of(edge)
        if index < len(graph.sentences)
    }
    if kept:
        return _shortest(graph, kept), "both"
    first, second = sentences_with(graph, source), sentences_with(graph, target)
    both = np.intersect1d(first, second)
    if len(both):
        return _shortest(graph, both.tolist()), "both"
    single = [index for one in (first, second) for index in _shortest(graph, one.tolist())[:1]]
    return single, "one" if single else "none"


def _shortest(graph: WordGraph, indices: Sequence[int] | set[int]) -> list[int]:
    return sorted(indices, key=lambda index: (len(graph.sentences[index]), index))[:EXAMPLES]


def _cut(text: str) -> str:
    return text if len(text) <= TEXT else text[: TEXT - 1] + "…"


def sentences_with(graph: WordGraph, node: int) -> np.ndarray:
    """Return the indices of the sentences that hold a word, ascending, shape (sentences,)."""

    def build() -> tuple[np.ndarray, np.ndarray]:
        lengths = [len(nodes) for nodes in graph.sentence_nodes]
        nodes = np.concatenate([np.asarray(one, dtype=np.int64) for one in graph.sentence_nodes] or [np.empty(0, int)])
        sentences = np.repeat(np.arange(len(lengths)), lengths)
        order = np.argsort(nodes, kind="stable")
        return nodes[order], sentences[order]

    nodes, sentences = _MEMO.get(graph, "sentences", build)
    low, high = np.searchsorted(nodes, [node, node + 1])
    return np.unique(sentences[low:high])


def no_path(graph: WordGraph, mixed: Mixed, source: int, target: int, *, limit: int = 5) -> dict[str, Any]:
    """Say why no path leads from one word to another.

    Returns
    -------
    dict
        ``reason``; ``components`` (``from``, ``to``: words in the component of either end, whichever way edges lead;
        ``largest``; ``count``); ``reachable`` (words that paths from the source reach); ``nearest``: reachable words
        nearest to the target, [{word, cosine}], by vector where both have one, otherwise by spelling, then by number of
        neighbours.
    """
    matrix = mixed.search.matrix
    count, label = connected_components(matrix, directed=True, connection="weak")
    sizes = np.bincount(label)
    here, there = int(sizes[label[source]]), int(sizes[label[target]])
    reached = breadth_first_order(matrix, source, directed=True, return_predecessors=False)
    reached = reached[reached != source]
    one, other = shown(graph.words[source]), shown(graph.words[target])
    if not len(reached):
        reason = f"No edge leads on from “{one}”" + (
            ": dependencies lead from heads to dependents only." if mixed.directed and here > 1 else "."
        )
    elif label[source] != label[target]:
        reason = f"“{one}” and “{other}” are in parts of the graph that no edge joins ({here:,} and {there:,} words)."
    elif mixed.indptr[-1] and not bool((mixed.targets == target).any()):
        reason = f"No edge leads to “{other}”: it is a head, and dependencies lead from heads to dependents only."
    else:
        reason = f"“{one}” and “{other}” are joined, but no edges lead from the one to the other in their direction."
    return {
        "reason": reason,
        "components": {"from": here, "to": there, "largest": int(sizes.max()), "count": int(count)},
        "reachable": len(reached),
        "nearest": _nearest(graph, mixed, reached, target, limit),
    }


def _nearest(graph: WordGraph, mixed: Mixed, reached: np.ndarray, target: int, limit: int) -> list[dict[str, Any]]:
    vectors = graph.vectors.get(mixed.layer) if mixed.layer is not None else None
    if vectors is not None and len(reached) and vectors[target].any():
        goal = vectors[target].astype(np.float32)
        rows = vectors[reached].astype(np.float32)
        norms = np.linalg.norm(rows, axis=1) * float(np.linalg.norm(goal))
        cosines = np.where(norms > 0, rows @ goal / np.maximum(norms, 1e-12), -math.inf)
        best = np.argsort(-cosines, kind="stable")[:limit]
        return [
            {"word": graph.words[int(reached[at])], "cosine": float(cosines[at])}
            for at in best
            if np.isfinite(cosines[at])
        ]
    held = {graph.words[node] for node in reached.tolist()}
    spelt = [word for word in nearest_spellings(graph, graph.words[target], limit=50) if word in held][:limit]
    hubs = sorted(reached.tolist(), key=lambda node: (-int(mixed.neighbours[node]), node))
    rest = [graph.words[node] for node in hubs if graph.words[node] not in spelt]
    return [{"word": word, "cosine": None} for word in (spelt + rest)[:limit]]
