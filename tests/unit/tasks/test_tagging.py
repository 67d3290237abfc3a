from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from seqeval.metrics import classification_report, f1_score, precision_score, recall_score
from seqeval.scheme import IOB2

from core.config import TaskConfig
from core.data.tasks import Task, task_for
from core.data.tasks.tagging import IGNORED
from core.data.tasks.tagging_scores import entity_scores, most_frequent_tagger
from core.errors import ConfigError
from tests.tiny import FAMILIES, WORDS

LABELS = ["O", "B-LOC", "I-LOC", "B-PER", "I-PER"]


def tagger(stride: int = 4) -> Task:
    return task_for(TaskConfig(kind="tagging", stride=stride), LABELS)


def rows(sentences: list[list[str]], tags: list[list[int]] | None = None) -> Dataset:
    columns: dict[str, Any] = {
        "row": list(range(1, len(sentences) + 1)), "source": ["file"] * len(sentences), "tokens": sentences,
    }  # fmt: skip
    return Dataset.from_dict(columns if tags is None else {**columns, "tags": tags})


def certain(found: Any, gold: list[list[int]]) -> list[np.ndarray]:
    """Return logits that answer the gold at the first sub-word of each word, and something else everywhere else."""
    logits = []
    for feature, row, length in zip(found.features, found.owner, found.lengths, strict=True):
        part = np.zeros((length, len(LABELS)))
        part[:, 2] = 5.0
        for position, word in zip(feature["positions"], feature["words"], strict=True):
            part[position] = 0.0
            part[position, gold[row][word]] = 9.0
        logits.append(part)
    return logits


# -- encoding ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
def test_first_sub_words_carry_the_labels(tokenizer: Callable[[str], Any], family: str) -> None:
    one = tokenizer(family)
    words = ["anna", "lives", "in", "Philadelphia", "!"]
    found = tagger().encode(rows([words], [[3, 0, 0, 1, 0]]), one, 64)
    (feature,) = found.features
    pieces = one.convert_ids_to_tokens(feature["input_ids"])
    labelled = [pieces[place] for place, label in enumerate(feature["labels"]) if label != IGNORED]
    assert len(labelled) == 5
    assert [label for label in feature["labels"] if label != IGNORED] == [3, 0, 0, 1, 0]
    starts = [piece.lstrip("Ġ▁").lower() or "▁" for piece in labelled]
    assert all(start == "▁" or word.lower().startswith(start) for word, start in zip(words, starts, strict=True))
    assert feature["input_ids"][0] == one.cls_token_id
    assert feature["input_ids"][-1] == one.sep_token_id


@pytest.mark.parametrize("family", ["roberta", "modernbert"])
def test_byte_level_words_are_pieces_as_inside_a_text(tokenizer: Callable[[str], Any], family: str) -> None:
    found = tagger().encode(rows([["the", "cat", "was", "sad"]], [[0] * 4]), tokenizer(family), 64)
    assert found.features[0]["input_ids"] == tokenizer(family)(" the cat was sad")["input_ids"]


