from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA

from core.config.graph import VectorConfig
from core.config.plan import ModelConfig
from core.errors import DataError
from core.graph import vectors as module
from core.graph.encoder import Encoder, load_encoder
from core.graph.types import NO_NODE, Corpus, Sentence
from core.graph.vectors import WordVectors, choose_occurrences, normalise, vocabulary_vectors, word_vectors
from tests.tiny import tiny_encoder

TEXTS = ["The cat ran", "a dog and the cat", "the film is fun", "the xyz cat", "cat", "\x01 was fun"]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    folder = tiny_encoder(tmp_path_factory.mktemp("bert"))
    return load_encoder(ModelConfig(source=str(folder), max_length=16), device="cpu", threads=1)


def corpus(texts: list[str] = TEXTS, *, unit: str = "word") -> Corpus:
    split = [text.split(" ") for text in texts]
    counts = Counter(token.lower() for tokens in split for token in tokens if token != "and")
    words = [word for word, _ in counts.most_common()]
    nodes = [np.array([words.index(token.lower()) if token != "and" else NO_NODE for token in one]) for one in split]
    sentences = [Sentence(text, one, node) for text, one, node in zip(texts, split, nodes, strict=True)]
    return Corpus(sentences, words, np.array([counts[word] for word in words]), [], [], unit=unit)


def by_hand(made: Corpus, encoder: Encoder, layer: int) -> np.ndarray:
    """Mean over all occurrences, one sentence at a time through the model itself."""
    sums, seen = np.zeros((len(made.words), 32)), np.zeros(len(made.words))
    for sentence in made.sentences:
        encoded = encoder.tokenizer(sentence.tokens, is_split_into_words=True, return_tensors="pt")
        with torch.no_grad():
            hidden = encoder.model(**encoded, output_hidden_states=True).hidden_states[layer][0].numpy()
        for token, node in enumerate(sentence.nodes):
            places = [place for place, word in enumerate(encoded.word_ids()) if word == token]
            if node != NO_NODE and places:
                sums[node] += hidden[places].mean(axis=0)
                seen[node] += 1
    return sums / np.maximum(seen, 1)[:, None]


def test_a_words_vector_is_the_mean_over_its_contexts_of_the_mean_of_its_sub_words(encoder: Encoder) -> None:
    made = corpus()
    found = word_vectors(made, encoder, "all", VectorConfig())
    assert (found.layers, found.widths) == ([0, 1, 2], [32, 32, 32])
    for layer in found.layers:
        np.testing.assert_allclose(found.raw[layer], by_hand(made, encoder, layer), atol=1e-5)
        assert found.raw[layer].dtype == np.float32
    assert found.seen[made.index()["cat"]] == 4


def test_a_word_without_sub_words_has_no_vector_and_a_notice_says_so(encoder: Encoder) -> None:
    made = corpus()
    found = word_vectors(made, encoder, [1], VectorConfig())
    node = made.index()["\x01"]
    assert found.seen[node] == 0
    assert not found.raw[1][node].any()
    assert any("1 words have no vector" in notice for notice in found.notices)


def test_cut_sentences_unknown_words_and_random_weights_are_noticed(encoder: Encoder) -> None:
    config = ModelConfig(source=encoder.source, max_length=8)
    drawn = load_encoder(config, random=True, device="cpu", threads=1)
    found = word_vectors(corpus(["cat dog cat dog cat dog fun", "\u0416 cat"]), drawn, [0], VectorConfig())
    text = " ".join(found.notices)
    assert "1 of 2 sentences are longer than 8 sub-words" in text
    assert "1 words are unknown" in text
    assert "random" in text


@settings(max_examples=80, deadline=None)
@given(st.lists(st.integers(-1, 5), max_size=120), st.integers(1, 9))
def test_occurrences_are_taken_evenly(nodes: list[int], most: int) -> None:
    given = np.array(nodes, dtype=np.int64)
    chosen = choose_occurrences(given, 6, most)
    assert np.array_equal(chosen, np.unique(chosen))
    assert not (given[chosen] == -1).any()
    for node in range(6):
        places = np.flatnonzero(given == node)
        ranks = np.flatnonzero(np.isin(places, chosen))
        assert len(ranks) == min(most, len(places))
        if len(ranks) > 1:
            gaps = np.diff(ranks)
            assert gaps.max() - gaps.min() <= 1


