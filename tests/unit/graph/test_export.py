"""Exports, re-read by networkx and csv."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import ConfigError, ExportError
from core.graph.export import export_graph, guarded, to_networkx, unguarded
from core.graph.types import WordGraph
from tests.unit.graph.graphs import random_graph, small_graph

HOSTILE = ["<script>", "a&b\"'", "bell\x07", "half\ud83d", "=1+1", "-", "@x", "שלום", "😀", "'quote", "\ufffe", "a,b"]


#: A table of the words beside that of the edges is in a zip only.
SUFFIX = {"graphml": "", "gexf": "", "json": "", "csv": ".zip"}


def hostile_graph() -> WordGraph:
    graph = random_graph(len(HOSTILE), 40, types=("dep", "sim"))
    graph.words = list(HOSTILE)
    return graph


def read(path: Path, format: str) -> tuple[dict[int, str], dict[tuple[int, int, str], np.float32]]:
    """Return (id → label) and ((source, target, type@layer) → weight) of an exported file."""
    if format == "csv":
        with zipfile.ZipFile(path) as archive:
            tables = {
                name: list(csv.DictReader(io.StringIO(archive.read(name).decode("utf-8"), newline="")))
                for name in ("nodes.csv", "edges.csv")
            }
        labels = {int(row["id"]): unguarded(row["word"]) for row in tables["nodes.csv"]}
        for row in tables["edges.csv"]:
            assert (unguarded(row["from"]), unguarded(row["to"])) == (
                labels[int(row["source"])],
                labels[int(row["target"])],
            )
        edges = [
            (int(row["source"]), int(row["target"]), row["type"], row["layer"], row["weight"])
            for row in tables["edges.csv"]
        ]
    else:
        found: Any
        if format == "graphml":
            found = nx.read_graphml(path, node_type=int, force_multigraph=True)
        elif format == "gexf":
            found = nx.read_gexf(path, node_type=int)
        else:
            found = nx.node_link_graph(json.loads(path.read_bytes()), edges="edges")
        assert found.is_directed()
        labels = {int(node): values["label"] for node, values in found.nodes(data=True)}
        kind = "edge_type" if format == "gexf" else "type"
        edges = [
            (int(source), int(target), values[kind], values.get("layer", ""), values["weight"])
            for source, target, values in found.edges(data=True)
        ]
    return labels, {
        (source, target, f"{name}@{layer}"): np.float32(weight) for source, target, name, layer, weight in edges
    }


def expected_edges(graph: WordGraph, layer: int | None) -> dict[tuple[int, int, str], np.float32]:
    return {
        (int(source), int(target), f"{one.type}@{'' if one.layer is None else one.layer}"): weight
        for one in (graph.edges if layer is None else graph.edge_sets(layer))
        for source, target, weight in zip(one.sources, one.targets, one.weights, strict=True)
    }


@pytest.mark.parametrize("format", ["graphml", "gexf", "json", "csv"])
def test_a_graph_is_read_again_with_equal_nodes_edges_and_weights(tmp_path: Path, format: str) -> None:
    graph = small_graph()
    assert export_graph(graph, tmp_path / f"out{SUFFIX[format]}", format, layer="all") == []
    labels, edges = read(tmp_path / f"out{SUFFIX[format]}", format)
    assert labels == dict(enumerate(graph.words))
    assert edges == expected_edges(graph, None)


@pytest.mark.parametrize("format", ["graphml", "gexf", "json", "csv"])
def test_one_layer_is_the_middle_one_unless_another_is_asked_for(tmp_path: Path, format: str) -> None:
    graph = small_graph()
    notices = export_graph(graph, tmp_path / f"middle{SUFFIX[format]}", format)
    assert notices == ["Edges of layer 1, the middle one, beside those of no layer."]
    assert read(tmp_path / f"middle{SUFFIX[format]}", format)[1] == expected_edges(graph, 1)
    assert export_graph(graph, tmp_path / f"lowest{SUFFIX[format]}", format, layer=0) == []
    assert read(tmp_path / f"lowest{SUFFIX[format]}", format)[1] == expected_edges(graph, 0)


@pytest.mark.parametrize("format", ["graphml", "gexf", "json", "csv"])
def test_hostile_words_come_back_or_are_spelled_and_told(tmp_path: Path, format: str) -> None:
    graph = hostile_graph()
    notices = export_graph(graph, tmp_path / f"out{SUFFIX[format]}", format, layer=0)
    labels, edges = read(tmp_path / f"out{SUFFIX[format]}", format)
    spelled = {2: "bell\\x07", 3: "half\\ud83d", 10: "\\ufffe"} if format != "json" else {}
    assert labels == {**dict(enumerate(HOSTILE)), **spelled}
    assert edges == expected_edges(graph, 0)
    assert any("3 words hold control characters" in notice for notice in notices) is (format != "json")
    assert any("apostrophe" in notice for notice in notices) is (format == "csv")


@given(st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=8))
@settings(max_examples=25, deadline=None)
def test_any_word_survives_xml(tmp_path_factory: pytest.TempPathFactory, word: str) -> None:
    graph = small_graph()
    graph.words[0] = word
    path = tmp_path_factory.mktemp("xml") / "out"
    for format in ("graphml", "gexf"):
        export_graph(graph, path, format)
        label = read(path, format)[0][0]
        assert label == "".join(ascii(c)[1:-1] if c in "\ufffe\uffff" else c for c in word)


def test_relations_counts_and_lemmas_are_attributes() -> None:
    found = to_networkx(small_graph())
    assert found.nodes[1] == {"label": "film", "count": 1, "tag": "NOUN", "lemma": "film"}
    assert found.edges[1, 3, "dep"] == {"type": "dep", "weight": 2.0, "count": 1, "relations": "amod:1"}
    assert found.edges[1, 4, "sim@1"]["layer"] == 1


def test_no_cell_of_a_table_begins_like_a_formula(tmp_path: Path) -> None:
    export_graph(hostile_graph(), tmp_path / "out.zip", "csv")
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        for name in archive.namelist():
            for row in csv.reader(io.StringIO(archive.read(name).decode(), newline="")):
                assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in row)


@given(st.text())
def test_a_guarded_cell_can_be_read_back(text: str) -> None:
    assert unguarded(guarded(text)) == text


def test_a_csv_that_is_no_zip_holds_the_edges_with_their_words(tmp_path: Path) -> None:
    notices = export_graph(small_graph(), tmp_path / "out.csv", "csv")
    export_graph(small_graph(), tmp_path / "out.zip", "csv")
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        assert archive.read("edges.csv") == (tmp_path / "out.csv").read_bytes()
    assert any(".zip" in notice for notice in notices)


def test_an_unknown_format_or_layer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="graphml, gexf, json, csv, html"):
        export_graph(small_graph(), tmp_path / "out", "dot")
    with pytest.raises(ConfigError, match="no layer 9"):
        export_graph(small_graph(), tmp_path / "out", "json", layer=9)


def test_a_failed_export_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "out.json"
    target.write_text("old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("core.graph.atomic.os.fsync", full)
    with pytest.raises(ExportError, match="No space left"):
        export_graph(small_graph(), target, "json")
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.json"]
    assert target.read_text() == "old"


def test_a_graph_that_is_too_large_for_xml_is_refused_with_advice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.graph.export._MANY", 40)
    with pytest.raises(ExportError, match="50 edges, too many for gexf"):
        export_graph(small_graph(), tmp_path / "out", "gexf", layer="all")
    export_graph(small_graph(), tmp_path / "out.zip", "csv", layer="all")
