"""A stage of kind ``train``: attempts, and what is decided between them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from core.config import EarlyStopping, Stage
from core.errors import TrainingDiverged
from core.training.attempt import Attempt
from core.training.checkpoints import Loaded
from core.training.distil.maps import GROUP
from core.training.gates import Decision
from core.training.guards import BestKeeper
from core.training.kinds import StageOutcome
from core.training.pointing import PointerLooks
from core.training.returning import Returning
from core.training.session import Scored
from core.training.state import resume_stage
from core.training.verdict import conclude

if TYPE_CHECKING:
    from core.training.distil.teaching import Teaching
    from core.training.joint.teaching import JointTeaching
    from core.training.run import Run

__all__ = ["Evaluated", "StageRun", "run_stage"]


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


class StageRun(Returning):
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
        super().__init__(run, stage, index, run.open(stage, index, fresh=loaded is None))
        self._loaded = loaded
        self._on_evaluation = on_evaluation
        self.best_weights: dict[str, torch.Tensor] | None = None
        self._keep_best = keep_best
        self.ready = False
        self.top = max(rate for name, rate in self.session.optimiser.base.items() if not name.startswith(GROUP))
        self.begun_again = 0
        self.repeating = False
        self.attempts: list[dict[str, Any]] = []
        self.keeper = BestKeeper(self.metric, EarlyStopping())
        self.seconds = 0.0
        self.gate: dict[str, Any] | None = None
        self.pruned = False
        self._clock = time.monotonic()
        self.attempt = Attempt(self)
        #: What a stage with a teacher does beside its steps, and its state in the checkpoint that it goes on from.
        self.teaching: Teaching | JointTeaching | None = None
        self.taught: dict[str, Any] | None = None
        #: Looks at where a head points, for whoever wants to see it.
        self.pointing: PointerLooks | None = None

    # ---- beginning -------------------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Tell the beginning, or go on from a checkpoint; then fill the caches."""
        run = self.run
        if self._loaded is None:
            self._announce()
        else:
            resume_stage(self, self._loaded)
        run.fill_caches(self.session)
        self._begin_teaching()
        self._begin_pointing()
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
        if self.run.parent is None:  # nobody looks at a trial, or changes it
            self.teaching = self.session.teaching(self, self.taught)

    def _begin_pointing(self) -> None:
        if self.run.parent is not None:
            return
        begins = self.attempt.own == 0 and self.attempt.number == 1
        self.pointing = PointerLooks(
            self.session, self.run.folder, self.index, step=self.run.step, fresh=begins, event=self.run.event
        )
        if begins and self.has_gate_rows:
            self.pointing.look(self.run.step)

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

    def elapsed(self) -> float:
        """Return the seconds of this stage so far, those before a resume included."""
        return self.seconds + time.monotonic() - self._clock if self.ready and self.done is None else self.seconds

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
        if self.decided and self.has_gate_rows and self.start is None:
            self.score_start()
        if self.points_start and not self._wrote_start:
            self._wrote_start = True
            self._write_point(self.point("start"))

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
