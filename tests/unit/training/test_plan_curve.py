"""The learning rates of a whole plan before it starts: exact where nothing depends on results, bounded elsewhere."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.config import Plan, RangeTestConfig, Stage
from core.training.bounds import evaluation_steps, reach
from core.training.counting import count_stages, epoch_ends
from core.training.curves import gate_words, plan_curve
from core.training.gates import Place, capped, decide
from core.training.range_test import rates
from core.training.schedules import Plateau, rate_function

LAYERS = 6
SCHEDULES: list[dict[str, Any]] = [
    {"name": "linear"}, {"name": "cosine"}, {"name": "constant"}, {"name": "constant_with_warmup"},
    {"name": "polynomial", "options": {"power": 2.0}}, {"name": "inverse_sqrt"},
    {"name": "cosine_with_restarts", "options": {"num_cycles": 2}},
    {"name": "cosine_with_min_lr", "options": {"min_lr": 1e-6}},
    {"name": "cosine_warmup_with_min_lr", "options": {"min_lr_rate": 0.1}},
    {"name": "warmup_stable_decay", "options": {"num_decay_steps": 5}},
]  # fmt: skip


def counted(plan: Plan, rows: int = 320) -> list[dict[str, Any]]:
    return count_stages(plan, [10] * rows)


def drawn(*stages: dict[str, Any], points: int | None = None) -> dict[str, Any]:
    plan = Plan(stages=list(stages))
    return plan_curve(plan, counted(plan), layers=LAYERS, points=points)


stages = st.fixed_dictionaries(
    {
        "steps": st.integers(1, 90), "lr": st.floats(1e-5, 1e-2), "schedule": st.sampled_from(SCHEDULES),
        "layer_decay": st.sampled_from([1.0, 0.8]), "freeze_layers": st.integers(0, LAYERS),
        "head_lr": st.none() | st.floats(1e-5, 1e-2),
    }
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(parts=st.lists(stages, min_size=1, max_size=4))
def test_without_anything_that_depends_on_results_each_step_has_exactly_the_rate_of_the_schedule(
    parts: list[dict[str, Any]],
) -> None:
    plan = Plan(stages=[{"name": f"stage {number}", **part} for number, part in enumerate(parts)])
    found = plan_curve(plan, counted(plan), layers=LAYERS, points=None)
    assert found["certain"]
    assert found["steps"] == sum(stage.steps or 0 for stage in plan.stages)
    first = 0
    for stage, one in zip(plan.stages, found["stages"], strict=True):
        assert stage.steps is not None
        rate = rate_function(stage.schedule, stage.steps, stage.lr)
        head = stage.head_lr if stage.head_lr is not None else stage.lr
        name = next(name for name in one["groups"] if "head" in name or name == "all")
        part = one["groups"][name]
        assert part["steps"] == list(range(first + 1, first + stage.steps + 1))
        assert part["lr"] == [head * rate(step) for step in range(1, stage.steps + 1)]
        assert part["low"] == part["lr"] == part["high"]
        first += stage.steps


def test_the_groups_of_the_plan_are_those_of_its_stages_one_after_the_other() -> None:
    found = drawn({"name": "a", "steps": 3, "freeze_encoder": True}, {"name": "b", "steps": 2, "head_lr": 1e-3})
    assert found["names"] == ["head", "encoder"]
    assert found["groups"]["head"]["steps"] == [1, 2, 3, 4, 5]
    assert found["groups"]["encoder"]["steps"] == [4, 5]


def test_a_stage_that_is_switched_off_takes_no_steps() -> None:
    found = drawn({"name": "a", "steps": 3, "enabled": False}, {"name": "b", "steps": 2})
    assert [(one["name"], one["index"], one["first_step"]) for one in found["stages"]] == [("b", 1, 1)]


def test_a_range_test_shows_its_ramp_and_counts_once_for_each_group_that_is_tested_alone() -> None:
    config = {"steps": 20, "lr_min": 1e-5, "lr_max": 0.1}
    together = drawn({"kind": "range_test", "range_test": config, "lr": 1e-4, "head_lr": 1e-3})
    ramp = rates(RangeTestConfig(**config))
    assert (together["steps"], together["run_steps"]) == (20, 0)
    assert together["groups"]["head"]["lr"] == ramp
    assert together["groups"]["encoder"]["lr"] == pytest.approx([rate / 10 for rate in ramp])
    alone = drawn({"kind": "range_test", "range_test": {**config, "per_group": True}, "head_lr": 1e-3})
    assert alone["steps"] == 40
    assert alone["groups"]["head"]["steps"] == list(range(1, 21)), "the highest rate comes first"
    assert alone["groups"]["encoder"]["steps"] == list(range(21, 41))


def test_a_search_counts_its_longest_trials_as_a_limit_and_shows_the_range_of_its_rates() -> None:
    plan = Plan(
        stages=[{
            "kind": "search", "epochs": 1, "batch_size": 32, "lr": 1e-4,
            "search": {"trials": 5, "seeds": 2, "space": {"lr": {"low": 1e-5, "high": 1e-3},
                                                          "batch_size": {"choices": [16, 32]}}},
        }]
    )  # fmt: skip
    (one,) = counted(plan)
    assert (one["steps"], one["trial_steps"], one["upper"]) == (5 * 2 * 20, 10, True)
    found = plan_curve(plan, [one], layers=LAYERS)
    assert max(found["groups"]["all"]["high"]) == 1e-3
    assert min(found["groups"]["all"]["low"]) == 0.0
    assert not found["certain"]


def test_after_a_gate_that_may_decide_at_once_the_next_stage_may_begin_early() -> None:
    found = drawn(
        {"name": "a", "steps": 40, "eval_every": 10, "gate": {"decide": "first"}}, {"name": "b", "steps": 5},
    )  # fmt: skip
    first, second = found["stages"]
    assert [gate["step"] for gate in found["gates"]] == [10, 20, 30, 40]
    assert [gate["last"] for gate in found["gates"]] == [False, False, False, True]
    assert first["ends_from"] == 10
    assert second["run_first_step"] == 41
    assert (second["start_low"], second["first_step"], second["start_high"]) == (11, 41, 41)
    assert not second["certain"]


def test_a_gate_at_the_end_is_marked_once_and_moves_nothing() -> None:
    found = drawn({"name": "a", "steps": 40, "eval_every": 10, "gate": {}}, {"name": "b", "steps": 5})
    assert [gate["step"] for gate in found["gates"]] == [40]
    assert found["certain"]


def test_a_run_that_may_end_at_a_gate_may_leave_out_what_follows() -> None:
    found = drawn({"name": "a", "steps": 4, "gate": {}, "on_fail": "stop"}, {"name": "b", "steps": 5})
    assert not found["stages"][0]["may_be_skipped"]
    assert found["stages"][1]["may_be_skipped"]


@pytest.mark.parametrize(
    ("stage", "low", "high", "attempts"),
    [
        ({"max_retries": 2, "lr_factor": 3}, 1 / 9, 1, 3),
        ({"gate": {}, "on_fail": "cut", "max_retries": 1, "lr_factor": 4}, 1 / 4, 1, 2),
        ({"gate": {}, "on_fail": "raise", "max_retries": 2, "lr_factor": 2, "guards": {"nan": False,
          "explode_factor": None}}, 1, 4, 3),
        ({"gate": {}, "on_pass": "repeat", "max_retries": 3, "lr_factor": 2, "lr_cap": 5e-4}, 1 / 8, 5, 4),
        ({"gate": {}, "on_pass": "repeat", "lr_factor": 2, "lr_cap": 5e-4}, 1, 5, 4),
    ],
)  # fmt: skip
def test_rates_of_a_stage_that_may_begin_again_stay_between_its_cuts_and_its_cap(
    stage: dict[str, Any], low: float, high: float, attempts: int
) -> None:
    found = drawn({"steps": 10, "lr": 1e-4, "schedule": {"name": "constant"}, **stage})
    part = found["groups"]["all"]
    assert min(part["low"]) == pytest.approx(1e-4 * low)
    assert max(part["high"]) == pytest.approx(1e-4 * high)
    assert found["stages"][0]["attempts"] == attempts
    assert not found["certain"]


def test_raising_within_a_stage_widens_the_range_upwards_to_the_cap() -> None:
    raising = {"every": 5, "factor": 2.0}
    part = drawn({"steps": 30, "lr": 1e-4, "schedule": {"name": "constant"}, "raise_if": raising, "lr_cap": 3e-4})[
        "groups"
    ]["all"]
    assert part["high"][9] == pytest.approx(1e-4)  # the first look has nothing to compare with
    assert part["high"][10] == pytest.approx(2e-4)
    assert max(part["high"]) == pytest.approx(3e-4)
    assert part["low"] == part["lr"]


@settings(max_examples=80, deadline=None)
@given(
    scores=st.lists(st.floats(0, 1), min_size=1, max_size=20), patience=st.integers(0, 3), cooldown=st.integers(0, 2),
    every=st.integers(1, 7), min_lr=st.sampled_from([0.0, 2e-5, 1.0]),
)  # fmt: skip
def test_a_plateau_never_lowers_a_rate_below_its_bound(
    scores: list[float], patience: int, cooldown: int, every: int, min_lr: float
) -> None:
    options = {"patience": patience, "cooldown": cooldown, "min_lr": min_lr, "factor": 0.5}
    steps = every * len(scores)
    stage = {"steps": steps, "eval_every": every, "lr": 1e-4,
             "schedule": {"name": "reduce_lr_on_plateau", "options": options}}  # fmt: skip
    part = drawn(stage)["groups"]["all"]
    plateau = Plateau.from_config(Stage(**stage).schedule, maximise=True)
    now = {"all": 1e-4}
    for step in range(1, steps + 1):
        assert part["low"][step - 1] * (1 - 1e-9) <= now["all"] <= part["high"][step - 1]
        if step % every == 0:
            now = plateau.observe(scores[step // every - 1], now)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_no_course_of_decisions_leads_a_rate_out_of_its_bounds(data: st.DataObject) -> None:
    """The decisions are those of the engine itself; what its gates, guards and looks see is drawn at random."""
    steps, every = 24, 6
    fields = {
        "steps": steps, "eval_every": every, "lr": 1e-4, "head_lr": data.draw(st.sampled_from([None, 1e-3])),
        "gate": data.draw(st.sampled_from([None, {}, {"decide": "first"}])),
        "on_pass": data.draw(st.sampled_from(["promote", "repeat"])),
        "on_fail": data.draw(st.sampled_from(["cut", "raise", "rollback"])),
        "max_retries": data.draw(st.integers(0, 3)), "lr_factor": data.draw(st.sampled_from([2.0, 3.0])),
        "lr_cap": data.draw(st.sampled_from([None, 5e-5, 3e-4, 2e-3])),
        "raise_if": data.draw(st.sampled_from([None, {"every": 4, "factor": 2.0}])),
        "schedule": {"name": data.draw(st.sampled_from(["linear", "constant", "cosine"]))},
    }  # fmt: skip
    if fields["on_pass"] == "repeat" and fields["lr_cap"] is None and fields["max_retries"] == 0:
        fields["max_retries"] = 1
    stage = Stage(**fields)
    found = drawn(fields)
    rate = rate_function(stage.schedule, steps, stage.lr)
    base = {"encoder": 1e-4, "head": 1e-3} if stage.head_lr else {"all": 1e-4}
    top, scale, begun, repeating, taken, own = max(base.values()), 1.0, 0, False, 0, 0
    while True:
        guard, looked = False, None
        while own < steps and not guard:
            own, taken = own + 1, taken + 1
            for name, part in found["groups"].items():
                now = base[name] * scale * rate(own)
                assert part["low"][own - 1] * (1 - 1e-9) <= now <= part["high"][own - 1] * (1 + 1e-9) + 1e-30
            if stage.raise_if and own % stage.raise_if.every == 0:
                if looked and data.draw(st.booleans(), label="raise"):
                    scale = max(scale, capped(scale * stage.raise_if.factor, stage, top))
                looked = own
            guard = data.draw(st.integers(0, 15), label="guard") == 0
        passed = None if guard or stage.gate is None else data.draw(st.booleans(), label="passes")
        made = decide(stage, Place(scale, top, begun, repeating), guard=guard, passed=passed)
        if made is None or made.then != "again":
            break
        begun, scale, repeating = begun + 1, made.scale, made.action == "repeat"
        own = own // every * every if made.weights == "back" else 0
    (one,) = found["stages"]
    assert 1 + begun <= one["attempts"]
    assert taken <= one["attempts"] * steps
    assert (made is not None and made.then == "fail") or taken >= min(steps, 1 + begun)


@pytest.mark.parametrize("rate", [3e-7, 1e-4, 0.05])
@pytest.mark.parametrize("heads", [(None, None), (1e-2, None), (None, 1e-2), (1e-2, 1e-2)])
def test_whatever_a_range_test_suggests_lies_between_the_bounds(
    rate: float, heads: tuple[float | None, float | None]
) -> None:
    from core.training.range_stage import suggest
    from core.training.range_test import Finding

    test = {"name": "range", "kind": "range_test", "head_lr": heads[0],
            "range_test": {"lr_min": 1e-6, "lr_max": 0.1, "steps": 20}}  # fmt: skip
    stage = {"name": "train", "steps": 12, "lr": 1e-3, "head_lr": heads[1],
             "schedule": {"name": "cosine_with_min_lr", "options": {"min_lr": 1e-7}}}  # fmt: skip
    bounds = drawn(test, {**stage, "lr_from": "range"})["stages"][1]["groups"]
    layers = {f"layer {at}" for at in range(LAYERS)} | {"embeddings"}
    units = {"all": layers | {"head"}} if heads[0] is None else {"encoder": layers, "head": {"head"}}
    base = {"all": 1e-4} if heads[0] is None else {"encoder": 1e-4, "head": 1e-2}
    suggestion = suggest(Stage(**test), base, units, [Finding("all", rate, "")], LAYERS)
    assert suggestion is not None
    used = drawn({**stage, **suggestion})["groups"]
    assert set(used) <= set(bounds) or set(used) == {"all"}
    for name, part in used.items():
        for bound in [bounds[name]] if name in bounds else bounds.values():
            for low, now, high in zip(bound["low"], part["lr"], bound["high"], strict=True):
                assert low * (1 - 1e-9) <= now <= high * (1 + 1e-9)


def test_a_long_curve_is_drawn_at_few_points_and_ends_where_the_run_ends() -> None:
    part = drawn({"steps": 5000}, points=100)["groups"]["all"]
    assert len(part["steps"]) <= 104
    assert (part["steps"][0], part["steps"][-1]) == (1, 5000)


@settings(max_examples=25, deadline=None)
@given(rows=st.integers(5, 200), tokens=st.integers(40, 400), steps=st.integers(1, 120), seed=st.integers(0, 5))
def test_epochs_end_where_the_loop_comes_to_a_new_one(rows: int, tokens: int, steps: int, seed: int) -> None:
    from core.training.batches import iterate

    lengths = np.random.default_rng(seed).integers(4, 40, rows)
    stage = Stage(batch_tokens=tokens, steps=steps)
    stream = iterate(lengths, stage, seed)
    walked = [step for step in range(1, steps + 1) for _, index, whole, _ in [next(stream)] if index + 1 == whole]
    assert epoch_ends(lengths, stage, seed, steps) == walked


def test_a_stage_is_evaluated_at_every_so_many_steps_or_at_ends_of_epochs_and_at_its_own_end() -> None:
    assert evaluation_steps(Stage(eval_every=4), 10, [5, 10]) == [4, 8, 10]
    assert evaluation_steps(Stage(), 12, [5, 10]) == [5, 10, 12]


def test_a_guard_shortens_what_a_stage_takes_at_least() -> None:
    may = reach(Stage(max_retries=2), 100, [100], 1e-4)
    assert (may.shortest, may.longest) == (3, 300)
    may = reach(Stage(max_retries=2, on_exhausted="stop"), 100, [100], 1e-4)
    assert (may.shortest, may.may_stop) == (100, True)


def test_a_gate_is_told_in_words() -> None:
    stage = Stage(gate={"metric": "loss", "rule": "lower", "reference": 0.5, "min_delta": 0.01}, on_fail="cut")
    assert gate_words(stage) == (
        "lower end of the 95 % interval of loss below 0.5 by more than 0.01: go on; otherwise: again with rates ÷ 3"
    )


def test_a_plan_of_all_the_rest_of_a_day_is_drawn_at_once() -> None:
    import time

    plan = Plan(stages=[{"name": f"s{number}", "steps": 100_000, "layer_decay": 0.9} for number in range(20)])
    given_steps = [{"name": stage.name, "steps": 100_000, "steps_per_epoch": 500} for stage in plan.stages]
    started = time.process_time()
    found = plan_curve(plan, given_steps, layers=12)
    assert time.process_time() - started < 3
    assert math.isclose(found["steps"], 2_000_000)
