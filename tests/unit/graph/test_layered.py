from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import svd

from core.errors import ConfigError
from core.graph.layered import aligned_cosines, layered
from core.graph.mixing import mix
from core.graph.shortest import distances, path_cost, shortest_path
from core.graph.types import EdgeSet
from tests.unit.graph.path_graphs import graphs, word_graph


def cosines_by_svd(lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """Procrustes by its solution: the polar factor of the cross-product."""
    width = max(lower.shape[1], upper.shape[1])
    first = np.hstack([lower, np.zeros((len(lower), width - lower.shape[1]))])
    second = np.hstack([upper, np.zeros((len(upper), width - upper.shape[1]))])
    left, _, right = svd(first.T @ second)
    turned = first @ (left @ right)
    return (turned * second).sum(1) / np.linalg.norm(turned, axis=1) / np.linalg.norm(second, axis=1)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 9999), words=st.integers(5, 30), one=st.integers(1, 5), other=st.integers(1, 5))
def test_cosines_are_those_after_the_best_rotation(seed, words, one, other) -> None:
    rng = np.random.default_rng(seed)
    lower, upper = rng.normal(size=(words, one)), rng.normal(size=(words, other))
    np.testing.assert_allclose(aligned_cosines(lower, upper), cosines_by_svd(lower, upper), atol=1e-9)


def test_a_layer_that_is_only_turned_or_padded_has_cosine_one() -> None:
    rng = np.random.default_rng(0)
    lower = rng.normal(size=(20, 3))
    turn = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    upper = np.hstack([lower, np.zeros((20, 2))]) @ turn
    np.testing.assert_allclose(aligned_cosines(lower, upper), 1, atol=1e-12)


def test_a_word_without_a_vector_has_cosine_zero() -> None:
    rng = np.random.default_rng(0)
    lower, upper = rng.normal(size=(6, 3)), rng.normal(size=(6, 3))
    lower[2] = 0
    found = aligned_cosines(lower, upper)
    assert found[2] == 0
    assert (found[[0, 1, 3, 4, 5]] != 0).all()
    assert aligned_cosines(np.zeros((2, 3)), np.zeros((2, 3))).tolist() == [0, 0]


@settings(max_examples=40, deadline=None)
@given(graph=graphs(most=6, layers=3), hubs=st.sampled_from([0.0, 0.5]))
def test_inside_a_layer_edges_cost_what_they_cost_there_and_words_are_joined_to_themselves(graph, hubs) -> None:
    over = layered(graph, hub_penalty=hubs)
    size = len(graph)
    assert len(over) == 3 * size
    costs = {}
    for layer in range(3):
        one = mix(graph, layer, hub_penalty=hubs)
        np.testing.assert_array_equal(over.penalty[layer * size : (layer + 1) * size], one.penalty)
        for source, target, cost in zip(one.sources.tolist(), one.targets.tolist(), one.costs.tolist(), strict=True):
            costs[layer * size + source, layer * size + target] = cost
    for layer in range(2):
        cosines = aligned_cosines(graph.vectors[layer], graph.vectors[layer + 1])
        for word in range(size):
            low, high = over.node(word, layer), over.node(word, layer + 1)
            costs[low, high] = costs[high, low] = over.kappa * (1 - cosines[word])
    found = zip(over.search.sources.tolist(), over.targets.tolist(), over.costs.tolist(), strict=True)
    assert {(source, target): cost for source, target, cost in found} == pytest.approx(costs)


def test_kappa_is_the_median_cost_inside_layers_unless_it_is_given() -> None:
    sets = [EdgeSet.of("sim", [0, 0, 1], [1, 2, 0], [1.0, 3.0, 1.0], layer=layer) for layer in (0, 1)]
    graph = word_graph(3, sets, layers=2)
    inside = np.concatenate([mix(graph, layer).costs for layer in (0, 1)])
    assert layered(graph).kappa == pytest.approx(np.median(inside))
    assert layered(graph, kappa=0.25).kappa == 0.25


def test_nodes_know_their_word_their_layer_and_their_vector_size() -> None:
    graph = word_graph(3, [EdgeSet.of("cooc", [0], [1], [1.0])], layers=3, width=4)
    over = layered(graph, layers=[0, 2])
    assert over.layers == [0, 2]
    assert over.nodes(1) == [1, 4]
    assert over.nodes(1, 2) == [4]
    assert over.place(4) == (1, 2)
    assert [over.width(node) for node in over.nodes(1)] == [4, 6]


@settings(max_examples=30, deadline=None)
@given(graph=graphs(most=6, layers=3))
def test_the_same_kernels_search_it(graph) -> None:
    over = layered(graph)
    source, target = over.node(0, 0), over.node(1, 2)
    path = shortest_path(over, source, target)
    expected = distances(over, source)[target]
    assert (np.inf if path is None else path_cost(over, path)) == pytest.approx(expected, abs=1e-9)


def test_layers_without_vectors_unknown_layers_and_a_negative_kappa_are_refused() -> None:
    plain = word_graph(2, [EdgeSet.of("cooc", [0], [1], [1.0])])
    with pytest.raises(ConfigError, match="word vectors"):
        layered(plain)
    graph = word_graph(2, [EdgeSet.of("cooc", [0], [1], [1.0])], layers=2)
    with pytest.raises(ConfigError, match="no layer 9"):
        layered(graph, layers=[0, 9])
    with pytest.raises(ConfigError, match="kappa"):
        layered(graph, kappa=-1)
    with pytest.raises(ConfigError, match="no layer 5"):
        layered(graph).node(0, 5)
