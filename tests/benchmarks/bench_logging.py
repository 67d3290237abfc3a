"""What recording costs a step, and opening a long run: ``python -m tests.benchmarks.bench_logging``.

Measured against the promises: recording below 0.5 % of a step of 200 ms, and a run of 100,000 steps read as fast as one
of 1,000. Arms are interleaved; medians are reported, with quartiles for opening.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.config import Plan
from core.runs.control import Control
from core.runs.line import Batch, StoreLine
from core.runs.recorder import Recorder
from core.runs.store import Store
from core.settings import Home

__all__ = ["main", "measure_opening", "measure_steps"]

_SERIES = ("train/loss", "train/grad_norm", "train/examples_per_s", "train/tokens_per_s", "train/memory_mb", "lr/all")


def _line(store: Store) -> tuple[str, StoreLine]:
    run = Control(store).submit(Plan(), now=True)
    claim = store.claims.claim("benchmark")
    assert claim is not None
    return run, StoreLine(store, claim)


def measure_steps(folder: Path, seconds: float, step_s: float = 0.2) -> dict[str, float]:
    """Measure the recorder's work per step, in the training's thread and in its own, as shares of a step.

    The process' CPU time is compared between stretches with and without a recorder; the calls themselves are timed too.
    """
    store = Store(Home(folder).ensure())
    calls: list[float] = []
    cpu: dict[bool, list[float]] = {True: [], False: []}
    end = time.monotonic() + seconds
    number = 0
    while time.monotonic() < end:
        for recorded in (True, False):
            recorder = None
            if recorded:
                _, line = _line(store)
                recorder = Recorder(line, folder, folder).start()
            begun = time.process_time()
            steps = round(2.0 / step_s)
            for _ in range(steps):
                number += 1
                time.sleep(step_s)  # the step's own work would hide the recorder's in the noise
                if recorder is not None:
                    before = time.perf_counter()
                    recorder.metrics(number, dict.fromkeys(_SERIES, 0.5))
                    recorder.progress(step=number, total_steps=10_000, epoch=0.5, eta_s=10.0, examples_per_s=100.0)
                    recorder.request()
                    calls.append(time.perf_counter() - before)
            cpu[recorded].append((time.process_time() - begun) / steps)
            if recorder is not None:
                recorder.close()
    store.close()
    extra = statistics.median(cpu[True]) - statistics.median(cpu[False])
    return {
        "step_ms": step_s * 1000,
        "calls_share": statistics.median(calls) / step_s,
        "calls_share_worst_of_100": statistics.quantiles(calls, n=100)[98] / step_s
        if len(calls) > 100
        else float("nan"),
        "cpu_share": extra / step_s,
        "stretches": len(cpu[True]),
    }


def measure_opening(folder: Path, long_steps: int = 100_000, short_steps: int = 1000) -> dict[str, float]:
    """Measure reading all series of a long and a short run for drawing, in turns."""
    store = Store(Home(folder).ensure())
    runs = {}
    for steps in (short_steps, long_steps):
        run, line = _line(store)
        runs[steps] = run
        for start in range(0, steps, 1000):
            span = range(start + 1, min(start + 1000, steps) + 1)
            line.write(
                Batch([(name, step, 1.0 / step + (step % 7) * 1e-3, 1e9 + step) for step in span for name in _SERIES])
            )
            line.settle()
    times: dict[int, list[float]] = {steps: [] for steps in runs}
    sizes: dict[int, int] = {}
    for _ in range(15):
        for steps, run in runs.items():
            begun = time.perf_counter()
            batch = store.points.series(run)
            times[steps].append(time.perf_counter() - begun)
            sizes[steps] = len(json.dumps(batch.series))
    store.close()
    found: dict[str, float] = {}
    for name, steps in (("short", short_steps), ("long", long_steps)):
        low, median, high = statistics.quantiles(times[steps], n=4)
        found |= {
            f"{name}_ms": median * 1000,
            f"{name}_quartiles_ms_low": low * 1000,
            f"{name}_quartiles_ms_high": high * 1000,
        }
        found[f"{name}_kb"] = sizes[steps] / 1000
    found["ratio"] = found["long_ms"] / found["short_ms"]
    return found


def main(seconds: float = 30.0) -> dict[str, dict[str, float]]:
    """Run both and return the figures."""
    parts: dict[str, Callable[[Path], dict[str, Any]]] = {
        "recording": lambda folder: measure_steps(folder, seconds),
        "opening": measure_opening,
    }
    found = {}
    for name, part in parts.items():
        with tempfile.TemporaryDirectory() as folder:
            found[name] = part(Path(folder))
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0, help="seconds of the recording part")
    parser.add_argument("--minutes", type=float, default=60.0, help="stop after this time, at the latest")
    options = parser.parse_args()
    measured = main(min(options.seconds, 30 * options.minutes))
    for part, figures in measured.items():
        print(part)
        for figure, value in figures.items():
            print(f"  {figure:28} {value:.4g}")
    results = Path(__file__).resolve().parents[2] / "docs" / "results" / "logging.json"
    results.parent.mkdir(parents=True, exist_ok=True)
    results.write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")
