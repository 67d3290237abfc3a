"""Gates, budgets, raising and the decision log in whole runs on tiny encoders."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.config import Plan, Stage
from core.training import MemoryContext, Outcome, train
from core.training.attempt import Attempt
from core.training.decisions import ACTIONS, RULES
from core.training.groups import base_rates
from core.training.schedules import curve_points
from tests.unit.training.test_stages import actions, decisions, last_weights, results

SHORT: dict[str, Any] = {"name": "a", "steps": 6, "eval_every": 2, "lr": 1e-3}
NEXT: dict[str, Any] = {"name": "b", "steps": 2, "eval_every": 2}


def scores(monkeypatch: pytest.MonkeyPatch, *values: float) -> None:
    """Let the evaluations of a run find these accuracies, and go on with the last one."""
    from core.training.session import Scored, Session

    left = list(values)
    real = Session.score

    def score(self: Session, **options: Any) -> Scored:
        found = real(self, **options)
        found.evaluation.metrics["accuracy"] = left.pop(0) if len(left) > 1 else left[0]
        return found

    monkeypatch.setattr(Session, "score", score)


#: stage, accuracies (before the stage, then at steps 2, 4, 6 …) → actions, outcome, last step of the stage
GATES: dict[str, tuple[dict[str, Any], list[float], list[tuple[str, str]], str, int]] = {
    "passes at the end by its best evaluation": (
        {"gate": {}}, [0.5, 0.4, 0.7, 0.45], [("gate", "promote")], "promoted", 6,
    ),
    "does not pass: back": ({"gate": {}}, [0.5, 0.4, 0.5, 0.45], [("gate", "rollback")], "rolled back", 6),
    "does not pass: on": (
        {"gate": {}, "on_fail": "continue"}, [0.5, 0.4, 0.5, 0.45], [("gate", "continue")], "continued", 6,
    ),
    "does not pass: the run ends": (
        {"gate": {}, "on_fail": "stop"}, [0.5, 0.4, 0.5, 0.45], [("gate", "stop")], "stopped", 6,
    ),
    "passes: the run ends": ({"gate": {}, "on_pass": "stop"}, [0.5, 0.6], [("gate", "stop")], "stopped", 6),
    "the first that passes is enough": (
        {"gate": {"decide": "first"}}, [0.5, 0.4, 0.7, 0.9], [("gate", "promote")], "promoted", 4,
    ),
    "patience ends it": (
        {"gate": {"patience": 2}}, [0.5, 0.4, 0.45, 0.9], [("gate", "rollback")], "rolled back", 4,
    ),
    "patience ends it, but an earlier one passed": (
        {"gate": {"patience": 2}, "steps": 8}, [0.5, 0.7, 0.4, 0.4, 0.9], [("gate", "promote")], "promoted", 6,
    ),
    "by more than min_delta": (
        {"gate": {"min_delta": 0.3}}, [0.5, 0.7], [("gate", "rollback")], "rolled back", 6,
    ),
    "the interval's lower end": (
        {"gate": {"rule": "lower"}}, [0.5, 0.75], [("gate", "rollback")], "rolled back", 6,
    ),
    "the interval's lower end passes": (
        {"gate": {"rule": "lower"}}, [0.5, 1.0], [("gate", "promote")], "promoted", 6,
    ),
    "the majority": ({"gate": {"reference": "majority"}}, [0.2, 0.5], [("gate", "rollback")], "rolled back", 6),
    "a number": ({"gate": {"reference": 0.4}}, [0.9, 0.5], [("gate", "promote")], "promoted", 6),
    "cut, then it passes": (
        {"gate": {}, "on_fail": "cut", "max_retries": 2}, [0.5, 0.4, 0.4, 0.4, 0.6],
        [("gate", "cut"), ("gate", "promote")], "promoted", 12,
    ),
    "raised until no retry is left": (
        {"gate": {}, "on_fail": "raise", "max_retries": 2}, [0.5, 0.4],
        [("gate", "raise"), ("gate", "raise"), ("retries", "rollback")], "rolled back", 18,
    ),
    "repeated while it passes": (
        {"gate": {}, "on_pass": "repeat", "max_retries": 3},
        [0.5, 0.6, 0.6, 0.6, 0.7, 0.7, 0.7, 0.7],
        [("gate", "repeat"), ("gate", "repeat"), ("gate", "promote")], "promoted", 18,
    ),
    "repeated up to the cap": (
        {"gate": {}, "on_pass": "repeat", "lr_cap": 5e-3}, [0.5, *[0.6] * 3, *[0.7] * 3, *[0.8] * 3],
        [("gate", "repeat"), ("gate", "repeat"), ("gate", "promote")], "promoted", 18,
    ),
    "early stopping asks the gate": (
        {"gate": {}, "early_stopping": {"patience": 1}}, [0.5, 0.6, 0.6, 0.9],
        [("early_stopping", "stop"), ("gate", "promote")], "promoted", 4,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", GATES)
def test_gate(
    name: str, make_plan: Callable[..., Plan], context: MemoryContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage, values, expected, outcome, last = GATES[name]
    scores(monkeypatch, *values)
    assert train(make_plan(stages=[{**SHORT, **stage}, NEXT]), context) is Outcome.FINISHED
    assert actions(context) == expected
    found = results(context)["stages"]
    assert found[0]["outcome"] == outcome
    assert found[0]["attempts"][-1]["last_step"] == last
    assert len(found) == (1 if outcome == "stopped" else 2)
    assert found[0]["gate"]["passed"] is (outcome == "promoted" or stage.get("on_pass") == "stop")


def test_rates_of_raised_and_repeated_attempts_stay_below_the_cap(
    make_plan: Callable[..., Plan], context: MemoryContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores(monkeypatch, 0.5, *[0.6] * 3, *[0.7] * 3, *[0.8] * 3)
    stage = {**SHORT, "gate": {}, "on_pass": "repeat", "lr_cap": 5e-3, "schedule": {"name": "constant"}}
    train(make_plan(stage=stage), context)
    rates = [value for _, value in context.series("lr/all")]
    assert rates == pytest.approx([1e-3] * 6 + [3e-3] * 6 + [5e-3] * 6)


def test_what_is_promoted_are_the_weights_of_the_best_evaluation(
    make_plan: Callable[..., Plan], tmp_path: Path, shared_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second stage stands still, so that its weights are those that it began with."""
    still = {**NEXT, "steps": 1, "lr": 1e-30, "weight_decay": 0.0}
    runtime = {"keep": "all"}
    gated = MemoryContext(tmp_path / "gated", shared_cache)
    with pytest.MonkeyPatch.context() as patch:
        scores(patch, 0.5, 0.4, 0.7, 0.45)
        train(make_plan(stages=[{**SHORT, "gate": {}}, still], runtime=runtime), gated)
    cut = MemoryContext(tmp_path / "cut", shared_cache)
    # Up to its best evaluation at step 4 the stage is the same; what follows it is skipped.
    with pytest.MonkeyPatch.context() as patch:
        scores(patch, 0.5, 0.4, 0.7)
        train(make_plan(stages=[{**SHORT, "gate": {"decide": "first"}}, still], runtime=runtime), cut)
    left, right = last_weights(gated), last_weights(cut)
    assert left.keys() == right.keys()
    assert all(torch.equal(left[name], right[name]) for name in left)


