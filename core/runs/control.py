"""What a person does with runs: submit, pause, cancel, resume, delete, order, name; each checked against the state."""

from __future__ import annotations

import json
import secrets
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from core.config import RunConfig, plan_to_yaml
from core.errors import ConfigError, RunError
from core.runs import estimates, folder, housekeeping, teaching
from core.runs.events import CHANGE, EventTable, NewEvent
from core.runs.joint_tasks import parted, single_of
from core.runs.kinds import known
from core.runs.records import RunRecord, Status
from core.runs.sources import absolute_sources
from core.runs.store import Store
from core.runs.table import NewRun
from core.training.distil.controls import check_change

__all__ = ["Control"]

_POLL_SECONDS = 0.2


class Control:
    """Changes to the runs of a store.

    Parameters
    ----------
    store
        The store.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def submit(
        self,
        plan: RunConfig,
        *,
        kind: str = "train",
        request_id: str | None = None,
        now: bool = False,
        parent: str | None = None,
        submitter: str | None = None,
        estimate: Mapping[str, Any] | None = None,
    ) -> str:
        """Queue a run; see :meth:`core.runs.desk.RunDesk.submit`."""
        if kind not in known():
            raise RunError(f"There is no kind of run {kind!r}.", expected=", ".join(sorted(known())))
        if parent is not None:
            self._store.runs.row(parent)
        plan = absolute_sources(plan, self._store.home)
        run_id = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
        place = self._store.home.run(run_id)
        folder.write_text(place / "plan.yaml", plan_to_yaml(plan))  # before the row: a listed run has its folder
        if estimate is not None:
            estimates.keep(place, estimate)
        new = NewRun(
            id=run_id, kind=kind, name=plan.name, plan=plan.model_dump(mode="json"), tags=plan.tags,
            backend=plan.runtime.backend, request_id=request_id, now=now, parent=parent, submitter=submitter,
        )  # fmt: skip
        try:
            made = self._store.runs.insert(new)
        except BaseException:
            folder.remove(place)
            raise
        if made != run_id:
            folder.remove(place)
        return made

    def pause(self, run_id: str) -> None:
        """Ask a run to write a checkpoint and stop; a queued run is paused at once."""
        self._ask(
            run_id,
            Status.PAUSING,
            Status.PAUSED,
            "be paused",
            (Status.QUEUED, Status.STARTING, Status.RUNNING, Status.PAUSING),
        )

    def cancel(self, run_id: str) -> None:
        """Ask a run to write a checkpoint and end; a run without a worker is cancelled at once."""
        allowed = [status for status in Status if status.active]
        allowed += [Status.QUEUED, Status.PAUSED, Status.INTERRUPTED]
        self._ask(run_id, Status.CANCELLING, Status.CANCELLED, "be cancelled", allowed)

    def save(self, run_id: str) -> None:
        """Ask a running run to write a checkpoint now."""
        with self._store.db.transaction() as connection:
            _whole(connection, run_id, "saved")
            row = self._store.runs.change(run_id, (Status.STARTING, Status.RUNNING), "be saved", connection)
            EventTable.ask(connection, row["no"], "save")

    def change(self, run_id: str, values: Mapping[str, float | None]) -> dict[str, float]:
        """Ask a run that learns from a teacher to go on with other values; see :meth:`RunDesk.change`."""
        run, task = parted(run_id)
        record = self._store.runs.get(run)
        with self._store.db.transaction() as connection:
            _whole(connection, run, "changed")
            row = self._store.runs.change(run, (Status.RUNNING,), "be changed like this", connection)
            stage, config = teaching.trains_now(single_of(record, task) if task else record)
            wanted = check_change(config, values)
            EventTable.ask(
                connection, row["no"], CHANGE, {"stage": stage, "values": wanted, **({"task": task} if task else {})}
            )  # fmt: skip
        return wanted

    def resume(self, run_id: str, *, now: bool = False) -> None:
        """Put a stopped run back into the queue, at its end."""
        with self._store.db.transaction() as connection:
            _whole(connection, run_id, "resumed")
            last = connection.execute("select coalesce(max(position), 0) + 1 from runs").fetchone()[0]
            allowed = [status for status in Status if status.resumable]
            row = self._store.runs.change(
                run_id, allowed, "be resumed", connection,
                status=Status.QUEUED, position=last, ended=None, error=None, asked=None, now=int(now),
            )  # fmt: skip
            self._store.events.write(connection, row["no"], [NewEvent("info", "Resumed: put back into the queue.")])

    def delete(self, run_id: str, *, keep_children: bool = False) -> None:
        """Delete a run with its metrics and folder; refused while a worker belongs to it."""
        housekeeping.delete(self._store, run_id, keep_children=keep_children)

    def move(self, run_id: str, where: str) -> None:
        """Move a queued run ``up``, ``down``, ``first`` or ``last``."""
        if where not in ("up", "down", "first", "last"):
            raise RunError(f"{where!r} is not a direction.", expected="up, down, first or last")
        with self._store.db.transaction() as connection:
            self._store.runs.change(run_id, (Status.QUEUED,), "be moved", connection)
            order = [
                row["no"] if row["id"] != run_id else None
                for row in connection.execute(
                    "select no, id from runs where status = 'queued' and not deleted order by position, no"
                )
            ]
            no = connection.execute("select no from runs where id = ?", (run_id,)).fetchone()[0]
            place = order.index(None)
            order.pop(place)
            target = {"up": max(place - 1, 0), "down": min(place + 1, len(order)), "first": 0, "last": len(order)}[
                where
            ]
            order.insert(target, no)
            first = connection.execute(
                "select min(position) from runs where status = 'queued' and not deleted"
            ).fetchone()[0]
            connection.executemany(
                "update runs set position = ? where no = ?", [(first + index, one) for index, one in enumerate(order)]
            )

    def rename(self, run_id: str, name: str) -> None:
        """Give a run another name."""
        cleaned = name.strip()
        if not 1 <= len(cleaned) <= 120:
            raise ConfigError("This is not a name for a run.", where="name", expected="1 to 120 characters")
        self._store.runs.change(run_id, None, "be renamed", name=cleaned)

    def set_tags(self, run_id: str, tags: Sequence[str]) -> None:
        """Replace a run's tags."""
        cleaned = list(dict.fromkeys(tag.strip() for tag in tags if tag.strip()))
        if any(len(tag) > 40 for tag in cleaned):
            raise ConfigError("A tag is too long.", where="tags", expected="1 to 40 characters a tag")
        self._store.runs.change(run_id, None, "be tagged", tags=json.dumps(cleaned))

    def wait(
        self, run_id: str, timeout: float | None = None, on_change: Callable[[RunRecord], None] | None = None
    ) -> RunRecord:
        """Wait until a run is neither queued nor active; see :meth:`core.runs.desk.RunDesk.wait`."""
        until = None if timeout is None else time.monotonic() + timeout
        before: RunRecord | None = None
        while True:
            record = self._store.runs.get(run_id)
            if on_change is not None and record != before:
                on_change(record)
            before = record
            if record.status is not Status.QUEUED and not record.status.active:
                return record
            if until is not None and time.monotonic() >= until:
                raise RunError(
                    f"The run is still {record.status.value} after {timeout:g} seconds.", where=f"run {run_id}",
                    advice="It goes on; wait longer, or look at it on the page Runs.",
                )  # fmt: skip
            time.sleep(_POLL_SECONDS)

    def _ask(self, run_id: str, asking: Status, done: Status, verb: str, allowed: Sequence[Status]) -> None:
        with self._store.db.transaction() as connection:
            _whole(connection, run_id, verb.removeprefix("be "))
            row = self._store.runs.change(run_id, allowed, verb, connection)
            status = Status(row["status"])
            if status is asking:
                return  # a second click
            if status.active:
                connection.execute(
                    "update runs set status = ?, asked = ? where no = ?", (asking, time.time(), row["no"])
                )
                EventTable.ask(connection, row["no"], "pause" if asking is Status.PAUSING else "cancel")
                return
            connection.execute(
                "update runs set status = ?, ended = ?, now = 0 where no = ?", (done, time.time(), row["no"])
            )
            when = " before it was started" if status is Status.QUEUED else ""
            self._store.events.write(connection, row["no"], [NewEvent("info", f"{done.value.capitalize()}{when}.")])


def _whole(connection: sqlite3.Connection, run_id: str, done: str) -> None:
    """Refuse what can only be asked of a run as a whole, where the run is a part of another one."""
    row = connection.execute(
        "select runs.name, runs.parent, whole.name as whole from runs left join runs as whole on whole.id = runs.parent"
        " where runs.id = ? and runs.child and not runs.deleted",
        (run_id,),
    ).fetchone()
    if row is not None:
        raise RunError(
            f"{row['name']!r} is a part of the run {row['whole']!r}: it cannot be {done} on its own.",
            where=f"run {run_id}", expected=f"the run {row['parent']}",
            advice="Ask it of that run, or duplicate this one to train it by itself.",
        )  # fmt: skip
