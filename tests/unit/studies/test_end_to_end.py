"""A claim as a person tests it: a worker process, a tiny encoder, every arm a run of its own below the claim."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from core.api import Studio
from core.config import ClaimConfig
from core.runs.records import Status
from core.settings import Home
from tests.tiny import tiny_encoder

pytestmark = pytest.mark.slow


def test_a_claim_is_tested_by_a_worker_and_its_runs_are_parts_of_it(tmp_path: Path) -> None:
    with (tmp_path / "rows.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        writer.writerows([f"the film {n} was {('good', 'bad')[n % 2]}", ("pos", "neg")[n % 2]] for n in range(160))
    config = ClaimConfig.model_validate(
        {
            "name": "tiny", "claim": "small-then-raise", "parts": ["head"], "seeds": 1, "steps": 12,
            "data": {"source": str(tmp_path / "rows.csv"), "test_share": 0.2},
            "model": {"source": str(tiny_encoder(tmp_path / "encoder")), "max_length": 32},
            "runtime": {"threads": 1, "precision": "fp32", "device": "cpu", "keep": "metrics"},
        }
    )  # fmt: skip
    with Studio(Home(tmp_path / "home"), warm=False) as studio:
        run_id = studio.claims.submit(config)
        record = studio.runs.wait(run_id, timeout=120)
        assert record.status is Status.FINISHED, record.error
        assert record.progress["step"] == record.progress["total_steps"] == 3
        parts = studio.runs.list(part_of=run_id)
        assert {part.status for part in parts} == {Status.FINISHED}
        assert sorted(len(part.plan["stages"]) for part in parts) == [1, 1, 3]
        assert all("test/accuracy" in part.metrics and not part.has_model for part in parts)
        runs = studio.claims.runs_of(run_id)
        assert {one.run_id for one in runs} == {part.id for part in parts}
        assert all(one.documents["n"] == 32 and one.curves["gate/accuracy"]["steps"] for one in runs)
        judged = studio.claims.verdicts(run_id)[0]
        assert judged.words == "With 1 seed there is no verdict; 5 are the least."
        assert studio.claims.list()[3]["last"]["verdicts"] == {"head": "no verdict"}
