"""Question answering from data to prediction on tiny encoders: training, threshold, packed path, cache, export."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core.config import Plan
from core.data.tasks.heads import head_logits
from core.errors import DataError, ExportError
from core.models import export_model, load_finished, predict
from core.training import MemoryContext, Outcome, count_steps, train
from core.training.engine import Engine
from core.training.evaluation import distinct_predictions, entropy_share, role_logits
from core.training.intervals import majority_score
from core.training.plan_check import check_plan
from core.training.prepare import prepare

PEOPLE, PLACES = ("anna", "paul"), ("london", "paris", "berlin")
OTHER = "the cat was sad and old film plot story good bad".split()  # noqa: SIM905


def questions(path: Path, rows: int = 72) -> Path:
    """Who lives where: the person stands before "lives", the place behind "in"; every third has no person."""
    rng = random.Random(0)
    with path.open("w") as file:
        for index in range(rows):
            person, place = rng.choice(PEOPLE), rng.choice(PLACES)
            words = [rng.choice(OTHER) for _ in range(rng.randint(1, 4))]
            absent = index % 3 == 0
            context = f"{' '.join(words)} {index} {'man' if absent else person} lives in {place}"
            asked = (("who", None if absent else person), ("where", place))
            for question, answer in asked:
                row = {"question": question, "context": context, "answers": [answer] if answer else []}
                file.write(json.dumps(row | {"start": [context.index(answer)] if answer else []}) + "\n")
    return path


@pytest.fixture(scope="session")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return questions(tmp_path_factory.mktemp("questions") / "asked.jsonl")


@pytest.fixture
def question_plan(asked: Path, encoders: Callable[..., Path]) -> Callable[..., Plan]:
    def build(family: str = "bert", *, task: dict[str, Any] | None = None, **stage: Any) -> Plan:
        return Plan.model_validate(
            {
                "task": {"kind": "question_answering", "stride": 4, "no_answer": True, **(task or {})},
                "data": {"source": str(asked)},
                "model": {"source": str(encoders(family)), "max_length": 32},
                "stages": [{"epochs": 1, "lr": 1e-3, "batch_size": 16, **stage}],
                "runtime": {"threads": 1, "precision": "fp32", "device": "cpu"},
            }
        )

    return build


@pytest.fixture(scope="session")
def trained(
    tmp_path_factory: pytest.TempPathFactory, asked: Path, encoders: Callable[..., Path], shared_cache: Path
) -> Path:
    plan = Plan.model_validate(
        {
            "name": "who and where",
            "task": {"kind": "question_answering", "stride": 4, "no_answer": True},
            "data": {"source": str(asked)},
            "model": {"source": str(encoders("bert")), "max_length": 32, "dropout": 0.0},
            "stages": [{"epochs": 30, "lr": 6e-3, "head_lr": 6e-3, "batch_size": 16}],
            "runtime": {"threads": 1, "precision": "fp32", "device": "cpu"},
        }
    )
    context = MemoryContext(tmp_path_factory.mktemp("trained") / "run", shared_cache)
    assert train(plan, context) is Outcome.FINISHED
    assert len(context.series("gate/f1")) == len(context.series("gate/em")) == 30
    return context.folder


def results(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "results.json").read_text())
    return found


def test_a_run_learns_to_answer_and_keeps_its_threshold(trained: Path) -> None:
    found = results(trained)
    metrics, test = found["metrics"], found["details"]["test"]
    assert metrics["gate/f1"] >= 0.7
    assert metrics["test/f1"] >= 0.5
    assert metrics["test/f1"] > test["baseline"]["f1"] >= 0.0
    assert set(test["intervals"]) == {"f1", "em", "loss"}
    assert {entry["by"] for entry in test["breakdown"]} >= {"question word", "answer length", "answer"}
    assert test["threshold"] == found["details"]["gate"]["threshold"]
    side = json.loads((trained / "best" / "bertloom.json").read_text())
    assert side["task"]["no_answer_threshold"] == test["threshold"]
    assert side["plan"]["task"]["no_answer_threshold"] is None
    assert side["labels"] == ["start", "end"]
    assert load_finished(trained / "best").task.config.no_answer_threshold == test["threshold"]


def test_predictions_answer_with_places_in_the_context(trained: Path) -> None:
    context = "the cat was sad 7 paul lives in berlin"
    found = predict(trained / "best", [["who", context], ["where", context], ["who", f"old {context} " * 9]])
    assert len(found) == 3
    for prediction in found:
        answers, text = prediction.answers, prediction.context
        assert answers is not None
        assert text is not None
        assert sum(one["score"] for one in answers) == pytest.approx(1.0)
        assert [one["score"] for one in answers] == sorted((one["score"] for one in answers), reverse=True)
        for one in answers:
            assert one["text"] == ("" if one["start"] is None else text[one["start"] : one["end"]])
    assert [found[0].label, found[1].label] == ["paul", "berlin"]
    for wrong in ("a text", ["one"], ["a", "b", "c"], ["who", 3]):
        with pytest.raises(DataError, match="not a question with its context"):
            predict(trained / "best", [wrong])  # type: ignore[list-item]
    with pytest.raises(DataError, match="The context is empty"):
        predict(trained / "best", [["who", " "]])


def test_an_export_answers_by_the_lines_of_its_card(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place = export_model(trained / "best", tmp_path / "out")
    card = (place / "README.md").read_text()
    assert "finds the answer to a question in a text" in card
    assert "pipeline_tag: question-answering" in card
    assert "| question word |" in card
    assert "never answering" in card
    assert re.search(r"by more than -?\d", card)
    lines = card.partition("```python\n")[2].partition("```")[0]
    question, context = "where", "the cat was sad 7 paul lives in berlin"
    lines = lines.replace('"Who lives in Paris?", "Anna lives in Paris."', repr((question, context))[1:-1])
    monkeypatch.chdir(place)
    exec(compile(lines, "card", "exec"), {})
    told = capsys.readouterr().out.strip()
    assert told == (predict(place, [[question, context]])[0].label or "no answer")
    with pytest.raises(ExportError, match="not written as ONNX"):
        export_model(trained / "best", tmp_path / "onnx", format="onnx")


def test_a_stock_head_is_read_too(trained: Path, tmp_path: Path) -> None:
    import shutil

    place = tmp_path / "stock"
    shutil.copytree(trained / "best", place)
    (place / "bertloom.json").unlink()
    config = json.loads((place / "config.json").read_text())
    config["id2label"], config["label2id"] = {"0": "LABEL_0", "1": "LABEL_1"}, {"LABEL_0": 0, "LABEL_1": 1}
    (place / "config.json").write_text(json.dumps(config))
    found = load_finished(place)
    assert (found.task.kind, found.task.labels) == ("question_answering", ["start", "end"])
    assert predict(found, [["where", "paul lives in berlin"]])[0].label


def test_training_goes_on_from_a_head_that_answers(trained: Path, question_plan: Callable[..., Plan]) -> None:
    from core.config import TaskConfig
    from core.data.tasks import task_for
    from core.models import build_model

    config = question_plan().model.model_copy(update={"source": str(trained / "best")})
    kept, _ = build_model(config, task_for(TaskConfig(kind="question_answering"), ["start", "end"]), seed=5)
    stored = load_finished(trained / "best").model
    assert torch.equal(kept.qa_outputs.weight, stored.qa_outputs.weight)
    fresh, _ = build_model(config, task_for(TaskConfig(), ["a", "b"]), seed=5)
    assert type(fresh).__name__ == "BertForSequenceClassification"


@pytest.mark.parametrize("family", ["distilbert", "deberta-v2", "modernbert", "shaped_bert"])
def test_families_train(question_plan: Callable[..., Plan], context: MemoryContext, family: str) -> None:
    assert train(question_plan(family, steps=2, epochs=None), context) is Outcome.FINISHED
    assert 0.0 <= results(context.folder)["metrics"]["test/f1"] <= 1.0


def test_the_packed_path_and_the_cache_compute_the_same(
    question_plan: Callable[..., Plan], context: MemoryContext, tmp_path: Path
) -> None:
    prepared = prepare(question_plan(), tmp_path / "cache")
    features, indices = prepared.encoded["train"].features[:6], np.arange(6)
    found = {}
    for path in ("stock", "packed"):
        engine = Engine(prepared, path=path)
        with engine.scoring(), torch.inference_mode():
            found[path], batch = engine.forward(features, indices, "train")
        engine.close()
    mask = batch["attention_mask"].bool()
    torch.testing.assert_close(found["packed"][mask], found["stock"][mask], rtol=1e-4, atol=1e-5)
    prepared.release()
    runs = {}
    for cached in (True, False):
        other = MemoryContext(tmp_path / f"run-{cached}", tmp_path / "cache")
        frozen = [{"pattern": "embeddings", "frozen": True}]
        plan = question_plan(freeze_layers=1, cache_activations=cached, groups=frozen)
        assert train(plan, other) is Outcome.FINISHED
        runs[cached] = results(other.folder)["metrics"]["test/loss"]
    assert runs[True] == pytest.approx(runs[False], rel=1e-3)


def test_the_loss_over_all_positions_is_that_of_transformers(
    question_plan: Callable[..., Plan], tmp_path: Path
) -> None:
    prepared = prepare(question_plan(), tmp_path / "cache")
    batch = prepared.task.collate(prepared.encoded["gate"].features[:2], prepared.tokenizer)
    labels = batch.pop("labels")
    with torch.inference_mode():
        output = prepared.model.eval()(**batch)
    logits = head_logits(output)
    assert torch.equal(logits[..., 0], output.start_logits)
    # With every position allowed the loss would be that of transformers; here question and padding are left out.
    places = [feature["labels"] for feature in prepared.encoded["gate"].features[:2]]
    everywhere = torch.zeros_like(labels)
    for row, (start, end) in enumerate(places):
        everywhere[row, start, 0] = everywhere[row, end, 1] = 1
    starts, ends = (torch.tensor([place[side] for place in places]) for side in (0, 1))
    with torch.inference_mode():
        stock = prepared.model(**batch, start_positions=starts, end_positions=ends).loss
    total, weight = prepared.task.loss(logits, everywhere)
    torch.testing.assert_close(total / weight, stock)


def test_what_a_gate_compares_with_is_computed(question_plan: Callable[..., Plan], tmp_path: Path) -> None:
    prepared = prepare(question_plan(), tmp_path / "cache")
    encoded = prepared.encoded["gate"]
    nothing = majority_score(prepared.task, "loss", prepared.roles, encoded)
    sizes = [1 + len(feature["starts"]) for feature in encoded.features]
    assert nothing == pytest.approx(np.log(sizes).mean())
    assert majority_score(prepared.task, "f1", prepared.roles, encoded) == prepared.task.baseline(
        prepared.roles.train, prepared.roles.gate
    )["f1"]  # fmt: skip
    engine = Engine(prepared)
    with engine.scoring():
        logits = role_logits(engine.scorer("gate"), encoded)
    assert [one.shape for one in logits] == [(length, 2) for length in encoded.lengths]
    flat = [np.zeros_like(one) for one in logits]
    assert entropy_share(flat, encoded, prepared.plan.task) == pytest.approx(1.0)
    assert 0.5 < entropy_share(logits, encoded, prepared.plan.task) < 1.0
    assert distinct_predictions(flat, prepared.plan.task) == 1
    assert count_steps(prepared.plan, cache=tmp_path / "cache")["labels"] == 2


def test_a_plan_is_checked_and_a_teacher_refused(question_plan: Callable[..., Plan], tmp_path: Path) -> None:
    found = check_plan(question_plan(metric="em"), cache=tmp_path / "cache")
    assert [one for one in found["findings"] if one["level"] == "error"] == []
    wrong = check_plan(question_plan(metric="accuracy"), cache=tmp_path / "cache")
    assert "f1, em, loss" in wrong["findings"][0]["message"]
    with pytest.raises(ValueError, match=r"no_answer_threshold needs task\.no_answer"):
        question_plan(task={"no_answer": False, "no_answer_threshold": 1.0})
    with pytest.raises(ValueError, match="classification only"):
        question_plan(task={"multi_label": True})
