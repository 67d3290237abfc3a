"""Two graphs, or two layers of one, side by side: edges, paths, and how alike their layers are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from core.errors import BertloomError, ConfigError
from core.graph.types import EdgeSet, WordGraph
from core.models.cka import cka_matrix

if TYPE_CHECKING:
    from core.graph.query import PathQuery

__all__ = ["compare_edges", "compare_graphs", "compare_layers", "compare_paths"]

#: Edges that are listed of each type and side, the strongest first.
TOP = 50
#: Paths of either side that are compared.
PATHS = 10
#: Words that the matrix of layers is computed over, the most frequent first.
MOST_WORDS = 5000


def compare_graphs(
    one: WordGraph,
    other: WordGraph,
    *,
    layer: int | None = None,
    other_layer: int | None = None,
    query: PathQuery | None = None,
    top: int = TOP,
) -> dict[str, Any]:
    """Compare two graphs: of two encoders, two corpora, or before and after fine-tuning.

    Parameters
    ----------
    one, other
        The graphs; words are matched by their labels.
    layer, other_layer
        Layer of either; None: the middle one.
    query
        A question about paths that is put to both, inside a layer of each; the layers that it names do not count.
    top
        Edges that are listed of each type and side.

    Returns
    -------
    dict
        ``layers``, ``words``, ``edges`` (see :func:`compare_edges`), ``cka`` (a matrix of all layers of one against all
        of the other, over common words), ``paths`` (see :func:`compare_paths`; None without a query), ``notices``.

    Raises
    ------
    ConfigError
        If a graph has no such layer.
    """
    layers = _layer(one, layer), _layer(other, other_layer)
    notices: list[str] = []
    places = _common(one, other)
    shared = len(places[0])
    words = {"one": len(one), "other": len(other), "common": shared}
    if shared < max(len(one), len(other)):
        notices.append(
            f"The graphs have {shared:,} words in common, of {len(one):,} and {len(other):,}; only edges between "
            "common words are compared."
        )
    if layers[0] != layers[1]:
        notices.append(f"Layer {layers[0]} of the first is compared with layer {layers[1]} of the second.")
    found: dict[str, Any] = {
        "layers": list(layers), "words": words, "edges": compare_edges(one, other, *layers, top=top),
        "cka": _cka(one, other, places, notices), "paths": None, "notices": notices,
    }  # fmt: skip
    if query is not None:
        found["paths"] = compare_paths(one, other, query, *layers, notices=notices)
    return found


def compare_layers(
    graph: WordGraph, layer: int, other_layer: int, *, query: PathQuery | None = None, top: int = TOP
) -> dict[str, Any]:
    """Compare two layers of one graph; see :func:`compare_graphs`."""
    return compare_graphs(graph, graph, layer=layer, other_layer=other_layer, query=query, top=top)


def compare_edges(
    one: WordGraph, other: WordGraph, layer: int | None, other_layer: int | None, *, top: int = TOP
) -> dict[str, Any]:
    """Say by type which edges between common words both graphs have, and which only one of them has.

    Returns
    -------
    dict
        Type → ``one``, ``other`` (edges between common words), ``common``, ``jaccard``, ``appeared`` (edges that only
        the other has) and ``vanished`` (that only the first has), each a list of ``from``, ``to``, ``weight``, the
        strongest first; and ``changed``: edges of both whose weight differs most, with ``weight`` and ``before``.
        A type of which neither has edges is left out.
    """
    places = _common(one, other)
    nodes = max(1, len(places[0]))
    label = [one.words[at] for at in places[0].tolist()]
    numbers = _numbers(len(one), places[0]), _numbers(len(other), places[1])
    found: dict[str, Any] = {}
    for kind in dict.fromkeys([*one.types, *other.types]):
        left = _edges(one.edge_sets(layer, [kind]), numbers[0], nodes)
        right = _edges(other.edge_sets(other_layer, [kind]), numbers[1], nodes)
        if not len(left[0]) and not len(right[0]):
            continue
        shared, in_left, in_right = np.intersect1d(left[0], right[0], assume_unique=True, return_indices=True)
        union = len(left[0]) + len(right[0]) - len(shared)
        change = right[1][in_right] - left[1][in_left]
        largest = np.argsort(-np.abs(change), kind="stable")[:top]
        largest = largest[np.abs(change[largest]) > 0]
        found[kind] = {
            "one": len(left[0]), "other": len(right[0]), "common": len(shared), "jaccard": len(shared) / union,
            "appeared": _strongest(right, in_right, label, top), "vanished": _strongest(left, in_left, label, top),
            "changed": [
                {
                    **_named(int(shared[at]), label), "before": float(left[1][in_left[at]]),
                    "weight": float(right[1][in_right[at]]),
                }
                for at in largest.tolist()
            ],
        }  # fmt: skip
    return found


def compare_paths(
    one: WordGraph,
    other: WordGraph,
    query: PathQuery,
    layer: int | None,
    other_layer: int | None,
    *,
    notices: list[str] | None = None,
) -> list[dict[str, Any]]:
    """Put one question to both graphs and say how each path's rank and cost change.

    Parameters
    ----------
    one, other, layer, other_layer
        The graphs and the layer of either.
    query
        The question; at least ten paths are asked for, so that a path that falls behind is still found.
    notices
        A list that is told what kept a graph from answering, and edge types that only one of them has.

    Returns
    -------
    list of dict
        Paths of either in the first's order, then the other's: ``words``, ``rank`` and ``cost`` of both as
        ``one`` and ``other`` (None: not among the best there), and ``rank_change`` (positive: it rises in the other).
    """
    said = notices if notices is not None else []
    answers: list[dict[tuple[str, ...], tuple[int, float]]] = []
    for name, graph, where in (("first", one, layer), ("second", other, other_layer)):
        changed: dict[str, Any] = {
            "layer": where, "k": max(query.k, PATHS), "across_layers": False, "from_layer": None, "to_layer": None,
        }  # fmt: skip
        if query.weights:
            changed["weights"] = {kind: value for kind, value in query.weights.items() if kind in graph.types}
            left = sorted(set(query.weights) - set(graph.types))
            if left:
                said.append(f"The {name} graph has no {' and no '.join(left)} edges.")
        answers.append(_answer(graph, query.model_copy(update=changed), name, said))
    rows = []
    for words in dict.fromkeys([*answers[0], *answers[1]]):
        before, after = (answer.get(words) for answer in answers)
        change = before[0] - after[0] if before and after else None
        rows.append(
            {
                "words": list(words), "rank": {"one": before and before[0], "other": after and after[0]},
                "cost": {"one": before and before[1], "other": after and after[1]}, "rank_change": change,
            }
        )  # fmt: skip
    return rows


def _answer(
    graph: WordGraph, query: PathQuery, name: str, notices: list[str]
) -> dict[tuple[str, ...], tuple[int, float]]:
    from core.graph.query import find_paths

    try:
        found = find_paths(graph, query)
    except BertloomError as error:
        notices.append(f"The {name} graph gives no paths: {error.what}")
        return {}
    if not found["paths"]:
        notices.append(f"The {name} graph has no such path.")
    return {tuple(path["words"]): (rank, float(path["cost"])) for rank, path in enumerate(found["paths"], 1)}


def _layer(graph: WordGraph, layer: int | None) -> int | None:
    if layer is None:
        return graph.middle
    if layer not in graph.layers:
        raise ConfigError(
            f"The graph has no layer {layer}.", where="layer", expected=", ".join(map(str, graph.layers)) or "no layer"
        )
    return layer


def _common(one: WordGraph, other: WordGraph) -> tuple[np.ndarray, np.ndarray]:
    """Return the common words' nodes in either graph, in the order of the first."""
    index = other.index()
    pairs = [(node, index[word]) for node, word in enumerate(one.words) if word in index]
    both = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return both[:, 0], both[:, 1]


