"""Scores of stretches of words (GlobalPointer): head, loss, reading, and a run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.scheme import IOB2, Entities

from core.config import Plan, TaskConfig
from core.data.tasks import task_for
from core.data.tasks.base import Encoded
from core.data.tasks.heads import cut_logits
from core.data.tasks.pointer_spans import Stretch, covered, flat
from core.data.tasks.tagging import WordWindow
from core.models import load_finished, predict
from core.models.pointer.scorer import LOWEST
from core.models.pointer.spans import SpanPointer, rotated
from core.models.prediction import ListRows
from core.training import MemoryContext, Outcome, train
from core.training.engine import Engine
from core.training.evaluation import distinct_predictions, entropy_share, role_logits
from core.training.intervals import majority_score
from core.training.prepare import prepare

LABELS = ["O", "B-LOC", "I-LOC", "B-PER", "I-PER"]
SETTINGS = {"size": 6, "relative": True, "types": 2, "dropout": 0.0}
tag_lists = st.lists(st.sampled_from(LABELS), min_size=1, max_size=9)


class Pad:
    pad_token_id = 0


def tagger() -> Any:
    task = {"kind": "tagging", "head": "pointer", "pointer": {"kind": "global"}}
    return task_for(TaskConfig.model_validate(task), LABELS)


def feature_of(tags: list[str], first: int = 0, last: int | None = None, own: int = 0) -> Encoded:
    """Return a window that shows words first … last and answers for those from `own` on."""
    found = Encoded([], [], [])
    words = np.arange(first, len(tags) if last is None else last + 1, dtype=np.int32)
    ids = np.array([LABELS.index(tag) for tag in tags], dtype=np.int64)
    window = WordWindow([0] * (len(words) + 2), words - first + 1, words, words >= own, ids)
    found.features.append(tagger()._feature(window, found))
    found.lengths.append(len(words) + 2)
    found.owner.append(0)
    return found


def rows_of(tags: list[str]) -> ListRows:
    return ListRows({"tokens": [["x"] * len(tags)], "tags": [[LABELS.index(tag) for tag in tags]]})


def strict(tags: list[str]) -> set[tuple[str, int, int]]:
    return {(one.tag, one.start, one.end - 1) for one in Entities([tags], IOB2).entities[0]}


@pytest.mark.parametrize("relative", [True, False])
def test_scores_equal_the_formula(relative: bool) -> None:
    head = SpanPointer(5, {**SETTINGS, "relative": relative})
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.normal_(generator=torch.Generator().manual_seed(parameter.numel()))
    hidden = torch.randn(2, 7, 5, generator=torch.Generator().manual_seed(0))
    words = torch.tensor([[1, 2, 4, 5], [3, 4, -1, -1]])
    scores = head(hidden, words=words).reshape(2, 4, 4, 2)
    for row in range(2):
        for first in range(4):
            for last in range(4):
                if words[row, first] < 0 or words[row, last] < 0 or last < first:
                    assert (scores[row, first, last] == LOWEST).all()
                    continue
                sides = [hidden[row, words[row, place]] for place in (first, last)]
                query, key = ([linear(side) for side in sides] for linear in (head.query, head.key))
                turned = [query[0], key[1]]
                if relative:
                    line = torch.zeros(2, 4, 6)
                    line[0, first], line[1, last] = turned
                    turned = [rotated(line)[0, first], rotated(line)[1, last]]
                wanted = turned[0] @ turned[1] / 6**0.5 + head.first(torch.cat([query[0], key[0]]))
                wanted = wanted + head.last(torch.cat([query[1], key[1]]))
                torch.testing.assert_close(scores[row, first, last], wanted, atol=1e-5, rtol=1e-5)
    scores[scores > LOWEST].sum().backward()
    assert all(one.grad is not None and one.grad.any() for one in head.parameters())


def test_rotations_depend_on_distances_alone() -> None:
    line = torch.randn(2, 1, 8, generator=torch.Generator().manual_seed(0)).expand(2, 9, 8)
    query, key = rotated(line)
    products = query @ key.T
    for distance in range(-8, 9):
        same = products.diagonal(distance)
        torch.testing.assert_close(same, same[:1].expand_as(same), atol=1e-5, rtol=1e-5)
    assert products[0].std() > 0.01
    torch.testing.assert_close(query.norm(dim=-1), line[0].norm(dim=-1))


def test_the_loss_is_that_of_the_paper_by_a_loop() -> None:
    tags = ["O", "B-PER", "I-PER", "B-LOC"]
    encoded = feature_of(tags)
    task = tagger()
    batch = task.collate([*encoded.features, *feature_of(["B-LOC"]).features], Pad())
    logits = torch.randn(2, 4, 4, 2, generator=torch.Generator().manual_seed(1))
    weights = torch.tensor([1.0, 2.0, 1.0, 0.5, 1.0])
    total, weight = task.loss(logits.flatten(2), batch["labels"])
    heavy, more = task.loss(logits.flatten(2), batch["labels"], class_weights=weights)
    gold = ({(3, 3, 0), (1, 2, 1)}, {(0, 0, 0)})
    each = np.zeros((2, 2))
    for row, words in ((0, 4), (1, 1)):
        for kind in range(2):
            none = some = 1.0
            for first in range(words):
                for last in range(first, words):
                    score = float(logits[row, first, last, kind])
                    if (first, last, kind) in gold[row]:
                        some += np.exp(-score)
                    else:
                        none += np.exp(score)
            each[row, kind] = np.log(none) + np.log(some)
    assert float(total) == pytest.approx(each.sum(), rel=1e-5)
    assert float(weight) == 4
    assert float(heavy) == pytest.approx((each * [2.0, 0.5]).sum(), rel=1e-5)
    assert float(more) == 5
    cut = cut_logits(logits[0].flatten(1).numpy(), encoded.features[0], 0)
    found = task.evaluate([cut], encoded, rows_of(tags), details=True)
    assert found.metrics["loss"] == pytest.approx(each[0].mean(), rel=1e-5)
    assert set(found.metrics) == set(task.metric_names)
    assert "span_f1" in found.details["intervals"]
    assert task.label_counts(encoded) == [1, 1, 0, 1, 1]


@given(tag_lists)
@settings(deadline=None)
def test_sure_of_the_gold_scores_one(tags: list[str]) -> None:
    encoded = feature_of(tags)
    (feature,) = encoded.features
    words = len(tags)
    scores = np.full((words, words, 2), -50.0)
    for first, last, kind in feature["labels"]:
        scores[first, last, kind] = 50.0
    task = tagger()
    metrics = task.evaluate([scores.reshape(words, -1)], encoded, rows_of(tags)).metrics
    assert metrics["loss"] == pytest.approx(0.0, abs=1e-9)
    assert metrics["strict_f1"] == metrics["span_f1"] == (1.0 if strict(tags) else 0.0)
    (answer,) = task.decode([scores.reshape(words, -1)], encoded, rows_of(tags))
    assert strict(answer.label) == strict(tags)
    assert {(one["type"], one["first"], one["last"]) for one in answer.spans} == strict(tags)


def test_windows_answer_for_what_begins_with_their_own_words() -> None:
    tags = ["B-PER", "I-PER", "O", "B-LOC", "I-LOC"]
    assert feature_of(tags, 0, 3).lost == 1  # the place ends outside
    second = feature_of(tags, 2, 4, own=3)
    assert second.features[0]["labels"] == [[1, 2, 0]]
    gold = tagger().collate(second.features, Pad())["labels"].reshape(3, 3, 2)
    assert (gold[0] == -100).all()  # a word of another window
    assert gold[1, 2].tolist() == [1, 0]


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 3), st.floats(0.1, 9)), max_size=8))
def test_flat_stretches_do_not_overlap_and_nothing_better_was_left_out(drawn: list[tuple[int, int, float]]) -> None:
    given_ = [Stretch(first, first + size, "A", score) for first, size, score in drawn]
    kept = flat(given_)
    words = [word for one in kept for word in range(one.first, one.last + 1)]
    assert len(words) == len(set(words))
    for one in given_:
        if one not in kept:
            over = [other for other in kept if one.first <= other.last and other.first <= one.last]
            assert max(other.score for other in over) >= one.score


def test_what_covers_a_word_is_the_best_stretch_over_it() -> None:
    scores = np.random.default_rng(0).normal(size=(6, 6, 2))
    scores[np.tril_indices(6, -1)] = LOWEST
    wanted = [
        max(scores[first, last].max() for first in range(word + 1) for last in range(word, 6)) for word in range(6)
    ]
    np.testing.assert_allclose(covered(scores), wanted)


def test_a_run_learns_saves_and_answers(pointer_plan: Callable[..., Plan], ground: Path, tmp_path: Path) -> None:
    plan = pointer_plan(pointer={"kind": "global"}, epochs=40, lr=5e-3, head_lr=5e-3)
    run = MemoryContext(tmp_path / "run", ground / "cache")
    assert train(plan, run) is Outcome.FINISHED
    metrics = json.loads((run.folder / "results.json").read_text())["metrics"]
    assert metrics["test/strict_f1"] > 0.8
    best = load_finished(run.folder / "best")
    texts = ["the cat was anna inc and sad paris york"]
    first, again = (predict(model, texts) for model in (best, run.folder / "best"))
    assert first[0].as_dict() == again[0].as_dict()
    assert {"type": "PER", "first": 3, "last": 4} in [
        {name: one[name] for name in ("type", "first", "last")} for one in first[0].spans
    ]
    with pytest.raises(ValueError, match="smooths labels"):
        pointer_plan(pointer={"kind": "global"}, label_smoothing=0.1)
    with pytest.raises(ValueError, match="must be even"):
        pointer_plan(pointer={"kind": "global", "size": 7})


def test_guards_and_gates_can_look_at_stretches(pointer_plan: Callable[..., Plan], ground: Path) -> None:
    prepared = prepare(pointer_plan(pointer={"kind": "global"}), ground / "cache")
    encoded, task = prepared.encoded["gate"], prepared.plan.task
    engine = Engine(prepared)
    with engine.scoring():
        together = role_logits(engine.scorer("gate"), encoded)
        alone = role_logits(engine.scorer("gate"), encoded, tokens=1)
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    assert 0.0 < entropy_share(alone, encoded, task) <= 1.0 + 1e-9
    silent = [np.full_like(one, -9.0) for one in alone]
    assert distinct_predictions(silent, task) == 1
    knowing = majority_score(prepared.task, "loss", prepared.roles, encoded)
    assert knowing is not None
    flat_loss = prepared.task.evaluate([np.zeros_like(one) for one in alone], encoded, prepared.roles.gate)
    assert 0.0 < knowing < flat_loss.metrics["loss"]
    prepared.release()
