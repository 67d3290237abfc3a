"""A run inside a background thread of this process: for small machines, notebooks, tests. It ends with the process."""

from __future__ import annotations

import logging
import os
import threading
import time
from pathlib import Path

from core.runs import identity
from core.runs.claims import Claim
from core.runs.recorder import Recorder
from core.runs.store import Store

__all__ = ["ThreadBackend", "ThreadWorker", "runs_here"]

_log = logging.getLogger(__name__)
#: Runs that execute in threads of this process, by home and id, whichever manager started them.
_HERE: set[tuple[str, str]] = set()
_HERE_LOCK = threading.Lock()


def runs_here(home: Path, run_id: str) -> bool:
    """Whether a run executes in a thread of this process."""
    with _HERE_LOCK:
        return (str(home), run_id) in _HERE


class ThreadWorker:
    """A run in a thread."""

    def __init__(self, store: Store, claim: Claim) -> None:
        _, self.pid, self.created = identity.me()
        self._store = store
        self._claim = claim
        self._recorder: Recorder | None = None
        self._stopped = False
        self._code: int | None = None
        self._key = (str(store.home.root), claim.id)
        with _HERE_LOCK:
            _HERE.add(self._key)
        self._thread = threading.Thread(target=self._run, name=f"bertloom-run-{claim.id}", daemon=True)
        self._thread.start()

    def poll(self) -> int | None:
        """Return 0 when the run's end is recorded, 1 when that failed."""
        return None if self._thread.is_alive() else (1 if self._code is None else self._code)

    def stop(self) -> None:
        """Ask the run to write a checkpoint and end."""
        self._stopped = True
        if self._recorder is not None:
            self._recorder.stop()

    def kill(self) -> bool:
        """Do nothing: a thread cannot be killed."""
        return False

    def join(self, timeout: float) -> bool:
        """Wait for the thread; returns whether it has ended."""
        self._thread.join(max(timeout, 0))
        return not self._thread.is_alive()

    def _run(self) -> None:
        # Read when torch is loaded; see the process backend.
        os.environ.setdefault("GOMP_SPINCOUNT", "5000")
        from core.runs.execute import execute

        place = self._store.home.run(self._claim.id)
        handler: logging.Handler | None = None
        try:
            place.mkdir(parents=True, exist_ok=True)
            handler = _log_to(place / "log.txt", self._thread)
            execute(self._store, self._claim.id, self._claim.token, on_recorder=self._listen)
            self._code = 0
        except BaseException:  # the manager records the end of a thread that failed to do so
            _log.exception("the run %s could not record its end", self._claim.id)
            self._code = 1
        finally:
            if handler is not None:
                logging.getLogger().removeHandler(handler)
                handler.close()
            with _HERE_LOCK:
                _HERE.discard(self._key)

    def _listen(self, recorder: Recorder) -> None:
        self._recorder = recorder
        if self._stopped:
            recorder.stop()


class ThreadBackend:
    """Starts runs in threads.

    Parameters
    ----------
    store
        The store of the home.
    """

    name = "thread"
    survives = False

    def __init__(self, store: Store) -> None:
        self._store = store
        self._workers: list[ThreadWorker] = []

    def start(self, claim: Claim) -> ThreadWorker:
        """Start a run in a thread."""
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        self._workers = [worker for worker in self._workers if worker.poll() is None]
        worker = ThreadWorker(self._store, claim)
        self._workers.append(worker)
        return worker

    def prepare(self) -> None:
        """Do nothing: torch is imported by the first run."""

    def close(self, timeout: float) -> None:
        """Ask all runs to write a checkpoint and end, and wait for that."""
        until = time.monotonic() + timeout
        for worker in self._workers:
            worker.stop()
        for worker in self._workers:
            worker.join(until - time.monotonic())


def _log_to(path: Path, thread: threading.Thread) -> logging.Handler:
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    handler.setLevel(logging.INFO)
    handler.addFilter(lambda record: record.thread == thread.ident)
    root = logging.getLogger()
    root.addHandler(handler)
    for name in ("core", "tests"):  # what we tell ourselves is told at INFO, other libraries as they are set
        logger = logging.getLogger(name)
        if logger.getEffectiveLevel() > logging.INFO:
            logger.setLevel(logging.INFO)
    return handler