SENTENCES = st.lists(st.lists(st.sampled_from([*WORDS[:40], "Philadelphia", "好", "\u200b"]), max_size=40), max_size=4)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(SENTENCES, st.integers(3, 30), st.integers(0, 12), st.sampled_from(["bert", "roberta"]), st.randoms())
def test_every_word_is_answered_for_exactly_once(
    tokenizer: Callable[[str], Any],
    sentences: list[list[str]],
    max_length: int,
    stride: int,
    family: str,
    random: Any,
) -> None:
    gold = [[random.randrange(len(LABELS)) for _ in words] for words in sentences]
    found = tagger(stride).encode(rows(sentences, gold), tokenizer(family), max_length)
    answered: list[list[int]] = [[0] * len(words) for words in sentences]
    for feature, row, length in zip(found.features, found.owner, found.lengths, strict=True):
        assert len(feature["input_ids"]) == len(feature["labels"]) == length <= max_length
        places = [place for place, label in enumerate(feature["labels"]) if label != IGNORED]
        assert places == feature["positions"].tolist()
        assert places
        for position, word in zip(feature["positions"], feature["words"], strict=True):
            answered[row][word] += 1
            assert feature["labels"][position] == gold[row][word]
    assert found.owner == sorted(found.owner)
    empty = 0
    for words, counts in zip(sentences, answered, strict=True):
        for word, count in zip(words, counts, strict=True):
            vanishes = word == "\u200b" and family == "bert"
            assert count == (0 if vanishes else 1)
            empty += vanishes
    assert found.empty_words == empty
    predictions = tagger(stride).decode(certain(found, gold), found, rows(sentences, gold))
    for words, tags, prediction in zip(sentences, gold, predictions, strict=True):
        expected = ["O" if word == "\u200b" and family == "bert" else LABELS[tag] for word, tag in zip(words, tags)]  # noqa: B905
        assert prediction.label == expected
        assert len(prediction.scores) == len(words)


def test_one_word_longer_than_a_window_is_kept(tokenizer: Callable[[str], Any]) -> None:
    found = tagger().encode(rows([["x" * 90, "cat"]], [[3, 1]]), tokenizer("bert"), 16)
    assert [feature["words"].tolist() for feature in found.features] == [[0], [1]]


def test_a_window_without_room_is_refused(tokenizer: Callable[[str], Any]) -> None:
    with pytest.raises(ConfigError, match="no room for words"):
        tagger().encode(rows([["cat"]], [[0]]), tokenizer("bert"), 2)


def test_encoding_is_plain_data_and_gold_is_optional(tokenizer: Callable[[str], Any]) -> None:
    found = tagger().encode(rows([["cat", "dog"]], [[0, 1]]), tokenizer("bert"), 16)
    assert json.loads(json.dumps([found.features[0]["input_ids"], found.features[0]["labels"]]))
    bare = tagger().encode(rows([["cat", "dog"]]), tokenizer("bert"), 16, labelled=False)
    assert "labels" not in bare.features[0]
    assert "labels" not in tagger().collate(bare.features, tokenizer("bert"))


def test_label_counts_count_each_word_once(tokenizer: Callable[[str], Any]) -> None:
    gold = [[0, 1, 2] * 20, [3, 4]]
    found = tagger().encode(rows([["cat"] * 60, ["anna", "paul"]], gold), tokenizer("bert"), 16)
    assert len(found.features) > 3
    assert tagger().label_counts(found) == [20, 20, 20, 1, 1]


# -- loss ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weights", [None, [0.2, 1.0, 3.5, 0.0, 1.5]])
def test_the_loss_is_torchs_cross_entropy_over_words(
    tokenizer: Callable[[str], Any], smoothing: float, weights: list[float] | None
) -> None:
    gold = [[3, 0, 0, 1], [1, 2]]
    found = tagger().encode(rows([["anna", "in", "the", "Amazonas"], ["new", "york"]], gold), tokenizer("bert"), 32)
    batch = tagger().collate(found.features, tokenizer("bert"))
    logits = torch.randn(*batch["input_ids"].shape, 5, generator=torch.Generator().manual_seed(0))
    weight = None if weights is None else torch.tensor(weights)
    total, norm = tagger().loss(logits, batch["labels"], label_smoothing=smoothing, class_weights=weight)
    wanted = torch.nn.CrossEntropyLoss(weight=weight, label_smoothing=smoothing, ignore_index=IGNORED)(
        logits.view(-1, 5), batch["labels"].view(-1)
    )
    assert (total / norm).item() == pytest.approx(wanted.item(), rel=1e-6)
    assert batch["labels"].shape == batch["attention_mask"].shape
    assert (batch["labels"] != IGNORED).sum() == 6


# -- scores --------------------------------------------------------------------------------------------------------

