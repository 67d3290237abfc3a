"""What the store gives back: plain records, ready for pages and JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

__all__ = ["EventRecord", "RunRecord", "SeriesBatch", "Status"]


class Status(StrEnum):
    """Where a run stands."""

    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    PAUSING = "pausing"
    PAUSED = "paused"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    FINISHED = "finished"
    FAILED = "failed"
    INTERRUPTED = "interrupted"

    @property
    def active(self) -> bool:
        """Whether a worker belongs to the run now."""
        return self in (Status.STARTING, Status.RUNNING, Status.PAUSING, Status.CANCELLING)

    @property
    def resumable(self) -> bool:
        """Whether the run can be put back into the queue."""
        return self in (Status.PAUSED, Status.CANCELLED, Status.FAILED, Status.INTERRUPTED)


@dataclass(frozen=True)
class RunRecord:
    """One run as the store knows it. Times are seconds since the epoch (UTC)."""

    id: str
    kind: str
    name: str
    status: Status
    plan: dict[str, Any]
    tags: tuple[str, ...]
    created: float
    started: float | None
    ended: float | None
    #: Seconds of work, summed over resumes.
    seconds: float
    position: float | None
    backend: str
    pid: int | None
    heartbeat: float | None
    #: phase, step, total_steps, epoch, eta_s, examples_per_s, best {"metric", "value", "step"}, choices {...}.
    progress: dict[str, Any] = field(default_factory=dict)
    #: Flat test (and best gate) metrics of a finished run, e.g. {"test/accuracy": 0.8}.
    metrics: dict[str, float] = field(default_factory=dict)
    #: BertloomError.as_dict() plus "message" of a failed run.
    error: dict[str, Any] | None = None
    #: The run that this one was duplicated from, or that it is a part of (if it is a `child`).
    parent: str | None = None
    has_checkpoint: bool = False
    has_model: bool = False
    bytes: int = 0
    #: Whether it is a part of its parent, e.g. a trial of a search: the parent's worker executes it.
    child: bool = False
    #: Number of runs that are parts of this one.
    children: int = 0


@dataclass(frozen=True)
class SeriesBatch:
    """Points that were written after a cursor. NaN and infinities are None in ``values``."""

    cursor: int
    #: Series name → {"steps": [...], "values": [...], "times": [...]}.
    series: dict[str, dict[str, list[Any]]]
    #: True when the series were reduced (min–max/LTTB) because there were too many points.
    reduced: bool = False


@dataclass(frozen=True)
class EventRecord:
    """Something that happened in a run."""

    seq: int
    time: float
    step: int | None
    kind: str
    message: str
    data: dict[str, Any] = field(default_factory=dict)
