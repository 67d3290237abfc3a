"""Plans of the staged experiment: ready plans of several stages and a search, cut to equal numbers of optimiser steps.

Everything here was fixed before the first run. Plain data without torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from core.config import ClaimConfig, Plan, Stage
from core.config.stage_parts import RangeTestConfig
from core.config.templates import template

__all__ = [
    "LONG", "PLAIN", "READY", "SEARCH", "SHORT", "TRIALS", "arm_name", "attempts", "plain_plan", "planned_steps",
    "ready_plan", "search_plan",
]  # fmt: skip

#: Ready plans of several stages that search nothing, in the order in which the page offers them.
READY = ("head-then-all", "gradual-unfreezing", "staged-increase", "range-test", "small-then-raise")
#: Trials of the search, and steps of each; the final run of every arm has as many.
TRIALS, SHORT = 30, 40
#: Steps of each ready plan's longer run: what the search spends beyond the short ones, divided among them.
LONG = (TRIALS - len(READY)) * SHORT // len(READY)
#: Names of the other arms.
SEARCH, PLAIN = "search", f"one-stage-{SHORT}"

#: A stage that trains the head alone gets an eighth of the steps, for each attempt: its steps cost next to nothing, and
#: the ready plans give it most of theirs.
_HEAD_SHARE = 8
#: A range test takes half of the steps, and no more than it has in the ready plan.
_RANGE_SHARE = 2
#: What the search may choose. Batches are the same for all: steps would not be equal otherwise.
_SPACE: dict[str, dict[str, Any]] = {
    "lr": {"low": 2e-5, "high": 1e-3, "log": True},
    "head_lr": {"low": 1e-4, "high": 1e-2, "log": True},
    "schedule.warmup": {"low": 0.0, "high": 0.3},
    "layer_decay": {"low": 0.7, "high": 1.0},
    "dropout": {"low": 0.0, "high": 0.3},
    "weight_decay": {"low": 0.0, "high": 0.1},
}
_STARTUP = 10


def arm_name(ready: str, steps: int) -> str:
    """Return the name of a ready plan's arm."""
    return f"{ready}-{steps}"


def attempts(stage: Stage) -> int:
    """Return how often a stage may be begun because its gate says so."""
    again = stage.gate is not None and (stage.on_pass == "repeat" or stage.on_fail in ("cut", "raise"))
    return 1 + stage.max_retries if again else 1


def planned_steps(plan: Plan, lengths: Sequence[int] | np.ndarray) -> int:
    """Return the optimiser steps that a plan may take at most: all attempts, trials and steps of range tests.

    Parameters
    ----------
    plan
        A plan of this experiment.
    lengths
        Sub-words of each training row, shape (rows,).
    """
    from core.training.counting import count_stages

    counted = count_stages(plan, lengths)
    return sum(one["steps"] * attempts(stage) for one, stage in zip(counted, plan.active, strict=True))


def ready_plan(name: str, steps: int, seed: int) -> Plan:
    """Return a ready plan for the experiment's data whose stages take `steps` at most, retries included.

    Rates, gates and order are the ready plan's, and its stages keep their proportions, except that a head alone and a
    range test get fixed shares. Retries that only a guard would use are taken away: they would be steps that others do
    not have.
    """
    shared = _shared(seed)
    plan = template(name).plan(ClaimConfig().data)
    stages = [stage.model_copy(update={"max_retries": attempts(stage) - 1}) for stage in plan.stages]
    lengths = _lengths(stages, steps)
    raw = plan.model_dump(mode="json")
    raw["stages"] = [
        stage.model_dump(mode="json")
        | {"steps": length, "eval_every": _every(steps), "guards": _GUARDS}
        | ({"range_test": _tested(stage, length)} if stage.kind == "range_test" else {})
        for stage, length in zip(stages, lengths, strict=True)
    ]
    return Plan.model_validate({**raw, **shared, "name": f"{name} · {steps} steps · seed {seed}"})


def search_plan(seed: int) -> Plan:
    """Return the search: 30 trials of one stage over six fields by TPE, none of them pruned."""
    stage = {
        **_one_stage(), "name": "search", "kind": "search", "head_lr": 1e-3,
        "search": {"space": _SPACE, "trials": TRIALS, "startup_trials": _STARTUP, "sampler": "tpe", "pruner": "none"},
    }  # fmt: skip
    return Plan.model_validate({**_shared(seed), "name": f"search · seed {seed}", "stages": [stage]})


def plain_plan(seed: int) -> Plan:
    """Return one stage at a usual rate, as somebody would train who neither plans nor searches."""
    return Plan.model_validate({**_shared(seed), "name": f"one stage · seed {seed}", "stages": [_one_stage()]})


# -- parts -----------------------------------------------------------------------------------------------------------
#: A loss that explodes but is a number is a result, which a gate or a search judges; without numbers the run fails.
_GUARDS = {"nan": True, "explode_factor": None}


def _shared(seed: int) -> dict[str, Any]:
    """Return what all arms have in common: task, rows, model and runtime of the claims, and the seed."""
    base = ClaimConfig()
    return {
        "task": base.task.model_dump(mode="json"), "data": base.data.model_dump(mode="json"),
        "model": base.model.model_dump(mode="json"),
        "runtime": {**base.runtime.model_dump(mode="json"), "seed": seed},
    }  # fmt: skip


def _one_stage() -> dict[str, Any]:
    return {
        "name": "train", "steps": SHORT, "batch_size": 32, "lr": 1e-4, "eval_every": _every(SHORT), "guards": _GUARDS,
        "schedule": {"name": "linear", "warmup": 0.1},
    }  # fmt: skip


def _every(steps: int) -> int:
    """Return the steps between two evaluations."""
    return 10 if steps <= SHORT else 20


def _lengths(stages: Sequence[Stage], steps: int) -> list[int]:
    """Divide steps among stages; the last one takes what rounding leaves."""
    fixed = [_fixed(stage, steps) for stage in stages]
    rest = steps - sum((length or 0) * attempts(stage) for stage, length in zip(stages, fixed, strict=True))
    parts = [0.0 if length else (stage.epochs or 1.0) for stage, length in zip(stages, fixed, strict=True)]
    whole = sum(part * attempts(stage) for stage, part in zip(stages, parts, strict=True))
    found = [length or int(rest * part / whole) for length, part in zip(fixed, parts, strict=True)]
    used = sum(length * attempts(stage) for stage, length in zip(stages, found, strict=True))
    if attempts(stages[-1]) != 1:
        raise ValueError(f"{stages[-1].name} may be repeated: what rounding leaves cannot be given to it")
    found[-1] += steps - used
    return found


def _fixed(stage: Stage, steps: int) -> int | None:
    if stage.kind == "range_test":
        return min((stage.range_test or RangeTestConfig()).steps, steps // _RANGE_SHARE)
    return steps // _HEAD_SHARE if stage.freeze_encoder else None


def _tested(stage: Stage, steps: int) -> dict[str, Any]:
    return {**(stage.range_test or RangeTestConfig()).model_dump(mode="json"), "steps": steps}
