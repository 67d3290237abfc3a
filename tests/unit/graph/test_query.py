from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from core.errors import ConfigError, DataError
from core.graph.layered import layered
from core.graph.mixing import mix
from core.graph.query import PathQuery, by_layer, find_paths, mixed_for
from core.graph.types import EdgeSet, WordGraph
from tests.unit.graph.path_graphs import all_simple, graphs, word_graph


def ask(graph: WordGraph, **question) -> dict:
    return find_paths(graph, PathQuery.model_validate({"from": "w0", "to": "w1"} | question))


@settings(max_examples=100, deadline=None)
@given(
    graph=graphs(most=7, layers=1), k=st.integers(1, 5), least=st.integers(0, 3), directed=st.booleans(),
    hubs=st.sampled_from([0.0, 0.7]), avoid=st.booleans(), through=st.booleans(),
)  # fmt: skip
def test_an_answer_is_that_of_trying_every_path(graph, k, least, directed, hubs, avoid, through) -> None:
    must = ["w2"] if through and len(graph) > 2 else []
    never = ["w3"] if avoid and len(graph) > 3 else []
    answer = ask(graph, k=k, min_between=least, directed=directed, hub_penalty=hubs, avoid=never, through=must)
    mixed = mix(graph, 0, directed=directed, hub_penalty=hubs)
    allowed = sorted(
        cost
        for cost, path in all_simple(mixed, 0, 1)
        if len(path) - 2 >= least and not (never and 3 in path) and not (must and 2 not in path)
    )
    assert answer["exact"]
    assert [path["cost"] for path in answer["paths"]] == pytest.approx(allowed[:k], abs=1e-9)
    json.dumps(answer, allow_nan=False)
    for path in answer["paths"]:
        assert [hop["from"] for hop in path["hops"]] == path["words"][:-1]
        assert [hop["to"] for hop in path["hops"]] == path["words"][1:]
        assert sum(hop["cost"] for hop in path["hops"]) == pytest.approx(path["cost"], abs=1e-9)
        for hop in path["hops"]:
            assert sum(hop["types"].values()) == pytest.approx(1)
            assert {"from", "to", "types", "relations", "layer", "examples"} <= set(hop)


@settings(max_examples=40, deadline=None)
@given(graph=graphs(most=7), hubs=st.sampled_from([0.0, 1.5]), directed=st.booleans())
def test_the_probability_is_the_product_of_the_hops_whatever_the_hub_penalty(graph, hubs, directed) -> None:
    for path in ask(graph, k=3, hub_penalty=hubs, directed=directed)["paths"]:
        if not directed:
            assert path["probability"] is None
        else:
            assert path["probability"] == pytest.approx(math.prod(hop["probability"] for hop in path["hops"]))


def star() -> WordGraph:
    """w0 → hub w2 → w1 is the most probable way; w0 → w3 → w1 passes no hub."""
    sources = [0, 0, 2, 3, *range(4, 12)]
    targets = [2, 3, 1, 1, *([2] * 8)]
    return word_graph(12, [EdgeSet.of("cooc", sources, targets, [3.0, 1.0, *([1.0] * 10)])])


def test_a_hub_penalty_keeps_the_path_off_a_hub() -> None:
    assert ask(star())["paths"][0]["words"] == ["w0", "w2", "w1"]
    assert ask(star(), hub_penalty=3)["paths"][0]["words"] == ["w0", "w3", "w1"]


def test_avoided_words_are_passed_by_and_unknown_ones_are_mentioned() -> None:
    answer = ask(star(), avoid=["w2", "nowhere"])
    assert answer["paths"][0]["words"] == ["w0", "w3", "w1"]
    assert answer["notices"] == ["“nowhere” is not in this graph: there is nothing to avoid."]


def test_fewer_paths_than_asked_for_are_mentioned() -> None:
    answer = ask(star(), k=5)
    assert len(answer["paths"]) == 2
    assert answer["notices"] == ["There are only 2 such paths."]


def test_conditions_that_leave_no_path_are_named_as_the_reason() -> None:
    answer = ask(star(), avoid=["w2", "w3"], min_between=1)
    assert answer["paths"] == []
    assert answer["exact"]
    assert answer["reason"] == (
        "The two words are joined, but no path has at least 1 word in between and avoids “w2”, “w3”."
    )


def test_without_any_path_sizes_and_nearest_words_are_given() -> None:
    answer = find_paths(star(), PathQuery(source="w1", target="w0"))
    assert answer["paths"] == []
    assert answer["components"]["largest"] == 12
    assert "No edge leads on from “w1”" in answer["reason"]
    assert answer["nearest"] == []


def test_words_are_asked_for_in_any_case_and_unknown_ones_are_refused_with_suggestions() -> None:
    assert ask(star(), **{"from": " W0 "})["paths"]
    with pytest.raises(DataError, match="Did you mean: ") as caught:
        ask(star(), to="w99")
    assert caught.value.where == "to"


