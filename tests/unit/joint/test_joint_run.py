"""Joint runs on tiny encoders: equal to a single run where there is one task, exact on resume, usable afterwards."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from core.config.joint import JointPlan
from core.errors import ConfigError
from core.models import load_finished, predict
from core.training import MemoryContext, Outcome, Request
from core.training import train as train_alone
from core.training.joint import train
from core.training.joint.material import load_joint
from core.training.joint.run import JointRun
from core.training.joint.session import JointSession
from tests.unit.training.test_resume import TIMED

Make = Callable[..., MemoryContext]


def last(folder: Path, what: str = "model") -> dict[str, torch.Tensor]:
    (place,) = (path for path in (folder / "checkpoints").iterdir() if path.name.isdigit())
    return dict(load_file(place / f"{what}.safetensors"))


def results(context: MemoryContext) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((context.folder / "results.json").read_text())
    return found


def curves(context: MemoryContext) -> dict[tuple[str, int], float]:
    return {key: value for key, value in context.points.items() if key[0] not in TIMED}


CASES: dict[str, dict[str, Any]] = {
    "mood": {"training": {"epochs": 1.5, "layer_decay": 0.9}},
    "names": {
        "training": {"batch_tokens": 120, "accumulation": 2, "epochs": 2, "eval_every": 3},
        "tasks": {"names": {"head_lr": 3e-3, "class_weights": "balanced", "label_smoothing": 0.1}},
    },
    "where": {"training": {"freeze_layers": 1, "steps": 5}},
}


@pytest.mark.parametrize("name", CASES)
def test_one_task_is_the_single_run_bit_for_bit(name: str, joint: Callable[..., JointPlan], fresh: Make) -> None:
    plan = joint(name, **CASES[name])
    alone, together = fresh("alone"), fresh("together")
    assert train_alone(plan.plan_of(0), alone) is Outcome.FINISHED
    assert train(plan, together) is Outcome.FINISHED
    expected = {key: value for key, value in curves(alone).items() if key[0].startswith("train/")}
    assert expected
    assert {key: curves(together)[key] for key in expected} == expected
    for what in ("model", "optimizer"):
        one, other = last(alone.folder, what), last(together.folder, what)
        assert {f"parts.0.{key}" for key in one} == other.keys()
        assert not [key for key in one if not torch.equal(one[key], other[f"parts.0.{key}"])]
    one, other = (
        load_file(path / "model.safetensors") for path in (alone.folder / "best", together.folder / "best" / name)
    )
    assert one.keys() == other.keys()
    assert all(torch.equal(one[key], other[key]) for key in one)
    single, found = results(alone), results(together)
    for role in ("gate", "test"):
        assert found["details"][role][name] == single["details"][role]
    renamed = {key.replace("/", f"/{name}/", 1): value for key, value in single["metrics"].items()}
    assert renamed.items() <= found["metrics"].items()


def test_three_tasks_leave_scores_and_a_model_each(joint: Callable[..., JointPlan], fresh: Make, encoder: Path) -> None:
    context = fresh()
    mixing = {"monitor_every": 4, "alpha": 0.3, "weights": "uncertainty"}
    plan = joint("mood", "names", "where", training={"epochs": 2, "lr": 3e-3, "eval_every": 6}, mixing=mixing)
    assert train(plan, context) is Outcome.FINISHED
    found = results(context)
    assert {key.split("/")[1] for key in found["metrics"]} == {"mood", "names", "where", "combined"}
    main = [found["metrics"][f"test/{name}"] for name in ("mood/accuracy", "names/strict_f1", "where/f1")]
    assert found["metrics"]["test/combined"] == pytest.approx(np.mean(main))
    assert found["details"]["test"]["mood"]["n"] == found["tasks"][0]["rows"]["test"]
    assert sum(one["batches"] for one in found["tasks"]) == found["training"]["steps"]
    assert found["conflicts"]["looks"] == found["training"]["steps"] // 4
    names = {name for name, _ in context.points}
    wanted = {"train/where/loss", "train/where/weight", "gate/combined", "gate/names/strict_f1", "lr/loss weights"}
    assert wanted <= names
    assert {f"conflict/mood~where/cosine/{unit}" for unit in ("embeddings", "layer 0", "layer 1", "encoder")} <= names
    encoders = []
    for name in ("mood", "names", "where"):
        model = load_finished(context.folder / "best" / name)
        assert model.info["metrics"]["test/loss"] == found["metrics"][f"test/{name}/loss"]
        encoders.append({key: value for key, value in model.model.state_dict().items() if ".layer." in key})
    start = load_file(encoder / "model.safetensors")
    for key, value in encoders[0].items():
        assert torch.equal(value, encoders[1][key])
        assert torch.equal(value, encoders[2][key])
    begun = [(value, start[key.removeprefix("bert.")]) for key, value in encoders[0].items()]
    assert begun
    assert all(not torch.equal(value, before) for value, before in begun if value.ndim > 1)
    told = predict(load_finished(context.folder / "best" / "where"), [["where", "anna lives in paris"]])
    assert told[0].answers


MIXED: dict[str, dict[str, Any]] = {
    "drawn": {"mixing": {"monitor_every": 3, "weights": "uncertainty", "alpha_end": 0.0}},
    "pcgrad": {"mixing": {"pcgrad": True, "monitor_every": 3}, "training": {"accumulation": 2}},
    "quotas": {
        "mixing": {"monitor_every": 2}, "tasks": {"mood": {"quota": 70}, "names": {"quota": 45}},
        "training": {"freeze_layers": 1, "eval_every": 4},
    },
}  # fmt: skip


@pytest.mark.parametrize("name", MIXED)
def test_paused_and_resumed_is_bit_for_bit_the_same(name: str, joint: Callable[..., JointPlan], fresh: Make) -> None:
    case = dict(MIXED[name])
    case["training"] = {"epochs": 2, **case.get("training", {})}
    plan = joint("mood", "names", **case)
    calm, broken = fresh("calm"), fresh("broken", at={2: Request.PAUSE})
    assert train(plan, calm) is Outcome.FINISHED
    assert train(plan, broken) is Outcome.PAUSED
    broken.at = {5: Request.CANCEL}
    assert train(plan, broken) is Outcome.CANCELLED
    broken.at = {}
    assert train(plan, broken) is Outcome.FINISHED
    for what in ("model", "optimizer"):
        one, other = last(calm.folder, what), last(broken.folder, what)
        assert one.keys() == other.keys()
        assert not [key for key in one if not torch.equal(one[key], other[key])]
    assert curves(calm) == curves(broken)
    left, right = results(calm), results(broken)
    for key in ("metrics", "details", "tasks", "conflicts"):
        assert left[key] == right[key]
    if name == "quotas":
        assert [one["examples"] for one in left["tasks"]] == [70, 45]


def opened(plan: JointPlan, context: MemoryContext) -> JointSession:
    run = JointRun(plan, context)
    run.begin_material(run.load())
    session = run.open(plan.stage(), 0)
    assert isinstance(session, JointSession)
    return session


def gradients(session: JointSession, task: int, indices: np.ndarray, own: int, first: int = 0) -> dict[str, np.ndarray]:
    """Return a task's gradients by another way: autograd on a loss of the engine."""
    engine, part = session.engines[task], session._parts[task]
    engine.seed(session.prepared.seed, own, first)
    features = part.encoded["train"].features
    total, weight, _ = engine.loss([features[at] for at in indices], indices)
    names, targets = zip(*session._shared.items(), strict=True)
    found = torch.autograd.grad(total / weight, targets, allow_unused=True)
    return {
        name: (torch.zeros_like(target) if one is None else one).double().numpy().ravel()
        for name, target, one in zip(names, targets, found, strict=True)
    }


