from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.graph.explain import explain_hop, explain_layered_hop, no_path, sentences_with
from core.graph.layered import layered
from core.graph.mixing import mix
from core.graph.types import EdgeSet, WordGraph
from tests.unit.graph.path_graphs import graphs, word_graph

SENTENCES = ["the cat sat on the mat today", "the cat is here", "the cat", "a dog is the best", "mat"]
WORDS = ["the", "cat", "is", "dog", "mat"]


def corpus_graph(*more: EdgeSet, layers: int = 0) -> WordGraph:
    dep = EdgeSet.of(
        "dep", [1, 2], [0, 1], [2.0, 1.0], examples=[[0, 1, 2], [1, -1, -1]], relations=["det", "nsubj", "poss"],
        relation_counts=[[0, 2, 1], [0, 0, 3], [1, 1, 1]],
    )  # fmt: skip
    graph = word_graph(5, [dep, *more], layers=layers)
    graph.words = WORDS
    graph.sentences = SENTENCES
    index = graph.index()
    graph.sentence_nodes = [
        np.array([index[word] for word in text.split() if word in index], dtype=np.int32) for text in SENTENCES
    ]
    return graph


@settings(max_examples=40, deadline=None)
@given(graph=graphs(layers=1), directed=st.booleans(), hubs=st.sampled_from([0.0, 1.0]))
def test_the_shares_of_every_hop_sum_to_one(graph, directed, hubs) -> None:
    mixed = mix(graph, 0, {"dep": 1, "cooc": 2, "sim": 0.5}, directed=directed, hub_penalty=hubs)
    for source, target in zip(mixed.sources.tolist(), mixed.targets.tolist(), strict=True):
        hop = explain_hop(graph, mixed, source, target)
        assert sum(hop["types"].values()) == pytest.approx(1, abs=1e-12)
        assert all(share > 0 for share in hop["types"].values())
        assert list(hop["types"].values()) == sorted(hop["types"].values(), reverse=True)


@settings(max_examples=20, deadline=None)
@given(graph=graphs(most=5, layers=2), hubs=st.sampled_from([0.0, 1.0]))
def test_across_layers_the_shares_of_every_hop_sum_to_one(graph, hubs) -> None:
    over = layered(graph, hub_penalty=hubs)
    for source, target in zip(over.search.sources.tolist(), over.targets.tolist(), strict=True):
        hop = explain_layered_hop(graph, over, source, target)
        assert sum(hop["types"].values()) == pytest.approx(1, abs=1e-12)


def test_relations_have_counts_and_heads_the_most_frequent_first() -> None:
    graph = corpus_graph()
    hop = explain_hop(graph, mix(graph, None), 1, 0)
    assert hop["relations"] == [
        {"relation": "det", "count": 3, "head": "cat"},
        {"relation": "poss", "count": 1, "head": "cat"},
    ]
    back = explain_hop(graph, mix(graph, None, directed=False), 0, 1)
    assert back["relations"] == hop["relations"]
    assert back["probability"] is None


def test_examples_are_the_edge_s_sentences_the_shortest_first() -> None:
    graph = corpus_graph()
    hop = explain_hop(graph, mix(graph, None), 1, 0)
    assert hop["examples"] == ["the cat", "the cat is here", "the cat sat on the mat today"]
    assert hop["sentences"] == [2, 1, 0]
    assert hop["examples_hold"] == "both"


def test_an_edge_without_examples_gets_sentences_with_both_words_else_one_for_each() -> None:
    sim = EdgeSet.of("sim", [2, 2], [0, 4], [0.5, 0.5], layer=0)
    graph = corpus_graph(sim, layers=1)
    mixed = mix(graph, 0, {"sim": 1})
    both = explain_hop(graph, mixed, 2, 0)
    assert (both["examples"], both["examples_hold"]) == (["the cat is here", "a dog is the best"], "both")
    single = explain_hop(graph, mixed, 2, 4)
    assert (single["examples"], single["examples_hold"]) == (["the cat is here", "mat"], "one")
    assert single["layer"] == 0


