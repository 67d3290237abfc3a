"""Processes are killed here: the worker, the dashboard, both. Nothing may be lost."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable

import psutil
import pytest

from core.api import Studio
from core.runs import identity
from core.runs.manager import Manager
from core.runs.records import Status
from core.settings import Home
from tests.unit.runs.conftest import Keeper, at_step, hurry, until
from tests.unit.runs.work import plan_of

Keep = Callable[[], Keeper]


def complete(studio: Studio, run: str, steps: int) -> None:
    """Assert that a finished run has every point once."""
    record = studio.runs.get(run)
    assert record.status is Status.FINISHED, record.error
    assert studio.runs.series(run).series["train/loss"]["steps"] == list(range(1, steps + 1))
    assert record.metrics["steps"] == steps


class Rounds:
    """Counts what managers of this process have done; a round is a quarter of a second, or more of a busy machine's."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.done = 0
        real = Manager.tick

        def tick(manager: Manager) -> None:
            real(manager)
            self.done += 1

        monkeypatch.setattr(Manager, "tick", tick)

    def wait(self, number: int) -> None:
        """Wait until so many more have been done."""
        wanted, end = self.done + number, time.monotonic() + 60
        while self.done < wanted:
            assert time.monotonic() < end
            time.sleep(0.02)


@pytest.fixture
def rounds(monkeypatch: pytest.MonkeyPatch) -> Rounds:
    return Rounds(monkeypatch)


def lost(studio: Studio, run: str) -> int:
    """Return the steps that a killed worker had counted and not yet written; fifty take a second or more."""
    counted = (studio.home.run(run) / "counted").stat().st_size
    return counted - studio.runs.series(run).series["train/loss"]["steps"][-1]


def test_a_killed_worker_is_interrupted_and_loses_no_metric_older_than_a_second(rounds: Rounds, studio: Studio) -> None:
    run = studio.runs.submit(plan_of(600, 0.02), kind="count")
    record = until(studio, run, at_step(60))
    assert record.pid is not None
    before = rounds.done
    os.kill(record.pid, signal.SIGKILL)
    record = studio.runs.wait(run, 60)
    assert rounds.done - before < 20
    assert record.status is Status.INTERRUPTED
    assert record.error is None
    assert record.pid is None
    assert record.has_checkpoint
    assert lost(studio, run) < 50
    seconds = record.seconds
    assert seconds > 0.5
    assert "killed (SIGKILL)" in studio.runs.events(run)[-1].message
    seen = len(studio.runs.series(run).series["train/loss"]["steps"])
    hurry(studio, run)
    studio.runs.resume(run)
    record = studio.runs.wait(run, 60)
    complete(studio, run, 600)
    assert record.seconds > seconds
    assert seen < 600
    assert any("Resumed from the last checkpoint" in event.message for event in studio.runs.events(run))


def test_a_killed_dashboard_leaves_its_run_running_and_the_next_one_watches_on(home: Home, keeper: Keep) -> None:
    first = keeper()
    with Studio(home, watch=False) as reader:
        run = reader.runs.submit(plan_of(500, 0.025), kind="count")
        until(reader, run, at_step(10))
        first.kill()
        step = reader.runs.get(run).progress["step"]
        until(reader, run, at_step(step + 25))  # nobody watches, and it goes on
        hurry(reader, run)
        with Studio(home) as studio:
            until(studio, run, lambda record: record.status is Status.FINISHED)
            complete(studio, run, 500)
            assert not any(event.kind == "warning" for event in studio.runs.events(run))


def test_when_both_are_killed_the_next_dashboard_says_so_at_once(rounds: Rounds, home: Home, keeper: Keep) -> None:
    first = keeper()
    with Studio(home, watch=False) as reader:
        run = reader.runs.submit(plan_of(600, 0.02), kind="count")
        waiting = reader.runs.submit(plan_of(3, name="waiting"), kind="count")
        record = until(reader, run, at_step(60))
        assert record.pid is not None
        os.kill(record.pid, signal.SIGKILL)
        first.kill()
        assert reader.runs.get(run).status.active  # nobody was there to see it
        with Studio(home) as studio:
            until(studio, run, lambda record: record.status is Status.INTERRUPTED)
            assert rounds.done < 20
            assert lost(studio, run) < 50
            assert studio.runs.wait(waiting, 60).status is Status.FINISHED
            hurry(studio, run)
            studio.runs.resume(run)
            studio.runs.wait(run, 60)
            complete(studio, run, 600)


