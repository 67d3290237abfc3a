"""One process a run, in a session of its own: it outlives the dashboard, and its output goes to a file."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import core
from core.errors import RunError
from core.runs import identity
from core.runs.claims import Claim
from core.runs.sources import names_hub
from core.settings import Home

__all__ = ["ProcessBackend", "ProcessWorker", "worker_command", "worker_environment"]

_log = logging.getLogger(__name__)


def worker_environment(*, hub: bool) -> dict[str, str]:
    """Return the environment of a process that works for us.

    Parameters
    ----------
    hub
        Whether the plan names a hub source. Otherwise the libraries are told to stay offline.
    """
    environment = dict(os.environ)
    package = str(Path(next(iter(core.__path__))).parent)
    paths = [package, *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
    environment["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(paths))
    environment["PYTHONUNBUFFERED"] = "1"
    environment["PYTHONIOENCODING"] = "utf-8"
    # the same order of sets, and the same results of matrix products, in every attempt of a run
    environment["PYTHONHASHSEED"] = "0"
    environment.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    environment.setdefault("TOKENIZERS_PARALLELISM", "false")
    # The number of threads is the plan's matter; that it does not change by itself in mid-run is ours.
    environment.setdefault("OMP_DYNAMIC", "false")
    # Threads that wait by spinning take the cores from each other when anything else runs: on two busy cores a step
    # took 10.3 s. Sleeping at once (1.6 s) costs 13 % on a quiet machine; a short spin costs nothing there.
    environment.setdefault("GOMP_SPINCOUNT", "5000")
    environment.setdefault("KMP_BLOCKTIME", "1")
    # Kernels of bf16 products are kept by the shape of the batch, up to a thousand of them; nearly every batch has a
    # shape of its own. That took 500 MB more after fifty steps; one step needs about forty.
    environment.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "64")
    environment.setdefault("LRU_CACHE_CAPACITY", "64")
    environment["HF_HUB_DISABLE_TELEMETRY"] = environment["ORT_DISABLE_TELEMETRY"] = "1"
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE"):
        if hub:
            environment.pop(name, None)
        else:
            environment[name] = "1"
    return environment


def worker_command(module: str, *arguments: str) -> list[str]:
    """Return the command that runs one of our modules; the working folder is not searched for modules (``-P``)."""
    return [sys.executable, "-P", "-m", module, *arguments]


class ProcessWorker:
    """A worker process that this process has started."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.pid = process.pid
        self.created = identity.created(process.pid) or time.time()

    def poll(self) -> int | None:
        """Return the exit code once it has ended."""
        return self._process.poll()

    def stop(self) -> None:
        """Send SIGTERM: it writes a checkpoint and ends."""
        with contextlib.suppress(OSError):
            self._process.terminate()

    def kill(self) -> bool:
        """Send SIGKILL."""
        with contextlib.suppress(OSError):
            self._process.kill()
        return True

    def order(self, message: Mapping[str, Any]) -> bool:
        """Tell a waiting worker what to run; returns False if it is gone."""
        pipe = self._process.stdin
        if pipe is None or self._process.poll() is not None:
            return False
        try:
            pipe.write(json.dumps(message).encode() + b"\n")
            pipe.close()
        except OSError:
            return False
        self._process.stdin = None
        return True

    def dismiss(self) -> None:
        """End a worker that was never given a run."""
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
            self._process.stdin = None
        self.kill()  # it may be in the middle of importing, and has nothing to lose
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(2)


class ProcessBackend:
    """Starts worker processes, and keeps the next one warm.

    Parameters
    ----------
    home
        The home folder.
    """

    name = "process"
    survives = True

    def __init__(self, home: Home) -> None:
        self._home = home
        self._warm: ProcessWorker | None = None
        self._lock = threading.Lock()

    @property
    def warm_pid(self) -> int | None:
        """Process id of the worker that waits, ``None`` if there is none."""
        warm = self._warm
        return warm.pid if warm is not None and warm.poll() is None else None

    def start(self, claim: Claim) -> ProcessWorker:
        """Give the run to the warm worker, or start one."""
        order = {"run": claim.id, "token": claim.token}
        hub = names_hub(claim.plan)
        with self._lock:
            warm, self._warm = (None, self._warm) if hub else (self._warm, None)
        if warm is not None:
            if warm.order(order):
                return warm
            warm.dismiss()
        worker = self._spawn(hub=hub, warm=False)
        if not worker.order(order):
            raise RunError(
                f"The worker process ended before it began (exit status {worker.poll()}).", where=f"run {claim.id}",
                advice="The file logs/worker.log in the home folder says why; `bertloom doctor` checks the "
                "environment.",
            )  # fmt: skip
        return worker

    def prepare(self) -> None:
        """Start the next worker in advance."""
        with self._lock:
            if self._warm is None or self._warm.poll() is not None:
                self._warm = self._spawn(hub=False, warm=True)

    def close(self, timeout: float) -> None:
        """Dismiss the worker that waits. Those that work go on."""
        with self._lock:
            warm, self._warm = self._warm, None
        if warm is not None:
            warm.dismiss()

    def _spawn(self, *, hub: bool, warm: bool) -> ProcessWorker:
        arguments = ["--home", str(self._home.root), *(["--warm"] if warm else [])]
        try:
            # what it prints before it knows its run; afterwards the run's own log.txt
            with (self._home.logs / "worker.log").open("ab") as log:
                process = subprocess.Popen(
                    worker_command("core.runs.worker", *arguments),
                    stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True,
                    env=worker_environment(hub=hub),
                )  # fmt: skip
        except OSError as error:
            raise RunError(
                f"A worker process could not be started: {error}.",
                advice="Close other programs, or free some disk space.",
            ) from error
        return ProcessWorker(process)
