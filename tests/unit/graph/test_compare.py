"""Two graphs side by side."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from core.errors import ConfigError
from core.graph.compare import compare_edges, compare_graphs, compare_layers
from core.graph.query import PathQuery, find_paths
from core.graph.types import EdgeSet
from core.models.cka import linear_cka
from tests.unit.graph.graphs import WORDS, random_graph, small_graph


def permuted(graph, order):
    """The same graph with its nodes in another order."""
    place = np.empty(len(order), dtype=int)
    place[order] = np.arange(len(order))
    return replace(
        graph,
        words=[graph.words[at] for at in order], counts=graph.counts[order], tags=[graph.tags[at] for at in order],
        lemmas=[graph.lemmas[at] for at in order], vectors={n: v[order] for n, v in graph.vectors.items()},
        sentence_nodes=[place[nodes] for nodes in graph.sentence_nodes],
        edges=[
            EdgeSet.of(one.type, place[one.sources], place[one.targets], one.weights, layer=one.layer)
            for one in graph.edges
        ],
    )  # fmt: skip


def test_a_graph_equals_itself_whatever_the_order_of_its_nodes():
    graph = small_graph()
    found = compare_graphs(graph, permuted(graph, np.array([3, 1, 4, 0, 5, 7, 2, 6])), query=None)
    for edges in found["edges"].values():
        assert edges["jaccard"] == 1
        assert edges["appeared"] == edges["vanished"] == edges["changed"] == []
    assert np.diag(found["cka"]["matrix"]) == pytest.approx([1, 1])
    assert found["words"] == {"one": 8, "other": 8, "common": 8}


def test_edges_that_appear_and_vanish_come_by_type_the_strongest_first():
    graph = small_graph()
    dep = EdgeSet.of("dep", [1, 4, 2, 0], [0, 0, 3, 5], [0.5, 0.9, 0.3, 0.7])
    other = replace(graph, edges=[dep, *graph.edges[1:]])
    found = compare_edges(graph, other, 1, 1)["dep"]
    assert (found["one"], found["other"], found["common"]) == (6, 4, 2)
    assert found["jaccard"] == pytest.approx(2 / 8)
    assert [(e["from"], e["to"]) for e in found["appeared"]] == [("the", "bad"), ("is", "good")]
    assert [e["weight"] for e in found["vanished"]] == [2.0, 2.0, 1.5, 0.25]
    assert found["changed"] == [{"from": "movie", "to": "the", "before": 0.5, "weight": pytest.approx(0.9)}]


def test_as_many_edges_are_listed_as_asked_for():
    one, other = random_graph(60, 300, seed=1), random_graph(60, 300, seed=2)
    found = compare_edges(one, other, 0, 0, top=3)["sim"]
    assert [len(found[name]) for name in ("appeared", "vanished", "changed")] == [3, 3, 3]


def test_edge_sets_match_brute_force_where_words_differ():
    one, other = random_graph(40, 200, seed=3), random_graph(50, 250, seed=4)
    other = replace(other, words=[f"w{n + 10}" for n in range(50)])
    found = compare_edges(one, other, 0, 0)["sim"]

    def named(graph, words):
        edges = graph.edges[0]
        pairs = zip(edges.sources.tolist(), edges.targets.tolist(), strict=True)
        return {(graph.words[u], graph.words[v]) for u, v in pairs if {graph.words[u], graph.words[v]} <= words}

    words = set(one.words) & set(other.words)
    left, right = named(one, words), named(other, words)
    assert (found["one"], found["other"], found["common"]) == (len(left), len(right), len(left & right))
    assert found["jaccard"] == pytest.approx(len(left & right) / len(left | right))


def test_words_that_only_one_graph_has_are_said():
    graph = small_graph()
    other = replace(graph, words=[*WORDS[:-1], "boring"])
    found = compare_graphs(graph, other)
    assert found["words"]["common"] == 7
    assert any("7 words in common" in notice for notice in found["notices"])
    assert all("dull" not in (e["from"], e["to"]) for kind in found["edges"].values() for e in kind["vanished"])


def test_two_layers_of_one_graph_differ_in_the_edges_that_depend_on_the_layer_only():
    found = compare_layers(small_graph(), 0, 1)
    assert found["edges"]["dep"]["jaccard"] == found["edges"]["cooc"]["jaccard"] == 1
    changed = found["edges"]["sim"]["changed"]
    assert [e["before"] - e["weight"] for e in changed] == pytest.approx([0.2] * 4)
    assert {(e["from"], e["to"]) for e in changed} == {
        ("film", "movie"), ("movie", "film"), ("good", "bad"), ("bad", "good"),
    }  # fmt: skip
    assert found["layers"] == [0, 1]


def test_the_matrix_of_layers_is_cka_over_common_words():
    one = random_graph(30, 60)
    rng = np.random.default_rng(0)
    one = replace(one, layers=[0, 1], widths=[8, 4], vectors={0: rng.normal(size=(30, 8)), 1: rng.normal(size=(30, 4))})
    other = permuted(replace(one, vectors={0: rng.normal(size=(30, 8)), 1: one.vectors[1]}), rng.permutation(30))
    found = compare_graphs(one, other)["cka"]
    assert found["over"] == "words"
    assert (found["rows"], found["columns"], found["items"]) == ([0, 1], [0, 1], 30)
    back = [other.words.index(word) for word in one.words]
    expected = linear_cka(one.vectors[0].astype(np.float32), other.vectors[0][back].astype(np.float32))
    assert found["matrix"][0][0] == pytest.approx(expected, abs=1e-5)
    assert found["matrix"][1][1] == pytest.approx(1, abs=1e-5)


def test_words_without_vectors_take_no_part_in_the_matrix():
    graph = small_graph()
    graph.vectors[1][3] = 0
    found = compare_layers(graph, 0, 1)
    assert found["cka"]["items"] == 7
    graph.vectors.clear()
    assert compare_layers(graph, 0, 1)["cka"] is None


def test_the_rank_and_cost_of_a_path_are_those_that_each_graph_gives():
    graph = small_graph()
    cooc = graph.edges[1]
    weights = np.where(cooc.targets == 6, 9.0, cooc.weights)
    other = replace(
        graph, edges=[graph.edges[0], EdgeSet("cooc", cooc.sources, cooc.targets, weights), *graph.edges[2:]]
    )
    query = PathQuery.model_validate({"from": "film", "to": "dull", "k": 3})
    rows = compare_graphs(graph, other, layer=1, other_layer=1, query=query)["paths"]
    asked = query.model_copy(update={"layer": 1, "k": 10})
    for side, source in (("one", graph), ("other", other)):
        expected = {tuple(p["words"]): (n, p["cost"]) for n, p in enumerate(find_paths(source, asked)["paths"], 1)}
        mine = {tuple(row["words"]): (row["rank"][side], row["cost"][side]) for row in rows if row["rank"][side]}
        assert mine == expected
    both = [row for row in rows if None not in row["rank"].values()]
    assert both
    assert all(row["rank_change"] == row["rank"]["one"] - row["rank"]["other"] for row in both)
    assert any(row["rank_change"] != 0 for row in both)


def test_a_graph_that_does_not_know_a_word_is_told_by_a_notice():
    graph = small_graph()
    other = replace(graph, words=[*WORDS[:-1], "boring"])
    query = PathQuery.model_validate({"from": "the", "to": "dull"})
    found = compare_graphs(graph, other, query=query)
    assert found["paths"][0]["rank"] == {"one": 1, "other": None}
    assert any("second graph gives no paths" in notice for notice in found["notices"])


def test_edge_types_that_a_question_names_and_a_graph_lacks_are_told():
    graph = small_graph()
    other = replace(graph, edges=[one for one in graph.edges if one.type != "dep"])
    query = PathQuery.model_validate({"from": "the", "to": "dull", "weights": {"dep": 1, "cooc": 1}})
    found = compare_graphs(graph, other, query=query)
    assert any("second graph has no dep edges" in notice for notice in found["notices"])


def test_a_layer_that_is_not_there_is_refused():
    with pytest.raises(ConfigError, match="no layer 7"):
        compare_layers(small_graph(), 0, 7)


def test_the_answer_is_plain_data():
    query = PathQuery.model_validate({"from": "the", "to": "dull"})
    json.dumps(compare_graphs(small_graph(), random_graph(20, 40), query=query))
