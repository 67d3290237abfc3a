"""Building a graph from a config with a tiny encoder, and the run of kind ``graph``."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.config import GraphConfig
from core.errors import ConfigError, DataError, ModelError
from core.graph.build import build_graph
from core.graph.file import load_graph
from core.graph.run import NAME, run
from core.graph.types import WordGraph
from core.training.context import MemoryContext, Outcome, Request
from tests.tiny import tiny_encoder

TREES = """\
1\tthe\tthe\tDET\t_\t_\t2\tdet\t_\t_
2\tfilm\tfilm\tNOUN\t_\t_\t4\tnsubj\t_\t_
3\tis\tbe\tAUX\t_\t_\t4\tcop\t_\t_
4\tgood\tgood\tADJ\t_\t_\t0\troot\t_\t_

1\tthe\tthe\tDET\t_\t_\t2\tdet\t_\t_
2\tmovie\tmovie\tNOUN\t_\t_\t4\tnsubj\t_\t_
3\tis\tbe\tAUX\t_\t_\t4\tcop\t_\t_
4\tbad\tbad\tADJ\t_\t_\t0\troot\t_\t_

1\twe\twe\tPRON\t_\t_\t2\tnsubj\t_\t_
2\tlove\tlove\tVERB\t_\t_\t0\troot\t_\t_
3\tthe\tthe\tDET\t_\t_\t4\tdet\t_\t_
4\tfilm\tfilm\tNOUN\t_\t_\t2\tobj\t_\t_

