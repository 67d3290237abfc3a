"""Students that learn to answer questions from a teacher: starts and ends of windows, with either head."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.distance import jensenshannon
from scipy.special import log_softmax, softmax

from core.config import Plan
from core.data.tasks.heads import head_logits
from core.errors import ConfigError
from core.training import MemoryContext, Outcome, count_steps, train
from core.training.diary import FILE, read_diary
from core.training.distil import parts
from core.training.distil.maps import stage_maps
from core.training.distil.opening import open_objective
from core.training.distil.pins import write_pin
from core.training.distil.teacher import Answers
from core.training.engine import Engine
from core.training.plan_check import check_plan
from core.training.prepare import prepare
from tests.tiny import WORDS, tiny_encoder
from tests.unit.training.test_distil_stage import distil, loss_of
from tests.unit.training.test_questions import questions
from tests.unit.training.test_resume import Killed, Mortal, same

Build = Callable[..., Plan]


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("taught-questions")
    questions(root / "asked.jsonl", rows=30)
    tiny_encoder(root / "bert")
    tiny_encoder(root / "roberta", "roberta")
    return root


@pytest.fixture
def plan(ground: Path) -> Build:
    def build(
        *, stage: dict[str, Any] | None = None, task: dict[str, Any] | None = None, family: str = "bert",
        model: dict[str, Any] | None = None, runtime: dict[str, Any] | None = None,
    ) -> Plan:  # fmt: skip
        return Plan.model_validate(
            {
                "task": {"kind": "question_answering", "stride": 4, "no_answer": True, **(task or {})},
                "data": {"source": str(ground / "asked.jsonl")},
                "model": {"source": str(ground / family), "max_length": 16, "dropout": 0.0, **(model or {})},
                "stages": [{"epochs": 1, "lr": 3e-3, "batch_size": 16, **(stage or {})}],
                "runtime": {"threads": 1, "precision": "fp32", "device": "cpu", **(runtime or {})},
            }
        )

    return build


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    return {}


@pytest.fixture
def learnt(plan: Build, made: dict[str, str], ground: Path) -> Callable[..., str]:
    """Train a teacher once and return its run's folder."""

    def get(head: str = "linear", family: str = "bert", length: int = 16) -> str:
        name = f"{head}-{family}-{length}"
        if name not in made:
            context = MemoryContext(ground / f"teacher-{name}", ground / "cache")
            stage = {"epochs": 5, "eval_every": 100, "lr": 5e-3} if family == "bert" else {"steps": 1}
            what = plan(stage=stage, task={"head": head}, family=family, model={"max_length": length})
            assert train(what, context) is Outcome.FINISHED
            made[name] = str(context.folder)
        return made[name]

    return get


@pytest.fixture
def opened(plan: Build, tmp_path: Path) -> Callable[..., Any]:
    def build(stage: dict[str, Any], **options: Any) -> Any:
        prepared = prepare(plan(stage=stage, **options), tmp_path / "cache")
        engine = Engine(prepared)
        engine.objective = open_objective(engine, tmp_path / "cache", where="stages.0", maps=stage_maps(prepared))
        engine.train_mode()
        return prepared, engine, engine.objective

    return build


def told_of(engine: Engine, objective: Any, indices: np.ndarray) -> list[tuple[np.ndarray, np.ndarray, list[int]]]:
    """Return of each window that is learnt student and teacher, (start and end, options), and gold options."""
    prepared = engine.prepared
    features = [prepared.encoded["train"].features[at] for at in indices]
    with torch.no_grad(), engine.scoring():
        student, _ = engine.forward(features, indices, "train")
        model, task = objective.teachers[0].finished.model, objective.teachers[0].finished.task
        asked = task.collate(features, prepared.tokenizer)
        teacher = head_logits(model(**{name: tensor for name, tensor in asked.items() if name != "labels"}))
    found = []
    for at, feature in enumerate(features):
        if feature["labels"][0] < 0:
            continue
        places = [feature["empty"], *range(feature["first"], feature["first"] + len(feature["starts"]))]
        gold = [places.index(one) for one in feature["labels"]]
        found.append((student[at, places].T.numpy(), teacher[at, places].T.numpy(), gold))
    return found