def test_only_sentences_that_hold_a_chosen_occurrence_are_run(encoder: Encoder) -> None:
    rows: list[int] = []
    handle = encoder.model.embeddings.register_forward_hook(lambda _, __, output: rows.append(len(output)))
    try:
        found = word_vectors(corpus(["cat"] * 30 + ["dog"]), encoder, [2], VectorConfig(contexts=4))
    finally:
        handle.remove()
    assert sum(rows) == 5
    assert found.seen.tolist() == [4, 1]


def test_subword_units_are_read_as_pieces_of_the_vocabulary(encoder: Encoder) -> None:
    found = word_vectors(corpus(["run ##ing cat"], unit="subword"), encoder, [0, 2], VectorConfig())
    ids = encoder.tokenizer.convert_tokens_to_ids(["[CLS]", "run", "##ing", "cat", "[SEP]"])
    with torch.no_grad():
        hidden = encoder.model(input_ids=torch.tensor([ids]), output_hidden_states=True).hidden_states
    for layer in (0, 2):
        np.testing.assert_allclose(found.raw[layer], hidden[layer][0, 1:4].numpy(), atol=1e-5)


def compute(encoder: Encoder, cache: Path, made: Corpus, layers: object = "all", contexts: int = 50) -> WordVectors:
    return word_vectors(made, encoder, layers, VectorConfig(contexts=contexts), cache=cache)


def test_cached_vectors_are_not_computed_again(
    encoder: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = compute(encoder, tmp_path, corpus())
    monkeypatch.setattr(module, "_compute", lambda *_: pytest.fail("computed again"))
    again = compute(encoder, tmp_path, corpus())
    assert again.layers == first.layers
    assert again.notices == first.notices
    assert np.array_equal(again.seen, first.seen)
    for layer in first.layers:
        assert np.array_equal(again.raw[layer], first.raw[layer])


def test_the_cache_tells_apart_all_that_vectors_depend_on(encoder: Encoder, tmp_path: Path) -> None:
    other = load_encoder(ModelConfig(source=encoder.source, max_length=12), device="cpu", threads=1)
    for number, arguments in enumerate(
        [
            (encoder, corpus(), "all"),
            (encoder, corpus(), [1]),
            (encoder, corpus(), "all", 3),
            (encoder, corpus([*TEXTS[:-1], "the end"]), "all"),
            (other, corpus(), "all"),
        ],
        1,
    ):
        compute(arguments[0], tmp_path, *arguments[1:])  # type: ignore[arg-type]
        assert len(list(tmp_path.iterdir())) == number


@pytest.mark.parametrize("damage", ["cut", "changed", "gone", "pickled"])
def test_a_damaged_entry_is_computed_anew(encoder: Encoder, tmp_path: Path, damage: str) -> None:
    first = compute(encoder, tmp_path, corpus())
    (entry,) = tmp_path.iterdir()
    file = entry / "layer-1.npy"
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:-10])
    elif damage == "changed":
        content = bytearray(file.read_bytes())
        content[-1] ^= 1
        file.write_bytes(bytes(content))
    elif damage == "gone":
        file.unlink()
    else:  # an array of objects, with a manifest that fits it
        np.save(file, np.array([{}], dtype=object), allow_pickle=True)
        module.write_manifest(entry)
    again = compute(encoder, tmp_path, corpus())
    assert np.array_equal(again.raw[1], first.raw[1])
    assert module.manifest_ok(entry)
    assert np.array_equal(np.load(file), first.raw[1])


