"""From a claim's config, an arm and a seed to the plan that is trained."""

from __future__ import annotations

from typing import Any

from core.config import Plan
from core.config.claims import ClaimConfig, Part
from core.studies.shelf import STEPS, Arm

__all__ = ["evaluation_every", "plan_of", "steps_of"]

#: Evaluations on gate in one run: enough for a curve, few enough to cost little.
_EVALUATIONS = 12


def steps_of(config: ClaimConfig, part: Part, arm: Arm) -> int:
    """Return the optimiser steps of a run."""
    return arm.steps or config.steps or STEPS[part]


def evaluation_every(config: ClaimConfig, part: Part, arm: Arm) -> int:
    """Return the steps between two evaluations on gate."""
    return max(1, steps_of(config, part, arm) // _EVALUATIONS)


def plan_of(config: ClaimConfig, part: Part, arm: Arm, seed: int) -> Plan:
    """Return the plan of one run: the config's data, model and runtime, the arm's stages, the seed.

    Runs of one seed begin with the same weights and see the same batches; the rows of train, gate and test are the same
    for all seeds.
    """
    whole = steps_of(config, part, arm)
    shares = [float(stage.get("share", 1.0)) for stage in arm.stages]
    ends = [round(whole * sum(shares[: at + 1]) / sum(shares)) for at in range(len(shares))]
    stages: list[dict[str, Any]] = []
    for at, change in enumerate(arm.stages):
        steps = ends[at] - (ends[at - 1] if at else 0)
        stages.append(
            {
                "name": "train", "steps": max(1, steps), "batch_size": config.batch_size,
                "schedule": {"name": "linear", "warmup": 0.1}, "freeze_encoder": part == "head",
                "eval_every": evaluation_every(config, part, arm),
                # A loss that explodes but is a number is a result; without numbers there is nothing to go on with.
                "guards": {"nan": True, "explode_factor": None},
                **{key: value for key, value in change.items() if key != "share"},
            }
        )  # fmt: skip
    return Plan.model_validate(
        {
            "name": f"{part} · {arm.title} · seed {seed}"[:120],
            "task": config.task.model_dump(mode="json"),
            "data": {**config.data.model_dump(mode="json"), **arm.data},
            "model": config.model.model_dump(mode="json"),
            "stages": stages,
            "runtime": {**config.runtime.model_dump(mode="json"), "seed": seed},
        }
    )
