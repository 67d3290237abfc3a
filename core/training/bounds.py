"""What results may change about a stage: how far its rates may go, how long it may last. Plain arithmetic, no torch.

Everything here is a true bound: a run that keeps to its plan stays within, whatever its gates and guards decide.
"""

from __future__ import annotations

import bisect
import contextlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

from core.config import GuardConfig, Stage
from core.config.space import dimensions, extremes, trial_stage
from core.training.schedules import Plateau

__all__ = ["Reach", "corners", "evaluation_steps", "largest_scale", "plateau_low", "raised", "reach"]

#: Steps after which the guard against a growing loss begins to judge.
_EXPLODES_FROM = 20
#: Rates are not followed further upwards than this: no training is left long before.
_MOST_DECADES = 30


@dataclass(frozen=True)
class Reach:
    """What may become of a stage.

    Parameters
    ----------
    low, high
        Smallest and largest factor of the rates with which an attempt may begin. No cap is looked at.
    attempts
        How often the stage is begun at most.
    shortest, longest
        Optimiser steps that it takes at least and at most, over all attempts.
    ends_from
        Its own step from which on the next stage may begin in the first attempt; the last one if nothing ends it early.
    may_stop
        Whether the run may end well with this stage.
    reasons
        What it depends on, in words.
    """

    low: float
    high: float
    attempts: int
    shortest: int
    longest: int
    ends_from: int
    may_stop: bool
    reasons: tuple[str, ...]


def evaluation_steps(stage: Stage, steps: int, epoch_ends: Sequence[int]) -> list[int]:
    """Return the stage's own steps after which it is evaluated on gate.

    Parameters
    ----------
    stage
        The stage.
    steps
        Optimiser steps of one attempt.
    epoch_ends
        Own steps at which its epochs end.
    """
    every = stage.eval_every
    regular = range(every, steps + 1, every) if every is not None else [end for end in epoch_ends if end <= steps]
    return sorted({*regular, steps})


def reach(stage: Stage, steps: int, evaluations: Sequence[int], top: float) -> Reach:
    """Return what may become of a stage of kind ``train``.

    Parameters
    ----------
    stage
        The stage.
    steps
        Optimiser steps of one attempt.
    evaluations
        Its own steps with an evaluation, the last one included.
    top
        Its highest base rate; if that is not known, the smallest that it may be.
    """
    reasons: list[str] = []
    gate = stage.gate
    retries, factor = stage.max_retries, stage.lr_factor
    within = raised(stage, steps + 1)
    low, grows, again = 1.0, 1.0, 0
    guard_step = _first_guard(stage.guards, evaluations)
    if gate is not None and stage.on_pass == "repeat":
        again = retries or _to_cap(stage, top)
        grows = factor * within
        if again:
            reasons.append(f"repeated with rates × {factor:g} while its gate passes, at most {_times(again)}")
    if retries and gate is not None and stage.on_fail == "raise":
        again, grows = retries, factor * within
        reasons.append(f"begun again with rates × {factor:g} where its gate fails, at most {_times(retries)}")
    if retries and gate is not None and stage.on_fail == "cut":
        again, low, grows = retries, factor**-retries, max(grows, within / factor)
        reasons.append(f"begun again with rates ÷ {factor:g} where its gate fails, at most {_times(retries)}")
    if retries and guard_step is not None:
        again, low, grows = retries, factor**-retries, max(grows, within / factor)
        reasons.append(f"rolled back with rates ÷ {factor:g} by a guard, at most {_times(retries)}")
    high = 10.0 ** min(_MOST_DECADES, again * math.log10(grows))
    if stage.raise_if is not None:
        reasons.append(
            f"rates × {stage.raise_if.factor:g} every {stage.raise_if.every} steps while the loss falls steadily"
        )
    if stage.schedule.name == "reduce_lr_on_plateau":
        reasons.append("rates are lowered when the gate metric stops improving")
    ends = _early_ends(stage, evaluations, reasons)
    ends_from = min([steps, *ends])
    shortest = ends_from
    if retries and guard_step is not None and stage.on_exhausted == "rollback":
        shortest = min(shortest, (retries + 1) * guard_step)
    stops = gate is not None and ("stop" in (stage.on_pass, stage.on_fail))
    stops = stops or (bool(again and retries) and stage.on_exhausted == "stop")
    if stops:
        reasons.append("the run may end here")
    return Reach(low, high, 1 + again, shortest, (1 + again) * steps, ends_from, stops, tuple(reasons))


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"


