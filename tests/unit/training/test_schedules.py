"""Every schedule equals transformers' own, step by step."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.config import Plan, ScheduleConfig, Stage
from core.errors import ConfigError
from core.training import curve
from core.training.schedules import Plateau, curve_points, multiplier, rate_function, warmup_steps

LR = 3e-4
OPTIONS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "linear": st.just({}),
    "constant": st.just({}),
    "constant_with_warmup": st.just({}),
    "cosine": st.fixed_dictionaries({}, optional={"num_cycles": st.floats(0.1, 3)}),
    "cosine_with_restarts": st.fixed_dictionaries({}, optional={"num_cycles": st.integers(1, 5)}),
    "polynomial": st.fixed_dictionaries({}, optional={"lr_end": st.floats(0, 1e-4), "power": st.floats(0.5, 3)}),
    "inverse_sqrt": st.fixed_dictionaries({}, optional={"timescale": st.integers(1, 500)}),
    "cosine_with_min_lr": st.one_of(
        st.fixed_dictionaries({"min_lr": st.floats(0, 1e-4)}, optional={"num_cycles": st.floats(0.1, 2)}),
        st.fixed_dictionaries({"min_lr_rate": st.floats(0, 1)}),
    ),
    "cosine_warmup_with_min_lr": st.fixed_dictionaries(
        {"min_lr_rate": st.floats(0, 1)},
        optional={"num_cycles": st.floats(0.1, 2), "warmup_lr_rate": st.floats(0.01, 1)},
    ),
    "warmup_stable_decay": st.fixed_dictionaries(
        {"num_decay_steps": st.integers(1, 20)},
        optional={
            "warmup_type": st.sampled_from(["linear", "cosine", "1-sqrt"]),
            "decay_type": st.sampled_from(["linear", "cosine", "1-sqrt"]),
            "min_lr_ratio": st.floats(0, 0.5),
            "num_stable_steps": st.integers(1, 40),
            "num_cycles": st.floats(0.1, 1),
        },
    ),
}


@pytest.mark.parametrize("name", sorted(OPTIONS))
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_schedule_equals_transformers(name: str, data: st.DataObject) -> None:
    import torch
    from transformers import get_scheduler

    total = data.draw(st.integers(2, 80), label="total")
    warmup = data.draw(st.integers(0, total - 1), label="warmup")
    options = data.draw(OPTIONS[name], label="options")
    config = ScheduleConfig(name=name, warmup=float(warmup), options=options)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=LR)
    passed = dict(options)
    total_given: int | None = total
    if "num_stable_steps" in passed:
        total_given = None
    oracle = get_scheduler(
        name, optimizer, num_warmup_steps=warmup, num_training_steps=total_given, scheduler_specific_kwargs=passed
    )
    rate = rate_function(config, total, LR)
    for step in range(1, total + 1):
        assert LR * rate(step) == pytest.approx(oracle.get_last_lr()[0], rel=1e-12, abs=1e-18), step
        optimizer.step()
        oracle.step()


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(st.floats(-5, 5), min_size=1, max_size=40),
    factor=st.floats(0.1, 0.9), patience=st.integers(0, 4), cooldown=st.integers(0, 3),
    mode=st.sampled_from(["rel", "abs"]), maximise=st.booleans(), min_lr=st.sampled_from([0.0, 1e-5]),
)  # fmt: skip
def test_plateau_equals_torch(
    values: list[float], factor: float, patience: int, cooldown: int, mode: str, maximise: bool, min_lr: float
) -> None:
    import torch

    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=LR)
    oracle = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, mode="max" if maximise else "min", factor=factor, patience=patience, cooldown=cooldown,
        threshold_mode=mode, min_lr=min_lr,
    )  # fmt: skip
    options = {"factor": factor, "patience": patience, "cooldown": cooldown, "threshold_mode": mode, "min_lr": min_lr}
    config = ScheduleConfig(name="reduce_lr_on_plateau", options=options)
    rates = {"all": LR}
    state: dict[str, float] = {}
    for value in values:
        plateau = Plateau.from_config(config, maximise=maximise)
        plateau.state = state  # as if restored from a checkpoint before every evaluation
        rates = plateau.observe(value, rates)
        state = plateau.state
        oracle.step(value)
        assert rates["all"] == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12)


def test_warmup_is_a_share_below_one_and_steps_from_one() -> None:
    assert warmup_steps(ScheduleConfig(warmup=0.06), 100) == 6
    assert warmup_steps(ScheduleConfig(warmup=0.06), 101) == 7
    assert warmup_steps(ScheduleConfig(warmup=1), 100) == 1
    assert warmup_steps(ScheduleConfig(name="constant", warmup=0.5), 100) == 0


@pytest.mark.parametrize(
    ("name", "options", "where"),
    [
        ("linear", {"power": 2.0}, "power"),
        ("polynomial", {"power": "high"}, "power"),
        ("polynomial", {"lr_end": 1.0}, "lr_end"),
        ("cosine_with_min_lr", {}, "options"),
        ("cosine_with_min_lr", {"min_lr": 1e-5, "min_lr_rate": 0.1}, "options"),
        ("warmup_stable_decay", {"decay_type": "steep"}, "decay_type"),
        ("reduce_lr_on_plateau", {"factor": 2.0}, "factor"),
        ("reduce_lr_on_plateau", {"threshold_mode": "odd"}, "threshold_mode"),
        ("inverse_sqrt", {"timescale": 0}, "options"),
    ],
)
def test_wrong_options_are_named_before_the_run(name: str, options: dict[str, Any], where: str) -> None:
    with pytest.raises(ConfigError) as caught:
        rate_function(ScheduleConfig(name=name, warmup=0, options=options), 50, LR)(50)
    assert where in str(caught.value)


def test_curve_of_a_long_run_keeps_its_corners_and_is_short() -> None:
    stage = Stage(lr=1e-3, schedule={"name": "linear", "warmup": 1000})
    points = curve_points(stage, {"all": 1e-3}, 100_000)["all"]
    assert len(points["steps"]) <= 410
    assert points["steps"][0] == 1
    assert points["steps"][-1] == 100_000
    assert max(points["lr"]) == 1e-3
    assert math.isclose(points["lr"][-1], 1e-3 * multiplier(stage.schedule, 100_000, 100_000, 1e-3))


def test_curve_needs_no_torch() -> None:
    import subprocess
    import sys

    code = (
        "import sys; from core.config import Plan; from core.training import curve;"
        "print(len(curve(Plan(), 10, layers=6)['all']['lr'])); assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "10"


def test_curve_has_one_line_for_each_rate() -> None:
    plan = Plan(stages=[{"lr": 1e-4, "head_lr": 1e-3, "layer_decay": 0.5, "freeze_layers": 4}])
    found = curve(plan, 100, layers=6)
    assert list(found) == ["layer 4", "layer 5", "head"]
    assert max(found["layer 4"]["lr"]) == pytest.approx(5e-5)
