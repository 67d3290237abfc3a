"""What findings are made of, and what they look like."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from core.config import Plan, Stage
from core.data.tasks.dependency_scores import metrics_of

__all__ = ["Evidence", "Finding", "Points", "Recorded", "Remedy", "Segment", "Severity"]

Severity = Literal["problem", "warning", "note"]


@dataclass(frozen=True)
class Points:
    """One series: steps, values (NaN where they are no numbers) and times in seconds, all of shape (points,)."""

    steps: np.ndarray
    values: np.ndarray
    times: np.ndarray

    @classmethod
    def of(cls, steps: Sequence[int], values: Sequence[float | None], times: Sequence[float] | None = None) -> Points:
        """Make a series from lists; without times they are all NaN."""
        numbers = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
        moments = np.full(len(numbers), np.nan) if times is None else np.asarray(times, dtype=np.float64)
        return cls(np.asarray(steps, dtype=np.int64), numbers, moments)

    def between(self, first: int, last: int) -> Points:
        """Return the points of the steps first … last."""
        kept = (self.steps >= first) & (self.steps <= last)
        return Points(self.steps[kept], self.values[kept], self.times[kept])

    def finite(self) -> Points:
        """Return the points whose values are numbers."""
        kept = np.isfinite(self.values)
        return Points(self.steps[kept], self.values[kept], self.times[kept])

    def __len__(self) -> int:
        return len(self.steps)


EMPTY = Points.of([], [])


@dataclass(frozen=True)
class Recorded:
    """What is known of a run, finished or not.

    Parameters
    ----------
    plan
        Its plan.
    status
        Its status, e.g. ``running`` or ``failed``.
    series
        Name → points.
    events
        Dictionaries with ``kind``, ``message``, ``step``, ``data``.
    results, data_report, error
        As stored; ``None`` while there are none.
    memory_limit_mb
        Memory that the run may use; ``None`` if nobody knows.
    reduced
        Whether long series were reduced to their lows and highs before they came here.
    """

    plan: Plan
    status: str
    series: Mapping[str, Points] = field(default_factory=dict)
    events: Sequence[Mapping[str, Any]] = ()
    results: Mapping[str, Any] | None = None
    data_report: Mapping[str, Any] | None = None
    error: Mapping[str, Any] | None = None
    memory_limit_mb: float | None = None
    reduced: bool = False

    def points(self, name: str) -> Points:
        """Return a series; an empty one if it was not recorded."""
        return self.series.get(name, EMPTY)

    @property
    def last_step(self) -> int:
        """The last step with a point."""
        return max((int(one.steps[-1]) for one in self.series.values() if len(one)), default=0)

    def segments(self) -> list[Segment]:
        """Return the attempts of the stages in order; without events of their beginnings, the run is one of them."""
        names = [stage.name for stage in self.plan.stages]
        begun = []
        for event in self.events:
            name = (event.get("data") or {}).get("name")
            if event.get("kind") == "stage" and name in names:
                begun.append((names.index(name), int(event.get("step") or 0)))
        if not begun:
            begun = [(names.index(self.plan.active[0].name), 0)]
        ends = [first for _, first in begun[1:]] + [self.last_step]
        return [
            Segment(self, index, first + 1, end)
            for (index, first), end in zip(begun, ends, strict=True)
            if end > first or len(begun) == 1
        ]


@dataclass(frozen=True)
class Segment:
    """One attempt of one stage.

    Parameters
    ----------
    run
        The run.
    index
        The stage's place in the plan.
    first, last
        Its steps.
    """

    run: Recorded
    index: int
    first: int
    last: int

    @property
    def stage(self) -> Stage:
        """The stage."""
        return self.run.plan.stages[self.index]

    @property
    def metric(self) -> str:
        """The gate metric that picks the best evaluation, without ``gate/``."""
        if self.stage.metric:
            return self.stage.metric
        task = self.run.plan.task
        if task.kind == "question_answering":
            return "f1"
        if task.kind == "dependency":
            return metrics_of(task)[0]
        if task.gold == "spans":
            return "span_f1"
        return "strict_f1" if task.kind == "tagging" else "micro_f1" if task.multi_label else "accuracy"

    @property
    def head_only(self) -> bool:
        """Whether nothing but the head is trained."""
        return self.stage.freeze_encoder

    @property
    def where(self) -> str:
        """Words that name the stage where a plan has several."""
        return f" in stage {self.stage.name}" if len(self.run.plan.active) > 1 else ""

    @property
    def complete(self) -> bool:
        """Whether the attempt has ended: the run has, or another one began after it."""
        return self.last < self.run.last_step or self.run.status not in ("running", "pausing", "starting", "paused")

    def points(self, name: str) -> Points:
        """Return the finite points of a series within the segment."""
        return self.run.points(name).between(self.first, self.last).finite()

    def highest_rate(self) -> tuple[str, float] | None:
        """Return group and value of the highest learning rate that was used."""
        best: tuple[str, float] | None = None
        for name in self.run.series:
            values = self.points(name).values if name.startswith("lr/") else ()
            if len(values) and (best is None or float(np.max(values)) > best[1]):
                best = (name.removeprefix("lr/"), float(np.max(values)))
        return best


@dataclass(frozen=True)
class Evidence:
    """Where to look: series and steps."""

    series: tuple[str, ...]
    first_step: int | None = None
    last_step: int | None = None


@dataclass(frozen=True)
class Remedy:
    """A changed plan to try.

    Parameters
    ----------
    label
        What it does, short enough for a button.
    change
        Makes the new plan from the run's.
    """

    label: str
    change: Callable[[Plan], Plan]

    def plan(self, plan: Plan) -> Plan:
        """Return the new plan, named after what was changed.

        Raises
        ------
        ValueError
            If the changed plan is not valid.
        """
        return self.change(plan).model_copy(update={"name": f"{plan.name[:70]} · {self.label[:45].lower()}"})


@dataclass(frozen=True)
class Finding:
    """One thing that happened.

    Parameters
    ----------
    code
        A word for programs, such as ``overfitting``.
    severity
        problem: the run is not what was wanted; warning: it could be better; note: good to know.
    message
        A sentence with its numbers.
    advice
        What to do, in words.
    evidence
        Where it can be seen.
    remedies
        Plans to try instead.
    """

    code: str
    severity: Severity
    message: str
    advice: str = ""
    evidence: Evidence = field(default_factory=lambda: Evidence(()))
    remedies: tuple[Remedy, ...] = ()

    def as_dict(self, plan: Plan) -> dict[str, Any]:
        """Return plain data; remedies as the keys of the plan that they change."""
        from core.runs.findings.remedies import changes

        return {
            "code": self.code, "severity": self.severity, "message": self.message, "advice": self.advice,
            "evidence": {
                "series": list(self.evidence.series), "first_step": self.evidence.first_step,
                "last_step": self.evidence.last_step,
            },
            "remedies": [
                {"label": one.label, "changes": changes(plan, one.plan(plan))} for one in self.remedies
            ],
        }  # fmt: skip
