"""The graphs' desk: graphs by run or file, questions, views, exports; and one graph built by a worker process."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import networkx
import numpy as np
import pytest

from core.api import Studio
from core.config import GraphConfig
from core.errors import ConfigError, DataError, RunError
from core.graph.file import save_graph
from core.graph.query import PathQuery
from core.graph.types import EdgeSet, WordGraph
from core.runs.records import Status
from core.settings import Home
from tests.tiny import tiny_encoder

TREES = """\
1\tthe\tthe\tDET\t_\t_\t2\tdet\t_\t_
2\tcat\tcat\tNOUN\t_\t_\t4\tnsubj\t_\t_
3\tis\tbe\tAUX\t_\t_\t4\tcop\t_\t_
4\tgood\tgood\tADJ\t_\t_\t0\troot\t_\t_

1\tthe\tthe\tDET\t_\t_\t2\tdet\t_\t_
2\tfilm\tfilm\tNOUN\t_\t_\t4\tnsubj\t_\t_
3\tis\tbe\tAUX\t_\t_\t4\tcop\t_\t_
4\tdull\tdull\tADJ\t_\t_\t0\troot\t_\t_

"""


@pytest.fixture
def graph() -> WordGraph:
    """the – film – story – end, with a side branch, in two layers."""
    words = ["the", "film", "story", "end", "<b>x</b>"]
    edges = [
        EdgeSet.of("cooc", [0, 1, 1, 2, 2, 3, 0, 4], [1, 0, 2, 1, 3, 2, 4, 0], [1, 1, 1, 1, 1, 1, 2, 2],
                   examples=[[0, -1, -1]] * 8, counts=[1] * 8),
        EdgeSet.of("sim", [0, 3], [3, 0], [0.1, 0.1], layer=0),
        EdgeSet.of("sim", [0, 2], [2, 0], [0.9, 0.9], layer=1),
    ]  # fmt: skip
    vectors = {0: np.eye(5, 4, dtype=np.float16), 1: np.eye(5, 6, dtype=np.float16)}
    return WordGraph(
        words, np.array([5, 4, 3, 2, 1]), ["DET", "NOUN", "NOUN", "NOUN", "X"], list(words),
        ["the film story end"], [np.array([0, 1, 2, 3])], edges, [0, 1], [4, 6], vectors, {"language": "en"},
    )  # fmt: skip


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    with Studio(Home(tmp_path / "home"), watch=False) as made:
        yield made


@pytest.fixture
def file(graph: WordGraph, tmp_path: Path) -> str:
    save_graph(graph, tmp_path / "small.graph")
    return str(tmp_path / "small.graph")


def test_a_graph_is_opened_once_and_again_when_its_file_changed(studio, file, graph) -> None:
    first = studio.graphs.open(file)
    assert studio.graphs.open(file) is first
    save_graph(WordGraph(**{**vars(graph), "tags": [""] * 5}), Path(file))
    assert studio.graphs.open(file).tags == [""] * 5


def test_what_is_no_graph_is_refused_with_what_is_wrong(studio, tmp_path) -> None:
    with pytest.raises(DataError, match="no graph of this name"):
        studio.graphs.open("nothing")
    (tmp_path / "other.graph").write_text("not a graph")
    with pytest.raises(DataError):
        studio.graphs.open(str(tmp_path / "other.graph"))
    (tmp_path / "secret.txt").write_text("not for graphs")
    with pytest.raises(DataError, match="no graph of this name"):
        studio.graphs.open(str(tmp_path / "secret.txt"))
    run = studio.graphs.build(GraphConfig(edges=["cooc"]))
    with pytest.raises(RunError, match="has left no graph"):
        studio.graphs.open(run)


def test_questions_are_answered_hop_by_hop(studio, file) -> None:
    answer = studio.graphs.paths(file, PathQuery(source="the", target="end", layer=1, min_between=1))
    best = answer["paths"][0]
    assert best["words"] == ["the", "story", "end"]
    assert all(sum(hop["types"].values()) == pytest.approx(1) for hop in best["hops"])
    rows = studio.graphs.by_layer(file, PathQuery(source="the", target="end", min_between=1))
    assert [row["paths"][0]["words"] for row in rows] == [["the", "film", "story", "end"], ["the", "story", "end"]]


def test_a_word_tells_its_neighbours_by_type_and_its_contexts(studio, file) -> None:
    about = studio.graphs.word(file, "Story", layer=1)
    assert (about["word"], about["count"], about["widths"]) == ("story", 3, {0: 4, 1: 6})
    assert {(one["word"], one["type"]) for one in about["neighbours"]} == {
        ("film", "cooc"), ("end", "cooc"), ("the", "sim"),
    }  # fmt: skip
    assert about["contexts"] == ["the film story end"]


@pytest.mark.parametrize("kind", ["path", "neighbourhood", "overview", "map"])
@pytest.mark.parametrize("size", ["degree", "pagerank", "betweenness"])
def test_every_view_is_plain_data_with_places_and_sizes(studio, file, kind, size) -> None:
    query = PathQuery(source="the", target="end", layer=1)
    view = studio.graphs.view(file, kind, query=query, word="film", size=size)
    again = json.loads(json.dumps(view))
    assert {node["label"] for node in again["nodes"]} >= {"the", "film"}
    assert all(np.isfinite([node["x"], node["y"], node["size"]]).all() for node in again["nodes"])
    assert view["size_by"]


def test_views_draw_the_chosen_types_only(studio, file) -> None:
    view = studio.graphs.view(file, "overview", layer=1, types=["sim"])
    assert {edge["type"] for edge in view["edges"]} == {"sim"}
    with pytest.raises(ConfigError, match="No edge type"):
        studio.graphs.view(file, "overview", types=[])
    with pytest.raises(ConfigError, match="no view"):
        studio.graphs.view(file, "cloud")
    with pytest.raises(ConfigError, match="sized by"):
        studio.graphs.view(file, "map", size="age")


def test_the_planes_of_all_layers_hold_the_path_where_it_leads(studio, file) -> None:
    space = studio.graphs.layers3d(file, PathQuery(source="the", target="end", layer=1, min_between=1))
    assert space["path"] == [["the", 1], ["story", 1], ["end", 1]]
    assert {(node["layer"], node["width"]) for node in space["nodes"]} == {(0, 4), (1, 6)}
    across = studio.graphs.layers3d(
        file, PathQuery(source="the", target="end", across_layers=True, from_layer=0, to_layer=1)
    )
    assert (across["path"][0], across["path"][-1]) == (["the", 0], ["end", 1])


def test_exports_are_read_again_and_pages_hold_words_as_text(studio, file) -> None:
    name, content = studio.graphs.export(file, "graphml")
    assert name == "graph.graphml"
    assert set(dict(networkx.read_graphml(io.BytesIO(content)).nodes(data="label")).values()) >= {"the", "<b>x</b>"}
    name, content = studio.graphs.export(file, "html")
    assert name == "graph.html"
    assert b"<b>x</b>" not in content
    assert b"http" not in content.lower()
    with pytest.raises(ConfigError, match="not exported"):
        studio.graphs.export(file, "docx")


def test_two_graphs_are_laid_side_by_side(studio, file, graph, tmp_path) -> None:
    edges = [one for one in graph.edges if one.layer != 1]
    more = EdgeSet.of("sim", [1, 3], [3, 1], [0.5, 0.5], layer=1)
    save_graph(WordGraph(**{**vars(graph), "edges": [*edges, more]}), tmp_path / "other.graph")
    found = studio.graphs.compare(file, str(tmp_path / "other.graph"), 1, 1, PathQuery(source="the", target="end"))
    assert found["edges"]["cooc"]["jaccard"] == 1
    assert [(edge["from"], edge["to"]) for edge in found["edges"]["sim"]["only_a"]] == [
        ("the", "story"),
        ("story", "the"),
    ]
    assert {(edge["from"], edge["to"]) for edge in found["edges"]["sim"]["only_b"]} == {
        ("film", "end"),
        ("end", "film"),
    }
    assert found["paths"]


def test_a_graph_from_elsewhere_was_not_measured(studio, file) -> None:
    assert studio.graphs.quality(file) == {
        "measures": [], "notices": ["Nothing was measured when this graph was built: no dep or cooc edges."],
    }  # fmt: skip


def test_lists_of_similar_words_are_kept_found_and_measured(studio, file) -> None:
    assert studio.graphs.similarity_lists() == []
    path = studio.graphs.add_similarity_list("mine.csv", b"the,film,1\nfilm,story,2\n")
    studio.data.save_upload("text.csv", b"no list at all")
    assert studio.graphs.similarity_lists() == [{"name": "mine.csv", "path": path, "pairs": 2}]
    found = studio.graphs.similarity(file, path)
    assert (found["list"], found["pairs"], found["covered"]) == ("mine.csv", 2, 2)
    with pytest.raises(DataError, match="no pair with a score"):
        studio.graphs.add_similarity_list("bad.csv", b"the,film,1\nfilm,story\n")
    assert len(studio.graphs.similarity_lists()) == 1


def test_statistics_are_those_of_the_layer_that_is_asked(studio, file) -> None:
    assert studio.graphs.stats(file, 0)["layer"] == 0
    assert studio.graphs.stats(file)["layer"] == 1


def test_a_graph_from_elsewhere_has_no_trees(studio, file) -> None:
    assert studio.graphs.sentence(file, 0)["trees"] == []
    with pytest.raises(DataError, match="no such sentence"):
        studio.graphs.sentence(file, 1)


@pytest.mark.slow
def test_a_graph_is_built_by_a_worker_beside_the_queue_and_asked(tmp_path) -> None:
    (tmp_path / "trees.conllu").write_text(TREES)
    encoder = tiny_encoder(tmp_path / "encoder")
    config = GraphConfig(
        name="tiny", corpus={"source": str(tmp_path / "trees.conllu")}, model={"source": str(encoder)}
    )  # fmt: skip
    with Studio(Home(tmp_path / "home"), warm=False) as studio:
        run = studio.graphs.build(config, request_id="one")
        assert studio.graphs.build(config, request_id="one") == run
        assert studio.runs.wait(run, timeout=120).status is Status.FINISHED, studio.runs.log(run)
        (listed,) = studio.graphs.list()
        assert (listed["words"], listed["layers"], listed["widths"]) == (6, [0, 1, 2], [32, 32, 32])
        assert set(listed["types"]) == {"dep", "cooc", "sim"}
        assert studio.runs.config(run) == config
        assert studio.graphs.sentence(run, 1)["trees"][0] == {
            "name": "gold tree", "heads": [1, 3, 3, -1], "relations": ["det", "nsubj", "cop", "root"],
        }  # fmt: skip
        measures = studio.graphs.quality(run)["measures"]
        assert [measure["items"] for measure in measures] == [6, 2]
        assert all(0 < measure["value"] <= 1 for measure in measures)
        answer = studio.graphs.paths(run, PathQuery(source="cat", target="film", directed=False))
        assert answer["paths"] or answer["reason"]


def test_a_view_that_is_asked_for_again_is_not_computed_again(studio, file, monkeypatch) -> None:
    query = PathQuery(source="the", target="end", layer=1)
    first = studio.graphs.view(file, "path", query=query, limit=4)
    monkeypatch.setattr("core.graph.view.path_view", None)
    assert studio.graphs.view(file, "path", query=query, limit=4) == first
    with pytest.raises(TypeError):
        studio.graphs.view(file, "path", query=query, limit=5)
