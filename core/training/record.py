"""What a run tells and writes down: words, decisions, its clock, its best evaluation, what each stage left."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

from core.config import Plan, Stage
from core.training.best import BestModel
from core.training.context import RunContext
from core.training.decisions import decision
from core.training.guards import BestKeeper
from core.training.kinds import StageOutcome

__all__ = ["Record"]


class Record:
    """One execution of one plan, as far as others hear of it.

    Parameters
    ----------
    plan
        The plan.
    context
        Where numbers, events and files go.
    """

    def __init__(self, plan: Plan, context: RunContext):
        self.plan = plan
        self.context = context
        self.active = plan.active
        self.folder = Path(context.folder)
        self.step = 0
        #: The stage that is executed, from 0; as many as there are stages when all are over.
        self.index = 0
        self.entries: list[dict[str, Any]] = []
        self.decisions: list[dict[str, Any]] = []
        self.planned: list[int] = []
        self.stopped_early = False
        self.ended = False
        self.seconds = 0.0
        self.outcome: StageOutcome | None = None
        self.keeper: BestKeeper | None = None
        self.best: BestModel | None = None
        self.best_index: int | None = None
        self._clock: float | None = None

    # ---- words -----------------------------------------------------------------------------------------------------

    def event(self, kind: str, message: str, *, step: int | None = None, data: dict[str, Any] | None = None) -> None:
        """Tell an event."""
        self.context.event(kind, message, step=step, data=data)

    def phase(self, name: str) -> None:
        """Tell what is being done."""
        self.context.progress(phase=name)

    def decide(
        self,
        stage: Stage,
        index: int,
        rule: str,
        action: str,
        message: str,
        evidence: dict[str, Any],
        *,
        attempt: int = 1,
        lr_scale: float = 1.0,
    ) -> None:
        """Record a decision: an event, and a line in results.json."""
        made = decision(
            len(self.decisions) + 1, stage, index, attempt=attempt, rule=rule, action=action, evidence=evidence,
            lr_scale=lr_scale, step=self.step,
        )  # fmt: skip
        self.decisions.append({**made, "message": message})
        self.event("decision", message, step=self.step, data=made)

    # ---- steps and seconds -----------------------------------------------------------------------------------------

    def planned_steps(self) -> int:
        """Return the optimiser steps if every stage runs once and to its end."""
        return sum(self.planned)

    def later_steps(self, index: int) -> int:
        """Return the planned steps of the stages after one."""
        return sum(self.planned[index + 1 :])

    def elapsed(self) -> float:
        """Return the seconds of training so far, resumes included."""
        return self.seconds if self._clock is None else self.seconds + time.monotonic() - self._clock

    def start_clock(self) -> None:
        """Count seconds from the first step on."""
        if self._clock is None:
            self._clock = time.monotonic()

    # ---- what came of it -------------------------------------------------------------------------------------------

    def offer(self, metrics: dict[str, float], index: int) -> None:
        """Take one evaluation of the weights as they are; keep them if it is the run's best."""
        if self.keeper is None or self.best is None:
            return
        value = metrics[self.keeper.metric] if math.isfinite(metrics["loss"]) else math.nan
        if not self.keeper.observe(self.step, value):
            return
        named = {f"gate/{name}": float(number) for name, number in metrics.items()}
        message = f"Best so far: gate/{self.keeper.metric} {value:.4f}."
        self.event("best", message, step=self.step, data=named)
        self.best_index = index
        self.best.keep(named, self.step)
        self.context.progress(best=self.best_dict())

    def best_dict(self) -> dict[str, Any] | None:
        """Return metric, value and step of the run's best evaluation."""
        return None if self.keeper is None else self.keeper.as_dict()

    def all_entries(self) -> list[dict[str, Any]]:
        """Return what results.json says of every executed stage."""
        if self.outcome is None:
            return self.entries
        return [*self.entries, self.entry_of(self.outcome, self.active[self.index])]

    def entry_of(self, outcome: StageOutcome, stage: Stage) -> dict[str, Any]:
        """Return what results.json says of the stage that is executed."""
        empty: dict[str, Any] = {
            "attempts": [], "best": None, "start": None, "gate": None, "seconds": None, "gate_seconds": 0.0,
            "suggestion": outcome.suggestion, "search": None,
        }  # fmt: skip
        head = {"name": stage.name, "kind": stage.kind, "index": self.index, "outcome": outcome.outcome}
        return {**head, **empty, **outcome.entry}
