"""What a stage decides: whether its gate passes, what follows, when rates are raised. Plain state, no torch.

The words of ``docs/stages.md`` are the contract; every branch of :func:`decide` is a row of its tables.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, field
from typing import Any, Literal

from core.config import GateConfig, RaiseConfig, Stage

__all__ = ["Decision", "GateWatch", "Place", "Raising", "Score", "better", "capped", "decide", "maximised", "passes"]


@dataclass(frozen=True)
class Score:
    """A metric on the gate rows.

    Parameters
    ----------
    value
        The metric; NaN where the weights are not numbers.
    low, high
        Ends of its 95 % interval, if it has one.
    rows
        Gate rows.
    """

    value: float
    low: float | None = None
    high: float | None = None
    rows: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return value and ends, for the record."""
        return {"value": self.value, "low": self.low, "high": self.high}


def maximised(metric: str) -> bool:
    """Return whether a larger value is better: all metrics but the loss."""
    return not metric.endswith("loss")


def better(value: float, other: float, metric: str) -> bool:
    """Return whether a value of a metric is better than another one."""
    return value > other if maximised(metric) else value < other


def passes(gate: GateConfig, score: Score, reference: float | None, metric: str) -> bool:
    """Return whether a score is beyond the reference by more than the gate's ``min_delta``.

    The rule ``lower`` asks it of the less favourable end of the interval: the lower one, for losses the upper one.
    """
    if reference is None:
        return False
    up = maximised(metric)
    if gate.rule == "point":
        value: float | None = score.value
    else:
        value = score.low if up else score.high
    if value is None or math.isnan(value) or math.isnan(score.value):
        return False
    return value > reference + gate.min_delta if up else value < reference - gate.min_delta


@dataclass
class GateWatch:
    """Counts the evaluations in a row that did not pass, within one attempt.

    Parameters
    ----------
    config
        The gate.
    waited
        Evaluations in a row that did not pass.
    """

    config: GateConfig
    waited: int = 0

    def observe(self, passed: bool) -> Literal["passed", "patience"] | None:
        """Take one evaluation; say whether the stage ends with it."""
        if passed:
            self.waited = 0
            return "passed" if self.config.decide == "first" else None
        self.waited += 1
        patience = self.config.patience
        return "patience" if patience is not None and self.waited >= patience else None


@dataclass(frozen=True)
class Place:
    """Where a stage is when it has to decide.

    Parameters
    ----------
    scale
        What its rates are multiplied by.
    top
        Its highest base rate.
    begun_again
        How often it was begun again.
    repeating
        Whether this attempt is a repeat after a gate that passed.
    """

    scale: float = 1.0
    top: float = 1e-3
    begun_again: int = 0
    repeating: bool = False


@dataclass(frozen=True)
class Decision:
    """What follows an attempt.

    Parameters
    ----------
    rule, action
        As decisions name them.
    then
        ``next``: the next stage; ``again``: another attempt; ``end``: the run ends well; ``fail``: the run fails.
    weights
        ``keep``: as they are; ``best``: of the best evaluation that may be promoted; ``back``: of the best evaluation
        of the stage if it is worth going back to, else of the stage's start; ``start``: of the stage's start.
    scale
        What the rates are multiplied by from now on.
    outcome
        The stage's outcome, where it is over.
    whole
        Another attempt goes on where the restore point was written (optimiser, schedule, order of batches). Otherwise
        it begins anew with those weights.
    """

    rule: str
    action: str
    then: Literal["next", "again", "end", "fail"]
    weights: Literal["keep", "best", "back", "start"]
    scale: float
    outcome: str | None = None
    whole: bool = False


def capped(scale: float, stage: Stage, top: float) -> float:
    """Return a raised scale, but not so large that the highest base rate goes beyond the stage's cap."""
    return scale if stage.lr_cap is None else min(scale, stage.lr_cap / top)


def _raised(stage: Stage, place: Place) -> float | None:
    """Return the next larger scale, or None where the cap is reached."""
    scale = capped(place.scale * stage.lr_factor, stage, place.top)
    return scale if scale > place.scale * (1 + 1e-12) else None


