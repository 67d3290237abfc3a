"""Disk use: what runs and caches take, freeing it, and finishing what a crash left half deleted."""

from __future__ import annotations

import logging
import shutil
from typing import Any

from core.errors import BertloomError
from core.runs import folder
from core.runs.records import Status
from core.runs.store import Store

__all__ = ["delete", "disk", "free_space", "purge"]

_log = logging.getLogger(__name__)


def disk(store: Store) -> dict[str, Any]:
    """Return disk use in bytes; see :meth:`core.runs.desk.RunDesk.disk`."""
    home = store.home
    runs: list[dict[str, Any]] = []
    for record in store.runs.list(limit=100_000, children=True):
        place = home.run(record.id)
        runs.append(
            {
                "id": record.id,
                "name": record.name,
                "status": record.status.value,
                "bytes": folder.bytes_of(place),
                "checkpoints": folder.bytes_of(place / "checkpoints"),
                "best": folder.bytes_of(place / "best"),
            }
        )
    runs.sort(key=lambda item: -item["bytes"])
    return {
        "runs": runs,
        "cache": folder.bytes_of(home.cache),
        "exports": folder.bytes_of(home.exports),
        "uploads": folder.bytes_of(home.uploads),
        "total": folder.bytes_of(home.root),
        "free": shutil.disk_usage(home.root).free,
    }


def free_space(store: Store, *, checkpoints: bool, cache: bool, models: bool) -> int:
    """Delete what can be done without; see :meth:`core.runs.desk.RunDesk.free_space`."""
    freed = 0
    if checkpoints or models:
        for record in store.runs.list(status=Status.FINISHED, limit=100_000, children=True):
            place = store.home.run(record.id)
            if checkpoints:
                freed += folder.remove(place / "checkpoints")
            if models:
                freed += folder.remove(place / "best")
    if cache and not store.claims.active() and store.home.cache.is_dir():
        for entry in store.home.cache.iterdir():
            freed += folder.remove(entry)
    return freed


def delete(store: Store, run_id: str, *, keep_children: bool = False) -> None:
    """Delete a run's folder and rows. Whenever this is cut short, :func:`purge` finishes it.

    First the run is marked (it vanishes from all lists), then its folder goes, and its rows last: so there is never
    a folder whose run nobody knows, nor a listed run whose folder is gone. Its parts go with it, unless they are kept:
    then they become runs of their own.
    """
    allowed = [status for status in Status if not status.active]
    with store.db.transaction() as connection:
        store.runs.change(run_id, allowed, "be deleted", connection, deleted=1, request_id=None)
        parts = "child and parent = ? and not deleted"
        if keep_children:
            connection.execute(f"update runs set child = 0, parent = null, request_id = null where {parts}", (run_id,))
        rows = connection.execute(f"select id from runs where {parts}", (run_id,)).fetchall()
        connection.execute(f"update runs set deleted = 1, request_id = null where {parts}", (run_id,))
    for row in rows:
        _finish(store, row["id"])
    _finish(store, run_id)


def purge(store: Store) -> int:
    """Finish deletions that were cut short; return how many."""
    with store.db.connection() as connection:
        rows = connection.execute("select id from runs where deleted").fetchall()
    done = 0
    for row in rows:
        try:
            _finish(store, row["id"])
            done += 1
        except BertloomError as error:  # tried again at the next start
            _log.warning("%s", error)
    return done


def _finish(store: Store, run_id: str) -> None:
    folder.remove(store.home.run(run_id))
    with store.db.transaction() as connection:
        connection.execute("delete from runs where id = ? and deleted", (run_id,))
