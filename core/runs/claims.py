"""Who may write a run: claims by managers, tokens of workers, and how a run ends.

A claim gives a run a new token. Whoever writes as its worker must name it, so a worker that was given up for dead
and wakes up again is refused instead of mixing its numbers with its successor's.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.errors import RunError
from core.runs import identity
from core.runs.database import Database
from core.runs.events import EventTable
from core.runs.records import Status

__all__ = ["Claim", "ClaimTable", "OwnershipLost", "check_token"]

_ACTIVE = tuple(status.value for status in Status if status.active)
_ACTIVE_SQL = "(" + ", ".join(f"'{status}'" for status in _ACTIVE) + ")"
#: A manager that has not been heard of for so many seconds does not hold anything.
MANAGER_STALE = 5.0


class OwnershipLost(RunError):
    """The run belongs to another worker now, or to none."""


@dataclass(frozen=True)
class Claim:
    """A run that a manager is to start, or that a worker executes."""

    id: str
    no: int
    token: str
    kind: str
    name: str
    backend: str
    plan: dict[str, Any]
    attempt: int


class ClaimTable:
    """Claims, tokens and managers."""

    def __init__(self, database: Database) -> None:
        self._db = database

    # -- managers ----------------------------------------------------------------------------------------------------
    def beat(self, manager: str) -> None:
        """Tell that a manager of this process lives, and forget managers that are long gone."""
        moment = time.time()
        with self._db.transaction() as connection:
            connection.execute(
                "insert into managers (token, host, pid, pid_created, beat) values (?, ?, ?, ?, ?)"
                " on conflict (token) do update set beat = excluded.beat",
                (manager, *identity.me(), moment),
            )
            connection.execute(
                "delete from managers where beat < ? and token not in"
                f" (select owner from runs where owner is not null and status in {_ACTIVE_SQL})",
                (moment - 3600,),
            )

    def leave(self, manager: str) -> None:
        """Forget a manager that ends."""
        with self._db.transaction() as connection:
            connection.execute("delete from managers where token = ?", (manager,))

    def present(self, manager: str | None, connection: sqlite3.Connection | None = None) -> bool:
        """Whether a manager lives: its process is there and it was heard of lately."""
        if manager is None:
            return False
        if connection is None:
            with self._db.connection() as own:
                return self.present(manager, own)
        row = connection.execute("select * from managers where token = ?", (manager,)).fetchone()
        if row is None or row["beat"] < time.time() - MANAGER_STALE:
            return False
        return row["host"] != identity.host() or identity.alive(row["pid"], row["pid_created"])

    # -- claiming ----------------------------------------------------------------------------------------------------
    def claim(self, manager: str, slots: int = 1) -> Claim | None:
        """Take the next run from the queue if a slot is free.

        Runs that were told to start now come first and need no slot. A run with the thread backend belongs to the
        process that submitted it for as long as that lives, and those behind it wait for it.
        """
        with self._db.connection() as connection:  # look before locking: mostly there is nothing
            if connection.execute("select 1 from runs where status = 'queued' and not deleted").fetchone() is None:
                return None
        with self._db.transaction() as connection:
            taken = connection.execute(
                f"select count(*) from runs where status in {_ACTIVE_SQL} and not deleted and not child"
            ).fetchone()[0]
            for row in connection.execute(
                "select * from runs where status = 'queued' and not deleted order by now desc, position, no"
            ).fetchall():
                if not row["now"] and taken >= slots:
                    return None
                reserved = row["backend"] == "thread" and row["submitter"] != manager
                if reserved and self.present(row["submitter"], connection):
                    if row["now"]:
                        continue
                    return None
                token = secrets.token_hex(8)
                EventTable.close(connection, row["no"])
                connection.execute(
                    "update runs set status = 'starting', owner = ?, token = ?, attempt = attempt + 1, host = "
                    "?, pid = null,"
                    " pid_created = null, heartbeat = ?, asked = null, started = coalesce(started, ?), ended = null,"
                    " error = null where no = ?",
                    (manager, token, identity.host(), time.time(), time.time(), row["no"]),
                )
                return Claim(
                    row["id"], row["no"], token, row["kind"], row["name"], row["backend"], json.loads(row["plan"]),
                    row["attempt"] + 1,
                )  # fmt: skip
        return None

    def handed(self, run_id: str, token: str, pid: int, pid_created: float) -> None:
        """Note which process a run was given to (unless its worker was faster)."""
        with self._db.transaction() as connection:
            connection.execute(
                "update runs set pid = ?, pid_created = ? where id = ? and token = ? and pid is null",
                (pid, pid_created, run_id, token),
            )

    def begin(self, run_id: str, token: str) -> tuple[Claim, Status]:
        """Tell that the worker of a run is this process, and return the run and its status now.

        Raises
        ------
        OwnershipLost
            If the run was given to another worker meanwhile, or deleted.
        """
        host, pid, pid_created = identity.me()
        with self._db.transaction() as connection:
            no = check_token(connection, run_id, token)
            connection.execute(
                "update runs set host = ?, pid = ?, pid_created = ?, heartbeat = ?,"
                " status = case status when 'starting' then 'running' else status end where no = ?",
                (host, pid, pid_created, time.time(), no),
            )
            row = connection.execute("select * from runs where no = ?", (no,)).fetchone()
        claim = Claim(
            run_id, no, token, row["kind"], row["name"], row["backend"], json.loads(row["plan"]), row["attempt"]
        )  # fmt: skip
        return claim, Status(row["status"])

    # -- watching ----------------------------------------------------------------------------------------------------
    def active(self) -> list[sqlite3.Row]:
        """Return the rows of all runs that a worker belongs to; the parts of a run go with it and are left out."""
        with self._db.connection() as connection:
            return connection.execute(
                f"select * from runs where status in {_ACTIVE_SQL} and not deleted and not child"
            ).fetchall()

    def adopt(self, run_id: str, token: str, manager: str) -> None:
        """Make a manager the one that watches a run whose manager is gone."""
        with self._db.transaction() as connection:
            connection.execute("update runs set owner = ? where id = ? and token = ?", (manager, run_id, token))

    def requeue(self, run_id: str, token: str) -> bool:
        """Put a run back that was claimed and never given to a worker; its place in the queue is kept."""
        with self._db.transaction() as connection:
            changed = connection.execute(
                "update runs set status = case status when 'cancelling' then 'cancelled' when 'pausing' then 'paused'"
                " else 'queued' end, owner = null, token = null, pid = null where id = ? and token = ? and pid is null",
                (run_id, token),
            )
            return changed.rowcount > 0

    def end(
        self,
        run_id: str,
        token: str,
        status: Status,
        *,
        error: Mapping[str, Any] | None = None,
        metrics: Mapping[str, float] | None = None,
        size: int | None = None,
    ) -> bool:
        """Record how a run ended and take the token from its worker; returns False if that was done before."""
        with self._db.transaction() as connection:
            changed = connection.execute(
                "update runs set status = ?, ended = ?, error = ?, metrics = coalesce(?, metrics), bytes = "
                "coalesce(?, bytes),"
                f" owner = null, token = null, pid = null, now = 0 where id = ? and token = ? and status in "
                f"{_ACTIVE_SQL}",
                (
                    status.value, time.time(), json.dumps(dict(error)) if error else None,
                    json.dumps(dict(metrics)) if metrics is not None else None, size, run_id, token,
                ),
            )  # fmt: skip
            if changed.rowcount > 0:
                # a part that was at work ends with the whole: its worker was the same
                with_it = status if status in (Status.PAUSED, Status.CANCELLED) else Status.INTERRUPTED
                connection.execute(
                    "update runs set status = ?, ended = ?, token = null, pid = null where child and parent = ? and"
                    f" status in {_ACTIVE_SQL}",
                    (with_it.value, time.time(), run_id),
                )
            return changed.rowcount > 0


def check_token(connection: sqlite3.Connection, run_id: str, token: str) -> int:
    """Return the run's number if the token is the one of its worker.

    Raises
    ------
    OwnershipLost
        If it is not.
    """
    row = connection.execute("select no, token, status from runs where id = ? and not deleted", (run_id,)).fetchone()
    if row is None or row["token"] != token or row["status"] not in _ACTIVE:
        raise OwnershipLost(
            "This run belongs to another worker now, or was deleted: nothing was written.", where=f"run {run_id}"
        )
    return int(row["no"])
