"""Tags as pointers and back, reading of windows, loss and scores of a tagger that points."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import get_entities
from seqeval.scheme import IOB2, Entities
from torch.nn import functional

from core.config import TaskConfig
from core.data.tasks import task_for
from core.data.tasks.base import Encoded
from core.data.tasks.heads import cut_logits
from core.data.tasks.pointer_decoding import NOWHERE, pointed_entities, pointers_of
from core.data.tasks.tagging import IGNORED, WordWindow
from core.models.pointer.scorer import LOWEST
from core.models.prediction import ListRows

LABELS = ["O", "B-LOC", "I-LOC", "B-PER", "I-PER"]
tag_lists = st.lists(st.sampled_from(LABELS), max_size=12)


def tagger(**pointer: Any) -> Any:
    return task_for(TaskConfig.model_validate({"kind": "tagging", "head": "pointer", "pointer": pointer}), LABELS)


def strict(tags: list[str]) -> set[tuple[str, int, int]]:
    found = Entities([tags], IOB2).entities[0]
    return {(entity.tag, entity.start, entity.end - 1) for entity in found}


@given(tag_lists)
def test_pointers_and_back_are_the_entities_of_seqeval(tags: list[str]) -> None:
    pointers = pointers_of(tags)
    found = {(tags[first][2:], first, last) for first, last in pointed_entities(pointers)}
    assert found == strict(tags)
    inside = {word for _, first, last in found for word in range(first, last + 1)}
    assert set(np.flatnonzero(pointers != NOWHERE).tolist()) == inside


@given(st.lists(st.integers(-1, 7), min_size=8, max_size=8))
def test_any_pointers_spell_entities_that_do_not_overlap(pointers: list[int]) -> None:
    found = pointed_entities(np.array(pointers))
    seen = Counter(word for first, last in found for word in range(first, last + 1))
    assert max(seen.values(), default=1) == 1
    for first, last in found:
        assert all(pointers[word] == first for word in range(first, last + 1))
        assert last == 7 or pointers[last + 1] != first


def windows(tags: list[str], bounds: list[tuple[int, int, int, int]]) -> Encoded:
    """Return windows that show words a … b and answer for c … d, as a tagger of LABELS makes them."""
    task, found = tagger(), Encoded([], [], [])
    ids = np.array([LABELS.index(tag) for tag in tags], dtype=np.int64)
    for first, last, own_first, own_last in bounds:
        words = np.arange(first, last + 1, dtype=np.int32)
        own = (words >= own_first) & (words <= own_last)
        window = WordWindow([0] * (len(words) + 2), words - first + 1, words, own, ids)
        found.features.append(task._feature(window, found))
        found.lengths.append(len(words) + 2)
        found.owner.append(0)
    return found


def gold_logits(encoded: Encoded, padding: int = 0) -> list[np.ndarray]:
    """Return logits that are sure of the gold, with words of padding."""
    found = []
    for feature in encoded.features:
        words = len(feature["places"])
        part = np.zeros((words + padding, 1 + words + padding + 2))
        part[:, 1 + words : 1 + words + padding] = LOWEST
        for row, (target, kind) in enumerate(feature["labels"][:, :2]):
            part[row, max(target, 0)] = 50.0
            part[row, 1 + words + padding + max(kind, 0)] = 50.0
        found.append(part)
    return found


@given(tag_lists.filter(bool), st.integers(0, 2))
@settings(deadline=None)
def test_sure_of_the_gold_scores_one(tags: list[str], padding: int) -> None:
    encoded = windows(tags, [(0, len(tags) - 1, 0, len(tags) - 1)])
    rows = ListRows({"tokens": [["x"] * len(tags)], "tags": [[LABELS.index(tag) for tag in tags]]})
    task = tagger()
    # Padding of words stands between words and types: it is cut as the engine cuts it.
    cut = [cut_logits(part, one, 0) for part, one in zip(gold_logits(encoded, padding), encoded.features, strict=True)]
    assert all(part.shape == (len(tags), 1 + len(tags) + 2) for part in cut)
    metrics = task.evaluate(cut, encoded, rows).metrics
    assert metrics["pointer_accuracy"] == 1.0
    assert metrics["loss"] == pytest.approx(0.0, abs=1e-9)
    assert metrics["strict_f1"] == (1.0 if strict(tags) else 0.0)
    (answer,) = task.decode(cut, encoded, rows)
    assert strict(answer.label) == strict(tags)
    assert set(metrics) == set(task.metric_names)


def test_windows_that_do_not_show_the_first_word_do_not_count() -> None:
    tags = ["O", "B-PER", "I-PER", "I-PER", "I-PER", "O", "B-LOC", "O"]
    encoded = windows(tags, [(0, 3, 0, 3), (4, 7, 4, 7)])
    assert encoded.lost == 1
    assert encoded.features[1]["labels"].tolist()[0] == [IGNORED] * 3
    assert encoded.features[1]["labels"][2].tolist() == [3, 0, 1]
    rows = ListRows({"tokens": [["x"] * 8], "tags": [[LABELS.index(tag) for tag in tags]]})
    found = tagger().evaluate(gold_logits(encoded), encoded, rows, details=True)
    assert found.metrics["pointer_accuracy"] == 7 / 8
    assert found.metrics["loss"] == pytest.approx(0.0, abs=1e-9)
    assert found.metrics["null_recall"] == 1.0
    assert found.metrics["null_precision"] == pytest.approx(3 / 4)
    assert found.metrics["precision"] == 0.5  # a name without its end, and the place
    assert set(found.details["intervals"]) >= {"pointer_accuracy", "null_precision", "strict_f1", "loss"}
    assert found.details["worst"][0]["pointers"] == [None, 1, 1, 1, None, None, 6, None]


def test_overlapping_windows_answer_together() -> None:
    tags = ["O", "B-PER", "I-PER", "I-PER", "O", "B-LOC", "I-LOC", "O"]
    encoded = windows(tags, [(0, 4, 0, 2), (1, 7, 3, 7)])
    rows = ListRows({"tokens": [["x"] * 8], "tags": [[LABELS.index(tag) for tag in tags]]})
    assert encoded.lost == 0
    assert tagger().evaluate(gold_logits(encoded), encoded, rows).metrics["strict_f1"] == 1.0


def batch_of(encoded: Encoded, task: Any) -> tuple[torch.Tensor, torch.Tensor]:
    class Pad:
        pad_token_id = 0

    labels = task.collate(encoded.features, Pad())["labels"]
    words = labels.shape[1]
    logits = torch.randn(len(labels), words, 1 + words + 2, generator=torch.Generator().manual_seed(0))
    for row, feature in enumerate(encoded.features):
        logits[row, :, 1 + len(feature["places"]) : 1 + words] = LOWEST
    return logits, labels


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weighted", [False, True])
def test_loss_is_the_sum_of_two_cross_entropies(smoothing: float, weighted: bool) -> None:
    """A loop over words with torch's own cross-entropy, over what can be pointed to and over types."""
    encoded = windows(["O", "B-PER", "I-PER", "O", "B-LOC"], [(0, 3, 0, 3), (3, 4, 4, 4)])
    task = tagger(type_weight=0.5)
    logits, labels = batch_of(encoded, task)
    weights = torch.tensor([0.5, 2.0, 1.0, 3.0, 4.0]) if weighted else None
    total, weight = task.loss(logits, labels, label_smoothing=smoothing, class_weights=weights)
    wanted, counted = 0.0, 0.0
    for row, feature in enumerate(encoded.features):
        words = len(feature["places"])
        for word, (target, kind, tag) in enumerate(feature["labels"].tolist()):
            if target == IGNORED:
                continue
            one = functional.cross_entropy(
                logits[row, word, : 1 + words], torch.tensor(target), label_smoothing=smoothing
            )
            if kind != IGNORED:
                one = one + 0.5 * functional.cross_entropy(
                    logits[row, word, -2:], torch.tensor(kind), label_smoothing=smoothing
                )
            share = 1.0 if weights is None else float(weights[tag])
            wanted, counted = wanted + share * float(one), counted + share
    assert float(total) == pytest.approx(wanted, rel=1e-5)
    assert float(weight) == pytest.approx(counted)


