"""Every ready plan runs, and its learning rates are those that were drawn before."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.config import DataConfig, ModelConfig, Plan
from core.config.templates import Template, templates
from core.training import MemoryContext, Outcome, train
from core.training.counting import count_steps
from core.training.curves import plan_curve


def small(one: Template, data: Path, model: Path) -> Plan:
    """Return a template on a tiny encoder, with few steps in each stage."""
    plan = one.plan(DataConfig(source=str(data)), "classification", ModelConfig(source=str(model), max_length=32), 2)
    raw = plan.model_dump()
    raw["runtime"] |= {"threads": 1, "precision": "fp32", "device": "cpu"}
    for stage in raw["stages"]:
        stage |= {"steps": 6, "batch_size": 16, "eval_every": 3}
        if stage["range_test"]:
            stage["range_test"]["steps"] = 12
        if stage["search"]:
            stage["search"] |= {"trials": 2, "startup_trials": 1}
    return Plan.model_validate(raw)


def told(context: MemoryContext, kind: str) -> list[dict[str, Any]]:
    return [event for event in context.events if event["kind"] == kind]


@pytest.mark.parametrize("one", templates(), ids=lambda one: one.name)
def test_the_rates_of_a_template_are_those_that_were_drawn(
    one: Template, material: Path, encoders: Callable[..., Path], context: MemoryContext
) -> None:
    plan = small(one, material / "reviews.csv", encoders())
    drawn = plan_curve(plan, count_steps(plan, cache=context.cache), points=None)
    assert train(plan, context) is Outcome.FINISHED
    begun = [event["data"] for event in told(context, "stage") if event["data"]["kind"] == "train"]
    stages = {stage["name"]: stage for stage in drawn["stages"]}
    rates = {name: dict(context.series(name)) for name, _ in context.points if name.startswith("lr/")}
    seen = 0
    for name, points in rates.items():
        for step, rate in points.items():
            here = [data for data in begun if data["first_step"] <= step][-1]
            stage = stages[here["name"]]
            own = step - here["first_step"] + here["own_step"]
            part = stage["groups"][name.removeprefix("lr/")]
            assert part["low"][own] * (1 - 1e-9) <= rate <= part["high"][own] * (1 + 1e-9), (name, step)
            if part["low"][own] == part["high"][own]:
                assert rate == pytest.approx(part["lr"][own], rel=1e-12), (name, step)
            seen += 1
    for data in begun:
        stage = stages[data["name"]]
        assert data["attempt"] <= stage["attempts"]
        if data["attempt"] == 1:
            assert stage["start_low"] <= data["first_step"] <= stage["start_high"]
    assert seen > 0
