"""Runs that are parts of another run: rows and folders of their own, executed by the whole's worker.

A search's trials are such runs. They take no slot, no queue knows them, and no manager watches them: they live and end
with the whole (:meth:`core.runs.claims.ClaimTable.end`).
"""

from __future__ import annotations

import json
import logging
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from core.config import RunConfig, kind_of, plan_to_yaml
from core.errors import BertloomError
from core.runs import folder, identity
from core.runs.claims import Claim, check_token
from core.runs.line import StoreLine
from core.runs.recorder import Recorder
from core.runs.records import Status
from core.runs.store import Store
from core.runs.table import NewRun
from core.runs.trouble import error_of
from core.training.context import Ended, Request, Wish

__all__ = ["ChildRun", "open_child"]

_log = logging.getLogger(__name__)
_PATIENCE = 30.0


class ChildRun:
    """The :class:`~core.training.context.ChildContext` of a part.

    Parameters
    ----------
    store
        The store.
    claim
        The part's claim.
    asked
        Returns what was asked of the whole.
    """

    def __init__(self, store: Store, claim: Claim, asked: Callable[[], Request]) -> None:
        self._store = store
        self._claim = claim
        self._asked = asked
        self._recorder = Recorder(StoreLine(store, claim), store.home.run(claim.id), store.home.cache).start()

    @property
    def id(self) -> str:
        """The part's id."""
        return self._claim.id

    @property
    def folder(self) -> Path:
        """The part's folder."""
        return self._recorder.folder

    @property
    def cache(self) -> Path:
        """The home's cache folder."""
        return self._recorder.cache

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Queue values of series at a step."""
        self._recorder.metrics(step, values)

    def event(self, kind: str, message: str, *, step: int | None = None, data: Mapping[str, Any] | None = None) -> None:
        """Queue an event."""
        self._recorder.event(kind, message, step=step, data=data)

    def progress(self, **values: Any) -> None:
        """Merge values into the part's progress."""
        self._recorder.progress(**values)

    def request(self) -> Request:
        """Return what was asked of the whole; what it is asked to save is saved by the whole."""
        asked = self._asked()
        return asked if asked in (Request.PAUSE, Request.CANCEL) else Request.NONE

    def wishes(self) -> list[Wish]:
        """Nobody changes a part on its own."""
        return []

    def took(self, number: int) -> None:
        """Nobody changes a part on its own."""

    def flush(self) -> None:
        """Write everything queued."""
        self._recorder.flush()

    def child(self, key: str, *, name: str, plan: RunConfig, tags: Sequence[str] = ()) -> ChildRun:
        """Parts have no parts."""
        raise NotImplementedError("a part of a run has no parts of its own")

    def finish(
        self, ended: Ended, *, metrics: Mapping[str, float] | None = None, error: BaseException | None = None
    ) -> None:
        """Record how it ended."""
        stored = None
        if error is not None:
            stored = error_of(error)
            self._recorder.event("error", stored["message"])
        self.leave()
        place = self._store.home.run(self.id)
        try:
            self._store.claims.end(
                self.id, self._claim.token, Status(ended), error=stored, metrics=metrics, size=folder.bytes_of(place)
            )
        except BertloomError as problem:  # it then ends with the whole
            _log.warning("the end of %s could not be recorded: %s", self.id, problem)

    def leave(self) -> None:
        """Write what is queued and end the writing thread."""
        if not self._recorder.close(_PATIENCE):
            _log.warning("%d points and events of %s could not be written", self._recorder.pending, self.id)


def open_child(
    store: Store,
    whole: Claim,
    asked: Callable[[], Request],
    key: str,
    *,
    name: str,
    plan: RunConfig,
    tags: Sequence[str],
) -> ChildRun:
    """Open a part of a run, or open it again; see :meth:`core.training.context.RunContext.child`.

    Raises
    ------
    OwnershipLost
        If the whole belongs to another worker now.
    """
    run_id = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    new = NewRun(
        id=run_id, kind=kind_of(plan), name=name, plan=plan.model_dump(mode="json"), tags=tags, backend=whole.backend,
        request_id=f"part:{whole.id}:{key}", parent=whole.id, child=True,
    )  # fmt: skip
    token = secrets.token_hex(8)
    host, pid, pid_created = identity.me()
    with store.db.transaction() as connection:
        check_token(connection, whole.id, whole.token)
        made = store.runs.add(connection, new)
        moment = time.time()
        connection.execute(
            "update runs set status = 'running', token = ?, attempt = attempt + 1, host = ?, pid = ?, pid_created = ?,"
            " heartbeat = ?, plan = ?, name = ?, progress = '{}', metrics = '{}', asked = null, ended = null,"
            " error = null, started = coalesce(started, ?) where id = ?",
            (token, host, pid, pid_created, moment, json.dumps(new.plan), name, moment, made),
        )
        row = connection.execute("select no, attempt from runs where id = ?", (made,)).fetchone()
    folder.write_text(store.home.run(made) / "plan.yaml", plan_to_yaml(plan))
    claim = Claim(made, row["no"], token, new.kind, name, new.backend, dict(new.plan), row["attempt"])
    return ChildRun(store, claim, asked)
