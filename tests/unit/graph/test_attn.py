from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from core.config.graph import AttnEdges
from core.config.plan import ModelConfig
from core.errors import ConfigError, ModelError
from core.graph.edges.attn import attn_edges
from core.graph.encoder import Encoder, load_encoder
from core.graph.types import NO_NODE, Corpus, EdgeSet, Sentence
from tests.tiny import FAMILIES, tiny_encoder

TEXTS = ["the cat ran and the dog ran", "a xyz film is fun", "the xyz cat", "cat", "the cat is fun", "the cat sits"]


def corpus(texts: list[str] = TEXTS) -> Corpus:
    words = sorted({token for text in texts for token in text.split()} - {"and"})
    sentences = [
        Sentence(text, text.split(), np.array([words.index(t) if t != "and" else NO_NODE for t in text.split()]))
        for text in texts
    ]
    counts = np.array([sum(text.split().count(word) for text in texts) for word in words])
    return Corpus(sentences, words, counts, [], [])


def load(folder: Path, *, eager: bool = True, max_length: int = 64) -> Encoder:
    return load_encoder(ModelConfig(source=str(folder), max_length=max_length), eager=eager, device="cpu", threads=1)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return load(tiny_encoder(tmp_path_factory.mktemp("bert")))


def as_dict(edges: EdgeSet) -> dict[tuple[int, int], float]:
    return {(int(u), int(v)): float(w) for u, v, w in zip(edges.sources, edges.targets, edges.weights, strict=True)}


def by_hand(encoder: Encoder, made: Corpus, layer: int, heads: list[int]) -> dict[tuple[int, int], float]:
    """Word pair → mean attention, by loops over one sentence after another."""
    found = defaultdict(list)
    for sentence in made.sentences:
        encoded = encoder.tokenizer(sentence.tokens, is_split_into_words=True, return_tensors="pt")
        with torch.no_grad():
            attention = encoder.model(**encoded, output_attentions=True).attentions[layer - 1][0].numpy()
        attention = attention[heads].mean(axis=0)
        owners = encoded.word_ids()
        for i, source in enumerate(sentence.nodes):
            for j, target in enumerate(sentence.nodes):
                if source == target or NO_NODE in (source, target):
                    continue
                rows = [attention[p] for p, owner in enumerate(owners) if owner == i]
                total = [sum(row[p] for p, owner in enumerate(owners) if owner == j) for row in rows]
                found[int(source), int(target)].append(np.mean(total))
    return {pair: float(np.mean(values)) for pair, values in found.items()}


@pytest.mark.parametrize("heads", [[], [1]])
def test_weights_are_mean_attention_over_heads_sub_words_and_occurrences(encoder: Encoder, heads: list[int]) -> None:
    made = corpus()
    sets = attn_edges(made, encoder, AttnEdges(k=100, heads=heads))
    assert [(one.type, one.layer) for one in sets] == [("attn", 1), ("attn", 2)]
    for one in sets:
        assert one.layer is not None
        assert as_dict(one) == pytest.approx(by_hand(encoder, made, one.layer, heads or [0, 1]), abs=1e-5)


def test_only_the_strongest_edges_of_a_word_are_kept(encoder: Encoder) -> None:
    made = corpus()
    every = as_dict(attn_edges(made, encoder, AttnEdges(k=100), [2])[0])
    some = as_dict(attn_edges(made, encoder, AttnEdges(k=2), [2])[0])
    for word in range(len(made.words)):
        ranked = sorted(((weight, pair) for pair, weight in every.items() if pair[0] == word), reverse=True)
        assert {pair for pair in some if pair[0] == word} == {pair for _, pair in ranked[:2]}


def test_special_pieces_get_a_share_that_is_not_given_to_words(encoder: Encoder) -> None:
    (edges,) = attn_edges(corpus(["the cat"]), encoder, AttnEdges(), [1])
    assert len(edges) == 2
    assert (edges.weights < 0.9).all()


