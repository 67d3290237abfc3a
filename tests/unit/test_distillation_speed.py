"""What the benchmark of distillation makes of its measurements, and what the page says of them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.benchmarks.__main__ import BENCHMARKS
from tests.benchmarks.bench_distillation import PROMISES, summary
from tests.benchmarks.report_distillation_speed import distillation

ROOT = Path(__file__).resolve().parents[2]


def run(seconds: float, **others: Any) -> dict[str, Any]:
    return {
        "seconds": seconds,
        "steps": 120,
        "choices": {"precision": "fp32", "threads": 2, "path": "packed"},
        **others,
    }


def measured(*, more: float = 0.015, loss: float = 2e-5) -> dict[str, list[dict[str, Any]]]:
    found = {
        "cached": [run(seconds, parts={"pass": 1.0, "training": seconds - 1.0}) for seconds in (10.0, 12.0, 11.0)],
        "recomputed": [run(seconds) for seconds in (22.0, 20.0, 21.0)],
        "recomputed-fp32": [run(44.0)],
        "trainer": [run(seconds) for seconds in (30.0, 36.0)],
        "looking": [{"more": more, "parts": {"strips": 0.004}, "step_ms": 100.0, "pairs": 240}],
    }
    differs = {name: {"largest": loss, "median": loss / 2} for name in ("loss", "soft")}
    return {**found, "losses": [{"batches": 12, "temperatures": {"1": differs, "10": differs}}]}


def test_ratios_are_of_medians_and_their_spread_is_that_of_rounds() -> None:
    told = summary(measured())
    assert told["arms"]["cached"]["median_s"] == 11.0
    assert told["arms"]["cached"]["parts"] == {"pass": 1.0, "training": 10.0}
    assert told["ratios"]["recomputed"] == {"ratio": 1.909, "low": 1.667, "high": 2.2, "held": True}
    assert told["ratios"]["trainer"]["ratio"] == 3.0
    assert told["ratios"]["trainer"]["held"]
    assert told["losses"]["held"]
    assert told["looking"]["held"]


@pytest.mark.parametrize(
    ("changed", "part"), [({"more": 0.021}, "looking"), ({"loss": 1.1e-4}, "losses")], ids=["looking", "losses"]
)
def test_a_promise_that_is_not_kept_is_said_to_be(changed: dict[str, float], part: str) -> None:
    told = summary(measured(**changed))
    assert not told[part]["held"]
    report = {name: {"recomputed": [run(11.0)]}.get(name, runs) for name, runs in measured(**changed).items()}
    assert not summary(report)["ratios"]["recomputed"]["held"]


def test_what_is_missing_is_left_out_and_what_is_there_is_told() -> None:
    assert distillation({}) == "Not measured yet.\n"
    assert distillation(summary({})) == "Not measured yet.\n"
    part = {"rows": 384, "epochs": 10, **summary({"cached": measured()["cached"]})}
    assert "| 3 | 11.0 | 10.0 – 12.0 |" in distillation(part)
    assert "promised" not in distillation(part)
    looks = dict.fromkeys(("strips", "quadrants", "gradient shares", "layers", "rows of gate"), 0.001)
    found = measured(loss=2e-4)
    found["looking"][0]["parts"] = looks
    sizes = {"file_mb": 1.0, "before_mb": 90.0, "own_mb": 0.5, "peak_mb": 200.0}
    found |= {f"memory-{kind}-1000": [sizes] for kind in ("kept", "loaded")}
    page = distillation({"rows": 384, "epochs": 10, **summary(found)})
    assert f"| recomputed / cached | 1.91 | 1.67 – 2.20 | ≥ {PROMISES['recomputed']:g} | yes |" in page
    assert "| recomputed-fp32 / cached | 4.00 | 4.40 – 4.40 | | |" in page
    assert "held: **no**" in page  # the losses
    assert "| 10 | 2.0e-04 | 1.0e-04 | 2.0e-04 | 1.0e-04 |" in page
    assert "1.50 % longer" in page
    assert "| 1,000 | 1.0 | 0.5 | 0.5 | 200 |" in page


def test_make_bench_measures_distillation_too() -> None:
    assert "bench_distillation" in BENCHMARKS


def measured_alone(folder: Path, *, kept: bool) -> dict[str, Any]:
    """Measure in a process of its own: one that has trained serves arrays from memory that it has kept."""
    script = (
        "import json, pathlib, sys; from tests.benchmarks.distillation_looking import memory\n"
        "print(json.dumps(memory(pathlib.Path(sys.argv[1]), 20_000, kept=sys.argv[2] == 'True')))"
    )
    command = [sys.executable, "-c", script, str(folder), str(kept)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    return dict(json.loads(done.stdout))


def test_answers_on_the_disk_stay_there(tmp_path: Path) -> None:
    found = {kept: measured_alone(tmp_path / str(kept), kept=kept) for kept in (True, False)}
    assert found[True]["file_mb"] == pytest.approx(20_000 * 512 * 2 / 1e6)
    assert found[True]["own_mb"] < found[False]["own_mb"] / 2
    assert found[False]["own_mb"] > found[False]["file_mb"], "what is held in memory is seen"
    assert np.isfinite(found[True]["peak_mb"])