def test_a_gate_may_look_at_another_metric_than_the_one_that_picks_the_best(
    make_plan: Callable[..., Plan], context: MemoryContext
) -> None:
    stage = {**SHORT, "metric": "loss", "gate": {"metric": "macro_f1", "reference": 0.0, "rule": "lower"}}
    train(make_plan(stage=stage), context)
    (made,) = [one for one in decisions(context) if one["rule"] == "gate"]
    evidence = made["evidence"]
    assert evidence["metric"] == "gate/macro_f1"
    best = min(context.series("gate/loss"), key=lambda point: point[1])
    assert evidence["step"] == best[0]
    assert evidence["value"] == pytest.approx(dict(context.series("gate/macro_f1"))[best[0]])
    assert evidence["low"] <= evidence["value"] <= evidence["high"]


def test_a_gate_on_tags(make_plan: Callable[..., Plan], context: MemoryContext) -> None:
    stage = {"lr": 5e-3, "epochs": 4, "gate": {"reference": "majority", "rule": "lower"}, "on_fail": "continue"}
    train(make_plan(tagging=True, stage=stage), context)
    evidence = decisions(context)[-1]["evidence"]
    assert evidence["metric"] == "gate/strict_f1"
    assert 0 < evidence["reference"] <= 1


def test_a_budget_ends_the_stage_and_its_gate_is_asked(make_plan: Callable[..., Plan], context: MemoryContext) -> None:
    stage = {**SHORT, "steps": 500, "eval_every": 400, "budget_s": 1e-6, "gate": {"reference": 0.0}}
    train(make_plan(stages=[stage, NEXT]), context)
    assert actions(context) == [("budget", "stop"), ("gate", "promote")]
    assert results(context)["stages"][0]["attempts"][0]["last_step"] == 1
    assert any("depends on this machine's speed" in event["message"] for event in context.events)


