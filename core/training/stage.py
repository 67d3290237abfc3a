"""A stage of kind ``train``: attempts, and what is decided between them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from core.config import EarlyStopping, Stage
from core.errors import TrainingDiverged
from core.training.attempt import Attempt
from core.training.checkpoints import Loaded, restore_random_state
from core.training.distil.maps import GROUP
from core.training.gates import Decision, better, passes
from core.training.guards import BestKeeper
from core.training.intervals import score_of
from core.training.kinds import StageOutcome
from core.training.session import Scored
from core.training.verdict import conclude

if TYPE_CHECKING:
    from core.training.distil.teaching import Teaching
    from core.training.run import Run

__all__ = ["Evaluated", "StageRun", "run_stage"]

#: With fewer gate rows a gate decides on noise, which is told.
_FEW_ROWS = 100


@dataclass(frozen=True)
class Evaluated:
    """What is told after an evaluation: own step of so many, the stage's metric, all metrics."""

    own: int
    steps: int
    value: float
    metrics: dict[str, float]


def run_stage(run: Run, stage: Stage, index: int) -> StageOutcome:
    """Execute a stage of kind ``train``; its session stays open until the run goes on."""
    part = StageRun(run, stage, index, loaded=run.take_loaded())
    run.current = part
    part.prepare()
    return part.execute()


