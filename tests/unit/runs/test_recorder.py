from __future__ import annotations

import math
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from core.errors import StorageError
from core.runs import recorder as module
from core.runs.claims import OwnershipLost
from core.runs.events import NewEvent
from core.runs.line import Asked, Batch
from core.runs.points import Point
from core.runs.recorder import Recorder
from core.runs.records import Status
from core.training.context import Request, Wish


class Line:
    """A line that keeps what it is given, and fails while it is told to."""

    def __init__(self) -> None:
        self.points: list[Point] = []
        self.events: list[NewEvent] = []
        self.progress: dict[str, Any] = {}
        self.asked = Asked()
        self.took: list[int] = []
        self.failure: Exception | None = None
        self.writes = 0
        self.threads: set[str] = set()

    def write(self, batch: Batch) -> Asked:
        self.threads.add(threading.current_thread().name)
        if self.failure is not None:
            raise self.failure
        self.writes += 1
        self.points += batch.points
        self.events += batch.events
        self.progress = dict(batch.progress or self.progress)
        self.took += batch.took
        asked, self.asked = self.asked, Asked(self.asked.stop)
        return asked

    def settle(self) -> None:
        """Nothing to do."""


@pytest.fixture
def line() -> Line:
    return Line()


def record(line: Line, **options: Any) -> Recorder:
    return Recorder(line, Path("run"), Path("cache"), **options)


def wait(test: Any, seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not test():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_what_is_recorded_is_written_within_half_a_second_by_another_thread(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = record(line, progress={"phase": "old", "step": 3})
    pauses: list[float] = []
    before: list[list[float]] = []
    pause, write = recorder._wake.wait, line.write
    monkeypatch.setattr(recorder._wake, "wait", lambda seconds: pauses.append(seconds) or pause(seconds))
    monkeypatch.setattr(line, "write", lambda batch: before.append(list(pauses)) or write(batch))
    recorder.metrics(4, {"train/loss": 0.5, "lr/all": math.nan})
    recorder.event("info", "hello", step=4, data={"a": 1})
    recorder.progress(step=4)
    recorder.start()
    wait(lambda: line.points)
    assert before[0] == [0.5]
    assert line.threads == {"bertloom-recorder"}
    assert [(name, step) for name, step, _, _ in line.points] == [("train/loss", 4), ("lr/all", 4)]
    assert (line.events[0].message, line.events[0].step) == ("hello", 4)
    assert line.progress == {"phase": "old", "step": 4}
    recorder.metrics(5, {"train/loss": 0.4})
    assert recorder.close()
    assert line.points[-1][1] == 5


def test_requests_are_heard_pause_and_cancel_stay_save_is_told_once(line: Line) -> None:
    recorder = record(line)
    assert recorder.request() is Request.NONE
    line.asked = Asked(save=True)
    recorder.flush()
    assert [recorder.request() for _ in range(2)] == [Request.SAVE, Request.NONE]
    line.asked = Asked(Status.PAUSING)
    recorder.flush()
    assert [recorder.request() for _ in range(2)] == [Request.PAUSE] * 2
    line.asked = Asked(Status.CANCELLING)
    recorder.flush()
    assert [recorder.request() for _ in range(2)] == [Request.CANCEL] * 2
    stopped = record(Line())
    stopped.stop()
    assert stopped.request() is Request.PAUSE


def test_a_store_that_fails_never_reaches_the_training_and_loses_nothing(line: Line) -> None:
    recorder = record(line).start()
    line.failure = StorageError("The disk is full: the run store cannot be written.")
    for step in range(1, 101):
        recorder.metrics(step, {"train/loss": 1.0})
    recorder.event("info", "while it failed")
    recorder.flush()
    assert recorder.request() is Request.NONE
    assert recorder.pending == 101
    line.failure = None
    assert recorder.close()
    assert [step for _, step, _, _ in line.points] == list(range(1, 101))
    assert line.events[0].message == "while it failed"
    told = line.events[1]
    assert told.kind == "warning"
    assert "could not be written" in told.message


def test_memory_is_bounded_while_the_store_fails(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_POINTS", 100)
    recorder = record(line)
    line.failure = StorageError("The disk is full.")
    for step in range(1, 1001):
        recorder.metrics(step, {"train/loss": float(step)})
        if step % 10 == 0:
            recorder.flush()
            assert recorder.pending <= 110
    line.failure = None
    recorder.flush()
    steps = [step for _, step, _, _ in line.points]
    assert steps[-40:] == list(range(961, 1001))
    assert steps == sorted(set(steps))
    assert f"{1000 - len(steps)} of the waiting points" in line.events[-1].message


def test_a_run_that_belongs_to_another_is_given_up(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    lost: list[bool] = []
    recorder = record(line, on_lost=lambda: lost.append(True)).start()
    line.failure = OwnershipLost("This run belongs to another worker now.")
    recorder.metrics(1, {"a": 1.0})
    wait(lambda: lost)
    assert recorder.lost
    assert recorder.request() is Request.CANCEL
    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("it waits for a store that it has lost"))
    assert not recorder.close(patience=30)
    assert lost == [True]
    assert line.points == []


def test_values_that_are_no_numbers_are_left_out_and_told_in_the_log(
    line: Line, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = record(line)
    recorder.metrics(1, {"a": "x"})  # type: ignore[dict-item]
    recorder.metrics(2, {"a": 1})
    recorder.progress(best={"value": math.nan, "where": Path("x")})
    recorder.flush()
    assert [(name, step, value) for name, step, value, _ in line.points] == [("a", 2, 1.0)]
    assert "not numbers" in caplog.text


def test_closing_goes_on_trying_for_a_while(line: Line) -> None:
    recorder = record(line).start()
    line.failure = StorageError("locked")
    recorder.metrics(1, {"a": 1.0})
    threading.Timer(0.5, lambda: setattr(line, "failure", None)).start()
    assert recorder.close(patience=10)
    assert len(line.points) == 1
    assert not record_that_never_writes().close(patience=0.3)


def record_that_never_writes() -> Recorder:
    line = Line()
    line.failure = StorageError("locked")
    recorder = record(line)
    recorder.metrics(1, {"a": 1.0})
    return recorder


def test_changes_are_told_until_they_were_taken(line: Line) -> None:
    recorder = record(line)
    wish = Wish(7, 0, {"alpha": 0.5})
    line.asked = Asked(wishes=[wish])
    recorder.flush()
    assert recorder.wishes() == [wish]
    assert recorder.wishes() == [wish]
    recorder.took(7)
    assert recorder.wishes() == []
    line.failure = StorageError("full")
    recorder.flush()
    line.failure, line.asked = None, Asked(wishes=[wish])  # the store has not heard of it yet
    recorder.flush()
    assert recorder.wishes() == []
    assert line.took == [7]
    recorder.flush()
    assert line.took == [7]
