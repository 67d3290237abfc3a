"""What is shown of a head that points: shares, what the memory is made of, gold; kept while a run learns."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core.config import Plan, TaskConfig
from core.data.tasks import task_for
from core.data.tasks.base import Encoded
from core.data.tasks.pointer_view import gold_of, memory_shares, pointer_views, points
from core.errors import DataError, ModelError
from core.models import load_finished
from core.models.pointer.reading import reading
from core.models.pointing import point
from core.models.prediction import ListRows, predict
from core.runs.pointing import pointer_looks
from core.training import MemoryContext, Outcome, train
from core.training.context import Request
from core.training.pointing import FILE
from tests.tiny import tiny_encoder


def test_tasks_that_point() -> None:
    kinds = [{"kind": "tagging"}, {"kind": "tagging", "head": "pointer"}, {"kind": "dependency"}, {}]
    assert [points(TaskConfig.model_validate(one)) for one in kinds] == [False, True, True, False]


def test_a_memory_is_made_of_shares_times_values() -> None:
    """Against vectors: the norm of A v is A times the norm of v, and what is not read adds nothing."""
    rng = np.random.default_rng(0)
    values, shares = rng.normal(size=(4, 3)), rng.dirichlet(np.ones(4), size=5)
    parts = np.linalg.norm(shares[:, :, None] * values[None], axis=2)
    found = memory_shares(shares, np.linalg.norm(values, axis=1))
    assert found == pytest.approx(parts / parts.sum(axis=1, keepdims=True))
    assert memory_shares(shares, np.zeros(4)).tolist() == np.zeros((5, 4)).tolist()


def test_views_of_a_tagger_are_what_its_head_computes(trained: Callable[[str], Path]) -> None:
    """Against the parts of the head, called one by one."""
    finished = load_finished(trained("tagging") / "best")
    words = ["anna", "inc", "saw", "the", "cat"]
    (view,) = point(finished, [words])
    model = finished.model
    encoded = finished.task.encode(ListRows({"tokens": [words]}), finished.tokenizer, 32, labelled=False)
    batch = finished.task.collate(encoded.features, finished.tokenizer)
    with torch.inference_mode():
        states = model.base_model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"])[0]
        states = states[:, batch["words"][0]]
        shares = torch.softmax(model.pointer.scorer(states, torch.ones(1, 5, dtype=torch.bool)), dim=-1)
        values = torch.cat([model.pointer.memory.null[None], model.pointer.memory.value(states)[0]])
        each = (shares[0, :, :, None] * values[None]).norm(dim=-1)
        read = (shares[0] @ values).norm(dim=-1)
    assert np.array(view["shares"]) == pytest.approx(shares[0].numpy(), abs=1e-5)
    assert np.array(view["memory"]) == pytest.approx((each / each.sum(dim=1, keepdim=True)).numpy(), abs=1e-4)
    assert view["read"] == pytest.approx(read.tolist(), rel=1e-3)
    assert view["pointed"] == [1, 1, 0, 0, 0]
    assert (view["kind"], view["slot"], view["columns"]) == ("words", "no entity", words)
    assert view["names"] == ["PER", "PER", "", "", ""]
    (said,) = predict(finished, [words])
    assert view["contains"] == said.contains


def test_a_long_sentence_is_put_together_from_its_windows(trained: Callable[[str], Path]) -> None:
    finished = load_finished(trained("tagging") / "best")
    words = ["the", "cat", "anna"] * 20
    (view,) = point(finished, [words])
    shares = np.array(view["shares"])
    assert shares.shape == (60, 61)
    assert shares.sum(axis=1) == pytest.approx(np.ones(60))
    assert shares[0, 40:].tolist() == [0.0] * 21  # no window shows both
    assert view["pointed"][2] == 3


def test_views_of_a_question_add_up_the_sub_words_of_a_word(trained: Callable[[str], Path]) -> None:
    finished = load_finished(trained("question_answering") / "best")
    (view,) = point(finished, [["where", "xylo anna lives in paris"]])
    assert (view["kind"], view["rows"], view["slot"]) == ("question", ["start", "end"], "no answer")
    assert view["columns"] == ["xylo", "anna", "lives", "in", "paris"]  # xylo is four sub-words
    shares, memory = np.array(view["shares"]), np.array(view["memory"])
    assert shares.shape == (2, 6)
    assert memory.shape == (1, 6)
    assert shares.sum(axis=1) == pytest.approx(np.ones(2))
    assert memory.sum() == pytest.approx(1.0)
    (said,) = predict(finished, [["where", "xylo anna lives in paris"]])
    assert said.label == "paris"
    assert view["pointed"] == [5, 5]
    assert view["spans"][0]["first"] == view["spans"][0]["last"] == 4
    assert (shares.argmax(axis=1) == 5).all()
    row = {"context": "xylo anna lives in paris", "answers": ["lives in"], "starts": [10]}
    assert gold_of(finished.task, row, view)["pointed"] == [3, 4]
    assert gold_of(finished.task, row | {"answers": [], "starts": []}, view)["pointed"] == [0, 0]


def test_gold_of_tags_and_of_heads() -> None:
    tagger = task_for(TaskConfig.model_validate({"kind": "tagging", "head": "pointer"}), ["O", "B-A", "I-A"])
    view = {"kind": "words", "rows": ["x", "y", "z"], "contains": None}
    gold = gold_of(tagger, {"tags": [0, 1, 2]}, view)
    assert (gold["pointed"], gold["names"]) == ([0, 2, 2], ["", "A", "A"])
    spans = gold_of(tagger, {"tags": [0, 1, 2]}, view | {"kind": "stretches"})["spans"]
    assert spans == [{"first": 1, "last": 2, "name": "A"}]
    heads = task_for(TaskConfig.model_validate({"kind": "dependency"}), ["det", "root"])
    gold = gold_of(heads, {"heads": [2, 0], "relations": [0, -1]}, {"kind": "heads", "rows": ["a", "b"]})
    assert (gold["pointed"], gold["names"]) == ([2, 0], ["det", "?"])


def test_stretches_have_the_probability_of_their_best_type() -> None:
    config = {"kind": "tagging", "head": "pointer", "pointer": {"kind": "global"}}
    task = task_for(TaskConfig.model_validate(config), ["O", "B-A", "I-A", "B-B", "I-B"])
    feature = {"words": np.array([0, 1]), "own": np.array([True, True]), "spans": 2, "places": np.array([1, 2])}
    low = float(torch.finfo(torch.float32).min)
    logits = np.array([[[2.0, -1.0], [0.0, 3.0]], [[low, low], [-4.0, -5.0]]]).reshape(2, 4)
    (view,) = pointer_views(task, [logits], Encoded([feature], [4], [0]), ListRows({"tokens": [["x", "y"]]}), [None])
    assert view["shares"][0] == pytest.approx([1 / (1 + np.exp(-2)), 1 / (1 + np.exp(-3))])
    assert view["shares"][1] == pytest.approx([0.0, 1 / (1 + np.exp(4))])
    assert {(one["first"], one["last"], one["name"]) for one in view["spans"]} == {(0, 0, "A"), (0, 1, "B")}
    assert (view["slot"], view["memory"]) == (None, None)


def test_what_cannot_be_looked_at_is_refused(trained: Callable[[str], Path], tmp_path: Path) -> None:
    finished = load_finished(trained("tagging") / "best")
    with pytest.raises(DataError, match="151 words"):
        point(finished, [["the"] * 151])
    with pytest.raises(DataError, match="no word"):
        point(finished, ["  "])
    with pytest.raises(DataError, match="no question with its context"):
        point(trained("question_answering") / "best", ["where"])
    assert point(finished, []) == []
    from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

    place = tiny_encoder(tmp_path / "plain")
    config = AutoConfig.from_pretrained(place, id2label={0: "bad", 1: "good"})
    model = AutoModelForSequenceClassification.from_config(config)
    model.save_pretrained(tmp_path / "labels")
    AutoTokenizer.from_pretrained(place).save_pretrained(tmp_path / "labels")
    with pytest.raises(ModelError, match="does not point"):
        point(tmp_path / "labels", ["the cat"])


@pytest.mark.parametrize("kind", ["tagging", "question_answering"])
def test_a_run_keeps_where_it_pointed(trained: Callable[[str], Path], kind: str) -> None:
    folder = trained(kind)
    found = pointer_looks(folder)
    gate = [one for one in found if one["role"] == "gate"]
    test = [one for one in found if one["role"] == "test"]
    assert [len(gate), len(test)] == [4, 8]
    steps = [look["step"] for look in gate[0]["looks"]]
    assert steps[0] == 0
    assert len(steps) == 41  # before the first step, and 40 epochs
    assert steps == sorted(set(steps))
    assert all(len(one["looks"]) == 1 for one in test)
    last, first = gate[0]["looks"][-1], gate[0]["looks"][0]
    for look in (first, last):
        assert np.array(look["shares"]).sum(axis=1) == pytest.approx(np.ones(len(look["rows"])), abs=0.02)
    assert gate[0]["gold"]["pointed"] is not None
    if kind == "tagging":  # it has learnt the names by heart: gold and pointers agree
        assert last["pointed"] == gate[0]["gold"]["pointed"]
        assert first["shares"] != last["shares"]
    # Test sentences are looked at with the weights that are tested: those of the folder.
    if kind == "tagging":
        (again,) = point(folder / "best", [test[0]["looks"][0]["rows"]])
        assert np.array(test[0]["looks"][0]["shares"]) == pytest.approx(np.array(again["shares"]), abs=6e-4)
    assert (folder / FILE).stat().st_size < 400_000


def test_looking_changes_nothing_and_a_resume_keeps_whole_looks(
    ground: Path, pointer_plan: Callable[..., Plan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = pointer_plan(epochs=4, lr=5e-3)
    whole = MemoryContext(tmp_path / "whole", ground / "cache")
    assert train(plan, whole) is Outcome.FINISHED
    part = MemoryContext(tmp_path / "part", ground / "cache", at={7: Request.PAUSE})
    assert train(plan, part) is Outcome.PAUSED
    part.at.clear()
    assert train(plan, part) is Outcome.FINISHED
    assert pointer_looks(part.folder) == pointer_looks(whole.folder)
    monkeypatch.setattr("core.training.pointing.points", lambda config: False)
    blind = MemoryContext(tmp_path / "blind", ground / "cache")
    assert train(plan, blind) is Outcome.FINISHED
    assert not (blind.folder / FILE).exists()
    assert blind.series("train/loss") == whole.series("train/loss")
    told = [json.loads((one.folder / "results.json").read_text())["metrics"] for one in (whole, blind)]
    assert told[0] == told[1]


def test_nothing_is_noted_without_a_memory() -> None:
    with reading(torch.nn.Linear(2, 2)) as noted:
        torch.nn.Linear(2, 2)(torch.zeros(1, 2))
    assert noted == []


def test_few_looks_are_kept_of_many_evaluations(
    ground: Path, pointer_plan: Callable[..., Plan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.training.pointing.LOOKS", 3)
    context = MemoryContext(tmp_path / "run", ground / "cache")
    assert train(pointer_plan(epochs=None, steps=10, eval_every=1), context) is Outcome.FINISHED
    gate: list[Any] = [one for one in pointer_looks(context.folder) if one["role"] == "gate"]
    assert [look["step"] for look in gate[0]["looks"]] == [0, 4, 8, 10]
