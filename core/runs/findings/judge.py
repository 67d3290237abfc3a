"""All findings of a run, the gravest first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from core.config import Plan
from core.runs.findings import curves, resources, scores
from core.runs.findings.types import Finding, Recorded, Remedy, Segment

__all__ = ["RULES", "findings"]

_OF_A_STAGE: tuple[Callable[[Segment], Iterator[Finding]], ...] = (
    curves.diverged,
    curves.rate_too_low,
    scores.one_class,
    curves.overfitting,
    curves.warm_up_too_short,
    curves.plateau,
    curves.clipped,
    resources.evaluation_dominates,
)
_OF_A_RUN: tuple[Callable[[Recorded], Iterator[Finding]], ...] = (
    scores.gate_not_reached,
    scores.at_baseline,
    scores.guard_held,
    resources.memory_near_limit,
    resources.labels_missing,
    resources.texts_cut,
)
#: Names of all findings.
RULES: tuple[str, ...] = tuple(rule.__name__ for rule in (*_OF_A_STAGE, *_OF_A_RUN))
_RANK = {"problem": 0, "warning": 1, "note": 2}


def findings(run: Recorded) -> list[Finding]:
    """Return what happened in a run and what to do about it, the gravest first.

    Of each stage the curves of its last attempt are judged: what was rolled back is told by the guard that did it.
    Remedies that would not make another valid plan are left out.
    """
    last = {segment.index: segment for segment in run.segments() if segment.stage.trains}
    of_stages = [one for segment in last.values() for rule in _OF_A_STAGE for one in rule(segment)]
    of_run = [one for rule in _OF_A_RUN for one in rule(run)]
    every = [replace(one, remedies=_usable(one.remedies, run.plan)) for one in (*of_stages, *of_run)]
    codes = {one.code for one in every}
    if "diverged" in codes:  # what follows from it is no finding of its own
        every = [one for one in every if one.code not in ("warm_up_too_short", "plateau", "clipped")]
    return sorted(every, key=lambda one: _RANK[one.severity])


def _usable(cures: tuple[Remedy, ...], plan: Plan) -> tuple[Remedy, ...]:
    kept = []
    for cure in cures:
        try:
            made = cure.plan(plan)
        except ValueError:
            continue
        if made.model_copy(update={"name": plan.name}) != plan:
            kept.append(cure)
    return tuple(kept)