def test_a_worker_that_dies_while_nobody_watches_but_its_old_parent_is_found(
    rounds: Rounds, home: Home, keeper: Keep
) -> None:
    first = keeper()
    with Studio(home, watch=False) as reader:
        run = reader.runs.submit(plan_of(10_000, 0.02), kind="count")
        record = until(reader, run, at_step(5))
        assert record.pid is not None
        first.kill()
        with Studio(home) as studio:
            rounds.wait(2)  # it is adopted
            assert studio.runs.get(run).status is Status.RUNNING
            os.kill(record.pid, signal.SIGKILL)
            record = studio.runs.wait(run, 60)
            assert record.status is Status.INTERRUPTED


def test_an_adopted_worker_is_paused_and_cancelled_as_any_other(home: Home, keeper: Keep) -> None:
    first = keeper()
    with Studio(home, watch=False) as reader:
        run = reader.runs.submit(plan_of(10_000, 0.02), kind="count")
        until(reader, run, at_step(5))
        first.kill()
        with Studio(home) as studio:
            studio.runs.pause(run)
            assert studio.runs.wait(run, 60).status is Status.PAUSED
            studio.runs.resume(run)
            until(studio, run, lambda record: record.status is Status.RUNNING)
            studio.runs.cancel(run)
            assert studio.runs.wait(run, 60).status is Status.CANCELLED


def test_two_dashboards_on_one_home_start_no_run_twice_and_never_two_at_once(home: Home, keeper: Keep) -> None:
    keeper()
    keeper()
    with Studio(home, watch=False) as reader:
        runs = [reader.runs.submit(plan_of(12, 0.02, name=f"run {number}"), kind="count") for number in range(6)]
        most = 0
        end = time.monotonic() + 60
        while any(reader.runs.get(run).status is not Status.FINISHED for run in runs):
            most = max(most, len(reader.runs.list(status="active")))
            assert time.monotonic() < end
            time.sleep(0.02)
        assert most == 1
        for run in runs:
            complete(reader, run, 12)
            assert reader.runs.log(run).count("attempt 1") == 1
            assert "attempt 2" not in reader.runs.log(run)
        started = [reader.runs.get(run).started or 0 for run in runs]
        assert started == sorted(started)


def test_a_worker_asked_to_end_writes_a_checkpoint_and_is_interrupted(studio: Studio) -> None:
    run = studio.runs.submit(plan_of(10_000, 0.02), kind="count")
    record = until(studio, run, at_step(7))
    assert record.pid is not None
    os.kill(record.pid, signal.SIGTERM)
    record = studio.runs.wait(run, 60)
    assert record.status is Status.INTERRUPTED
    step = studio.runs.series(run).series["train/loss"]["steps"][-1]
    assert (studio.home.run(run) / "checkpoints" / str(step)).is_dir()


def test_a_worker_that_was_given_up_and_wakes_again_writes_nothing(studio: Studio) -> None:
    run = studio.runs.submit(plan_of(2000, 0.01), kind="count")
    record = until(studio, run, at_step(10))
    assert record.pid is not None
    process = psutil.Process(record.pid)
    process.suspend()
    with studio._store.db.transaction() as connection:  # another machine, say, that gave the run a new owner
        connection.execute("update runs set token = 'another' where id = ?", (run,))
    time.sleep(0.1)
    before = studio.runs.series(run).cursor
    process.resume()
    process.wait(60)
    assert studio.runs.series(run).cursor == before


def test_a_run_that_does_not_hear_is_stopped(studio: Studio) -> None:
    assert studio._manager is not None
    studio._manager._grace = 0.5
    run = studio.runs.submit(plan_of(), kind="deaf")
    record = until(studio, run, lambda record: record.status is Status.RUNNING)
    assert record.pid is not None
    studio.runs.cancel(run)
    record = studio.runs.wait(run, 60)
    assert record.status is Status.CANCELLED
    assert record.error is None
    assert studio.runs.series(run).series["train/loss"]["values"] == [1.0]


@pytest.mark.parametrize(
    ("kind", "status", "said"),
    [
        ("fail", Status.FAILED, "The label 'x' is unknown. Where: row 3."),
        ("stumble", Status.FAILED, "ZeroDivisionError: nobody foresaw this"),
        ("memory", Status.FAILED, "memory was not enough"),
        ("crash", Status.FAILED, "crashed (SIGSEGV)"),
        ("leave", Status.FAILED, "memory was not enough"),
    ],
)
def test_every_bad_end_is_told(studio: Studio, kind: str, status: Status, said: str) -> None:
    run = studio.runs.submit(plan_of(), kind=kind)
    record = studio.runs.wait(run, 60)
    assert record.status is status
    assert record.error is not None
    assert said in record.error["message"]
    assert record.error["advice"]
    event = studio.runs.events(run)[-1]
    assert (event.kind, event.message) == ("error", record.error["message"])
    studio.runs.resume(run)
    assert studio.runs.get(run).error is None
    studio.runs.cancel(run)


