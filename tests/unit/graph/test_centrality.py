"""Degree, PageRank and sampled betweenness against networkx."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest

from core.graph.centrality import betweenness, degree, pagerank
from core.graph.mixing import mix
from core.graph.pairs import Pairs
from tests.unit.graph.graphs import random_graph, small_graph


def as_networkx(pairs: Pairs) -> nx.DiGraph:
    graph = nx.DiGraph()
    graph.add_nodes_from(range(pairs.nodes))
    costs = pairs.costs if pairs.costs is not None else np.ones(len(pairs.sources))
    for source, target, strength, cost in zip(pairs.sources, pairs.targets, pairs.strengths, costs, strict=True):
        graph.add_edge(int(source), int(target), strength=float(strength), cost=float(cost))
    return graph


@pytest.fixture(scope="module")
def pairs() -> Pairs:
    return Pairs.of_mixed(mix(random_graph(150, 500, types=("sim", "dep"), seed=4), 0))


def test_degree_counts_each_neighbour_once(pairs: Pairs) -> None:
    expected = [len(set(nx.all_neighbors(as_networkx(pairs), node))) for node in range(pairs.nodes)]
    assert degree(pairs).tolist() == expected


def test_pagerank_equals_networkx_by_probability(pairs: Pairs) -> None:
    expected = nx.pagerank(as_networkx(pairs), weight="strength", tol=1e-12, max_iter=1000)
    np.testing.assert_allclose(pagerank(pairs), [expected[node] for node in range(pairs.nodes)], atol=1e-8)


def test_betweenness_from_all_sources_is_exact(pairs: Pairs) -> None:
    found = betweenness(pairs, sources=pairs.nodes)
    expected = nx.betweenness_centrality(as_networkx(pairs), weight="cost", normalized=False)
    assert found.exact
    assert found.label == "betweenness"
    np.testing.assert_allclose(found.values, [expected[node] for node in range(pairs.nodes)], atol=1e-6)


def test_sampled_betweenness_sums_paths_from_the_drawn_sources_scaled(pairs: Pairs) -> None:
    found = betweenness(pairs, sources=20, seed=3)
    drawn = np.sort(np.random.default_rng(3).choice(pairs.nodes, 20, replace=False)).tolist()
    expected = nx.betweenness_centrality_subset(as_networkx(pairs), drawn, range(pairs.nodes), weight="cost")
    assert not found.exact
    assert found.label == "betweenness, estimated from 20 of 150 sources"
    np.testing.assert_allclose(found.values, [expected[n] * 150 / 20 for n in range(pairs.nodes)], atol=1e-6)


def test_the_mean_of_many_samples_comes_near_the_exact_value(pairs: Pairs) -> None:
    exact = betweenness(pairs, sources=pairs.nodes).values
    mean = np.mean([betweenness(pairs, sources=30, seed=seed).values for seed in range(60)], axis=0)
    top = np.argsort(-exact)[:10]
    np.testing.assert_allclose(mean[top], exact[top], rtol=0.2)


def test_the_same_seed_gives_the_same_sample(pairs: Pairs) -> None:
    one, other = betweenness(pairs, sources=10, seed=1), betweenness(pairs, sources=10, seed=1)
    np.testing.assert_array_equal(one.values, other.values)
    assert (betweenness(pairs, sources=10, seed=2).values != one.values).any()


def test_a_certain_edge_costs_nothing_and_is_walked() -> None:
    chain = Pairs(3, np.array([0, 1]), np.array([1, 2]), np.ones(2), np.zeros(2))
    assert betweenness(chain).values.tolist() == [0, 1, 0]


def test_edge_sets_count_by_the_share_of_their_largest_weight() -> None:
    graph = small_graph()
    pairs = Pairs.of_sets(len(graph), graph.edge_sets(0, ["dep", "sim"]))
    at = {(int(a), int(b)): float(w) for a, b, w in zip(pairs.sources, pairs.targets, pairs.strengths, strict=True)}
    assert at[1, 3] == pytest.approx((2.0 / 2.0) / 2)
    assert at[1, 4] == pytest.approx((0.9 / 0.9) / 2)
    assert pairs.costs is None


def test_an_empty_graph_has_no_centre() -> None:
    nothing = Pairs(0, np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64), np.empty(0))
    assert len(degree(nothing)) == len(pagerank(nothing)) == len(betweenness(nothing).values) == 0
