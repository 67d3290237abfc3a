"""Predictions against stock transformers, which loads the same folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from core.data.tasks.words import split_words
from core.errors import DataError
from core.models import load_finished, predict
from tests.tiny import FAMILIES

TEXTS = [
    "the film was good",
    "",
    "a dull story, badly told",
    "这电影很好",
    "Anna lives in Paris",
    "good " * 60,
    "the cat and the dog ran to the river",
]


@pytest.mark.parametrize("family", FAMILIES)
def test_classification_equals_stock_transformers(trained: Callable[..., Path], family: str) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    folder = trained(family)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    found = predict(folder, TEXTS)
    for text, prediction in zip(TEXTS, found, strict=True):
        with torch.no_grad():
            logits = model(**tokenizer(text, truncation=True, return_tensors="pt")).logits[0]
        wanted = logits.softmax(-1).numpy()
        assert prediction.text == text
        np.testing.assert_allclose(list(prediction.scores.values()), wanted, atol=1e-5)
        assert prediction.label == model.config.id2label[int(wanted.argmax())]
    assert len({prediction.label for prediction in found}) > 1


@pytest.mark.parametrize("family", ["bert", "distilbert", "roberta"])
def test_classification_equals_the_stock_pipeline(trained: Callable[..., Path], family: str) -> None:
    from transformers import pipeline

    stock = pipeline("text-classification", model=str(trained(family)), top_k=None, truncation=True)
    for answers, prediction in zip(stock(TEXTS), predict(trained(family), TEXTS), strict=True):
        assert {answer["label"] for answer in answers} == set(prediction.scores)
        for answer in answers:
            assert answer["score"] == pytest.approx(prediction.scores[answer["label"]], abs=1e-5)


@pytest.mark.parametrize("family", ["bert", "roberta", "modernbert"])
def test_pairs_equal_stock_transformers(trained: Callable[..., Path], family: str) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    folder = trained(family)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    pairs = [["the film was good", "a great film"], ["no", "the story " * 30], ["cat " * 30, "dog " * 25]]
    for pair, prediction in zip(pairs, predict(folder, pairs), strict=True):
        with torch.no_grad():
            logits = model(**tokenizer(*pair, truncation="longest_first", return_tensors="pt")).logits[0]
        np.testing.assert_allclose(list(prediction.scores.values()), logits.softmax(-1).numpy(), atol=1e-5)
        assert prediction.text == " | ".join(pair)


def test_several_labels_are_those_that_reach_the_threshold(trained: Callable[..., Path]) -> None:
    for prediction in predict(trained("bert", multi_label=True), TEXTS):
        assert prediction.label == [name for name, share in prediction.scores.items() if share >= 0.5]


@pytest.mark.parametrize("family", FAMILIES)
def test_tagging_equals_stock_transformers(trained: Callable[..., Path], family: str) -> None:
    from transformers import AutoModelForTokenClassification, AutoTokenizer

    folder = trained(family, "tagging")
    model = AutoModelForTokenClassification.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    sentences = [["anna", "lives", "in", "paris", "."], ["the", "cat"], ["北", "京", "很", "好"]]
    seen = set()
    for words, prediction in zip(sentences, predict(folder, sentences), strict=True):
        batch = tokenizer(words, is_split_into_words=True, return_tensors="pt")
        with torch.no_grad():
            shares = model(**batch).logits[0].softmax(-1).numpy()
        owners = batch.word_ids()
        first = [owners.index(word) for word in range(len(words))]
        assert prediction.label == [model.config.id2label[int(shares[place].argmax())] for place in first]
        np.testing.assert_allclose(prediction.scores, shares[first].max(axis=1), atol=1e-5)
        assert prediction.words == words
        seen |= set(prediction.label)
    assert len(seen) > 1


def test_a_raw_text_is_tagged_as_its_words_are(trained: Callable[..., Path]) -> None:
    folder = trained("bert", "tagging")
    text = "Anna's  cat ran, to 北京!\nThe end"
    words = [word for word, _, _ in split_words(text)]
    raw, given = predict(folder, [text, words])
    assert raw.words == given.words == words
    assert (raw.label, raw.scores) == (given.label, given.scores)
    assert raw.text == text
    assert given.text == " ".join(words)
    assert raw.entities
    for prediction in (raw, given):
        for entity in prediction.entities or []:
            assert prediction.text[entity["start"] : entity["end"]] == entity["text"]
            assert entity["text"].startswith(words[entity["first"]])
            assert entity["text"].endswith(words[entity["last"]])


def test_long_texts_lose_no_word(trained: Callable[..., Path]) -> None:
    long = ["word", "cat", "paris"] * 70
    (prediction,) = predict(trained("bert", "tagging"), [long])
    assert len(prediction.label) == len(prediction.scores) == 210


def test_words_that_tokenise_to_nothing_are_outside(trained: Callable[..., Path]) -> None:
    (prediction,) = predict(trained("bert", "tagging"), [["anna", "\u200b", "paris"]])
    assert prediction.label[1] == "O"
    assert prediction.scores[1] == 1.0


@pytest.mark.parametrize("kind", ["classification", "tagging"])
def test_the_size_of_batches_does_not_matter(trained: Callable[..., Path], kind: str) -> None:
    finished = load_finished(trained("bert", kind))
    small, large = predict(finished, TEXTS, batch_tokens=8), predict(finished, TEXTS, batch_tokens=100_000)
    for one, other in zip(small, large, strict=True):
        assert (one.text, one.label) == (other.text, other.label)
        ours, theirs = (list(p.scores.values()) if isinstance(p.scores, dict) else p.scores for p in (one, other))
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_no_texts_give_no_predictions(trained: Callable[..., Path]) -> None:
    assert predict(trained("bert"), []) == []
    assert predict(trained("bert", "tagging"), [""])[0].label == []


def test_mixed_and_impossible_entries_are_refused(trained: Callable[..., Path]) -> None:
    with pytest.raises(DataError, match="entry 2"):
        predict(trained("bert"), [["a", "b"], "c"])
    with pytest.raises(DataError, match="entry 1"):
        predict(trained("bert"), [["a", "b", "c"]])
    with pytest.raises(DataError, match="entry 1"):
        predict(trained("bert", "tagging"), [[1, 2]])  # type: ignore[list-item]


def test_predictions_are_plain_data(trained: Callable[..., Path]) -> None:
    import json

    for kind, keys in (("classification", 3), ("tagging", 5)):
        entries = [prediction.as_dict() for prediction in predict(trained("bert", kind), TEXTS)]
        assert {len(entry) for entry in json.loads(json.dumps(entries, allow_nan=False))} == {keys}
