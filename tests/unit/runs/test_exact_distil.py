"""A distillation whose worker was killed goes on and ends bit for bit as one that was not."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from core.api import Studio
from core.config.distil import DistilConfig
from core.runs.records import Status
from core.search.distil_run import run as distil
from core.settings import Home
from core.training.context import MemoryContext, Outcome
from tests.tiny import tiny_encoder
from tests.unit.runs.test_exact_graphs import strike
from tests.unit.search.test_statistics import corpus

STEPS = 40


def make_config(folder: Path) -> DistilConfig:
    layers = [{"width": width, "heads": width // 8, "intermediate": 2 * width} for width in (24, 16, 24)]
    parent = tiny_encoder(folder / "parent", hidden=32, layers=3, heads=4)
    return DistilConfig.model_validate(
        {
            "name": "exact", "model": {"source": str(parent)},
            "corpus": {"source": str(corpus(folder, 500)), "min_count": 1},
            "shape": {"mode": "stepped", "layers": layers, "embedding": 32}, "steps": STEPS, "batch_tokens": 300,
            "evaluate_every": 7,
            "runtime": {"threads": 1, "checkpoint_every_steps": 2, "checkpoint_every_s": 3600},
        }
    )  # fmt: skip


def fingerprint(place: Path, series: dict[str, list[tuple[int, float]]]) -> dict[str, Any]:
    """Return everything of a finished run that must be equal: every file of the model, results, series."""
    results = json.loads((place / "results.json").read_text(encoding="utf-8"))
    details = results["details"]
    details["distil"].pop("seconds")
    found: dict[str, Any] = {"metrics": results["metrics"], "details": details, **series}
    for file in sorted((place / "best").iterdir()):
        content = file.read_bytes().replace(place.name.encode(), b"RUN")
        found[file.name] = hashlib.sha256(content).hexdigest()
    return found


def undisturbed(folder: Path, config: DistilConfig) -> tuple[dict[str, Any], float]:
    """Execute a run in this process; return its fingerprint and its seconds."""
    began = time.monotonic()
    (folder / "calm").mkdir()
    context = MemoryContext(folder / "calm", folder / "cache")
    assert distil(config, context) is Outcome.FINISHED
    series = {name: context.series(name) for name in ("train/loss", "held/loss", "lr")}
    assert [step for step, _ in series["train/loss"]] == list(range(1, STEPS + 1))
    return fingerprint(context.folder, series), time.monotonic() - began


def kill_at(studio: Studio, run: str, step: int) -> bool:
    """Kill a run's worker once a step is recorded; return whether it was still at work."""
    end = time.monotonic() + 100
    while True:
        record = studio.runs.get(run)
        steps = studio.runs.series(run, names=["train/loss"], max_points=None).series.get("train/loss", {}).get("steps")
        if not record.status.active and record.status is not Status.QUEUED:
            return False
        if steps and steps[-1] >= step and record.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(record.pid, signal.SIGKILL)
            return studio.runs.wait(run, 100).status is Status.INTERRUPTED
        assert time.monotonic() < end, f"the run stayed {record.status}"
        time.sleep(0.005)


def compare(studio: Studio, run: str, expected: dict[str, Any], told: str) -> None:
    record = studio.runs.wait(run, 200)
    assert record.status is Status.FINISHED, f"{told}: {record.error}"
    series = {
        name: list(zip(one["steps"], one["values"], strict=True))
        for name, one in studio.runs.series(run, max_points=None).series.items()
    }
    found = fingerprint(studio.home.run(run), series)
    differing = [name for name in expected if expected[name] != found.get(name)]
    assert not differing, f"{told}: {differing} differ"
    assert found.keys() == expected.keys()


@pytest.mark.timeout(300)
def test_a_distillation_killed_in_training_ends_as_the_undisturbed_one(tmp_path: Path) -> None:
    config = make_config(tmp_path)
    expected, _ = undisturbed(tmp_path, config)
    with Studio(Home(tmp_path / "home"), warm=False) as studio:
        run = studio.runs.submit(config, kind="distil")
        assert kill_at(studio, run, 3), "the blow came too late"
        studio.runs.resume(run)
        compare(studio, run, expected, "killed after step 3")


@pytest.mark.verify
@pytest.mark.timeout(3000)
def test_ten_distillations_killed_anywhere_end_as_the_undisturbed_one(tmp_path: Path) -> None:
    config, seed = make_config(tmp_path), random.SystemRandom().randrange(10**6)
    luck, struck = random.Random(seed), 0
    expected, seconds = undisturbed(tmp_path, config)
    with Studio(Home(tmp_path / "home"), warm=False) as studio:
        for _ in range(10):
            run, told, workers = studio.runs.submit(config, kind="distil"), f"seed {seed}", set[int]()
            for _ in range(2):
                delay = luck.random() * (seconds + 5)  # a worker starts before it works
                told += f", killed after {delay:.2f} s"
                if strike(studio, run, delay, workers).status is Status.FINISHED:
                    break
                studio.runs.resume(run)
            struck += len(workers)
            compare(studio, run, expected, told)
            studio.runs.delete(run)
    assert struck > 5
