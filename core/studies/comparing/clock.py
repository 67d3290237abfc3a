"""How long a comparison will still take, by what runs of the same strategy and tasks took."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from core.studies.comparing.plans import Job
from core.studies.comparing.records import ChildRun

__all__ = ["Clock"]


class Clock:
    """Times of the runs so far.

    Parameters
    ----------
    done
        Runs that are there already.
    """

    def __init__(self, done: Iterable[ChildRun]) -> None:
        self._taken: dict[tuple[str, tuple[str, ...]], list[float]] = {}
        for record in done:
            self.note(record)

    def note(self, record: ChildRun) -> None:
        """Count the time of a run; one that failed took less than the others will."""
        if not record.failed:
            self._taken.setdefault((record.strategy, tuple(record.tasks)), []).append(record.seconds)

    def left(self, jobs: Sequence[Job]) -> float | None:
        """Return the seconds that some runs will take; None as long as one of their kind is unknown."""
        total = 0.0
        for job in jobs:
            taken = self._taken.get((job.strategy.name, tuple(task.name for task in job.tasks)))
            if not taken:
                return None
            total += sum(taken) / len(taken)
        return round(total, 1)
