"""A joint run with teachers between its steps: what a person changes of a task, and looks at each task's student."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from core.training.distil.places import taught_folder
from core.training.distil.teaching import Teaching

if TYPE_CHECKING:
    from core.training.engine import Engine
    from core.training.session import Scored
    from core.training.stage import StageRun

__all__ = ["JointTeaching"]


class JointTeaching:
    """A :class:`core.training.distil.teaching.Teaching` for each task that has teachers, in a folder of its own.

    Parameters
    ----------
    part
        The run's stage.
    engines
        Of each such task what runs it.
    logits
        Of each task the student's logits of the gate rows at the last evaluation; kept up to date by the session.
    state
        What :meth:`state_dict` returned, where the run is resumed.
    """

    def __init__(
        self, part: StageRun, engines: Mapping[str, Engine], logits: Mapping[str, Sequence[np.ndarray]],
        state: Mapping[str, Any] | None,
    ):  # fmt: skip
        self._run, self._logits = part.run, logits
        self._tasks: dict[str, Teaching] = {}
        for name, engine in engines.items():
            place = taught_folder(part.run.folder, name)
            place.mkdir(parents=True, exist_ok=True)
            self._tasks[name] = Teaching(part, engine, (state or {}).get(name), folder=place, task=name)

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint needs."""
        return {name: one.state_dict() for name, one in self._tasks.items()}

    @property
    def applied(self) -> int:
        """How many changes hold so far."""
        return sum(one.applied for one in self._tasks.values())

    def series(self) -> dict[str, float]:
        """Return the values that hold, by series."""
        return {series: value for one in self._tasks.values() for series, value in one.series().items()}

    def before_step(self) -> None:
        """Take what a person wants changed, and let what is due hold from this step on."""
        run = self._run
        for wish in run.context.wishes():
            meant = self._tasks.get(wish.task)
            if meant is None:
                run.event("warning", f"Nothing was changed: no task {wish.task!r} of this run has a teacher.")
            else:
                meant.hear(wish)
            run.context.took(wish.number)
        changed = [one.change() for one in self._tasks.values()]
        if any(changed):
            run.save()

    def after_step(self, seconds: float) -> None:
        """Let each task's monitor look after a step that took so long; together they keep to one's share of it."""
        for one in self._tasks.values():
            one.after_step(seconds / len(self._tasks))

    def evaluated(self, scored: Scored) -> None:
        """Let each task's monitor look after an evaluation."""
        for name, one in self._tasks.items():
            one.look(self._logits.get(name, []))
