from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from core.config import TaskConfig
from core.data.tasks import Encoded, Task, task_for

LABELS = ["good", "bad", "so so"]
TEXTS = ["the film was good", "", "a dull story " * 20, "这电影很好", "no"]


def single() -> Task:
    return task_for(TaskConfig(), LABELS)


def several(threshold: float = 0.5) -> Task:
    return task_for(TaskConfig(multi_label=True, threshold=threshold), LABELS)


def rows(**columns: list[Any]) -> Dataset:
    count = len(next(iter(columns.values())))
    return Dataset.from_dict({"row": list(range(1, count + 1)), "source": ["file"] * count, **columns})


def encoded(gold: list[Any]) -> Encoded:
    features = [{"input_ids": [2, 3], "labels": label} for label in gold]
    return Encoded(features, [2] * len(gold), list(range(len(gold))))


# -- encoding ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["bert", "roberta", "deberta-v2", "modernbert"])
def test_pieces_are_those_of_the_tokenizer(tokenizer: Callable[[str], Any], family: str) -> None:
    one = tokenizer(family)
    found = single().encode(rows(text=TEXTS, label=[0, 1, 2, 0, 1]), one, 16)
    wanted = one(TEXTS, truncation=True, max_length=16)["input_ids"]
    assert [feature["input_ids"] for feature in found.features] == wanted
    assert found.lengths == [len(ids) for ids in wanted]
    assert found.owner == [0, 1, 2, 3, 4]
    assert [feature["labels"] for feature in found.features] == [0, 1, 2, 0, 1]
    assert found.cut == sum(len(ids) > 16 for ids in one(TEXTS)["input_ids"])


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_pairs_are_cut_from_the_longer_text(tokenizer: Callable[[str], Any], family: str) -> None:
    one, other = ["good film", "cat " * 30, ""], ["a great movie", "dog " * 20, "no"]
    found = single().encode(rows(text=one, text_pair=other, label=[0, 1, 2]), tokenizer(family), 16)
    wanted = tokenizer(family)(one, other, truncation="longest_first", max_length=16)
    assert [feature["input_ids"] for feature in found.features] == wanted["input_ids"]
    types = [feature["token_type_ids"] for feature in found.features if "token_type_ids" in feature]
    assert types == wanted.get("token_type_ids", [])


def test_encoding_leaves_the_tokenizer_as_it_was(tokenizer: Callable[[str], Any]) -> None:
    one = tokenizer("bert")
    one.backend_tokenizer.enable_truncation(5)
    one.backend_tokenizer.enable_padding(length=9)
    before = one.backend_tokenizer.truncation, one.backend_tokenizer.padding
    assert single().encode(rows(text=["a"], label=[0]), one, 32).lengths == [3]
    assert (one.backend_tokenizer.truncation, one.backend_tokenizer.padding) == before


def test_rows_without_labels_are_encoded_for_prediction(tokenizer: Callable[[str], Any]) -> None:
    found = single().encode(rows(text=TEXTS), tokenizer("bert"), 16, labelled=False)
    assert all("labels" not in feature for feature in found.features)
    assert "labels" not in single().collate(found.features, tokenizer("bert"))


def test_features_are_plain_data(tokenizer: Callable[[str], Any]) -> None:
    for task, column in ((single(), {"label": [0, 1, 2, 0, 1]}), (several(), {"labels": [[0], [], [1, 2], [2], [0]]})):
        found = task.encode(rows(text=TEXTS, **column), tokenizer("bert"), 16)
        assert json.loads(json.dumps(found.features)) == found.features


def test_more_rows_than_a_batch_stay_in_order(tokenizer: Callable[[str], Any]) -> None:
    texts = [f"word {index}" for index in range(2500)]
    found = single().encode(rows(text=texts, label=[index % 3 for index in range(2500)]), tokenizer("bert"), 16)
    assert [feature["input_ids"] for feature in found.features] == tokenizer("bert")(texts)["input_ids"]
    assert [feature["labels"] for feature in found.features] == [index % 3 for index in range(2500)]


# -- collation -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_collation_pads_as_the_tokenizer_does(tokenizer: Callable[[str], Any], family: str) -> None:
    one = tokenizer(family)
    found = single().encode(rows(text=TEXTS, label=[0, 1, 2, 0, 1]), one, 16)
    batch = single().collate(found.features, one)
    wanted = one(TEXTS, truncation=True, max_length=16, padding=True, return_tensors="pt")
    assert torch.equal(batch["input_ids"], wanted["input_ids"])
    assert torch.equal(batch["attention_mask"], wanted["attention_mask"])
    assert batch["labels"].tolist() == [0, 1, 2, 0, 1]
    assert batch["labels"].dtype is torch.int64