class StageRun:
    """One execution of one stage.

    Parameters
    ----------
    run
        The run, or a trial.
    stage
        The stage, with the values that it is executed with.
    index
        Its place among the stages that are executed, from 0.
    loaded
        A checkpoint in the middle of this stage, to go on from.
    on_evaluation
        Called after each evaluation; where it returns True the stage ends.
    keep_best
        Keep a copy of the best evaluation's weights in memory.
    """

    def __init__(
        self,
        run: Run,
        stage: Stage,
        index: int,
        *,
        loaded: Loaded | None = None,
        on_evaluation: Callable[[Evaluated], bool] | None = None,
        keep_best: bool = False,
    ):
        self.run, self.stage, self.index = run, stage, index
        self._loaded = loaded
        self._on_evaluation = on_evaluation
        self.best_weights: dict[str, torch.Tensor] | None = None
        self._keep_best = keep_best
        self.ready = False
        self.session = run.open(stage, index, fresh=loaded is None)
        task = self.session.prepared.task
        self.metric = stage.metric or task.primary_metric
        self.gate_metric = self.metric if stage.gate is None else stage.gate.metric or self.metric
        self.has_gate_rows = "gate" in self.session.prepared.encoded
        self.top = max(rate for name, rate in self.session.optimiser.base.items() if name != GROUP)
        self.begun_again = 0
        self.repeating = False
        self.attempts: list[dict[str, Any]] = []
        #: Metrics before the first step, and before the attempt that the gate now judges.
        self.start: dict[str, float] | None = None
        self.began_with: dict[str, float] | None = None
        self.keeper = BestKeeper(self.metric, EarlyStopping())
        #: Metrics, step and restore point of the stage's best evaluation.
        self.best: dict[str, Any] | None = None
        self.gate_seconds = 0.0
        self.seconds = 0.0
        self.gate: dict[str, Any] | None = None
        self.pruned = False
        self.done: StageOutcome | None = None
        self._wrote_start = False
        self._clock = time.monotonic()
        named = run.is_named(stage.name)
        decided = stage.gate is not None or stage.max_retries > 0
        self.points_best = self.has_gate_rows and (decided or named)
        self.points_start = stage.max_retries > 0 or (
            stage.gate is not None and stage.on_fail not in ("continue", "stop")
        )
        self._starts_scored = self.has_gate_rows and decided
        self.attempt = Attempt(self)
        #: What a stage with a teacher does beside its steps, and its state in the checkpoint that it goes on from.
        self.teaching: Teaching | None = None
        self._taught: dict[str, Any] | None = None

    # ---- beginning -------------------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Tell the beginning, or go on from a checkpoint; then fill the caches."""
        run = self.run
        if self._loaded is None:
            self._announce()
        else:
            self._resume(self._loaded)
        run.fill_caches(self.session)
        self._begin_teaching()
        self.ready = True
        self._clock = time.monotonic()
        run.start_clock()
        self.attempt.begin()
        left = self.session.prepared.steps - self.attempt.own + run.later_steps(self.index)
        run.context.progress(
            step=run.step, total_steps=run.step + left, choices=run.choices, best=run.best_dict(), stage=self.index,
            stage_name=self.stage.name, stages=len(run.active), attempt=self.attempt.number,
        )  # fmt: skip

    def _begin_teaching(self) -> None:
        objective = self.session.engine.objective
        if objective is None or self.run.parent is not None:  # nobody looks at a trial, or changes it
            return
        from core.training.distil.teaching import Teaching

        self.teaching = Teaching(self, objective, self._taught)

    def _announce(self) -> None:
        run, prepared, attempt = self.run, self.session.prepared, self.attempt
        words = f"Stage {self.stage.name}: {prepared.steps} steps."
        if attempt.number > 1:
            left = prepared.steps - attempt.own
            words = f"Stage {self.stage.name}, attempt {attempt.number}: {left} steps, rates × {attempt.scale:.4g}."
        elif self.stage.budget_s is not None:
            words += f" How far it gets in {self.stage.budget_s:g} s depends on this machine's speed."
        run.event(
            "stage", words, step=run.step,
            data={"name": self.stage.name, "kind": self.stage.kind, "index": self.index, "attempt": attempt.number,
                  "steps": prepared.steps, "steps_per_epoch": prepared.steps_per_epoch, "own_step": attempt.own,
                  "first_step": run.step + 1, "lr_scale": attempt.scale},
        )  # fmt: skip
        run.context.progress(attempt=attempt.number)

    def _resume(self, loaded: Loaded) -> None:
        state, prepared = loaded.state["stage"], self.session.prepared
        rows = None if prepared.rows is None else int(prepared.rows.rows.shape[0])
        if state["steps"] != prepared.steps or state["rows"] != rows or state["name"] != self.stage.name:
            raise self.run.does_not_fit()
        if state.get("alike") is not None:
            self.session.alike = [(own, other) for own, other in state["alike"]]
        self.session.put(loaded.tensors, state["row_decay"])
        self.session.optimiser.load_state_tensors(loaded.optimizer)
        self.attempt.load_state_dict(state["attempt"])
        self.attempt.load_rest_dict(state["rest"])
        self.begun_again, self.repeating = state["begun_again"], state["repeating"]
        self.attempts, self.start, self.began_with = state["attempts"], state["start"], state["began_with"]
        self.keeper.load_state_dict(state["keeper"])
        self.best, self.gate = state["best"], state["gate"]
        self.gate_seconds, self.seconds = state["gate_seconds"], state["seconds"]
        self._taught = state.get("teaching")
        self.session.load_state_dict(state.get("session") or {})
        if state["done"] is not None:
            self.done = StageOutcome(**state["done"])
        restore_random_state(loaded.random, loaded.state["random"])
        self.run.event("info", f"Resumed at step {self.run.step}.", step=self.run.step)

    def state_dict(self) -> dict[str, Any]:
        """Return everything that an exact resume needs beside tensors, as plain data."""
        rows = self.session.prepared.rows
        done = None if self.done is None else vars(self.done)
        return {
            "name": self.stage.name, "steps": self.session.prepared.steps, "row_decay": self.session.row_decay,
            "rows": None if rows is None else int(rows.rows.shape[0]),
            "attempt": self.attempt.state_dict(), "rest": self.attempt.rest_dict(),
            "begun_again": self.begun_again, "repeating": self.repeating, "attempts": self.attempts,
            "start": self.start, "began_with": self.began_with, "keeper": self.keeper.state_dict(),
            "best": self.best, "gate": self.gate, "gate_seconds": self.gate_seconds, "seconds": self.elapsed(),
            "done": done, "alike": self.session.alike, "session": self.session.state_dict(),
            "teaching": None if self.teaching is None else self.teaching.state_dict(),
        }  # fmt: skip

    def elapsed(self) -> float:
        """Return the seconds of this stage so far, those before a resume included."""
        return self.seconds + time.monotonic() - self._clock if self.ready and self.done is None else self.seconds

    def points(self) -> set[str]:
        """Return the names of the restore points that a decision may still go back to."""
        if self.done is not None:
            return set()
        written = self._wrote_start or self.attempt.own > 0 or self.attempt.number > 1
        found = {self.point("start")} if self.points_start and written else set()
        for best in (self.best, self.attempt.best):
            if best is not None and best.get("point"):
                found.add(best["point"])
        return found

    def point(self, what: str) -> str:
        """Return the name of one of the stage's restore points."""
        return f"{self.index:02d}-{what}"

    # ---- execution -------------------------------------------------------------------------------------------------

    def execute(self) -> StageOutcome:
        """Run attempt after attempt until the stage is over.

        Raises
        ------
        TrainingDiverged
            If a guard holds and nothing is left to be tried.
        """
        while self.done is None:
            error: TrainingDiverged | None = None
            try:
                self._begin()
                self.attempt.steps()
            except TrainingDiverged as found:
                error = found
            conclude(self, error)
        return self.done

    def _begin(self) -> None:
        """Score and keep the weights that the stage begins with, where a decision may need them."""
        if self.attempt.own or self.attempt.number > 1:
            return
        if self._starts_scored and self.start is None:
            self._warn_of_few_rows()
            self.run.phase("evaluating")
            scored = self.score()
            self.start = {name: float(value) for name, value in scored.evaluation.metrics.items()}
            self.began_with = self.start
            words = f"gate/{self.metric} {self.start[self.metric]:.4f} before stage {self.stage.name}."
            self.run.event("eval", words, step=self.run.step, data={**self.start, "before": self.stage.name})
        if self.points_start and not self._wrote_start:
            self._wrote_start = True
            self._write_point(self.point("start"))

    def _warn_of_few_rows(self) -> None:
        rows = len(self.session.prepared.roles.gate)
        if self.stage.gate is not None and rows < _FEW_ROWS:
            self.run.event(
                "warning", f"The gate of {self.stage.name} decides on {rows} rows only: a share of one half has a 95 % "
                f"interval of ± {100 * 0.98 / math.sqrt(rows):.0f} points.", step=self.run.step, data={"rows": rows},
            )  # fmt: skip

    def score(self) -> Scored:
        """Evaluate the weights as they are on the gate rows, with intervals where the gate needs them."""
        gate = self.stage.gate
        details = gate is not None and gate.rule == "lower" and self.gate_metric != "accuracy"
        scored = self.session.score(details=details, check=self.run.check)
        self.gate_seconds += scored.seconds
        return scored

    def gate_seen(self, scored: Scored) -> dict[str, Any] | None:
        """Return the gate's evidence on an evaluation, with ``passed``; None without a gate."""
        gate = self.stage.gate
        if gate is None:
            return None
        score = score_of(scored.evaluation, self.gate_metric, len(self.session.prepared.roles.gate))
        reference = self.reference()
        return {
            "metric": f"gate/{self.gate_metric}", **score.as_dict(), "reference": reference,
            "against": gate.reference if isinstance(gate.reference, str) else "number", "min_delta": gate.min_delta,
            "rule": gate.rule, "rows": score.rows, "step": self.run.step,
            "passed": passes(gate, score, reference, self.gate_metric),
        }  # fmt: skip

    def reference(self) -> float | None:
        """Return what the gate compares with."""
        gate = self.stage.gate
        assert gate is not None
        if gate.reference == "start":
            return None if self.began_with is None else self.began_with[self.gate_metric]
        return self.majority(self.gate_metric) if gate.reference == "majority" else float(gate.reference)

    def majority(self, metric: str) -> float | None:
        """Return what a method without a model scores on the gate rows."""
        known = self.run.majorities
        if metric not in known:
            known[metric] = self.session.majority(metric)
        return known[metric]

    def above_majority(self, value: float, metric: str | None = None) -> bool:
        """Return whether a value of the stage's metric is better than the majority's; True where that has none."""
        metric = metric or self.metric
        other = self.majority(metric)
        return other is None or better(value, other, metric)

    def evaluated(self, scored: Scored, metrics: dict[str, float], value: float, *, improved: bool) -> None:
        """Keep what an evaluation gives reason to keep, and tell whoever wants to know."""
        run, attempt = self.run, self.attempt
        is_best = self.keeper.observe(run.step, value)
        if is_best:
            self.best = {**(attempt.best or {}), "attempt": attempt.number}
        differs = self.stage.gate is not None and self.gate_metric != self.metric
        if self.points_best and (is_best or (improved and differs)):
            name = self.point(f"best-{run.step:08d}")
            for best in (self.best if is_best else None, attempt.best):
                if best is not None:
                    best["point"] = name
            self._write_point(name, optimizer=self.stage.max_retries > 0)
        if is_best and self._keep_best:
            self.best_weights = self.session.weights.take()
        run.offer(metrics, self.index)
        if self._on_evaluation is not None:
            told = Evaluated(attempt.own, self.session.prepared.steps, value, metrics)
            if self._on_evaluation(told):
                self.pruned, attempt.ended = True, "pruned"

    def tell(self, rule: str, action: str, message: str, evidence: dict[str, Any]) -> None:
        """Record a decision of the attempt that is going on."""
        self.run.decide(
            self.stage, self.index, rule, action, message, evidence,
            attempt=self.attempt.number, lr_scale=self.attempt.scale,
        )  # fmt: skip

    # ---- restore points --------------------------------------------------------------------------------------------

    def _write_point(self, name: str, *, optimizer: bool = True) -> None:
        session = self.session
        self.run.points.write(
            name, self.run.step, session.trained(), session.optimiser.state_tensors() if optimizer else {},
            {"attempt": self.attempt.state_dict(), "row_decay": session.row_decay},
        )  # fmt: skip
        self.run.points.keep(self.run.needed_points())

    def restore(self, name: str, *, whole: bool) -> None:
        """Go back to a restore point: its weights, and with `whole` everything else, bit for bit."""
        point = self.run.points.load(name, self.session.prepared.device)
        self.session.put(point.tensors, point.state["row_decay"])
        if whole:
            self.session.optimiser.load_state_tensors(point.optimizer)
            self.attempt.load_state_dict(point.state["attempt"])
            restore_random_state(point.random, point.state["random"])

    def back(self) -> tuple[str | None, str]:
        """Return the restore point worth going back to, and its name in words.

        That is the stage's best evaluation, unless nothing had been learnt by then: it must be better than the start
        and than the majority.
        """
        best = self.best
        if best is not None and best.get("point"):
            value = best["value"]
            start = None if self.start is None else self.start[self.metric]
            if (start is None or better(value, start, self.metric)) and self.above_majority(value):
                return best["point"], f"its best weights (step {best['step']})"
        return (self.point("start") if self.points_start else None), "its start"

    def _keep_for_later(self) -> None:
        """Write the weights of the best evaluation as a point from which a later stage can begin."""
        now = {name: tensor.clone() for name, tensor in self.session.trained().items()}
        decay = self.session.row_decay
        if self.best is not None and self.best.get("point"):
            self.restore(self.best["point"], whole=False)
        else:
            self.run.event(
                "warning", f"No evaluation of {self.stage.name} gave a number: its last weights are kept for the "
                "stages that begin with its best ones.", step=self.run.step,
            )  # fmt: skip
        self.run.write_kept(self.stage.name, self.index)
        self.session.put(now, decay)

    # ---- what follows an attempt -----------------------------------------------------------------------------------

    def again(self, made: Decision, point: str | None) -> None:
        """Begin another attempt."""
        before = self.attempt
        self.begun_again += 1
        self.repeating = made.action == "repeat"
        if self.repeating:
            promoted = before.last if before.ended == "passed" else before.best
            assert promoted is not None
            self.began_with = promoted["metrics"]
        self.attempt = Attempt(self, before.number + 1, made.scale)
        if point is not None:
            self.restore(point, whole=made.whole)
        if not made.whole:
            self.session.optimiser.load_state_tensors({})
        self.run.points.keep(self.run.needed_points())
        self._announce()

    def over(self, outcome: str, *, stop: bool) -> None:
        """Note that the stage is over; the weights are those that it leaves."""
        self.seconds = self.elapsed()
        start = None if self.start is None else {"metric": f"gate/{self.metric}", "value": self.start[self.metric]}
        self.run.stopped_early = self.attempt.ended == "early_stopping"
        if self.run.is_named(self.stage.name):
            self._keep_for_later()
        entry = {
            "attempts": self.attempts, "best": self.keeper.as_dict(), "start": start, "gate": self.gate,
            "seconds": round(self.seconds, 3), "gate_seconds": round(self.gate_seconds, 3),
        }  # fmt: skip
        self.done = StageOutcome(outcome, entry, stop=stop)
        self.run.points.keep(self.run.needed_points())

    def close(self) -> None:
        """Give the model back."""
        self.session.close()
