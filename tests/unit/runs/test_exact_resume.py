"""A run that was killed at a random moment and resumed ends with the same weights, bit for bit, as one that was not."""

from __future__ import annotations

import csv
import hashlib
import json
import random
from pathlib import Path
from typing import Any

import pytest

from core.api import Studio
from core.config import Plan
from core.runs.records import Status
from core.settings import Home
from tests.tiny import WORDS, tiny_encoder

STEPS = 36
#: Three stages with a gate that fails, a retry with smaller rates, and a roll-back at last.
STAGES: list[dict[str, Any]] = [
    {"name": "head", "steps": 8, "lr": 1e-2, "eval_every": 4, "freeze_encoder": True, "gate": {"reference": 0.0}},
    {"name": "all", "steps": 10, "lr": 1e-3, "eval_every": 5, "gate": {"reference": 2.0}, "on_fail": "cut",
     "max_retries": 1},
    {"name": "top", "steps": 8, "lr": 5e-4, "eval_every": 4, "start_from": "best:head", "freeze_layers": 1},
]  # fmt: skip


def write_data(path: Path) -> Path:
    """Write rows whose label hangs on a word, with enough noise that every step matters."""
    source = random.Random(5)
    words = [word for word in WORDS if word.isalpha()]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for number in range(300):
            good = source.random() < 0.5
            text = source.choices(words, k=source.randint(3, 20))
            text.insert(source.randrange(len(text)), "good" if good != (source.random() < 0.1) else "bad")
            writer.writerow([" ".join([*text, str(number)]), "positive" if good else "negative"])
    return path


ONE: dict[str, Any] = {"steps": STEPS, "lr": 1e-3, "eval_every": 7, "layer_decay": 0.9}


def make_plan(folder: Path, stages: list[dict[str, Any]] | None = None) -> Plan:
    encoder = tiny_encoder(folder / "encoder", hidden=64, layers=3)
    return Plan.model_validate(
        {
            "name": "exact",
            "data": {"source": str(write_data(folder / "rows.csv"))},
            "model": {"source": str(encoder), "max_length": 64},
            "stages": [{"batch_size": 8, **stage} for stage in stages or [ONE]],
            "runtime": {
                "device": "cpu", "precision": "fp32", "threads": 1, "checkpoint_every_steps": 3,
                "checkpoint_every_s": 3600,
                "keep": "all",
            },
        }
    )  # fmt: skip


def in_this_process(config: Any) -> Any:
    """Return a config whose run starts no process: that of the tests has loaded torch already."""
    return config.model_copy(update={"runtime": config.runtime.model_copy(update={"backend": "thread"})})


def fingerprint(studio: Studio, run: str) -> dict[str, Any]:
    """Return everything of a finished run that must be equal: hashes of all weights, results, metric series."""
    place = studio.home.run(run)
    last = max(
        (path for path in (place / "checkpoints").iterdir() if path.name.isdigit()), key=lambda path: int(path.name)
    )
    files = [
        place / "best" / "model.safetensors",
        *(last / name for name in ("model.safetensors", "optimizer.safetensors")),
    ]
    found: dict[str, Any] = {
        str(file.relative_to(place)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files
    }
    results = json.loads((place / "results.json").read_text())
    found["metrics"] = {name: value for name, value in results["metrics"].items() if "seconds" not in name}
    found["decisions"] = results["decisions"]
    for name, series in studio.runs.series(run, max_points=None).series.items():
        if name.startswith(("train/loss", "train/grad_norm", "lr/", "gate/")):
            found[name] = list(zip(series["steps"], series["values"], strict=True))
    return found


def prove(folder: Path, blows: list[int], seed: int, stages: list[dict[str, Any]] | None = None) -> None:
    """Compare runs that are killed so many times each with one that is not."""
    plan = make_plan(folder, stages)
    luck = random.Random(seed)
    with Studio(Home(folder / "home"), warm=False) as studio:
        undisturbed = studio.runs.submit(in_this_process(plan))
        record = studio.runs.wait(undisturbed, 200)
        assert record.status is Status.FINISHED, record.error
        expected = fingerprint(studio, undisturbed)
        # The three stages, with their retry, take as many.
        assert [step for step, _ in expected["train/loss"]] == list(range(1, STEPS + 1))
        for count in blows:
            run, told, killed = "", f"seed {seed}", 0
            for step in sorted(luck.sample(range(1, STEPS), count)):
                delay = luck.choice((0.0, luck.random() * 0.05))
                told += f", killed {delay:.3f} s after step {step}"
                if run:
                    (studio.home.run(run) / "kill_at").write_text(f"{step} {delay}")
                    studio.runs.resume(run)
                else:
                    run = studio.runs.submit(plan, kind="doomed")
                    # in time: the worker process has not even started to import
                    (studio.home.run(run) / "kill_at").write_text(f"{step} {delay}")
                record = studio.runs.wait(run, 200)
                if record.status is Status.FINISHED:  # the blow came too late
                    break
                assert record.status is Status.INTERRUPTED, f"{told}: {record.error}"
                killed += 1
            if record.status is not Status.FINISHED:
                studio.runs.resume(run)
                record = studio.runs.wait(run, 200)
            assert record.status is Status.FINISHED, f"{told}: {record.error}"
            assert killed > 0, f"{told}: no blow struck"
            found = fingerprint(studio, run)
            differing = [name for name in expected if expected[name] != found.get(name)]
            assert not differing, f"{told}: {differing} differ"
            assert found.keys() == expected.keys()
            studio.runs.delete(run)


@pytest.mark.timeout(600)
def test_a_run_killed_three_times_ends_bit_for_bit_as_the_undisturbed_one(tmp_path: Path) -> None:
    prove(tmp_path, [3], random.SystemRandom().randrange(10**6))


@pytest.mark.verify
@pytest.mark.timeout(3000)
def test_ten_killed_runs_end_bit_for_bit_as_the_undisturbed_one(tmp_path: Path) -> None:
    prove(tmp_path, [1] * 10, random.SystemRandom().randrange(10**6))


@pytest.mark.timeout(600)
def test_a_run_of_three_stages_killed_twice_ends_bit_for_bit_as_the_undisturbed_one(tmp_path: Path) -> None:
    prove(tmp_path, [2], random.SystemRandom().randrange(10**6), STAGES)


@pytest.mark.verify
@pytest.mark.timeout(3000)
def test_ten_killed_runs_of_three_stages_end_bit_for_bit_as_the_undisturbed_one(tmp_path: Path) -> None:
    prove(tmp_path, [1] * 10, random.SystemRandom().randrange(10**6), STAGES)