def test_collation_pads_to_a_given_length(tokenizer: Callable[[str], Any]) -> None:
    found = single().encode(rows(text=["good", "good film"], label=[0, 1]), tokenizer("bert"), 16)
    assert single().collate(found.features, tokenizer("bert"), pad_to=12)["input_ids"].shape == (2, 12)
    assert single().collate(found.features, tokenizer("bert"), pad_to=2)["input_ids"].shape == (2, 4)


def test_several_labels_are_collated_as_a_matrix(tokenizer: Callable[[str], Any]) -> None:
    found = several().encode(rows(text=["a", "b", "c"], labels=[[0, 2], [], [1]]), tokenizer("bert"), 16)
    batch = several().collate(found.features, tokenizer("bert"))
    assert batch["labels"].tolist() == [[1, 0, 1], [0, 0, 0], [0, 1, 0]]
    assert batch["labels"].dtype is torch.float32
    assert several().label_counts(found) == [1, 1, 1]


# -- loss ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.7])
@pytest.mark.parametrize("weights", [None, [0.2, 1.0, 3.5]])
def test_the_loss_is_torchs_cross_entropy(smoothing: float, weights: list[float] | None) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(9, 3, generator=generator)
    labels = torch.tensor([0, 1, 2, 0, 1, 2, 0, 0, 1])
    weight = None if weights is None else torch.tensor(weights)
    total, norm = single().loss(logits, labels, label_smoothing=smoothing, class_weights=weight)
    wanted = torch.nn.CrossEntropyLoss(weight=weight, label_smoothing=smoothing)(logits, labels)
    assert (total / norm).item() == pytest.approx(wanted.item(), rel=1e-6)


@pytest.mark.parametrize("task", [single(), several()])
@pytest.mark.parametrize("weights", [None, [0.2, 1.0, 3.5]])
def test_micro_batches_add_up_to_the_batch(task: Task, weights: list[float] | None) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(9, 3, generator=generator, dtype=torch.float32)
    labels = torch.randint(0, 3, (9,), generator=generator)
    if task.primary_metric == "micro_f1":
        labels = torch.nn.functional.one_hot(labels, 3).float()
    weight = None if weights is None else torch.tensor(weights)
    options: dict[str, Any] = {"label_smoothing": 0.1, "class_weights": weight}
    whole = task.loss(logits, labels, **options)
    parts = [task.loss(logits[cut], labels[cut], **options) for cut in (slice(0, 2), slice(2, 3), slice(3, 9))]
    assert sum(part[0].item() for part in parts) == pytest.approx(whole[0].item(), rel=1e-5)
    assert sum(part[1].item() for part in parts) == pytest.approx(whole[1].item(), rel=1e-6)


def test_the_loss_of_several_labels_is_torchs_binary_cross_entropy() -> None:
    generator = torch.Generator().manual_seed(0)
    logits, labels = torch.randn(7, 3, generator=generator), torch.randint(0, 2, (7, 3), generator=generator).float()
    total, norm = several().loss(logits, labels)
    assert (total / norm).item() == pytest.approx(torch.nn.BCEWithLogitsLoss()(logits, labels).item(), rel=1e-6)
    weight = torch.tensor([1.0, 0.0, 0.0])
    total, norm = several().loss(logits, labels, class_weights=weight)
    wanted = torch.nn.BCEWithLogitsLoss()(logits[:, 0], labels[:, 0])
    assert (total / norm).item() == pytest.approx(wanted.item(), rel=1e-6)


@pytest.mark.parametrize(("multi", "target"), [(False, "label"), (True, "labels")])
def test_the_loss_is_the_one_that_stock_transformers_computes(
    tokenizer: Callable[[str], Any], multi: bool, target: str
) -> None:
    from transformers import AutoModelForSequenceClassification, BertConfig

    task = several() if multi else single()
    config = BertConfig(
        vocab_size=300, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        **task.model_kwargs(),
    )  # fmt: skip
    model = AutoModelForSequenceClassification.from_config(config).eval()
    gold: list[Any] = [[0, 1], [], [2]] if multi else [0, 2, 1]
    found = task.encode(rows(text=["good", "the film", "no"], **{target: gold}), tokenizer("bert"), 16)
    batch = task.collate(found.features, tokenizer("bert"))
    with torch.no_grad():
        output = model(**batch)
    total, norm = task.loss(output.logits, batch["labels"])
    assert (total / norm).item() == pytest.approx(output.loss.item(), rel=1e-6)