def test_the_loss_is_what_the_formula_says(opened: Callable[..., Any], learnt: Callable[..., str]) -> None:
    _, engine, objective = opened(distil(learnt(), alpha=0.3, temperature=2.5), runtime={"seed": 3})
    indices = np.arange(24)
    loss = loss_of(engine, indices)
    loss.backward()
    told = {name: value.item() for name, value in objective.take().items()}
    assert all(one.grad is None for one in objective.teachers[0].finished.model.parameters())
    windows = told_of(engine, objective, indices)
    assert len(windows) > 24 / 2
    soft, hard, apart, crossed = [], [], [], []
    for student, teacher, gold in windows:
        left, right = (log_softmax(one.astype(np.float64) / 2.5, axis=-1) for one in (teacher, student))
        soft.append(2.5**2 * (np.exp(left) * (left - right)).sum(-1).mean())
        shares = log_softmax(student.astype(np.float64), axis=-1)
        hard.append(-(shares[0, gold[0]] + shares[1, gold[1]]) / 2)
        both = [softmax(one.astype(np.float64), axis=-1) for one in (teacher, student)]
        apart.append(np.mean([jensenshannon(*pair, base=2) ** 2 for pair in zip(*both, strict=True)]))
        crossed.append([one.argmax(-1).tolist() == gold for one in (teacher, student)])
    assert loss.item() == pytest.approx(0.7 * np.mean(hard) + 0.3 * np.mean(soft), rel=2e-3)
    assert told["distil/soft"] == pytest.approx(np.mean(soft), rel=2e-3)
    assert told["distil/divergence"] == pytest.approx(np.mean(apart), rel=2e-3)
    quadrants = np.asarray(crossed)
    assert told["distil/teachable"] == pytest.approx((quadrants[:, 0] & ~quadrants[:, 1]).mean(), abs=1e-6)
    assert told["distil/both_right"] == pytest.approx(quadrants.all(1).mean(), abs=1e-6)


@pytest.mark.parametrize("head", ["linear", "pointer"])
def test_without_differences_it_is_plain_and_padding_never_counts(
    head: str, opened: Callable[..., Any], learnt: Callable[..., str]
) -> None:
    indices, found = np.arange(12), []
    options: list[dict[str, Any]] = [{}, {"differences": 0.0, "sharpness": 7.0}, {"differences": 0.8}]
    for others in options:
        prepared, engine, _ = opened(distil(learnt(), **others), task={"head": head}, runtime={"seed": 3})
        loss = loss_of(engine, indices)
        loss.backward()
        gradients = [one.grad.clone() for one in engine.prepared.parameters.values() if one.grad is not None]
        found.append((loss.detach(), gradients))
    assert torch.equal(found[0][0], found[1][0])
    assert all(torch.equal(one, other) for one, other in zip(found[0][1], found[1][1], strict=True))
    assert not torch.equal(found[0][0], found[2][0])
    task, collate = prepared.task, prepared.task.collate
    task.collate = lambda features, tokenizer, pad_to=None: collate(features, tokenizer, pad_to=40)
    try:
        assert loss_of(engine, indices).item() == pytest.approx(found[2][0].item(), rel=1e-5)
    finally:
        del task.collate


def test_the_teacher_itself_has_nothing_to_learn(opened: Callable[..., Any], learnt: Callable[..., str]) -> None:
    stage = distil(learnt(), alpha=1.0, states=[{"kind": "hidden", "layers": "last"}])
    _, engine, objective = opened(stage, model={"source": f"{learnt()}/best"})
    loss_of(engine, np.arange(12)).backward()
    told = {name: value.item() for name, value in objective.take().items()}
    assert abs(told["distil/soft"]) < 1e-4  # half precision of the answers
    assert abs(told["distil/hidden"]) < 1e-6
    assert told["distil/agreement"] == 1.0
    assert told["distil/divergence"] < 1e-5


def test_kept_answers_are_those_that_the_teacher_gives(
    opened: Callable[..., Any], learnt: Callable[..., str]
) -> None:  # fmt: skip
    prepared, engine, objective = opened(distil(learnt(), temperature=1.0, alpha=1.0))
    kept = [loss_of(engine, np.arange(start, start + 16)).item() for start in (0, 16, 32)]
    (own,) = objective.answers
    assert isinstance(own.values, np.memmap)
    assert own.values.dtype == np.float16
    exact = np.full(own.values.shape, np.nan, dtype=np.float32)
    encoded = prepared.encoded["train"]
    teacher = objective.teachers[0]
    read = teacher.form.read(teacher, prepared.roles.train, encoded)
    for at, feature in enumerate(read.features):
        (logits,) = teacher.logits([feature])
        places = [feature["empty"], *range(feature["first"], feature["first"] + len(feature["starts"]))]
        exact[own.places[at] : own.places[at + 1]] = logits[places].T.reshape(-1)
    objective.answers = [Answers(exact, own.places)]
    fresh = [loss_of(engine, np.arange(start, start + 16)).item() for start in (0, 16, 32)]
    assert kept == pytest.approx(fresh, rel=1e-3)


