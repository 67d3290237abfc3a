"""The worker's line to the store. A worker on another machine would have another line of the same shape."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from core.runs.claims import Claim, check_token
from core.runs.events import EventTable, NewEvent
from core.runs.plain import plain
from core.runs.points import Point
from core.runs.records import Status
from core.runs.store import Store
from core.training.context import Wish

__all__ = ["Asked", "Batch", "Line", "StoreLine"]


@dataclass(frozen=True)
class Asked:
    """What a person wants of the run now."""

    stop: Status | None = None  # PAUSING or CANCELLING
    save: bool = False
    wishes: Sequence[Wish] = ()


@dataclass
class Batch:
    """What a worker writes at once. An empty one is a heartbeat."""

    points: Sequence[Point] = ()
    events: Sequence[NewEvent] = ()
    progress: Mapping[str, Any] | None = None
    seconds: float = 0.0
    #: Numbers of the wishes that were taken.
    took: Sequence[int] = ()


class Line(Protocol):
    """What a recorder needs. Both methods raise OwnershipLost, or StorageError to be tried again."""

    def write(self, batch: Batch) -> Asked:
        """Write a batch with a heartbeat, all of it or nothing, and return what was asked."""
        ...

    def settle(self) -> None:
        """Do work that keeps reading fast; called now and then, outside of steps."""
        ...


class StoreLine:
    """A line to a store on this machine.

    Parameters
    ----------
    store
        The store.
    claim
        The claim whose token every write names.
    """

    def __init__(self, store: Store, claim: Claim) -> None:
        self._store = store
        self._claim = claim
        self._written = 0

    def write(self, batch: Batch) -> Asked:
        """Write a batch in one transaction."""
        claim = self._claim
        with self._store.db.transaction() as connection:
            no = check_token(connection, claim.id, claim.token)
            if batch.points:
                self._written += len(batch.points)
                self._store.points.write(connection, no, batch.points)
            if batch.events:
                self._store.events.write(connection, no, batch.events)
            connection.execute(
                "update runs set heartbeat = ?, seconds = max(seconds, ?), progress = coalesce(?, progress) "
                "where no = ?",
                (time.time(), batch.seconds, None if batch.progress is None else json.dumps(plain(batch.progress)), no),
            )
            save = EventTable.take(connection, no, "save")
            EventTable.close_these(connection, no, batch.took)
            wishes = [
                Wish(number, data["stage"], data["values"], data.get("task", ""))
                for number, data in EventTable.open(connection, no)
            ]
            status = connection.execute("select status from runs where no = ?", (no,)).fetchone()[0]
        return Asked(Status(status) if status in (Status.PAUSING, Status.CANCELLING) else None, save, wishes)

    def settle(self) -> None:
        """Renew the coarse copy of the series when enough was written."""
        if self._written >= 1000:
            self._written = 0
            self._store.points.settle(self._claim.no)
