"""Views: what is drawn, what is left out and told, and that nothing becomes a hairball."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import numpy as np
import pytest

from core.errors import DataError
from core.graph.centrality import pagerank
from core.graph.communities import find_communities
from core.graph.layout import label_box, overlaps
from core.graph.mixing import Mixed, mix
from core.graph.pairs import Pairs
from core.graph.types import EdgeSet, WordGraph
from core.graph.view import map_view, neighbourhood, overview, path_view
from tests.unit.graph.graphs import random_graph, small_graph


@pytest.fixture(scope="module")
def large() -> tuple[WordGraph, Mixed]:
    graph = random_graph(1500, 6000, types=("sim", "cooc"), seed=9)
    return graph, mix(graph, 0)


def nodes_of(view: dict[str, Any], role: str) -> list[str]:
    return [node["word"] for node in view["nodes"] if node["role"] == role]


def beside_the_path(view: dict[str, Any]) -> Counter[int]:
    ends: Counter[int] = Counter()
    for edge in view["edges"]:
        if edge["role"] != "path":
            ends.update((edge["from"], edge["to"]))
    return ends


def test_a_path_view_is_plain_json_with_every_field() -> None:
    graph = small_graph()
    view = path_view(graph, mix(graph, 1), [{"words": ["film", "good"], "cost": 1.0}])
    assert json.loads(json.dumps(view, allow_nan=False)) == view
    film = next(node for node in view["nodes"] if node["word"] == "film")
    assert {"id", "label", "x", "y", "size", "community", "count", "tag", "width", "role"} <= film.keys()
    assert (film["id"], film["count"], film["tag"], film["width"], film["role"]) == (1, 1, "NOUN", 6, "path")
    edge = next(edge for edge in view["edges"] if edge["role"] == "path")
    assert (edge["from"], edge["to"], edge["paths"], edge["relations"]) == (1, 3, [0], ["amod"])
    assert sum(edge["types"].values()) == pytest.approx(1, abs=1e-5)
    assert edge["type"] == max(edge["types"], key=edge["types"].get)
    assert view["layer"] == 1


def test_the_weight_of_an_edge_is_its_probability() -> None:
    graph = small_graph()
    mixed = mix(graph, 1)
    assert mixed.probability is not None
    for edge in path_view(graph, mixed, [["film", "good"]])["edges"]:
        assert edge["weight"] == pytest.approx(mixed.probability[mixed.edge(edge["from"], edge["to"])], abs=1e-8)


def test_the_best_path_lies_from_left_to_right() -> None:
    graph = small_graph()
    view = path_view(graph, mix(graph, 1), [["movie", "film", "good"], ["movie", "the"]])
    at = {node["word"]: (node["x"], node["y"]) for node in view["nodes"]}
    assert at["movie"][0] < at["film"][0] < at["good"][0]
    assert at["movie"][1] == at["film"][1] == at["good"][1]


def test_words_and_edges_name_the_paths_that_use_them() -> None:
    graph = small_graph()
    view = path_view(graph, mix(graph, 1), [["movie", "film"], ["movie", "story"]])
    assert {node["word"]: node["paths"] for node in view["nodes"] if "paths" in node} == {
        "movie": [0, 1], "film": [0], "story": [1],
    }  # fmt: skip
    assert {(edge["from"], edge["to"]): edge["paths"] for edge in view["edges"] if "paths" in edge} == {
        (4, 1): [0], (4, 6): [1],
    }  # fmt: skip


def test_every_role_is_there_and_the_paths_are_drawn_in_any_case(large: tuple[WordGraph, Mixed]) -> None:
    graph, mixed = large
    path = chain(mixed, 5)
    view = path_view(graph, mixed, [path], limit=100)
    assert len(view["nodes"]) == 100
    assert nodes_of(view, "path") == [word for word in nodes_of(view, "path") if word in path]
    assert len(nodes_of(view, "path")) == len(path)
    assert nodes_of(view, "neighbour")
    assert nodes_of(view, "context")
    assert {edge["role"] for edge in view["edges"]} == {"path", "neighbour", "context"}
    assert len(path_view(graph, mixed, [path], limit=1)["nodes"]) == len(path)


def chain(mixed: Mixed, length: int) -> list[str]:
    """A path along the graph's edges."""
    path = [int(mixed.sources[0])]
    while len(path) < length:
        low, high = mixed.indptr[path[-1]], mixed.indptr[path[-1] + 1]
        path.append(next(int(node) for node in mixed.targets[low:high] if node not in path))
    return [f"w{node}" for node in path]