def _numbers(size: int, nodes: np.ndarray) -> np.ndarray:
    numbers = np.full(size, -1, dtype=np.int64)
    numbers[nodes] = np.arange(len(nodes))
    return numbers


def _edges(sets: list[EdgeSet], numbers: np.ndarray, nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return keys and weights of the edges between common words; of an edge in several sets the larger weight."""
    sources = np.concatenate([np.empty(0, dtype=np.int64), *(numbers[one.sources] for one in sets)])
    targets = np.concatenate([np.empty(0, dtype=np.int64), *(numbers[one.targets] for one in sets)])
    weights = np.concatenate([np.empty(0), *(one.weights.astype(np.float64) for one in sets)])
    there = (sources >= 0) & (targets >= 0)
    keys, weights = sources[there] * nodes + targets[there], weights[there]
    order = np.lexsort((-weights, keys))
    keys, weights = keys[order], weights[order]
    first = np.diff(keys, prepend=-1) != 0
    return keys[first], weights[first]


def _named(key: int, label: list[str]) -> dict[str, Any]:
    source, target = divmod(key, len(label))
    return {"from": label[source], "to": label[target]}


def _strongest(
    edges: tuple[np.ndarray, np.ndarray], shared: np.ndarray, label: list[str], top: int
) -> list[dict[str, Any]]:
    alone = np.ones(len(edges[0]), dtype=bool)
    alone[shared] = False
    keys, weights = edges[0][alone], edges[1][alone]
    order = np.argsort(-weights, kind="stable")[:top]
    return [{**_named(int(keys[at]), label), "weight": float(weights[at])} for at in order.tolist()]


def _cka(
    one: WordGraph, other: WordGraph, places: tuple[np.ndarray, np.ndarray], notices: list[str]
) -> dict[str, Any] | None:
    """Compare all layers of both by linear CKA of the vectors of common words; None where there are none to compare."""
    if not one.vectors or not other.vectors or len(places[0]) < 2:
        return None
    rows = {layer: np.asarray(one.vectors[layer])[places[0]] for layer in sorted(one.vectors)}
    columns = rows if other is one else {
        layer: np.asarray(other.vectors[layer])[places[1]] for layer in sorted(other.vectors)
    }  # fmt: skip
    seen = np.logical_and.reduce([vectors.any(axis=1) for vectors in (*rows.values(), *columns.values())])
    chosen = np.flatnonzero(seen)[:MOST_WORDS]
    widest = max(vectors.shape[1] for vectors in (*rows.values(), *columns.values()))
    if len(chosen) < 2:
        return None
    if len(chosen) <= widest:
        notices.append(
            f"The CKA of layers is over {len(chosen):,} words only, fewer than the vectors are wide: it comes out too "
            "high."
        )
    taken = [[vectors[chosen].astype(np.float32) for vectors in side.values()] for side in (rows, columns)]
    matrix = cka_matrix(taken[0]) if other is one else cka_matrix(taken[0], taken[1])
    return {
        "rows": list(rows), "columns": list(columns), "matrix": np.asarray(matrix).tolist(), "items": len(chosen),
        "over": "words", "about": "normalised vectors of common words, not states of tokens",
    }  # fmt: skip
