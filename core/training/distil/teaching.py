"""A stage of kind ``distil`` between its steps: hears what a person changes, and lets the monitor look."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from core.errors import BertloomError
from core.training.distil.controls import NAMES, SERIES, Change, Controls, change_words, check_change
from core.training.distil.monitor import Monitor

if TYPE_CHECKING:
    from core.training.context import Wish
    from core.training.distil.objective import Objective
    from core.training.session import Scored
    from core.training.stage import StageRun

__all__ = ["Teaching"]


class Teaching:
    """What a distilled stage does beside its steps.

    Parameters
    ----------
    part
        The stage.
    objective
        Its loss.
    state
        What :meth:`state_dict` returned, where the stage is resumed.
    """

    def __init__(self, part: StageRun, objective: Objective, state: Mapping[str, Any] | None):
        run = part.run
        self._part, self._objective = part, objective
        self.controls = Controls(objective.config, part.index, run.folder)
        if state is not None:
            self.controls.load_state_dict(state)
        objective.held = self.controls.held
        begins = part.attempt.own == 0 and part.attempt.number == 1
        self._monitor = Monitor(
            part.session.engine, objective, run.folder, part.index, step=run.step, fresh=begins, event=run.event
        )
        if begins:
            self._monitor.begin(run.step)

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint needs."""
        return self.controls.state_dict()

    def series(self) -> dict[str, float]:
        """Return the values that hold, by series."""
        return {name: self._objective.value(what) for what, name in SERIES.items()}

    def before_step(self) -> None:
        """Take what a person wants changed, and let what is due hold from this step on."""
        run = self._part.run
        for wish in run.context.wishes():
            self._take(wish)
            run.context.took(wish.number)
        changed = False
        while (change := self.controls.due(run.step + 1)) is not None:
            self._apply(change)
            changed = True
        if changed:
            run.save()

    def after_step(self, seconds: float) -> None:
        """Let the monitor look after a step that took so long."""
        self._monitor.stepped(self._part.run.step, seconds)

    def evaluated(self, scored: Scored) -> None:
        """Let the monitor look after an evaluation."""
        run = self._part.run
        told = self._monitor.evaluated(run.step, scored.logits)
        if told:
            run.context.metrics(run.step, told)

    def _take(self, wish: Wish) -> None:
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
        self._part.tell(
            "person", "change", f"From step {change.step} on: {words}.",
            {"before": before, "after": dict(change.after), "own_step": self._part.attempt.own},
        )  # fmt: skip
