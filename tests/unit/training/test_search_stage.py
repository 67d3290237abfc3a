"""The search as a stage: trials are runs of their own from the same weights, and the best one's weights go on."""

from __future__ import annotations

import gc
import json
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.config import Plan, Stage
from core.errors import ConfigError, TrainingDiverged
from core.training import MemoryContext, Outcome, Request, train
from core.training.run import Run
from core.training.search.history import History
from core.training.snapshot import Snapshot

SPACE = {"lr": {"low": 1e-4, "high": 1e-1, "log": True}, "batch_size": {"choices": [8, 16]}}


def searching(plan: Plan, space: dict[str, Any] | None = None, *, fields: dict[str, Any] | None = None,
              **search: Any) -> Plan:  # fmt: skip
    """Return a plan of one search stage."""
    stage = Stage.model_validate(
        {"name": "look", "kind": "search", "steps": 6, "eval_every": 3, "freeze_encoder": True, "batch_size": 16,
         "search": {"space": space or SPACE, "trials": 4, "startup_trials": 2, "sampler": "random", **search},
         **(fields or {})}
    )  # fmt: skip
    return plan.model_copy(update={"stages": [stage]})


def history(context: MemoryContext, index: int = 0) -> History:
    found = History.read(context.folder, index)
    assert found is not None
    return found


def results(context: MemoryContext) -> dict[str, Any]:
    return json.loads((context.folder / "results.json").read_text())


def test_every_trial_is_a_run_of_its_own_with_an_ordinary_plan_of_its_values(
    make_plan: Callable[..., Plan], context: MemoryContext
) -> None:
    assert train(searching(make_plan()), context) is Outcome.FINISHED
    trials = history(context).trials
    assert [one.state for one in trials] == ["finished"] * 4
    for trial in trials:
        (run_id,) = trial.runs
        child = context.children[run_id]
        assert child.ended == "finished"
        (stage,) = child.plan.stages
        assert (stage.kind, stage.search) == ("train", None)
        assert (stage.lr, stage.batch_size) == (trial.values["lr"], trial.values["batch_size"])
        assert [step for step, _ in child.series("train/loss")] == [1, 2, 3, 4, 5, 6]
        assert child.result["gate/accuracy"] == trial.scores[0]
        assert (child.folder / "results.json").is_file()
        assert not (child.folder / "best").exists()


def test_a_trials_plan_run_by_itself_scores_the_same(
    make_plan: Callable[..., Plan], context: MemoryContext, tmp_path: Path, shared_cache: Path
) -> None:
    train(searching(make_plan(), trials=2), context)
    trial = history(context).trials[1]
    alone = MemoryContext(tmp_path / "alone", shared_cache)
    assert train(context.children[trial.runs[0]].plan, alone) is Outcome.FINISHED
    assert alone.series("train/loss") == context.children[trial.runs[0]].series("train/loss")
    assert max(value for _, value in alone.series("gate/accuracy")) == trial.scores[0]


def test_the_best_trials_weights_go_on_and_are_the_runs_best(
    make_plan: Callable[..., Plan], context: MemoryContext
) -> None:
    train(searching(make_plan()), context)
    found = history(context)
    best = found.trial(found.best)
    assert best.scores[0] == max(one.scores[0] for one in found.trials)
    told = results(context)
    assert told["stages"][0]["outcome"] == "searched"
    assert told["stages"][0]["search"]["values"] == best.values
    assert told["training"]["best"]["value"] == best.scores[0]
    assert told["metrics"]["gate/accuracy"] == pytest.approx(best.scores[0])
    (decided,) = [one["data"] for one in context.events if one["data"].get("rule") == "search"]
    assert decided["evidence"]["values"] == best.values


def test_a_later_stage_begins_with_the_best_trials_weights(
    make_plan: Callable[..., Plan], context: MemoryContext
) -> None:
    plan = searching(make_plan(), fields={"steps": 12})
    after = Stage(name="after", steps=1, lr=1e-12, batch_size=16, eval_every=1)
    train(plan.model_copy(update={"stages": [*plan.stages, after]}), context)
    found = history(context)
    assert context.series("gate/accuracy")[-1][1] == pytest.approx(found.trial(found.best).scores[0])