def test_a_look_finds_the_cosines_of_both_gradients_and_leaves_the_step_alone(
    joint: Callable[..., JointPlan], fresh: Make
) -> None:
    plans = [joint("mood", "names", mixing={"monitor_every": every}) for every in (1, 0)]
    looking, blind = (opened(plan, fresh(str(number))) for number, plan in enumerate(plans))
    for session in (looking, blind):
        stream = session.batches()
        (_, _, _, parts) = next(stream)
        assert session._stream is not None
        ((task, indices),) = parts
        if session is looking:
            other = 1 - task
            mine = gradients(session, task, indices, 1)
            theirs = gradients(session, other, session._stream.peek(other), 1, (1 << 16) * (other + 1))
        taken = session.step(parts, 1, session.optimiser.base)
        if session is looking:
            told = {name: float(value) for name, value in taken.told.items()}
    sides = {task: mine, other: theirs}
    for unit in ("embeddings", "layer 0", "layer 1", "encoder"):
        names = [name for name, one in looking._units.items() if unit in ("encoder", one)]
        a, b = (np.concatenate([sides[side][name] for name in names]) for side in (0, 1))
        norms = np.linalg.norm(a), np.linalg.norm(b)
        assert told[f"conflict/mood~names/cosine/{unit}"] == pytest.approx(a @ b / norms[0] / norms[1], abs=1e-4)
        assert told[f"conflict/mood~names/ratio/{unit}"] == pytest.approx(norms[0] / norms[1], rel=1e-4)
    one, other_weights = looking.trained(), blind.trained()
    assert all(torch.equal(one[name], other_weights[name]) for name in one)


def test_a_pcgrad_step_follows_the_projected_gradients(joint: Callable[..., JointPlan], fresh: Make) -> None:
    training = {"optimizer": {"name": "sgd", "momentum": 0.0}, "weight_decay": 0.0, "clip_norm": None, "lr": 0.1}
    session = opened(joint("mood", "names", mixing={"pcgrad": True}, training=training), fresh())
    for own in range(1, 5):
        parts = session.schedule.stream(own - 1).take()
        assert [task for task, _ in parts] == [0, 1]
        names = list(session._shared)
        a, b = (
            np.concatenate([one[name] for name in names])
            for one in (gradients(session, task, indices, own) for task, indices in parts)
        )
        conflict = a @ b < 0
        whole = (a - (a @ b) / (b @ b) * b) + (b - (a @ b) / (a @ a) * a) if conflict else a + b
        before = np.concatenate([session._shared[name].detach().double().numpy().ravel() for name in names])
        session.step(parts, own, session.optimiser.base)
        after = np.concatenate([session._shared[name].detach().double().numpy().ravel() for name in names])
        assert after - before == pytest.approx(-0.1 * whole / 2, abs=1e-6)


def test_what_cannot_be_trained_is_refused_by_its_place_in_the_plan(
    joint: Callable[..., JointPlan], fresh: Make
) -> None:
    with pytest.raises(ConfigError) as error:
        load_joint(joint("mood", "names", training={"freeze_layers": 9}), fresh().cache)
    assert error.value.where == "training.freeze_layers"
    with pytest.raises(ConfigError) as error:
        load_joint(joint("mood", "names", tasks={"names": {"metric": "accuracy"}}), fresh().cache)
    assert error.value.where == "tasks.1.metric"
    assert "Task names" in error.value.what
    with pytest.raises(ConfigError, match="PCGrad has nothing to do"):
        opened(joint("mood", "names", mixing={"pcgrad": True}, training={"freeze_encoder": True}), fresh())