def test_harmful_windows_can_be_dropped(opened: Callable[..., Any], learnt: Callable[..., str]) -> None:
    stage = distil(learnt("pointer"), alpha=1.0, harmful="drop", temperature=1.0)
    prepared, engine, objective = opened(stage, model={"source": f"{learnt('linear')}/best"}, runtime={"seed": 3})
    indices = np.arange(min(100, len(prepared.encoded["train"].features)))
    found = loss_of(engine, indices).item()
    told = objective.take()
    each, counts = [], []
    for student, teacher, gold in told_of(engine, objective, indices):
        left, right = (log_softmax(one.astype(np.float64), axis=-1) for one in (teacher, student))
        each.append((np.exp(left) * (left - right)).sum(-1).mean())
        counts.append(teacher.argmax(-1).tolist() == gold or student.argmax(-1).tolist() != gold)
    assert told["distil/harmful"].item() == pytest.approx(1 - np.mean(counts), abs=1e-6)
    assert 0 < np.mean(counts) < 1
    assert found == pytest.approx(np.mean(np.asarray(each)[counts]), rel=2e-3)


@pytest.mark.parametrize(("teacher", "student"), [("linear", "pointer"), ("pointer", "linear")])
def test_a_student_learns_from_either_head_and_the_run_says_all_of_it(
    teacher: str, student: str, plan: Build, learnt: Callable[..., str], tmp_path: Path, ground: Path
) -> None:
    source = learnt(teacher)
    stage = {**distil(source, alpha=1.0, differences=0.5), "epochs": 3, "lr": 5e-3}
    context = MemoryContext(tmp_path / "run", ground / "cache")
    context.folder.mkdir()
    pin = write_pin(
        context.folder, "who", tagging=False, asks=True, pair="the cat was sad 7 paul lives in berlin"
    )  # fmt: skip
    assert train(plan(stage=stage, task={"head": student}, runtime={"seed": 5}), context) is Outcome.FINISHED
    divergence = context.series("distil/divergence")
    assert divergence[-1][1] < 0.8 * divergence[0][1]
    results = json.loads((context.folder / "results.json").read_text())
    (own,) = results["teachers"]
    taught = json.loads((Path(source) / "results.json").read_text())
    assert own["metrics"] == pytest.approx(taught["metrics"], rel=1e-5)  # with its own threshold of "no answer"
    lost = own["lost"]["test"]
    assert all({"text", "gold", "teacher", "student"} <= one.keys() for one in lost["examples"])
    assert all(one["gold"] == one["teacher"] != one["student"] for one in lost["examples"])

    entries = read_diary(context.folder / FILE)["entries"]
    gaps = [one for one in entries if one["kind"] == "gaps"][-1]
    assert gaps["by"] == "answer"
    assert {one[0] for one in gaps["label"]} == {"answer in the window", "no answer in the window"}
    assert sum(gaps["quadrants"].values()) == gaps["n"]
    for name in ("label", "place"):
        assert sum(one[1] for one in gaps[name]) == gaps["n"]
        assert sum(one[1] * one[2] for one in gaps[name]) / gaps["n"] == pytest.approx(gaps["divergence"], abs=1e-4)
    assert gaps["most"][0]["pair"]
    assert context.series("distil/gate_divergence")[-1][1] == gaps["divergence"]

    (head,) = [one for one in entries if one["kind"] == "pin"]
    strips = [one for one in entries if one["kind"] == "strip" and one["pin"] == pin.id]
    assert head["parts"][:2] == ["start", "end"]
    assert all(len(one["d"]) == len(head["parts"]) == len(one["student"]) for one in strips)
    assert strips[-1]["d"] != strips[0]["d"]
    named = {head["classes"][option] for line in head["teacher"] for option, _ in line}
    assert named & {"no answer", "paul", "p"}
    assert all(sum(share for _, share in line) <= 1003 for line in head["teacher"])


def test_killed_and_resumed_is_bit_for_bit_the_same(
    plan: Build, learnt: Callable[..., str], tmp_path: Path, ground: Path
) -> None:
    what = plan(
        stage={**distil(learnt(), differences=0.8, harmful="drop"), "epochs": 3}, model={"dropout": 0.1},
        runtime={"keep": "all", "checkpoint_every_steps": 3, "log_every": 2, "seed": 2},
    )  # fmt: skip
    calm = MemoryContext(tmp_path / "calm", ground / "cache")
    assert train(what, calm) is Outcome.FINISHED
    broken = Mortal(tmp_path / "broken", ground / "cache", dies_at=4)
    with pytest.raises(Killed):
        train(what, broken)
    assert train(what, broken) is Outcome.FINISHED
    same(calm, broken)