def _first_guard(guards: GuardConfig, evaluations: Sequence[int]) -> int | None:
    """Return the own step at which a guard may first hold; None if all are off."""
    if guards.nan:
        return 1
    found = []
    if guards.explode_factor is not None:
        found.append(_EXPLODES_FROM)
    if guards.single_class is not None:
        found.append(evaluations[min(guards.single_class, len(evaluations)) - 1])
    if guards.entropy is not None:
        found.append(evaluations[0])
    return min(found) if found else None


def _to_cap(stage: Stage, top: float) -> int:
    """Return how often rates can be raised until the cap is reached."""
    if stage.lr_cap is None or top <= 0 or top >= stage.lr_cap:
        return 0
    return math.ceil(math.log(stage.lr_cap / top) / math.log(stage.lr_factor) - 1e-9)


def _early_ends(stage: Stage, evaluations: Sequence[int], reasons: list[str]) -> list[int]:
    """Return own steps from which on something may end the stage before its last one; tell what in `reasons`."""
    found = []
    gate = stage.gate
    if gate is not None and gate.decide == "first":
        found.append(evaluations[0])
        reasons.append("ends at the first evaluation that passes its gate")
    if gate is not None and gate.patience is not None and gate.patience <= len(evaluations):
        found.append(evaluations[gate.patience - 1])
        reasons.append(f"ends after {gate.patience} evaluations in a row that do not pass its gate")
    patience = stage.early_stopping.patience
    if patience is not None and patience <= len(evaluations):
        found.append(evaluations[patience - 1])
        reasons.append(f"stops after {patience} evaluations without an improvement")
    if stage.budget_s is not None:
        found.append(1)
        reasons.append(f"ends after {stage.budget_s:g} seconds")
    return found


def largest_scale(stage: Stage, may: Reach, step: int, top: float) -> float:
    """Return the largest factor that decisions may have put on the rates at own step `step`.

    Parameters
    ----------
    stage
        The stage.
    may
        What may become of it.
    step
        Its own step, from 1.
    top
        Its highest base rate, which no raise leads beyond ``lr_cap``.
    """
    scale = may.high * raised(stage, step)
    return scale if stage.lr_cap is None else min(scale, max(1.0, stage.lr_cap / top))


def raised(stage: Stage, step: int) -> float:
    """Return the largest factor that ``raise_if`` may have put on the rates before own step `step` of an attempt."""
    if stage.raise_if is None:
        return 1.0
    # A look compares the steps since the last look with those before them: the first one has nothing to compare.
    looks = max(0, (step - 1) // stage.raise_if.every - 1)
    most = int(_MOST_DECADES / math.log10(stage.raise_if.factor))
    return float(stage.raise_if.factor ** min(looks, most))


def plateau_low(stage: Stage, base: float, step: int, evaluations: Sequence[int]) -> float:
    """Return the smallest rate that a plateau schedule may have lowered `base` to before own step `step`."""
    if stage.schedule.name != "reduce_lr_on_plateau":
        return base
    plateau = Plateau.from_config(stage.schedule, maximise=True)
    seen = bisect.bisect_left(evaluations, step)  # evaluations before this step
    # The first evaluation sets the best; each lowering needs patience + 1 worse ones.
    lowered = max(0, seen - 1) // (plateau.patience + 1)
    return min(base, max(base * plateau.factor**lowered, plateau.min_lr))


def corners(stage: Stage, fields: Sequence[str]) -> list[Stage]:
    """Return the trials at the ends of a search's ranges, for those of `fields` that it searches.

    Parameters
    ----------
    stage
        A stage of kind ``search``.
    fields
        Dotted names of fields of the stage.

    Returns
    -------
    list of Stage
        Stages of kind ``train``; combinations that make no valid stage are left out.
    """
    found = []
    for values in extremes([one for one in dimensions(stage) if one.key in fields]):
        with contextlib.suppress(ValueError):
            found.append(trial_stage(stage, values))
    return found
