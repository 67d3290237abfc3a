"""A structure search whose worker is killed (``kill -9``) goes on, and ends with the same front; FLOPs for latency."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from pathlib import Path

import pytest

from core.api import Studio
from core.runs.records import RunRecord, Status
from core.settings import Home
from tests.unit.runs.test_exact_resume import in_this_process
from tests.unit.search.structure.made import config_of, material, told


def finished(studio: Studio, run: str) -> RunRecord:
    record = studio.runs.wait(run, 400)
    assert record.status is Status.FINISHED, record.error
    return record


def kill(studio: Studio, run: str) -> None:
    """Kill the worker of a run, if it is still at work."""
    record = studio.runs.get(run)
    if record.status.active and record.pid is not None:
        with contextlib.suppress(ProcessLookupError):  # it ended by itself just now
            os.kill(record.pid, signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_killed_search_goes_on_and_ends_with_the_same_front(studio: Studio, tmp_path: Path) -> None:
    config = config_of(material(tmp_path))
    calm, struck = (studio.structures.submit(one) for one in (in_this_process(config), config))
    finished(studio, calm)
    end = time.monotonic() + 200
    students = studio.home.run(struck) / "students"
    while not students.is_dir() or not any(studio.runs.list(part_of=struck)):  # the first candidate is being trained
        assert time.monotonic() < end
        time.sleep(0.01)
    kill(studio, struck)
    assert studio.runs.wait(struck, 200).status is Status.INTERRUPTED
    assert studio.runs.get(struck).has_checkpoint
    studio.runs.resume(struck)
    finished(studio, struck)
    assert told(studio.home.run(struck), studio.home.runs) == told(studio.home.run(calm), studio.home.runs)
    assert not any(part.status is not Status.FINISHED for part in studio.runs.list(part_of=struck))
    assert {part.kind for part in studio.runs.list(part_of=struck)} == {"distil"}


@pytest.mark.verify
@pytest.mark.timeout(3000)
def test_a_search_that_is_killed_at_random_moments_ends_with_the_same_front(tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(10**6)
    luck, story = random.Random(seed), f"seed {seed}"
    config = config_of(material(tmp_path), candidates=10, halving={"enter": 4, "rungs": [6, 12, 12], "keep": 0.5,
                       "batch_tokens": 256, "sentences": 150})  # fmt: skip
    with Studio(Home(tmp_path / "home"), warm=False) as studio:
        calm = studio.structures.submit(config)
        record = finished(studio, calm)
        seconds = (record.ended or 0.0) - (record.started or 0.0)
        expected = told(studio.home.run(calm), studio.home.runs)
        for _ in range(3):
            run, blows = studio.structures.submit(config), 0
            for _ in range(6):
                delay = luck.random() * seconds
                story += f", killed after {delay:.2f} of {seconds:.2f} s"
                while not (record := studio.runs.get(run)).status.active or record.pid is None:
                    if record.status is Status.FINISHED:
                        break
                    time.sleep(0.01)
                time.sleep(delay)
                kill(studio, run)
                record = studio.runs.wait(run, 400)
                if record.status is Status.FINISHED:  # the blow came too late
                    break
                assert record.status is Status.INTERRUPTED, f"{story}: {record.error}"
                blows += 1
                studio.runs.resume(run)
            assert studio.runs.wait(run, 400).status is Status.FINISHED, story
            found = told(studio.home.run(run), studio.home.runs)
            assert found == expected, f"{story}: {[name for name in expected if found[name] != expected[name]]} differ"
            assert blows, f"{story}: no blow struck"
