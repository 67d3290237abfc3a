"""What a graph consists of, in numbers, for the command line and the page."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from core.graph.types import EdgeSet, WordGraph

__all__ = ["graph_stats"]

_LARGEST = 10
_FREQUENT = 10


def graph_stats(graph: WordGraph, layer: int | None = None) -> dict[str, Any]:
    """Count a graph's words, edges, neighbours and components.

    Parameters
    ----------
    graph
        The graph.
    layer
        Layer whose edges count for neighbours and components, beside those of no layer; None: the middle one.

    Returns
    -------
    dict
        ``words``, ``occurrences``, ``sentences``, ``language``, ``unit``, ``trees``, ``layers`` [{layer, width,
        vectors}], ``edges`` [{type, layer, edges, weight {min, mean, max}, occurrences}], ``layer``, ``degree`` {mean,
        median, max, most, spread}, ``components`` {number, largest, share, sizes}, ``isolated``, ``pairs`` (pairs of
        words that an edge joins), ``density`` (of all pairs there could be), ``parts_of_speech``, ``relations``,
        ``notices``, ``encoder``. Neighbours and components do not mind the direction of edges; words without any edge
        are ``isolated`` and not counted as components.
    """
    layer = graph.middle if layer is None else layer
    degree, sizes = _joined(len(graph), graph.edge_sets(layer))
    about = graph.about
    order = np.argsort(-degree, kind="stable")[:_FREQUENT]
    return {
        "words": len(graph),
        "occurrences": int(np.sum(graph.counts)),
        "sentences": len(graph.sentences),
        "language": about.get("language"),
        "unit": about.get("unit"),
        "trees": about.get("trees"),
        "parser": about.get("parser"),
        "encoder": about.get("encoder"),
        "layers": [
            {"layer": number, "width": width, "vectors": number in graph.vectors}
            for number, width in zip(graph.layers, graph.widths, strict=True)
        ],
        "edges": [_edges(one) for one in graph.edges],
        "layer": layer,
        "degree": {
            "mean": round(float(degree.mean()), 4) if len(degree) else 0.0,
            "median": float(np.median(degree)) if len(degree) else 0.0,
            "max": int(degree.max(initial=0)),
            "most": [{"word": graph.words[node], "neighbours": int(degree[node])} for node in order if degree[node]],
            "spread": _spread(degree),
        },
        "components": {
            "number": len(sizes), "largest": int(sizes.max(initial=0)),
            "share": round(int(sizes.max(initial=0)) / len(graph), 6) if len(graph) else 0.0,
            "sizes": sizes[:_LARGEST].tolist(),
        },
        "isolated": int((degree == 0).sum()),
        "pairs": int(degree.sum()) // 2,
        "density": _density(degree),
        "parts_of_speech": _counted(graph.tags),
        "relations": _relations(graph),
        "notices": [str(notice) for notice in about.get("notices") or []],
    }  # fmt: skip


def _joined(words: int, sets: list[EdgeSet]) -> tuple[np.ndarray, np.ndarray]:
    """Return the number of neighbours of each word, and the sizes of components of two words or more."""
    sources = np.concatenate([np.empty(0, dtype=np.int64), *(one.sources for one in sets)])
    targets = np.concatenate([np.empty(0, dtype=np.int64), *(one.targets for one in sets)])
    keys = np.unique(np.minimum(sources, targets) * max(words, 1) + np.maximum(sources, targets))
    low, high = np.divmod(keys, max(words, 1))
    degree = np.bincount(low, minlength=words) + np.bincount(high, minlength=words)
    if not words:
        return degree, np.empty(0, dtype=np.int64)
    matrix = coo_array((np.ones(len(keys), dtype=np.int8), (low, high)), shape=(words, words))
    _, component = connected_components(matrix, directed=False)
    sizes = np.bincount(component)
    return degree, np.sort(sizes[sizes > 1])[::-1]


def _spread(degree: np.ndarray) -> list[dict[str, int]]:
    """Count words by their number of neighbours: 0, 1, 2–3, 4–7, 8–15 …"""
    classes = np.ceil(np.log2(degree.astype(np.float64) + 1)).astype(int)
    return [
        {"from": 2 ** (place - 1) if place else 0, "to": 2**place - 1, "words": count}
        for place, count in enumerate(np.bincount(classes).tolist())
    ]


def _density(degree: np.ndarray) -> float:
    """Return the share of joined pairs in all pairs of words."""
    words = len(degree)
    return round(float(degree.sum()) / (words * (words - 1)), 8) if words > 1 else 0.0


def _edges(one: EdgeSet) -> dict[str, Any]:
    weights = one.weights.astype(np.float64)
    spread = None
    if len(one):
        spread = {
            name: round(float(value), 6)
            for name, value in (("min", weights.min()), ("mean", weights.mean()), ("max", weights.max()))
        }
    occurrences = None if one.counts is None else int(one.counts.sum(dtype=np.int64))
    return {"type": one.type, "layer": one.layer, "edges": len(one), "weight": spread, "occurrences": occurrences}


def _counted(tags: list[str]) -> dict[str, int]:
    names, counts = np.unique([tag for tag in tags if tag], return_counts=True)
    pairs = zip(names.tolist(), counts.tolist(), strict=True)
    return dict(sorted(pairs, key=lambda item: (-item[1], item[0])))


def _relations(graph: WordGraph) -> dict[str, int]:
    found: dict[str, int] = {}
    for one in graph.edges:
        if one.relation_counts is not None and len(one.relation_counts):
            sums = np.bincount(
                one.relation_counts[:, 1], weights=one.relation_counts[:, 2], minlength=len(one.relations)
            )
            for name, count in zip(one.relations, sums.tolist(), strict=True):
                found[name] = found.get(name, 0) + int(count)
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))
