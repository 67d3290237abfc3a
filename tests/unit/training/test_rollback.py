"""Going back: what a restore point holds, when a guard leads back to it, and that nothing is lost on a full disk."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core.config import Plan
from core.errors import StorageError, TrainingDiverged
from core.training import MemoryContext, Outcome, train
from core.training.attempt import Attempt
from core.training.checkpoints import random_state
from core.training.restore import RestorePoints
from core.training.stage import StageRun
from tests.unit.training.test_stages import actions, decisions, last_weights, results


def state_of(part: StageRun) -> dict[str, Any]:
    """Copy everything that a roll-back must put back."""
    tensors = {name: tensor.clone() for name, tensor in part.session.trained().items()}
    moments = {name: tensor.clone() for name, tensor in part.session.optimiser.state_tensors().items()}
    generators, scalars = random_state()
    return {
        "tensors": tensors, "moments": moments, "generators": generators, "scalars": json.dumps(scalars),
        "row_decay": part.session.row_decay, "attempt": json.dumps(part.attempt.state_dict()),
    }  # fmt: skip


def different(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    found = []
    for key in ("tensors", "moments", "generators"):
        if one[key].keys() != other[key].keys():
            found.append(key)
        both = one[key].keys() & other[key].keys()
        found += [name for name in both if not torch.equal(one[key][name], other[key][name])]
    return found + [key for key in ("scalars", "row_decay", "attempt") if one[key] != other[key]]


@pytest.mark.parametrize(
    "stage",
    [
        {},
        {"optimizer": {"name": "sgd"}, "freeze_layers": 1},
        {"schedule": {"name": "reduce_lr_on_plateau", "options": {"patience": 0}}, "raise_if": {"every": 4}},
    ],
    ids=["all", "top layer", "plateau and raising"],
)
@pytest.mark.parametrize("what", ["start", "best"])
def test_a_roll_back_leaves_weights_optimiser_generators_and_place_bit_for_bit(
    what: str, stage: dict[str, Any], make_plan: Callable[..., Plan], context: MemoryContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Written after so many steps, gone back to after some more, with every generator disturbed meanwhile."""
    written: dict[str, dict[str, Any]] = {}
    real_write, real_steps = StageRun._write_point, Attempt.steps

    def write(self: StageRun, name: str, **options: Any) -> None:
        real_write(self, name, **options)
        written[name] = state_of(self)

    checked = []

    def steps(self: Attempt) -> None:
        real_steps(self)
        part = self.owner
        point = part.point("start") if what == "start" else (part.best or {})["point"]
        before = state_of(part)
        assert different(before, written[point])
        random.random()
        np.random.rand()
        torch.rand(3)
        part.restore(point, whole=True)
        checked.append(different(state_of(part), written[point]))

    monkeypatch.setattr(StageRun, "_write_point", write)
    monkeypatch.setattr(Attempt, "steps", steps)
    monkeypatch.setattr("core.training.run.RestorePoints.keep", lambda *_: None)
    rows = {"steps": 7, "eval_every": 3, "max_retries": 1, "lr": 3e-3, "gate": {}, "on_fail": "continue"}
    train(make_plan(stage={**rows, **stage}), context)
    assert checked == [[]]


