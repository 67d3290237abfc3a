"""A stage of kind ``distil`` between its steps: hears what a person changes, and lets the monitor look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import BertloomError
from core.training.distil.controls import NAMES, SERIES, Change, Controls, change_words, check_change
from core.training.distil.monitor import Monitor
from core.training.distil.places import of_task

if TYPE_CHECKING:
    import numpy as np

    from core.training.context import Wish
    from core.training.distil.objective import Objective
    from core.training.engine import Engine
    from core.training.session import Scored
    from core.training.stage import StageRun

__all__ = ["Teaching"]


class Teaching:
    """What a distilled stage does beside its steps.

    Parameters
    ----------
    part
        The stage.
    engine
        What runs the student; it has an objective.
    state
        What :meth:`state_dict` returned, where the stage is resumed.
    folder
        Where changes, pins and what is seen of the student lie, if that is not the run's folder.
    task
        Of a joint run the task that this is about.
    """

    def __init__(
        self, part: StageRun, engine: Engine, state: Mapping[str, Any] | None, *, folder: Path | None = None,
        task: str = "",
    ):  # fmt: skip
        run, objective = part.run, engine.objective
        assert objective is not None
        self._part, self._task = part, task
        self._objective: Objective = objective
        place = run.folder if folder is None else folder
        self.controls = Controls(objective.config, part.index, place)
        if state is not None:
            self.controls.load_state_dict(state)
        objective.held = self.controls.held
        begins = part.attempt.own == 0 and part.attempt.number == 1
        self._monitor = Monitor(
            engine, objective, place, part.index, step=run.step, fresh=begins, event=run.event
        )  # fmt: skip
        if begins:
            self._monitor.begin(run.step)

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint needs."""
        return self.controls.state_dict()

    @property
    def applied(self) -> int:
        """How many changes hold so far."""
        return self.controls.applied

    def series(self) -> dict[str, float]:
        """Return the values that hold, by series."""
        return {of_task(name, self._task): self._objective.value(what) for what, name in SERIES.items()}

    def before_step(self) -> None:
        """Take what a person wants changed, and let what is due hold from this step on."""
        run = self._part.run
        for wish in run.context.wishes():
            self.hear(wish)
            run.context.took(wish.number)
        if self.change():
            run.save()

    def change(self) -> bool:
        """Let what is due hold from this step on; returns whether anything was."""
        changed = False
        while (change := self.controls.due(self._part.run.step + 1)) is not None:
            self._apply(change)
            changed = True
        return changed

    def after_step(self, seconds: float) -> None:
        """Let the monitor look after a step that took so long."""
        self._monitor.stepped(self._part.run.step, seconds)

    def evaluated(self, scored: Scored) -> None:
        """Let the monitor look after an evaluation."""
        self.look(scored.logits)

    def look(self, logits: Sequence[np.ndarray]) -> None:
        """Let the monitor look at the student's logits of every feature of the gate rows."""
        run = self._part.run
        told = self._monitor.evaluated(run.step, logits)
        if told:
            run.context.metrics(run.step, {of_task(name, self._task): value for name, value in told.items()})

    def hear(self, wish: Wish) -> None:
        """Write a wish down, or say why not."""
        run, controls = self._part.run, self.controls
        if controls.known(wish.number):
            return
        if wish.stage not in (None, self._part.index):
            run.event("warning", "A change was asked for too late: the stage that it was meant for is over.")
            return
        try:
            wanted = check_change(controls.config, wish.values)
            before = {name: self._objective.value(name) for name in NAMES}
            controls.note(wish.number, run.step + 1, wanted, before)
        except BertloomError as error:
            run.event("warning", f"Nothing was changed. {error.message()}", step=run.step)

    def _apply(self, change: Change) -> None:
        before = {name: self._objective.value(name) for name in change.after}
        self.controls.apply(change)
        words = change_words(before, change.after)
        whose, named = (f", {self._task}", {"task": self._task}) if self._task else ("", {})
        self._part.tell(
            "person", "change", f"From step {change.step} on{whose}: {words}.",
            {"before": before, "after": dict(change.after), "own_step": self._part.attempt.own, **named},
        )  # fmt: skip
