"""A joint student with a teacher for each task: the same bits as its parts alone, the loss by hand, exact on resume."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file

from core.config.joint import JointPlan
from core.errors import ConfigError
from core.training import MemoryContext, Outcome, Request
from core.training import train as train_alone
from core.training.diary import FILE, read_diary
from core.training.distil.pins import write_pin
from core.training.distil.places import taught_folder
from core.training.joint import train
from core.training.joint.check import check_joint
from core.training.joint.material import load_joint
from tests.tiny import tiny_encoder
from tests.unit.joint.test_joint_run import curves, gradients, last, opened, results

Joint = Callable[..., JointPlan]
Make = Callable[..., MemoryContext]
POINTER = {"task": {"kind": "tagging", "stride": 4, "head": "pointer"}}
pytestmark = pytest.mark.usefixtures("parts_by_length")


@pytest.fixture(scope="session")
def joint_teacher(tmp_path_factory: pytest.TempPathFactory, joint_data: Path, joint_cache: Path) -> Path:
    """A joint run, wider than its students, with a head that points for the names."""
    folder = tmp_path_factory.mktemp("joint-teacher")
    wide = tiny_encoder(folder / "wide", hidden=24, intermediate=32, layers=3)
    plan = JointPlan.model_validate(
        {
            "tasks": [
                {"name": "mood", "data": {"source": str(joint_data / "reviews.csv")}},
                {"name": "names", **POINTER, "data": {"source": str(joint_data / "tags.jsonl")}},
            ],
            "model": {"source": str(wide), "max_length": 32},
            "training": {"lr": 1e-2, "batch_size": 16, "epochs": 2},
            "mixing": {"monitor_every": 0},
            "runtime": {"threads": 1, "precision": "fp32", "device": "cpu"},
        }
    )  # fmt: skip
    context = MemoryContext(folder / "run", joint_cache)
    assert train(plan, context) is Outcome.FINISHED
    return context.folder


def taught(teacher: Path, task: str, **more: Any) -> dict[str, Any]:
    return {"distil": {"teachers": [{"source": str(teacher / "best" / task)}], **more}}


def test_one_task_with_a_teacher_is_the_single_student_bit_for_bit(
    joint: Joint, fresh: Make, joint_teacher: Path
) -> None:
    more = {
        "differences": 0.5, "harmful": "drop", "temperature": 3.0, "states": [{"kind": "hidden", "layers": "cka"}],
    }  # fmt: skip
    tasks = {"names": {**POINTER, **taught(joint_teacher, "names", **more)}}
    plan = joint("names", tasks=tasks, training={"steps": 4, "eval_every": 2, "accumulation": 2})
    alone, together = fresh("alone"), fresh("together")
    assert train_alone(plan.plan_of(0), alone) is Outcome.FINISHED
    assert train(plan, together) is Outcome.FINISHED

    def renamed(name: str) -> str:
        return name.replace("distil/", "distil/names/", 1) if name.startswith("distil/") else name

    expected = {
        (renamed(name), step): value for (name, step), value in curves(alone).items()
        if name.startswith(("train/", "distil/"))
    }  # fmt: skip
    assert {"distil/names/hidden", "distil/names/share_soft", "distil/names/gate_divergence"} <= {
        name for name, _ in expected
    }
    found = curves(together)
    assert {key: found[key] for key in expected} == expected
    for what in ("model", "optimizer"):
        one, other = last(alone.folder, what), last(together.folder, what)
        moved = {
            key.replace("distil.map.", "distil.map.task0.") if "distil.map." in key else f"parts.0.{key}": value
            for key, value in one.items()
        }
        assert moved.keys() == other.keys()
        assert not [key for key in moved if not torch.equal(moved[key], other[key])]
    single, several = results(alone)["teachers"], results(together)["teachers"]
    assert [{"task": "names", **one} for one in single] == several


BOTH = {"mixing": {"monitor_every": 2, "weights": "uncertainty"}, "training": {"steps": 6, "eval_every": 3}}


def test_teachers_that_never_count_leave_the_joint_run_as_it_is(joint: Joint, fresh: Make, joint_teacher: Path) -> None:
    never = {"alpha": 0.0, "alpha_schedule": {"name": "linear", "to": 0.5, "begin": 0.99, "end": 1.0}}
    silent = {"mood": taught(joint_teacher, "mood", **never), "names": taught(joint_teacher, "names", **never)}
    silent["names"].update(POINTER)
    # The weight begins to rise behind the steps that are made.
    long = {**BOTH, "training": {"steps": 200, "eval_every": 3}}
    calm, still = (fresh(name, at={5: Request.CANCEL}) for name in ("calm", "still"))
    assert train(joint("mood", "names", tasks={"names": POINTER}, **long), calm) is Outcome.CANCELLED
    assert train(joint("mood", "names", tasks=silent, **long), still) is Outcome.CANCELLED
    one, other = curves(calm), curves(still)
    assert any(name.startswith("conflict/") for name, _ in one)
    assert {key: value for key, value in other.items() if not key[0].startswith("distil/")} == one
    for what in ("model", "optimizer"):
        left, right = last(calm.folder, what), last(still.folder, what)
        assert left.keys() == right.keys()
        assert not [key for key in left if not torch.equal(left[key], right[key])]


def shares(logits: np.ndarray, temperature: float) -> np.ndarray:
    scaled = logits.astype(np.float64) / temperature
    scaled -= scaled.max(-1, keepdims=True)
    return np.exp(scaled) / np.exp(scaled).sum(-1, keepdims=True)


def test_each_task_learns_from_its_own_teacher_at_its_own_temperature(
    joint: Joint, fresh: Make, joint_teacher: Path
) -> None:
    """α T² KL + (1 − α) gold of one batch of each task by hand, and what uncertainty weights make of it."""
    temperatures = {"mood": 2.0, "names": 4.0}
    tasks: dict[str, dict[str, Any]] = {
        name: taught(joint_teacher, name, temperature=value, alpha=0.3) for name, value in temperatures.items()
    }
    tasks["names"].update(POINTER)
    mixing = {"pcgrad": True, "weights": "uncertainty", "monitor_every": 1}
    plan = joint("mood", "names", tasks=tasks, mixing=mixing, training={"steps": 8})
    context = fresh()
    session = opened(plan, context)
    nothing: dict[str, Any] = {"check": lambda: None, "event": lambda *_, **__: None, "phase": lambda name: None}
    session.fill_caches(context.cache, **nothing)
    with torch.no_grad():
        for value in session.loss_weights.learnt.values():
            value.fill_(0.4)
    parts = session.schedule.stream(0).take()
    golds, softs = {}, {}
    for task, indices in parts:
        name, engine = session._names[task], session.engines[task]
        objective, part = engine.objective, session._parts[task]
        assert objective is not None
        features = [part.encoded["train"].features[at] for at in indices]
        engine.seed(session.prepared.seed, 1, 0)
        logits, batch = engine.forward(features, indices, "train")
        total, weight = part.task.loss(logits, batch["labels"])
        golds[name] = float(total.detach() / weight)
        told, said = objective._parts(engine, logits, batch, indices)
        t = temperatures[name]
        each = np.zeros(len(told[0].gold))
        some = 1.0 - shares(said[0][0].numpy(), 1.0)[:, 0]
        for one, other in zip(told, said[0], strict=True):
            student, teacher = one.student.detach().numpy(), other.numpy()
            if one.apart:
                p, q = (1 / (1 + np.exp(-x.astype(np.float64) / t)) for x in (teacher, student))
                kl = (p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))).mean(-1)
            else:
                p, q = shares(teacher, t), shares(student, t)
                kl = np.where(p > 0, p * np.log(np.maximum(p, 1e-300) / np.maximum(q, 1e-300)), 0).sum(-1)
            each += np.asarray(one.weight) * (some if one.gated else 1.0) * t * t * kl
        softs[name] = float(each.mean())
    pulls = [np.concatenate(list(gradients(session, task, indices, 1).values())) for task, indices in parts]
    silent = [engine.objective for engine in session.engines]
    for engine in session.engines:
        engine.objective = None
    plain = [np.concatenate(list(gradients(session, task, indices, 1).values())) for task, indices in parts]
    for engine, objective in zip(session.engines, silent, strict=True):
        engine.objective = objective
        assert objective is not None
        objective.take()
    told_of = session.step(parts, 1, session.optimiser.base).told
    # Gradients are compared, and give way, as those of what each task minimises.
    found, without = (a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in (pulls, plain))
    assert float(told_of["conflict/mood~names/cosine/encoder"]) == pytest.approx(found, abs=1e-4)
    assert abs(found - without) > 1e-3
    for name in temperatures:
        assert float(told_of[f"distil/{name}/gold"]) == pytest.approx(golds[name], rel=1e-5)
        assert float(told_of[f"distil/{name}/soft"]) == pytest.approx(softs[name], rel=1e-4, abs=1e-6)
        whole = 0.7 * golds[name] + 0.3 * softs[name]
        assert float(told_of[f"train/{name}/loss"]) == pytest.approx(whole, rel=1e-4)


def test_a_joint_student_is_resumed_to_the_bit_and_each_task_has_its_folder(
    joint: Joint, fresh: Make, joint_teacher: Path
) -> None:
    states = [{"kind": "hidden", "layers": "cka"}, {"kind": "relation", "layers": "last"}]
    tasks: dict[str, dict[str, Any]] = {
        "mood": taught(joint_teacher, "mood", differences=0.5, states=states),
        "names": {**POINTER, **taught(joint_teacher, "names", harmful="drop", states=states[:1])},
    }
    case = {**BOTH, "runtime": {"checkpoint_every_steps": 1, "log_every": 1}}
    plan = joint("mood", "names", tasks=tasks, **case)
    calm = fresh("calm", changes={3: {"temperature": 5.0}}, changed="names")
    broken = fresh("broken", changes={3: {"temperature": 5.0}}, changed="names", at={4: Request.CANCEL})
    for context in (calm, broken):
        place = taught_folder(context.folder, "names")
        place.mkdir(parents=True)
        write_pin(place, "anna lives in paris", tagging=True)
    assert train(plan, calm) is Outcome.FINISHED
    assert train(plan, broken) is Outcome.CANCELLED
    assert json.loads((taught_folder(broken.folder, "names") / "changes.json").read_text())["changes"][0]["step"] == 4
    broken.at = {}
    assert train(plan, broken) is Outcome.FINISHED
    for what in ("model", "optimizer"):
        one, other = last(calm.folder, what), last(broken.folder, what)
        assert any("distil.map.task1" in key for key in one)
        assert one.keys() == other.keys()
        assert not [key for key in one if not torch.equal(one[key], other[key])]
    # Pins are looked at anew where a run goes on, so only what both saw is held against each other.
    assert curves(calm) == curves(broken)
    assert [dict(calm.series("distil/names/temperature"))[step] for step in (3, 4)] == [2.0, 5.0]
    assert dict(calm.series("distil/mood/temperature"))[4] == 2.0
    seen = read_diary(taught_folder(calm.folder, "names") / FILE)["entries"]
    assert {"pin", "strip", "gaps", "layers"} <= {one["kind"] for one in seen}
    assert not [one for one in read_diary(taught_folder(calm.folder, "mood") / FILE)["entries"] if "pin" in one]
    left, right = results(calm), results(broken)
    for key in ("metrics", "details", "tasks", "conflicts", "teachers"):
        assert left[key] == right[key]
    assert [one["task"] for one in left["teachers"]] == ["mood", "names"]
    assert {"gate", "test"} <= left["teachers"][1]["lost"].keys()


def test_a_student_made_of_a_joint_run_begins_with_the_heads_of_all_its_tasks(
    joint: Joint, fresh: Make, joint_teacher: Path
) -> None:
    model = {"source": str(joint_teacher / "best" / "mood"), "keep_layers": 1, "max_length": 32}
    material = load_joint(joint("mood", "names", tasks={"names": POINTER}, model=model), fresh().cache)
    assert len(material.layers) == 1
    for name, part in zip(material.names, material.parts, strict=True):
        kept = load_file(joint_teacher / "best" / name / "model.safetensors")
        heads = [(key, one) for key, one in part.model.named_parameters() if part.units[key] == "head"]
        assert heads
        assert all(torch.equal(one, kept[key]) for key, one in heads)


def test_what_cannot_teach_is_refused_with_its_task(
    joint: Joint, fresh: Make, joint_teacher: Path, joint_cache: Path
) -> None:
    wrong = {
        "mood": taught(joint_teacher, "names"),
        "names": {**POINTER, **taught(joint_teacher, "names", states=[{"kind": "attention", "layers": [[9, 1]]}])},
    }
    found = check_joint(joint("mood", "names", tasks=wrong), cache=joint_cache)
    errors = {one["key"]: one["message"] for one in found["findings"] if one["level"] == "error"}
    assert list(errors) == ["tasks.0.distil.teachers.0.source", "tasks.1.distil.states.0.layers"]
    assert errors["tasks.0.distil.teachers.0.source"]
    assert "9" in errors["tasks.1.distil.states.0.layers"]
    with pytest.raises(ConfigError) as error:
        train(joint("mood", "names", tasks={"mood": wrong["mood"]}), fresh())
    assert error.value.where == "tasks.0.distil.teachers.0.source"
    assert error.value.what.startswith("Task mood: ")
    with pytest.raises(ValidationError, match="not learnt here"):
        joint("mood", beside=[{"name": "names", **taught(joint_teacher, "names")}])
    with pytest.raises(ValidationError, match="nothing is learnt from the teacher"):
        joint("mood", tasks={"mood": taught(joint_teacher, "mood", alpha=0.0)})
