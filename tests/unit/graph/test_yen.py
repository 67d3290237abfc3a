from __future__ import annotations

import math
from itertools import islice, pairwise

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.graph.mixing import mix
from core.graph.shortest import path_cost
from core.graph.types import EdgeSet
from core.graph.yen import k_shortest
from tests.unit.graph.path_graphs import all_simple, digraph, graphs, word_graph

HUBS = st.sampled_from([0.0, 0.7])


@settings(max_examples=120, deadline=None)
@given(graph=graphs(most=10), directed=st.booleans(), hubs=HUBS, k=st.integers(1, 12))
def test_costs_are_those_of_networkx_s_shortest_simple_paths(graph, directed, hubs, k) -> None:
    mixed = mix(graph, None, directed=directed, hub_penalty=hubs)
    oracle = digraph(mixed)
    source, target = 0, len(graph) - 1
    found = k_shortest(mixed, source, target, k)
    try:
        paths = list(islice(nx.shortest_simple_paths(oracle, source, target, weight="cost"), k))
    except nx.NetworkXNoPath:
        paths = []
    expected = [nx.path_weight(oracle, path, "cost") - float(mixed.penalty[target]) for path in paths]
    assert [cost for cost, _ in found] == pytest.approx(expected, abs=1e-9)
    for cost, path in found:
        assert (path[0], path[-1]) == (source, target)
        assert len(set(path)) == len(path)
        assert all(oracle.has_edge(*step) for step in pairwise(path))
        assert cost == pytest.approx(nx.path_weight(oracle, path, "cost") - float(mixed.penalty[target]), abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(graph=graphs(most=7), directed=st.booleans(), hubs=HUBS)
def test_all_simple_paths_come_out_once_each_in_order(graph, directed, hubs) -> None:
    mixed = mix(graph, None, directed=directed, hub_penalty=hubs)
    expected = {path for _, path in all_simple(mixed, 0, 1)}
    found = k_shortest(mixed, 0, 1, 10_000)
    assert {tuple(path) for _, path in found} == expected
    assert len(found) == len(expected)
    costs = [cost for cost, _ in found]
    assert costs == sorted(costs)
    assert all(cost == path_cost(mixed, path) for cost, path in found)


@settings(max_examples=80, deadline=None)
@given(graph=graphs(most=7), data=st.data(), k=st.integers(1, 6))
def test_blocked_nodes_and_edges_are_on_none_of_them(graph, data, k) -> None:
    mixed = mix(graph, None)
    blocked = data.draw(st.sets(st.integers(2, 6), max_size=2))
    edges = sorted(digraph(mixed).edges)
    shut = data.draw(st.sets(st.sampled_from(edges), max_size=3)) if edges else set()
    allowed = sorted(
        cost for cost, path in all_simple(mixed, 0, 1) if not blocked & set(path) and not shut & set(pairwise(path))
    )
    found = k_shortest(mixed, 0, 1, k, blocked=blocked, blocked_edges=shut)
    assert [cost for cost, _ in found] == pytest.approx(allowed[:k], abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(graph=graphs(most=8, coarse=True), k=st.integers(1, 8))
def test_equal_costs_come_in_the_same_order_each_time(graph, k) -> None:
    assert k_shortest(mix(graph, None), 0, 1, k) == k_shortest(mix(graph, None), 0, 1, k)


def test_no_path_gives_an_empty_list() -> None:
    graph = mix(word_graph(3, [EdgeSet.of("dep", [1], [0], [1.0])]), None)
    assert k_shortest(graph, 0, 1, 5) == []
    assert k_shortest(graph, 1, 0, 5) == [(pytest.approx(0, abs=math.ulp(1)), [1, 0])]
