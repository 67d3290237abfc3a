"""A run over the stages of a plan: what all of them share, and what they may ask of it (see docs/stages.md)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from core.config import EarlyStopping, Plan, Stage
from core.training.batches import stage_seed
from core.training.best import BestModel
from core.training.checkpoints import Checkpoints, Loaded
from core.training.choosing import apply_choices, choose_by_timing
from core.training.context import Outcome, Request, RunContext
from core.training.demands import check_length
from core.training.guards import BestKeeper
from core.training.kinds import StageOutcome
from core.training.material import Material, load_material
from core.training.record import Record
from core.training.restore import RestorePoints
from core.training.session import Session
from core.training.snapshot import Snapshot

if TYPE_CHECKING:
    import numpy as np

    from core.training.stage import Evaluated, StageRun
    from core.training.trial import Trained

__all__ = ["Run", "Snapshot", "Stopped"]


class Stopped(Exception):
    """A person asked to pause or cancel; the state is on the disk."""

    def __init__(self, outcome: Outcome):
        self.outcome = outcome
        super().__init__(outcome)


class Run(Record):
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
        super().__init__(plan, context)
        self.parent = parent
        self.material: Material
        self.origin = ""
        self.choices: dict[str, Any] = {}
        self.majorities: dict[str, float | None] = {}
        #: Stage name → restore point of its best weights, for stages that begin with them.
        self.kept: dict[str, str] = {}
        self.current: StageRun | None = None
        self.loaded: Loaded | None = None
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

    # ---- requests --------------------------------------------------------------------------------------------------

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

    # ---- stages ----------------------------------------------------------------------------------------------------

    def load(self) -> Material:
        """Load rows and model, and tokenise."""
        return load_material(self.plan, Path(self.context.cache), check=self.check, phase=self.phase)

    def build(self, stage: Stage, index: int, *, fresh: bool) -> Session:
        """Build a stage on the model."""
        return Session(self.material, stage, index, fresh=fresh)

    @property
    def taught(self) -> bool:
        """Whether anything in it learns from teachers."""
        return any(stage.kind == "distil" for stage in self.active)

    def teacher_results(self, student: dict[str, list[np.ndarray]]) -> list[dict[str, Any]]:
        """Score the teachers on gate and test, and find what the student lost of them; given its logits by role."""
        from core.training.distil.scores import teacher_results

        return teacher_results(self.material, student, check=self.check)

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

    def open(self, stage: Stage, index: int, *, fresh: bool = True) -> Session:
        """Build a stage on the model, and execute as was chosen; the first one to be built is timed for that."""
        session = self.build(stage, index, fresh=fresh)
        try:
            if self.choices:
                apply_choices(self.choices, session)
            else:
                choose_by_timing(self, session, index)
        except BaseException:
            session.close()
            raise
        return session

    def fill_caches(self, session: Session) -> None:
        """Compute the activations of a session's frozen lower part, or find them in the cache."""
        session.fill_caches(Path(self.context.cache), check=self.check, event=self.event, phase=self.phase)

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

    # ---- state: core/training/state.py says what a checkpoint holds ------------------------------------------------

    def needed_points(self) -> set[str]:
        """Return the names of the restore points that a decision, or a later stage, may ask for."""
        wanted = {stage.start_from.removeprefix("best:") for stage in self.active[self.index :]}
        found = {point for name, point in self.kept.items() if name in wanted}
        return found | (self.current.points() if self.current is not None else set())

    def take_loaded(self) -> Loaded | None:
        """Return the checkpoint in the middle of the stage that begins now, once."""
        loaded, self.loaded = self.loaded, None
        return loaded

    def after_step(self) -> None:
        """Write a checkpoint where one is due."""
        if self.checkpoints is not None and self.checkpoints.due(self.step):
            self.save()

    def save(self, *, wanted: bool = False) -> bool:
        """Write a checkpoint of this moment; return whether it stands on the disk."""
        from core.training.state import save

        return save(self, wanted=wanted)

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
        self.entries.append(self.entry_of(outcome, stage))
        self.outcome = None
        self.ended = outcome.stop
        self.index += 1
        self.points.keep(self.needed_points())

    def copies(self) -> dict[str, torch.Tensor]:
        """Copy all parameters as they are, in the form of the session that is open."""
        return {name: parameter.detach().clone() for name, parameter in self.material.model.named_parameters()}

    def put_copies(self, copies: dict[str, torch.Tensor]) -> None:
        """Put back what :meth:`copies` returned."""
        with torch.no_grad():
            for name, parameter in self.material.model.named_parameters():
                parameter.copy_(copies[name])
