from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import ConfigError
from core.graph.mixing import Mixed, mix
from core.graph.types import EdgeSet, WordGraph
from tests.unit.graph.path_graphs import graphs, word_graph


def by_definition(graph: WordGraph, alphas: dict[str, float], source: int, target: int) -> tuple[float, dict]:
    """p(v|u) and its parts, pair by pair, as docs/graph.md defines them."""
    parts, reach = {}, 0.0
    for one in graph.edges:
        weights = {
            int(v): float(w) for u, v, w in zip(one.sources, one.targets, one.weights, strict=True) if u == source
        }
        total = sum(weights.values())
        if alphas.get(one.type, 0) > 0 and total > 0:
            reach += alphas[one.type]
            parts[one.type] = alphas[one.type] * weights.get(target, 0.0) / total
    return (sum(parts.values()) / reach if reach else 0.0), parts


def dense(mixed: Mixed, values: np.ndarray) -> np.ndarray:
    found = np.full((len(mixed), len(mixed)), np.nan)
    found[mixed.sources, mixed.targets] = values
    return found


@settings(max_examples=60, deadline=None)
@given(graph=graphs(), dep=st.sampled_from([0.0, 0.5, 2.0]), cooc=st.sampled_from([0.25, 1.0]))
def test_probabilities_costs_and_shares_are_those_of_the_definition(graph, dep, cooc) -> None:
    mixed = mix(graph, None, {"dep": dep, "cooc": cooc})
    alphas = {"dep": dep, "cooc": cooc}
    assert mixed.probability is not None
    found = dense(mixed, mixed.probability)
    for source in range(len(graph)):
        for target in range(len(graph)):
            p, parts = by_definition(graph, alphas, source, target)
            if p == 0:
                assert np.isnan(found[source, target])
                continue
            assert found[source, target] == pytest.approx(p, abs=1e-12)
            edge = mixed.edge(source, target)
            assert mixed.costs[edge] == pytest.approx(-math.log(p), abs=1e-9)
            for column, name in enumerate(mixed.types):
                assert mixed.shares[edge, column] == pytest.approx(parts.get(name, 0) / sum(parts.values()), abs=1e-6)