def decide(stage: Stage, place: Place, *, guard: bool, passed: bool | None) -> Decision | None:
    """Say what follows an attempt that has ended.

    Parameters
    ----------
    stage
        The stage.
    place
        Rates and retries so far.
    guard
        Whether a guard ended the attempt.
    passed
        Whether the gate passed; None if there is none, or a guard ended the attempt.

    Returns
    -------
    Decision or None
        None where there is nothing to decide: the stage is over and its last weights go on.
    """
    scale = place.scale
    if place.repeating and (guard or not passed):
        return Decision("guard" if guard else "gate", "promote", "next", "best", scale, "promoted")
    if guard:
        if stage.max_retries == 0:
            return Decision("guard", "fail", "fail", "keep", scale)
        if place.begun_again < stage.max_retries:
            return Decision("guard", "rollback", "again", "back", scale / stage.lr_factor, whole=True)
        return _exhausted(stage, scale)
    if passed is None:
        return None
    return _passed(stage, place) if passed else _failed(stage, place)


def _passed(stage: Stage, place: Place) -> Decision:
    if stage.on_pass == "stop":
        return Decision("gate", "stop", "end", "best", place.scale, "stopped")
    if stage.on_pass == "repeat":
        scale = _raised(stage, place)
        limited = stage.max_retries > 0 and place.begun_again >= stage.max_retries
        if scale is not None and not limited:
            return Decision("gate", "repeat", "again", "best", scale)
    return Decision("gate", "promote", "next", "best", place.scale, "promoted")


def _failed(stage: Stage, place: Place) -> Decision:
    scale = place.scale
    if stage.on_fail == "stop":
        return Decision("gate", "stop", "end", "keep", scale, "stopped")
    if stage.on_fail == "continue":
        return Decision("gate", "continue", "next", "keep", scale, "continued")
    if stage.on_fail == "rollback":
        return Decision("gate", "rollback", "next", "back", scale, "rolled back")
    new = scale / stage.lr_factor if stage.on_fail == "cut" else _raised(stage, place)
    if new is None or place.begun_again >= stage.max_retries:
        return _exhausted(stage, scale)
    return Decision("gate", stage.on_fail, "again", "start", new, whole=True)


def _exhausted(stage: Stage, scale: float) -> Decision:
    if stage.on_exhausted == "stop":
        return Decision("retries", "stop", "end", "back", scale, "stopped")
    return Decision("retries", "rollback", "next", "back", scale, "rolled back")


@dataclass
class Raising:
    """Looks at loss and gradient every so many steps and says when the rates may be raised.

    Parameters
    ----------
    config
        How often, and what must hold.
    losses, norms
        Of the steps since the last look.
    previous
        Mean loss of the steps before those; None before the first look.
    """

    config: RaiseConfig
    losses: list[float] = field(default_factory=list)
    norms: list[float] = field(default_factory=list)
    previous: float | None = None

    def observe(self, loss: float, norm: float) -> None:
        """Take one step."""
        self.losses.append(loss)
        self.norms.append(norm)

    def look(self) -> dict[str, Any] | None:
        """Look at the steps since the last look; return the evidence if the rates may be raised, else None."""
        losses, norms, previous = self.losses, self.norms, self.previous
        self.losses, self.norms = [], []
        if not losses or not all(math.isfinite(value) for value in (*losses, *norms)):
            self.previous = None
            return None
        mean = statistics.fmean(losses)
        self.previous = mean
        norm = statistics.fmean(norms)
        if previous is None or previous == 0 or norm == 0:
            return None
        fall = (previous - mean) / abs(previous)
        variation = statistics.pstdev(norms) / norm
        if fall <= self.config.min_fall or variation >= self.config.max_variation:
            return None
        return {"loss": mean, "previous": previous, "fall": fall, "variation": variation, "steps": len(losses)}

    def state_dict(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        return {"losses": list(self.losses), "norms": list(self.norms), "previous": self.previous}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take the state of a checkpoint."""
        self.losses, self.norms = list(state["losses"]), list(state["norms"])
        self.previous = state["previous"]
