"""An estimate is kept with the run, compared with what the run took, and remembered for this machine."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.api import Studio
from core.config import Plan
from core.runs.claims import Claim
from core.runs.line import Batch, StoreLine
from core.runs.records import Status
from core.runs.store import Store
from core.settings import Home

ESTIMATE: dict[str, Any] = {
    "steps": 10, "seconds": 100.0, "seconds_low": 90.0, "seconds_high": 120.0, "memory_mb": 800.0, "lr": {"all": {}},
    "machine": {"host": platform.node(), "device": "cpu"},
    "stages": [{"name": "head", "seconds": 20.0, "cache_mb": 3.0}, {"name": "all", "seconds": 80.0}],
}  # fmt: skip


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home").ensure()


@pytest.fixture
def studio(home: Home) -> Iterator[Studio]:
    with Studio(home, watch=False, warm=False) as made:
        yield made


def run_of(studio: Studio, home: Home, *, seconds: float | None, memory: float = 880.0, **fields: Any) -> str:
    """Submit a run with an estimate and, if seconds are given, finish it."""
    run_id = studio.runs.submit(Plan(), now=True, estimate={**ESTIMATE, **fields})
    if seconds is None:
        return run_id
    store = Store(home)
    claim = store.claims.claim("test")
    assert isinstance(claim, Claim)
    store.claims.begin(claim.id, claim.token)
    points = [("train/memory_mb", 1, memory - 50, 1.0), ("train/memory_mb", 2, memory, 2.0)]
    StoreLine(store, claim).write(Batch(points=points))
    results = {
        "metrics": {}, "training": {"seconds": seconds},
        "stages": [{"name": "head", "seconds": 30.0, "attempts": [{}, {}]}],
    }  # fmt: skip
    (home.run(run_id) / "results.json").write_text(json.dumps(results))
    store.claims.end(claim.id, claim.token, Status.FINISHED)
    store.close()
    return run_id


def test_only_what_is_compared_is_kept(studio: Studio, home: Home) -> None:
    run_id = run_of(studio, home, seconds=None)
    kept = json.loads((home.run(run_id) / "estimate.json").read_text())
    assert kept["seconds"] == 100.0
    assert "lr" not in kept
    assert "cache_mb" not in kept["stages"][0]


def test_before_the_end_only_the_estimate_is_known(studio: Studio, home: Home) -> None:
    found = studio.runs.estimate(run_of(studio, home, seconds=None))
    assert found is not None
    assert (found["seconds"]["estimated"], found["seconds"]["real"], found["seconds"]["error"]) == (100.0, None, None)


def test_at_the_end_estimate_and_reality_stand_side_by_side(studio: Studio, home: Home) -> None:
    found = studio.runs.estimate(run_of(studio, home, seconds=125.0))
    assert found is not None
    assert found["seconds"] == {"estimated": 100.0, "low": 90.0, "high": 120.0, "real": 125.0, "error": 0.25}
    assert found["memory_mb"]["real"] == 880.0
    assert found["memory_mb"]["error"] == pytest.approx(0.1)
    assert found["stages"] == [
        {"name": "head", "estimated": 20.0, "real": 30.0, "attempts": 2},
        {"name": "all", "estimated": 80.0, "real": None, "attempts": None},
    ]


def test_a_run_that_was_started_without_an_estimate_has_none(studio: Studio) -> None:
    assert studio.runs.estimate(studio.runs.submit(Plan())) is None


def test_the_last_estimates_are_judged_by_their_median_error(studio: Studio, home: Home) -> None:
    for seconds in (110.0, 80.0, 150.0):
        run_of(studio, home, seconds=seconds)
    run_of(studio, home, seconds=None)
    found = studio.runs.estimate_accuracy()
    assert found["count"] == 3
    assert found["seconds_error"] == pytest.approx(0.2)
    assert found["seconds_bias"] == pytest.approx(0.1)
    assert found["memory_error"] == pytest.approx(0.1)


def test_the_history_outlives_its_runs(studio: Studio, home: Home) -> None:
    run_id = run_of(studio, home, seconds=110.0)
    before = studio.runs.estimate_accuracy()
    studio.runs.delete(run_id)
    assert studio.runs.estimate_accuracy() == before


def test_estimates_made_on_another_machine_do_not_count(studio: Studio, home: Home) -> None:
    run_of(studio, home, seconds=300.0, machine={"host": "elsewhere", "device": "cuda"})
    assert studio.runs.estimate_accuracy()["count"] == 0


def test_without_any_history_nothing_is_claimed(studio: Studio) -> None:
    found = studio.runs.estimate_accuracy()
    assert (found["count"], found["seconds_error"], found["memory_error"]) == (0, None, None)


def test_a_damaged_history_is_begun_anew(studio: Studio, home: Home) -> None:
    (home.root / "estimates.json").write_text("{")
    run_of(studio, home, seconds=110.0)
    assert studio.runs.estimate_accuracy()["count"] == 1
