"""One attempt at a stage: its steps and evaluations, until it is over or a guard holds."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

from core.errors import TrainingDiverged
from core.training.device import memory_mb
from core.training.gates import GateWatch, Raising, capped
from core.training.guards import BestKeeper, SingleClassGuard, judge_entropy
from core.training.schedules import Plateau, rate_function
from core.training.session import Scored
from core.training.window import Window

if TYPE_CHECKING:
    from core.training.stage import StageRun

__all__ = ["Attempt"]

_PROGRESS_S = 0.25


class Attempt:
    """Steps and evaluations of one attempt.

    What :meth:`state_dict` returns goes back with a roll-back; scale, seconds and reason of the end do not.

    Parameters
    ----------
    owner
        The stage.
    number
        Which attempt, from 1.
    scale
        What the rates are multiplied by.
    """

    def __init__(self, owner: StageRun, number: int = 1, scale: float = 1.0):
        stage = owner.stage
        self.owner = owner
        self.number = number
        self.scale = scale
        self.first_scale = scale
        self.first_step = owner.run.step + 1
        #: Optimiser steps within the stage, position in the data, own steps of the last evaluation and the last look.
        self.own = self.epoch = self.position = self.evaluated = self.looked = 0
        self.rates = dict(owner.session.optimiser.base)
        self.keeper = BestKeeper(owner.metric, stage.early_stopping)
        #: Value, step, metrics, gate and restore point of the attempt's best evaluation, and of its last one.
        self.best: dict[str, Any] | None = None
        self.last: dict[str, Any] | None = None
        on_plateau = stage.schedule.name == "reduce_lr_on_plateau"
        self.plateau = Plateau.from_config(stage.schedule, maximise=self.keeper.maximise) if on_plateau else None
        self.loss_guard = owner.session.loss_guard(stage.guards)
        self.class_guard = SingleClassGuard(stage.guards.single_class)
        self.raising = Raising(stage.raise_if) if stage.raise_if is not None else None
        self.watch = GateWatch(stage.gate) if stage.gate is not None else None
        #: Why it is over before its last step: early_stopping, budget, passed, patience, pruned.
        self.ended: str | None = None
        self.seconds = 0.0
        self.window = Window()
        self._clock = time.monotonic()
        self._first = 0
        self._in_epoch = 1
        self._told = 0.0

    # ---- state -----------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Return what a roll-back puts back beside weights and optimiser, as plain data."""
        return {
            "own": self.own, "epoch": self.epoch, "position": self.position, "evaluated": self.evaluated,
            "looked": self.looked, "rates": self.rates, "keeper": self.keeper.state_dict(), "best": self.best,
            "last": self.last, "loss_guard": self.loss_guard.state_dict(), "class_guard": self.class_guard.state_dict(),
            "plateau": None if self.plateau is None else dict(self.plateau.state),
            "raising": None if self.raising is None else self.raising.state_dict(),
            "waited": None if self.watch is None else self.watch.waited,
        }  # fmt: skip

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take what :meth:`state_dict` returned."""
        self.own, self.epoch, self.position = state["own"], state["epoch"], state["position"]
        self.evaluated, self.looked = state["evaluated"], state["looked"]
        self.rates, self.best, self.last = dict(state["rates"]), state["best"], state["last"]
        self.keeper.load_state_dict(state["keeper"])
        self.loss_guard.load_state_dict(state["loss_guard"])
        self.class_guard.load_state_dict(state["class_guard"])
        if self.plateau is not None:
            self.plateau.state = dict(state["plateau"] or {})
        if self.raising is not None:
            self.raising.load_state_dict(state["raising"])
        if self.watch is not None:
            self.watch.waited = state["waited"]

    def rest_dict(self) -> dict[str, Any]:
        """Return what a checkpoint holds of the attempt beside :meth:`state_dict`."""
        return {
            "number": self.number, "scale": self.scale, "first_scale": self.first_scale,
            "first_step": self.first_step, "ended": self.ended, "seconds": self.elapsed(),
            "window": self.window.steps,
        }  # fmt: skip

    def load_rest_dict(self, state: dict[str, Any]) -> None:
        """Take what :meth:`rest_dict` returned."""
        self.number, self.scale, self.first_scale = state["number"], state["scale"], state["first_scale"]
        self.first_step, self.ended, self.seconds = state["first_step"], state["ended"], state["seconds"]
        self.window.steps = state["window"]

    def begin(self) -> None:
        """Start the clock."""
        self._clock, self._first = time.monotonic(), self.own

    def elapsed(self) -> float:
        """Return the seconds of this attempt so far, those before a resume included."""
        return self.seconds + time.monotonic() - self._clock

    # ---- steps -----------------------------------------------------------------------------------------------------

    def steps(self) -> None:
        """Train until the stage's last step, or until something ends the attempt.

        Raises
        ------
        TrainingDiverged
            If a guard holds.
        """
        owner, stage = self.owner, self.owner.stage
        run, total = owner.run, owner.session.prepared.steps
        self.begin()
        run.phase("training")
        if self.own and self.evaluated < self.own and self._evaluation_due():
            self._evaluate()  # a request or a crash came between the step and its evaluation
        self._look()
        stream = owner.session.batches(self.epoch, self.position)
        rate = rate_function(stage.schedule, total, stage.lr)
        while self.own < total and self.ended is None:
            if owner.teaching is not None:
                owner.teaching.before_step()
            run.check()
            epoch, index, in_epoch, batch = next(stream)
            seconds = self._one_step(batch, rate(self.own + 1))
            self.epoch, self.position = (epoch, index + 1) if index + 1 < in_epoch else (epoch + 1, 0)
            self._in_epoch = in_epoch
            self._log()
            if self._evaluation_due():
                self._evaluate()
            self._look()
            if stage.budget_s is not None and self.ended is None and self.own < total:
                self._spend(stage.budget_s)
            if owner.teaching is not None:
                owner.teaching.after_step(seconds)
            run.after_step()
        if self.ended == "budget" and self.evaluated < self.own and owner.has_gate_rows:
            self._evaluate()
        self._log(force=True)

    def _one_step(self, batch: Any, factor: float) -> float:
        owner = self.owner
        rates = {name: base * factor * self.scale for name, base in self.rates.items()}
        taken = owner.session.step(batch, self.own + 1, rates)
        self.own += 1
        owner.run.step += 1
        self.window.add(
            taken.loss, taken.norm, step=owner.run.step, examples=taken.examples, tokens=taken.tokens, rates=rates,
            seconds=taken.seconds, told=taken.told,
        )  # fmt: skip
        return taken.seconds

    def _log(self, *, force: bool = False) -> None:
        run = self.owner.run
        if self.window.steps and (force or run.step % run.plan.runtime.log_every == 0):
            self.judge()
            self._tell(self.record())

    def judge(self) -> None:
        """Let the guard see every step before an evaluation, a checkpoint or the best model is made of it."""
        for item in self.window.unjudged():
            if self.raising is not None:
                self.raising.observe(item["loss"], item["norm"])
            try:
                self.loss_guard.observe(item["step"], item["loss"], item["norm"])
            except TrainingDiverged:
                self.record()  # the step that went wrong belongs on the curve
                raise

    def record(self) -> float:
        """Record the window's means and return the examples per second."""
        run = self.owner.run
        values = self.window.close()
        values["train/memory_mb"] = memory_mb(run.material.device)
        if self.owner.teaching is not None:
            values.update(self.owner.teaching.series())
        run.context.metrics(run.step, values)
        return values["train/examples_per_s"]

    def _tell(self, examples_per_s: float) -> None:
        now, run = time.monotonic(), self.owner.run
        total = self.owner.session.prepared.steps
        if now - self._told < _PROGRESS_S and self.own < total:
            return
        self._told = now
        left = total - self.own + run.later_steps(self.owner.index)
        run.context.progress(
            phase="training", step=run.step, total_steps=run.step + left,
            epoch=round(self.epoch + self.position / max(1, self._in_epoch), 4),
            eta_s=round(self._seconds_left(now, total - self.own), 1), examples_per_s=round(examples_per_s, 1),
        )  # fmt: skip

    def _seconds_left(self, now: float, steps: int) -> float:
        """Return the seconds that are left by steps as fast as those so far; a stage takes no more than its budget."""
        run, index, budget = self.owner.run, self.owner.index, self.owner.stage.budget_s
        pace = (now - self._clock) / max(1, self.own - self._first)
        left = [(steps, None if budget is None else max(0.0, budget - self.elapsed()))]
        # A trial of a search has planned no other stage: what comes after it is not its time.
        later = zip(run.planned[index + 1 :], run.active[index + 1 :], strict=False)
        left += [(planned, stage.budget_s) for planned, stage in later]
        return sum(pace * number if most is None else min(pace * number, most) for number, most in left)

    def _spend(self, budget: float) -> None:
        seconds = self.elapsed()
        if seconds <= budget:
            return
        self.ended = "budget"
        self.owner.tell(
            "budget", "stop", f"Stage {self.owner.stage.name} ends: its budget of {budget:g} s is used up.",
            {"seconds": round(seconds, 2), "budget_s": budget, "own_step": self.own},
        )  # fmt: skip

    def _look(self) -> None:
        """Raise the rates where loss and gradient allow it, every so many steps."""
        raising, owner = self.raising, self.owner
        if raising is None or self.ended is not None or self.looked == self.own or not self.own:
            return
        if self.own % raising.config.every or self.own >= owner.session.prepared.steps:
            return
        self.judge()
        self.looked = self.own
        evidence = raising.look()
        if evidence is None:
            return
        scale = capped(self.scale * raising.config.factor, owner.stage, owner.top)
        if scale <= self.scale:
            return
        self.scale = scale
        owner.tell(
            "raise_if", "raise",
            f"The loss fell by {100 * evidence['fall']:.1f} % and the gradient is steady: the rates are raised, "
            f"the highest to {owner.top * scale:.3g}.",
            {**evidence, "own_step": self.own, "lr": owner.top * scale},
        )  # fmt: skip

    # ---- evaluation ------------------------------------------------------------------------------------------------

    def _evaluation_due(self) -> bool:
        if not self.owner.has_gate_rows:
            return False
        every = self.owner.stage.eval_every
        regular = self.own % every == 0 if every is not None else self.position == 0
        return regular or self.own == self.owner.session.prepared.steps

    def _evaluate(self) -> None:
        self.judge()
        owner, run = self.owner, self.owner.run
        step = run.step
        run.phase("evaluating")
        scored = owner.score()
        metrics = {name: float(number) for name, number in scored.evaluation.metrics.items()}
        run.context.metrics(step, {f"gate/{name}": number for name, number in metrics.items()})
        # Answers drawn from weights that are not numbers can still score well by chance.
        value = metrics[owner.metric] if math.isfinite(metrics["loss"]) else math.nan
        run.event("eval", f"gate/{owner.metric} {value:.4f} at step {step}.", step=step, data=metrics)
        self._guard(scored, value)
        self.evaluated = self.own
        seen = owner.gate_seen(scored)
        improved = self.keeper.observe(step, value)
        self.last = {"value": value, "step": step, "own": self.own, "metrics": metrics, "gate": seen}
        if improved:
            self.best = dict(self.last)
        self._lower(value)
        self._end(None if seen is None else bool(seen["passed"]))
        owner.evaluated(scored, metrics, value, improved=improved)
        if owner.teaching is not None:
            owner.teaching.evaluated(scored)
        if owner.pointing is not None:
            owner.pointing.evaluated(self.own, step)
        run.phase("training")

    def _guard(self, scored: Scored, value: float) -> None:
        owner, run = self.owner, self.owner.run
        found = owner.session.distinct(scored)
        if found is not None:
            warning = self.class_guard.observe(run.step, *found)
            # A warning is told once, not at each evaluation.
            if warning and (self.class_guard.count == 1 or self.class_guard.limit is not None):
                run.event("guard", warning, step=run.step)
        if owner.stage.guards.entropy is not None:
            share = owner.session.entropy(scored)
            judge_entropy(owner.stage.guards, run.step, share, better=owner.above_majority(value))

    def _lower(self, value: float) -> None:
        if self.plateau is None:
            return
        lowered = self.plateau.observe(value, self.rates)
        if lowered != self.rates:
            highest = max(lowered.values()) * self.scale
            self.owner.tell(
                "plateau", "lower", f"No improvement: the highest learning rate is lowered to {highest:.3g}.",
                {"metric": f"gate/{self.owner.metric}", "value": value, "lr": highest},
            )  # fmt: skip
        self.rates = lowered

    def _end(self, passed: bool | None) -> None:
        """Note whether the attempt ends with this evaluation."""
        owner = self.owner
        if self.ended is not None:
            return
        if self.watch is not None and passed is not None:
            self.ended = self.watch.observe(passed)
        if self.ended is None and self.keeper.stop and self.own < owner.session.prepared.steps:
            self.ended = "early_stopping"
            owner.tell(
                "early_stopping", "stop", f"Stopped early: no improvement in {self.keeper.waited} evaluations.",
                {"metric": f"gate/{owner.metric}", "evaluations": self.keeper.waited, "best": self.keeper.as_dict()},
            )  # fmt: skip
