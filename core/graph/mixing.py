"""Mixing: edges of several types become one graph of probabilities and costs, in CSR arrays.

p(v|u) = Σ_t α_t · w_t(u,v) / Σ_x w_t(u,x), with α renormalised over the types that u has edges of; cost = −log p(v|u).
The shortest path is then the most probable walk.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from core.config.graph import EDGE_TYPES
from core.errors import ConfigError
from core.graph.shortest import SearchGraph
from core.graph.types import EdgeSet, WordGraph

__all__ = ["Mixed", "check_layer", "check_weights", "mix"]


@dataclass(frozen=True, eq=False)
class Mixed:
    """One graph out of several edge types, for one layer. Edges are sorted by (source, target).

    Parameters
    ----------
    indptr
        Start of each node's edges, int64 of shape (nodes + 1,).
    targets
        int32 of shape (edges,).
    costs
        −log p without the hub term, float64 of shape (edges,).
    probability
        p(target|source), float64 of shape (edges,); None in the undirected view.
    penalty
        λ·log(1 + number of neighbours) of each node, float64 of shape (nodes,).
    neighbours
        Number of neighbours of each node, whichever way the edges lead, int64 of shape (nodes,).
    shares
        Share of each type in each edge, float32 of shape (edges, types); each row sums to 1.
    types
        Edge types with a weight above 0 and edges here.
    edge_index
        Index of the edge in its type's edge set or -1, int32 of shape (edges, types).
    turned
        Whether an edge's cost, shares and indices are those of the opposite direction (undirected view), bool of shape
        (edges,).
    sets
        The edge set of each type.
    weights
        α of each of `types`, summing to 1.
    layer
        Layer of the edges; None for a graph without layers.
    directed
        Whether edges are walked in their direction only.
    """

    indptr: np.ndarray
    targets: np.ndarray
    costs: np.ndarray
    probability: np.ndarray | None
    penalty: np.ndarray
    neighbours: np.ndarray
    shares: np.ndarray
    types: list[str]
    edge_index: np.ndarray
    turned: np.ndarray
    sets: dict[str, EdgeSet]
    weights: dict[str, float]
    layer: int | None
    directed: bool = True
    hub_penalty: float = 0.0
    min_weight: dict[str, float] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.indptr) - 1

    @cached_property
    def search(self) -> SearchGraph:
        """The same edges, prepared for searching."""
        return SearchGraph(self.indptr, self.targets, self.costs, self.penalty)

    @property
    def sources(self) -> np.ndarray:
        """Source of every edge, int32 of shape (edges,)."""
        return self.search.sources

    def edge(self, source: int, target: int) -> int:
        """Return the index of an edge, or -1."""
        return self.search.edge(source, target)


def check_weights(graph: WordGraph, weights: Mapping[str, float] | None) -> dict[str, float]:
    """Return α of every type with a weight above 0, summing to 1; equal ones if `weights` is None.

    Raises
    ------
    ConfigError
        If a type is unknown or not in the graph, a weight is negative or no number, or none is above 0.
    """
    held = graph.types
    if weights is None:
        weights = dict.fromkeys(held, 1.0)
    for name, value in weights.items():
        where = f"weights.{name[:40]}"
        if name not in EDGE_TYPES:
            raise ConfigError(
                "There is no such edge type.", where=where, expected=f"one of {', '.join(EDGE_TYPES)}"
            )  # fmt: skip
        if not math.isfinite(value) or value < 0:
            raise ConfigError(f"The weight {value} is not usable.", where=where, expected="a number of at least 0")
        if value > 0 and name not in held:
            raise ConfigError(
                f"This graph has no {name} edges.", where=where,
                expected=f"0: it has {', '.join(held) or 'no edges'}",
                advice="Build the graph with these edges, or set the weight to 0.",
            )  # fmt: skip
    total = math.fsum(weights.values())
    if not total > 0:
        raise ConfigError(
            "No edge type has a weight above 0.", where="weights", expected=f"a weight above 0 for {', '.join(held)}"
            if held else "a graph with edges",
        )  # fmt: skip
    return {name: weights[name] / total for name in held if weights.get(name, 0) > 0}


def check_layer(graph: WordGraph, layer: int | None) -> int | None:
    """Return the layer that is meant: the middle one for None.

    Raises
    ------
    ConfigError
        If the graph has no such layer.
    """
    if layer is None:
        return graph.middle
    if layer not in graph.layers:
        held = ", ".join(map(str, graph.layers))
        raise ConfigError(
            f"This graph has no layer {layer}.", where="layer",
            expected=f"one of {held}" if held else "no layer: the graph was built without an encoder",
        )  # fmt: skip
    return layer


def mix(
    graph: WordGraph,
    layer: int | None,
    weights: Mapping[str, float] | None = None,
    *,
    directed: bool = True,
    hub_penalty: float = 0.0,
    min_weight: Mapping[str, float] | None = None,
) -> Mixed:
    """Mix the edge types of a layer into one graph.

    Parameters
    ----------
    graph
        The word graph.
    layer
        Layer; None: the middle one.
    weights
        α by type; they need not sum to 1, and types that are not named have 0. None: all types alike.
    directed
        Walk edges in their direction only: `dep` edges lead from head to dependent. Otherwise an edge leads both ways
        at the smaller cost of its two directions, and there are no probabilities.
    hub_penalty
        λ of the cost λ·log(1 + number of neighbours) of every node between the ends.
    min_weight
        Edges below this weight are left out, by type, before probabilities are formed.

    Returns
    -------
    Mixed
        Edges of weight 0 are left out: their cost would be infinite.

    Raises
    ------
    ConfigError
        If a weight, a least weight, the layer, or the penalty is not usable.
    """
    alphas = check_weights(graph, weights)
    layer = check_layer(graph, layer)
    if not math.isfinite(hub_penalty) or hub_penalty < 0:
        raise ConfigError(
            f"The hub penalty {hub_penalty} is not usable.", where="hub_penalty", expected="a number of at least 0"
        )
    least = dict(min_weight or {})
    for name, value in least.items():
        if name not in EDGE_TYPES or math.isnan(value):
            raise ConfigError(
                "This least weight is not usable.", where=f"min_weight.{name[:40]}",
                expected=f"a number, for one of {', '.join(EDGE_TYPES)}",
            )  # fmt: skip
    # Sets of the layer itself come last, so that they take the place of a set of their type that depends on no layer.
    sets = {one.type: one for one in sorted(graph.edge_sets(layer), key=lambda one: one.layer is not None)}
    types = [name for name in alphas if name in sets]
    size = len(graph)
    keys, values, indices = [], [], []
    reach = np.zeros(size)
    for name in types:
        one = sets[name]
        weight = one.weights.astype(np.float64)
        kept = np.flatnonzero((weight > 0) & (weight >= least.get(name, 0.0)))
        sources, weight = one.sources[kept], weight[kept]
        sums = np.bincount(sources, weights=weight, minlength=size)
        reach += alphas[name] * (sums > 0)
        keys.append(sources.astype(np.int64) * size + one.targets[kept])
        values.append(alphas[name] * weight / sums[sources])
        indices.append(kept.astype(np.int32))
    merged = np.concatenate(keys) if keys else np.empty(0, dtype=np.int64)
    pairs, place = np.unique(merged, return_inverse=True)
    parts = np.zeros((len(pairs), len(types)))
    edge_index = np.full((len(pairs), len(types)), -1, dtype=np.int32)
    start = 0
    for column, (value, index) in enumerate(zip(values, indices, strict=True)):
        rows = place[start : start + len(value)]
        parts[rows, column] = value
        edge_index[rows, column] = index
        start += len(value)
    mass = parts.sum(axis=1)
    sources, targets = pairs // max(size, 1), pairs % max(size, 1)
    chances = np.minimum(mass / reach[sources], 1.0)
    probability: np.ndarray | None = chances
    costs = -np.log(chances) + 0.0  # not −0
    shares = parts / mass[:, None]
    turned = np.zeros(len(pairs), dtype=bool)
    if not directed:
        pairs, chosen, turned = _both_ways(sources, targets, costs, size)
        sources, targets, costs = pairs // max(size, 1), pairs % max(size, 1), costs[chosen]
        shares, edge_index, probability = shares[chosen], edge_index[chosen], None
    neighbours = _neighbours(sources, targets, size)
    return Mixed(
        indptr=np.searchsorted(sources, np.arange(size + 1)).astype(np.int64),
        targets=targets.astype(np.int32),
        costs=costs,
        probability=probability,
        penalty=hub_penalty * np.log1p(neighbours),
        neighbours=neighbours,
        shares=shares.astype(np.float32),
        types=types,
        edge_index=edge_index,
        turned=turned,
        sets={name: sets[name] for name in types},
        weights={name: alphas[name] for name in types},
        layer=layer,
        directed=directed,
        hub_penalty=hub_penalty,
        min_weight=least,
    )


def _both_ways(
    sources: np.ndarray, targets: np.ndarray, costs: np.ndarray, size: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return pair keys in both directions, the edge that each takes its cost from, and whether that leads back."""
    edges = np.arange(len(sources))
    keys = np.concatenate([sources * size + targets, targets * size + sources])
    chosen = np.concatenate([edges, edges])
    back = np.repeat([False, True], len(edges))
    order = np.lexsort((back, costs[chosen], keys))
    keys = keys[order]
    first = np.ones(len(keys), dtype=bool)
    first[1:] = keys[1:] != keys[:-1]
    return keys[first], chosen[order][first], back[order][first]


def _neighbours(sources: np.ndarray, targets: np.ndarray, size: int) -> np.ndarray:
    low, high = np.minimum(sources, targets), np.maximum(sources, targets)
    pairs = np.unique(low * size + high)
    if not len(pairs):
        return np.zeros(size, dtype=np.int64)
    return np.bincount(pairs // size, minlength=size) + np.bincount(pairs % size, minlength=size)