@settings(max_examples=40, deadline=None)
@given(graph=graphs(), directed=st.booleans())
def test_shares_sum_to_one_and_probabilities_of_a_source_too(graph, directed) -> None:
    mixed = mix(graph, None, directed=directed)
    np.testing.assert_allclose(mixed.shares.sum(axis=1), 1, atol=1e-6)
    if directed:
        assert mixed.probability is not None
        sums = np.bincount(mixed.sources, weights=mixed.probability, minlength=len(graph))
        np.testing.assert_allclose(sums[sums > 0], 1, atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(graph=graphs(), directed=st.booleans())
def test_edge_indices_lead_back_to_the_edges_of_each_type(graph, directed) -> None:
    mixed = mix(graph, None, directed=directed)
    for edge, (source, target) in enumerate(zip(mixed.sources.tolist(), mixed.targets.tolist(), strict=True)):
        ends = (target, source) if mixed.turned[edge] else (source, target)
        for column, name in enumerate(mixed.types):
            index = mixed.edge_index[edge, column]
            one = mixed.sets[name]
            expected = one.find(*ends)
            assert index == (expected if expected >= 0 and one.weights[expected] > 0 else -1)


@settings(max_examples=40, deadline=None)
@given(graph=graphs())
def test_undirected_takes_the_smaller_cost_of_both_directions_and_gives_no_probability(graph) -> None:
    one_way, both = mix(graph, None), mix(graph, None, directed=False)
    costs = dense(one_way, one_way.costs)
    np.testing.assert_allclose(dense(both, both.costs), np.fmin(costs, costs.T))
    assert both.probability is None


def test_a_dependency_leads_from_the_head_to_the_dependent_only() -> None:
    graph = word_graph(2, [EdgeSet.of("dep", [0], [1], [3.0])])
    assert (mix(graph, None).edge(0, 1), mix(graph, None).edge(1, 0)) == (0, -1)
    assert mix(graph, None, directed=False).edge(1, 0) >= 0


def test_a_type_of_weight_zero_vanishes() -> None:
    graph = word_graph(3, [EdgeSet.of("dep", [0], [1], [1.0]), EdgeSet.of("cooc", [0], [2], [1.0])])
    mixed = mix(graph, None, {"dep": 1, "cooc": 0})
    assert mixed.types == ["dep"]
    assert mixed.targets.tolist() == [1]


def test_a_source_without_a_type_spreads_over_the_types_that_it_has() -> None:
    graph = word_graph(3, [EdgeSet.of("dep", [0], [1], [1.0]), EdgeSet.of("cooc", [1, 0], [2, 2], [5.0, 5.0])])
    mixed = mix(graph, None, {"dep": 3, "cooc": 1})
    assert mixed.probability is not None
    assert mixed.probability[mixed.edge(0, 1)] == pytest.approx(0.75)
    assert mixed.probability[mixed.edge(1, 2)] == pytest.approx(1.0)


def test_only_edges_of_the_layer_are_mixed_and_none_means_the_middle_one() -> None:
    sets = [EdgeSet.of("sim", [0], [target], [1.0], layer=layer) for layer, target in enumerate((1, 2, 3))]
    graph = word_graph(4, sets, layers=3)
    assert mix(graph, 2).targets.tolist() == [3]
    assert mix(graph, None).targets.tolist() == [2]
    assert mix(graph, None).layer == 1


def test_edges_below_the_least_weight_are_left_out_before_probabilities_are_formed() -> None:
    graph = word_graph(3, [EdgeSet.of("cooc", [0, 0], [1, 2], [1.0, 3.0])])
    mixed = mix(graph, None, min_weight={"cooc": 2.0})
    assert mixed.targets.tolist() == [2]
    assert mixed.costs.tolist() == [0.0]


def test_the_penalty_is_lambda_log_of_one_more_than_the_neighbours_of_either_direction() -> None:
    graph = word_graph(4, [EdgeSet.of("dep", [0, 0, 1, 3], [1, 2, 0, 0], [1.0] * 4)])
    mixed = mix(graph, None, hub_penalty=2.0)
    assert mixed.neighbours.tolist() == [3, 1, 1, 1]
    np.testing.assert_allclose(mixed.penalty, 2 * np.log([4, 2, 2, 2]))
    np.testing.assert_allclose(mixed.costs, mix(graph, None).costs)


@pytest.mark.parametrize(
    ("weights", "where"),
    [
        ({"dep": -1.0}, "weights.dep"),
        ({"dep": math.nan}, "weights.dep"),
        ({"dep": 0.0}, "weights"),
        ({}, "weights"),
        ({"synonym": 1.0}, "weights.synonym"),
        ({"gnn": 1.0}, "weights.gnn"),
    ],
)
def test_weights_that_are_not_usable_are_refused_by_field(weights, where) -> None:
    graph = word_graph(2, [EdgeSet.of("dep", [0], [1], [1.0])])
    with pytest.raises(ConfigError) as caught:
        mix(graph, None, weights)
    assert caught.value.where == where


def test_a_layer_that_is_not_there_and_a_negative_penalty_are_refused() -> None:
    graph = word_graph(2, [EdgeSet.of("sim", [0], [1], [1.0], layer=0)], layers=1)
    with pytest.raises(ConfigError, match="no layer 7"):
        mix(graph, 7)
    with pytest.raises(ConfigError, match="hub_penalty"):
        mix(graph, 0, hub_penalty=-1)
    with pytest.raises(ConfigError, match=r"min_weight\.synonym"):
        mix(graph, 0, min_weight={"synonym": 1})


def test_a_graph_without_words_or_with_edges_of_weight_zero_only_has_no_edges() -> None:
    nothing = word_graph(0, [EdgeSet.of("cooc", [], [], [])])
    zeros = word_graph(2, [EdgeSet.of("cooc", [0], [1], [0.0])])
    assert len(mix(nothing, None).targets) == 0
    for directed in (True, False):
        assert len(mix(zeros, None, directed=directed).targets) == 0