@pytest.mark.parametrize(("budget", "left"), [(None, 76.0), (8.0, 3.0), (4.0, 0.0), (900.0, 76.0)])
def test_time_left_is_that_of_the_steps_or_of_the_budget_whichever_is_less(budget: float | None, left: float) -> None:
    stages = [SimpleNamespace(budget_s=one) for one in (budget, None, 3.0)]
    run = SimpleNamespace(planned=[50, 10, 100], active=stages)
    owner = SimpleNamespace(run=run, index=0, stage=stages[0])
    # Two seconds a step; the next stages have 10 steps, and 100 within 3 seconds.
    attempt = SimpleNamespace(owner=owner, own=12, _first=2, _clock=100.0, elapsed=lambda: 5.0)
    assert Attempt._seconds_left(cast(Any, attempt), 120.0, 38) == left + 20.0 + 3.0


def test_rates_are_raised_while_loss_and_gradient_allow_it(
    make_plan: Callable[..., Plan], context: MemoryContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    from core.training.window import Window

    real = Window.settle

    def settle(self: Window) -> None:
        real(self)
        for item in self.steps:
            item.update(loss=1.0 / item["step"], norm=1.0)

    monkeypatch.setattr(Window, "settle", settle)
    raising = {"every": 4, "factor": 2.0}
    stage = {"steps": 16, "eval_every": 16, "raise_if": raising, "lr_cap": 3e-3, "schedule": {"name": "constant"}}
    train(make_plan(stage=stage, runtime={"log_every": 3}), context)
    found = [one for one in decisions(context) if one["rule"] == "raise_if"]
    assert [(one["step"], one["lr_scale"]) for one in found] == [(8, 2.0), (12, pytest.approx(3.0))]
    rates = dict(context.series("lr/all"))
    assert [rates[step] for step in (6, 9, 12, 15, 16)] == pytest.approx([1e-3, 2e-3, 2e-3, 3e-3, 3e-3])


def test_every_decision_is_told_once_with_its_number_and_stands_in_the_results(
    make_plan: Callable[..., Plan], context: MemoryContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores(monkeypatch, 0.5, 0.4)
    stage = {
        **SHORT, "gate": {}, "on_fail": "cut", "max_retries": 1, "early_stopping": {"patience": 1},
        "schedule": {"name": "reduce_lr_on_plateau", "options": {"patience": 0}},
    }  # fmt: skip
    train(make_plan(stages=[stage, NEXT]), context)
    told = decisions(context)
    assert [one["number"] for one in told] == list(range(1, len(told) + 1))
    assert {one["rule"] for one in told} >= {"choice", "plateau", "early_stopping", "gate", "retries"}
    for one in told:
        assert one.keys() == {
            "number", "stage", "index", "attempt", "rule", "action", "evidence", "lr_scale", "step",
        }  # fmt: skip
        assert one["rule"] in RULES
        assert one["action"] in ACTIONS
        assert one["evidence"]
    stored = results(context)["decisions"]
    assert [{key: value for key, value in one.items() if key != "message"} for one in stored] == told
    assert all(one["message"].endswith(".") for one in stored)


def test_few_gate_rows_are_told(make_plan: Callable[..., Plan], context: MemoryContext) -> None:
    train(make_plan(stage={**SHORT, "gate": {}}), context)
    assert any("decides on 12 rows only" in event["message"] for event in context.events)


SCHEDULES = st.one_of(
    st.sampled_from(
        [{"name": name} for name in ("linear", "cosine", "cosine_with_restarts", "constant", "inverse_sqrt")]
    ),
    st.builds(lambda power: {"name": "polynomial", "options": {"power": power}}, st.floats(0.5, 3)),
    st.builds(lambda share: {"name": "cosine_with_min_lr", "options": {"min_lr_rate": share}}, st.floats(0, 0.9)),
    st.builds(
        lambda share: {"name": "warmup_stable_decay", "options": {"num_decay_steps": share}}, st.floats(0.1, 0.5)
    ),
)
STAGES = st.fixed_dictionaries(
    {
        "steps": st.integers(1, 7),
        "lr": st.floats(1e-6, 1e-3),
        "layer_decay": st.sampled_from([1.0, 0.5]),
        "head_lr": st.none() | st.floats(1e-6, 1e-3),
        "freeze_layers": st.integers(0, 2),
        "schedule": st.builds(lambda one, warmup: {**one, "warmup": warmup}, SCHEDULES, st.sampled_from([0.0, 0.3, 1])),
    }
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(stages=st.lists(STAGES, min_size=1, max_size=3))
def test_the_curve_that_is_drawn_is_the_one_that_is_used_in_every_stage(
    stages: list[dict[str, Any]], make_plan: Callable[..., Plan], tmp_path_factory: pytest.TempPathFactory,
    shared_cache: Path,
) -> None:  # fmt: skip
    context = MemoryContext(tmp_path_factory.mktemp("curve"), shared_cache)
    plan = make_plan(
        stages=[{**one, "name": str(at), "cache_activations": False} for at, one in enumerate(stages)],
        data={"train_rows": 32, "gate_share": 0.0},
    )  # fmt: skip
    train(plan, context)
    expected: dict[str, list[tuple[int, float]]] = {}
    before = 0
    for stage in plan.stages:
        for name, drawn in curve_points(stage, base_rates(stage, 2), stage.steps or 0).items():
            steps = [before + int(step) for step in drawn["steps"]]
            expected.setdefault(f"lr/{name}", []).extend(zip(steps, drawn["lr"], strict=True))
        before += stage.steps or 0
    used = {name: context.series(name) for name, _ in context.points if name.startswith("lr/")}
    assert used == expected


def test_a_stage_without_a_seed_of_its_own_derives_one_from_the_runs() -> None:
    from core.training.batches import stage_seed

    plain = Stage()
    assert stage_seed(plain, 0, 7) == 7
    later = [stage_seed(plain, index, 7) for index in range(1, 20)]
    assert len({7, *later}) == 20
    assert later == [stage_seed(plain, index, 7) for index in range(1, 20)]
    assert stage_seed(plain, 1, 8) != later[0]
    assert stage_seed(Stage(seed=3), 5, 7) == 3
