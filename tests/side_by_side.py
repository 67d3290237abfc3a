"""Every test in two pools at once: ``python -m tests.side_by_side``, which is what ``make test`` does.

Units and pages compute all the time, tests in a browser wait most of it. One after the other, the browser's leave half
of the machine idle; side by side, the units fill the gaps. They are nicer, so that a browser is as quick as alone.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

ROOT = Path(__file__).parents[1]
#: All cores, four at most. A process that has nothing left takes tests from another one.
UNITS = ["tests/unit", "tests/pages", "-n", "auto", "--maxprocesses", "4", "--dist", "worksteal", "--durations", "20"]
#: Two files at a time, in the order of tests/e2e/conftest.py.
BROWSER = ["tests/e2e", "-n", "2", "--dist", "loadfile", "--no-loadscope-reorder", "--durations", "20"]
#: What the units leave to the browser when both want the same core.
NICER = 2


def start(arguments: list[str], **options: Any) -> subprocess.Popen[bytes]:
    """Start a pool."""
    command = [sys.executable, "-m", "pytest", *arguments]
    print(*command, flush=True)
    return subprocess.Popen(command, cwd=ROOT, **options)


def follow(process: subprocess.Popen[bytes], told: BinaryIO, write: Callable[[bytes], object]) -> int:
    """Write what a process has told so far, and go on until it ends; return its exit status."""
    while True:
        status = process.poll()
        write(told.read())
        if status is not None:
            return status
        time.sleep(0.2)


def main() -> int:
    """Run both pools; the output of the browser's follows that of the units."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}
    with tempfile.NamedTemporaryFile(prefix="browser-", suffix=".log") as log:
        browser = start(BROWSER, stdout=log, stderr=subprocess.STDOUT)
        units = start(UNITS, env=one_thread, preexec_fn=lambda: os.nice(NICER))
        try:
            with Path(log.name).open("rb", buffering=0) as told:
                statuses = [units.wait(), follow(browser, told, lambda text: os.write(1, text))]
        except KeyboardInterrupt:  # the terminal has told them too
            statuses = [units.wait(), browser.wait(), 130]
        finally:
            for process in (units, browser):
                process.terminate()
                process.wait()
    return max(abs(status) for status in statuses)


if __name__ == "__main__":
    sys.exit(main())