"""


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "trees.conllu"
    path.write_text(TREES)
    return path


@pytest.fixture
def config(corpus: Path, encoder: Path) -> dict[str, Any]:
    return {
        "corpus": {"source": str(corpus), "language": "und"}, "model": {"source": str(encoder), "max_length": 32},
        "settings": {"cooc": {"min_count": 1}}, "runtime": {"device": "cpu", "threads": 1},
    }  # fmt: skip


def build(config: dict[str, Any], tmp_path: Path, **changes: Any) -> WordGraph:
    return build_graph(GraphConfig.model_validate({**config, **changes}), cache=tmp_path / "home" / "cache")


def test_a_graph_has_every_edge_type_at_every_layer(config: dict[str, Any], tmp_path: Path) -> None:
    graph = build(config, tmp_path, edges=["dep", "sim", "cooc", "attn"])
    assert set(graph.words) == {"the", "film", "is", "good", "movie", "bad", "we", "love"}
    assert graph.layers == [0, 1, 2]
    assert graph.widths == [32, 32, 32]
    assert [(one.type, one.layer) for one in graph.edges] == [
        ("dep", None), ("cooc", None), ("sim", 0), ("sim", 1), ("sim", 2), ("attn", 1), ("attn", 2),
    ]  # fmt: skip
    for vectors in graph.vectors.values():
        assert vectors.dtype == np.float16
        np.testing.assert_allclose(np.linalg.norm(vectors.astype(np.float32), axis=1), 1, atol=2e-3)
    index = graph.index()
    dep = graph.edges[0]
    assert dep.relations_of(dep.find(index["film"], index["the"])) == {"det": 2}
    assert graph.sentences[0] == "the film is good"
    assert [graph.words[node] for node in graph.sentence_nodes[1]] == ["the", "movie", "is", "bad"]


def test_a_graph_says_what_it_was_made_from(config: dict[str, Any], tmp_path: Path) -> None:
    about = build(config, tmp_path, name="mine").about
    assert about["config"]["name"] == "mine"
    assert (about["trees"], about["unit"], about["sentences"]) == ("gold", "word", 3)
    assert about["encoder"]["layers"] == 2
    assert about["versions"]["torch"]
    assert json.loads(json.dumps(about)) == about


def test_stop_words_are_named_where_the_language_has_a_list(config: dict[str, Any], tmp_path: Path) -> None:
    config["corpus"]["language"] = "en"
    graph = build(config, tmp_path, edges=["cooc"])
    assert {graph.words[node] for node in graph.about["stop_nodes"]} == {"the", "is", "we"}


def test_edges_from_sentences_alone_load_no_encoder(config: dict[str, Any], tmp_path: Path) -> None:
    graph = build(config, tmp_path, edges=["dep", "cooc"], model={"source": "no-such-model"})
    assert (graph.layers, graph.widths, graph.vectors) == ([], [], {})
    assert graph.about["encoder"] is None


def test_edges_from_sentences_alone_import_no_torch(config: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({**config, "edges": ["dep", "cooc"]}))
    code = (
        "import json, pathlib, sys; from core.config import GraphConfig; from core.graph.build import build_graph\n"
        f"folder = pathlib.Path({str(tmp_path)!r})\n"
        "config = GraphConfig.model_validate(json.loads((folder / 'config.json').read_text()))\n"
        "assert len(build_graph(config, cache=folder)) == 8\n"
        "print([name for name in ('torch', 'transformers') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == "[]"


def test_only_the_layers_asked_for_are_kept(config: dict[str, Any], tmp_path: Path) -> None:
    graph = build(config, tmp_path, layers=[2, 0], edges=["sim"])
    assert graph.layers == [0, 2]
    assert [one.layer for one in graph.edges] == [0, 2]


def test_a_layer_that_the_encoder_does_not_have_is_refused_by_field(config: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has no layer 7") as caught:
        build(config, tmp_path, layers=[1, 7])
    assert caught.value.where == "layers"


def test_attention_of_the_embeddings_alone_is_refused(config: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no attention"):
        build(config, tmp_path, layers=[0], edges=["attn"])


def test_subwords_can_be_nodes_without_an_encoder_but_its_tokenizer(config: dict[str, Any], tmp_path: Path) -> None:
    config["corpus"]["unit"] = "subword"
    assert "film" in build(config, tmp_path, edges=["cooc"]).words


def test_the_same_config_gives_the_same_graph(config: dict[str, Any], tmp_path: Path) -> None:
    one, other = build(config, tmp_path), build(config, tmp_path / "elsewhere")
    assert (one.words, one.about) == (other.words, other.about)
    for left, right in zip(one.edges, other.edges, strict=True):
        np.testing.assert_array_equal(left.weights, right.weights)


def test_vocabulary_mode_takes_the_encoders_pieces(config: dict[str, Any], tmp_path: Path) -> None:
    graph = build(config, tmp_path, vectors={"mode": "vocabulary"}, edges=["sim"], corpus={"source": "no-such-file"})
    assert {"film", "##ing"} <= set(graph.words)
    assert "[CLS]" not in graph.words
    assert (graph.layers, graph.widths, graph.sentences) == ([0], [32], [])
    assert [(one.type, one.layer) for one in graph.edges] == [("sim", 0)]
    assert any("without counts" in notice for notice in graph.about["notices"])


@pytest.mark.parametrize(
    ("changes", "field"), [({"edges": ["sim", "cooc"]}, "edges"), ({"edges": ["sim"], "layers": [1]}, "layers")]
)
def test_vocabulary_mode_refuses_what_needs_sentences(
    config: dict[str, Any], tmp_path: Path, changes: dict[str, Any], field: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        build(config, tmp_path, vectors={"mode": "vocabulary"}, **changes)
    assert caught.value.where == field
    if field == "edges":
        assert "has no cooc edges: they come from sentences" in caught.value.what


def test_a_probe_that_is_not_there_is_refused(config: dict[str, Any], tmp_path: Path) -> None:
    for named in ("no-run", "../outside", "/no/such/file", "nul\0"):
        with pytest.raises(ConfigError, match="no probe") as caught:
            build(config, tmp_path, probe_run=named, settings={"dep": {"source": "probe"}}, edges=["dep"])
        assert caught.value.where == "probe_run"


def test_dep_edges_can_be_those_of_a_probe_of_a_run(config: dict[str, Any], tmp_path: Path, encoder: Path) -> None:
    from core.config import ModelConfig
    from core.graph.encoder import load_encoder
    from core.graph.probe.file import NAME as PROBE
    from core.graph.probe.file import save_probe

    loaded = load_encoder(ModelConfig(source=str(encoder), max_length=32), device="cpu", threads=1)
    place = tmp_path / "home" / "runs" / "some-run"
    place.mkdir(parents=True)
    projection = np.random.default_rng(0).normal(size=(4, 32)).astype(np.float32)
    save_probe(place / PROBE, {1: projection}, {"encoder": loaded.describe(), "best": {"layer": 1}})
    graph = build(
        config, tmp_path, probe_run="some-run", settings={"dep": {"source": "probe"}}, edges=["dep", "cooc"]
    )  # fmt: skip
    dep = graph.edges[0]
    assert dep.relations == ["probe"]
    assert {(a, b) for a, b in zip(dep.sources.tolist(), dep.targets.tolist(), strict=True)} == {
        (b, a) for a, b in zip(dep.sources.tolist(), dep.targets.tolist(), strict=True)
    }
    assert graph.layers == []
    assert any("structural probe (layer 1)" in notice for notice in graph.about["notices"])


def test_a_run_leaves_graph_and_results_and_tells_progress(config: dict[str, Any], tmp_path: Path) -> None:
    context = MemoryContext(tmp_path, tmp_path / "cache")
    assert run(GraphConfig.model_validate(config), context) is Outcome.FINISHED
    graph = load_graph(tmp_path / NAME)
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["metrics"]["graph/words"] == len(graph) == 8
    for name in ("dep", "sim", "cooc"):
        assert results["metrics"][f"graph/edges_{name}"] == sum(len(one) for one in graph.edges if one.type == name)
    assert results["details"]["graph"]["words"] == 8
    assert results["environment"]["versions"]["torch"]
    assert context.state == {"phase": "writing", "step": 1, "total_steps": 1}
    before = (tmp_path / NAME).stat().st_mtime_ns
    assert run(GraphConfig.model_validate(config), context) is Outcome.FINISHED
    assert (tmp_path / NAME).stat().st_mtime_ns == before


@pytest.mark.parametrize(("asked", "outcome"), [(Request.CANCEL, Outcome.CANCELLED), (Request.PAUSE, Outcome.PAUSED)])
def test_a_run_that_is_stopped_leaves_no_graph_and_can_go_on(
    config: dict[str, Any], tmp_path: Path, asked: Request, outcome: Outcome
) -> None:
    context = MemoryContext(tmp_path, tmp_path / "cache", at={0: asked})
    assert run(GraphConfig.model_validate(config), context) is outcome
    assert not (tmp_path / NAME).exists()
    assert not (tmp_path / "results.json").exists()
    context.at.clear()
    assert run(GraphConfig.model_validate(config), context) is Outcome.FINISHED


def test_a_run_that_goes_on_takes_the_vectors_from_the_cache(
    config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = MemoryContext(tmp_path, tmp_path / "cache")
    run(GraphConfig.model_validate(config), context)
    (tmp_path / NAME).unlink()

    def never(*_: object, **__: object) -> None:
        raise AssertionError("computed again")

    monkeypatch.setattr("core.graph.encoder.Encoder.states", never)
    assert run(GraphConfig.model_validate(config), context) is Outcome.FINISHED


def test_problems_of_corpus_and_model_come_as_they_are(config: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        build(config, tmp_path, model={"source": str(tmp_path / "nowhere")})
    config["corpus"]["source"] = str(tmp_path / "nowhere.txt")
    with pytest.raises(DataError):
        build(config, tmp_path, edges=["cooc"])
