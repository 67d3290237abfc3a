"""Figures of word graphs say what they were given, and show words as text."""

from __future__ import annotations

from typing import Any

import pytest

from core.render.graph_figures import (
    arcs_figure,
    cka_figure,
    layered_figure,
    layers_figure,
    link_figure,
    map_figure,
    probe_figure,
)
from core.render.look import Look

LOOK = Look("#111111", "#DDDDDD", "#FFFFFF", ("#000001", "#000002", "#000003"), {"path": "#00FF00", "dep": "#0000FF"})
WILD = "<b>wild</b> $x$"


def names(figure: Any) -> list[str]:
    return [trace.name for trace in figure.data if trace.showlegend is not False]


def test_the_path_crosses_the_planes_of_its_layers() -> None:
    nodes = [
        {"word": word, "layer": layer, "x": place, "y": 0.0, "width": 8 + layer}
        for layer in (0, 2)
        for place, word in enumerate(("a", "b"))
    ]
    edges = [{"from": 0, "to": 1, "type": "dep"}, {"from": ["a", 2], "to": ["b", 2], "type": "dep"}]
    figure = layered_figure({"nodes": nodes, "edges": edges, "path": [["a", 0], ["a", 2], ["b", 2]]}, LOOK)
    path = next(trace for trace in figure.data if trace.name == "the path")
    assert list(path.z) == [0, 2, 2]
    assert path.line.color == "#00FF00"
    assert sum(trace.type == "mesh3d" for trace in figure.data) == 2
    dep = next(trace for trace in figure.data if trace.name == "dep")
    assert list(dep.z) == [0, 0, None, 2, 2, None]


def test_a_step_of_the_path_that_is_not_drawn_is_left_out() -> None:
    nodes = [{"word": "a", "layer": 0, "x": 0, "y": 0, "width": 1}]
    figure = layered_figure({"nodes": nodes, "path": [["a", 0], ["gone", 0]]}, LOOK)
    assert list(next(trace for trace in figure.data if trace.name == "the path").x) == [0]


def test_the_map_has_a_trace_for_each_community_and_the_path_in_it() -> None:
    nodes = [
        {"label": label, "x": place, "y": 0, "size": 4, "community": place % 2, "count": 1}
        for place, label in enumerate(("a", "b", "c", WILD))
    ]
    figure = map_figure(
        {"nodes": nodes, "communities": [{"id": 0, "name": WILD, "size": 2}]}, LOOK, path=["a", "c", "gone"]
    )
    assert [trace.type for trace in figure.data] == ["scattergl", "scattergl", "scatter"]
    assert list(figure.data[-1].text) == ["a", "c"]
    assert figure.data[0].name == "&lt;b&gt;wild&lt;/b&gt; ＄x＄"
    assert figure.data[0].marker.color == "#000001"


def test_layers_without_a_path_leave_a_gap_and_say_so() -> None:
    rows = [
        {"layer": 0, "words": ["a", "b"], "cost": 1.5, "probability": 0.25},
        {"layer": 1, "words": [], "cost": None, "probability": None},
        {"layer": 2, "words": ["a", "x", "b"], "cost": 2.0, "probability": 0.1},
    ]
    figure = layers_figure(rows, LOOK)
    assert list(figure.data[0].y) == [1.5, None, 2.0]
    assert list(figure.data[0].text) == ["direct", "", "x"]
    assert list(figure.data[1].y) == [0.25, None, 0.1]
    assert [note.text for note in figure.layout.annotations] == ["no path"]


def test_a_path_is_labelled_only_where_it_changes() -> None:
    rows = [{"layer": layer, "words": ["a", "x", "b"], "cost": 1.0, "probability": None} for layer in range(3)]
    assert list(layers_figure(rows, LOOK).data[0].text) == ["x", "", ""]


def test_one_tree_stands_above_the_sentence_and_one_below() -> None:
    trees = [
        {"name": "parser", "heads": [1, -1, 1], "relations": ["det", "root", "obj"]},
        {"name": "probe", "heads": [-1, 0, 0], "relations": None},
    ]
    figure = arcs_figure(["a", WILD, "c"], trees, LOOK)
    above, below, words = figure.data
    assert min(y for y in above.y if y is not None) > 0 > max(y for y in below.y if y is not None)
    assert sum(y is None for y in above.y) == 2  # the root hangs on nothing
    assert [note.text for note in figure.layout.annotations] == ["det", "obj"]
    assert words.text[1].startswith("&lt;b&gt;")


def test_an_arc_joins_head_and_dependent() -> None:
    (arc, _) = arcs_figure(["a", "b", "c"], [{"name": "parser", "heads": [2, -1, -1]}], LOOK).data
    assert (arc.x[0], arc.x[-2]) == (2, 0)


def test_a_probe_stands_beside_its_baselines() -> None:
    rows = [
        {"layer": 0, "uuas": 0.4, "dspr": 0.3, "random_uuas": 0.35, "random_dspr": None},
        {"layer": 1, "uuas": 0.6, "dspr": 0.5, "random_uuas": 0.36, "random_dspr": None},
    ]
    figure = probe_figure(rows, LOOK, chain={"uuas": 0.5})
    assert names(figure) == ["UUAS", "UUAS, random weights", "UUAS, linear chain", "DSpr"]
    assert list(figure.data[2].y) == [0.5, 0.5]


def test_cka_is_drawn_from_0_to_1() -> None:
    figure = cka_figure([[1.0, 0.5]], [0], [0, 1], LOOK)
    assert (figure.data[0].zmin, figure.data[0].zmax) == (0, 1)
    assert list(figure.data[0].x) == ["0", "1"]


def test_methods_are_compared_by_edge_type_with_their_intervals() -> None:
    rows = [
        {"method": "cosine", "type": "dep", "auc": 0.7, "low": 0.6, "high": 0.75},
        {"method": "network", "type": "dep", "auc": 0.8, "low": 0.78, "high": 0.85},
        {"method": "cosine", "type": "cooc", "auc": 0.6},
    ]
    figure = link_figure(rows, LOOK)
    assert names(figure) == ["dep", "cooc"]
    assert figure.data[0].marker.color == "#0000FF"
    assert list(figure.data[0].error_y.array) == pytest.approx([0.05, 0.05])
    assert figure.data[1].error_y.array is None
