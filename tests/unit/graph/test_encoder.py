from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from transformers import AutoModel, AutoTokenizer

from core.config.plan import ModelConfig
from core.errors import ConfigError, ModelError
from core.graph import states as module
from core.graph.encoder import Encoder, load_encoder
from tests.tiny import FAMILIES, tiny_encoder

SENTENCES = [
    ["The", "cat", "zzq", "!"],
    ["Anna", "lives", "in", "Paris", "and", "London", ",", "not", "in", "Berlin"],
    ["good"],
    [],
    ["a", "\x00", "dull", "film"],
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    made: dict[str, Path] = {}

    def make(family: str) -> Path:
        if family not in made:
            made[family] = tiny_encoder(tmp_path_factory.mktemp(family), family)
        return made[family]

    return make


def load(folder: Path, *, max_length: int = 32, **options: object) -> Encoder:
    config = ModelConfig(source=str(folder), max_length=max_length)
    return load_encoder(config, device="cpu", threads=1, **options)  # type: ignore[arg-type]


def by_sentence(encoder: Encoder, sentences: list[list[str]], **options: object) -> dict[int, dict[int, np.ndarray]]:
    found: dict[int, dict[int, np.ndarray]] = {}
    for batch in encoder.states(sentences, **options):  # type: ignore[arg-type]
        for index, one in enumerate(batch.sentences):
            rows = slice(batch.starts[index], batch.starts[index + 1])
            found[int(one)] = {layer: states[rows] for layer, states in batch.states.items()}
    return found


def stock_states(folder: Path, family: str, tokens: list[str]) -> list[list[np.ndarray | None]]:
    """Layer → token → mean of its sub-word vectors, by transformers alone, one sentence at a time."""
    spaced = {"add_prefix_space": True} if family in ("roberta", "modernbert") else {}
    tokenizer = AutoTokenizer.from_pretrained(folder, **spaced)
    if family == "modernbert":  # a bare fast tokenizer does not pass the option on
        from tokenizers.pre_tokenizers import ByteLevel

        tokenizer.backend_tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=True)
    model = AutoModel.from_pretrained(folder).eval()
    encoded = tokenizer(tokens, is_split_into_words=True, return_tensors="pt")
    with torch.no_grad():
        hidden = model(
            input_ids=encoded["input_ids"], attention_mask=encoded["attention_mask"], output_hidden_states=True
        ).hidden_states
    owners = encoded.word_ids()
    layers = []
    for states in hidden:
        own = [[states[0, at] for at, word in enumerate(owners) if word == index] for index in range(len(tokens))]
        layers.append([torch.stack(some).mean(0).numpy() if some else None for some in own])
    return layers


