"""Made-up records of runs: a healthy one, and changes of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from core.config import Plan
from core.runs.findings import Points, Recorded

__all__ = ["STEPS", "healthy", "plan", "record"]

STEPS = 200
_EVERY = 20


def plan(**changes: Any) -> Plan:
    """A plan of one stage of 200 steps; `changes` are fields of the stage, or of the plan where it has them."""
    stage = {key: value for key, value in changes.items() if key not in Plan.model_fields}
    rest = {key: value for key, value in changes.items() if key in Plan.model_fields}
    return Plan.model_validate({"name": "made up", "stages": [{"steps": STEPS, **stage}], **rest})


def record(
    loss: Callable[[int], float | None],
    gate_loss: Callable[[int], float],
    accuracy: Callable[[int], float],
    *,
    norm: Callable[[int], float] = lambda step: 1.4,
    rate: Callable[[int], float] = lambda step: 1e-4 * min(1, step / 12) * (1 - step / (STEPS + 1)),
    step_seconds: float = 0.1,
    evaluation_seconds: float = 0.2,
    noise: float = 0.04,
    seed: int = 0,
    status: str = "finished",
    of: Plan | None = None,
    results: Any = None,
    **rest: Any,
) -> Recorded:
    """A record of :data:`STEPS` steps with an evaluation every twenty."""
    generator = np.random.default_rng(seed)
    steps = list(range(1, STEPS + 1))
    evaluated = [step for step in steps if step % _EVERY == 0]
    times = [step * step_seconds + (step - 1) // _EVERY * evaluation_seconds for step in steps]
    noisy = [None if (value := loss(step)) is None else value + generator.normal(0, noise) for step in steps]

    def made(at: Sequence[int], values: Sequence[float | None]) -> Points:
        return Points.of(at, values, [times[step - 1] for step in at])

    series = {
        "train/loss": made(steps, noisy),
        "train/grad_norm": made(steps, [norm(step) * math.exp(generator.normal(0, 0.3)) for step in steps]),
        "train/memory_mb": made(steps, [900.0] * STEPS),
        "lr/encoder": made(steps, [rate(step) for step in steps]),
        "gate/loss": made(evaluated, [gate_loss(step) for step in evaluated]),
        "gate/accuracy": made(evaluated, [accuracy(step) for step in evaluated]),
        "gate/mcc": made(evaluated, [2 * (accuracy(step) - 0.5) for step in evaluated]),
    }
    return Recorded(of or plan(), status, series, results=results or scored(), memory_limit_mb=8000.0, **rest)


def scored(accuracy: float = 0.8, matrix: Any = ((150, 50), (30, 170)), majority: float = 0.5) -> dict[str, Any]:
    """Results of a finished run."""
    half = 1.96 * math.sqrt(accuracy * (1 - accuracy) / 400)
    part = {
        "n": 400, "majority": majority, "intervals": {"accuracy": [accuracy - half, accuracy + half]},
        "confusion": {"labels": ["fresh", "rotten"], "matrix": [list(row) for row in matrix]},
    }  # fmt: skip
    return {"metrics": {"test/accuracy": accuracy}, "details": {"test": part, "gate": part}}


def healthy(**changes: Any) -> Recorded:
    """A run as one wishes it: the losses fall to the end, the score rises."""
    values: dict[str, Any] = {
        "loss": lambda step: 0.3 + 0.4 * math.exp(-step / 90),
        "gate_loss": lambda step: 0.4 + 0.3 * math.exp(-step / 80),
        "accuracy": lambda step: 0.82 - 0.3 * math.exp(-step / 60),
        **changes,
    }
    return record(**values)
