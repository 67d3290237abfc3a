"""The table of runs: insert, find, list, and changes that are checked against the state."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from core.errors import RunError, RunNotFound
from core.runs import folder
from core.runs.database import Database
from core.runs.records import RunRecord, Status
from core.settings import Home

__all__ = ["NewRun", "RunTable"]

_Runs = list[RunRecord]
_ACTIVE = tuple(status.value for status in Status if status.active)
_COLUMNS = (
    "runs.*, (select count(*) from runs as part where part.parent = runs.id and part.child and not part.deleted)"
    " as children"
)


@dataclass(frozen=True)
class NewRun:
    """What a run's row starts with."""

    id: str
    kind: str
    name: str
    plan: dict[str, Any]
    tags: Sequence[str] = ()
    backend: str = "process"
    request_id: str | None = None
    now: bool = False
    parent: str | None = None
    submitter: str | None = None
    child: bool = False


class RunTable:
    """Reads and changes of the ``runs`` table."""

    def __init__(self, database: Database, home: Home) -> None:
        self._db = database
        self._home = home

    def insert(self, new: NewRun) -> str:
        """Queue a run at the end; return its id, or the id of the run that has the same request id."""
        with self._db.transaction() as connection:
            return self.add(connection, new)

    def add(self, connection: sqlite3.Connection, new: NewRun) -> str:
        """Do what :meth:`insert` does inside a transaction."""
        if new.request_id is not None:
            row = connection.execute("select id from runs where request_id = ?", (new.request_id,)).fetchone()
            if row is not None:
                return str(row["id"])
        connection.execute(
            "insert into runs (id, request_id, kind, name, status, plan, tags, backend, now, parent, submitter, child,"
            " created, position) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,"
            " (select coalesce(max(position), 0) + 1 from runs))",
            (
                new.id, new.request_id, new.kind, new.name, Status.QUEUED.value, json.dumps(new.plan),
                json.dumps(list(new.tags)), new.backend, int(new.now), new.parent, new.submitter, int(new.child),
                time.time(),
            ),
        )  # fmt: skip
        return new.id

    def get(self, run_id: str) -> RunRecord:
        """Return a run; raises :class:`~core.errors.RunNotFound`."""
        return self.record(self.row(run_id))

    def row(self, run_id: str) -> sqlite3.Row:
        """Return a run's raw row; raises :class:`~core.errors.RunNotFound`."""
        with self._db.connection() as connection:
            row = connection.execute(f"select {_COLUMNS} from runs where id = ? and not deleted", (run_id,)).fetchone()
        if row is None:
            raise _not_found(run_id)
        return row

    def find(self, text: str) -> RunRecord:
        """Return the run whose id, beginning of its id, or name this is; it must be the only one."""
        text = text.strip()
        with self._db.connection() as connection:
            row = connection.execute(f"select {_COLUMNS} from runs where id = ? and not deleted", (text,)).fetchone()
            rows = [row] if row else []
            if not rows and text:
                rows = connection.execute(
                    f"select {_COLUMNS} from runs where substr(id, 1, ?) = ? and not deleted"
                    " order by child, no desc limit 20",
                    (len(text), text),
                ).fetchall()
            if not rows and text:
                rows = connection.execute(
                    f"select {_COLUMNS} from runs where name = ? and not deleted order by child, no desc limit 20",
                    (text,),
                ).fetchall()
        # the parts of a run begin in the same second as it does: its own id may be shortened all the same
        rows = [row for row in rows if not row["child"]] or rows
        if not rows:
            raise _not_found(text)
        if len(rows) > 1:
            named = ", ".join(f"{row['id']} ({row['name']})" for row in rows[:5])
            raise RunNotFound(
                f"{text!r} is not one run.", expected="the id of one run", advice=f"It could be: {named}."
            )
        return self.record(rows[0])

    def list(
        self,
        *,
        status: Status | str | Collection[str] | None = None,
        tag: str | None = None,
        search: str | None = None,
        limit: int = 500,
        part_of: str | None = None,
        children: bool = False,
    ) -> _Runs:
        """Return runs, newest first; see :meth:`core.runs.desk.RunDesk.list`."""
        where, values = ["not deleted"], list[Any]()
        if part_of is not None:
            where.append("child and parent = ?")
            values.append(part_of)
        elif not children:
            where.append("not child")
        if status is not None:
            asked = [status] if isinstance(status, str) else list(status)
            wanted = [one for item in asked for one in (_ACTIVE if item == "active" else (_status(item),))]
            where.append(f"status in ({','.join('?' * len(wanted))})")
            values += wanted
        if tag:
            where.append("exists (select 1 from json_each(tags) where value = ?)")
            values.append(tag)
        if search and search.strip():
            # instr() takes the text as it is: % and _ are not wildcards
            fields = (
                "id", "name", "coalesce((select group_concat(value, char(10)) from json_each(tags)), '')",
                "coalesce(json_extract(plan, '$.data.source'), json_extract(plan, '$.corpus.source'), '')",
                "coalesce(json_extract(plan, '$.model.source'), '')",
            )  # fmt: skip
            where.append("(" + " or ".join(f"instr(fold({field}), ?)" for field in fields) + ")")
            values += [search.strip().casefold()] * len(fields)
        with self._db.connection() as connection:
            rows = connection.execute(
                f"select {_COLUMNS} from runs where {' and '.join(where)} order by created desc, no desc limit ?",
                (*values, limit),
            ).fetchall()
        return [self.record(row) for row in rows]

    def change(
        self,
        run_id: str,
        allowed: Collection[Status] | None,
        verb: str,
        connection: sqlite3.Connection | None = None,
        **columns: Any,
    ) -> sqlite3.Row:
        """Set columns of a run if its status is among `allowed`, else refuse; returns the row as it was before.

        Parameters
        ----------
        run_id
            The run.
        allowed
            Statuses from which the change may be made; ``None`` allows all.
        verb
            What is being done, for the message: ``"pause"`` gives "A finished run cannot be paused."
        connection
            A connection inside a transaction to take part in; else one transaction of its own is made.
        columns
            New values by column.
        """
        if connection is None:
            with self._db.transaction() as own:
                return self.change(run_id, allowed, verb, own, **columns)
        row = connection.execute("select * from runs where id = ? and not deleted", (run_id,)).fetchone()
        if row is None:
            raise _not_found(run_id)
        status = Status(row["status"])
        if allowed is not None and status not in allowed:
            raise RunError(
                f"The run {row['name']!r} is {status.value}: it cannot {verb} now.",
                where=f"run {run_id}",
                expected=f"a run that is {' or '.join(sorted(one.value for one in allowed))}",
                advice=_ADVICE.get(status, ""),
            )
        if columns:
            sets = ", ".join(f"{name} = ?" for name in columns)
            connection.execute(f"update runs set {sets} where no = ?", (*columns.values(), row["no"]))
        return row

    def record(self, row: sqlite3.Row) -> RunRecord:
        """Make a record of a row; what the run's folder holds is looked up."""
        place = os.path.join(self._home.runs, row["id"])  # an id of our own making: lists look up hundreds of them
        return RunRecord(
            id=row["id"],
            kind=row["kind"],
            name=row["name"],
            status=Status(row["status"]),
            plan=json.loads(row["plan"]),
            tags=tuple(json.loads(row["tags"])),
            created=row["created"],
            started=row["started"],
            ended=row["ended"],
            seconds=row["seconds"],
            position=row["position"] if row["status"] == Status.QUEUED else None,
            backend=row["backend"],
            pid=row["pid"],
            heartbeat=row["heartbeat"],
            progress=json.loads(row["progress"]),
            metrics=json.loads(row["metrics"]),
            error=json.loads(row["error"]) if row["error"] else None,
            parent=row["parent"],
            has_checkpoint=folder.has_checkpoint(place),
            has_model=folder.has_model(place),
            bytes=row["bytes"],
            child=bool(row["child"]),
            children=row["children"],
        )


_ADVICE = {
    Status.FINISHED: "A finished run is complete; duplicate it to train again.",
    Status.PAUSING: "It is writing its checkpoint; wait a moment.",
    Status.CANCELLING: "It is being cancelled; wait a moment.",
    Status.QUEUED: "It is waiting in the queue.",
    Status.RUNNING: "Pause or cancel it first.",
    Status.STARTING: "It is starting; wait a moment.",
    Status.PAUSED: "Resume it first.",
    Status.INTERRUPTED: "Resume it first.",
    Status.FAILED: "Resume it first.",
    Status.CANCELLED: "Resume it first.",
}


def _not_found(text: str) -> RunNotFound:
    return RunNotFound(
        f"There is no run {text[:120]!r}.", expected="a run's id, the unique beginning of one, or a unique name",
        advice="The page Runs and `bertloom runs` list them.",
    )  # fmt: skip


def _status(text: str) -> str:
    try:
        return Status(text).value
    except ValueError as error:
        raise RunError(
            f"{text!r} is not a status of runs.", expected=", ".join(("active", *(status.value for status in Status)))
        ) from error
