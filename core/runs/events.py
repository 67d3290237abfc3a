"""What happened in a run, and what was asked of it."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.runs.database import Database, number_of
from core.runs.records import EventRecord

__all__ = ["CHANGE", "EventTable", "NewEvent"]

_Events = list[EventRecord]
_Open = list[tuple[int, dict[str, Any]]]
#: Kind of the requests that change values of a run which trains.
CHANGE = "change"


@dataclass(frozen=True)
class NewEvent:
    """An event that is not written yet."""

    kind: str
    message: str
    step: int | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    time: float = field(default_factory=time.time)


class EventTable:
    """Events and requests of all runs."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def write(self, connection: sqlite3.Connection, run: int, events: Sequence[NewEvent]) -> None:
        """Write events inside a transaction; an event that a resumed run repeats at the same step is written once."""
        connection.executemany(
            "insert or ignore into events (run, time, step, kind, message, data) values (?, ?, ?, ?, ?, ?)",
            [
                (run, event.time, event.step, event.kind, event.message, json.dumps(dict(event.data), default=str))
                for event in events
            ],
        )

    def add(self, run_id: str, kind: str, message: str, **data: Any) -> None:
        """Write one event of a run in a transaction of its own."""
        with self._db.transaction() as connection:
            self.write(connection, number_of(connection, run_id), [NewEvent(kind, message, data=data)])

    def list(self, run_id: str, after: int = 0) -> _Events:
        """Return a run's events after a ``seq``, in order."""
        with self._db.connection() as connection:
            rows = connection.execute(
                "select * from events where run = ? and seq > ? order by seq", (number_of(connection, run_id), after)
            ).fetchall()
        return [
            EventRecord(row["seq"], row["time"], row["step"], row["kind"], row["message"], json.loads(row["data"]))
            for row in rows
        ]

    @staticmethod
    def ask(connection: sqlite3.Connection, run: int, kind: str, data: Mapping[str, Any] | None = None) -> None:
        """Note a request, with what belongs to it, inside a transaction."""
        connection.execute(
            "insert into requests (run, kind, time, data) values (?, ?, ?, ?)",
            (run, kind, time.time(), None if data is None else json.dumps(dict(data))),
        )

    @staticmethod
    def take(connection: sqlite3.Connection, run: int, kind: str) -> bool:
        """Return whether a request of a kind is open, and close it, inside a transaction."""
        changed = connection.execute(
            "update requests set taken = ? where run = ? and taken is null and kind = ?", (time.time(), run, kind)
        )
        return changed.rowcount > 0

    @staticmethod
    def close(connection: sqlite3.Connection, run: int) -> None:
        """Close the requests of a run inside a transaction: they belonged to a worker that is gone.

        Changes stay open: a worker that was killed before it wrote one down leaves it to the next.
        """
        connection.execute(
            "update requests set taken = ? where run = ? and taken is null and kind <> ?", (time.time(), run, CHANGE)
        )

    @staticmethod
    def open(connection: sqlite3.Connection, run: int) -> _Open:
        """Return the changes that are open, the oldest first: number, what belongs to it."""
        rows = connection.execute(
            "select seq, data from requests where run = ? and taken is null and kind = ? order by seq", (run, CHANGE)
        )
        return [(int(seq), json.loads(data)) for seq, data in rows]

    @staticmethod
    def close_these(connection: sqlite3.Connection, run: int, numbers: Sequence[int]) -> None:
        """Close some requests inside a transaction."""
        connection.executemany(
            "update requests set taken = ? where run = ? and seq = ? and taken is null",
            [(time.time(), run, number) for number in numbers],
        )
