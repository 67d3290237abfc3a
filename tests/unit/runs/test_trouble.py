from __future__ import annotations

import time
from typing import Any

import pytest

from core.errors import DataError
from core.runs.control import Control
from core.runs.manager import Manager
from core.runs.records import Status
from core.runs.store import Store
from core.runs.trouble import error_of, is_out_of_memory, judge
from tests.unit.runs.work import plan_of


@pytest.mark.parametrize(
    ("code", "facts", "status", "said"),
    [
        (-9, {}, Status.INTERRUPTED, "killed (SIGKILL)"),
        (137, {}, Status.INTERRUPTED, "killed (SIGKILL)"),
        (-9, {"oom": True}, Status.FAILED, "memory was not enough"),
        (137, {"oom": True}, Status.FAILED, "smaller batch size"),
        (-9, {"cancelled": True, "oom": True}, Status.CANCELLED, "Cancelled"),
        (-15, {}, Status.INTERRUPTED, "SIGTERM"),
        (-11, {}, Status.FAILED, "crashed (SIGSEGV)"),
        (-7, {}, Status.FAILED, "crashed (SIGBUS)"),
        (None, {}, Status.INTERRUPTED, "gone when Bertloom looked again"),
        (1, {"log": "start\nImportError: no torch\n\n"}, Status.FAILED, "ImportError: no torch"),
        (1, {"log": "RuntimeError: CUDA out of memory"}, Status.FAILED, "smaller batch size"),
        (0, {}, Status.FAILED, "exit status 0 before the run was done"),
    ],
)
def test_how_a_silent_end_is_judged(code: int | None, facts: dict[str, Any], status: Status, said: str) -> None:
    judged, error, message = judge(code, **{"cancelled": False, "oom": False, "log": "", **facts})
    assert judged is status
    assert said in message
    assert (error is not None) == (status is Status.FAILED)


def test_memory_errors_are_known_by_their_kinds_and_words() -> None:
    class OutOfMemoryError(RuntimeError):
        """As torch names its own."""

    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(OutOfMemoryError("CUDA out of memory"))
    assert is_out_of_memory(RuntimeError("MPS backend out of memory"))
    assert not is_out_of_memory(RuntimeError("shapes differ"))
    assert not is_out_of_memory(ValueError("out of memory"))


def test_stored_errors_hold_all_parts() -> None:
    stored = error_of(DataError("Bad row.", where="row 3", expected="two cells", advice="Mend it."))
    assert stored["message"] == "Bad row. Where: row 3. Expected: two cells. Mend it."
    assert {"error", "what", "where", "expected", "advice", "type"} <= stored.keys()
    assert len(error_of(ValueError("x" * 10_000))["message"]) < 1000


def started(store: Store, **columns: Any) -> str:
    """Return a run that somebody else has started."""
    run = Control(store).submit(plan_of())
    claim = store.claims.claim("somebody")
    assert claim is not None
    store.runs.change(run, None, "be changed", status=Status.RUNNING, **columns)
    return run


def test_runs_of_other_machines_are_judged_by_their_heartbeat(store: Store) -> None:
    manager = Manager(store, warm=False)
    run = started(store, host="elsewhere", pid=1, pid_created=1.0, heartbeat=time.time())
    manager.tick()
    assert store.runs.get(run).status is Status.RUNNING
    store.runs.change(run, None, "be changed", heartbeat=time.time() - 120)
    manager.tick()
    assert store.runs.get(run).status is Status.INTERRUPTED


def test_a_process_id_that_was_used_again_is_not_taken_for_the_worker(store: Store) -> None:
    import os

    manager = Manager(store, warm=False)
    run = started(store, pid=os.getppid(), pid_created=12345.0)
    manager.tick()
    assert store.runs.get(run).status is Status.INTERRUPTED


def test_a_claim_whose_manager_died_before_the_start_goes_back_to_the_queue(store: Store) -> None:
    manager = Manager(store, warm=False, slots=0)  # it watches and takes nothing itself
    run = Control(store).submit(plan_of())
    store.claims.beat("somebody")
    assert store.claims.claim("somebody") is not None
    manager.tick()
    assert store.runs.get(run).status is Status.STARTING  # somebody may still be at it
    store.claims.leave("somebody")
    manager.tick()
    assert store.runs.get(run).status is Status.QUEUED


def test_a_silent_worker_is_told_once_and_when_it_is_heard_again(store: Store) -> None:
    from core.runs import identity

    _, pid, created = identity.me()
    manager = Manager(store, warm=False)
    run = started(store, pid=pid, pid_created=created, heartbeat=time.time() - 100)
    manager.tick()
    manager.tick()
    store.runs.change(run, None, "be changed", heartbeat=time.time())
    manager.tick()
    messages = [event.message for event in store.events.list(run)]
    assert len(messages) == 2
    assert messages[0].startswith("No heartbeat for 100 s")
    assert messages[1] == "The worker is heard again."
    assert store.runs.get(run).status is Status.RUNNING
