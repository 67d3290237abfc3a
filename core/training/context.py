"""What training may ask of whoever runs it: record numbers, tell progress, and hear requests.

The runs room implements it on the store; tests and benchmarks use :class:`MemoryContext`.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from core.config import RunConfig

__all__ = ["ChildContext", "Ended", "MemoryChild", "MemoryContext", "Outcome", "Request", "RunContext", "Wish"]

#: How a part of a run ended by itself; `cancelled` is one that was ended early because nothing was to be expected.
Ended = Literal["finished", "cancelled", "failed"]


class Request(StrEnum):
    """What a person asked of a running run. Read between two steps."""

    NONE = "none"
    PAUSE = "pause"
    CANCEL = "cancel"
    SAVE = "save"


@dataclass(frozen=True)
class Wish:
    """Values that a person wants changed while a run trains.

    Parameters
    ----------
    number
        Of the request; each is taken once.
    stage
        Place of the stage that it is meant for, among those that are executed, from 0; None: whichever trains.
    values
        Name → value.
    task
        Of a joint run the task that it is meant for.
    """

    number: int
    stage: int | None
    values: Mapping[str, float]
    task: str = ""


class Outcome(StrEnum):
    """How :func:`core.training.train` returned. Failures are exceptions."""

    FINISHED = "finished"
    PAUSED = "paused"
    CANCELLED = "cancelled"


class RunContext(Protocol):
    """The training's only way out. No method may raise or block for longer than a queue put, but `flush`."""

    @property
    def folder(self) -> Path:
        """The run's folder: checkpoints/, best/, results.json and data_report.json go here."""
        ...

    @property
    def cache(self) -> Path:
        """The home's cache folder, shared between runs."""
        ...

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Queue values of series (``train/loss``, ``lr/<group>``, ``gate/<metric>`` …) at a step."""
        ...

    def event(self, kind: str, message: str, *, step: int | None = None, data: Mapping[str, Any] | None = None) -> None:
        """Queue an event (kinds: stage, eval, checkpoint, best, guard, decision, info, warning, error)."""
        ...

    def progress(self, **values: Any) -> None:
        """Update the run's progress: any of phase, step, total_steps, epoch, eta_s, best (dict), examples_per_s."""
        ...

    def request(self) -> Request:
        """Return what was asked since the last call. PAUSE and CANCEL stay, SAVE is returned once."""
        ...

    def wishes(self) -> Sequence[Wish]:
        """Return the values that a person wants changed and that were not taken yet, the oldest first."""
        ...

    def took(self, number: int) -> None:
        """Tell that a wish was written down, or refused: it need not be told again."""
        ...

    def flush(self) -> None:
        """Write everything queued; called before a checkpoint and at the end."""
        ...

    def child(self, key: str, *, name: str, plan: RunConfig, tags: Sequence[str] = ()) -> ChildContext:
        """Open a run that is a part of this one: listed below it, with a page of its own, executed right here.

        Parameters
        ----------
        key
            The same key gives the same run, also after a resume; it then begins again.
        name
            Its name, of 1 to 120 characters.
        plan
            What it does, as a plan (or the config of another kind of run) that can be started by itself.
        tags
            Its tags.
        """
        ...


class ChildContext(RunContext, Protocol):
    """The context of a part. What was asked of the whole is asked of the part."""

    @property
    def id(self) -> str:
        """The part's id among the runs."""
        ...

    def finish(
        self, ended: Ended, *, metrics: Mapping[str, float] | None = None, error: BaseException | None = None
    ) -> None:
        """Record how it ended, with its metrics or the error; nothing may be told afterwards."""
        ...

    def leave(self) -> None:
        """Write what is queued without recording an end: the whole was stopped, and the part with it."""
        ...


@dataclass
class MemoryContext:
    """A context that keeps everything in memory; `at` maps a step to the request to answer from that step on.

    `changes` maps a step to values that are to be changed once it was reached, of a joint run those of `changed`.
    """

    folder: Path
    cache: Path
    at: dict[int, Request] = field(default_factory=dict)
    points: dict[tuple[str, int], float] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    state: dict[str, Any] = field(default_factory=dict)
    step: int = 0
    children: dict[str, MemoryChild] = field(default_factory=dict)
    changes: dict[int, dict[str, float]] = field(default_factory=dict)
    changed: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Keep values."""
        with self._lock:
            self.step = max(self.step, step)
            self.points.update({(name, step): value for name, value in values.items()})

    def event(self, kind: str, message: str, *, step: int | None = None, data: Mapping[str, Any] | None = None) -> None:
        """Keep an event."""
        self.events.append({"kind": kind, "message": message, "step": step, "data": dict(data or {})})

    def progress(self, **values: Any) -> None:
        """Keep progress."""
        self.state.update(values)

    def request(self) -> Request:
        """Return the request set for a step that was reached."""
        due = [step for step in self.at if step <= self.step]
        if not due:
            return Request.NONE
        asked = self.at[max(due)]
        if asked is Request.SAVE:
            del self.at[max(due)]
        return asked

    def wishes(self) -> list[Wish]:
        """Return the changes set for a step that was reached and not taken yet."""
        return [
            Wish(step, None, values, self.changed) for step, values in sorted(self.changes.items()) if step <= self.step
        ]

    def took(self, number: int) -> None:
        """Forget a change that was taken."""
        self.changes.pop(number, None)

    def flush(self) -> None:
        """Nothing is queued."""

    def child(self, key: str, *, name: str, plan: RunConfig, tags: Sequence[str] = ()) -> MemoryChild:
        """Open a part, or open it again."""
        found = MemoryChild(
            self.folder / "children" / key, self.cache, whole=self, id=key, name=name, plan=plan, tags=tuple(tags)
        )
        found.folder.mkdir(parents=True, exist_ok=True)
        self.children[key] = found
        return found

    def series(self, name: str) -> list[tuple[int, float]]:
        """Return one series as (step, value) pairs in order."""
        return sorted((step, value) for (series, step), value in self.points.items() if series == name)


@dataclass
class MemoryChild(MemoryContext):
    """A part of a :class:`MemoryContext`'s run; `ended` is None until it has ended."""

    whole: MemoryContext | None = None
    id: str = ""
    name: str = ""
    plan: RunConfig | None = None
    tags: tuple[str, ...] = ()
    ended: Ended | None = None
    result: dict[str, float] = field(default_factory=dict)
    error: BaseException | None = None

    def request(self) -> Request:
        """Return what was asked of the whole, judged by this part's own steps where `at` names some."""
        own = super().request()
        if own is not Request.NONE or self.whole is None:
            return own
        return self.whole.request()

    def finish(
        self, ended: Ended, *, metrics: Mapping[str, float] | None = None, error: BaseException | None = None
    ) -> None:
        """Keep how it ended."""
        self.ended, self.result, self.error = ended, dict(metrics or {}), error

    def leave(self) -> None:
        """Nothing is queued."""
