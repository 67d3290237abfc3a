"""What the runs of the graph room have in common: they hear requests, say how far they are, and leave results."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.config.graph import GraphRuntime
from core.training.context import Outcome, Request, RunContext
from core.training.files import write_json

__all__ = ["Leaves", "Stopped", "execute", "listen", "telling"]

#: Seconds between two words on progress.
EVERY_S = 0.25


class Stopped(Exception):
    """A person asked to pause or cancel; nothing is kept of what was under way."""

    def __init__(self, outcome: Outcome):
        self.outcome = outcome
        super().__init__(outcome)


@dataclass
class Leaves:
    """What a run leaves in its record.

    Parameters
    ----------
    metrics
        Name → number; what is None was not measured and is left out.
    details
        Plain data, by name.
    notices
        What a person should know.
    event
        Kind, words and data of the event that ends the work; None: none.
    """

    metrics: dict[str, float | None]
    details: dict[str, Any]
    notices: Sequence[str] = ()
    event: tuple[str, str, dict[str, Any] | None] | None = field(default=None)


def execute(
    context: RunContext,
    work: Callable[[Callable[[], None], Callable[[str], Callable[[int, int], None]]], Leaves],
    runtime: GraphRuntime,
    *,
    resume: bool,
    files: Sequence[str] = (),
) -> Outcome:
    """Execute a run: nothing again that is finished, nothing half, and ``results.json`` at the end.

    Parameters
    ----------
    context
        The run.
    work
        Called with what raises :class:`Stopped` once a person has asked to pause or to end, and with what gives a
        phase's progress by its name.
    runtime
        Device and threads, for the record.
    resume
        Whether a run whose files are all there is left as it is.
    files
        What it leaves in its folder beside ``results.json``.

    Raises
    ------
    BertloomError
        As `work` does.
    """
    from core.training.device import exclusive, pick_device, reading_errors
    from core.training.results import environment

    folder = Path(context.folder)
    if resume and all((folder / name).exists() for name in ("results.json", *files)):
        return Outcome.FINISHED
    try:
        with reading_errors(), exclusive(deterministic=False):
            found = work(listen(context), lambda name: telling(context, name))
    except Stopped as stopped:
        return stopped.outcome
    finally:
        context.flush()
    for notice in found.notices:
        context.event("info", notice)
    if found.event is not None:
        kind, words, data = found.event
        context.event(kind, words, data=data)
    metrics = {name: float(value) for name, value in found.metrics.items() if value is not None}
    threads = None if runtime.threads == "auto" else runtime.threads
    around = environment(pick_device(runtime.device), {"threads": threads})
    write_json(folder / "results.json", {"metrics": metrics, "details": found.details, "environment": around})
    return Outcome.FINISHED


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
