"""Small word graphs for the tests of paths, and searches by brute force to compare with."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise, permutations

import networkx as nx
import numpy as np
from hypothesis import strategies as st

from core.graph.mixing import Mixed
from core.graph.types import EdgeSet, WordGraph


def word_graph(size: int, edges: list[EdgeSet], *, layers: int = 0, width: int = 4, seed: int = 0) -> WordGraph:
    rng = np.random.default_rng(seed)
    return WordGraph(
        words=[f"w{node}" for node in range(size)],
        counts=np.arange(size, 0, -1),
        tags=[""] * size,
        lemmas=[""] * size,
        sentences=[],
        sentence_nodes=[],
        edges=edges,
        layers=list(range(layers)),
        widths=[width + layer for layer in range(layers)],
        vectors={layer: rng.normal(size=(size, width + layer)).astype(np.float16) for layer in range(layers)},
    )


@st.composite
def graphs(draw: st.DrawFn, *, most: int = 7, layers: int = 0, coarse: bool | None = None) -> WordGraph:
    """Draw a word graph of dep and cooc edges (and sim edges in each layer); coarse weights make equal costs."""
    size = draw(st.integers(2, most))
    seed = draw(st.integers(0, 10_000))
    density = draw(st.sampled_from([0.2, 0.4, 0.7]))
    few = draw(st.booleans()) if coarse is None else coarse
    rng = np.random.default_rng(seed)

    def edges(name: str, layer: int | None, symmetric: bool) -> EdgeSet:
        there = rng.random((size, size)) < density
        weights = rng.integers(0, 3, (size, size)).astype(float) if few else rng.random((size, size))
        if symmetric:
            there, weights = there | there.T, weights + weights.T
        np.fill_diagonal(there, False)
        sources, targets = np.nonzero(there)
        return EdgeSet.of(name, sources, targets, weights[sources, targets], layer=layer)

    sets = [edges("dep", None, False), edges("cooc", None, True)]
    sets += [edges("sim", layer, True) for layer in range(layers)]
    return word_graph(size, sets, layers=layers, seed=seed)


def neighbour_graph(size: int, seed: int, *, coarse: bool = False) -> WordGraph:
    """Return a graph that is large enough for searches to go astray: points in space, each joined to some near ones.

    A few hubs are joined to many; coarse weights make many paths of equal cost.
    """
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(size, 4))
    apart = np.linalg.norm(points[:, None] - points[None], axis=2)
    near = np.argsort(apart, axis=1)[:, 1:7]
    sources, targets = np.repeat(np.arange(size), 6), near.ravel()
    kept = rng.random(len(sources)) < 0.8
    hubs = rng.choice(size, 3, replace=False)
    ends = rng.integers(0, size, (3, size // 8))
    sources = np.concatenate([sources[kept], np.repeat(hubs, ends.shape[1]), ends.ravel()])
    targets = np.concatenate([targets[kept], ends.ravel(), np.repeat(hubs, ends.shape[1])])
    pairs = np.unique(np.stack([sources, targets], axis=1)[sources != targets], axis=0)
    weights = rng.integers(1, 3, len(pairs)).astype(float) if coarse else 0.3 + rng.random(len(pairs))
    return word_graph(size, [EdgeSet.of("dep", pairs[:, 0], pairs[:, 1], weights)])


def digraph(graph: Mixed) -> nx.DiGraph:
    """Return the same graph for networkx; the hub term of a node is charged on the edges that enter it."""
    found = nx.DiGraph()
    found.add_nodes_from(range(len(graph)))
    for source, target, cost in zip(
        graph.search.sources.tolist(), graph.targets.tolist(), graph.costs.tolist(), strict=True
    ):
        found.add_edge(source, target, plain=cost, cost=cost + float(graph.penalty[target]))
    return found


def all_simple(graph: Mixed, source: int, target: int) -> Iterator[tuple[float, tuple[int, ...]]]:
    """Yield every simple path with its cost, by trying all orders of all subsets of the other nodes."""
    cost = {}
    for one, other, price in zip(
        graph.search.sources.tolist(), graph.targets.tolist(), graph.costs.tolist(), strict=True
    ):
        cost[one, other] = price
    others = [node for node in range(len(graph)) if node not in (source, target)]
    for count in range(len(others) + 1):
        for middle in permutations(others, count):
            path = (source, *middle, target)
            steps = [cost.get(pair, math.inf) for pair in pairwise(path)]
            total = math.fsum(steps) + math.fsum(float(graph.penalty[node]) for node in middle)
            if total < math.inf:
                yield total, path
