from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from core.api import Studio
from core.runs.records import RunRecord
from core.runs.store import Store
from core.settings import Home
from tests.unit.runs import work

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def _kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BERTLOOM_TEST_KINDS", work.KINDS)
    monkeypatch.setenv("BERTLOOM_WARM", "0")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home").ensure()


@pytest.fixture
def store(home: Home) -> Iterator[Store]:
    made = Store(home)
    yield made
    made.close()


@pytest.fixture
def studio(home: Home) -> Iterator[Studio]:
    made = Studio(home)
    yield made
    for record in made.runs.list(status="active"):
        made._manager._grace = 0.0  # type: ignore[union-attr]
        made.runs.cancel(record.id)
        made.runs.wait(record.id, 60)
    made.close()


class Keeper:
    """A process of its own that watches a home, as a dashboard does."""

    def __init__(self, home: Home) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.unit.runs.keeper", str(home.root)],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"ready\n"

    def kill(self) -> None:
        self.process.kill()
        self.end()

    def end(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(20)


@pytest.fixture
def keeper(home: Home) -> Iterator[Callable[[], Keeper]]:
    made: list[Keeper] = []

    def make() -> Keeper:
        made.append(Keeper(home))
        return made[-1]

    yield make
    for one in made:
        if one.process.returncode is None:
            one.end()


def until(studio: Any, run_id: str, test: Callable[[RunRecord], bool], seconds: float = 60.0) -> RunRecord:
    """Wait until a run's record passes a test."""
    end = time.monotonic() + seconds
    while True:
        record = studio.runs.get(run_id)
        if test(record):
            return record
        assert time.monotonic() < end, f"the run stayed {record.status.value}: {record}"
        time.sleep(0.05)


def hurry(studio: Any, run_id: str) -> None:
    """Let a run that counts go on without pauses: nothing is to be done to it any more."""
    (studio.home.run(run_id) / "hurry").touch()


def at_step(step: int) -> Callable[[RunRecord], bool]:
    """Return a test for :func:`until`: the run's progress has reached a step."""
    return lambda record: record.progress.get("step", 0) >= step
