"""What follows an attempt that has ended: look at gate and guards, decide, write it down, do it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from core.errors import TrainingDiverged
from core.training.decisions import gate_words, guard_words
from core.training.gates import Decision, Place, decide

if TYPE_CHECKING:
    from core.training.stage import StageRun

__all__ = ["conclude"]


def conclude(part: StageRun, error: TrainingDiverged | None) -> None:
    """Decide what follows the attempt that has ended, and do it.

    Parameters
    ----------
    part
        The stage.
    error
        What a guard said, if one ended the attempt.

    Raises
    ------
    TrainingDiverged
        `error`, if nothing is left to be tried.
    """
    attempt = part.attempt
    if error is not None and attempt.window.steps:
        attempt.record()  # the steps before it belong on the curve
    evidence = None if error is not None or part.pruned else _evidence(part)
    passed = None if evidence is None else bool(evidence["passed"])
    place = Place(attempt.scale, part.top, part.begun_again, part.repeating)
    made = None if part.pruned else decide(part.stage, place, guard=error is not None, passed=passed)
    point, words = _choose_point(part, made, passed=passed)
    if made is not None:
        _tell(part, made, error, evidence, point, words)
    _note(part, error, passed)
    if made is not None and made.then == "fail":
        assert error is not None
        raise error
    if evidence is not None and (passed or not part.repeating):
        part.gate = evidence  # a repeat that comes to nothing does not undo that the gate has passed
    if made is not None and made.then == "again":
        part.again(made, point)
        return
    if point is not None:
        part.restore(point, whole=False)
        if point == part.point("start") and part.start is not None:
            part.run.offer(part.start, part.index)  # after nothing but failures, the best that there is
    outcome = "pruned" if part.pruned else "finished"
    if made is not None and made.outcome is not None:
        outcome = made.outcome
    part.over(outcome, stop=made is not None and made.then == "end")


def _evidence(part: StageRun) -> dict[str, Any] | None:
    """Return what the gate saw of the evaluation that it decides on: the attempt's best, or the one that passed."""
    gate, attempt = part.stage.gate, part.attempt
    if gate is None:
        return None
    judged = attempt.last if attempt.ended == "passed" else attempt.best
    if judged is not None:
        return dict(judged["gate"])
    return {
        "metric": f"gate/{part.gate_metric}", "value": math.nan, "low": None, "high": None,
        "reference": part.reference(), "against": gate.reference if isinstance(gate.reference, str) else "number",
        "min_delta": gate.min_delta, "rule": gate.rule, "rows": None, "step": part.run.step, "passed": False,
    }  # fmt: skip


def _choose_point(part: StageRun, made: Decision | None, *, passed: bool | None) -> tuple[str | None, str]:
    """Return the restore point that a decision goes back to, and what it is in words; None: weights stay."""
    if made is None or made.weights == "keep":
        return None, ""
    if made.weights == "start":
        return part.point("start"), "its start"
    if made.weights == "back":
        return part.back()
    if passed and part.attempt.ended == "passed":
        return None, ""  # it ended with the evaluation that passed
    # The gate judged the attempt's best evaluation; a repeat that does not pass leaves the stage's.
    best = part.attempt.best if passed else part.best
    return (None if best is None else best.get("point")), "its best weights"


def _tell(
    part: StageRun, made: Decision, error: TrainingDiverged | None, evidence: dict[str, Any] | None,
    point: str | None, words: str,
) -> None:  # fmt: skip
    run = part.run
    seen: dict[str, Any] = dict(evidence or {})
    if error is not None:
        seen = {"guard": error.what, "own_step": part.attempt.own}
        if made.then != "fail":
            run.event("guard", error.message(), step=run.step)
        message = guard_words(made, part.stage, error.what, words)
    else:
        message = gate_words(made, part.stage, seen, words)
    seen.update(begun_again=part.begun_again, point=point)
    if made.rule == "retries":
        seen["max_retries"] = part.stage.max_retries
    run.decide(
        part.stage, part.index, made.rule, made.action, message, seen,
        attempt=part.attempt.number, lr_scale=made.scale,
    )  # fmt: skip


def _note(part: StageRun, error: TrainingDiverged | None, passed: bool | None) -> None:
    """Write down the attempt for the results."""
    attempt = part.attempt
    if error is not None:
        outcome = "guard"
    elif passed is not None:
        outcome = "passed" if passed else "failed"
    else:
        outcome = {"early_stopping": "stopped early"}.get(attempt.ended or "", attempt.ended or "finished")
    part.attempts.append(
        {
            "number": attempt.number, "first_step": attempt.first_step, "last_step": part.run.step,
            "lr_scale": attempt.first_scale, "last_lr_scale": attempt.scale, "outcome": outcome,
            "ended": attempt.ended, "best": attempt.keeper.as_dict(), "seconds": round(attempt.elapsed(), 3),
        }
    )  # fmt: skip