def test_a_guard_goes_back_to_the_best_evaluation_cuts_the_rates_and_goes_on_there(
    make_plan: Callable[..., Plan], context: MemoryContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    from core.training.engine import Engine

    monkeypatch.setattr("core.training.stage.StageRun.above_majority", lambda *_: True)
    monkeypatch.setattr("core.training.returning.better", lambda *_: True)
    real, broken = Engine.loss, []

    def spoil(self: Engine, features: list, indices: np.ndarray, role: str = "train") -> tuple:
        total, weight, logits = real(self, features, indices, role)
        if context.step == 7 and not broken:
            broken.append(True)
            total = total * float("nan")
        return total, weight, logits

    monkeypatch.setattr(Engine, "loss", spoil)
    stage = {"steps": 10, "eval_every": 5, "max_retries": 1, "schedule": {"name": "linear", "warmup": 0.0}}
    assert train(make_plan(stage=stage), context) is Outcome.FINISHED
    (made,) = [one for one in decisions(context) if one["rule"] == "guard"]
    assert (made["action"], made["attempt"], made["step"]) == ("rollback", 1, 8)
    assert made["lr_scale"] == pytest.approx(1 / 3)
    assert "not a number" in made["evidence"]["guard"] or "nan" in made["evidence"]["guard"]
    begun = [event["data"] for event in context.events if event["kind"] == "stage"]
    assert [(one["attempt"], one["first_step"], one["own_step"]) for one in begun] == [(1, 1, 0), (2, 9, 5)]
    rates = dict(context.series("lr/all"))
    assert [rates[step] for step in range(9, 14)] == pytest.approx([1e-3 / 3 * (10 - own) / 10 for own in range(5, 10)])
    losses = dict(context.series("train/loss"))
    assert losses[8] != losses[8]  # what went wrong stays visible
    assert sorted(losses) == list(range(1, 14))
    assert [one["outcome"] for one in results(context)["stages"][0]["attempts"]] == ["guard", "finished"]


def test_a_repeated_attempt_from_the_start_sees_the_same_batches_and_masks(
    make_plan: Callable[..., Plan], context: MemoryContext
) -> None:
    """Cut so little that rounding aside it is the same attempt: the losses tell that order and dropout are too."""
    stage = {"steps": 5, "gate": {"reference": 2.0}, "on_fail": "cut", "max_retries": 1, "lr_factor": 1.0000001}
    train(make_plan(stage=stage), context)
    losses = [value for _, value in context.series("train/loss")]
    assert len(losses) == 10
    assert losses[5:] == pytest.approx(losses[:5], rel=1e-4)


def test_a_diverging_stage_is_caught_within_one_evaluation_cut_and_ends_above_the_majority(
    make_plan: Callable[..., Plan], context: MemoryContext
) -> None:
    stage = {
        "epochs": 14, "lr": 2.0, "head_lr": 2.5, "eval_every": 18, "guards": {"single_class": 1}, "max_retries": 1,
        "lr_factor": 1000,
    }  # fmt: skip
    assert train(make_plan(stage=stage), context) is Outcome.FINISHED
    (first,) = [one for one in decisions(context) if one["rule"] == "guard"]
    assert first["step"] <= 18
    assert first["evidence"]["point"] == "00-start"
    found = results(context)
    assert found["metrics"]["gate/accuracy"] > 0.5
    assert found["stages"][0]["attempts"][0]["outcome"] == "guard"


def test_a_run_in_which_everything_failed_ends_with_the_weights_that_it_began_with(
    make_plan: Callable[..., Plan], context: MemoryContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.training.session.distinct_predictions", lambda *_: 1)
    stage = {"eval_every": 2, "guards": {"single_class": 1}, "max_retries": 1}
    assert train(make_plan(stage=stage), context) is Outcome.FINISHED
    found = results(context)
    assert found["stages"][0]["outcome"] == "rolled back"
    assert found["metrics"]["gate/accuracy"] == found["stages"][0]["start"]["value"]


def test_a_guard_without_retries_fails_the_run_in_its_own_words(
    make_plan: Callable[..., Plan], context: MemoryContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.training.session.distinct_predictions", lambda *_: 1)
    with pytest.raises(TrainingDiverged, match="one class"):
        train(make_plan(stage={"guards": {"single_class": 1}}), context)
    assert actions(context) == [("guard", "fail")]
    assert context.events[-1]["kind"] == "guard"


@pytest.mark.parametrize(("on_exhausted", "outcome"), [("rollback", "rolled back"), ("stop", "stopped")])
def test_when_no_retry_is_left_the_best_weights_go_on_or_the_run_ends(
    on_exhausted: str, outcome: str, make_plan: Callable[..., Plan], context: MemoryContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    counts = iter([2, 1, 1, 2, 2, 2, 2, 2])
    monkeypatch.setattr("core.training.session.distinct_predictions", lambda *_: next(counts))
    first = {
        "name": "a",
        "guards": {"single_class": 1},
        "max_retries": 1,
        "on_exhausted": on_exhausted,
        "eval_every": 3,
    }
    assert train(make_plan(stages=[first, {"name": "b"}]), context) is Outcome.FINISHED
    assert actions(context) == [("guard", "rollback"), ("retries", on_exhausted)]
    found = results(context)["stages"]
    assert found[0]["outcome"] == outcome
    assert len(found) == (2 if on_exhausted == "rollback" else 1)
    assert found[0]["best"] is not None


def test_predictions_that_are_certain_and_wrong_are_a_collapse(
    make_plan: Callable[..., Plan], context: MemoryContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.training.session.entropy_share", lambda *_: 0.01)
    monkeypatch.setattr("core.training.session.majority_score", lambda *_: 1.0)
    with pytest.raises(TrainingDiverged, match=r"entropy is 0\.01"):
        train(make_plan(stage={"guards": {"entropy": 0.05}}), context)


def test_a_full_disk_keeps_restore_points_in_memory_and_the_run_ends_the_same(
    make_plan: Callable[..., Plan], tmp_path: Path, shared_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import core.training.files as files

    stage = {"steps": 6, "eval_every": 2, "gate": {"reference": 2.0}, "on_fail": "cut", "max_retries": 1}
    plan = make_plan(stage=stage, runtime={"keep": "all"})
    calm = MemoryContext(tmp_path / "calm", shared_cache)
    train(plan, calm)

    tight = MemoryContext(tmp_path / "tight", shared_cache)
    real = files.free_bytes
    monkeypatch.setattr(files, "free_bytes", lambda folder: 0 if folder.parent.name == "restore" else real(folder))
    assert train(plan, tight) is Outcome.FINISHED
    told = [event["message"] for event in tight.events if event["kind"] == "warning"]
    assert any("restore point could not be written" in message for message in told)
    left, right = last_weights(calm), last_weights(tight)
    assert all(torch.equal(left[name], right[name]) for name in left)


def test_a_restore_point_that_is_damaged_is_told(tmp_path: Path) -> None:
    points = RestorePoints(tmp_path / "restore", lambda *_, **__: None)
    points.write("00-start", 3, {"a": torch.ones(2)}, {}, {"attempt": {}})
    assert points.load("00-start", torch.device("cpu")).step == 3
    with (tmp_path / "restore" / "00-start" / "model.safetensors").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\xff")
    with pytest.raises(StorageError, match="missing or damaged"):
        points.load("00-start", torch.device("cpu"))


def test_points_that_the_last_checkpoint_relies_on_stay(tmp_path: Path) -> None:
    points = RestorePoints(tmp_path / "restore", lambda *_, **__: None)
    for name in ("00-start", "00-best-1", "00-best-2"):
        points.write(name, 1, {"a": torch.ones(2)}, {}, {})
    there = lambda: sorted(path.name for path in (tmp_path / "restore").iterdir())  # noqa: E731
    points.rely({"00-start", "00-best-1"})
    points.write("00-best-2", 2, {"a": torch.ones(2)}, {}, {})
    points.keep({"00-start", "00-best-2"})
    assert there() == ["00-best-1", "00-best-2", "00-start"]
    points.rely({"00-best-2"})
    assert there() == ["00-best-2"]


def test_a_plan_that_decides_nothing_writes_no_restore_point(
    make_plan: Callable[..., Plan], context: MemoryContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RestorePoints, "write", lambda *_, **__: pytest.fail("written"))
    train(make_plan(stages=[{"name": "a", "epochs": 1}, {"name": "b", "epochs": 1}]), context)
    assert not (context.folder / "restore").exists()
