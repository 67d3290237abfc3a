"""Link prediction on a graph, the run of kind link, and gnn edges."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.config.graph import GraphConfig, LinkConfig
from core.errors import ConfigError, DataError
from core.graph.build import build_graph
from core.graph.encoder import load_encoder
from core.graph.file import load_graph, save_graph
from core.graph.link.calibration import Calibration
from core.graph.link.features import corpus_of, material_of
from core.graph.link.run import gnn_edges, graph_file, link_graph, run
from core.graph.link.split import TEST, VALIDATION, split_sentences
from core.graph.link.table import compare_methods, verdict
from core.graph.types import EdgeSet, WordGraph
from core.training.context import MemoryContext, Outcome, Request
from tests.tiny import tiny_encoder
from tests.unit.graph.graphs import small_graph

NOUNS = [f"{one}{other}" for one in "abcde" for other in "aeiou"]
VERBS = ["love", "hate", "read", "ran", "said", "went", "lives", "works"]


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def built(home) -> WordGraph:
    """A graph of 300 sentences "the NOUN VERB a NOUN ." with gold trees."""
    rng = np.random.default_rng(0)
    blocks = []
    for _ in range(300):
        one, other = rng.choice(NOUNS, 2)
        rows = zip(["the", one, rng.choice(VERBS), "a", other, "."], [2, 3, 0, 5, 3, 3], strict=True)
        relations = ["det", "nsubj", "root", "det", "obj", "punct"]
        blocks.append(
            "\n".join(
                f"{n + 1}\t{word}\t{word}\tX\t_\t_\t{head}\t{relations[n]}\t_\t_" for n, (word, head) in enumerate(rows)
            )
        )
    source = home / "small.conllu"
    source.write_text("\n\n".join(blocks) + "\n\n", encoding="utf-8")
    model = tiny_encoder(home / "tiny", max_positions=32)
    config = GraphConfig.model_validate(
        {
            "corpus": {"source": str(source), "language": "en"},
            "model": {"source": str(model), "max_length": 32},
            "layers": [0, 1],
            "settings": {"sim": {"k": 4}},
            "runtime": {"device": "cpu", "threads": 1},
        }
    )
    return build_graph(config, cache=home / "cache")


def settings(**changes) -> LinkConfig:
    runtime = {"device": "cpu", "threads": 1}
    return LinkConfig.model_validate({"hidden": 8, "epochs": 3, "runtime": runtime, "layer": 1, **changes})


@pytest.fixture(scope="module")
def linked(built, home):
    return link_graph(settings(min_probability=0.0), built, cache=home / "cache")


@pytest.fixture(scope="module")
def material(built, home):
    config, corpus = corpus_of(built)
    encoder = load_encoder(config.model, device="cpu", threads=1)
    found = material_of(built, config, corpus, encoder, 1, held_out=0.2, seed=0)
    part = split_sentences([one.text for one in corpus.sentences], 0.2, 0)
    return found, corpus, part


def pairs_of_trees(sentences) -> set[tuple[int, int]]:
    found = set()
    for one in sentences:
        for token, head in enumerate(one.heads.tolist()):
            if head >= 0 and one.nodes[token] >= 0 and one.nodes[head] >= 0 and one.relations[token] != "punct":
                found.add((int(one.nodes[head]), int(one.nodes[token])))
    return found


def test_test_links_occur_in_held_out_sentences_and_in_no_others(material):
    found, corpus, part = material
    held = pairs_of_trees(one for one, p in zip(corpus.sentences, part, strict=True) if p == TEST)
    others = pairs_of_trees(one for one, p in zip(corpus.sentences, part, strict=True) if p != TEST)
    training = pairs_of_trees(one for one, p in zip(corpus.sentences, part, strict=True) if p > VALIDATION)
    loops = {(node, node) for node in range(len(corpus.words))}
    assert len(held - training) > len(held - others) > 0  # validation shows some of them: they would not do
    assert set(map(tuple, found.test.links["dep"].tolist())) == held - others - loops


def test_no_edge_that_the_network_hears_along_is_one_that_it_shall_predict(material):
    found, _, _ = material
    for task in (*found.training, found.validation, found.test):
        heard = set(map(tuple, task.edges["dep"].tolist()))
        assert heard.isdisjoint(map(tuple, task.links["dep"].tolist()))
        heard = set(map(tuple, task.edges["cooc"].tolist()))
        assert heard.isdisjoint(map(tuple, task.links["cooc"].tolist()))


def test_edges_and_vectors_do_not_change_with_the_held_out_sentences(material, built, home):
    """Every second held-out sentence loses its words: nothing that the network sees may notice."""
    found, corpus, part = material
    config, _ = corpus_of(built)
    hidden = replace(corpus, sentences=list(corpus.sentences))
    for index in np.flatnonzero(part == TEST).tolist()[::2]:
        one = corpus.sentences[index]
        hidden.sentences[index] = replace(one, nodes=np.full(len(one.nodes), -1))
    encoder = load_encoder(config.model, device="cpu", threads=1)
    again = material_of(built, config, hidden, encoder, 1, held_out=0.2, seed=0)
    assert np.array_equal(again.vectors, found.vectors)
    for one, other in zip((*again.training, again.validation), (*found.training, found.validation), strict=True):
        assert all(np.array_equal(one.edges[name], other.edges[name]) for name in other.edges)
        assert all(np.array_equal(one.links[kind], other.links[kind]) for kind in other.links)


def test_the_table_holds_the_network_and_every_baseline(linked):
    kinds = linked.result["kinds"]
    assert set(kinds) == {"dep", "cooc"}
    assert set(kinds["dep"]["methods"]) == {
        "network", "cosine", "common_neighbours", "adamic_adar", "adamic_adar_own", "degree",
    }  # fmt: skip
    assert all(0 <= scores["auc"] <= 1 for scores in kinds["dep"]["methods"].values())
    assert linked.result["headline"] == "dep"
    assert linked.result["verdict"] == kinds["dep"]["verdict"]
    json.dumps(linked.result)


def test_the_sentences_are_divided_as_asked(linked):
    assert sum(linked.result["sentences"].values()) == 300
    assert linked.result["sentences"]["held_out"] == pytest.approx(60, abs=10)  # equal sentences stay together


def test_gnn_edges_are_scored_only_where_other_edges_are(linked, built):
    others = {
        (int(u), int(v))
        for one in built.edge_sets(1)
        for u, v in zip(one.sources.tolist(), one.targets.tolist(), strict=True)
    }
    mine = set(zip(linked.edges.sources.tolist(), linked.edges.targets.tolist(), strict=True))
    assert mine == others
    assert linked.edges.layer == 1
    assert ((linked.edges.weights > 0) & (linked.edges.weights <= 1)).all()


def test_gnn_edges_do_not_depend_on_gnn_edges_and_respect_the_least_probability():
    graph = small_graph()
    before = gnn_edges(graph, 0, lambda pairs: pairs[:, 1] - 3.0, Calibration("platt"), 0.5)
    stray = EdgeSet.of("gnn", [3], [6], [0.9], layer=0)
    after = gnn_edges(replace(graph, edges=[*graph.edges, stray]), 0, lambda pairs: pairs[:, 1] - 3.0,
                      Calibration("platt"), 0.5)  # fmt: skip
    assert np.array_equal(before.sources, after.sources)
    assert before.targets.min() == 3
    assert before.weights == pytest.approx(1 / (1 + np.exp(3.0 - before.targets)), rel=1e-5)


def test_a_perfect_and_a_useless_network_get_their_verdicts(material):
    found, _, _ = material
    links = set(map(tuple, found.test.links["dep"].tolist()))
    perfect, _ = compare_methods(
        found.test, "dep", found.vectors, lambda pairs: np.array([float(tuple(p) in links) for p in pairs.tolist()])
    )
    assert perfect["methods"]["network"]["auc"] == 1.0
    assert perfect["beats"]
    useless, _ = compare_methods(found.test, "dep", found.vectors, lambda pairs: np.zeros(len(pairs)))
    assert useless["methods"]["network"]["auc"] == 0.5
    assert not useless["beats"]
    assert "does not beat" in useless["verdict"]


def test_a_difference_that_may_be_chance_is_no_victory():
    words = verdict("dep", 0.71, "adamic_adar", 0.70, (0.01, -0.01, 0.03))
    assert words.startswith("The graph network does not beat Adamic–Adar on dep (AUC 0.710 against 0.700")
    assert verdict("dep", 0.78, "cosine", 0.70, (0.08, 0.05, 0.11)).startswith("The graph network beats cosine on dep")


def test_a_run_leaves_a_graph_with_gnn_edges_and_is_not_done_twice(built, home, tmp_path):
    source = tmp_path / "runs" / "first"
    source.mkdir(parents=True)
    save_graph(built, source / "graph.graph")
    context = MemoryContext(tmp_path / "runs" / "second", home / "cache")
    context.folder.mkdir()
    assert run(settings(graph="first", min_probability=0.1), context) is Outcome.FINISHED
    results = json.loads((context.folder / "results.json").read_text())
    graph = load_graph(context.folder / "graph.graph")
    assert [one.layer for one in graph.edges if one.type == "gnn"] == [1]
    assert results["metrics"]["link/gnn_edges"] == len(next(one for one in graph.edges if one.type == "gnn"))
    assert results["metrics"]["link/auc"] == results["details"]["link"]["kinds"]["dep"]["methods"]["network"]["auc"]
    assert [step for step, _ in context.series("link/loss")] == [1, 2, 3]
    assert len(context.series("gate/auc")) == 3
    assert any(event["message"] == results["details"]["link"]["verdict"] for event in context.events)
    assert run(settings(graph="nothing"), context) is Outcome.FINISHED


def test_a_run_that_is_cancelled_stops_between_epochs_and_leaves_nothing(built, home, tmp_path):
    save_graph(built, tmp_path / "g.graph")
    context = MemoryContext(tmp_path / "run", home / "cache", at={2: Request.CANCEL})
    context.folder.mkdir()
    assert run(settings(graph=str(tmp_path / "g.graph"), epochs=50), context) is Outcome.CANCELLED
    assert context.step == 2
    assert list(context.folder.iterdir()) == []


@pytest.mark.parametrize("name", ["", "none", "../other", "/no/such.graph"])
def test_a_graph_that_is_not_there_is_refused(name, tmp_path):
    with pytest.raises(ConfigError, match="graph"):
        graph_file(name, tmp_path / "runs" / "mine")


def test_a_corpus_that_changed_is_refused(built):
    other = replace(built, sentences=[*built.sentences[:-1], "something else"])
    with pytest.raises(DataError, match="has changed"):
        corpus_of(other)


def test_a_layer_without_vectors_is_refused(built):
    with pytest.raises(ConfigError, match="layer 7"):
        link_graph(settings(layer=7), built)


def test_a_graph_of_similarities_alone_is_refused(built):
    only = replace(built, edges=[one for one in built.edges if one.type == "sim"])
    with pytest.raises(DataError, match="no edges whose links"):
        link_graph(settings(), only)