TAGS = st.lists(st.sampled_from(LABELS), min_size=1, max_size=10)
PAIRED = st.lists(TAGS.flatmap(lambda tags: st.tuples(st.just(tags), st.lists(
    st.sampled_from(LABELS), min_size=len(tags), max_size=len(tags)))), min_size=1, max_size=6)  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=60, deadline=None)
@given(PAIRED)
def test_entity_scores_are_seqevals_strict_ones(pairs: list[tuple[list[str], list[str]]]) -> None:
    gold, predicted = [gold for gold, _ in pairs], [predicted for _, predicted in pairs]
    found = entity_scores(gold, predicted)
    options: dict[str, Any] = {"mode": "strict", "scheme": IOB2, "zero_division": 0}
    assert found["strict_f1"] == pytest.approx(float(f1_score(gold, predicted, **options)))
    assert found["precision"] == pytest.approx(float(precision_score(gold, predicted, **options)))
    assert found["recall"] == pytest.approx(float(recall_score(gold, predicted, **options)))
    flat = [(one, other) for pair in pairs for one, other in zip(*pair, strict=True)]
    assert found["token_accuracy"] == pytest.approx(sum(one == other for one, other in flat) / len(flat))


def noisy(
    tokenizer: Any, count: int, seed: int = 0
) -> tuple[Any, list[np.ndarray], Dataset, list[list[str]], list[list[str]]]:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 25, size=count)
    sentences = [[WORDS[index] for index in rng.integers(0, 60, size=size)] for size in sizes]
    gold = [rng.choice(5, size=size, p=[0.6, 0.12, 0.08, 0.12, 0.08]).tolist() for size in sizes]
    data = rows(sentences, gold)
    found = tagger().encode(data, tokenizer, 16)
    logits = [part + rng.normal(scale=4.5, size=part.shape) for part in certain(found, gold)]
    predicted = [prediction.label for prediction in tagger().decode(logits, found, data)]
    return found, logits, data, [[LABELS[tag] for tag in tags] for tags in gold], predicted


def test_evaluation_scores_what_decoding_answers(tokenizer: Callable[[str], Any]) -> None:
    found, logits, data, gold, predicted = noisy(tokenizer("bert"), 60)
    metrics = tagger().evaluate(logits, found, data).metrics
    assert set(metrics) == set(tagger().metric_names)
    assert metrics == pytest.approx({**entity_scores(gold, predicted), "loss": metrics["loss"]})
    total = norm = 0.0
    for part, feature in zip(logits, found.features, strict=True):
        loss = tagger().loss(torch.from_numpy(part)[None], torch.tensor(feature["labels"])[None])
        total, norm = total + loss[0].item(), norm + loss[1].item()
    assert metrics["loss"] == pytest.approx(total / norm, rel=1e-5)


def test_details_hold_what_a_page_shows(tokenizer: Callable[[str], Any]) -> None:
    found, logits, data, gold, predicted = noisy(tokenizer("bert"), 150)
    evaluation = tagger().evaluate(logits, found, data, details=True)
    details = evaluation.details
    report = classification_report(gold, predicted, mode="strict", scheme=IOB2, output_dict=True)
    assert [entry["type"] for entry in details["entities"]] == ["LOC", "PER"]
    for entry in details["entities"]:
        wanted = report[entry["type"]]
        assert [entry[key] for key in ("precision", "recall", "f1", "support")] == pytest.approx(
            [wanted["precision"], wanted["recall"], wanted["f1-score"], wanted["support"]]
        )
        assert entry["interval"][0] < entry["f1"] < entry["interval"][1]
    for name in tagger().metric_names:
        low, high = details["intervals"][name]
        assert low < evaluation.metrics[name] < high
    assert (details["n"], details["words"]) == (150, sum(len(tags) for tags in gold))
    assert len(details["worst"]) == 50
    assert [entry["loss"] for entry in details["worst"]] == sorted(
        (entry["loss"] for entry in details["worst"]), reverse=True
    )
    first = details["worst"][0]
    index = first["row"] - 1
    assert (first["gold"], first["predicted"], first["words"]) == (gold[index], predicted[index], data[index]["tokens"])
    assert json.loads(json.dumps(details, allow_nan=False)) == details
    assert tagger().evaluate(logits, found, data, details=True) == evaluation