@pytest.mark.parametrize("family", FAMILIES)
def test_states_equal_those_of_one_sentence_at_a_time(folder: Callable[[str], Path], family: str) -> None:
    encoder = load(folder(family), max_length=128)
    found = by_sentence(encoder, SENTENCES)
    assert sorted(found) == [0, 1, 2, 4]  # nothing goes through the model for an empty sentence
    for index, layers in found.items():
        expected = stock_states(folder(family), family, SENTENCES[index])
        assert len(layers) == len(expected) == encoder.num_layers + 1 == 3
        for layer, states in layers.items():
            for token, vector in enumerate(expected[layer]):
                wanted = np.zeros(states.shape[1]) if vector is None else vector
                np.testing.assert_allclose(states[token], wanted, atol=2e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_an_encoder_says_what_it_is(folder: Callable[[str], Path], family: str) -> None:
    about = load(folder(family)).describe()
    assert (about["family"], about["layers"], about["width"], about["widths"]) == (family, 2, 32, [32, 32, 32])
    assert about["random"] is False
    assert about["source"] == str(folder(family))


def test_batches_are_bounded_and_hold_every_sentence_once(
    folder: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH_TOKENS", 40)
    encoder = load(folder("bert"))
    sentences = [["cat"] * (1 + index % 7) for index in range(50)]
    seen, told = [], []
    for batch in encoder.states(sentences, [1], progress=lambda done, total: told.append((done, total))):
        longest = max(len(sentences[one]) for one in batch.sentences) + 2
        assert longest * len(batch.sentences) <= 40
        seen += list(batch.sentences)
    assert sorted(seen) == list(range(50))
    assert told[-1] == (50, 50)


@pytest.mark.parametrize("family", FAMILIES)
def test_states_of_some_tokens_at_some_layers_are_those_of_all(folder: Callable[[str], Path], family: str) -> None:
    encoder = load(folder(family), max_length=128)
    aligned = encoder.align(SENTENCES)
    keep = np.arange(int(aligned.tokens[-1])) % 3 == 1
    for layers in ([0], [0, 1], [2]):
        whole = by_sentence(encoder, SENTENCES, layers=layers)
        some = by_sentence(encoder, SENTENCES, layers=layers, keep=keep)
        for index, states in whole.items():
            own = keep[aligned.tokens[index] : aligned.tokens[index + 1]]
            for layer in layers:
                np.testing.assert_allclose(some[index][layer][own], states[layer][own], atol=1e-5)
                assert not some[index][layer][~own].any()


def test_layers_above_the_highest_that_is_wanted_are_not_run(folder: Callable[[str], Path]) -> None:
    encoder = load(folder("bert"))
    run = []
    for number, layer in enumerate(encoder.model.encoder.layer, 1):
        layer.attention.self.register_forward_hook(lambda *_, number=number: run.append(number))
    by_sentence(encoder, SENTENCES, layers=[0, 1])
    assert set(run) == {1}


def test_all_layers_come_from_one_pass_a_sentence(folder: Callable[[str], Path]) -> None:
    encoder = load(folder("bert"))
    rows = []
    encoder.model.embeddings.register_forward_hook(lambda _, __, output: rows.append(len(output)))
    by_sentence(encoder, SENTENCES)
    assert sum(rows) == 4


def test_only_the_sentences_asked_for_are_run(folder: Callable[[str], Path]) -> None:
    found = by_sentence(load(folder("bert")), SENTENCES, only=np.array([4, 1]))
    assert sorted(found) == [1, 4]


def test_a_sentence_that_is_too_long_is_cut_and_the_tokens_beyond_are_marked(folder: Callable[[str], Path]) -> None:
    encoder = load(folder("bert"), max_length=8)  # six sub-words and two special pieces
    aligned = encoder.align([["cat", "dog", "cat", "dog", "xyz", "cat"], ["cat"] * 6])
    assert aligned.found.tolist() == [True] * 4 + [False] * 2 + [True] * 6  # x ##y | ##z: cut in the middle
    assert aligned.cut == 1
    batch = next(iter(encoder.states(aligned, [2])))
    assert not batch.states[2][~batch.found].any()
    assert batch.states[2][batch.found].any(axis=1).all()


def test_a_token_that_reads_like_a_special_piece_is_text(folder: Callable[[str], Path]) -> None:
    encoder = load(folder("bert"))
    aligned = encoder.align([["cat", "[SEP]", "[MASK]"]])
    special = set(encoder.tokenizer.all_special_ids) - {encoder.tokenizer.unk_token_id}
    assert not special & set(aligned.ids.tolist())
    assert aligned.found.all()


@pytest.mark.parametrize("unit", ["word", "subword"])
def test_hostile_tokens_are_read_or_marked(folder: Callable[[str], Path], unit: str) -> None:
    encoder = load(folder("bert"))
    tokens = ["cat", "\ud83d", "\ud83d\ude00", "", "x" * 5000, "</script>", "\u0645\u0631\u062d\u0628\u0627"]
    for token in tokens:
        (batch,) = encoder.states([["cat", token, "dog"]], [2], unit=unit)
        assert batch.found[[0, 2]].all()
        assert np.isfinite(batch.states[2]).all()


def test_pieces_stand_for_themselves(folder: Callable[[str], Path]) -> None:
    encoder = load(folder("bert"))
    pieces = ["run", "##ing", "cat", "no such piece"]
    aligned = encoder.align([pieces], unit="subword")
    assert aligned.ids.tolist() == encoder.tokenizer.convert_tokens_to_ids(pieces)
    assert aligned.words.tolist() == [0, 1, 2, 3]
    assert aligned.unknown.tolist() == [False, False, False, True]


def test_random_weights_depend_on_the_seed_alone_and_are_not_the_trained_ones(folder: Callable[[str], Path]) -> None:
    trained = load(folder("bert"))
    states = []
    for ambient, seed in ((1, 5), (2, 5), (1, 6)):
        torch.manual_seed(ambient)
        before = torch.get_rng_state()
        encoder = load(folder("bert"), random=True, seed=seed)
        assert torch.equal(before, torch.get_rng_state())
        assert encoder.describe()["random"] is True
        states.append((by_sentence(encoder, SENTENCES)[0][2], encoder.fingerprint))
    assert np.array_equal(states[0][0], states[1][0])
    assert not np.allclose(states[0][0], states[2][0])
    assert states[0][1] == states[1][1]
    assert len({states[0][1], states[2][1], trained.fingerprint}) == 3


def test_the_fingerprint_follows_the_weights(folder: Callable[[str], Path], tmp_path: Path) -> None:
    same = tiny_encoder(tmp_path / "same", "bert")
    other = tiny_encoder(tmp_path / "other", "bert", seed=1)
    first = load(folder("bert")).fingerprint
    assert load(same).fingerprint == first
    assert load(other).fingerprint != first


def test_the_consumer_of_states_is_not_in_inference_mode(folder: Callable[[str], Path]) -> None:
    for _ in load(folder("bert")).states(SENTENCES, [0]):
        assert not torch.is_inference_mode_enabled()


def test_a_layer_that_is_not_there_is_refused(folder: Callable[[str], Path]) -> None:
    encoder = load(folder("bert"))
    assert encoder.pick_layers("all") == [0, 1, 2]
    assert encoder.pick_layers([2, 0, 2]) == [0, 2]
    for layers in ([3], [-1], []):
        with pytest.raises(ConfigError, match="layer"):
            encoder.pick_layers(layers)


def test_a_longer_input_than_the_model_reads_is_refused(folder: Callable[[str], Path]) -> None:
    with pytest.raises(ModelError, match="at most 128"):
        load(folder("bert"), max_length=129)


def test_weights_that_lack_the_encoder_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    place = tiny_encoder(tmp_path, "bert")
    weights = load_file(place / "model.safetensors")
    save_file(
        {name: one for name, one in weights.items() if "layer.1." not in name},
        place / "model.safetensors",
        metadata={"format": "pt"},
    )
    with pytest.raises(ModelError, match="do not fit config"):
        load(place)


def test_attention_is_refused_without_eager_attention(folder: Callable[[str], Path]) -> None:
    with pytest.raises(ModelError, match="no attention"):
        next(iter(load(folder("bert")).states(SENTENCES, [], attentions=[1])))


def test_an_encoder_without_eager_attention_is_refused_with_the_reason(
    folder: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Every built-in family supports it today: this one acts like a class whose layers return no weights.
    place = folder("bert")
    real = transformers.AutoModel.from_pretrained

    def sdpa(*args: object, attn_implementation: str = "", **options: object) -> object:
        assert attn_implementation == "eager"
        return real(*args, attn_implementation="sdpa", **options)

    monkeypatch.setattr(transformers.AutoModel, "from_pretrained", sdpa)
    with pytest.raises(ModelError, match="gives no attention weights: its layers return none"):
        load(place, eager=True)