def test_counts_are_sentences_and_examples_the_first_of_them(encoder: Encoder) -> None:
    made = corpus()
    (edges,) = attn_edges(made, encoder, AttnEdges(k=100), [1])
    index = made.index()
    edge = edges.find(index["the"], index["cat"])
    assert edges.counts is not None
    assert edges.counts[edge] == 4
    assert edges.examples_of(edge) == [0, 2, 4]
    once = edges.find(index["the"], index["dog"])  # twice "the" in one sentence
    assert (edges.counts[once], edges.examples_of(once)) == (1, [0])


def test_pairs_of_too_few_sentences_are_left_out(encoder: Encoder) -> None:
    made = corpus()
    (edges,) = attn_edges(made, encoder, AttnEdges(k=100, min_count=2), [1])
    every = by_hand(encoder, made, 1, [0, 1])
    assert 0 < len(edges) < len(every)
    assert edges.counts is not None
    assert (edges.counts >= 2).all()
    assert as_dict(edges) == pytest.approx({pair: every[pair] for pair in as_dict(edges)}, abs=1e-5)


def test_the_embeddings_have_no_attention(encoder: Encoder) -> None:
    assert attn_edges(corpus(), encoder, AttnEdges(), [0]) == []
    assert [one.layer for one in attn_edges(corpus(), encoder, AttnEdges(), [0, 2])] == [2]


def test_a_large_corpus_is_drawn_evenly_with_a_notice(encoder: Encoder) -> None:
    made = corpus(["the cat", "a dog"] * 50)
    notices: list[str] = []
    (edges,) = attn_edges(made, encoder, AttnEdges(), [1], notices=notices, most_numbers=40)
    assert notices == ["Attention is averaged over 10 of 100 sentences, drawn evenly."]
    assert edges.counts is not None
    assert int(edges.counts.sum()) == 20


def test_a_cut_sentence_gives_edges_of_the_words_that_fit(tmp_path: Path) -> None:
    short = load(tiny_encoder(tmp_path), max_length=8)
    made = corpus(["the cat ran and the dog is fun"])
    notices: list[str] = []
    (edges,) = attn_edges(made, short, AttnEdges(k=100), [1], notices=notices)
    named = {made.words[node] for node in edges.sources}
    assert named == {"the", "cat", "ran", "dog"}
    assert notices == ["For attention 1 sentences were cut at 8 sub-words."]


@pytest.mark.parametrize("texts", [["cat"], ["cat cat cat"], ["and and"]])
def test_a_corpus_without_pairs_has_no_edges(encoder: Encoder, texts: list[str]) -> None:
    assert [len(one) for one in attn_edges(corpus(texts), encoder, AttnEdges())] == [0, 0]


def test_a_head_that_is_not_there_is_refused(encoder: Encoder) -> None:
    for heads in ([2], [-1]):
        with pytest.raises(ConfigError, match="no head"):
            attn_edges(corpus(), encoder, AttnEdges(heads=heads))


def test_an_encoder_without_attention_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="gives no attention weights"):
        attn_edges(corpus(), load(tiny_encoder(tmp_path), eager=False), AttnEdges())


@pytest.mark.parametrize("family", FAMILIES)
def test_attention_between_words_is_that_of_every_family(family: str, tmp_path: Path) -> None:
    place = tiny_encoder(tmp_path, family)
    made = corpus(["the cat", "a dog is fun and the cat ran"])
    (edges,) = attn_edges(made, load(place), AttnEdges(k=100), [2])
    model = AutoModel.from_pretrained(place, attn_implementation="eager").eval()
    text = " the cat" if family in ("roberta", "modernbert") else "the cat"
    encoded = AutoTokenizer.from_pretrained(place)(text, return_tensors="pt")
    assert encoded["input_ids"].shape[1] == 4  # one piece a word
    with torch.no_grad():
        attention = model(
            input_ids=encoded["input_ids"], attention_mask=encoded["attention_mask"], output_attentions=True
        ).attentions[1][0]
    alone = float(attention.mean(dim=0)[1, 2])
    index = made.index()
    pair = as_dict(attn_edges(corpus(["the cat"]), load(place), AttnEdges(), [2])[0])
    assert pair[1, 0] == pytest.approx(alone, abs=1e-5)
    assert 0 < edges.weights[edges.find(index["the"], index["cat"])] < 1
