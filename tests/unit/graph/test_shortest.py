from __future__ import annotations

import itertools
import math

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.graph.mixing import Mixed, mix
from core.graph.shortest import SearchGraph, distances, path_cost, shortest_path
from tests.unit.graph.path_graphs import digraph, graphs, neighbour_graph

HUBS = st.sampled_from([0.0, 0.7])


def valid(mixed: Mixed, path: list[int], source: int, target: int) -> bool:
    steps = itertools.pairwise(path)
    return (path[0], path[-1]) == (source, target) and all(mixed.edge(*step) >= 0 for step in steps)


def length(graph: nx.DiGraph, mixed: Mixed, source: int, target: int) -> float:
    """The length by networkx; the target's own penalty, charged on entering it, is taken off again."""
    try:
        return nx.bidirectional_dijkstra(graph, source, target, weight="cost")[0] - float(mixed.penalty[target])
    except nx.NetworkXNoPath:
        return math.inf


@settings(max_examples=100, deadline=None)
@given(graph=graphs(most=14), directed=st.booleans(), hubs=HUBS)
def test_lengths_are_networkx_s_and_paths_are_valid_and_simple(graph, directed, hubs) -> None:
    mixed = mix(graph, None, directed=directed, hub_penalty=hubs)
    oracle = digraph(mixed)
    for source in range(len(graph)):
        for target in range(len(graph)):
            if source == target:
                continue
            path = shortest_path(mixed, source, target)
            expected = length(oracle, mixed, source, target)
            if path is None:
                assert expected == math.inf
                continue
            assert valid(mixed, path, source, target)
            assert len(set(path)) == len(path)
            assert path_cost(mixed, path) == pytest.approx(expected, abs=1e-9)


@settings(max_examples=24, deadline=None)
@given(
    size=st.integers(60, 240), seed=st.integers(0, 10_000), coarse=st.booleans(), directed=st.booleans(), hubs=HUBS,
    data=st.data(),
)  # fmt: skip
def test_lengths_are_networkx_s_on_graphs_where_searches_are_long(size, seed, coarse, directed, hubs, data) -> None:
    mixed = mix(neighbour_graph(size, seed, coarse=coarse), None, directed=directed, hub_penalty=hubs)
    oracle = digraph(mixed)
    node = st.integers(0, size - 1)
    for source, target in data.draw(
        st.lists(st.tuples(node, node).filter(lambda ends: ends[0] != ends[1]), min_size=12)
    ):
        path = shortest_path(mixed, source, target)
        expected = length(oracle, mixed, source, target)
        if path is None:
            assert expected == math.inf
            continue
        assert valid(mixed, path, source, target)
        assert len(set(path)) == len(path)
        assert path_cost(mixed, path) == pytest.approx(expected, abs=1e-9)


@settings(max_examples=100, deadline=None)
@given(graph=graphs(most=12), data=st.data(), hubs=HUBS)
def test_blocked_nodes_and_edges_are_as_if_they_were_not_there(graph, data, hubs) -> None:
    mixed = mix(graph, None, hub_penalty=hubs)
    oracle = digraph(mixed)
    nodes = list(range(len(graph)))
    source, target = data.draw(st.permutations(nodes))[:2]
    blocked = data.draw(st.sets(st.sampled_from(nodes), max_size=3)) - {source, target}
    edges = sorted(oracle.edges)
    shut = data.draw(st.sets(st.sampled_from(edges), max_size=4)) if edges else set()
    oracle.remove_edges_from(shut)
    oracle.remove_nodes_from(blocked)
    path = shortest_path(mixed, source, target, blocked=blocked, blocked_edges=shut)
    expected = length(oracle, mixed, source, target)
    assert (math.inf if path is None else path_cost(mixed, path)) == pytest.approx(expected, abs=1e-9)
    if path is not None:
        assert not blocked & set(path)
        assert not shut & set(itertools.pairwise(path))


@settings(max_examples=40, deadline=None)
@given(graph=graphs(most=12), hubs=HUBS)
def test_distances_to_all_are_the_lengths_of_single_paths(graph, hubs) -> None:
    mixed = mix(graph, None, hub_penalty=hubs)
    found = distances(mixed, 0)
    assert found[0] == 0
    for target in range(1, len(graph)):
        path = shortest_path(mixed, 0, target)
        assert found[target] == pytest.approx(math.inf if path is None else path_cost(mixed, path), abs=1e-9)


def test_an_end_that_is_blocked_or_the_same_gives_no_path() -> None:
    graph = SearchGraph(np.array([0, 1, 1]), np.array([1], dtype=np.int32), np.array([1.0]))
    assert shortest_path(graph, 0, 1) == [0, 1]
    assert shortest_path(graph, 0, 1, blocked=[1]) is None
    assert shortest_path(graph, 0, 1, blocked=[0]) is None
    assert shortest_path(graph, 0, 0) is None


def test_loops_of_cost_zero_are_cut_out() -> None:
    size = 6
    sources, targets = np.nonzero(~np.eye(size, dtype=bool))
    graph = SearchGraph(np.searchsorted(sources, np.arange(size + 1)), targets.astype(np.int32), np.zeros(len(sources)))
    for target in range(1, size):
        path = shortest_path(graph, 0, target, blocked_edges=[(0, target)])
        assert path is not None
        assert len(set(path)) == len(path)


def test_the_cost_of_a_path_that_is_none_is_refused() -> None:
    graph = SearchGraph(np.array([0, 1, 1]), np.array([1], dtype=np.int32), np.array([1.0]))
    with pytest.raises(ValueError, match="no edge from node 1 to node 0"):
        path_cost(graph, [1, 0])