def test_a_teacher_that_cuts_texts_otherwise_is_refused_before_the_start(
    plan: Build, learnt: Callable[..., str], tmp_path: Path, ground: Path
) -> None:
    source = learnt(family="roberta", length=32)
    what = plan(stage=distil(source))
    with pytest.raises(ConfigError, match="places among sub-words") as caught:
        train(what, MemoryContext(tmp_path / "run", ground / "cache"))
    assert caught.value.where == "stages.0.distil.teachers.0.source"
    found = check_plan(what, cache=ground / "cache")["findings"]
    wrong = [one for one in found if one["level"] == "error"]
    assert [one["key"] for one in wrong] == ["stages.0.distil.teachers.0.source"]
    tiny_encoder(ground / "long", max_positions=200)
    what = plan(stage=distil(learnt()), family="long", model={"max_length": 140})
    found = check_plan(what, cache=ground / "cache")["findings"]
    (message,) = (one["message"] for one in found if one["level"] == "error")
    assert "The student's windows may have 140 sub-words, and the teacher reads 128." in message
    longer = check_plan(plan(stage=distil(learnt()), model={"max_length": 60}), cache=ground / "cache")["findings"]
    assert [one for one in longer if one["level"] == "error"] == []  # the teacher reads windows of other lengths too


def test_answers_are_counted_as_the_run_will_ask_for_them(
    plan: Build, learnt: Callable[..., str], tmp_path: Path, opened: Callable[..., Any]
) -> None:
    what = plan(stage=distil(learnt()))
    found = count_steps(what, cache=tmp_path / "cache")["answers"]
    _, _, objective = opened(distil(learnt()))
    assert found["numbers"] == objective.answers[0].values.size
    assert found["units"] > 0
    assert found["classes"] == round(found["numbers"] / found["units"])


def test_parts_are_added_up_as_they_weigh() -> None:
    generator = torch.Generator().manual_seed(0)
    first, second, other = (torch.randn(4, size, generator=generator) for size in (3, 5, 3))
    gold = torch.tensor([0, 1, 2, 0])
    listed = [
        parts.Part("pointer", first, gold),
        parts.Part("type", second, torch.tensor([parts.NOTHING, 4, 0, parts.NOTHING]), weight=2.0, gated=True),
    ]
    told = [other, torch.zeros(4, 5)]
    some = 1 - softmax(other.double().numpy(), axis=-1)[:, 0]
    weights = parts.weights_of(listed, told)
    assert weights[0] == 1.0
    np.testing.assert_allclose(np.asarray(weights[1]), 2 * some, rtol=1e-6)
    left, right = log_softmax(other.double().numpy(), -1), log_softmax(first.double().numpy(), -1)
    types = log_softmax(second.double().numpy(), -1)
    expected = (np.exp(left) * (left - right)).sum(-1) + 2 * some * (0.2 * (math.log(0.2) - types)).sum(-1)
    np.testing.assert_allclose(parts.soft(listed, told, 1.0, weights).numpy(), expected, rtol=1e-5)
    assert parts.right(listed, [one.student for one in listed]).tolist() == [
        int(first[at].argmax()) == gold[at] and (at in (0, 3) or int(second[at].argmax()) == (4, 0)[at - 1])
        for at in range(4)
    ]


def test_a_part_of_a_joint_run_teaches_and_learns(plan: Build, ground: Path, tmp_path: Path) -> None:
    from core.config.joint import JointPlan
    from core.training.joint import train as train_together

    rows = [{"tokens": f"{name} ran {at}".split(), "tags": ["B-PER", "O", "O"]} for at, name in enumerate(WORDS[:40])]
    (tmp_path / "names.jsonl").write_text("\n".join(json.dumps(one) for one in rows))
    what = plan()
    tasks = [
        {"name": "asked", "task": what.task.model_dump(), "data": what.data.model_dump()},
        {"name": "names", "task": {"kind": "tagging", "stride": 4, "head": "pointer"},
         "data": {"source": str(tmp_path / "names.jsonl")}},
    ]  # fmt: skip
    joint = JointPlan.model_validate(
        {"tasks": tasks, "model": what.model.model_dump(), "training": {"epochs": 1, "lr": 3e-3},
         "runtime": what.runtime.model_dump()}
    )  # fmt: skip
    together = MemoryContext(tmp_path / "together", ground / "cache")
    assert train_together(joint, together) is Outcome.FINISHED
    source = str(together.folder / "best" / "asked")
    context = MemoryContext(tmp_path / "student", ground / "cache")
    student = plan(stage=distil(source), model={"source": source, "keep_layers": 1})
    assert train(student, context) is Outcome.FINISHED
    (own,) = json.loads((context.folder / "results.json").read_text())["teachers"]
    told = json.loads((together.folder / "results.json").read_text())["metrics"]
    assert own["metrics"]["test/f1"] == pytest.approx(told["test/asked/f1"], rel=1e-5)
    with pytest.raises(ConfigError, match="several tasks at once") as caught:
        train(plan(stage=distil(str(together.folder))), MemoryContext(tmp_path / "whole", ground / "cache"))
    assert str(together.folder / "best" / "asked") in str(caught.value.expected)