def test_the_loss_of_half_precision_logits_is_computed_in_float32() -> None:
    total, norm = single().loss(torch.randn(4, 3).bfloat16(), torch.tensor([0, 1, 2, 0]))
    assert (total.dtype, norm.dtype) == (torch.float32, torch.float32)


# -- scores --------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=2, max_size=40))
def test_scores_equal_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    gold, predicted = (list(column) for column in zip(*pairs, strict=True))
    logits = [np.eye(3)[label] * 2 for label in predicted]
    found = single().evaluate(logits, encoded(gold), rows(text=["x"] * len(gold))).metrics
    assert set(found) == set(single().metric_names)
    assert found["accuracy"] == pytest.approx(sk.accuracy_score(gold, predicted))
    assert found["macro_f1"] == pytest.approx(sk.f1_score(gold, predicted, average="macro", zero_division=0))
    if len({*gold, *predicted}) > 1:
        assert found["mcc"] == pytest.approx(sk.matthews_corrcoef(gold, predicted), abs=1e-9)
    share = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert found["loss"] == pytest.approx(sk.log_loss(gold, share, labels=[0, 1, 2]))


SETS = st.lists(st.tuples(*[st.booleans()] * 6), min_size=1, max_size=30)


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=40, deadline=None)
@given(SETS)
def test_scores_of_several_labels_equal_scikit_learn(bits: list[tuple[bool, ...]]) -> None:
    gold = np.array([row[:3] for row in bits], dtype=int)
    predicted = np.array([row[3:] for row in bits], dtype=int)
    logits = [np.where(row == 1, 1.5, -1.5) for row in predicted]
    found = several().evaluate(logits, encoded(gold.astype(float).tolist()), rows(text=["x"] * len(gold))).metrics
    assert set(found) == set(several().metric_names)
    assert found["accuracy"] == pytest.approx(sk.accuracy_score(gold, predicted))
    for average in ("micro", "macro"):
        wanted = sk.f1_score(gold, predicted, average=average, zero_division=0)
        assert found[f"{average}_f1"] == pytest.approx(wanted)
    logit = torch.from_numpy(np.stack(logits))
    wanted = torch.nn.functional.binary_cross_entropy_with_logits(logit, torch.from_numpy(gold).double())
    assert found["loss"] == pytest.approx(wanted.item())


def noisy(count: int, seed: int = 0) -> tuple[list[np.ndarray], list[int]]:
    rng = np.random.default_rng(seed)
    gold = rng.choice(3, size=count, p=[0.6, 0.3, 0.1])
    return list(rng.normal(size=(count, 3)) + np.eye(3)[gold]), gold.tolist()


def test_details_hold_what_a_page_shows() -> None:
    logits, gold = noisy(400)
    data = rows(text=[f"text {index}" for index in range(400)], label=gold)
    found = single().evaluate(logits, encoded(gold), data, details=True)
    predicted = [int(row.argmax()) for row in logits]
    details = found.details
    assert details["confusion"] == {"labels": LABELS, "matrix": sk.confusion_matrix(gold, predicted).tolist()}
    for name in single().metric_names:
        low, high = details["intervals"][name]
        assert low < found.metrics[name] < high
    precision, recall, f1, support = sk.precision_recall_fscore_support(gold, predicted)
    for index, entry in enumerate(details["per_label"]):
        assert entry["label"] == LABELS[index]
        assert [entry[key] for key in ("precision", "recall", "f1", "support")] == pytest.approx(
            [precision[index], recall[index], f1[index], support[index]]
        )
        assert entry["interval"][0] < entry["f1"] < entry["interval"][1]
    assert (details["majority_label"], details["majority"]) == ("good", gold.count(0) / 400)
    assert details["n"] == 400
    assert json.loads(json.dumps(details, allow_nan=False)) == details