def test_a_disk_that_is_full_costs_the_cache_only(
    encoder: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.training.files.free_bytes", lambda _: 0)
    found = compute(encoder, tmp_path, corpus())
    assert found.raw[1].any()
    assert any("not kept" in notice for notice in found.notices)


def test_vectors_that_cannot_fit_into_the_memory_are_refused(encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MEMORY_SHARE", 0.0)
    with pytest.raises(DataError, match="memory"):
        word_vectors(corpus(), encoder, "all", VectorConfig())


def clouds(words: int = 120, width: int = 10) -> np.ndarray:
    rng = np.random.default_rng(0)
    return (rng.normal(size=(words, width)) * np.linspace(0.2, 4, width) + 7).astype(np.float32)


def test_main_components_are_removed_as_by_scikit_learn() -> None:
    raw = clouds()
    pca = PCA(3).fit(raw.astype(np.float64))
    centred = raw - pca.mean_
    rest = centred - centred @ pca.components_.T @ pca.components_
    expected = rest / np.linalg.norm(rest, axis=1, keepdims=True)
    np.testing.assert_allclose(normalise(raw, 3), expected, atol=1e-5)


def test_without_components_vectors_are_centred_and_of_length_1() -> None:
    raw = clouds()
    centred = raw - raw.mean(axis=0)
    np.testing.assert_allclose(normalise(raw, 0), centred / np.linalg.norm(centred, axis=1, keepdims=True), atol=1e-5)


def test_whitened_vectors_are_those_of_scikit_learn_up_to_rotation() -> None:
    raw = clouds()
    white = PCA(whiten=True).fit_transform(raw.astype(np.float64))
    white /= np.linalg.norm(white, axis=1, keepdims=True)
    found = normalise(raw, 2, whiten=True)
    np.testing.assert_allclose(found @ found.T, white @ white.T, atol=1e-4)


@pytest.mark.parametrize("whiten", [False, True])
def test_words_that_were_not_seen_do_not_count_and_stay_zero(whiten: bool) -> None:
    raw = clouds()
    with_gaps = np.concatenate([raw[:50], np.zeros((5, 10), dtype=np.float32), raw[50:]])
    found = normalise(with_gaps, 2, whiten)
    assert not found[50:55].any()
    np.testing.assert_allclose(np.delete(found, range(50, 55), axis=0), normalise(raw, 2, whiten), atol=1e-6)


@pytest.mark.parametrize("whiten", [False, True])
@pytest.mark.parametrize("words", [0, 1, 2, 3, 5])
def test_tiny_corpora_give_unit_vectors_or_zeros_but_no_noise(words: int, whiten: bool) -> None:
    found = normalise(clouds()[:words], 2, whiten)
    lengths = np.linalg.norm(found, axis=1)
    assert np.isfinite(found).all()
    assert np.all((np.abs(lengths - 1) < 1e-5) | (lengths == 0))
    if words == 2:  # what is left of two centred words are opposite directions
        assert found[0] @ found[1] == pytest.approx(-1, abs=1e-5)


def test_equal_words_have_no_direction() -> None:
    assert not normalise(np.full((6, 4), 3.3, dtype=np.float32), 2).any()
    assert not normalise(np.full((6, 4), 3.3, dtype=np.float32), 2, whiten=True).any()


def test_the_vocabulary_is_the_encoders_table_without_special_and_unused_pieces(
    encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    vocabulary = encoder.tokenizer.get_vocab()
    unused = {"[unused7]" if piece == "fun" else piece: index for piece, index in vocabulary.items()}
    monkeypatch.setattr(type(encoder.tokenizer), "get_vocab", lambda _: unused)
    notices: list[str] = []
    pieces, vectors = vocabulary_vectors(encoder, notices=notices)
    assert not {"[PAD]", "[CLS]", "[SEP]", "[MASK]", "[UNK]", "[unused7]"} & set(pieces)
    assert len(pieces) == len(vocabulary) - 6 == len(vectors)
    table = encoder.model.get_input_embeddings().weight.detach().numpy()
    np.testing.assert_array_equal(vectors[pieces.index("cat")], table[vocabulary["cat"]])
    assert notices == [
        f"6 of {len(vocabulary)} rows of the embedding table are special or unused pieces and were left out."
    ]
