"""Which process is which: a process id is used again, a process id with its time of creation is not."""

from __future__ import annotations

import functools
import os
import socket

import psutil

__all__ = ["alive", "created", "host", "me"]

#: Seconds by which a time of creation may seem to move when the clock is set.
_TOLERANCE = 3.0


@functools.cache
def host() -> str:
    """Return this machine's name."""
    return socket.gethostname()


def created(pid: int) -> float | None:
    """Return when a process was created (seconds since the epoch), ``None`` if there is none."""
    try:
        return psutil.Process(pid).create_time()
    except psutil.Error:
        return None


def alive(pid: int, created_at: float) -> bool:
    """Whether the process with this id and time of creation still runs on this machine (a zombie does not)."""
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - created_at) <= _TOLERANCE and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:  # it is there, of another user
        return True


def me() -> tuple[str, int, float]:
    """Return (host, pid, time of creation) of this process."""
    pid = os.getpid()
    return host(), pid, created(pid) or 0.0
