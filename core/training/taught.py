"""What teachers add to the estimate of a plan: their answers, their own scores, and whether they run in every step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from core.training.distil.rehearsal import Rehearsal
    from core.training.session import Session

__all__ = ["rehearsed", "teacher_of_stage", "teacher_of_whole"]


def rehearsed(session: Session, where: str, cache: Path) -> Rehearsal | None:
    """Let the steps of a distillation cost what they will, and return what its teachers do; None of other stages."""
    if session.stage.kind != "distil":
        return None
    from core.training.distil.rehearsal import rehearse

    return rehearse(session.engine, cache, where=where, maps=session.maps)


def teacher_of_stage(taught: Rehearsal | None, gate: int) -> dict[str, Any] | None:
    """Return what teachers cost before a stage's first step: their answers, and their own score on gate.

    Parameters
    ----------
    taught
        What was measured of them.
    gate
        Sub-words of the gate rows.
    """
    if taught is None:
        return None
    return {
        "answering_s": round(taught.answering, 4), "scoring_s": round(taught.scoring * gate, 2),
        "every_step": taught.every_step,
    }  # fmt: skip


def teacher_of_whole(
    stages: Sequence[Mapping[str, Any]], measured: Iterable[Rehearsal | None], tokens: int
) -> dict[str, Any]:
    """Return what teachers take of a whole plan; at its end those of all stages are scored once more.

    Parameters
    ----------
    stages
        Estimates of the stages.
    measured
        What was measured of the teachers of each.
    tokens
        Sub-words of the rows that they are scored on at the end.
    """
    found = [stage["teacher"] for stage in stages if stage["teacher"]]
    last = max((one.scoring for one in measured if one is not None), default=0.0) * tokens
    return {
        "answering_s": round(sum(one["answering_s"] for one in found), 4),
        "scoring_s": round(sum(one["scoring_s"] for one in found) + last, 2),
        "every_step": any(one["every_step"] for one in found),
    }
