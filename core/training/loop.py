"""The training loop: steps, evaluations, checkpoints, requests."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from core.config import Plan
from core.errors import ConfigError, TrainingDiverged
from core.training.batches import iterate, micro_batches
from core.training.best import BestModel, Weights
from core.training.checkpoints import Checkpoints, Loaded, restore_random_state
from core.training.choices import Choice, choose
from core.training.context import Outcome, Request, RunContext
from core.training.device import exclusive, memory_mb, reading_errors, set_threads
from core.training.engine import Engine
from core.training.evaluation import distinct_predictions, role_logits, score_roles
from core.training.files import recover, remove, sweep, write_json
from core.training.guards import BestKeeper, LossGuard, SingleClassGuard
from core.training.optim import Optimiser
from core.training.prepare import Prepared, prepare
from core.training.results import environment, fingerprint, load_best, write_results
from core.training.schedules import Plateau, rate_function
from core.training.state import restore, state_of, tensors_of
from core.training.window import Window

__all__ = ["Trainer", "train"]

_PROGRESS_S = 0.25


class _Stop(Exception):
    """A person asked to pause or cancel; the state is on the disk."""

    def __init__(self, outcome: Outcome):
        self.outcome = outcome
        super().__init__(outcome)


def train(plan: Plan, context: RunContext, *, resume: bool = True) -> Outcome:
    """Execute a plan.

    Parameters
    ----------
    plan
        The complete plan.
    context
        Where numbers, events and files go, and where requests come from.
    resume
        Go on from the run folder's newest whole checkpoint, if there is one.

    Returns
    -------
    Outcome
        Finished, paused or cancelled.

    Raises
    ------
    BertloomError
        If data, model or plan cannot be used, the memory does not suffice, or a guard holds.
    """
    runtime = plan.runtime
    if len(plan.stages) > 1 or plan.stages[0].kind != "train":
        raise ConfigError("Plans of several stages cannot be executed yet.", where="stages", expected="one stage")
    with reading_errors(), exclusive(deterministic=runtime.deterministic):
        return Trainer(plan, context).run(resume=resume)


class Trainer:
    """One execution of one plan. Use :func:`train`.

    Parameters
    ----------
    plan
        The plan.
    context
        The run's context.
    """

    def __init__(self, plan: Plan, context: RunContext):
        self.plan = plan
        self.stage = plan.stages[0]
        self.context = context
        self.folder = Path(context.folder)
        self.step = 0
        self.epoch = 0
        self.index = 0
        self.evaluated = 0
        self.stopped_early = False
        self.seconds = 0.0
        self._clock = time.monotonic()
        self._first = 0
        self._in_epoch = 1
        self._ready = False
        self.window = Window()
        self._told = 0.0
        self.choices: dict[str, Any] = {}
        self.checkpoints = Checkpoints(
            self.folder / "checkpoints", self._event, every_s=plan.runtime.checkpoint_every_s,
            every_steps=plan.runtime.checkpoint_every_steps,
        )  # fmt: skip

    # ---- requests and words to the outside -------------------------------------------------------------------------

    def _event(self, kind: str, message: str, *, step: int | None = None, data: dict[str, Any] | None = None) -> None:
        self.context.event(kind, message, step=step, data=data)

    def _phase(self, name: str) -> None:
        self.context.progress(phase=name)

    def _check(self) -> None:
        """Hear requests. Only called where the state is that between two steps."""
        asked = self.context.request()
        if asked is Request.NONE:
            return
        if asked is Request.SAVE:
            if self._ready:
                self._save(wanted=True)
            return
        if self._ready:
            self._save(wanted=True)
        raise _Stop(Outcome.PAUSED if asked is Request.PAUSE else Outcome.CANCELLED)

    # ---- the run ---------------------------------------------------------------------------------------------------

    def run(self, *, resume: bool) -> Outcome:
        """Run to the end, or until a person stops it."""
        try:
            if resume and (self.folder / "results.json").exists():
                self._event("info", "This run is already finished.")  # the end came between results and the record
                return Outcome.FINISHED
            self._set_up(resume)
            self._steps()
            self._finish()
            return Outcome.FINISHED
        except _Stop as stop:
            return stop.outcome
        except TrainingDiverged as error:
            self._event("guard", error.message(), step=self.step)
            raise
        finally:
            if self._ready:
                self.engine.close()
            self.context.flush()

    def _set_up(self, resume: bool) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if not resume:
            self.checkpoints.clear()
            remove(self.folder / "best")
            (self.folder / "results.json").unlink(missing_ok=True)
        sweep(self.folder)
        recover(self.folder / "best")
        self.prepared: Prepared = prepare(self.plan, Path(self.context.cache), check=self._check, phase=self._phase)
        prepared = self.prepared
        if prepared.roles.report:
            report = prepared.roles.report
            write_json(self.folder / "data_report.json", report if isinstance(report, dict) else report.as_dict())
        self.engine = Engine(prepared)
        self.engine.train_mode()
        self._ready_to_build()
        loaded = self.checkpoints.load(prepared.device) if resume else None
        if loaded is None:
            self._choose()
        else:
            self._restore(loaded)
        self._caches()
        self._ready = True
        self._first, self._clock = self.step, time.monotonic()
        self.context.progress(
            step=self.step, total_steps=prepared.steps, choices=self.choices, best=self.keeper.as_dict()
        )

    def _ready_to_build(self) -> None:
        prepared, stage = self.prepared, self.stage
        self.optimiser = Optimiser(stage.optimizer, prepared.groups, prepared.parameters, prepared.device)
        self.weights = Weights(prepared, self.optimiser.names)
        self.best = BestModel(prepared, self.weights, self.folder / "best", self._event)
        self.rates = dict(self.optimiser.base)
        self.rate = rate_function(stage.schedule, prepared.steps, stage.lr)
        self.keeper = BestKeeper(stage.metric or prepared.task.primary_metric, stage.early_stopping)
        on_plateau = stage.schedule.name == "reduce_lr_on_plateau"
        self.plateau = Plateau.from_config(stage.schedule, maximise=self.keeper.maximise) if on_plateau else None
        self.loss_guard = LossGuard(stage.guards)
        self.class_guard = SingleClassGuard(stage.guards.single_class)
        self.print = fingerprint(prepared)

    def _choose(self) -> None:
        prepared = self.prepared
        self._phase("timing")
        # With everything below the head in the cache, the encoder runs for one epoch only.
        cached = prepared.depth == len(prepared.layers) and self.stage.cache_activations
        steps = min(prepared.steps, prepared.steps_per_epoch) if cached else prepared.steps
        choice, timings = choose(self.engine, steps=steps, check=self._check)
        self.apply(choice)
        self.choices = {
            **choice.as_dict(), "device": str(prepared.device), "deterministic": self.plan.runtime.deterministic,
            "timings": timings, "trained_rows": None if prepared.rows is None else int(prepared.rows.rows.shape[0]),
        }  # fmt: skip
        words = f"{choice.precision}, {choice.threads} thread{'s' if choice.threads > 1 else ''}, {choice.path} path"
        why = ", chosen by timing" if timings else ""
        self._event("decision", f"Training in {words}{why}.", step=0, data=self.choices)
        self._event(
            "stage", f"Stage {self.stage.name}: {prepared.steps} steps.", step=0,
            data={"name": self.stage.name, "steps": prepared.steps, "steps_per_epoch": prepared.steps_per_epoch},
        )  # fmt: skip

    def apply(self, choice: Choice) -> None:
        """Execute as was chosen."""
        set_threads(choice.threads)
        self.engine.precision = choice.precision
        self.engine.use_path(choice.path)

    def _caches(self) -> None:
        """Compute the activations of a frozen lower part, or find them in the cache."""
        from core.training.activations import prepare_feeds

        if self.prepared.depth > 0:
            self._phase("caching")
            prepare_feeds(
                self.engine, Path(self.context.cache), check=self._check, event=self._event, fingerprint=self.print
            )

    # ---- steps -----------------------------------------------------------------------------------------------------

    def _steps(self) -> None:
        prepared, stage = self.prepared, self.stage
        self._phase("training")
        if self.step and self._evaluation_due() and self.evaluated < self.step:
            self._evaluate()  # a request or a crash came between the step and its evaluation
        seed = self.plan.runtime.seed
        stream = iterate(prepared.lengths, stage, seed, epoch=self.epoch, index=self.index)
        while self.step < prepared.steps and not self.stopped_early:
            self._check()
            epoch, index, in_epoch, batch = next(stream)
            self._one_step(batch)
            self.epoch, self.index = (epoch, index + 1) if index + 1 < in_epoch else (epoch + 1, 0)
            self._in_epoch = in_epoch
            self._log()
            if self._evaluation_due():
                self._evaluate()
            if self.checkpoints.due(self.step):
                self._save()
        self._log(force=True)

    def _one_step(self, batch: np.ndarray) -> None:
        prepared, stage = self.prepared, self.stage
        started = time.perf_counter()
        features = prepared.encoded["train"].features
        lengths = prepared.lengths
        parts = micro_batches(batch, lengths, stage.accumulation)
        number = self.step + 1
        loss_sum: torch.Tensor | None = None
        weight_sum: torch.Tensor | None = None
        for part, indices in enumerate(parts):
            self.engine.seed(self.plan.runtime.seed, number, part)
            total, weight, _ = self.engine.loss([features[at] for at in indices], indices)
            if len(parts) == 1:
                weight = weight.clamp(min=1e-12)
                total = total / weight
            total.backward()
            loss_sum = total.detach() if loss_sum is None else loss_sum + total.detach()
            weight_sum = weight if weight_sum is None else weight_sum + weight
        assert loss_sum is not None
        assert weight_sum is not None
        divide = None
        if len(parts) > 1:
            divide = weight_sum.clamp(min=1e-12)
            loss_sum = loss_sum / divide
        factor = self.rate(number)
        rates = {name: base * factor for name, base in self.rates.items()}
        self.optimiser.set_rates(rates)
        norm = self.optimiser.step(divide, stage.clip_norm)
        self.optimiser.zero()
        if prepared.rows is not None:
            prepared.rows.stepped(rates[prepared.rows.group])
        self.step = number
        self.window.add(
            loss_sum,
            norm,
            step=number,
            examples=len(batch),
            tokens=int(lengths[batch].sum()),
            rates=rates,
            seconds=time.perf_counter() - started,
        )

    def _log(self, *, force: bool = False) -> None:
        if self.window.steps and (force or self.step % self.plan.runtime.log_every == 0):
            self._judge()
            self._tell(self._record())

    def _judge(self) -> None:
        """Let the guard see every step before an evaluation, a checkpoint or the best model is made of it."""
        for item in self.window.unjudged():
            try:
                self.loss_guard.observe(item["step"], item["loss"], item["norm"])
            except TrainingDiverged:
                self._record()  # the step that went wrong belongs on the curve
                raise

    def _record(self) -> float:
        """Record the window's means and return the examples per second."""
        values = self.window.close()
        values["train/memory_mb"] = memory_mb(self.prepared.device)
        self.context.metrics(self.step, values)
        return values["train/examples_per_s"]

    def _tell(self, examples_per_s: float) -> None:
        now = time.monotonic()
        if now - self._told < _PROGRESS_S and self.step < self.prepared.steps:
            return
        self._told = now
        done = max(1, self.step - self._first)
        left = (now - self._clock) / done * (self.prepared.steps - self.step)
        in_epoch = max(1, self._in_epoch)
        self.context.progress(
            phase="training", step=self.step, total_steps=self.prepared.steps,
            epoch=round(self.epoch + self.index / in_epoch, 4),
            eta_s=round(left, 1), examples_per_s=round(examples_per_s, 1),
        )  # fmt: skip

    # ---- evaluation ------------------------------------------------------------------------------------------------

    def _evaluation_due(self) -> bool:
        if "gate" not in self.prepared.encoded:
            return False
        every = self.stage.eval_every
        regular = self.step % every == 0 if every is not None else self.index == 0
        return regular or self.step == self.prepared.steps

    def _evaluate(self) -> None:
        self._judge()
        prepared, step = self.prepared, self.step
        encoded, rows = prepared.encoded["gate"], prepared.roles.gate
        self._phase("evaluating")
        with self.engine.scoring():
            logits = role_logits(self.engine.scorer("gate"), encoded, check=self._check)
        found = prepared.task.evaluate(logits, encoded, rows)
        self.context.metrics(step, {f"gate/{name}": float(value) for name, value in found.metrics.items()})
        # Answers drawn from weights that are not numbers can still score well by chance.
        sound = math.isfinite(found.metrics["loss"])
        value = float(found.metrics[self.keeper.metric]) if sound else math.nan
        best = self.keeper.observe(step, value)
        self.evaluated = step
        self._event(
            "eval", f"gate/{self.keeper.metric} {value:.4f} at step {step}.", step=step,
            data={name: float(number) for name, number in found.metrics.items()},
        )  # fmt: skip
        gold = sum(count > 0 for count in prepared.task.label_counts(encoded))
        if gold > 1:
            warning = self.class_guard.observe(step, distinct_predictions(logits, self.plan.task), str(len(rows)))
            # A warning is told once, not at each evaluation.
            if warning and (self.class_guard.count == 1 or self.class_guard.limit is not None):
                self._event("guard", warning, step=step)
        if best:
            self._keep_best(found.metrics)
            self.context.progress(best=self.keeper.as_dict())
        if self.plateau is not None:
            lowered = self.plateau.observe(value, self.rates)
            if lowered != self.rates:
                self._event(
                    "decision",
                    f"No improvement: the highest learning rate is lowered to {max(lowered.values()):.3g}.",
                    step=step,
                )
            self.rates = lowered
        if self.keeper.stop and step < prepared.steps:
            self.stopped_early = True
            self._event("stage", f"Stopped early: no improvement in {self.keeper.waited} evaluations.", step=step)
        self._phase("training")

    def _keep_best(self, metrics: dict[str, float]) -> None:
        named = {f"gate/{name}": float(value) for name, value in metrics.items()}
        message = f"Best so far: gate/{self.keeper.metric} {self.keeper.value:.4f}."
        self._event("best", message, step=self.step, data=named)
        self.best.keep(named, self.step)

    def elapsed(self) -> float:
        """Return the seconds of training so far, resumes included."""
        return self.seconds + time.monotonic() - self._clock

    # ---- state -----------------------------------------------------------------------------------------------------

    def _save(self, *, wanted: bool = False) -> None:
        self._judge()
        self.context.flush()
        if not self.best.write():
            self.checkpoints.postpone()
            return  # a checkpoint must not speak of a best model that is not on the disk
        saved = self.checkpoints.save(self.step, tensors_of(self), self.optimiser.state_tensors(), state_of(self))
        if saved and wanted:
            self._event("checkpoint", f"Checkpoint at step {self.step}.", step=self.step)

    def _restore(self, loaded: Loaded) -> None:
        restore(self, loaded)
        chosen = self.choices
        self.apply(Choice(chosen["threads"], chosen["precision"], chosen["path"]))
        restore_random_state(loaded.random, loaded.state["random"])
        self._event("info", f"Resumed at step {self.step}.", step=self.step)

    # ---- the end ---------------------------------------------------------------------------------------------------

    def _finish(self) -> None:
        prepared = self.prepared
        if "gate" in prepared.encoded:
            self.best.write(must=True)
            if self.keeper.step is None:
                raise TrainingDiverged(
                    "No evaluation on gate gave a number, so there is no best model.",
                    where=f"gate/{self.keeper.metric}",
                    advice="Lower the learning rate, and leave the guard against NaN on.",
                )
        else:
            self.best.write_last(self.step)
        self._phase("testing")
        last = self.weights.take()
        load_best(prepared, self.best.folder)

        def check() -> None:
            asked = self.context.request()
            if asked in (Request.PAUSE, Request.CANCEL):
                self.weights.put(last)
                self._save(wanted=True)
                raise _Stop(Outcome.PAUSED if asked is Request.PAUSE else Outcome.CANCELLED)

        metrics, details = score_roles(self.engine, check)
        training = {
            "steps": self.step, "total_steps": prepared.steps, "stopped_early": self.stopped_early,
            "best": self.keeper.as_dict(),
            "seconds": round(self.elapsed(), 2),
            "rows": {role: len(getattr(prepared.roles, role)) for role in prepared.encoded},
        }  # fmt: skip
        if self.plan.runtime.keep == "all":
            self.weights.put(last)
            self._save()
        write_results(
            self.folder,
            {"metrics": metrics, "details": details, "choices": self.choices, "training": training,
             "environment": environment(prepared.device, self.choices)},
        )  # fmt: skip
        if self.plan.runtime.keep != "all":
            self.checkpoints.clear()
        if self.plan.runtime.keep == "metrics":
            remove(self.best.folder)
        self.context.progress(phase="finished", step=self.step, total_steps=prepared.steps, eta_s=0.0)
