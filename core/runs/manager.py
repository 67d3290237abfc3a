"""The manager: background threads that take runs from the queue, start and watch them, and record how they end.

The truth is the store. Several managers on one home (two dashboards, a shell) share one queue and never start a run
twice; a manager that starts finds the workers that an earlier one left behind and watches them on.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import psutil

from core.errors import BertloomError, StorageError
from core.runs import folder, identity, trouble
from core.runs.backends import Backend, ProcessBackend, ThreadBackend, Worker
from core.runs.backends.thread import runs_here
from core.runs.claims import Claim
from core.runs.housekeeping import purge
from core.runs.records import Status
from core.runs.store import Store

__all__ = ["FLOOR_BYTES", "Manager"]

_log = logging.getLogger(__name__)


def _floor() -> int:
    named = os.environ.get("BERTLOOM_MIN_FREE_MB", "")
    return int(named) * 1_000_000 if named.isdigit() else 500_000_000


_TICK_SECONDS = 0.25
_BEAT_SECONDS = 1.0
#: Seconds without a heartbeat after which a run on another machine, whose processes cannot be seen, counts as dead.
_FOREIGN_STALE = 60.0
#: Seconds without a heartbeat after which a run that another living manager watches is looked at too.
_OTHERS_SECONDS = 15.0
#: Seconds without a heartbeat after which a living worker is reported as silent.
_SILENT = 60.0
#: Seconds after which the next worker is got ready once nothing runs.
_WARM_AFTER = 5.0
#: No run is started with less free disk than this.
FLOOR_BYTES = _floor()


@dataclass
class _Watched:
    """A worker that this manager has started."""

    claim: Claim
    worker: Worker
    oom_kills: int | None


class Manager:
    """Claims, starts and watches runs from a background thread.

    Parameters
    ----------
    store
        The store of the home.
    warm
        Whether the next worker process is got ready in advance.
    slots
        Runs that may run at a time on this home.
    grace
        Seconds that a run may take to answer to *cancel* before its process is killed.
    """

    def __init__(self, store: Store, *, warm: bool = True, slots: int = 1, grace: float = 20.0) -> None:
        self.token = secrets.token_hex(8)
        #: What keeps the manager from working now, for pages to show.
        self.problem: str | None = None
        self._store = store
        self._slots = slots
        self._grace = grace
        self._warm = warm and os.environ.get("BERTLOOM_WARM", "1") != "0"
        self._backends: dict[str, Backend] = {
            backend.name: backend for backend in (ProcessBackend(store.home), ThreadBackend(store))
        }
        self._mine: dict[str, _Watched] = {}
        self._silent: set[str] = set()
        self._beaten = 0.0
        self._idle_since = time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bertloom-manager", daemon=True)

    @property
    def backends(self) -> Mapping[str, Backend]:
        """Backends by name."""
        return self._backends

    def start(self) -> Manager:
        """Start the thread."""
        with contextlib.suppress(BertloomError):  # told by the first tick
            self._store.claims.beat(self.token)
        self._thread.start()
        return self

    def close(self, timeout: float = 5.0) -> None:
        """Stop claiming and watching. Worker processes go on; runs in threads write a checkpoint and end."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout)
        for backend in self._backends.values():
            backend.close(timeout)
        with contextlib.suppress(BertloomError):
            self._watch()  # record what ended just now
            self._store.claims.leave(self.token)

    # -- the thread --------------------------------------------------------------------------------------------------
    def _run(self) -> None:
        first = True
        while not self._stop.is_set():
            try:
                if first:
                    purge(self._store)
                    first = False
                self.tick()
                self.problem = None
            except BertloomError as error:
                if self.problem != error.message():
                    _log.error("%s", error)
                self.problem = error.message()
                self._stop.wait(1.0)
            except Exception as error:  # the thread must live on: without it no run would start or end
                _log.exception("the manager stumbled and goes on")
                self.problem = f"Unexpected error in the background thread: {error}"
                self._stop.wait(1.0)
            self._stop.wait(_TICK_SECONDS)

    def tick(self) -> None:
        """Do one round: heartbeat, watch, claim, start, get ready."""
        moment = time.monotonic()
        if moment - self._beaten >= _BEAT_SECONDS:
            self._store.claims.beat(self.token)
            self._beaten = moment
        active = self._watch()
        while not self._stop.is_set():
            claim = self._store.claims.claim(self.token, self._slots)
            if claim is None:
                break
            self._start(claim)
            active += 1
        if active:
            self._idle_since = moment
        elif self._warm and moment - self._idle_since >= _WARM_AFTER:
            for backend in self._backends.values():
                backend.prepare()

    # -- starting ----------------------------------------------------------------------------------------------------
    def _start(self, claim: Claim) -> None:
        try:
            self._check_disk()
            worker = self._backends[claim.backend].start(claim)
        except Exception as error:
            _log.exception("the run %s could not be started", claim.id)
            stored = trouble.error_of(error)
            self._store.events.add(claim.id, "error", stored["message"])
            self._store.claims.end(claim.id, claim.token, Status.FAILED, error=stored)
            return
        self._mine[claim.id] = _Watched(claim, worker, trouble.oom_kills())
        self._store.claims.handed(claim.id, claim.token, worker.pid, worker.created)

    def _check_disk(self) -> None:
        free = shutil.disk_usage(self._store.home.root).free
        if free < FLOOR_BYTES:
            raise StorageError(
                f"Only {free / 1e6:.0f} MB of disk are free; a run is not started with less than "
                f"{FLOOR_BYTES / 1e6:.0f} MB.",
                where=str(self._store.home.root),
                advice="Free some space (old checkpoints and caches first), then resume the run.",
            )

    # -- watching ----------------------------------------------------------------------------------------------------
    def _watch(self) -> int:
        """Look after all active runs; return how many are left."""
        rows = self._store.claims.active()
        left = 0
        for row in rows:
            watched = self._mine.get(row["id"])
            if watched is not None and watched.claim.token == row["token"]:
                left += self._watch_mine(row, watched)
            else:
                left += self._watch_orphan(row)
        # a worker that recorded its end itself is only waited for, so that it does not stay as a zombie
        live = {(row["id"], row["token"]) for row in rows}
        for run_id, watched in list(self._mine.items()):
            if (run_id, watched.claim.token) not in live and watched.worker.poll() is not None:
                del self._mine[run_id]
        return left

    def _watch_mine(self, row: sqlite3.Row, watched: _Watched) -> bool:
        code = watched.worker.poll()
        if code is not None:
            del self._mine[row["id"]]
            kills = trouble.oom_kills()
            oom = kills is not None and watched.oom_kills is not None and kills > watched.oom_kills
            self._bury(row, code, oom=oom)
            return False
        self._insist(row, watched.worker.kill)
        self._listen(row)
        return True

    def _watch_orphan(self, row: sqlite3.Row) -> bool:
        """Look after a run that another manager has started; returns whether it still lives."""
        theirs = row["owner"] != self.token and self._store.claims.present(row["owner"])
        if theirs and time.time() - row["heartbeat"] < _OTHERS_SECONDS:
            return True  # its own manager knows better
        if row["host"] != identity.host():
            if time.time() - row["heartbeat"] < _FOREIGN_STALE:
                return True
            self._bury(row, None)
            return False
        if row["pid"] is None:
            if theirs:
                return True
            return not self._store.claims.requeue(row["id"], row["token"])
        living = identity.alive(row["pid"], row["pid_created"])
        if living and row["backend"] == "thread" and row["pid"] == os.getpid():
            living = runs_here(self._store.home.root, row["id"])
        if not living:
            self._bury(row, None)
            return False
        if row["owner"] != self.token:
            self._store.claims.adopt(row["id"], row["token"], self.token)
        self._insist(row, lambda: _kill(row))
        self._listen(row)
        return True

    def _insist(self, row: sqlite3.Row, kill: Callable[[], bool]) -> None:
        """Kill a worker that does not answer to *cancel* in time."""
        if row["status"] != Status.CANCELLING or row["asked"] is None or time.time() - row["asked"] < self._grace:
            return
        if kill():
            _log.warning("run %s did not answer to cancel for %.0f s and was stopped", row["id"], self._grace)

    def _listen(self, row: sqlite3.Row) -> None:
        """Tell once when a living worker is silent, and when it is heard again."""
        silence = time.time() - row["heartbeat"]
        if silence > _SILENT and row["id"] not in self._silent:
            self._silent.add(row["id"])
            self._tell(
                row["id"],
                f"No heartbeat for {silence:.0f} s. The worker lives; it may be stopped or the store not writable.",
            )
        elif silence <= _SILENT and row["id"] in self._silent:
            self._silent.discard(row["id"])
            self._tell(row["id"], "The worker is heard again.")

    def _tell(self, run_id: str, message: str) -> None:
        _log.warning("run %s: %s", run_id, message)
        with contextlib.suppress(BertloomError):
            self._store.events.add(run_id, "warning", message)

    def _bury(self, row: sqlite3.Row, code: int | None, *, oom: bool = False) -> None:
        """Record the end of a run whose worker is gone."""
        run_id, token = row["id"], row["token"]
        place = self._store.home.run(run_id)
        testament = folder.read_testament(place, token)
        if testament is not None:  # it had done its work and only the store could not be written
            status, error, message = Status(testament["status"]), testament.get("error"), "Its end was recorded later."
            metrics = testament.get("metrics")
        else:
            cancelled = row["status"] == Status.CANCELLING
            status, error, message = trouble.judge(code, cancelled=cancelled, oom=oom, log=folder.read_log(place, 20))
            metrics = None
        self._silent.discard(run_id)
        size = folder.bytes_of(place)
        if self._store.claims.end(run_id, token, status, error=error, metrics=metrics, size=size):
            kind = "error" if status is Status.FAILED else "warning"
            self._store.events.add(run_id, kind, message, exit=code)
            _log.warning("run %s: %s", run_id, message)


def _kill(row: sqlite3.Row) -> bool:
    """Kill a worker that this process has not started, if it can be killed."""
    if row["backend"] != "process" or not identity.alive(row["pid"], row["pid_created"]):
        return False
    try:
        psutil.Process(row["pid"]).kill()
    except psutil.Error:
        return False
    return True
