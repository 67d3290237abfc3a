"""One function, two ways to call it: executes a claimed run in a worker process or in a thread."""

from __future__ import annotations

import contextlib
import functools
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.config import config_from_dict, plan_to_yaml
from core.errors import BertloomError
from core.runs import folder
from core.runs.children import open_child
from core.runs.claims import Claim, OwnershipLost
from core.runs.kinds import resolve
from core.runs.line import StoreLine
from core.runs.recorder import Recorder
from core.runs.records import Status
from core.runs.store import Store
from core.runs.trouble import error_of
from core.training.context import Outcome

__all__ = ["execute"]

#: Seconds for which a worker that is done tries to write what is left, where the store cannot be written.
PATIENCE = 120.0
_log = logging.getLogger(__name__)


def execute(
    store: Store,
    run_id: str,
    token: str,
    *,
    on_recorder: Callable[[Recorder], None] | None = None,
    on_lost: Callable[[], None] | None = None,
) -> Status | None:
    """Execute a run that was claimed, and record how it ended.

    Parameters
    ----------
    store
        The store.
    run_id, token
        The run and the token of its claim.
    on_recorder
        Called with the recorder before the work begins, so that a signal handler can stop it.
    on_lost
        Called when the run turned out to belong to another worker.

    Returns
    -------
    Status or None
        How it ended; ``None`` if the run belongs to another worker.
    """
    try:
        claim, status = store.claims.begin(run_id, token)
    except OwnershipLost as lost:
        _log.error("%s", lost)
        return None
    row = store.runs.row(run_id)
    record = store.runs.record(row)
    place = store.home.run(run_id)
    recorder = Recorder(
        StoreLine(store, claim),
        place,
        store.home.cache,
        progress=record.progress,
        seconds=record.seconds,
        on_lost=on_lost,
        parts=functools.partial(open_child, store, claim),
    ).start(asked=status)
    if on_recorder is not None:
        on_recorder(recorder)
    error: dict[str, Any] | None = None
    try:
        outcome = _work(claim, place, recorder)
        ended = _ended(outcome, recorder)
    except BaseException as problem:  # also SystemExit: whatever ends the work is told, nothing is silent
        error, ended = error_of(problem), Status.FAILED
        _log.log(logging.ERROR, "the run failed", exc_info=problem)
        recorder.event("error", error["message"])
    metrics = _metrics(place)
    if ended is Status.FINISHED:
        _retain(claim, place)
    written = recorder.close(PATIENCE)
    if recorder.lost:
        return None
    if not written:
        _log.error("%d points and events could not be written", recorder.pending)
    _record_end(store, claim, ended, error, metrics)
    _log.info("ended: %s", ended.value)
    return ended


def _record_end(
    store: Store, claim: Claim, ended: Status, error: dict[str, Any] | None, metrics: dict[str, float] | None
) -> None:
    """Record the end, for as long as the store cannot be written; at last leave it in the run's folder."""
    place = store.home.run(claim.id)
    until = time.monotonic() + PATIENCE
    while True:
        try:
            store.claims.end(claim.id, claim.token, ended, error=error, metrics=metrics, size=folder.bytes_of(place))
            return
        except BertloomError as problem:
            if time.monotonic() >= until:
                with contextlib.suppress(BertloomError):
                    folder.leave_testament(place, claim.token, ended.value, error, metrics)
                raise
            _log.warning("the end (%s) could not be recorded and will be tried again: %s", ended.value, problem)
            time.sleep(1.0)


def _work(claim: Claim, place: Path, recorder: Recorder) -> Outcome:
    _log.info("run %s (%s), attempt %d", claim.id, claim.name, claim.attempt)
    if recorder.asked is Status.CANCELLING:
        return Outcome.CANCELLED
    plan = config_from_dict(claim.kind, claim.plan, where=f"run {claim.id}")
    place.mkdir(parents=True, exist_ok=True)
    if not (place / "plan.yaml").exists():
        folder.write_text(place / "plan.yaml", plan_to_yaml(plan))
    if claim.attempt > 1:
        found = folder.has_checkpoint(place)
        recorder.event(
            "info",
            "Resumed from the last checkpoint."
            if found
            else "Started again from the beginning: there is no checkpoint yet.",
        )
    recorder.progress(phase="loading")
    return Outcome(resolve(claim.kind)(plan, recorder, resume=True))


def _ended(outcome: Outcome, recorder: Recorder) -> Status:
    if outcome is Outcome.FINISHED:
        return Status.FINISHED
    if recorder.asked is Status.CANCELLING:  # also where a pause was asked first
        return Status.CANCELLED
    if recorder.stopped and recorder.asked is None:
        recorder.event(
            "warning", "Interrupted: the process was asked to end. A checkpoint was written; the run can be resumed."
        )
        return Status.INTERRUPTED
    return Status.CANCELLED if outcome is Outcome.CANCELLED else Status.PAUSED


def _metrics(place: Path) -> dict[str, float] | None:
    try:
        results = folder.read_json(place / "results.json")
    except BertloomError as error:
        _log.warning("%s", error)
        return None
    found = (results or {}).get("metrics")
    if not isinstance(found, dict):
        return None
    return {str(name): float(value) for name, value in found.items() if isinstance(value, int | float)}


def _retain(claim: Claim, place: Path) -> None:
    try:
        folder.retain(place, str(claim.plan.get("runtime", {}).get("keep", "best")))
    except BertloomError as error:  # nothing is lost by keeping too much
        _log.warning("%s", error)
