"""A run over the stages of a plan: what all of them share, and what they may ask of it (see docs/stages.md)."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from core.config import EarlyStopping, Plan, Stage
from core.errors import ModelError
from core.training.batches import stage_seed
from core.training.best import BestModel
from core.training.checkpoints import Checkpoints, Loaded
from core.training.choices import Choice, choose
from core.training.context import Outcome, Request, RunContext
from core.training.decisions import decision
from core.training.demands import check_length
from core.training.device import set_threads
from core.training.guards import BestKeeper
from core.training.kinds import StageOutcome
from core.training.material import Material, load_material
from core.training.restore import RestorePoints
from core.training.session import Session
from core.training.snapshot import Snapshot

if TYPE_CHECKING:
    from core.training.stage import Evaluated, StageRun
    from core.training.trial import Trained

__all__ = ["Run", "Snapshot", "Stopped"]


class Stopped(Exception):
    """A person asked to pause or cancel; the state is on the disk."""

    def __init__(self, outcome: Outcome):
        self.outcome = outcome
        super().__init__(outcome)


class Run:
    """One execution of one plan, or one trial of a search within it.

    Parameters
    ----------
    plan
        The plan.
    context
        Where numbers, events and files go, and where requests come from.
    parent
        The run that a trial belongs to. A trial has no checkpoints and no best model of its own.
    """

    def __init__(self, plan: Plan, context: RunContext, *, parent: Run | None = None):
        self.plan = plan
        self.context = context
        self.parent = parent
        self.active = plan.active
        self.folder = Path(context.folder)
        self.material: Material
        self.origin = ""
        self.step = 0
        #: The stage that is executed, from 0; as many as there are stages when all are over.
        self.index = 0
        self.entries: list[dict[str, Any]] = []
        self.decisions: list[dict[str, Any]] = []
        self.choices: dict[str, Any] = {}
        self.majorities: dict[str, float | None] = {}
        self.planned: list[int] = []
        #: Stage name → restore point of its best weights, for stages that begin with them.
        self.kept: dict[str, str] = {}
        self.stopped_early = False
        self.ended = False
        self.seconds = 0.0
        self.current: StageRun | None = None
        self.outcome: StageOutcome | None = None
        self.loaded: Loaded | None = None
        self.keeper: BestKeeper | None = None
        self.best: BestModel | None = None
        self.best_index: int | None = None
        self._clock: float | None = None
        self.checkpoints: Checkpoints | None = None
        if parent is None:
            self.checkpoints = Checkpoints(
                self.folder / "checkpoints", self.event, every_s=plan.runtime.checkpoint_every_s,
                every_steps=plan.runtime.checkpoint_every_steps,
            )  # fmt: skip
        else:
            self.material, self.choices, self.majorities = parent.material, parent.choices, parent.majorities
        own = parent is None or Path(parent.folder) != self.folder
        self.points = RestorePoints(self.folder / ("restore" if own else "restore-trial"), self.event)

    # ---- requests and words to the outside -------------------------------------------------------------------------

    def event(self, kind: str, message: str, *, step: int | None = None, data: dict[str, Any] | None = None) -> None:
        """Tell an event."""
        self.context.event(kind, message, step=step, data=data)

    def phase(self, name: str) -> None:
        """Tell what is being done."""
        self.context.progress(phase=name)

    def check(self) -> None:
        """Hear requests. Only called where the state is that between two steps.

        Raises
        ------
        Stopped
            If a person asked to pause or cancel; what can be saved was saved.
        """
        if self.parent is not None:
            self.parent.check()
            return
        asked = self.context.request()
        if asked is Request.NONE:
            return
        if self.current is not None and self.current.ready:
            self.save(wanted=True)
        if asked is not Request.SAVE:
            raise Stopped(Outcome.PAUSED if asked is Request.PAUSE else Outcome.CANCELLED)

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

    # ---- stages ----------------------------------------------------------------------------------------------------

    def load(self) -> Material:
        """Load rows and model, and tokenise."""
        return load_material(self.plan, Path(self.context.cache), check=self.check, phase=self.phase)

    def build(self, stage: Stage, index: int, *, fresh: bool) -> Session:
        """Build a stage on the model."""
        return Session(self.material, stage, index, fresh=fresh)

    def told(self) -> dict[str, Any]:
        """Return what results.json holds beside that which every run leaves."""
        return {}

    def begin_material(self, material: Material) -> None:
        """Take the loaded model; nothing may have been trained on it yet."""
        self.material = material
        self.origin = material.origin()
        self.planned = [
            material.steps_of(stage, stage_seed(stage, index, self.plan.runtime.seed))[0]
            if stage.trains else 0
            for index, stage in enumerate(self.active)
        ]  # fmt: skip
        for index, (stage, steps) in enumerate(zip(self.active, self.planned, strict=True)):
            if stage.trains:
                check_length(stage, steps, material.where(index))
        trains = [stage for stage in self.active if stage.kind != "range_test"]
        metric = trains[-1].metric if trains else None
        self.keeper = BestKeeper(metric or material.task.primary_metric, EarlyStopping())
        self.best = BestModel(material, self.folder / "best", self.event)

    def is_named(self, name: str) -> bool:
        """Return whether a later stage begins with the best weights of a stage."""
        return self.parent is None and any(stage.start_from == f"best:{name}" for stage in self.active)

    def later_steps(self, index: int) -> int:
        """Return the planned steps of the stages after one."""
        return sum(self.planned[index + 1 :])

    def open(self, stage: Stage, index: int, *, fresh: bool = True) -> Session:
        """Build a stage on the model, and execute as was chosen; the first one to be built is timed for that."""
        session = self.build(stage, index, fresh=fresh)
        try:
            if self.choices:
                self.apply(session)
            else:
                self._choose(session, index)
        except BaseException:
            session.close()
            raise
        return session

    def apply(self, session: Session) -> None:
        """Execute as was chosen."""
        chosen = self.choices
        _apply(Choice(chosen["threads"], chosen["precision"], chosen["path"]), session)

    def fill_caches(self, session: Session) -> None:
        """Compute the activations of a session's frozen lower part, or find them in the cache."""
        session.fill_caches(Path(self.context.cache), check=self.check, event=self.event, phase=self.phase)

    def _choose(self, session: Session, index: int) -> None:
        prepared, stage = session.prepared, session.stage
        self.phase("timing")
        # With everything below the head in the cache, the encoder runs for one epoch only.
        cached = prepared.depth == len(prepared.layers) and stage.cache_activations
        steps = min(prepared.steps, prepared.steps_per_epoch) if cached else prepared.steps
        choice, timings = choose(session.engine, steps=steps + self.later_steps(index), check=self.check)
        _apply(choice, session)
        chosen = {
            **choice.as_dict(), "device": str(prepared.device), "deterministic": self.plan.runtime.deterministic,
            "timings": timings, "trained_rows": None if prepared.rows is None else int(prepared.rows.rows.shape[0]),
        }  # fmt: skip
        self.choices.update(chosen)
        words = f"{choice.precision}, {choice.threads} thread{'s' if choice.threads > 1 else ''}, {choice.path} path"
        why = ", chosen by timing" if timings else ""
        self.decide(stage, index, "choice", "train", f"Training in {words}{why}.", chosen)

    @contextlib.contextmanager
    def session(self, stage: Stage, index: int) -> Iterator[Session]:
        """Build a stage on the model for as long as the block lasts; caches are filled."""
        session = self.open(stage, index)
        try:
            self.fill_caches(session)
            yield session
        finally:
            session.close()

    def score(self, stage: Stage, index: int) -> dict[str, float]:
        """Return the gate metrics of the weights as they are, without ``gate/``."""
        plain = stage.model_copy(
            update={"reinit_top_n": 0, "cache_activations": False, "kind": "train", "distil": None}
        )
        session = self.open(plain, index, fresh=False)
        try:
            found = session.score(check=self.check).evaluation.metrics
            return {name: float(value) for name, value in found.items()}
        finally:
            session.close()

    def train_stage(
        self,
        stage: Stage,
        index: int,
        *,
        context: RunContext | None = None,
        on_evaluation: Callable[[Evaluated], bool] | None = None,
        keep_best: bool = False,
    ) -> Trained:
        """Run a whole stage of kind ``train`` in its own right, from the weights as they are.

        Parameters
        ----------
        stage
            The stage; its `start_from` and `lr_from` are not looked at.
        index
            Its place among the stages that are executed, from 0: what its seed is derived from.
        context
            Where series, events and progress go; default: where the run's go.
        on_evaluation
            Called after each evaluation; where it returns True the stage ends.
        keep_best
            Return the best evaluation's weights.

        Raises
        ------
        TrainingDiverged
            If a guard holds and no retry is left.
        Stopped
            If a person asked the run to pause or cancel.
        """
        from core.training.trial import train_stage

        return train_stage(self, stage, index, context=context, on_evaluation=on_evaluation, keep_best=keep_best)

    # ---- weights ---------------------------------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """Copy all parameters, buffers and states of random generators."""
        return Snapshot.of(self.material)

    def restore(self, snapshot: Snapshot) -> None:
        """Put back what :meth:`snapshot` copied, bit for bit. No session may be open."""
        snapshot.put_into(self.material)

    def write_kept(self, name: str, index: int) -> None:
        """Write the weights as they are as those that ``best:NAME`` means."""
        material = self.material
        point = f"{index:02d}-kept"
        with material.whole():
            parameters = material.parameters
            tensors = {name_of: parameters[name_of].detach() for name_of in sorted(material.touched)}
            self.points.write(point, self.step, {**tensors, **material.kept_buffers()}, {}, {})
        self.kept[name] = point

    def begin_with(self, start_from: str) -> None:
        """Put the weights in place that a stage begins with; no session may be open."""
        material = self.material
        if start_from == "last":
            return
        if start_from == "pretrained":
            material.reload(set(material.touched))
            return
        point = self.points.load(self.kept[start_from.removeprefix("best:")], material.device)
        material.reload(material.touched - point.tensors.keys())
        material.put(point.tensors)

    # ---- state -----------------------------------------------------------------------------------------------------

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

    def needed_points(self) -> set[str]:
        """Return the names of the restore points that a decision, or a later stage, may ask for."""
        wanted = {stage.start_from.removeprefix("best:") for stage in self.active[self.index :]}
        found = {point for name, point in self.kept.items() if name in wanted}
        return found | (self.current.points() if self.current is not None else set())

    def elapsed(self) -> float:
        """Return the seconds of training so far, resumes included."""
        return self.seconds if self._clock is None else self.seconds + time.monotonic() - self._clock

    def start_clock(self) -> None:
        """Count seconds from the first step on."""
        if self._clock is None:
            self._clock = time.monotonic()

    def take_loaded(self) -> Loaded | None:
        """Return the checkpoint in the middle of the stage that begins now, once."""
        loaded, self.loaded = self.loaded, None
        return loaded

    def does_not_fit(self) -> ModelError:
        """Return the error that a checkpoint was written with other files."""
        return ModelError(
            "The checkpoint does not fit: model, data or plan changed since it was written.",
            where=str(self.folder / "checkpoints"),
            expected="the same files as when the run began",
            advice="Put the files back, or start a new run.",
        )

    def after_step(self) -> None:
        """Write a checkpoint where one is due."""
        if self.checkpoints is not None and self.checkpoints.due(self.step):
            self.save()

    def save(self, *, wanted: bool = False) -> bool:
        """Write a checkpoint of this moment; return whether it stands on the disk."""
        from core.training.state import state_of, tensors_of

        if self.checkpoints is None or self.best is None:
            return False
        if self.current is not None and self.current.ready:
            self.current.attempt.judge()
        self.context.flush()
        if not self.best.write() or not self.points.settle():
            self.checkpoints.postpone()
            return False  # a checkpoint must not speak of what is not on the disk
        tensors, optimizer = tensors_of(self)
        saved = self.checkpoints.save(self.step, tensors, optimizer, state_of(self))
        if saved:
            self.points.rely(self.needed_points())
            if wanted:
                self.event("checkpoint", f"Checkpoint at step {self.step}.", step=self.step)
        return saved

    def close(self) -> None:
        """Give the model back."""
        if self.current is not None:
            self.current.close()

    def leave(self, outcome: StageOutcome, stage: Stage) -> None:
        """Write down what a stage left, give the model back, and go on to the next one."""
        if self.current is not None:
            self.current.close()
            self.current = None
        if not stage.trains and self.is_named(stage.name):
            self.write_kept(stage.name, self.index)
        self.entries.append(self._entry(outcome, stage))
        self.outcome = None
        self.ended = outcome.stop
        self.index += 1
        self.points.keep(self.needed_points())

    def all_entries(self) -> list[dict[str, Any]]:
        """Return what results.json says of every executed stage."""
        if self.outcome is None:
            return self.entries
        return [*self.entries, self._entry(self.outcome, self.active[self.index])]

    def _entry(self, outcome: StageOutcome, stage: Stage) -> dict[str, Any]:
        empty: dict[str, Any] = {
            "attempts": [], "best": None, "start": None, "gate": None, "seconds": None, "gate_seconds": 0.0,
            "suggestion": outcome.suggestion, "search": None,
        }  # fmt: skip
        head = {"name": stage.name, "kind": stage.kind, "index": self.index, "outcome": outcome.outcome}
        return {**head, **empty, **outcome.entry}

    def planned_steps(self) -> int:
        """Return the optimiser steps if every stage runs once and to its end."""
        return sum(self.planned)

    def copies(self) -> dict[str, torch.Tensor]:
        """Copy all parameters as they are, in the form of the session that is open."""
        return {name: parameter.detach().clone() for name, parameter in self.material.model.named_parameters()}

    def put_copies(self, copies: dict[str, torch.Tensor]) -> None:
        """Put back what :meth:`copies` returned."""
        with torch.no_grad():
            for name, parameter in self.material.model.named_parameters():
                parameter.copy_(copies[name])


def _apply(choice: Choice, session: Session) -> None:
    set_threads(choice.threads)
    for engine in session.engines:
        engine.precision = choice.precision
        engine.use_path(choice.path)
