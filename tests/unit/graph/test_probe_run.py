"""Probing a corpus, the run of kind probe, and trees from a trained probe."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from core.config.graph import ProbeConfig
from core.errors import ConfigError, DataError, ModelError
from core.graph.corpus import read_corpus
from core.graph.encoder import load_encoder
from core.graph.probe.file import ProbeFile, load_probe, save_probe
from core.graph.probe.heads import probe_trees, tree_of
from core.graph.probe.run import probe_corpus, run
from core.graph.probe.states import token_states
from core.graph.probe.trees import is_tree
from core.training.context import MemoryContext, Outcome, Request
from tests.tiny import tiny_encoder

NOUNS, VERBS = ["film", "movie", "cat", "dog", "man", "woman", "actor"], ["ran", "read", "love", "hate"]


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("model") / "tiny", max_positions=32)


@pytest.fixture(scope="module")
def treebank(tmp_path_factory) -> Path:
    """Sentences "the NOUN VERB a ADJ NOUN ." with their trees; one of them comes twice, one is one word."""
    rng = np.random.default_rng(0)
    blocks = []
    for _ in range(120):
        one, other = rng.choice(NOUNS, 2)
        words = ["the", one, rng.choice(VERBS), *(["a", "good"] if rng.random() < 0.5 else ["the"]), other, "."]
        verb, last = 3, len(words) - 1
        heads = [2, verb, 0, *[last] * (last - 4), verb, verb]
        rows = [
            f"{n}\t{word}\t{word}\t{'PUNCT' if word == '.' else 'X'}\t_\t_\t{head}\tdep\t_\t_"
            for n, (word, head) in enumerate(zip(words, heads, strict=True), 1)
        ]
        blocks.append("\n".join(rows))
    blocks += [blocks[0], "1\tfun\tfun\tNOUN\t_\t_\t0\troot\t_\t_\n2\t!\t!\tPUNCT\t_\t_\t1\tpunct\t_\t_"]
    path = tmp_path_factory.mktemp("treebank") / "small.conllu"
    path.write_text("\n\n".join(blocks) + "\n\n", encoding="utf-8")
    return path


def config(model: Path, treebank: Path, **changes) -> ProbeConfig:
    return ProbeConfig.model_validate(
        {
            "corpus": {"source": str(treebank), "language": "en"},
            "model": {"source": str(model), "max_length": 32},
            "rank": 8,
            "epochs": 3,
            "lr": 0.01,
            "runtime": {"device": "cpu", "threads": 1},
            **changes,
        }
    )


@pytest.fixture(scope="module")
def found(model, treebank, tmp_path_factory):
    seen: dict[str, list[int]] = {}
    place = tmp_path_factory.mktemp("out") / "probe.npz"
    result = probe_corpus(
        config(model, treebank, epochs=20, lr=0.02), cache=place.parent / "cache", out=place,
        log=lambda step, values: [seen.setdefault(name, []).append(step) for name in values],
    )  # fmt: skip
    return result, seen, place


def test_the_result_holds_every_layer_and_the_baselines(found):
    result, _, _ = found
    assert [entry["layer"] for entry in result["layers"]] == [0, 1, 2]
    assert [entry["layer"] for entry in result["random"]] == [0, 1, 2]
    assert set(result["chain"]) >= {"uuas", "dspr", "uuas_low", "uuas_high"}
    assert result["trees"] == "gold"
    assert result["best"]["uuas"] == max(entry["uuas"] for entry in result["layers"])
    json.dumps(result)


def test_sentences_are_counted_and_what_was_left_out_is_said(found):
    result, _, _ = found
    assert result["sentences"]["held_out"] == round(0.2 * sum(result["sentences"].values()))
    said = " ".join(result["notices"])
    assert "of less than two words" in said
    assert "repeated" in said


def test_every_layer_has_a_series_of_losses(found):
    _, seen, _ = found
    names = [f"probe/{kind}_layer_{layer}" for kind in ("loss", "random_loss") for layer in range(3)]
    assert sorted(seen) == sorted(names)
    assert seen["probe/loss_layer_2"][:3] == [1, 2, 3]


def test_layer_0_stands_beside_the_layers_that_were_asked_for(model, treebank, tmp_path):
    result = probe_corpus(config(model, treebank, layers=[2], random_encoder=False, epochs=1, rank=2), cache=tmp_path)
    assert [entry["layer"] for entry in result["layers"]] == [0, 2]
    assert result["random"] == []


def test_a_probe_finds_trees_in_states_that_tell_them(found):
    """The grammar is so simple that the states of a random tiny encoder tell place and word."""
    result, _, _ = found
    assert result["best"]["uuas"] > result["chain"]["uuas"]


def test_the_saved_probe_gives_the_trees_that_were_scored(found, model, treebank):
    _, _, place = found
    probe = load_probe(place)
    settings = config(model, treebank)
    sentences = read_corpus(settings.corpus).sentences
    encoder = load_encoder(settings.model, device="cpu", threads=1)
    trees = probe_trees(probe, sentences, encoder)
    assert all(is_tree(tree) and len(tree) == len(one.tokens) for tree, one in zip(trees, sentences, strict=True))
    gold = [{tuple(sorted(edge)) for edge in enumerate(one.heads.tolist()) if edge[1] >= 0} for one in sentences]
    mine = [{tuple(sorted(edge)) for edge in enumerate(tree.tolist()) if edge[1] >= 0} for tree in trees]
    right = sum(len(one & other) for one, other in zip(gold, mine, strict=True)) / sum(map(len, gold))
    assert right > probe.about["chain"]["uuas"]


def test_a_sentence_that_is_not_read_to_its_end_gets_no_tree(found, model, treebank):
    _, _, place = found
    settings = config(model, treebank)
    sentences = read_corpus(settings.corpus).sentences[:2]
    sentences[0].tokens = ["film"] * 40
    encoder = load_encoder(settings.model, device="cpu", threads=1)
    trees = probe_trees(load_probe(place), sentences, encoder)
    assert trees[0] is None
    assert trees[1] is not None


def test_a_probe_refuses_another_encoder_and_a_layer_that_it_does_not_know(found, model):
    _, _, place = found
    probe, settings = load_probe(place), ProbeConfig.model_validate({"model": {"source": str(model), "max_length": 32}})
    other = load_encoder(settings.model, random=True, device="cpu", threads=1)
    with pytest.raises(ModelError, match="another encoder"):
        probe_trees(probe, [], other)
    encoder = load_encoder(settings.model, device="cpu", threads=1)
    with pytest.raises(ConfigError, match="layer 7"):
        probe_trees(probe, [], encoder, layer=7)


def test_punctuation_hangs_on_the_nearest_word():
    places = np.array([0.0, 1.0, 2.0, 2.4])
    heads = tree_of(np.abs(places[:, None] - places[None, :]), np.array([True, True, True, False]))
    assert heads.tolist() == [1, -1, 1, 2]


def test_a_run_leaves_results_and_the_probe_and_is_not_done_twice(model, treebank, tmp_path):
    context = MemoryContext(tmp_path / "run", tmp_path / "cache")
    context.folder.mkdir()
    settings = config(model, treebank, random_encoder=False, epochs=2)
    assert run(settings, context) is Outcome.FINISHED
    results = json.loads((context.folder / "results.json").read_text())
    assert results["metrics"]["probe/uuas_best"] == results["details"]["probe"]["best"]["uuas"]
    assert results["metrics"]["probe/layer_best"] in (0, 1, 2)
    assert load_probe(context.folder / "probe.npz").best == results["metrics"]["probe/layer_best"]
    assert len(context.series("probe/loss_layer_1")) == 2
    assert any(event["kind"] == "best" for event in context.events)
    points = dict(context.points)
    assert run(settings, context) is Outcome.FINISHED
    assert context.points == points


@pytest.mark.parametrize(("asked", "outcome"), [(Request.CANCEL, Outcome.CANCELLED), (Request.PAUSE, Outcome.PAUSED)])
def test_a_run_that_is_asked_to_stop_stops_between_steps(model, treebank, tmp_path, asked, outcome):
    context = MemoryContext(tmp_path / "run", tmp_path / "cache", at={2: asked})
    context.folder.mkdir()
    assert run(config(model, treebank, epochs=50), context) is outcome
    assert context.step == 2
    assert not (context.folder / "results.json").exists()


def test_a_corpus_without_trees_is_refused(model, tmp_path):
    text = tmp_path / "plain.txt"
    text.write_text("das ist gut\n" * 40, encoding="utf-8")
    settings = ProbeConfig.model_validate(
        {"corpus": {"source": str(text), "language": "de"}, "model": {"source": str(model), "max_length": 32}}
    )
    with pytest.raises(DataError, match="has none"):
        probe_corpus(settings, cache=tmp_path)


def test_too_few_sentences_are_refused(model, treebank, tmp_path):
    short = tmp_path / "short.conllu"
    short.write_text("\n\n".join(treebank.read_text(encoding="utf-8").split("\n\n")[:10]) + "\n\n", encoding="utf-8")
    with pytest.raises(DataError, match="can be used"):
        probe_corpus(config(model, short), cache=tmp_path)


def test_states_in_a_file_are_those_in_memory_and_the_file_goes(model, tmp_path, monkeypatch):
    settings = ProbeConfig.model_validate({"model": {"source": str(model), "max_length": 32}})
    encoder = load_encoder(settings.model, device="cpu", threads=1)
    sentences = [["the", "film"], ["good"], ["film"] * 60, ["a", "cat", "ran"]]
    with token_states(encoder, sentences, [0, 2], folder=tmp_path) as inside:
        expected = {layer: np.array(states) for layer, states in inside.layers.items()}
    assert inside.sentences.tolist() == [0, 1, 3]
    assert inside.cut == 1
    monkeypatch.setattr("core.graph.probe.states.MEMORY_BYTES", 0)
    with token_states(encoder, sentences, [0, 2], folder=tmp_path) as filed:
        assert all(np.array_equal(filed.layers[layer], expected[layer]) for layer in (0, 2))
        assert len(list(tmp_path.iterdir())) == 1
        assert filed.of(2, 2).shape == (3, 32)
    assert list(tmp_path.iterdir()) == []


def test_states_that_would_take_too_much_are_thinned(model, tmp_path, monkeypatch):
    settings = ProbeConfig.model_validate({"model": {"source": str(model), "max_length": 32}})
    encoder = load_encoder(settings.model, device="cpu", threads=1)
    monkeypatch.setattr("core.graph.probe.states.MOST_BYTES", 2 * 32 * 25)
    with token_states(encoder, [["the", "film"]] * 20, [1], folder=tmp_path) as states:
        assert (len(states.sentences), states.thinned) == (12, 8)


def test_probes_survive_a_file_and_nothing_else_is_taken_for_one(tmp_path):
    about = {"best": {"layer": 3}, "encoder": {"source": "x"}}
    save_probe(tmp_path / "probe.npz", {3: np.eye(2), 0: np.ones((2, 3))}, about)
    found = load_probe(tmp_path / "probe.npz")
    assert isinstance(found, ProbeFile)
    assert list(found.projections) == [0, 3]
    assert found.projections[3].tolist() == np.eye(2).tolist()
    assert found.about["encoder"] == {"source": "x"}
    (tmp_path / "text.npz").write_text("no")
    np.savez(tmp_path / "other.npz", x=np.ones(2))
    np.savez(tmp_path / "objects.npz", about=np.array([{}], dtype=object))
    for name in ("text.npz", "other.npz", "objects.npz"):
        with pytest.raises(DataError, match="no probes"):
            load_probe(tmp_path / name)
    with pytest.raises(DataError, match="no such probe"):
        load_probe(tmp_path / "none.npz")
