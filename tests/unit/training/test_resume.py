"""An interrupted and resumed run ends with the same bits and the same curves as an undisturbed one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from core.config import Plan
from core.errors import ModelError
from core.training import MemoryContext, Outcome, Request, train

TIMED = ("train/examples_per_s", "train/tokens_per_s", "train/memory_mb")


class Killed(BaseException):
    """Stands for a process that ends without a word."""


@dataclass
class Mortal(MemoryContext):
    """Dies at the first call after `dies_at` steps; keeps what it had recorded, as a store does."""

    dies_at: int = 10**9
    died: list[int] = field(default_factory=list)

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        super().metrics(step, values)
        if step >= self.dies_at:
            self.died.append(step)
            self.dies_at = 10**9
            raise Killed


def weights(folder: Path) -> dict[str, torch.Tensor]:
    """Return the last weights: those of the checkpoint that `keep: all` leaves, and the best model's."""
    (last,) = (path for path in (folder / "checkpoints").iterdir() if path.name.isdigit())
    found = {f"last/{name}": tensor for name, tensor in load_file(last / "model.safetensors").items()}
    found.update({f"moments/{name}": tensor for name, tensor in load_file(last / "optimizer.safetensors").items()})
    found.update({f"best/{name}": tensor for name, tensor in load_file(folder / "best" / "model.safetensors").items()})
    return found


def same(one: MemoryContext, other: MemoryContext) -> None:
    left, right = weights(one.folder), weights(other.folder)
    assert left.keys() == right.keys()
    different = [name for name in left if not torch.equal(left[name], right[name])]
    assert not different
    curves = [{key: value for key, value in context.points.items() if key[0] not in TIMED} for context in (one, other)]
    assert curves[0] == curves[1]


CASES: dict[str, dict[str, Any]] = {
    "classification": {},
    "bf16": {"runtime": {"precision": "bf16"}},
    "accumulation and tokens": {"stage": {"accumulation": 3, "batch_tokens": 150, "eval_every": 4}},
    "cached activations": {"stage": {"freeze_layers": 1}},
    "head only": {
        "stage": {"freeze_encoder": True, "schedule": {"name": "reduce_lr_on_plateau", "options": {"patience": 0}}}
    },
    "tagging": {"tagging": True, "stage": {"layer_decay": 0.8, "reinit_top_n": 1, "label_smoothing": 0.1}},
    "stock path": {"family": "distilbert", "stage": {"optimizer": {"name": "rmsprop"}, "weight_decay": 0.0}},
    "sgd, logged every third step": {"stage": {"optimizer": {"name": "sgd"}}, "runtime": {"log_every": 3}},
}


@pytest.mark.parametrize(("name", "every"), [("classification", 1), *((name, 3) for name in CASES)])
def test_killed_and_resumed_is_bit_for_bit_the_same(
    name: str, every: int, make_plan: Callable[..., Plan], tmp_path: Path, shared_cache: Path
) -> None:
    case = CASES[name]
    runtime = {"keep": "all", "checkpoint_every_steps": every, **case.get("runtime", {})}
    plan = make_plan(**{**case, "runtime": runtime})
    calm = MemoryContext(tmp_path / "calm", shared_cache)
    assert train(plan, calm) is Outcome.FINISHED
    total = calm.state["total_steps"]
    mortal = Mortal(tmp_path / "mortal", shared_cache)
    for number in range(1, 4):
        mortal.dies_at = max(1, round(number * total / 3.5) + every - 2)
        try:
            outcome = train(plan, mortal)
        except Killed:
            continue
        break
    else:
        outcome = train(plan, mortal)
    assert outcome is Outcome.FINISHED
    assert len(mortal.died) >= 2
    assert any("Resumed" in event["message"] for event in mortal.events)
    same(calm, mortal)


