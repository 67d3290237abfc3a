"""A graph in numbers, against networkx and by hand."""

from __future__ import annotations

import json

import networkx as nx
import numpy as np
import pytest

from core.graph.stats import graph_stats
from core.graph.types import EdgeSet, WordGraph
from tests.unit.graph.graphs import random_graph, small_graph


def test_the_numbers_of_a_small_graph() -> None:
    found = graph_stats(small_graph())
    assert (found["words"], found["occurrences"], found["sentences"]) == (8, 12, 3)
    assert found["layers"] == [
        {"layer": 0, "width": 4, "vectors": True}, {"layer": 1, "width": 6, "vectors": True},
    ]  # fmt: skip
    assert [(one["type"], one["layer"], one["edges"]) for one in found["edges"]] == [
        ("dep", None, 6), ("cooc", None, 32), ("sim", 0, 6), ("sim", 1, 6),
    ]  # fmt: skip
    assert found["edges"][0]["weight"] == {"min": 0.25, "mean": 1.125, "max": 2.0}
    assert found["edges"][0]["occurrences"] == 6
    assert found["edges"][1]["occurrences"] is None
    assert found["parts_of_speech"] == {"ADJ": 3, "NOUN": 3, "AUX": 1, "DET": 1}
    assert found["relations"] == {"amod": 3, "det": 3}
    assert (found["language"], found["trees"], found["notices"]) == ("en", "gold", ["made by hand"])
    assert found["layer"] == 1


def test_degrees_and_components_are_those_of_networkx() -> None:
    graph = random_graph(400, 260, types=("sim", "dep"), seed=6)
    found = graph_stats(graph, 0)
    whole = nx.Graph()
    whole.add_nodes_from(range(400))
    for one in graph.edges:
        whole.add_edges_from(zip(one.sources.tolist(), one.targets.tolist(), strict=True))
    sizes = sorted((len(part) for part in nx.connected_components(whole) if len(part) > 1), reverse=True)
    assert found["components"] == {
        "number": len(sizes), "largest": sizes[0], "share": sizes[0] / 400, "sizes": sizes[:10],
    }  # fmt: skip
    assert found["pairs"] == whole.number_of_edges()
    assert found["density"] == pytest.approx(nx.density(whole), abs=1e-8)
    assert found["isolated"] == nx.number_of_isolates(whole)
    degrees = [degree for _, degree in whole.degree]
    assert found["degree"]["mean"] == round(float(np.mean(degrees)), 4)
    assert found["degree"]["median"] == float(np.median(degrees))
    assert found["degree"]["most"][0]["neighbours"] == found["degree"]["max"] == max(degrees)
    for one in found["degree"]["spread"]:
        assert one["words"] == sum(one["from"] <= degree <= one["to"] for degree in degrees)
    assert sum(one["words"] for one in found["degree"]["spread"]) == 400


def test_edges_of_another_layer_do_not_count() -> None:
    graph = random_graph(20, 40)
    graph.edges[0].layer = 5
    assert graph_stats(graph, 0)["isolated"] == 20
    assert graph_stats(graph, 5)["isolated"] < 20


def test_an_empty_graph_has_numbers_too() -> None:
    graph = WordGraph([], np.empty(0, dtype=np.int64), [], [], [], [], [EdgeSet.of("dep", [], [], [])])
    found = graph_stats(graph)
    assert json.loads(json.dumps(found)) == found
    assert found["components"] == {"number": 0, "largest": 0, "share": 0.0, "sizes": []}
    assert (found["degree"]["spread"], found["density"]) == ([], 0.0)
    assert found["edges"][0]["weight"] is None
