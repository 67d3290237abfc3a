"""Steps to a target: the first step at which a metric reaches it, and what to do with runs that never do."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

__all__ = ["restricted", "steps_to_target"]


def steps_to_target(
    steps: Sequence[int],
    values: Sequence[float | None],
    target: float,
    *,
    smoothing: float = 0.0,
    minimise: bool = False,
) -> int | None:
    """Return the first step at which a series reaches a target; ``None`` if it never does.

    Parameters
    ----------
    steps, values
        The series; values that are no numbers are skipped.
    target
        The value to reach; equal counts.
    smoothing
        Weight of the past in an exponential mean corrected for its start, 0 (off) to below 1: one lucky evaluation
        is no arrival.
    minimise
        Whether smaller is better (losses).
    """
    if not 0 <= smoothing < 1:
        raise ValueError(f"smoothing must be in [0, 1), got {smoothing}")
    mean, correction = 0.0, 1.0
    for step, value in zip(steps, values, strict=True):
        if value is None or not math.isfinite(value):
            continue
        mean = smoothing * mean + (1 - smoothing) * value
        correction *= smoothing
        smooth = mean / (1 - correction)
        if smooth <= target if minimise else smooth >= target:
            return int(step)
    return None


def restricted(reached: Mapping[int, int | None], budget: int) -> tuple[dict[int, float], int]:
    """Return steps by seed with "never" counted as the whole budget, and how many never arrived.

    This compares restricted mean times, which need no assumption about what would have happened later (Royston and
    Parmar 2013): a run that never arrived counts as one that arrived with the last step, so a difference between
    arms is a lower bound where the slower one was cut off.
    """
    values = {seed: float(budget if step is None else min(step, budget)) for seed, step in reached.items()}
    return values, sum(step is None for step in reached.values())
