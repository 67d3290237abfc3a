"""The worker process: ``python -m core.runs.worker --home FOLDER [--warm]``.

It reads one line from standard input, ``{"run": ID, "token": TOKEN}``, and executes that run. With ``--warm`` it
imports torch and transformers first and then waits; if the line never comes because the parent is gone, it ends.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import json
import logging
import os
import signal
import sys
import types
from collections.abc import Sequence
from pathlib import Path

from core.errors import BertloomError
from core.settings import Home
from core.training.allocator import keep_freed_memory

__all__ = ["EXIT_LOST", "main"]

#: Exit status of a worker whose run belongs to another one.
EXIT_LOST = 75


def main(arguments: Sequence[str] | None = None) -> int:
    """Wait for a run and execute it; returns the exit status (0: its end is recorded)."""
    parser = argparse.ArgumentParser(prog="core.runs.worker")
    parser.add_argument("--home", required=True, type=Path)
    parser.add_argument("--warm", action="store_true")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in the terminal is the dashboard's matter
    if options.warm:
        _preload()
    line = sys.stdin.readline()
    if not line.strip():
        return 0
    order = json.loads(line)
    home = Home(options.home)
    place = home.run(str(order["run"]))
    _output_to(place)
    _prefer_as_victim()
    keep_freed_memory()
    try:
        return _execute(home, str(order["run"]), str(order["token"]))
    except BertloomError as error:  # the store itself failed: the manager records that this process ended
        logging.getLogger(__name__).exception("the worker could not go on")
        print(error.message(), file=sys.stderr, flush=True)
        return 1


def _execute(home: Home, run_id: str, token: str) -> int:
    from core.runs.execute import execute
    from core.runs.recorder import Recorder
    from core.runs.store import Store

    store = Store(home)

    def listen(recorder: Recorder) -> None:
        def terminate(_number: int, _frame: types.FrameType | None) -> None:
            recorder.stop()

        signal.signal(signal.SIGTERM, terminate)

    # A second worker has the run: not one more checkpoint may be written into its folder.
    ended = execute(store, run_id, token, on_recorder=listen, on_lost=lambda: os._exit(EXIT_LOST))
    store.close()
    return EXIT_LOST if ended is None else 0


def _preload() -> None:
    # a missing or broken package is told by the run that needs it, in its own log
    with contextlib.suppress(Exception):
        import datasets  # noqa: F401
        import torch  # noqa: F401
        import transformers  # noqa: F401

        import core.runs.execute
        import core.training.loop  # noqa: F401


def _output_to(place: Path) -> None:
    place.mkdir(parents=True, exist_ok=True)
    log = os.open(place / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    faulthandler.enable()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True)


def _prefer_as_victim() -> None:
    # if memory runs out the kernel should take the worker, which can be resumed, and not the dashboard
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")


if __name__ == "__main__":
    status = main()
    logging.shutdown()
    # skip slow destructors of large libraries: everything is written
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