def test_the_worst_predictions_are_those_with_the_highest_loss() -> None:
    logits, gold = noisy(200)
    data = rows(text=[f"text {index}" for index in range(200)], label=gold)
    worst = single().evaluate(logits, encoded(gold), data, details=True).details["worst"]
    losses = torch.nn.functional.cross_entropy(
        torch.from_numpy(np.stack(logits)), torch.tensor(gold), reduction="none"
    ).numpy()
    order = np.argsort(-losses)[:50]
    assert [entry["row"] for entry in worst] == (order + 1).tolist()
    assert [entry["loss"] for entry in worst] == pytest.approx(losses[order].tolist())
    first, index = worst[0], int(order[0])
    assert (first["text"], first["gold"], first["source"]) == (f"text {index}", LABELS[gold[index]], "file")
    assert first["predicted"] == LABELS[int(logits[index].argmax())]


def test_the_worst_predictions_of_pairs_show_both_texts_and_long_texts_are_shortened() -> None:
    data = rows(text=["x" * 5000, "a"], text_pair=["b", "c"], label=[0, 1])
    logits = [np.zeros(3), np.zeros(3)]
    worst = single().evaluate(logits, encoded([0, 1]), data, details=True).details["worst"]
    assert len(worst[0]["text"]) == 1001
    assert worst[1]["text"] == "a | c"


def test_details_of_several_labels() -> None:
    rng = np.random.default_rng(0)
    gold = (rng.random((300, 3)) < 0.3).astype(float)
    logits = list(rng.normal(size=(300, 3)) + 2 * gold - 1)
    data = rows(text=["x"] * 300)
    found = several().evaluate(logits, encoded(gold.tolist()), data, details=True)
    for name in several().metric_names:
        low, high = found.details["intervals"][name]
        assert low < found.metrics[name] < high
    assert "confusion" not in found.details
    assert found.details["majority_label"] == []
    assert found.details["majority"] == pytest.approx((gold.sum(axis=1) == 0).mean())
    assert all(isinstance(entry["gold"], list) for entry in found.details["worst"])
    assert json.loads(json.dumps(found.details, allow_nan=False)) == found.details


def test_the_same_predictions_have_the_same_intervals() -> None:
    logits, gold = noisy(100)
    data = rows(text=["x"] * 100, label=gold)
    first, second = (single().evaluate(logits, encoded(gold), data, details=True) for _ in range(2))
    assert first == second


def test_a_thousand_resamples_of_two_thousand_rows_take_less_than_a_second() -> None:
    logits, gold = noisy(2000)
    data = rows(text=["x"] * 2000, label=gold)
    started = time.process_time()
    single().evaluate(logits, encoded(gold), data, details=True)
    assert time.process_time() - started < 1


def test_no_rows_have_no_scores() -> None:
    assert single().evaluate([], encoded([]), rows(text=[])).metrics == {}
    assert single().decode([], encoded([]), rows(text=[])) == []


def test_extreme_logits_give_finite_scores() -> None:
    logits = [np.array([1e4, -1e4, 0.0]), np.array([-1e4, 1e4, 0.0])]
    for task, gold in ((single(), [1, 1]), (several(), [[0.0, 1.0, 0.0], [0.0, 1.0, 1.0]])):
        found = task.evaluate(logits, encoded(gold), rows(text=["a", "b"]), details=True)
        assert all(np.isfinite(value) for value in found.metrics.values())


# -- decoding ------------------------------------------------------------------------------------------------------


def test_the_most_probable_label_is_the_answer() -> None:
    logits = [np.array([0.0, 2.0, 1.0]), np.array([3.0, 0.0, 0.0])]
    first, second = single().decode(logits, encoded([0, 0]), rows(text=["a", "b"]))
    assert (first.text, first.label, second.label) == ("a", "bad", "good")
    assert sum(first.scores.values()) == pytest.approx(1)
    wanted = torch.tensor(logits[0]).softmax(-1).tolist()
    assert list(first.scores.values()) == pytest.approx(wanted)


def test_labels_that_reach_the_threshold_are_the_answer() -> None:
    logits = [np.array([0.0, 2.0, -3.0])]
    shares = torch.tensor(logits[0]).sigmoid().tolist()
    for threshold, wanted in ((0.5, ["good", "bad"]), (0.6, ["bad"]), (0.95, [])):
        (prediction,) = several(threshold).decode(logits, encoded([[0.0] * 3]), rows(text=["a"]))
        assert prediction.label == wanted
        assert list(prediction.scores.values()) == pytest.approx(shares)
