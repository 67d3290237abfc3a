"""Requests for the helper process in tests; run as a module in its place."""

from __future__ import annotations

import os
import sys
import time
from types import SimpleNamespace
from typing import Any

from core.errors import DataError
from core.runs import helper_main


def _slow(home: Any, seconds: float) -> Any:
    time.sleep(seconds)
    return "late"


def _fail(home: Any) -> Any:
    raise DataError("The file is empty.", where="rows.csv", expected="rows", advice="Add some.")


def _stumble(home: Any) -> Any:
    raise ZeroDivisionError("nobody foresaw this")


def _die(home: Any, code: int) -> Any:
    if code < 0:
        os.kill(os.getpid(), -code)
        time.sleep(5)
    os._exit(code)


def _chatter(home: Any) -> Any:
    print("noise on standard output " * 1000)
    os.write(1, b"more noise\n")
    return {"nan": float("nan"), "pid": os.getpid(), "text": "ä\u2028<b>"}


def _count(home: Any, seconds: float, pause: float, tell: Any) -> Any:
    """Take so long by the clock of what is told, and `pause` in truth after each of ten parts."""
    for at in range(10):
        tell(at / 10, f"part {at}")
        _now[0] += seconds / 10
        time.sleep(pause)
    return "counted"


_now = [1.0]
helper_main.time = SimpleNamespace(monotonic=lambda: _now[0])  # type: ignore[attr-defined]

helper_main.TELLING.add("count")
helper_main.REQUESTS.update(count=_count, slow=_slow, fail=_fail, stumble=_stumble, die=_die, chatter=_chatter)

if __name__ == "__main__":
    code = helper_main.main()
    sys.stderr.flush()
    os._exit(code)