def test_a_search_that_is_stopped_goes_on_with_its_trials_and_ends_as_if_it_had_not_been(
    make_plan: Callable[..., Plan], shared_cache: Path, tmp_path: Path
) -> None:
    plan = searching(make_plan(), sampler="tpe", trials=5)
    calm, asked = (MemoryContext(tmp_path / name, shared_cache) for name in ("calm", "asked"))
    train(plan, calm)
    asked.at[2] = Request.PAUSE  # after the second trial is told, or in the third
    assert train(plan, asked) is Outcome.PAUSED
    done = len(history(asked).trials)
    assert 0 < done < 5
    asked.at.clear()
    asked.step = 0
    assert train(plan, asked) is Outcome.FINISHED
    first, second = history(calm), history(asked)
    assert [(one.values, one.scores) for one in first.trials] == [(one.values, one.scores) for one in second.trials]
    assert first.best == second.best
    assert results(calm)["metrics"] == results(asked)["metrics"]


def test_the_winner_is_trained_once_more_where_its_weights_were_lost(
    make_plan: Callable[..., Plan], shared_cache: Path, tmp_path: Path
) -> None:
    plan = searching(make_plan())
    calm, asked = (MemoryContext(tmp_path / name, shared_cache) for name in ("calm", "asked"))
    train(plan, calm)
    best = history(calm).best
    assert best is not None
    assert best < 3  # else nothing comes after it
    asked.at[best + 1] = Request.PAUSE
    assert train(plan, asked) is Outcome.PAUSED
    asked.at.clear()
    assert train(plan, asked) is Outcome.FINISHED
    assert any("is trained once more" in event["message"] for event in asked.events)
    assert not any("is trained once more" in event["message"] for event in calm.events)
    weights = [(one.folder / "best" / "model.safetensors").read_bytes() for one in (calm, asked)]
    assert weights[0] == weights[1]


