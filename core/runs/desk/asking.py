"""What runs are asked to do: to begin, to stop, to go on, to be called otherwise."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from core.config import RunConfig
from core.runs.control import Control
from core.runs.desk.reading import Reading
from core.runs.helper import Helper
from core.runs.records import RunRecord
from core.runs.store import Store

__all__ = ["Asking"]


class Asking(Reading):
    """Submits and controls runs."""

    def __init__(self, store: Store, helper: Helper, submitter: str | None = None) -> None:
        super().__init__(store, helper, submitter)
        self._control = Control(store)

    def submit(
        self,
        plan: RunConfig,
        *,
        request_id: str | None = None,
        now: bool = False,
        parent: str | None = None,
        kind: str = "train",
        estimate: Mapping[str, Any] | None = None,
    ) -> str:
        """Queue a run and return its id.

        Parameters
        ----------
        plan
            The complete plan, or the config of another kind of run. Relative paths of files are made absolute.
        request_id
            The same request id always gives the same run, so that a repeated click is one run.
        now
            Start at once, beside whatever runs.
        parent
            Id of the run that this one was duplicated from.
        kind
            What the run does, see :mod:`core.runs.kinds`.
        estimate
            The answer of :meth:`core.api.Studio.estimate` that the person had before; it is kept beside the run and
            compared with what the run takes.
        """
        return self._control.submit(
            plan, kind=kind, request_id=request_id, now=now, parent=parent, submitter=self._submitter, estimate=estimate
        )

    def pause(self, run_id: str) -> None:
        """Ask a run to write a checkpoint and stop; a queued run leaves the queue at once."""
        self._control.pause(run_id)

    def cancel(self, run_id: str) -> None:
        """Ask a run to write a checkpoint and end; a queued run is cancelled at once. It can be resumed later."""
        self._control.cancel(run_id)

    def save(self, run_id: str) -> None:
        """Ask a running run to write a checkpoint now."""
        self._control.save(run_id)

    def change(
        self,
        run_id: str,
        *,
        temperature: float | None = None,
        alpha: float | None = None,
        differences: float | None = None,
    ) -> dict[str, float]:
        """Change how a run that trains learns from its teacher, from its next step on; returns what will be set.

        Parameters
        ----------
        run_id
            The run, of a joint one RUN/TASK.
        temperature
            T of both softmaxes, above 0.
        alpha
            Share of the teachers' answers, 0 to 1.
        differences
            λ, how much more a position counts where student and teacher differ, 0 to 1.

        Raises
        ------
        RunError
            If it does not train now, or its stage has no teacher.
        ConfigError
            If a value is out of range.
        """
        values = {"temperature": temperature, "alpha": alpha, "differences": differences}
        return self._control.change(run_id, values)

    def resume(self, run_id: str, *, now: bool = False) -> None:
        """Put a stopped run back into the queue; it goes on from its last checkpoint, or from the start without one."""
        self._control.resume(run_id, now=now)

    def delete(self, run_id: str, *, keep_children: bool = False) -> None:
        """Delete a run with its metrics and folder; refused while a worker belongs to it.

        Its parts (trials of a search, say) go with it, or become runs of their own if they are to be kept.
        """
        self._control.delete(run_id, keep_children=keep_children)

    def move(self, run_id: str, where: str) -> None:
        """Move a queued run ``up``, ``down``, ``first`` or ``last``."""
        self._control.move(run_id, where)

    def rename(self, run_id: str, name: str) -> None:
        """Give a run another name."""
        self._control.rename(run_id, name)

    def set_tags(self, run_id: str, tags: Sequence[str]) -> None:
        """Replace a run's tags."""
        self._control.set_tags(run_id, tags)

    def wait(
        self, run_id: str, timeout: float | None = None, on_change: Callable[[RunRecord], None] | None = None
    ) -> RunRecord:
        """Wait until a run is neither queued nor active and return it; `on_change` is called for each change of it.

        Raises
        ------
        RunError
            If `timeout` seconds were not enough.
        """
        return self._control.wait(run_id, timeout, on_change)
