"""The protocol of backends: start, watch, stop. A new backend is one class of this shape and a line in the manager."""

from __future__ import annotations

from typing import Protocol

from core.runs.claims import Claim

__all__ = ["Backend", "Worker"]


class Worker(Protocol):
    """A run that a backend has started."""

    #: Process that executes the run, and when that was created (seconds since the epoch).
    pid: int
    created: float

    def poll(self) -> int | None:
        """Return ``None`` while the worker lives, else its exit code (negative: the signal that ended it)."""
        ...

    def stop(self) -> None:
        """Ask it to write a checkpoint and end."""
        ...

    def kill(self) -> bool:
        """End it at once; returns whether that is possible."""
        ...


class Backend(Protocol):
    """A way to execute runs."""

    name: str
    #: Whether its workers go on when this process ends.
    survives: bool

    def start(self, claim: Claim) -> Worker:
        """Start a claimed run.

        Raises
        ------
        RunError
            If no worker could be started.
        """
        ...

    def prepare(self) -> None:
        """Get ready for the next run in advance, if there is anything to do and it is not done yet."""
        ...

    def close(self, timeout: float) -> None:
        """Let go of what was prepared, and stop the workers that do not survive this process."""
        ...
