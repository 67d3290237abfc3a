"""What each loss weighs at a step of its stage: pure functions of config and step, so that a resumed stage agrees."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from core.config.distillation import DistillationConfig, StateLoss, WeightSchedule

__all__ = ["Weights", "state_names", "weight_at", "weights_at"]


@dataclass(frozen=True)
class Weights:
    """Weights of one step.

    Parameters
    ----------
    alpha
        Share of the teachers' answers beside the gold labels.
    answers
        Weight of both together.
    states
        Weight of each loss between layers, in the order of the config.
    """

    alpha: float
    answers: float
    states: tuple[float, ...]


def weight_at(weight: float, schedule: WeightSchedule, step: int, steps: int) -> float:
    """Return a weight at a step.

    Parameters
    ----------
    weight
        What it is before the change.
    schedule
        How it changes.
    step
        The stage's own step, from 1: the first one is share 0 of the stage, the last one share 1.
    steps
        Steps of the stage.
    """
    if schedule.name == "constant":
        return weight
    share = (step - 1) / (steps - 1) if steps > 1 else 0.0
    if schedule.name == "step":
        return schedule.to if share >= schedule.begin else weight
    done = min(1.0, max(0.0, (share - schedule.begin) / (schedule.end - schedule.begin)))
    if schedule.name == "cosine":
        done = (1.0 - math.cos(math.pi * done)) / 2.0
    return weight + done * (schedule.to - weight)


def weights_at(config: DistillationConfig, step: int, steps: int) -> Weights:
    """Return all weights at a step of the stage; see :func:`weight_at`."""
    return Weights(
        weight_at(config.alpha, config.alpha_schedule, step, steps),
        weight_at(config.answers, config.answers_schedule, step, steps),
        tuple(weight_at(one.weight, one.schedule, step, steps) for one in config.states),
    )


def state_names(states: Sequence[StateLoss]) -> list[str]:
    """Return what each loss between layers is called in series: its kind, with its number where two are of one."""
    kinds = [one.kind for one in states]
    return [one if kinds.count(one) == 1 else f"{one}_{number}" for number, one in enumerate(kinds, start=1)]