def test_the_context_is_what_is_cheapest_to_reach(
    large: tuple[WordGraph, Mixed], monkeypatch: pytest.MonkeyPatch
) -> None:
    import networkx as nx

    graph, mixed = large
    joined: dict[tuple[int, int], float] = {}
    for source, target, cost in zip(mixed.sources.tolist(), mixed.targets.tolist(), mixed.costs.tolist(), strict=True):
        for pair in ((source, target), (target, source)):
            joined[pair] = min(cost, joined.get(pair, np.inf))
    whole = nx.DiGraph()
    for (source, target), cost in joined.items():  # to pass a word costs the hub term, to leave the first one does not
        whole.add_edge(source, target, cost=cost + (source != 7) * np.log1p(mixed.neighbours[source]))
    far = nx.multi_source_dijkstra_path_length(whole, {7}, weight="cost")
    monkeypatch.setattr("core.graph.view._LEADS", (10**6, 10**6))
    drawn = {node["id"] for node in path_view(graph, mixed, [["w7"]], limit=80)["nodes"]}
    assert max(far[node] for node in drawn) <= min(far[node] for node in far.keys() - drawn) + 1e-9


def test_a_hub_does_not_draw_everything_near(large: tuple[WordGraph, Mixed]) -> None:
    graph, mixed = large
    hub = int(np.argmax(mixed.neighbours))
    assert mixed.neighbours[hub] > 100
    view = path_view(graph, mixed, [[graph.words[hub]]], limit=300)
    assert len(view["nodes"]) == 300
    ends = beside_the_path(view)
    assert ends[hub] <= 14
    assert max(ends.values()) <= 14


@pytest.mark.parametrize("kind", ["path", "overview", "map"])
def test_there_is_no_hairball(large: tuple[WordGraph, Mixed], kind: str) -> None:
    graph, mixed = large
    view = {
        "path": lambda: path_view(graph, mixed, [chain(mixed, 4)], limit=300),
        "overview": lambda: overview(graph, mixed, 300),
        "map": lambda: map_view(graph, mixed),
    }[kind]()
    ends = beside_the_path(view)
    assert sum(ends.values()) <= 4 * len(view["nodes"])
    assert len(view["edges"]) == len({frozenset((edge["from"], edge["to"])) for edge in view["edges"]})
    if kind == "map":  # what is not among the four strongest of both ends is there for a word that had no edge
        assert np.median(list(ends.values())) <= 3


def test_an_overview_has_at_most_four_edges_a_word_beside_the_only_ones_of_others(
    large: tuple[WordGraph, Mixed],
) -> None:
    view = overview(*large, 300)
    ends = beside_the_path(view)
    only = {end for edge in view["edges"] for end in (edge["from"], edge["to"]) if ends[end] == 1}
    for node, count in ends.items():
        rescued = sum(
            1 for edge in view["edges"] if node in (edge["from"], edge["to"]) and {edge["from"], edge["to"]} & only
        )
        assert count <= 4 or count - rescued <= 4


def test_an_overview_shows_the_most_central_words(large: tuple[WordGraph, Mixed]) -> None:
    graph, mixed = large
    view = overview(graph, mixed, 50)
    ranks = pagerank(Pairs.of_mixed(mixed))
    assert {node["id"] for node in view["nodes"]} == set(np.argsort(-ranks, kind="stable")[:50].tolist())
    sizes = {node["id"]: node["size"] for node in view["nodes"]}
    assert max(sizes, key=lambda node: sizes[node]) == int(np.argmax(ranks))


def test_the_rest_is_folded_into_communities(large: tuple[WordGraph, Mixed]) -> None:
    graph, mixed = large
    groups = find_communities(graph, Pairs.of_mixed(mixed))
    view = overview(graph, mixed, 200, groups=groups)
    assert sum(one["shown"] for one in view["communities"]) == 200
    for one in view["communities"]:
        assert one["size"] == int((groups.membership == one["id"]).sum())
        assert one["name"] == groups.communities[one["id"]].name
        assert one["shown"] == sum(node["community"] == one["id"] for node in view["nodes"])


@pytest.mark.parametrize("limit", [60, 500])
def test_labels_do_not_collide(large: tuple[WordGraph, Mixed], limit: int) -> None:
    graph, mixed = large
    for view in (overview(graph, mixed, limit), path_view(graph, mixed, [chain(mixed, 4)], limit=limit)):
        positions = np.array([[node["x"], node["y"]] for node in view["nodes"]])
        boxes = np.array([label_box(node["label"], node["size"]) for node in view["nodes"]])
        assert len(overlaps(positions, boxes - 0.3)) == 0  # positions are rounded