def test_the_interval_resamples_sentences(tokenizer: Callable[[str], Any]) -> None:
    """Against a plain bootstrap that draws sentences and lets seqeval score them."""
    found, logits, data, gold, predicted = noisy(tokenizer("bert"), 40)
    low, high = tagger().evaluate(logits, found, data, details=True).details["intervals"]["strict_f1"]
    rng = np.random.default_rng(5)
    drawn = []
    for _ in range(300):
        chosen = rng.integers(0, 40, size=40)
        drawn.append(entity_scores([gold[i] for i in chosen], [predicted[i] for i in chosen])["strict_f1"])
    wanted = np.percentile(drawn, [2.5, 97.5])
    assert [low, high] == pytest.approx(wanted.tolist(), abs=0.03)


def test_a_thousand_resamples_of_two_thousand_sentences_take_less_than_a_second(
    tokenizer: Callable[[str], Any],
) -> None:
    found, logits, data, _, _ = noisy(tokenizer("bert"), 2000)
    plain = time.process_time()
    tagger().evaluate(logits, found, data)
    plain = time.process_time() - plain
    started = time.process_time()
    tagger().evaluate(logits, found, data, details=True)
    assert time.process_time() - started - plain < 1


def test_sentences_without_words_or_pieces_are_scored(tokenizer: Callable[[str], Any]) -> None:
    gold = [[], [0, 3], [3], []]
    data = rows([[], ["cat", "anna"], ["\u200b"], []], gold)
    found = tagger().encode(data, tokenizer("bert"), 16)
    evaluation = tagger().evaluate(certain(found, gold), found, data, details=True)
    assert evaluation.metrics["recall"] == 0.5
    assert evaluation.metrics["token_accuracy"] == pytest.approx(2 / 3)
    assert evaluation.details["empty_words"] == 1
    assert [prediction.label for prediction in tagger().decode(certain(found, gold), found, data)] == [
        [], ["O", "B-PER"], ["O"], [],
    ]  # fmt: skip


def test_no_rows_have_no_scores(tokenizer: Callable[[str], Any]) -> None:
    found = tagger().encode(rows([["cat"]], [[0]]).select([]), tokenizer("bert"), 16)
    assert tagger().evaluate([], found, rows([["cat"]], [[0]]).select([])).metrics == {}


# -- decoding ------------------------------------------------------------------------------------------------------


def test_entities_are_named_with_their_characters(tokenizer: Callable[[str], Any]) -> None:
    words, gold = ["anna", "is", "in", "new", "york", "city"], [[3, 0, 0, 1, 2, 4]]
    data = rows([words], gold)
    found = tagger().encode(data, tokenizer("bert"), 32)
    (prediction,) = tagger().decode(certain(found, gold), found, data)
    keys = ("type", "text", "first", "last")
    spelt = [tuple(entity[key] for key in keys) for entity in prediction.entities or []]
    assert spelt == [("PER", "anna", 0, 0), ("LOC", "new york", 3, 4)]
    for entity in prediction.entities or []:
        assert prediction.text[entity["start"] : entity["end"]] == entity["text"]
        assert 0.9 < entity["score"] <= 1


# -- baseline ------------------------------------------------------------------------------------------------------


def test_the_most_frequent_tagger_answers_by_word() -> None:
    train = rows([["anna", "in", "york"], ["york", "york", "tie"], ["tie", "in"]], [[3, 0, 1], [1, 2, 4], [1, 0]])
    test = rows([["anna", "york", "tie", "unseen"]], [[3, 1, 1, 3]])
    found = most_frequent_tagger(train, test, LABELS)
    wanted = entity_scores([["B-PER", "B-LOC", "B-LOC", "B-PER"]], [["B-PER", "B-LOC", "B-LOC", "O"]])
    assert found == pytest.approx(wanted)
    assert found["recall"] == 0.75
