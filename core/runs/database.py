"""The SQLite file of a home: connections, schema, and errors in words.

WAL with ``synchronous=NORMAL``: a killed process loses nothing that was committed, and readers never wait for writers.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import RunNotFound, StorageError

__all__ = ["SCHEMA_VERSION", "Database", "number_of", "storage_error"]

SCHEMA_VERSION = 3
_BUSY_SECONDS = 5.0
_IDLE_CONNECTIONS = 8

#: One list of statements a version; a store of version n runs those after n. Never change one that was released.
_MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """create table runs (
            no integer primary key autoincrement,
            id text not null unique,
            request_id text unique,
            kind text not null,
            name text not null,
            status text not null,
            plan text not null,
            tags text not null default '[]',
            backend text not null,
            now integer not null default 0,
            parent text,
            created real not null,
            started real,
            ended real,
            seconds real not null default 0,
            position real,
            submitter text,
            owner text,
            token text,
            attempt integer not null default 0,
            host text,
            pid integer,
            pid_created real,
            heartbeat real,
            asked real,
            stop_asked integer not null default 0,
            progress text not null default '{}',
            metrics text not null default '{}',
            error text,
            bytes integer not null default 0,
            deleted integer not null default 0
        )""",
        "create index runs_status on runs (status, position)",
        "create index runs_created on runs (created)",
        """create table managers (
            token text primary key, host text not null, pid integer not null, pid_created real not null, beat real
            not null
        )""",
        "create table series (id integer primary key, name text not null unique)",
        # Rows lie in the order in which they are read: a run's new points are one stretch of the tree.
        """create table points (
            run integer not null references runs (no) on delete cascade,
            seq integer not null,
            series integer not null references series (id),
            step integer not null,
            value real,
            marker integer not null default 0,
            time real not null,
            primary key (run, seq)
        ) without rowid""",
        "create unique index points_step on points (run, series, step)",
        # The reduced beginning of each series, so that a long run opens as fast as a short one.
        """create table coarse (
            run integer not null references runs (no) on delete cascade,
            series integer not null,
            upto integer not null,
            last_step integer not null,
            data blob not null,
            primary key (run, series)
        ) without rowid""",
        """create table events (
            seq integer primary key autoincrement,
            run integer not null references runs (no) on delete cascade,
            time real not null,
            step integer,
            kind text not null,
            message text not null,
            data text not null default '{}'
        )""",
        "create index events_run on events (run, seq)",
        # Steps that are repeated after a resume tell the same again; once is enough.
        "create unique index events_step on events (run, step, kind, message) where step is not null",
        """create table requests (
            seq integer primary key autoincrement,
            run integer not null references runs (no) on delete cascade,
            kind text not null,
            time real not null,
            taken real
        )""",
        "create index requests_run on requests (run, taken)",
    ),
    (
        # Runs that are part of another one: its worker executes them, no queue does.
        "alter table runs add column child integer not null default 0",
        "create index runs_parent on runs (parent) where parent is not null",
    ),
    (
        # Requests that say more than their kind.
        "alter table requests add column data text",
    ),
)


class Database:
    """Connections to one store file. Each use takes a connection of its own, so threads never share one at a time.

    Parameters
    ----------
    path
        The file; it is created if it does not exist, and never overwritten if it is not a store.

    Raises
    ------
    StorageError
        If the file is damaged, of a newer version, or cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._idle: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._closed = False
        with self.connection() as connection:
            self._prepare(connection)

    @contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection in autocommit mode; SQLite errors become :class:`~core.errors.StorageError`."""
        connection: sqlite3.Connection | None = None
        try:
            with self._lock:
                if self._idle:
                    connection = self._idle.pop()
            if connection is None:
                connection = self._connect()
            yield connection
        except sqlite3.Error as error:
            if connection is not None and connection.in_transaction:
                _quietly_roll_back(connection)
            raise storage_error(error, self.path) from error
        finally:
            if connection is not None:
                self._give_back(connection)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection inside ``begin immediate``; committed at the end, rolled back on any exception."""
        with self.connection() as connection:
            connection.execute("begin immediate")
            try:
                yield connection
            except BaseException:
                _quietly_roll_back(connection)
                raise
            connection.execute("commit")

    def close(self) -> None:
        """Close the idle connections; those that are lent close when they come back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=64
        )
        try:
            connection.row_factory = sqlite3.Row
            # SQLite's own lower() knows ASCII only
            connection.create_function("fold", 1, str.casefold, deterministic=True)
            connection.execute("pragma journal_mode = wal")
            connection.execute("pragma synchronous = normal")
            connection.execute("pragma foreign_keys = on")
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _give_back(self, connection: sqlite3.Connection) -> None:
        if connection.in_transaction:
            _quietly_roll_back(connection)
        with self._lock:
            # one that could not be rolled back (no memory, say) would hold the lock for ever: it is closed
            if not self._closed and not connection.in_transaction and len(self._idle) < _IDLE_CONNECTIONS:
                self._idle.append(connection)
                return
        connection.close()

    def _prepare(self, connection: sqlite3.Connection) -> None:
        version = connection.execute("pragma user_version").fetchone()[0]
        if version == SCHEMA_VERSION:
            return
        if version > SCHEMA_VERSION:
            raise StorageError(
                f"The run store was written by a newer Bertloom (store version {version}, this one knows "
                f"{SCHEMA_VERSION}).",
                where=str(self.path),
                advice="Update Bertloom, or set BERTLOOM_HOME to another folder.",
            )
        connection.execute("begin immediate")
        version = connection.execute("pragma user_version").fetchone()[0]  # another process may have been faster
        if version == 0 and connection.execute("select count(*) from sqlite_master").fetchone()[0]:
            raise StorageError(
                "The file in the run store's place is another program's database.",
                where=str(self.path),
                advice="Move it away, or set BERTLOOM_HOME to another folder.",
            )
        for statements in _MIGRATIONS[version:]:
            for statement in statements:
                connection.execute(statement)
        connection.execute(f"pragma user_version = {SCHEMA_VERSION}")
        connection.execute("commit")


def number_of(connection: sqlite3.Connection, run_id: str) -> int:
    """Return the number by which points and events name a run; raises :class:`~core.errors.RunNotFound`."""
    row = connection.execute("select no from runs where id = ? and not deleted", (run_id,)).fetchone()
    if row is None:
        raise RunNotFound(
            f"There is no run {run_id[:120]!r}.",
            expected="a run's id",
            advice="The page Runs and `bertloom runs` list them.",
        )
    return int(row["no"])


def storage_error(error: Exception, path: Path) -> StorageError:
    """Say in words what an SQLite or operating-system error about the store means."""
    text = str(error).lower()
    where = str(path)
    if "malformed" in text or "not a database" in text or "corrupt" in text:
        return StorageError(
            f"The run store is damaged ({error}). Nothing was overwritten.",
            where=where,
            advice=(
                f"Stop Bertloom, keep a copy of {path.name}, and try `sqlite3 {path.name} .recover`; or move it "
                "away to start with an empty list of runs. The runs' folders with their models stay where they are."
            ),
        )
    if "full" in text or "no space" in text:
        return StorageError(
            "The disk is full: the run store cannot be written.",
            where=where,
            advice="Free some space (old checkpoints and caches first), then go on: nothing written is lost.",
        )
    if "readonly" in text or "read-only" in text or "permission" in text:
        return StorageError(
            "The run store is read-only.",
            where=where,
            expected="a file and folder that this user may write to",
            advice="Mend the permissions, or set BERTLOOM_HOME to another folder.",
        )
    if "locked" in text or "busy" in text:
        return StorageError(
            f"The run store was locked by another process for more than {_BUSY_SECONDS:.0f} seconds.",
            where=where,
            advice="Try again; close other programs that hold the file open.",
        )
    if "disk i/o error" in text:
        return StorageError(
            "The disk reported an error while the run store was used.",
            where=where,
            advice="Look whether the disk is full, was taken away, or has a quota; then try again.",
        )
    if "unable to open" in text:
        return StorageError(
            "The run store cannot be opened.",
            where=where,
            expected="a file and folder that this user may write to",
            advice="Check that the folder exists and its permissions, or set BERTLOOM_HOME to another folder.",
        )
    return StorageError(f"The run store cannot be used: {error}.", where=where)


def _quietly_roll_back(connection: sqlite3.Connection) -> None:
    try:
        if connection.in_transaction:
            connection.execute("rollback")
    except (sqlite3.Error, MemoryError):  # the first error is the one to tell
        pass
