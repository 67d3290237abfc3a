"""The range test as a stage: what it measures, what it suggests, and that nothing of it remains in the weights."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core.config import Plan, Stage
from core.training import MemoryContext, Outcome, Request, train
from core.training.range_stage import group_rates, suggest
from core.training.range_test import Finding

RANGE = {"lr_min": 1e-5, "lr_max": 1.0, "steps": 40, "smoothing": 0.7}


def with_range(plan: Plan, *, test: dict[str, Any] | None = None, **first: Any) -> Plan:
    """Put a range test before the stage of a plan."""
    own = {"batch_size": 16, "lr": 1e-3}
    ranged = Stage.model_validate(
        {"name": "find", "kind": "range_test", "range_test": {**RANGE, **(test or {})}, **own, **first}
    )
    return plan.model_copy(update={"stages": [ranged, *plan.stages]})


def results(context: MemoryContext) -> dict[str, Any]:
    return json.loads((context.folder / "results.json").read_text())


def test_the_training_after_a_range_test_is_bit_for_bit_the_one_without_it(
    make_plan: Callable[..., Plan], shared_cache: Path, tmp_path: Path
) -> None:
    plan = make_plan(stage={"epochs": 1, "seed": 5, "eval_every": 3})
    plain, tested = (MemoryContext(tmp_path / name, shared_cache) for name in ("plain", "tested"))
    assert train(plan, plain) is Outcome.FINISHED
    assert train(with_range(plan, reinit_top_n=1, dropout=0.4), tested) is Outcome.FINISHED
    for name in ("train/loss", "train/grad_norm", "gate/loss", "gate/accuracy"):
        assert plain.series(name) == tested.series(name), name
    first, second = ((one.folder / "best" / "model.safetensors").read_bytes() for one in (plain, tested))
    assert first == second


def test_weights_and_generators_are_put_back_bit_for_bit(
    make_plan: Callable[..., Plan], context: MemoryContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    from core.training import range_stage

    seen: dict[str, Any] = {}
    real = range_stage.run_stage

    def watched(run: Any, stage: Stage, index: int) -> Any:
        def state() -> tuple[dict[str, torch.Tensor], Any, Any, torch.Tensor]:
            tensors = {name: tensor.clone() for name, tensor in run.material.model.state_dict().items()}
            return tensors, random.getstate(), np.random.get_state()[1].tolist(), torch.random.get_rng_state()

        before = state()
        outcome = real(run, stage, index)
        after = state()
        seen["tensors"] = all(torch.equal(before[0][name], tensor) for name, tensor in after[0].items())
        seen["count"] = len(after[0])
        seen["random"] = before[1:3] == after[1:3] and torch.equal(before[3], after[3])
        return outcome

    monkeypatch.setattr(range_stage, "run_stage", watched)
    train(with_range(make_plan(stage={"steps": 2}), test={"per_group": True}, head_lr=1e-2), context)
    assert seen["count"] > 10
    assert seen["tensors"]
    assert seen["random"]


def test_the_curve_the_decision_and_the_result_say_the_same(
    make_plan: Callable[..., Plan], context: MemoryContext
) -> None:
    plan = with_range(make_plan(stage={"steps": 2, "lr": 1e-5}))
    plan.stages[1].lr_from = "find"
    train(plan, context)
    lrs = [value for _, value in context.series("range/find/all/lr")]
    assert lrs[0] == 1e-5
    assert len(context.series("range/find/all/loss")) == len(context.series("range/find/all/smoothed")) == len(lrs)
    (decided,) = [one["data"] for one in context.events if one["data"].get("rule") == "range_test"]
    entry = results(context)["stages"][0]
    assert entry["outcome"] == "suggested"
    suggestion = entry["suggestion"]
    assert suggestion == decided["evidence"]["suggestion"]
    assert entry["range_test"] == decided["evidence"]["groups"]
    assert 1e-5 < suggestion["lr"] < 1.0
    assert decided["action"] == "suggest"
    # what was suggested is what was used
    used = max(value for name in ("lr/all", "lr/encoder", "lr/head") for _, value in context.series(name))
    assert used <= suggestion["lr"] * (1 + 1e-9)
    assert used > 1e-5


def test_each_group_is_tested_alone_and_the_head_gets_a_rate_of_its_own(
    make_plan: Callable[..., Plan], context: MemoryContext
) -> None:
    plan = with_range(make_plan(stage={"steps": 2}), test={"per_group": True}, head_lr=1e-2)
    train(plan, context)
    groups = {one["group"] for one in results(context)["stages"][0]["range_test"]}
    assert groups == {"encoder", "head"}
    for group in groups:
        assert context.series(f"range/find/{group}/lr")[0] == (1, 1e-5)


def test_a_run_that_is_stopped_in_its_range_test_begins_it_again(
    make_plan: Callable[..., Plan], shared_cache: Path, tmp_path: Path
) -> None:
    plan = with_range(make_plan(stage={"steps": 3}))
    calm, asked = (MemoryContext(tmp_path / name, shared_cache) for name in ("calm", "asked"))
    train(plan, calm)
    asked.at[7] = Request.PAUSE
    assert train(plan, asked) is Outcome.PAUSED
    assert len(asked.series("range/find/all/loss")) < len(calm.series("range/find/all/loss"))
    asked.at.clear()
    assert train(plan, asked) is Outcome.FINISHED
    for name in ("range/find/all/loss", "train/loss"):
        assert asked.series(name) == calm.series(name)


def test_in_a_joint_test_the_highest_rate_is_the_tests_and_the_others_keep_their_proportion() -> None:
    rates = group_rates({"encoder": 1e-4, "head": 1e-2}, "all", 0.5)
    assert rates == {"encoder": pytest.approx(5e-3), "head": 0.5}
    assert group_rates({"encoder": 1e-4, "head": 1e-2}, "head", 0.5) == {"encoder": 0.0, "head": 0.5}


def found(**lrs: float | None) -> list[Finding]:
    return [Finding(group, lr, "") for group, lr in lrs.items()]


UNITS = {"encoder": {"embeddings", "layer 0", "layer 1"}, "head": {"head"}}
BASE = {"encoder": 1e-4, "head": 1e-2}


def test_a_joint_suggestion_keeps_the_proportion_of_head_and_encoder() -> None:
    stage = Stage(lr=1e-4, head_lr=1e-2)
    assert suggest(stage, BASE, UNITS, found(all=0.5), 2) == {"lr": pytest.approx(5e-3), "head_lr": 0.5}


def test_where_all_share_one_rate_only_that_is_suggested() -> None:
    assert suggest(Stage(), {"all": 1e-4}, {"all": {"head", "layer 1"}}, found(all=0.5), 2) == {"lr": 0.5}


def test_where_only_the_head_is_trained_its_rate_is_the_stages() -> None:
    head = {"head": {"head"}}
    assert suggest(Stage(freeze_encoder=True), {"head": 1e-2}, head, found(all=0.5), 2) == {"lr": 0.5}
    given = Stage(freeze_encoder=True, head_lr=1e-2)
    assert suggest(given, {"head": 1e-2}, head, found(all=0.5), 2) == {"lr": 0.5, "head_lr": 0.5}


def test_a_group_without_a_fall_suggests_nothing_for_itself() -> None:
    stage = Stage(lr=1e-4, head_lr=1e-2)
    assert suggest(stage, BASE, UNITS, found(encoder=None, head=0.1), 2) == {"head_lr": 0.1}
    assert suggest(stage, BASE, UNITS, found(encoder=None, head=None), 2) is None


def test_the_rate_of_the_top_layer_is_lr_where_layers_have_their_own() -> None:
    units = {"layer 0": {"layer 0", "embeddings"}, "layer 1": {"layer 1"}, "head": {"head"}}
    stage = Stage(layer_decay=0.5)
    base = {"layer 0": 5e-5, "layer 1": 1e-4, "head": 1e-4}
    assert suggest(stage, base, units, found(**{"layer 0": 0.1, "layer 1": 0.2, "head": 0.3}), 2) == {
        "lr": 0.2, "head_lr": 0.3
    }  # fmt: skip