@pytest.mark.parametrize(
    ("question", "where"),
    [
        ({"to": "w0"}, "to"),
        ({"avoid": ["w1"]}, "avoid"),
        ({"through": ["w0"]}, "through"),
        ({"through": ["w2"], "avoid": ["W2"]}, "through"),
        ({"layer": 3}, "layer"),
        ({"weights": {"dep": 1}}, "weights.dep"),
        ({"across_layers": True}, "layers"),
    ],
)
def test_conditions_that_contradict_are_refused_by_field(question, where) -> None:
    with pytest.raises(ConfigError) as caught:
        ask(star(), **question)
    assert caught.value.where == where


@pytest.mark.parametrize(
    "question",
    [{"k": 0}, {"k": 51}, {"min_between": 11}, {"through": list("abcd")}, {"hub_penalty": -1}, {"from_layer": 0},
     {"weights": {"dep": -1}}, {"weights": {"dep": math.inf}}, {"colour": "red"}],
)  # fmt: skip
def test_values_out_of_range_are_refused(question) -> None:
    with pytest.raises(ValidationError):
        PathQuery.model_validate({"from": "a", "to": "b"} | question)


def test_a_question_reads_from_json_and_writes_the_same_names() -> None:
    query = PathQuery.model_validate_json('{"from": "a", "to": "b"}')
    assert (query.source, query.target) == ("a", "b")
    assert json.loads(query.model_dump_json(by_alias=True))["from"] == "a"


def changing() -> WordGraph:
    """Layer 0 joins w0 and w1 over w2, layers 1 and 2 over w3."""
    sets = [
        EdgeSet.of("sim", [0, middle], [middle, 1], [1.0, 1.0], layer=layer) for layer, middle in enumerate((2, 3, 3))
    ]
    return word_graph(4, sets, layers=3)


def test_the_same_question_in_every_layer_says_where_the_path_changes() -> None:
    rows = by_layer(changing(), PathQuery(source="w0", target="w1"))
    assert [row["layer"] for row in rows] == [0, 1, 2]
    assert [row["width"] for row in rows] == [4, 5, 6]
    assert [row["changed"] for row in rows] == [None, True, False]
    assert [row["paths"][0]["words"][1] for row in rows] == ["w2", "w3", "w3"]


def test_a_graph_without_layers_gives_one_row() -> None:
    rows = by_layer(star(), PathQuery(source="w0", target="w1"))
    assert [(row["layer"], row["width"], row["changed"]) for row in rows] == [(None, None, None)]


def test_across_layers_a_path_names_layer_and_vector_size_of_every_word() -> None:
    sets = [
        EdgeSet.of("sim", [0], [2], [1.0], layer=0),
        EdgeSet.of("sim", [2], [1], [1.0], layer=1),
    ]
    graph = word_graph(5, sets, layers=2)
    answer = ask(graph, across_layers=True, kappa=0.5, min_between=1)
    (path,) = answer["paths"]
    assert path["words"] == ["w0", "w2", "w2", "w1"]
    assert path["layers"] == [0, 0, 1, 1]
    assert path["widths"] == [4, 4, 5, 5]
    assert [list(hop["types"]) for hop in path["hops"]] == [["sim"], ["layer"], ["sim"]]
    assert path["cost"] == pytest.approx(0.5 * (1 - layered(graph).cosines[0, 2]))
    assert path["probability"] is None
    nothing = ask(graph, across_layers=True, from_layer=1)
    assert nothing["paths"][0]["layers"][0] == 1


def test_across_layers_avoided_and_passed_words_count_in_every_layer() -> None:
    rng = np.random.default_rng(0)
    sources, targets = np.nonzero(~np.eye(6, dtype=bool))
    sets = [EdgeSet.of("sim", sources, targets, rng.random(30) + 0.1, layer=layer) for layer in range(3)]
    graph = word_graph(6, sets, layers=3)
    for path in ask(graph, across_layers=True, k=5, avoid=["w2"], through=["w4"], from_layer=0, to_layer=2)["paths"]:
        assert "w2" not in path["words"]
        assert "w4" in path["words"]
        assert (path["layers"][0], path["layers"][-1]) == (0, 2)


def test_a_mixture_is_kept_between_questions_until_the_graph_gets_edges() -> None:
    graph = changing()
    query = PathQuery(source="w0", target="w1")
    first = mixed_for(graph, query)
    assert mixed_for(graph, query) is first
    assert mixed_for(graph, query.model_copy(update={"layer": 0})) is not first
    graph.edges.append(EdgeSet.of("gnn", [0], [1], [1.0]))
    assert mixed_for(graph, query).types == ["sim", "gnn"]


def test_a_search_that_reaches_its_limit_says_so(monkeypatch) -> None:
    from core.graph import query as module

    search = module.constrained_paths
    monkeypatch.setattr(module, "constrained_paths", lambda *args, **rest: search(*args, **rest, expansions=1))
    rng = np.random.default_rng(0)
    sources, targets = np.nonzero(~np.eye(7, dtype=bool))
    answer = ask(word_graph(7, [EdgeSet.of("cooc", sources, targets, rng.random(42))]), min_between=3)
    assert answer["exact"] is False
    assert len(answer["paths"][0]["words"]) >= 5
    assert "reached its limit" in answer["notices"][0]