def test_no_other_word_lies_on_the_line_of_the_path(large: tuple[WordGraph, Mixed]) -> None:
    graph, mixed = large
    path = chain(mixed, 4)
    view = path_view(graph, mixed, [path], limit=300)
    at = {node["word"]: (node["x"], node["y"], node["size"]) for node in view["nodes"]}
    left, right = at[path[0]][0], at[path[-1]][0]
    others = [place for word, place in at.items() if word not in path and left < place[0] < right]
    assert len(others) > 50
    assert all(abs(y - at[path[0]][1]) > size for _, y, size in others)


def test_a_neighbourhood_has_its_word_in_front_and_its_strongest_neighbours(large: tuple[WordGraph, Mixed]) -> None:
    graph, mixed = large
    view = neighbourhood(graph, mixed, "w3", 40)
    assert view["kind"] == "neighbourhood"
    assert nodes_of(view, "path") == ["w3"]
    joined = {int(node) for node in mixed.targets[mixed.indptr[3] : mixed.indptr[4]]}
    joined |= {int(source) for source in mixed.sources[mixed.targets == 3]}
    assert {int(word[1:]) for word in nodes_of(view, "neighbour")} <= joined
    assert any("nearest to the word" in notice for notice in view["notices"])


def test_what_is_left_out_is_told(large: tuple[WordGraph, Mixed]) -> None:
    first, second = overview(*large, 100)["notices"]
    assert first == "100 of 1,500 words are drawn: those most central by PageRank."
    assert "pairs that are joined are drawn" in second
    whole = WordGraph(["a", "b"], np.ones(2), ["", ""], ["", ""], [], [], [EdgeSet.of("cooc", [0], [1], [1])])
    assert overview(whole, mix(whole, None))["notices"] == []


def test_the_legend_names_each_type_with_its_edges(large: tuple[WordGraph, Mixed]) -> None:
    view = overview(*large, 100)
    assert [entry["type"] for entry in view["legend"]] == ["sim", "cooc"]
    assert sum(entry["edges"] for entry in view["legend"]) == len(view["edges"])
    assert all(entry["meaning"] for entry in view["legend"])


def test_views_are_the_same_each_time(large: tuple[WordGraph, Mixed]) -> None:
    assert overview(*large, 80) == overview(*large, 80)
    assert path_view(*large, [["w5", "w9"]], limit=80) == path_view(*large, [["w5", "w9"]], limit=80)


def test_an_unknown_word_is_refused_with_spellings_near_to_it() -> None:
    graph = small_graph()
    with pytest.raises(DataError, match=r"moovie.* is not in this graph.*movie"):
        neighbourhood(graph, mix(graph, 0), "moovie")


def test_hostile_and_endless_words_stay_data() -> None:
    graph = small_graph()
    graph.words[1], graph.words[3] = "<script>alert(1)</script>", "x" * 5000
    view = path_view(graph, mix(graph, 0), [[graph.words[1], graph.words[3]]])
    assert nodes_of(view, "path") == [graph.words[1], graph.words[3]]
    labels = [node["label"] for node in view["nodes"]]
    assert "<script>alert(1)</script>" in labels
    assert max(map(len, labels)) <= 28


@pytest.mark.parametrize("draw", [overview, map_view])
def test_a_graph_without_words_or_edges_is_an_empty_picture(draw: Any) -> None:
    empty = WordGraph([], np.empty(0), [], [], [], [], [EdgeSet.of("cooc", [], [], [])])
    assert draw(empty, mix(empty, None))["nodes"] == []
    lone = WordGraph(["a"], np.ones(1), [""], [""], [], [], [EdgeSet.of("cooc", [], [], [])])
    view = draw(lone, mix(lone, None))
    assert [(node["label"], node["community"]) for node in view["nodes"]] == [("a", -1)]
    assert neighbourhood(lone, mix(lone, None), "a")["edges"] == []


def test_among_very_many_words_another_path_leaves_nearly_all_of_them_where_they_are() -> None:
    graph = random_graph(1400, 4000, seed=6)
    mixed = mix(graph, 0)
    asked = [[[graph.words[node] for node in path]] for path in ([3, 400, 900], [20, 1300])]
    views = [path_view(graph, mixed, paths, limit=1100) for paths in asked]
    places = [{node["word"]: (node["x"], node["y"]) for node in view["nodes"]} for view in views]
    central = {node["word"] for node in overview(graph, mixed, 1100)["nodes"]}
    both = [word for word in places[0] if word in places[1] and word in central]
    assert len(both) > 850
    assert all(places[0][word] == places[1][word] for word in both)
    for view, paths, place in zip(views, asked, places, strict=True):
        assert len(view["nodes"]) == 1100
        assert len(set(place.values())) == 1100
        assert {node["word"] for node in view["nodes"] if node["role"] == "path"} == set(paths[0])