def test_words_that_no_sentence_holds_have_no_example() -> None:
    graph = word_graph(2, [EdgeSet.of("sim", [0], [1], [0.5], layer=0)], layers=1)
    hop = explain_hop(graph, mix(graph, 0), 0, 1)
    assert (hop["examples"], hop["examples_hold"]) == ([], "none")


def test_a_long_example_is_cut() -> None:
    graph = corpus_graph()
    graph.sentences = [text + " x" * 5000 for text in SENTENCES]
    assert all(len(text) == 400 for text in explain_hop(graph, mix(graph, None), 1, 0)["examples"])


def test_a_hop_s_cost_holds_the_hub_term_of_a_word_in_between_and_its_probability_does_not() -> None:
    graph = corpus_graph()
    mixed = mix(graph, None, hub_penalty=2.0)
    last, between = explain_hop(graph, mixed, 2, 1), explain_hop(graph, mixed, 2, 1, last=False)
    assert between["hub"] == pytest.approx(2 * np.log(3))
    assert between["cost"] == pytest.approx(last["cost"] + between["hub"])
    assert between["probability"] == last["probability"] == pytest.approx(1)


def test_an_edge_that_is_not_there_is_refused() -> None:
    graph = corpus_graph()
    with pytest.raises(ValueError, match="no edge"):
        explain_hop(graph, mix(graph, None), 0, 1)


def test_a_change_of_the_layer_is_a_hop_of_its_own_type() -> None:
    graph = corpus_graph(EdgeSet.of("sim", [0], [1], [1.0], layer=0), layers=2)
    over = layered(graph, {"sim": 1, "dep": 1})
    hop = explain_layered_hop(graph, over, over.node(3, 0), over.node(3, 1))
    assert (hop["from"], hop["to"], hop["types"]) == ("dog", "dog", {"layer": 1.0})
    assert (hop["from_layer"], hop["to_layer"]) == (0, 1)
    assert hop["cost"] == pytest.approx(over.kappa * (1 - hop["cosine"]))
    inside = explain_layered_hop(graph, over, over.node(1, 1), over.node(0, 1))
    assert (inside["from"], inside["to"], inside["layer"], inside["from_layer"]) == ("cat", "the", 1, 1)


def test_sentences_with_a_word_are_found_once_each() -> None:
    graph = corpus_graph()
    assert sentences_with(graph, 0).tolist() == [0, 1, 2, 3]
    assert sentences_with(graph, 4).tolist() == [0, 4]


def test_without_a_path_the_component_sizes_are_named() -> None:
    graph = corpus_graph()
    found = no_path(graph, mix(graph, None), 2, 3)
    assert found["components"] == {"from": 3, "to": 1, "largest": 3, "count": 3}
    assert "no edge joins (3 and 1 words)" in found["reason"]
    assert found["reachable"] == 2


def test_directions_are_named_as_the_reason_where_the_words_are_joined() -> None:
    graph = corpus_graph()
    mixed = mix(graph, None)
    assert "No edge leads on from “the”" in no_path(graph, mixed, 0, 2)["reason"]
    assert "No edge leads to “is”" in no_path(graph, mixed, 1, 2)["reason"]


def test_the_nearest_reachable_words_are_nearest_by_cosine() -> None:
    graph = word_graph(4, [EdgeSet.of("sim", [0, 0], [1, 2], [1.0, 1.0], layer=0)], layers=1)
    graph.vectors = {0: np.array([[1, 0], [0, 1], [0.6, 0.8], [1, 0.1]], dtype=np.float16)}
    nearest = no_path(graph, mix(graph, 0), 0, 3)["nearest"]
    assert [one["word"] for one in nearest] == ["w2", "w1"]
    assert nearest[0]["cosine"] == pytest.approx((0.6 + 0.08) / np.sqrt(1.01), abs=1e-3)


def test_without_vectors_the_nearest_are_spelt_alike_then_have_most_neighbours() -> None:
    edges = EdgeSet.of("cooc", [0, 0, 0, 2], [1, 2, 3, 3], [1.0] * 4)
    graph = word_graph(5, [edges])
    graph.words = ["from", "goal", "hub", "other", "goals"]
    nearest = no_path(graph, mix(graph, None), 0, 4)["nearest"]
    assert [one["word"] for one in nearest] == ["goal", "hub", "other"]
