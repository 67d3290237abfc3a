"""Heads that point, from data to prediction on tiny encoders."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from core.config import ModelConfig, Plan, TaskConfig
from core.data.tasks import task_for
from core.errors import ExportError
from core.models import build_model, export_model, load_finished, predict
from core.training import MemoryContext, Outcome, train
from core.training.engine import Engine
from core.training.evaluation import distinct_predictions, entropy_share, role_logits
from core.training.intervals import majority_score
from core.training.parameters import model_parameters
from core.training.prepare import prepare

KINDS = ("tagging", "question_answering")
LABELS = {"tagging": ["O", "B-PER", "I-PER"], "question_answering": ["start", "end"]}
TEXTS = {
    "tagging": ["the cat was anna inc and sad paris york", "old film"],
    "question_answering": [["who", "sad 7 paul lives in paris"], ["where", "the film 8 man lives in york"]],
}


def results(folder: Path) -> dict:
    return json.loads((folder / "results.json").read_text())


@pytest.mark.parametrize("kind", KINDS)
def test_it_learns_and_what_is_saved_answers_alike(kind: str, trained: Callable[[str], Path], tmp_path: Path) -> None:
    folder = trained(kind)
    found = results(folder)
    metrics = found["metrics"]
    assert metrics["test/strict_f1" if kind == "tagging" else "test/f1"] > 0.9
    best = load_finished(folder / "best")
    assert type(best.model).__name__ == "BertForPointers"
    assert (best.task.config.head, best.task.config.pointer.size) == ("pointer", 16)
    first = [one.as_dict() for one in predict(best, TEXTS[kind])]
    again = load_finished(export_model(folder / "best", tmp_path / "out", format="safetensors"))
    assert [one.as_dict() for one in predict(again, TEXTS[kind])] == first
    card = (tmp_path / "out" / "README.md").read_text()
    assert "Stock transformers" in card
    assert "AutoModelFor" not in card
    if kind == "tagging":
        assert first[0]["label"] == ["O", "O", "O", "B-PER", "I-PER", "O", "O", "B-LOC", "I-LOC"]
        assert first[0]["pointers"] == [None, None, None, 3, 3, None, None, 7, 7]
        assert {"test/pointer_accuracy", "test/null_precision", "test/null_recall"} <= metrics.keys()
        assert metrics["test/pointer_accuracy"] > 0.9
        assert metrics["test/sentence_accuracy"] > 0.9
        assert {name: share > 0.5 for name, share in first[0]["contains"].items()} == {"LOC": True, "PER": True}
        assert {name: share > 0.5 for name, share in first[1]["contains"].items()} == {"LOC": False, "PER": False}
    else:
        assert [one["label"] for one in first] == ["paul", "york"]
    with pytest.raises(ExportError, match="head points"):
        export_model(folder / "best", tmp_path / "onnx", format="onnx")


@dataclass
class Mortal(MemoryContext):
    """Dies once after `dies_at` steps."""

    dies_at: int = 10**9

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        super().metrics(step, values)
        if step >= self.dies_at:
            self.dies_at = 10**9
            raise KeyboardInterrupt


@pytest.mark.parametrize("kind", KINDS)
def test_killed_and_resumed_is_bit_for_bit_the_same(
    kind: str, pointer_plan: Callable[..., Plan], tmp_path: Path, ground: Path
) -> None:
    plan = pointer_plan(kind, label_smoothing=0.1, runtime={"keep": "all", "checkpoint_every_steps": 2})
    calm = MemoryContext(tmp_path / "calm", ground / "cache")
    assert train(plan, calm) is Outcome.FINISHED
    killed = Mortal(tmp_path / "killed", ground / "cache", dies_at=3)
    with pytest.raises(KeyboardInterrupt):
        train(plan, killed)
    assert train(plan, killed) is Outcome.FINISHED
    left, right = (load_file(run.folder / "best" / "model.safetensors") for run in (calm, killed))
    assert left.keys() == right.keys()
    assert [name for name in left if not torch.equal(left[name], right[name])] == []
    assert results(calm.folder)["metrics"] == results(killed.folder)["metrics"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_frozen_encoder_stays_and_its_activations_are_reused(
    kind: str, pointer_plan: Callable[..., Plan], tmp_path: Path, ground: Path
) -> None:
    losses = {}
    for cached in (True, False):
        run = MemoryContext(tmp_path / f"{cached}", ground / "cache")
        plan = pointer_plan(kind, freeze_encoder=True, cache_activations=cached, lr=1e-2)
        assert train(plan, run) is Outcome.FINISHED
        losses[cached] = results(run.folder)["metrics"]["test/loss"]
    assert losses[True] == pytest.approx(losses[False], rel=1e-3)
    before, after = load_file(ground / "bert" / "model.safetensors"), load_file(run.folder / "best/model.safetensors")
    encoder = {name: tensor for name, tensor in after.items() if not name.startswith("pointer.")}
    assert len(after) > len(encoder) > 20
    assert all(torch.equal(before[name.removeprefix("bert.")], tensor) for name, tensor in encoder.items())


@pytest.mark.parametrize("kind", KINDS)
def test_the_packed_path_computes_the_same_and_every_parameter_learns(
    kind: str, pointer_plan: Callable[..., Plan], ground: Path
) -> None:
    prepared = prepare(pointer_plan(kind), ground / "cache")
    features, indices = prepared.encoded["train"].features[:6], np.arange(6)
    found = {}
    for path in ("stock", "packed"):
        engine = Engine(prepared, path=path)
        with engine.scoring(), torch.inference_mode():
            found[path], batch = engine.forward(features, indices, "train")
        engine.close()
    real = batch["words"] >= 0 if kind == "tagging" else batch["context"] > 0
    torch.testing.assert_close(found["packed"][real], found["stock"][real], rtol=1e-4, atol=1e-5)
    engine = Engine(prepared)
    total, weight, _ = engine.loss(features, indices)
    (total / weight).backward()
    without = [name for name, one in prepared.model.named_parameters() if one.grad is None or not one.grad.any()]
    assert [name for name in without if "attention.self.key.bias" not in name and "word_embeddings" not in name] == []
    prepared.release()


@pytest.mark.parametrize("kind", KINDS)
def test_what_stands_beside_a_sentence_does_not_count(
    kind: str, pointer_plan: Callable[..., Plan], ground: Path
) -> None:
    """A feature alone has the logits that it has in a batch with longer ones."""
    prepared = prepare(pointer_plan(kind), ground / "cache")
    encoded = prepared.encoded["train"]
    engine = Engine(prepared)
    with engine.scoring():
        together = role_logits(engine.scorer("train"), encoded)
        alone = role_logits(engine.scorer("train"), encoded, tokens=1)
    for one, other, feature, length in zip(together, alone, encoded.features, encoded.lengths, strict=True):
        assert one.shape == other.shape
        places = slice(None) if kind == "tagging" else [feature["empty"], *range(feature["first"], length - 1)]
        np.testing.assert_allclose(one[places], other[places], rtol=1e-4, atol=1e-5)
    task = prepared.plan.task
    assert 0.5 < entropy_share(alone, encoded, task) <= 1.0 + 1e-9
    assert distinct_predictions([np.zeros_like(one) for one in alone], task) == 1
    assert majority_score(prepared.task, "loss", prepared.roles, prepared.encoded["gate"]) > 0
    prepared.release()


def parts(plan: Plan, **pointer: object) -> dict[str, tuple[int, ...]]:
    task = plan.task.model_copy(update={"pointer": plan.task.pointer.model_copy(update=pointer)})
    model, _ = build_model(plan.model, task_for(task, LABELS[task.kind]), seed=0)
    found = {name: tuple(one.shape) for name, one in model.named_parameters() if not name.startswith("bert.")}
    listed = model_parameters(plan.model.source, None, task, len(LABELS[task.kind]))
    assert {name for name, unit in zip(listed["names"], listed["units"], strict=True) if unit == "head"} == set(found)
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_ablations_have_no_parameters(kind: str, pointer_plan: Callable[..., Plan]) -> None:
    plan = pointer_plan(kind)
    whole = parts(plan)
    assert set(whole) - set(parts(plan, relative=False)) == {
        "pointer.distance" if kind == "question_answering" else "pointer.scorer.distance"
    }
    bare = parts(plan, memory=False)
    assert (
        {name for name in whole if name not in bare}
        == {name for name in whole if ".memory." in name or ".onward." in name}
        != set()
    )
    if kind == "tagging":
        assert (whole["pointer.types.weight"], bare["pointer.types.weight"]) == ((1, 32 + 16), (1, 32))
        told = parts(plan, sentence_weight=0.5)
        assert {name for name in told if name not in whole} == {"pointer.sentence.weight", "pointer.sentence.bias"}


@pytest.mark.parametrize("family", ["distilbert", "roberta", "electra", "deberta-v2", "modernbert", "shaped_bert"])
def test_families_point(family: str, pointer_plan: Callable[..., Plan], tmp_path: Path, ground: Path) -> None:
    run = MemoryContext(tmp_path / "run", ground / "cache")
    assert train(pointer_plan("tagging", family, steps=2, epochs=None), run) is Outcome.FINISHED
    best = run.folder / "best"
    left, right = (predict(load_finished(best), TEXTS["tagging"])[0].scores for _ in range(2))
    assert left == right


def test_a_head_begins_from_the_seed_alone_and_only_its_own_kind_goes_on(
    pointer_plan: Callable[..., Plan], trained: Callable[[str], Path]
) -> None:
    plan = pointer_plan()
    task = task_for(plan.task, LABELS["tagging"])
    one, other, third = (build_model(plan.model, task, seed=seed)[0].state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert not torch.equal(one["pointer.scorer.null"], third["pointer.scorer.null"])
    assert one["pointer.scorer.key.weight"].std() == pytest.approx(0.02, rel=0.2)
    assert one["pointer.scorer.distance"].eq(0).all()
    best = load_finished(trained("tagging") / "best")
    source = ModelConfig(source=str(trained("tagging") / "best"), max_length=32)
    kept, _ = build_model(source, best.task, seed=9)
    assert torch.equal(kept.pointer.scorer.null, best.model.pointer.scorer.null)
    wider = plan.task.model_copy(update={"pointer": plan.task.pointer.model_copy(update={"size": 8})})
    fresh, _ = build_model(source, task_for(wider, best.task.labels), seed=9)
    assert fresh.pointer.scorer.null.shape == (8,)
    linear, _ = build_model(source, task_for(TaskConfig(kind="tagging"), best.task.labels), seed=9)
    assert type(linear).__name__ == "BertForTokenClassification"
    again, _ = build_model(source, task_for(TaskConfig(kind="tagging"), best.task.labels), seed=9)
    assert torch.equal(linear.classifier.weight, again.classifier.weight)


def test_what_does_not_go_with_pointers_is_refused(pointer_plan: Callable[..., Plan]) -> None:
    with pytest.raises(ValueError, match="not for classification"):
        TaskConfig.model_validate({"head": "pointer"})


def test_heads_that_point_share_an_encoder(pointer_plan: Callable[..., Plan], tmp_path: Path, ground: Path) -> None:
    from core.config.joint import JointPlan
    from core.training.joint import train as train_together

    plans = [pointer_plan(kind).model_dump() for kind in KINDS]
    plan = JointPlan.model_validate(
        {
            "tasks": [
                {"name": name, "task": one["task"], "data": one["data"]}
                for name, one in zip(("names", "asked"), plans, strict=True)
            ],
            "model": plans[0]["model"], "training": {"lr": 1e-3, "batch_size": 16, "steps": 4},
            "runtime": plans[0]["runtime"],
        }
    )  # fmt: skip
    run = MemoryContext(tmp_path / "run", ground / "cache")
    assert train_together(plan, run) is Outcome.FINISHED
    for name, kind in zip(("names", "asked"), KINDS, strict=True):
        best = load_finished(run.folder / "best" / name)
        assert type(best.model).__name__ == "BertForPointers"
        assert len(predict(best, TEXTS[kind])) == 2
