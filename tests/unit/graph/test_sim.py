from __future__ import annotations

import networkx as nx
import numpy as np
from sklearn.neighbors import kneighbors_graph

from core.config.graph import SimEdges
from core.graph.edges.sim import sim_edges


def vectors(words: int = 200, width: int = 8, seed: int = 0) -> np.ndarray:
    found = np.random.default_rng(seed).normal(size=(words, width)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def test_edges_stand_where_both_name_each_other() -> None:
    given = vectors()
    edges = sim_edges(given, SimEdges(k=10), 3)
    graph = kneighbors_graph(given, 10, metric="cosine").toarray()
    expected = nx.from_numpy_array(graph * graph.T).edges
    assert {(u, v) for u, v in zip(edges.sources, edges.targets, strict=True) if u < v} == set(expected)
    assert (edges.type, edges.layer) == ("sim", 3)


def test_both_directions_weigh_the_cosine() -> None:
    given = vectors()
    edges = sim_edges(given, SimEdges(k=5), 0)
    for edge in range(len(edges)):
        source, target = int(edges.sources[edge]), int(edges.targets[edge])
        np.testing.assert_allclose(edges.weights[edge], given[source] @ given[target], atol=1e-6)
        assert edges.weights[edges.find(target, source)] == edges.weights[edge]


def test_pairs_below_the_lowest_cosine_are_left_out() -> None:
    given = vectors()
    every = sim_edges(given, SimEdges(k=10), 0)
    some = sim_edges(given, SimEdges(k=10, min_cosine=0.7), 0)
    assert 0 < len(some) == int((every.weights >= np.float32(0.7)).sum()) < len(every)


def test_opposite_words_and_words_without_a_vector_have_no_edge() -> None:
    given = np.array([[1, 0], [-1, 0], [0, 0], [0.8, 0.6]], dtype=np.float32)
    edges = sim_edges(given, SimEdges(k=3), 0)
    assert set(zip(edges.sources.tolist(), edges.targets.tolist(), strict=True)) == {(0, 3), (3, 0)}


def test_a_graph_of_one_word_has_no_edges() -> None:
    assert len(sim_edges(np.ones((1, 4), dtype=np.float32), SimEdges(), 0)) == 0
