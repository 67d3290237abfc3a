"""How runs of the graph room hear that a person wants them to stop."""

from __future__ import annotations

import time
from collections.abc import Callable

from core.training.context import Outcome, Request, RunContext

__all__ = ["Stopped", "listen", "telling"]

#: Seconds between two words on progress.
EVERY_S = 0.25


class Stopped(Exception):
    """A person asked to pause or cancel; nothing is kept of what was under way."""

    def __init__(self, outcome: Outcome):
        self.outcome = outcome
        super().__init__(outcome)


def listen(context: RunContext) -> Callable[[], None]:
    """Return a function that raises :class:`Stopped` once a person has asked the run to pause or to end."""

    def check() -> None:
        asked = context.request()
        if asked is Request.PAUSE:
            raise Stopped(Outcome.PAUSED)
        if asked is Request.CANCEL:
            raise Stopped(Outcome.CANCELLED)

    return check


def telling(context: RunContext, phase: str) -> Callable[[int, int], None]:
    """Return a function that tells how much of a phase is done, a few times a second at most."""
    last = [-1.0]

    def progress(done: int, total: int) -> None:
        now = time.monotonic()
        if done >= total or now - last[0] >= EVERY_S:
            last[0] = now
            context.progress(phase=phase, step=done, total_steps=total)

    context.progress(phase=phase)
    return progress
