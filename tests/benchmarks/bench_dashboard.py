"""The dashboard's promises in a real browser: ``python -m tests.benchmarks.bench_dashboard``.

First paint of every page against a bare Streamlit page (visits interleaved, a fresh browser context each), a run of
100,000 steps opened against one of 1,000, the dashboard's memory while a run trains, and a run's step alone against
beside an open dashboard. Writes ``docs/results/dashboard/<part>.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
from playwright.sync_api import Page

from core.api import Studio
from core.config import Plan
from core.runs.records import RunRecord, Status
from core.settings import Home
from tests.benchmarks.visits import BareServer, chromium, spread, visit
from tests.e2e.conftest import Server
from tests.e2e.fake_run import FakeRun

PARTS = ("paint", "opening", "beside")
RESULTS = Path(__file__).parents[2] / "docs" / "results" / "dashboard"
CURVE = ".bl-card[data-panel=loss] .bl-plot .main-svg"


def measure_paint(folder: Path, repeats: int) -> dict[str, Any]:
    """First paint (the title) of a bare page and of every page, in turns; also of each as a server's first visit."""
    home = Home(folder / "home").ensure()
    with FakeRun(home, total=3000) as run:
        run.advance(1500)
        bare, ours = BareServer(home, folder / "bare.log"), Server(home, folder / "server.log")
        pages = {
            "bare": (bare, ""),
            "runs": (ours, "/"),
            "run": (ours, f"/run?id={run.id}"),
            "planner": (ours, "/stage_planner"),
        }
        first: dict[str, list[float]] = {name: [] for name in pages}
        seconds: dict[str, list[float]] = {name: [] for name in pages}
        with chromium() as browser:
            for _ in range(max(2, repeats // 4)):
                for name, (server, path) in pages.items():
                    server.start()
                    first[name].append(visit(browser, server.url + path))
                    server.stop()
            bare.start()
            ours.start()
            try:
                for turn in range(repeats + 1):
                    for name, (server, path) in pages.items():
                        took = visit(browser, server.url + path)
                        if turn:
                            seconds[name].append(took)
            finally:
                bare.stop()
                ours.stop()
    base, first_base = statistics.median(seconds["bare"]), statistics.median(first["bare"])
    return {
        name: {
            **spread(seconds[name]),
            "ratio": round(statistics.median(seconds[name]) / base, 3),
            "fresh_server_s": round(statistics.median(first[name]), 3),
            "fresh_server_ratio": round(statistics.median(first[name]) / first_base, 3),
        }
        for name in pages
    }


def measure_opening(folder: Path, repeats: int) -> dict[str, Any]:
    """Seconds until the loss curve of a run of 1,000 and of 100,000 steps stands, in turns, scripts in the cache."""
    home = Home(folder / "home").ensure()
    with (
        FakeRun(home, total=1000, run_id="20261122-100000-aaaa") as short,
        FakeRun(home, total=100_000, run_id="20261122-110000-bbbb") as long,
    ):
        short.advance(1000)
        long.advance(100_000, seconds_a_step=0.001)
        server = Server(home, folder / "server.log").start()
        seconds: dict[str, list[float]] = {short.id: [], long.id: []}
        try:
            with chromium() as browser:
                page = browser.new_page()
                for turn in range(repeats + 1):
                    for run in (short, long):
                        begun = time.perf_counter()
                        page.goto(f"{server.url}/run?id={run.id}", wait_until="commit")
                        page.wait_for_selector(CURVE)
                        if turn:
                            seconds[run.id].append(time.perf_counter() - begun)
        finally:
            server.stop()
    ratio = statistics.median(seconds[long.id]) / statistics.median(seconds[short.id])
    return {"1000": spread(seconds[short.id]), "100000": spread(seconds[long.id]), "ratio": round(ratio, 3)}


def _train(studio: Studio, steps: int, watch: Callable[[RunRecord], None]) -> RunRecord:
    data = {"source": "reviews", "train_rows": 400, "gate_rows": 50, "test_rows": 50}
    stage, runtime = {"steps": steps, "eval_every": steps}, {"precision": "fp32", "threads": 1}
    run_id = studio.runs.submit(Plan.model_validate({"data": data, "stages": [stage], "runtime": runtime}))
    while (run := studio.runs.get(run_id)).status.active or run.status is Status.QUEUED:
        watch(run)
        time.sleep(0.5)
    if run.status is not Status.FINISHED:
        raise RuntimeError(f"the run ended {run.status}: {run.error}")
    return run


def step_seconds(studio: Studio, run_id: str) -> float:
    """Median seconds of a step, from the times at which steps were recorded (the first ones warm up)."""
    times = studio.runs.series(run_id, names=["train/loss"], max_points=100_000).series["train/loss"]["times"][5:]
    return statistics.median(after - before for before, after in pairwise(times))


def measure_beside(folder: Path, repeats: int, steps: int) -> dict[str, Any]:
    """A real run's step beside an open, refreshing dashboard and without any tab, in turns; memory of the dashboard."""
    home = Home(folder / "home").ensure()
    server = Server(home, folder / "server.log").start()
    found: dict[bool, list[float]] = {False: [], True: []}
    memory: list[float] = []
    try:
        with chromium() as browser, Studio(home, watch=False) as studio:
            assert server.process is not None
            dashboard = psutil.Process(server.process.pid)
            for _ in range(repeats):
                for opened in (False, True):
                    page = browser.new_page() if opened else None

                    def watch(run: RunRecord, page: Page | None = page) -> None:
                        memory.append(dashboard.memory_info().rss / 2**20)
                        if page is not None and run.id not in page.url:
                            page.goto(f"{server.url}/run?id={run.id}")
                        elif page is not None:
                            page.wait_for_timeout(1)

                    found[opened].append(step_seconds(studio, _train(studio, steps, watch).id))
                    if page:
                        page.close()
    finally:
        server.stop()
    alone, beside = (statistics.median(found[opened]) for opened in (False, True))
    return {
        "step_alone": spread(found[False]),
        "step_beside": spread(found[True]),
        "ratio": round(beside / alone, 3),
        "memory_mb": round(statistics.median(memory), 1),
        "memory_mb_highest": round(max(memory), 1),
    }


def main(repeats: int = 10, steps: int = 60, parts: tuple[str, ...] = PARTS, minutes: float = 60.0) -> dict[str, Any]:
    """Measure the parts and write each one's figures; none is begun after the minutes."""
    until = time.monotonic() + 60 * minutes
    measures: dict[str, Callable[[Path], dict[str, Any]]] = {
        "paint": lambda folder: measure_paint(folder, repeats),
        "opening": lambda folder: measure_opening(folder, repeats),
        "beside": lambda folder: measure_beside(folder, max(2, repeats // 3), steps),
    }
    RESULTS.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = {}
    for part in parts:
        if time.monotonic() > until:
            break
        load = os.getloadavg()[0]
        with tempfile.TemporaryDirectory() as folder:
            found[part] = {**measures[part](Path(folder)), "load_before": round(load, 2), "cores": os.cpu_count()}
        (RESULTS / f"{part}.json").write_text(json.dumps(found[part], indent=2) + "\n", encoding="utf-8")
        print(part, json.dumps(found[part], indent=2), flush=True)
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=10, help="visits of each page")
    parser.add_argument("--steps", type=int, default=60, help="steps of each run that is timed")
    parser.add_argument("--minutes", type=float, default=60.0, help="begin no part after this time")
    parser.add_argument("parts", nargs="*", default=list(PARTS), help="what to measure")
    given = parser.parse_args()
    main(given.repeats, given.steps, tuple(given.parts), given.minutes)