def test_a_worker_that_asks_for_too_much_memory_fails_with_advice(studio: Studio) -> None:
    run = studio.runs.submit(plan_of(), kind="devour")
    record = studio.runs.wait(run, 60)
    assert record.status is Status.FAILED
    assert record.error is not None
    assert record.error["error"] == "DeviceError"
    assert "smaller batch" in record.error["message"]


def test_a_chatty_worker_never_blocks_and_its_log_is_shown(studio: Studio) -> None:
    run = studio.runs.submit(plan_of(), kind="chatter")
    assert studio.runs.wait(run, 60).status is Status.FINISHED
    lines = studio.runs.log(run, 3).split("\n")
    assert len(lines) == 3
    assert lines[1] == "last line"
    assert "\x1b" not in studio.runs.log(run)
    assert len(studio.runs.log(run, 200).split("\n")) == 200


def test_the_folder_of_a_run_that_vanished_does_not_stop_anything(studio: Studio) -> None:
    import shutil

    run = studio.runs.submit(plan_of(3), kind="count")
    studio.runs.wait(run, 60)
    shutil.rmtree(studio.home.run(run))
    record = studio.runs.get(run)
    assert (record.has_checkpoint, record.has_model) == (False, False)
    assert (studio.runs.log(run), studio.runs.results(run), studio.runs.data_report(run)) == ("", None, None)
    studio.runs.delete(run)
    assert studio.runs.list() == []


def test_a_store_that_vanishes_is_told_and_the_manager_lives_on(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sqlite3

    assert studio._manager is not None
    fail = threading.Event()
    fail.set()
    beat = studio._manager._store.claims.beat

    def broken(manager: str) -> None:
        if fail.is_set():
            from core.runs.database import storage_error

            raise storage_error(sqlite3.OperationalError("database or disk is full"), studio.home.store)
        beat(manager)

    monkeypatch.setattr(studio._manager._store.claims, "beat", broken)
    end = time.monotonic() + 60
    while studio.problem is None:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert "disk is full" in studio.problem
    fail.clear()
    run = studio.runs.submit(plan_of(2), kind="count")
    assert studio.runs.wait(run, 60).status is Status.FINISHED
    assert studio.problem is None


def test_a_disk_that_takes_nothing_for_a_while_stops_no_training_and_loses_no_metric(studio: Studio) -> None:
    run = studio.runs.submit(plan_of(), kind="squeezed")
    record = studio.runs.wait(run, 60)
    assert record.status is Status.FINISHED, record.error
    assert studio.runs.series(run).series["train/loss"]["steps"] == list(range(1, 202))
    told = [event.message for event in studio.runs.events(run) if event.kind == "warning"]
    assert len(told) == 1
    assert told[0].startswith("The store could not be written for")


def test_low_disk_keeps_a_run_from_starting_with_advice(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    from core.runs import manager

    monkeypatch.setattr(manager, "FLOOR_BYTES", 10**18)
    run = studio.runs.submit(plan_of(2), kind="count")
    record = studio.runs.wait(run, 60)
    assert record.status is Status.FAILED
    assert record.error is not None
    assert record.error["error"] == "StorageError"
    monkeypatch.setattr(manager, "FLOOR_BYTES", 0)
    studio.runs.resume(run)
    assert studio.runs.wait(run, 60).status is Status.FINISHED


def test_an_end_that_could_not_be_stored_is_read_from_the_folder(studio: Studio) -> None:
    from core.runs import folder

    claims = studio._store.claims
    run = studio.runs.submit(plan_of(1000, 0.05, runtime={"backend": "thread"}), kind="count")
    until(studio, run, lambda record: record.status is Status.RUNNING)
    row = studio._store.runs.row(run)
    folder.leave_testament(studio.home.run(run), row["token"], "finished", None, {"test/accuracy": 0.5})
    assert studio._manager is not None
    studio._manager._bury(row, 1)
    record = studio.runs.get(run)
    assert (record.status, record.metrics) == (Status.FINISHED, {"test/accuracy": 0.5})
    assert not claims.end(run, row["token"], Status.FAILED)


def test_a_process_is_known_by_its_time_of_creation() -> None:
    _, pid, created = identity.me()
    assert identity.alive(pid, created)
    assert not identity.alive(pid, created - 60)
    assert not identity.alive(2**22 + 1, created)
