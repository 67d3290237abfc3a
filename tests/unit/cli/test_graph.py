"""``bertloom graph …`` in one process: JSON that is one object and nothing else, exit statuses, errors that help."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import networkx as nx
import pytest
from typer.testing import CliRunner, Result

from core.cli.app import app
from core.graph.file import load_graph, save_graph
from tests.tiny import tiny_encoder
from tests.unit.graph.graphs import small_graph

TEXT = "the film is good\nthe movie is bad\nthe story is dull\n"


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = dict(os.environ)
    monkeypatch.setenv("BERTLOOM_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    yield
    for name in os.environ.keys() - before.keys():  # what building sets for libraries that are not yet imported
        del os.environ[name]
    os.environ.update(before)


@pytest.fixture
def graph(tmp_path: Path) -> str:
    save_graph(small_graph(), tmp_path / "small.graph")
    return "small.graph"


@pytest.fixture
def corpus(tmp_path: Path) -> str:
    (tmp_path / "texts.txt").write_text(TEXT)
    return "texts.txt"


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_encoder(tmp_path_factory.mktemp("encoder")))


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["graph", *arguments])


def one_object(result: Result) -> dict[str, Any]:
    assert result.stdout.count("\n") == 1, result.stdout
    value = json.loads(result.stdout)
    assert isinstance(value, dict)
    return value


def test_build_writes_a_graph_and_says_what_is_in_it(corpus: str, encoder: str) -> None:
    result = call(
        "build", "--corpus", corpus, "--language", "und", "--model", encoder, "--layers", "0,2", "--edges", "sim,cooc",
        "--set", "settings.cooc.min_count=1", "--out", "mine.graph", "--json",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    found = one_object(result)
    graph = load_graph("mine.graph")
    assert found["file"] == "mine.graph"
    assert found["words"] == len(graph) == 8
    assert [(one["type"], one["layer"]) for one in found["edges"]] == [("cooc", None), ("sim", 0), ("sim", 2)]
    assert graph.layers == [0, 2]


def test_build_keeps_stop_words_and_rare_words_of_small_corpora(corpus: str) -> None:
    call("build", "--corpus", corpus, "--language", "und", "--edges", "cooc", "--out", "all.graph")
    assert {"the", "is", "dull"} <= set(load_graph("all.graph").words)


def test_a_graph_remembers_its_corpus_by_an_absolute_path(corpus: str, tmp_path: Path) -> None:
    call("build", "--corpus", corpus, "--language", "und", "--edges", "cooc", "--out", "all.graph")
    assert load_graph("all.graph").about["config"]["corpus"]["source"] == str(tmp_path / corpus)


def test_build_leaves_dependencies_out_where_there_are_no_trees_and_says_so(tmp_path: Path, encoder: str) -> None:
    (tmp_path / "zh.txt").write_text("这家酒店的服务很好。\n房间也很干净。\n", encoding="utf-8")
    common = ("build", "--corpus", "zh.txt", "--model", encoder, "--unit", "character", "--layers", "0", "--json")
    found = one_object(call(*common, "--out", "zh.graph"))
    assert {one["type"] for one in found["edges"]} == {"sim", "cooc"}
    assert any(notice.startswith("Dep edges were left out. Trees hold between words") for notice in found["notices"])
    assert load_graph(Path("zh.graph")).about["notices"] == found["notices"]
    refused = call(*common, "--edges", "dep,cooc", "--out", "other.graph")
    assert refused.exit_code != 0


def test_build_of_a_vocabulary_needs_no_corpus(encoder: str) -> None:
    result = call("build", "--vocabulary", "--model", encoder, "--out", "pieces.graph", "--json")
    assert result.exit_code == 0, result.output
    assert [(one["type"], one["layer"]) for one in one_object(result)["edges"]] == [("sim", 0)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--layers", "low"], "layers 'low' are not numbers"),
        (["--edges", "dep,friendship"], "edges"),
        (["--edges", ","], "names nothing"),
        (["--unit", "letter"], "unit"),
        (["--set", "corpus.colour=1"], "unknown key"),
    ],
)
def test_a_wrong_option_is_a_usage_error_that_names_it(corpus: str, arguments: list[str], message: str) -> None:
    result = call("build", "--corpus", corpus, "--out", "x.graph", "--json", *arguments)
    assert result.exit_code == 2
    assert message in one_object(result)["message"]


def test_a_corpus_that_is_not_there_fails(tmp_path: Path) -> None:
    result = call("build", "--corpus", "nowhere.txt", "--edges", "cooc", "--out", "x.graph", "--json")
    assert result.exit_code == 1
    assert one_object(result)["error"] == "DataError"
    assert not (tmp_path / "x.graph").exists()


def test_a_target_that_cannot_be_written_is_refused_before_anything_is_built(corpus: str) -> None:
    result = call("build", "--corpus", corpus, "--model", "no-such-model", "--out", "no/such/x.graph", "--json")
    assert result.exit_code == 1
    assert one_object(result)["error"] == "StorageError"


def test_a_command_is_offline_unless_a_hub_is_named(corpus: str, graph: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str | None] = []

    def fake(*_: object, **__: object) -> Any:
        seen.append(os.environ.get("HF_HUB_OFFLINE"))
        return small_graph()

    monkeypatch.setattr("core.graph.build.build_graph", fake)
    arguments = ["--corpus", corpus, "--edges", "cooc", "--out", "x.graph"]
    assert call("build", *arguments).exit_code == 0
    assert call("build", *arguments, "--model", "hub:bert-base-uncased").exit_code == 0
    assert seen == ["1", None]


def test_a_path_is_explained_hop_by_hop(graph: str) -> None:
    found = one_object(call("path", graph, "--from", "film", "--to", "good", "--json"))
    assert found["exact"] is True
    (path,) = found["paths"]
    assert path["words"] == ["film", "good"]
    assert 0 < path["probability"] <= 1
    (hop,) = path["hops"]
    assert {"from", "to", "types", "relations", "layer", "examples"} <= hop.keys()
    assert sum(hop["types"].values()) == pytest.approx(1)
    assert hop["layer"] == 1
    assert hop["examples"] == ["the film is good"]


def test_conditions_of_a_path_are_obeyed(graph: str) -> None:
    found = one_object(
        call("path", graph, "--from", "the", "--to", "good", "--k", "3", "--min-between", "1", "--avoid", "is",
             "--through", "film", "--layer", "0", "--json")
    )  # fmt: skip
    assert found["layer"] == 0
    for path in found["paths"]:
        assert "film" in path["words"][1:-1]
        assert "is" not in path["words"]


def test_weights_direction_and_hubs_can_be_set(graph: str) -> None:
    found = one_object(
        call("path", graph, "--from", "film", "--to", "movie", "--weights", "sim=1,dep=0", "--undirected",
             "--hub-penalty", "0.5", "--json")
    )  # fmt: skip
    assert found["weights"] == {"sim": 1.0}
    assert found["directed"] is False
    assert found["paths"][0]["probability"] is None


def test_the_same_question_can_be_asked_in_every_layer(graph: str) -> None:
    rows = one_object(call("path", graph, "--from", "film", "--to", "bad", "--every-layer", "--json"))["layers"]
    assert [(row["layer"], row["width"]) for row in rows] == [(0, 4), (1, 6)]
    result = call("path", graph, "--from", "film", "--to", "bad", "--every-layer", "--layer", "1", "--json")
    assert result.exit_code == 2


def test_paths_can_cross_layers(graph: str) -> None:
    found = one_object(call("path", graph, "--from", "film", "--to", "bad", "--across-layers", "--json"))
    assert len(found["paths"][0]["layers"]) == len(found["paths"][0]["words"])


def test_no_path_is_an_answer_with_its_reason(graph: str) -> None:
    result = call("path", graph, "--from", "good", "--to", "the", "--weights", "dep=1", "--json")
    assert result.exit_code == 0
    found = one_object(result)
    assert found["paths"] == []
    assert found["reason"]
    assert found["reason"] in call("path", graph, "--from", "good", "--to", "the", "--weights", "dep=1").stdout


def test_an_unknown_word_fails_with_spellings_near_to_it(graph: str) -> None:
    result = call("path", graph, "--from", "flim", "--to", "good", "--json")
    assert result.exit_code == 1
    assert "film" in one_object(result)["message"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--layer", "9"], ["--weights", "dep"], ["--weights", "dep=x"], ["--weights", "dep=-1"],
        ["--weights", "gnn=1"], ["--to", "film"],
    ],
)  # fmt: skip
def test_a_wrong_question_is_a_usage_error(graph: str, arguments: list[str]) -> None:
    result = call("path", graph, "--from", "film", "--to", "good", "--json", *arguments)
    assert result.exit_code == 2
    assert one_object(result)["error"] == "ConfigError"
    assert "plan" not in one_object(result)["message"]


def test_words_that_nothing_joins_are_told_with_those_near_to_the_target(tmp_path: Path) -> None:
    (tmp_path / "two.txt").write_text("cats purr\n\ndogs bark\n")
    call("build", "--corpus", "two.txt", "--language", "und", "--edges", "cooc", "--set", "settings.cooc.min_count=1",
         "--out", "two.graph")  # fmt: skip
    result = call("path", "two.graph", "--from", "cats", "--to", "dogs")
    assert result.exit_code == 0
    assert "no edge joins (2 and 2 words)" in result.stdout
    assert "Words near to it that can be reached: purr." in result.stdout


def test_a_corpus_of_one_word_is_a_graph_of_one_word(tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("hello hello\n")
    result = call("build", "--corpus", "one.txt", "--language", "und", "--edges", "cooc", "--out", "one.graph")
    assert result.exit_code == 0
    assert "words       1 in 1 sentence\n" in result.stdout
    assert "components  0; 1 word alone" in result.stdout
    assert "one word only" in result.stderr


def test_paths_for_people_are_lines_of_text(graph: str) -> None:
    result = call("path", graph, "--from", "film", "--to", "good")
    first, second = result.stdout.splitlines()
    assert first.startswith("1  film → good · cost ")
    assert "dep" in second
    assert "amod 1×" in second


def test_hostile_words_do_not_reach_the_terminal(tmp_path: Path) -> None:
    graph = small_graph()
    graph.words[1] = "[red]\x1b[31mfilm"
    save_graph(graph, tmp_path / "hostile.graph")
    out = call("path", "hostile.graph", "--from", graph.words[1], "--to", "good").stdout
    assert "\x1b" not in out
    assert "[red]\\x1b[31mfilm → good" in out


def test_stats_are_one_object(graph: str) -> None:
    found = one_object(call("stats", graph, "--json"))
    assert (found["words"], found["layer"]) == (8, 1)
    assert one_object(call("stats", graph, "--layer", "0", "--json"))["layer"] == 0
    assert call("stats", graph, "--layer", "7", "--json").exit_code == 2
    assert "words       8 in 3 sentences" in call("stats", graph).stdout


@pytest.mark.parametrize("command", [["stats"], ["path", "--from", "a", "--to", "b"], ["link"], ["export"]])
def test_a_file_that_is_no_graph_fails_by_name(tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "none.graph").write_text("something else")
    name, *rest = command
    arguments = [name, "none.graph", *(["out.json"] if name == "export" else []), *rest]
    result = call(*arguments, "--json")
    assert result.exit_code == 1
    assert "none.graph" in one_object(result)["message"]


def test_exports_are_read_by_others(graph: str) -> None:
    for format in ("graphml", "gexf", "json", "csv", "html"):
        found = one_object(call("export", graph, f"out.{format}", "--format", format, "--json"))
        assert (found["file"], found["format"]) == (f"out.{format}", format)
    assert len(nx.read_graphml("out.graphml", force_multigraph=True)) == 8
    assert len(nx.read_gexf("out.gexf")) == 8
    assert len(nx.node_link_graph(json.loads(Path("out.json").read_text()), edges="edges")) == 8
    rows = list(csv.DictReader(Path("out.csv").read_text(encoding="utf-8").splitlines()))
    assert {row["from"] for row in rows} <= {row["to"] for row in rows} | {row["from"] for row in rows}
    assert len(rows) > 5
    page = Path("out.html").read_text(encoding="utf-8")
    assert "film" in page
    assert "http" not in page


def test_without_a_file_a_graph_goes_to_standard_output(graph: str) -> None:
    for format in ("graphml", "csv", "json", "html"):
        call("export", graph, f"out.{format}", "--format", format)
        printed = call("export", graph, "--format", format)
        assert printed.exit_code == 0
        assert printed.stdout_bytes == Path(f"out.{format}").read_bytes()
    for rest in ([], ["--format", "json", "--json"]):
        refused = call("export", graph, *rest)
        assert refused.exit_code == 2


def test_the_format_follows_from_the_name(graph: str) -> None:
    assert one_object(call("export", graph, "out.gexf", "--layer", "all", "--json"))["format"] == "gexf"
    assert one_object(call("export", graph, "out.zip", "--json"))["format"] == "csv"
    with zipfile.ZipFile("out.zip") as archive:
        assert len(list(csv.reader(io.StringIO(archive.read("nodes.csv").decode())))) == 9
    result = call("export", graph, "out.dot", "--json")
    assert result.exit_code == 2
    assert "graphml, gexf, json, csv, html" in one_object(result)["message"]


def test_a_page_can_show_a_path_or_a_word(graph: str) -> None:
    assert call("export", graph, "path.html", "--from", "movie", "--to", "good", "--dark").exit_code == 0
    assert 'data-mode="dark"' in Path("path.html").read_text(encoding="utf-8")
    assert call("export", graph, "word.html", "--word", "film").exit_code == 0
    assert call("export", graph, "x.html", "--from", "film", "--json").exit_code == 2
    assert call("export", graph, "x.html", "--word", "flim", "--json").exit_code == 1


def test_a_probe_is_trained_by_the_config_that_the_options_make(
    corpus: str, encoder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import core.graph.probe.run

    asked: dict[str, Any] = {}
    scores = {"uuas": 0.5, "uuas_low": 0.4, "uuas_high": 0.6, "dspr": None}

    def fake(config: Any, **options: Any) -> dict[str, Any]:
        asked.update(config=config, **options)
        options["phase"]("training")(1, 2)
        entry = {"layer": 1, **scores}
        return {"layers": [entry], "random": [entry], "chain": scores, "notices": ["a notice"]}

    monkeypatch.setattr(core.graph.probe.run, "probe_corpus", fake)
    arguments = ["--corpus", corpus, "--model", encoder, "--layers", "1", "--rank", "8", "--out", "probe.npz"]
    assert one_object(call("probe", *arguments, "--json"))["layers"][0]["uuas"] == 0.5
    assert (asked["config"].rank, asked["config"].layers, asked["out"]) == (8, [1], Path("probe.npz"))
    result = call("probe", *arguments, "--no-random")
    assert asked["config"].random_encoder is False
    assert "0.400 – 0.600" in result.stdout


def test_links_are_predicted_by_the_config_that_the_options_make(graph: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import core.graph.link.run
    from core.graph.types import EdgeSet

    asked: dict[str, Any] = {}
    values = {"auc": 0.9, "mrr": 0.5, "hits": 0.7}
    result = {
        "kinds": {"dep": {"methods": {"network": values}}}, "titles": {"network": "the graph network"},
        "verdict": "It beats none.", "notices": [],
    }  # fmt: skip

    def fake(config: Any, graph: Any, **options: Any) -> Any:
        asked["config"] = config
        return core.graph.link.run.Linked(result, EdgeSet.of("gnn", [0], [1], [0.75], layer=1))

    monkeypatch.setattr(core.graph.link.run, "link_graph", fake)
    found = one_object(call("link", graph, "--network", "gat", "--epochs", "3", "--out", "new.graph", "--json"))
    assert (asked["config"].network, asked["config"].epochs) == ("gat", 3)
    assert (found["gnn_edges"], found["verdict"], found["file"]) == (1, "It beats none.", "new.graph")
    assert load_graph("new.graph").types == ["dep", "cooc", "sim", "gnn"]
    assert "0.900" in call("link", graph).stdout


def test_asking_a_graph_imports_neither_torch_nor_streamlit(graph: str) -> None:
    code = (
        "import sys\nfrom typer.testing import CliRunner\nfrom core.cli.app import app\n"
        f"for arguments in (['path', {graph!r}, '--from', 'film', '--to', 'bad'], ['stats', {graph!r}],\n"
        f"                  ['export', {graph!r}, 'out.json'], ['export', {graph!r}, 'out.html']):\n"
        "    assert CliRunner().invoke(app, ['graph', *arguments]).exit_code == 0, arguments\n"
        "print([name for name in ('torch', 'transformers', 'spacy', 'streamlit') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.slow
def test_in_a_process_of_its_own_nothing_but_the_object_is_on_standard_output(corpus: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from core.cli import main; main()", "graph", "build", "--corpus", corpus, "--language",
         "en", "--out", "real.graph", "--layers", "0,6", "--json"],
        capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    found = json.loads(done.stdout)
    assert [(one["type"], one["layer"]) for one in found["edges"]] == [
        ("dep", None), ("cooc", None), ("sim", 0), ("sim", 6),
    ]  # fmt: skip
    assert any("silver" in notice for notice in found["notices"])
