"""Plans of several stages: what each begins with, what gates and guards lead to, what is written down."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from core.config import Plan
from core.training import MemoryContext, Outcome, Request, train
from tests.unit.training.test_resume import TIMED, Killed, Mortal


def decisions(context: MemoryContext) -> list[dict[str, Any]]:
    return [event["data"] for event in context.events if event["kind"] == "decision"]


def actions(context: MemoryContext) -> list[tuple[str, str]]:
    return [(one["rule"], one["action"]) for one in decisions(context) if one["rule"] != "choice"]


def results(context: MemoryContext) -> dict[str, Any]:
    return json.loads((context.folder / "results.json").read_text())


def last_weights(context: MemoryContext) -> dict[str, torch.Tensor]:
    (last,) = (path for path in (context.folder / "checkpoints").iterdir() if path.name.isdigit())
    return load_file(last / "model.safetensors")


HEAD = {"name": "head", "freeze_encoder": True, "lr": 1e-2, "epochs": 1}


def test_steps_go_on_over_stages_and_each_has_its_groups(
    make_plan: Callable[..., Plan], context: MemoryContext
) -> None:
    plan = make_plan(stages=[HEAD, {"name": "all", "epochs": 1, "layer_decay": 0.5}])
    assert train(plan, context) is Outcome.FINISHED
    assert [step for step, _ in context.series("train/loss")] == list(range(1, 13))
    assert [step for step, _ in context.series("lr/head")] == list(range(1, 7))
    assert [step for step, _ in context.series("lr/layer 1 + head")] == list(range(7, 13))
    assert [step for step, _ in context.series("lr/layer 0")] == list(range(7, 13))
    begun = [event["data"] for event in context.events if event["kind"] == "stage"]
    assert [(one["name"], one["index"], one["attempt"], one["first_step"]) for one in begun] == [
        ("head", 0, 1, 1),
        ("all", 1, 1, 7),
    ]
    assert context.state["stage"] == 1
    assert (context.state["stage_name"], context.state["stages"]) == ("all", 2)
    found = results(context)["stages"]
    assert [(one["name"], one["outcome"]) for one in found] == [("head", "finished"), ("all", "finished")]
    assert [[one["first_step"], one["last_step"]] for stage in found for one in stage["attempts"]] == [[1, 6], [7, 12]]


def test_a_stage_that_is_switched_off_leaves_no_trace(
    make_plan: Callable[..., Plan], tmp_path: Path, shared_cache: Path
) -> None:
    runtime = {"keep": "all"}
    off = {"name": "off", "enabled": False, "lr": 1.0}
    found = []
    for name, stages in (("with", [off, HEAD, {"name": "all"}]), ("without", [HEAD, {"name": "all"}])):
        one = MemoryContext(tmp_path / name, shared_cache)
        train(make_plan(stages=stages, runtime=runtime), one)
        found.append(last_weights(one))
    assert found[0].keys() == found[1].keys()
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


def test_head_then_all_equals_two_runs_chained_by_hand(
    make_plan: Callable[..., Plan], tmp_path: Path, shared_cache: Path
) -> None:
    without_gate = {"gate_share": 0.0}
    both = MemoryContext(tmp_path / "both", shared_cache)
    plan = make_plan(stages=[HEAD, {"name": "all", "seed": 7}], data=without_gate, runtime={"keep": "all"})
    train(plan, both)
    first = MemoryContext(tmp_path / "first", shared_cache)
    train(make_plan(stages=[HEAD], data=without_gate), first)
    second = MemoryContext(tmp_path / "second", shared_cache)
    chained = make_plan(stages=[{"name": "all", "seed": 7}], data=without_gate, runtime={"keep": "all"})
    chained = chained.model_copy(
        update={"model": chained.model.model_copy(update={"source": str(first.folder / "best")})}
    )
    train(chained, second)
    left, right = last_weights(both), last_weights(second)
    assert left.keys() == right.keys()
    assert not [name for name in left if not torch.equal(left[name], right[name])]
    curve = [(step - 7, value) for step, value in both.series("train/loss") if step > 7]
    assert curve == second.series("train/loss")


def test_pretrained_begins_with_what_was_loaded(
    make_plan: Callable[..., Plan], tmp_path: Path, shared_cache: Path
) -> None:
    fresh = MemoryContext(tmp_path / "fresh", shared_cache)
    train(make_plan(stages=[{"name": "again", "seed": 3}], runtime={"keep": "all"}), fresh)
    after = MemoryContext(tmp_path / "after", shared_cache)
    stages = [
        {"name": "first", "lr": 5e-3, "reinit_top_n": 1},
        {"name": "again", "seed": 3, "start_from": "pretrained"},
    ]
    train(make_plan(stages=stages, runtime={"keep": "all"}), after)
    left, right = last_weights(fresh), last_weights(after)
    assert left.keys() == right.keys()
    assert all(torch.equal(left[name], right[name]) for name in left)


def test_best_of_an_earlier_stage_is_what_a_later_one_begins_with(
    make_plan: Callable[..., Plan], tmp_path: Path, shared_cache: Path
) -> None:
    """A first stage that ends at its best evaluation hands on the same as `last` does, whatever lies between."""
    tail = {"name": "tail", "seed": 5, "freeze_layers": 1}
    plain = MemoryContext(tmp_path / "plain", shared_cache)
    first = {"name": "first", "steps": 3, "lr": 3e-3}
    train(make_plan(stages=[first, tail], runtime={"keep": "all"}), plain)
    detour = MemoryContext(tmp_path / "detour", shared_cache)
    stages = [first, {"name": "between", "lr": 0.5}, {**tail, "start_from": "best:first"}]
    train(make_plan(stages=stages, runtime={"keep": "all"}), detour)
    left, right = last_weights(plain), last_weights(detour)
    assert left.keys() == right.keys()
    assert all(torch.equal(left[name], right[name]) for name in left)
    assert not (detour.folder / "restore").exists()


# ---- resume ---------------------------------------------------------------------------------------------------------

WINDING: list[dict[str, Any]] = [
    {**HEAD, "gate": {"reference": 0.0}},
    {"name": "all", "lr": 3e-3, "eval_every": 2, "steps": 6, "gate": {"reference": 2.0, "patience": 2},
     "on_fail": "cut", "max_retries": 1, "raise_if": {"every": 4, "max_variation": 9.0}},
    {"name": "top", "start_from": "best:head", "freeze_layers": 1, "steps": 4, "eval_every": 2, "reinit_top_n": 1,
     "gate": {"reference": "majority", "rule": "lower", "metric": "macro_f1"}, "on_fail": "continue"},
]  # fmt: skip


#: The embedding's rows are trained twice, with decay of the others; at last it is frozen as it is.
TWICE: list[dict[str, Any]] = [
    {"name": "a", "steps": 4, "eval_every": 2, "weight_decay": 0.1, "optimizer": {"name": "sgd"}, "lr": 1e-2},
    {"name": "b", "steps": 5, "eval_every": 2, "weight_decay": 0.1, "lr": 3e-3, "gate": {}, "on_fail": "raise",
     "max_retries": 1},
    {"name": "c", "steps": 3, "start_from": "best:b", "groups": [{"pattern": "embeddings", "frozen": True}]},
]  # fmt: skip


def _same(calm: MemoryContext, other: MemoryContext) -> None:
    left, right = last_weights(calm), last_weights(other)
    assert left.keys() == right.keys()
    assert not [name for name in left if not torch.equal(left[name], right[name])]
    curves = [{key: value for key, value in one.points.items() if key[0] not in TIMED} for one in (calm, other)]
    assert curves[0] == curves[1]
    found = [results(one) for one in (calm, other)]
    assert found[0]["decisions"] == found[1]["decisions"]
    assert found[0]["metrics"] == found[1]["metrics"]

    def timeless(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [
            {**{key: value for key, value in entry.items() if "seconds" not in key},
             "attempts": [{**one, "seconds": 0} for one in entry["attempts"]]}
            for entry in entries
        ]  # fmt: skip

    assert timeless(found[0]["stages"]) == timeless(found[1]["stages"])


@pytest.mark.parametrize("stages", [WINDING, TWICE], ids=["winding", "rows twice"])
def test_interrupted_after_every_step_of_three_stages_with_a_retry_it_ends_the_same(
    stages: list[dict[str, Any]], make_plan: Callable[..., Plan], tmp_path: Path, shared_cache: Path
) -> None:
    plan = make_plan(stages=stages, runtime={"keep": "all"})
    calm = MemoryContext(tmp_path / "calm", shared_cache)
    assert train(plan, calm) is Outcome.FINISHED
    if stages is WINDING:
        assert actions(calm) == [
            ("gate", "promote"), ("gate", "cut"), ("retries", "rollback"), ("gate", "continue"),
        ]  # fmt: skip
    asked = MemoryContext(tmp_path / "asked", shared_cache)
    total = calm.state["step"]
    for step in range(total + 1):
        asked.at = {step: Request.PAUSE}
        outcome = train(plan, asked)
        if outcome is Outcome.FINISHED:
            break
        assert asked.step <= step + 1
    asked.at = {}
    assert train(plan, asked) is Outcome.FINISHED
    _same(calm, asked)


@pytest.mark.parametrize(("every", "stages"), [(1, WINDING), (2, WINDING), (5, WINDING), (1, TWICE), (3, TWICE)])
def test_killed_again_and_again_in_three_stages_with_a_retry_it_ends_the_same(
    every: int, stages: list[dict[str, Any]], make_plan: Callable[..., Plan], tmp_path: Path, shared_cache: Path
) -> None:
    """Nothing is saved when it dies: it goes on from the last checkpoint, and makes the same decisions again."""
    plan = make_plan(stages=stages, runtime={"keep": "all", "checkpoint_every_steps": every})
    calm = MemoryContext(tmp_path / "calm", shared_cache)
    assert train(plan, calm) is Outcome.FINISHED
    mortal = Mortal(tmp_path / "mortal", shared_cache)
    for step in range(1 + every, calm.state["step"] + 1, every + 1):
        mortal.dies_at = step
        try:
            train(plan, mortal)
        except Killed:
            continue
        break
    mortal.dies_at = 10**9
    assert train(plan, mortal) is Outcome.FINISHED
    assert len(mortal.died) >= 3
    _same(calm, mortal)
    numbers = [one["number"] for one in decisions(mortal)]
    assert set(numbers) == set(range(1, max(numbers) + 1))


def test_killed_while_restore_points_change_hands_it_ends_the_same(
    make_plan: Callable[..., Plan], tmp_path: Path, shared_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between a stage's end and the next one's first checkpoint its points are still needed by the last one."""
    plan = make_plan(stages=WINDING, runtime={"keep": "all", "checkpoint_every_steps": 5})
    calm = MemoryContext(tmp_path / "calm", shared_cache)
    train(plan, calm)
    total = len(_calls(monkeypatch, plan, MemoryContext(tmp_path / "count", shared_cache), None))
    assert total > 5
    asked = MemoryContext(tmp_path / "asked", shared_cache)
    for at in range(1, total + 1):
        _calls(monkeypatch, plan, asked, at)
    if not (asked.folder / "results.json").exists():
        assert train(plan, asked) is Outcome.FINISHED
    _same(calm, asked)


def _calls(monkeypatch: pytest.MonkeyPatch, plan: Plan, context: MemoryContext, die_at: int | None) -> list[str]:
    """Execute a plan until restore points are tidied up for the n-th time; return the times."""
    from core.training.restore import RestorePoints

    seen: list[str] = []
    with monkeypatch.context() as patch:
        real = RestorePoints.keep

        def keep(self: RestorePoints, names: Any) -> None:
            real(self, names)
            seen.append(" ".join(sorted(names)))
            if len(seen) == die_at:
                raise Killed

        patch.setattr(RestorePoints, "keep", keep)
        with contextlib.suppress(Killed):
            train(plan, context)
    return seen