def test_mean_loss_of_an_evaluation_is_that_of_training() -> None:
    encoded = windows(["O", "B-PER", "I-PER", "O", "B-LOC"], [(0, 4, 0, 4)])
    task = tagger(type_weight=0.7)
    logits, labels = batch_of(encoded, task)
    total, weight = task.loss(logits, labels)
    rows = ListRows({"tokens": [["x"] * 5], "tags": [[0, 3, 4, 0, 1]]})
    assert task.evaluate(logits.numpy(), encoded, rows).metrics["loss"] == pytest.approx(float(total / weight))
    assert task.label_counts(encoded) == [2, 1, 0, 1, 1]


def test_what_a_sentence_contains_is_learnt_and_scored() -> None:
    """A loop with torch's own binary cross-entropy; the evaluation's loss is that of training."""
    tags = ["B-PER", "I-PER", "O", "B-PER", "O", "B-LOC"]
    ids = np.array([LABELS.index(tag) for tag in tags], dtype=np.int64)
    task, plain, encoded = tagger(sentence_weight=0.5), tagger(), Encoded([], [], [])
    for first, last in ((0, 3), (4, 5)):  # the first window shows no place
        words = np.arange(first, last + 1, dtype=np.int32)
        window = WordWindow([0] * 6, words - first + 1, words, np.ones(len(words), dtype=bool), ids)
        encoded.features.append(task._feature(window, encoded))
        encoded.lengths.append(6)
        encoded.owner.append(0)
    logits = torch.randn(2, 4, 5 + 4, generator=torch.Generator().manual_seed(0))
    logits[1, :, 3:5] = LOWEST
    logits[:, :, 7:] = logits[:, :1, 7:]  # the same for all words
    labels = task.collate(encoded.features, type("Pad", (), {"pad_token_id": 0})())["labels"]
    total, weight = task.loss(logits, labels)
    bare, _ = plain.loss(logits[..., :7], labels[..., :3])
    wanted = float(bare)
    for row, (has, words) in enumerate((([0.0, 1.0], 4), ([1.0, 0.0], 2))):
        told = functional.binary_cross_entropy_with_logits(logits[row, 0, 7:], torch.tensor(has))
        wanted += words * 0.5 * float(told)
    assert float(total) == pytest.approx(wanted, rel=1e-5)
    cut = [cut_logits(part, one, 0) for part, one in zip(logits.numpy(), encoded.features, strict=True)]
    rows = ListRows({"tokens": [["x"] * 6], "tags": [ids.tolist()]})
    found = task.evaluate(cut, encoded, rows, details=True)
    assert found.metrics["loss"] == pytest.approx(float(total / weight))
    assert set(found.metrics) == set(task.metric_names)
    sure = gold_logits(encoded)
    told = [np.full((len(part), 2), -9.0) for part in sure]
    told[0][:, 1] = told[1][:, 0] = 9.0
    full = [np.concatenate([part, more], axis=1) for part, more in zip(sure, told, strict=True)]
    metrics = task.evaluate(full, encoded, rows).metrics
    assert (metrics["sentence_accuracy"], metrics["frame_accuracy"]) == (1.0, 1.0)
    (answer,) = task.decode(full, encoded, rows)
    assert {name: share > 0.5 for name, share in answer.contains.items()} == {"LOC": True, "PER": True}
    full[1][:, -2:] = -9.0
    metrics = task.evaluate(full, encoded, rows).metrics
    assert (metrics["sentence_accuracy"], metrics["frame_accuracy"], metrics["strict_f1"]) == (0.0, 0.0, 1.0)


def test_answers_keep_to_the_tags_that_there_are() -> None:
    """No entity of the data has a second word: none is answered with one."""
    task = task_for(TaskConfig.model_validate({"kind": "tagging", "head": "pointer"}), ["O", "B-PER"])
    logits = np.zeros((3, 5))
    logits[:, 1] = 9.0
    features = [{"input_ids": [0] * 5, "words": np.arange(3), "places": np.arange(1, 4), "own": np.ones(3, dtype=bool)}]
    (found,) = task.decode([logits], Encoded(features, [5], [0]), ListRows({"tokens": [["a", "b", "c"]]}))
    assert found.label == ["B-PER", "O", "O"]
    assert get_entities(found.label) == [("PER", 0, 0)]
    assert found.pointers == [0, 0, 0]
