"""Stages of kind ``distil``: tiny students that learn from tiny teachers which were trained before."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from core.config import Plan
from core.errors import BertloomError, ConfigError
from core.training import MemoryContext, Outcome, train
from core.training.distil.objective import Objective
from core.training.distil.opening import open_objective
from core.training.engine import Engine
from core.training.evaluation import role_logits
from core.training.prepare import prepare
from tests.unit.training.test_resume import Killed, Mortal, same

Maker = Callable[..., Plan]


def distil(source: str, **others: Any) -> dict[str, Any]:
    return {"kind": "distil", "distil": {"teachers": [{"source": source}], **others}}


def loss_of(engine: Engine, indices: np.ndarray) -> torch.Tensor:
    features = engine.prepared.encoded["train"].features
    total, weight, _ = engine.loss([features[index] for index in indices], indices)
    return total / weight


@pytest.mark.parametrize("tagging", [False, True])
def test_a_student_learns_from_its_teacher_and_says_how_near_it_is(
    tagging: bool, make_plan: Maker, teacher: Callable[..., str], context: MemoryContext
) -> None:
    stage = {**distil(teacher(tagging=tagging), alpha=1.0), "epochs": 4, "lr": 5e-3}
    assert train(make_plan(tagging=tagging, stage=stage, runtime={"seed": 5}), context) is Outcome.FINISHED
    divergence = context.series("distil/divergence")
    assert divergence[-1][1] < divergence[0][1] / 2
    agreement = dict(context.series("distil/agreement"))
    for step, _ in divergence:
        shares = [dict(context.series(f"distil/{name}"))[step] for name in ("teachable", "harmful", "both_wrong")]
        right = dict(context.series("distil/both_right"))[step]
        assert sum(shares) + right == pytest.approx(1.0, abs=1e-5)
        assert agreement[step] >= right - 1e-6
        assert dict(context.series("distil/effective"))[step] == pytest.approx(1.0)
    results = json.loads((context.folder / "results.json").read_text())
    assert results["stages"][0]["kind"] == "distil"
    # The teacher is scored on the student's rows, and was scored on the same ones at its own end.
    (own,) = results["teachers"]
    taught = json.loads((Path(own["source"]) / "results.json").read_text())
    assert own["metrics"] == pytest.approx(taught["metrics"], rel=1e-5)
    metric = "strict_f1" if tagging else "accuracy"
    told = f"scores gate/{metric} {taught['metrics'][f'gate/{metric}']:.4f}"
    assert any(told in event["message"] for event in context.events)


def test_the_loss_is_what_the_formula_says(opened: Callable[..., Any], teacher: Callable[..., str]) -> None:
    source = teacher()
    prepared, engine, objective = opened(distil(source, alpha=0.3, temperature=2.5), runtime={"seed": 3})
    indices = np.arange(12)
    found = loss_of(engine, indices).item()
    features = [prepared.encoded["train"].features[index] for index in indices]
    gold = torch.tensor([feature["labels"] for feature in features])
    with torch.no_grad(), engine.scoring():
        student, _ = engine.forward(features, indices, "train")
        model = objective.teachers[0].finished.model
        told = model(**{k: v for k, v in prepared.task.collate(features, prepared.tokenizer).items() if k != "labels"})
    hard = torch.nn.functional.cross_entropy(student, gold)
    soft = torch.nn.functional.kl_div(
        (student / 2.5).log_softmax(-1), (told.logits / 2.5).softmax(-1), reduction="batchmean"
    )
    assert found == pytest.approx((0.7 * hard + 0.3 * 2.5**2 * soft).item(), rel=1e-3)


def test_without_differences_it_is_plain_distillation_bit_for_bit(
    opened: Callable[..., Any], teacher: Callable[..., str]
) -> None:
    source = teacher(tagging=True)
    indices = np.arange(10)
    found = []
    for others in ({}, {"differences": 0.0, "sharpness": 7.0}):
        _, engine, _ = opened(distil(source, **others), tagging=True)
        loss = loss_of(engine, indices)
        loss.backward()
        gradients = [one.grad.clone() for one in engine.prepared.parameters.values() if one.grad is not None]
        found.append((loss.detach(), gradients))
    assert torch.equal(found[0][0], found[1][0])
    assert all(torch.equal(one, other) for one, other in zip(found[0][1], found[1][1], strict=True))
    _, engine, _ = opened(distil(source, differences=1.0), tagging=True)
    assert not torch.equal(loss_of(engine, indices).detach(), found[0][0])


def test_differences_weigh_what_the_teacher_says_otherwise(
    opened: Callable[..., Any], teacher: Callable[..., str]
) -> None:
    _, engine, objective = opened(distil(teacher(), differences=1.0, sharpness=2.0, alpha=1.0), runtime={"seed": 3})
    loss_of(engine, np.arange(16))
    assert 0.0 < objective.take()["distil/effective"].item() < 1.0


@pytest.mark.parametrize("tagging", [False, True])
def test_padding_never_counts(tagging: bool, opened: Callable[..., Any], teacher: Callable[..., str]) -> None:
    states = [{"kind": kind} for kind in ("hidden", "relation", "attention", "embedding")]
    stage = distil(teacher(tagging=tagging), differences=0.7, states=states)
    prepared, engine, _ = opened(stage, tagging=tagging, runtime={"seed": 3})
    indices = np.arange(8)
    plain = loss_of(engine, indices).item()
    task, collate = prepared.task, prepared.task.collate
    task.collate = lambda features, tokenizer, pad_to=None: collate(features, tokenizer, pad_to=40)
    try:
        assert loss_of(engine, indices).item() == pytest.approx(plain, rel=1e-5)
    finally:
        del task.collate


@pytest.mark.parametrize("tagging", [False, True])
def test_kept_answers_are_those_that_the_teacher_gives(
    tagging: bool, opened: Callable[..., Any], teacher: Callable[..., str]
) -> None:
    prepared, engine, objective = opened(distil(teacher(tagging=tagging), temperature=1.0, alpha=1.0), tagging=tagging)
    kept = [loss_of(engine, np.arange(start, start + 16)).item() for start in (0, 16, 32)]
    encoded = prepared.encoded["train"]
    model = objective.teachers[0].finished.model.eval()

    def forward(features: Any, indices: np.ndarray) -> Any:
        batch = prepared.task.collate(features, prepared.tokenizer)
        inputs = {name: tensor for name, tensor in batch.items() if name != "labels"}
        return model(**inputs).logits[..., objective.teachers[0].order], batch

    full = role_logits(forward, encoded)
    rows = [
        logits[None] if logits.ndim == 1 else logits[feature["positions"]]
        for logits, feature in zip(full, encoded.features, strict=True)
    ]
    values = np.concatenate(rows).astype(np.float32)
    bounds = np.concatenate([[0], np.cumsum([len(one) for one in rows])])
    places = [np.arange(bounds[at], bounds[at + 1]) for at in range(len(rows))]
    engine.objective = Objective(objective.config, objective.teachers, [type(objective.answers[0])(values, places)])
    fresh = [loss_of(engine, np.arange(start, start + 16)).item() for start in (0, 16, 32)]
    assert objective.answers[0].values.dtype == np.float16
    assert kept == pytest.approx(fresh, rel=1e-4)


def test_the_second_run_finds_the_answers_and_other_rows_are_asked_anew(
    make_plan: Maker, teacher: Callable[..., str], tmp_path: Path
) -> None:
    source, cache = teacher(), tmp_path / "cache"

    def told(name: str, **data: Any) -> str:
        context = MemoryContext(tmp_path / name, cache)
        train(make_plan(stage={**distil(source), "steps": 1}, data=data), context)
        (found,) = (event["message"] for event in context.events if "teacher's answers" in event["message"])
        return found

    assert "computed once" in told("first")
    assert "in the cache" in told("second")
    assert "belong to other rows" in told("third", split_seed=4)


def test_a_pass_that_was_broken_off_goes_on_where_it_was(
    make_plan: Maker, teacher: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from core.training.distil import answers as module

    monkeypatch.setattr("core.training.distil.opening._tell_score", lambda *_: None)
    monkeypatch.setattr(module, "EVALUATION_TOKENS", 64)
    monkeypatch.setattr(module, "_NOTE_EVERY", 1)
    plan = make_plan(stage=distil(teacher()))
    asked: list[int] = []
    logits = module.Teacher.logits

    def counted(self: Any, features: Any) -> Any:
        asked.append(len(features))
        if len(asked) == 4 and stop:
            raise Killed
        return logits(self, features)

    monkeypatch.setattr(module.Teacher, "logits", counted)
    stop = True
    prepared = prepare(plan, tmp_path / "cache")
    with pytest.raises(Killed):
        open_objective(Engine(prepared), tmp_path / "cache", where="stages.0")
    first, stop = list(asked), False
    asked.clear()
    resumed = open_objective(Engine(prepared), tmp_path / "cache", where="stages.0")
    whole = open_objective(Engine(prepared), tmp_path / "other", where="stages.0")
    rows = len(prepared.encoded["train"].features)
    assert sum(asked) == rows + rows - sum(first[:3])
    assert np.array_equal(resumed.answers[0].values, whole.answers[0].values)


@pytest.mark.parametrize("tagging", [False, True])
def test_a_teacher_with_another_tokeniser_is_understood(
    tagging: bool, make_plan: Maker, teacher: Callable[..., str], context: MemoryContext
) -> None:
    source = teacher(tagging=tagging, family="roberta", model={"max_length": 48})
    stage = {**distil(source, alpha=1.0), "epochs": 4, "lr": 5e-3}
    assert train(make_plan(tagging=tagging, stage=stage, runtime={"seed": 5}), context) is Outcome.FINISHED
    divergence = context.series("distil/divergence")
    assert divergence[-1][1] < divergence[0][1] * 0.7


def test_layers_of_another_tokeniser_are_refused(
    make_plan: Maker, teacher: Callable[..., str], context: MemoryContext
) -> None:
    stage = distil(teacher(family="roberta", model={"max_length": 48}), states=[{"kind": "relation"}])
    with pytest.raises(ConfigError, match="different tokenisers") as caught:
        train(make_plan(stage=stage), context)
    assert caught.value.where == "stages.0.distil.states"


def test_all_losses_between_layers_are_zero_for_the_teacher_itself(
    opened: Callable[..., Any], teacher: Callable[..., str]
) -> None:
    source = teacher()
    states = [{"kind": kind} for kind in ("hidden", "attention", "relation", "embedding")]
    stage = distil(source, alpha=1.0, states=states)
    _, engine, objective = opened(stage, model={"source": str(Path(source) / "best")})
    loss = loss_of(engine, np.arange(12))
    loss.backward()
    told = {name: value.item() for name, value in objective.take().items()}
    assert all(abs(told[f"distil/{one['kind']}"]) < 1e-6 for one in states)
    assert abs(told["distil/soft"]) < 1e-4  # half precision of the answers
    assert all(one.grad is None for one in objective.teachers[0].finished.model.parameters())


@pytest.mark.parametrize(
    ("case", "options"),
    [
        ("plain", {}),
        ("differences", {"differences": 0.8, "harmful": "drop"}),
        ("layers", {"states": [{"kind": "hidden", "distance": "cosine"}, {"kind": "relation", "layers": "last"}]}),
    ],
)
def test_killed_and_resumed_is_bit_for_bit_the_same(
    case: str, options: dict[str, Any], make_plan: Maker, teacher: Callable[..., str], tmp_path: Path,
    shared_cache: Path,
) -> None:  # fmt: skip
    plan = make_plan(
        stage=distil(teacher(), **options),
        runtime={"keep": "all", "checkpoint_every_steps": 3, "log_every": 2, "seed": 2},
    )
    calm = MemoryContext(tmp_path / "calm", shared_cache)
    assert train(plan, calm) is Outcome.FINISHED
    broken = Mortal(tmp_path / "broken", shared_cache, dies_at=4)
    with pytest.raises(Killed):
        train(plan, broken)
    assert train(plan, broken) is Outcome.FINISHED
    assert broken.died
    same(calm, broken)


def test_a_distilled_stage_may_stand_behind_a_gate_and_after_another(
    make_plan: Maker, teacher: Callable[..., str], context: MemoryContext
) -> None:
    stages = [
        {"name": "warm up", "freeze_encoder": True, "epochs": 1},
        {**distil(teacher()), "name": "learn", "gate": {"reference": "majority"}, "epochs": 2},
        {"name": "gold", "steps": 2, "start_from": "best:learn"},
    ]
    assert train(make_plan(stages=stages), context) is Outcome.FINISHED
    results = json.loads((context.folder / "results.json").read_text())
    assert [one["kind"] for one in results["stages"]] == ["train", "distil", "train"]
    steps = {step for step, _ in context.series("distil/soft")}
    assert steps
    assert max(steps) < results["training"]["steps"]


def test_a_teacher_of_other_labels_is_refused_with_the_difference(
    make_plan: Maker, teacher: Callable[..., str], context: MemoryContext, tmp_path: Path
) -> None:
    path = tmp_path / "other.csv"
    path.write_text("text,label\n" + "\n".join(f"text {n},{('good', 'bad', 'odd')[n % 3]}" for n in range(60)))
    with pytest.raises(ConfigError, match=r"only in the data: .*odd") as caught:
        train(make_plan(stage=distil(teacher()), data={"source": str(path)}), context)
    assert caught.value.where == "stages.0.distil.teachers.0.source"


def test_a_teacher_of_another_task_and_one_without_a_head_are_refused(
    make_plan: Maker, teacher: Callable[..., str], tmp_path: Path, encoders: Callable[..., Path], shared_cache: Path
) -> None:
    for source, told in ((teacher(tagging=True), "trained for tagging"), (str(encoders("bert")), "no trained head")):
        with pytest.raises(BertloomError, match=told):
            train(make_plan(stage=distil(source)), MemoryContext(tmp_path / told[:5], shared_cache))
    with pytest.raises(ConfigError, match="bundled encoder has no trained head"):
        train(make_plan(stage=distil("bundled")), MemoryContext(tmp_path / "b", shared_cache))


def test_a_teacher_that_is_no_better_than_the_majority_is_warned_of(
    make_plan: Maker, teacher: Callable[..., str], context: MemoryContext, tmp_path: Path, shared_cache: Path
) -> None:
    ignorant = MemoryContext(tmp_path / "ignorant", shared_cache)
    assert train(make_plan(stage={"steps": 1, "lr": 1e-7}), ignorant) is Outcome.FINISHED
    train(make_plan(stage={**distil(str(ignorant.folder)), "steps": 1}), context)
    assert any("no better than" in event["message"] for event in context.events if event["kind"] == "warning")


def test_answers_beyond_the_limit_are_refused_before_anything_is_computed(
    opened: Callable[..., Any], teacher: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from core.training.distil import opening as module

    keep = module.keep_answers
    monkeypatch.setattr(module, "keep_answers", lambda *a, limit_mb, **k: keep(*a, limit_mb=0, **k))
    with pytest.raises(ConfigError, match="answers take"):
        opened(distil(teacher()))


def test_a_student_larger_than_its_teacher_is_told(
    make_plan: Maker, teacher: Callable[..., str], context: MemoryContext
) -> None:
    plan = make_plan(stage={**distil(teacher()), "steps": 1}, shape={"layers": 4})
    assert train(plan, context) is Outcome.FINISHED
    assert any("more than its teacher" in event["message"] for event in context.events if event["kind"] == "warning")


def test_several_teachers_are_weighed(opened: Callable[..., Any], teacher: Callable[..., str]) -> None:
    first, second = teacher(), teacher(runtime={"seed": 9})
    indices = np.arange(12)
    losses = []
    for sources in ([(first, 1.0)], [(second, 1.0)], [(first, 3.0), (second, 1.0)]):
        stage = distil(first, alpha=1.0)
        stage["distil"]["teachers"] = [{"source": source, "weight": weight} for source, weight in sources]
        _, engine, _ = opened(stage, runtime={"seed": 4})
        losses.append(loss_of(engine, indices).item())
    assert losses[2] == pytest.approx(0.75 * losses[0] + 0.25 * losses[1], rel=1e-5)
    assert losses[0] != losses[1]


def test_several_labels_a_text_are_taught_as_one_question_each(
    make_plan: Maker, context: MemoryContext, tmp_path: Path, shared_cache: Path
) -> None:
    path = tmp_path / "many.jsonl"
    words = {"a": "apple", "b": "bread", "c": "cheese"}
    rows = []
    for number in range(90):
        named = [name for at, name in enumerate("abc") if number >> at & 1]
        rows.append(json.dumps({"text": " ".join(words[name] for name in named) or "none", "labels": named}))
    path.write_text("\n".join(rows))
    base = make_plan(data={"source": str(path)}).model_dump()
    base["task"] = {"kind": "classification", "multi_label": True}
    first = MemoryContext(tmp_path / "first", shared_cache)
    assert train(Plan.model_validate(base), first) is Outcome.FINISHED
    base["stages"][0].update(distil(str(first.folder), alpha=1.0, differences=0.5))
    assert train(Plan.model_validate(base), context) is Outcome.FINISHED
    assert context.series("distil/agreement")[0][1] <= 1.0


def test_the_best_folder_is_a_stock_model(
    make_plan: Maker, teacher: Callable[..., str], context: MemoryContext
) -> None:
    train(make_plan(stage={**distil(teacher()), "steps": 2}), context)
    names = load_file(context.folder / "best" / "model.safetensors").keys()
    assert not any("teacher" in name or "objective" in name for name in names)