@pytest.mark.parametrize("request_", [Request.PAUSE, Request.CANCEL])
def test_paused_run_answers_within_a_step_and_resumes_exactly(
    request_: Request, make_plan: Callable[..., Plan], tmp_path: Path, shared_cache: Path
) -> None:
    plan = make_plan(runtime={"keep": "all"})
    calm = MemoryContext(tmp_path / "calm", shared_cache)
    train(plan, calm)
    asked = MemoryContext(tmp_path / "asked", shared_cache, at={5: request_})
    outcome = train(plan, asked)
    assert outcome is (Outcome.PAUSED if request_ is Request.PAUSE else Outcome.CANCELLED)
    assert asked.step == 5
    assert [path.name for path in (asked.folder / "checkpoints").iterdir()] == ["00000005"]
    asked.at.clear()
    assert train(plan, asked) is Outcome.FINISHED
    same(calm, asked)


def test_pause_during_an_evaluation_keeps_the_evaluation_for_later(
    make_plan: Callable[..., Plan], tmp_path: Path, shared_cache: Path
) -> None:
    plan = make_plan(stage={"eval_every": 3}, runtime={"keep": "all"})
    calm = MemoryContext(tmp_path / "calm", shared_cache)
    train(plan, calm)
    asked = MemoryContext(tmp_path / "asked", shared_cache, at={3: Request.PAUSE})  # first heard between gate batches
    assert train(plan, asked) is Outcome.PAUSED
    assert not asked.series("gate/loss")
    asked.at.clear()
    assert train(plan, asked) is Outcome.FINISHED
    same(calm, asked)


def test_save_now_is_answered_once_and_changes_nothing(
    make_plan: Callable[..., Plan], tmp_path: Path, shared_cache: Path
) -> None:
    plan = make_plan(runtime={"keep": "all"})
    calm = MemoryContext(tmp_path / "calm", shared_cache)
    train(plan, calm)
    saved = MemoryContext(tmp_path / "saved", shared_cache, at={4: Request.SAVE})
    train(plan, saved)
    assert [event["message"] for event in saved.events if event["kind"] == "checkpoint"] == ["Checkpoint at step 4."]
    same(calm, saved)


def test_damaged_checkpoint_falls_back_to_the_one_before(
    make_plan: Callable[..., Plan], context: MemoryContext, tmp_path: Path
) -> None:
    import shutil

    plan = make_plan(runtime={"keep": "all"})
    calm = MemoryContext(tmp_path / "calm", context.cache)
    train(plan, calm)
    context.at = {3: Request.PAUSE}
    train(plan, context)
    folder = context.folder / "checkpoints"
    shutil.copytree(folder / "00000003", folder / "00000006")
    with (folder / "00000006" / "optimizer.safetensors").open("r+b") as file:
        file.seek(-8, 2)
        file.write(b"\xff" * 8)
    (folder / ".partial-1234").mkdir()
    context.at.clear()
    assert train(plan, context) is Outcome.FINISHED
    assert any("step 6 is damaged" in event["message"] for event in context.events if event["kind"] == "warning")
    assert not (folder / ".partial-1234").exists()
    same(calm, context)


def test_checkpoint_of_another_plan_is_refused(make_plan: Callable[..., Plan], context: MemoryContext) -> None:
    context.at = {3: Request.PAUSE}
    train(make_plan(), context)
    context.at.clear()
    with pytest.raises(ModelError, match="does not fit"):
        train(make_plan(data={"train_rows": 40}), context)


def test_finished_run_is_not_run_again(make_plan: Callable[..., Plan], context: MemoryContext) -> None:
    plan = make_plan(stage={"epochs": 1})
    train(plan, context)
    before = (context.folder / "results.json").read_bytes()
    context.points.clear()
    assert train(plan, context) is Outcome.FINISHED
    assert not context.points
    assert (context.folder / "results.json").read_bytes() == before


def test_choices_are_restored_not_made_again(
    make_plan: Callable[..., Plan], context: MemoryContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = make_plan(runtime={"precision": "auto"})
    context.at = {3: Request.PAUSE}
    train(plan, context)
    chosen = context.state["choices"]
    context.at.clear()
    monkeypatch.setattr("core.training.choosing.choose", lambda *_, **__: pytest.fail("timed again"))
    assert train(plan, context) is Outcome.FINISHED
    assert context.state["choices"] == chosen
