"""What training writes into: queues in memory that a thread empties into the store every half second.

No call made by a training step touches the disk. Errors of the store never reach the training: what could not be
written stays queued and is tried again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from core.config import RunConfig
from core.errors import BertloomError, RunError
from core.runs.claims import OwnershipLost
from core.runs.events import NewEvent
from core.runs.line import Asked, Batch, Line
from core.runs.points import Point
from core.runs.records import Status
from core.training.context import ChildContext, Request, Wish

__all__ = ["Recorder"]

_log = logging.getLogger(__name__)
_FLUSH_SECONDS = 0.5
_RETRY_SECONDS = 5.0
#: Points and events that may wait; beyond that every second of the older points is let go.
_MOST_POINTS = 200_000
_MOST_EVENTS = 10_000


class Recorder:
    """A :class:`~core.training.context.RunContext` on a line to the store.

    Parameters
    ----------
    line
        Where batches go.
    folder, cache
        The run's folder and the home's cache folder.
    progress
        The run's progress so far, which updates are merged into.
    seconds
        Seconds of work of earlier attempts.
    on_lost
        Called once, from the writing thread, when the run turned out to belong to another worker.
    parts
        Opens a part of the run; see :func:`core.runs.children.open_child`.
    """

    def __init__(
        self,
        line: Line,
        folder: Path,
        cache: Path,
        *,
        progress: Mapping[str, Any] | None = None,
        seconds: float = 0.0,
        on_lost: Callable[[], None] | None = None,
        parts: Callable[..., ChildContext] | None = None,
    ) -> None:
        self._line = line
        self._parts = parts
        self._folder = folder
        self._cache = cache
        self._on_lost = on_lost
        self._points: list[Point] = []
        self._events: list[NewEvent] = []
        self._progress: dict[str, Any] = dict(progress or {})
        self._changed = False
        self._queue = threading.Lock()  # held for appends only
        self._writing = threading.Lock()  # held while a batch is written
        self._began = time.monotonic()
        self._seconds = seconds
        self._asked: Status | None = None
        self._save = False
        self._wishes: list[Wish] = []
        self._took: list[int] = []
        self._stop = False
        self._lost = False
        self._trouble: float | None = None
        self._dropped = 0
        self._wake = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="bertloom-recorder", daemon=True)

    # -- what training calls -----------------------------------------------------------------------------------------
    @property
    def folder(self) -> Path:
        """The run's folder."""
        return self._folder

    @property
    def cache(self) -> Path:
        """The home's cache folder."""
        return self._cache

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Queue values of series at a step."""
        moment = time.time()
        try:
            points = [(name, int(step), float(value), moment) for name, value in values.items()]
        except (TypeError, ValueError):
            _log.exception("metrics of step %s are not numbers and were left out: %r", step, values)
            return
        with self._queue:
            self._points += points

    def event(self, kind: str, message: str, *, step: int | None = None, data: Mapping[str, Any] | None = None) -> None:
        """Queue an event."""
        with self._queue:
            self._events.append(NewEvent(kind, str(message), step, dict(data or {})))
        _log.log(_LEVELS.get(kind, logging.INFO), "%s%s: %s", kind, "" if step is None else f" at step {step}", message)

    def progress(self, **values: Any) -> None:
        """Merge values into the run's progress."""
        with self._queue:
            self._progress.update(values)
            self._changed = True

    def request(self) -> Request:
        """Return what was asked, as of at most half a second ago; reads two variables."""
        if self._lost or self._asked is Status.CANCELLING:
            return Request.CANCEL
        if self._stop or self._asked is Status.PAUSING:
            return Request.PAUSE
        if self._save:
            self._save = False
            return Request.SAVE
        return Request.NONE

    def wishes(self) -> list[Wish]:
        """Return the changes that were asked and not taken, as of at most half a second ago."""
        if not self._wishes:
            return []
        with self._queue:
            return list(self._wishes)

    def took(self, number: int) -> None:
        """Note that a change was taken; the store is told with the next batch."""
        with self._queue:
            self._took.append(number)
            self._wishes = [wish for wish in self._wishes if wish.number != number]

    def flush(self) -> None:
        """Write everything queued now; a store that cannot be written is told in the log and tried again later."""
        self._write()

    def child(self, key: str, *, name: str, plan: RunConfig, tags: Sequence[str] = ()) -> ChildContext:
        """Open a part of the run; see :meth:`core.training.context.RunContext.child`."""
        if self._parts is None:
            raise RunError("This run cannot have parts.", where=str(self._folder))
        return self._parts(self.request, key, name=name, plan=plan, tags=tags)

    # -- what the worker calls ---------------------------------------------------------------------------------------
    @property
    def lost(self) -> bool:
        """Whether the run belongs to another worker now."""
        return self._lost

    @property
    def asked(self) -> Status | None:
        """PAUSING or CANCELLING if that was asked."""
        return self._asked

    @property
    def stopped(self) -> bool:
        """Whether :meth:`stop` was called."""
        return self._stop

    @property
    def pending(self) -> int:
        """Number of points and events that are not written yet."""
        with self._queue:
            return len(self._points) + len(self._events)

    def start(self, asked: Status | None = None) -> Recorder:
        """Start the writing thread; `asked` is what was asked before the worker began."""
        self._asked = asked if asked in (Status.PAUSING, Status.CANCELLING) else None
        self._thread.start()
        return self

    def stop(self) -> None:
        """Ask the training to write a checkpoint and stop, because the process is to end. Safe in signal handlers."""
        self._stop = True

    def close(self, patience: float = 10.0) -> bool:
        """Write what is left and end the thread.

        Parameters
        ----------
        patience
            Seconds to go on trying if the store cannot be written.

        Returns
        -------
        bool
            Whether everything was written.
        """
        self._closing = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()
        until = time.monotonic() + patience
        while not self._write() and not self._lost and time.monotonic() < until:
            time.sleep(0.2)
        return not self._lost and self.pending == 0

    # -- writing -----------------------------------------------------------------------------------------------------
    def _run(self) -> None:
        pause = _FLUSH_SECONDS
        while not self._closing and not self._lost:
            self._wake.wait(pause)
            if self._closing:
                return
            if self._write():
                pause = _FLUSH_SECONDS
                self._settle()
            else:
                pause = min(pause * 2, _RETRY_SECONDS)

    def _settle(self) -> None:
        try:
            self._line.settle()
        except BertloomError as error:
            _log.warning("the coarse copy of the series was not renewed: %s", error)
        except Exception:
            _log.exception("the coarse copy of the series was not renewed")

    def _write(self) -> bool:
        with self._writing:
            if self._lost:
                return False
            with self._queue:
                points, self._points = self._points, []
                events, self._events = self._events, []
                took = list(self._took)
                progress = dict(self._progress) if self._changed else None
                self._changed = False
            seconds = self._seconds + time.monotonic() - self._began
            try:
                asked = self._line.write(Batch(points, self._told(events), progress, seconds, took))
            except OwnershipLost as error:
                self._lost = True
                _log.error("%s", error)
                if self._on_lost is not None:
                    self._on_lost()
                return False
            except Exception as error:  # a full disk, a lock, a damaged file: training goes on
                self._put_back(points, events, progress is not None)
                if self._trouble is None:
                    self._trouble = time.time()
                    _log.warning("the store could not be written and will be tried again: %s", error)
                return False
            if self._trouble is not None:
                _log.warning("the store can be written again after %.0f s", time.time() - self._trouble)
            self._trouble, self._dropped = None, 0
            self._hear(asked, took)
            return True

    def _told(self, events: list[NewEvent]) -> list[NewEvent]:
        if self._trouble is None:
            return events
        lost = f" {self._dropped} of the waiting points had to be let go." if self._dropped else ""
        return [
            *events,
            NewEvent(
                "warning",
                f"The store could not be written for {time.time() - self._trouble:.0f} s; what had waited was "
                f"written then.{lost}",
                data={"seconds": time.time() - self._trouble, "dropped": self._dropped},
            ),
        ]

    def _hear(self, asked: Asked, told: Sequence[int]) -> None:
        with self._queue:
            self._wishes = [wish for wish in asked.wishes if wish.number not in self._took]
            self._took = [number for number in self._took if number not in told]
        if asked.save:
            self._save = True
        self._asked = asked.stop  # last: what is to be changed before a pause is known by then

    def _put_back(self, points: list[Point], events: list[NewEvent], progress: bool) -> None:
        with self._queue:
            self._points = points + self._points
            self._events = (events + self._events)[-_MOST_EVENTS:]
            self._changed = self._changed or progress
            if len(self._points) > _MOST_POINTS:
                half = len(self._points) // 2
                kept = self._points[:half:2] + self._points[half:]
                self._dropped += len(self._points) - len(kept)
                self._points = kept


_LEVELS = {"warning": logging.WARNING, "error": logging.ERROR, "guard": logging.WARNING}