@pytest.fixture
def diverging(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let training at a rate of 1 or more diverge, as a guard would find it."""
    real = Run.train_stage

    def watched(self: Run, stage: Stage, index: int, **options: Any) -> Any:
        if stage.lr >= 1:
            raise TrainingDiverged(f"The loss is no number at {stage.lr:g}.", where="train/loss")
        return real(self, stage, index, **options)

    monkeypatch.setattr(Run, "train_stage", watched)


@pytest.mark.usefixtures("diverging")
def test_a_trial_that_diverges_fails_alone(make_plan: Callable[..., Plan], context: MemoryContext) -> None:
    train(searching(make_plan(), {"lr": {"choices": [1e-3, 10.0]}}, trials=6), context)
    found = {one.values["lr"]: one for one in history(context).trials if one.repeats is None}
    assert found[1e-3].state == "finished"
    assert (found[10.0].state, found[10.0].error) == ("failed", "The loss is no number at 10.")
    child = context.children[found[10.0].runs[0]]
    assert child.ended == "failed"
    assert isinstance(child.error, TrainingDiverged)
    best = history(context)
    assert best.trial(best.best).values["lr"] == 1e-3


@pytest.mark.usefixtures("diverging")
def test_a_search_in_which_nothing_finishes_fails_with_the_reason(
    make_plan: Callable[..., Plan], context: MemoryContext
) -> None:
    plan = searching(make_plan(), {"lr": {"choices": [9.0, 10.0]}}, trials=2)
    with pytest.raises(TrainingDiverged, match=r"None of the \d trials of the search finished.*The loss is no number"):
        train(plan, context)


def test_hopeless_trials_are_ended_early_and_told_so(make_plan: Callable[..., Plan], context: MemoryContext) -> None:
    space = {"lr": {"choices": [1e-9, 0.1]}}
    fields = {"eval_every": 1, "steps": 12}
    plan = searching(make_plan(), {**space, "weight_decay": {"low": 0, "high": 0.1}}, fields=fields, trials=12,
                     pruner="median", startup_trials=2)  # fmt: skip
    train(plan, context)
    pruned = [one for one in history(context).trials if one.state == "pruned"]
    assert pruned
    assert {one.values["lr"] for one in pruned} == {1e-9}
    child = context.children[pruned[0].runs[0]]
    assert child.ended == "cancelled"
    assert any("Ended early" in event["message"] for event in child.events)
    assert len(child.series("train/loss")) < 12
    assert history(context).trial(history(context).best).values["lr"] == 0.1


def test_several_seeds_are_several_runs_and_their_mean_decides(
    make_plan: Callable[..., Plan], context: MemoryContext
) -> None:
    train(searching(make_plan(), trials=2, seeds=3), context)
    for trial in history(context).trials:
        assert len(trial.runs) == len(trial.seeds) == 3
        assert trial.scores[0] == pytest.approx(sum(one[0] for one in trial.seeds) / 3)
        plans = [context.children[run_id].plan for run_id in trial.runs]
        assert len({plan.stages[0].seed for plan in plans}) == 3


def test_several_objectives_leave_a_front_and_the_best_by_the_first(
    make_plan: Callable[..., Plan], context: MemoryContext
) -> None:
    space = {"freeze_encoder": {"choices": [True, False]}, "lr": {"low": 1e-3, "high": 1e-1, "log": True}}
    plan = searching(make_plan(), space, trials=6, objectives=[{"metric": "accuracy"}, {"metric": "parameters"}])
    train(plan, context)
    found = history(context)
    sizes = {one.values["freeze_encoder"]: one.scores[1] for one in found.trials}
    assert sizes[True] < sizes[False]
    front = [found.trial(number) for number in found.front]
    assert found.best in found.front
    assert found.trial(found.best).scores[0] == max(one.scores[0] for one in front)


def test_values_that_were_tried_are_not_tried_again(make_plan: Callable[..., Plan], context: MemoryContext) -> None:
    train(searching(make_plan(), {"batch_size": {"choices": [8, 16]}}, trials=12), context)
    found = history(context)
    assert sum(one.repeats is None for one in found.trials) == 2
    assert len(context.children) == 2
    assert found.ended == "all 2 combinations of values were tried"


def test_no_trial_begins_after_the_time_is_used_up(make_plan: Callable[..., Plan], context: MemoryContext) -> None:
    train(searching(make_plan(), trials=9, timeout_s=1e-6), context)
    assert len(history(context).trials) == 1
    assert "the limit is" in history(context).ended


def test_a_held_field_has_its_value_in_every_trial(make_plan: Callable[..., Plan], context: MemoryContext) -> None:
    train(searching(make_plan(), {**SPACE, "lr": {**SPACE["lr"], "fixed": 0.05}}, trials=3), context)
    assert {one.values["lr"] for one in history(context).trials} == {0.05}
    assert {child.plan.stages[0].lr for child in context.children.values()} == {0.05}


def test_values_that_the_model_does_not_have_are_refused_before_the_first_trial(
    make_plan: Callable[..., Plan], context: MemoryContext
) -> None:
    plan = searching(make_plan(), {"freeze_layers": {"low": 0, "high": 40}}, fields={"freeze_encoder": False})
    with pytest.raises(ConfigError, match=r"may propose values that do not fit \(freeze_layers = 40\)"):
        train(plan, context)
    assert context.children == {}


def test_trials_share_the_frozen_encoders_activations(make_plan: Callable[..., Plan], tmp_path: Path) -> None:
    context = MemoryContext(tmp_path / "run", tmp_path / "cache")
    train(searching(make_plan(), trials=3), context)
    told = [event["message"] for child in context.children.values() for event in child.events]
    assert sum(message.startswith("Computing") for message in told) == 1
    assert sum(message.startswith("Using") for message in told) == 2


def test_only_the_starts_the_bests_and_the_trials_own_weights_are_held(
    make_plan: Callable[..., Plan], context: MemoryContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive: weakref.WeakSet[Snapshot] = weakref.WeakSet()
    most = 0
    real = Snapshot.__init__

    def watched(self: Snapshot, *values: Any, **named: Any) -> None:
        nonlocal most
        real(self, *values, **named)
        alive.add(self)
        gc.collect()
        most = max(most, len(alive))

    monkeypatch.setattr(Snapshot, "__init__", watched)
    monkeypatch.setattr(Snapshot, "__hash__", object.__hash__)
    space = {"lr": {"low": 1e-9, "high": 1e-1, "log": True}}
    train(searching(make_plan(), space, trials=8, pruner="median", fields={"eval_every": 1}), context)
    assert len(history(context).trials) == 8
    assert 2 <= most <= 3
