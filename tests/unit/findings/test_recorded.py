"""Findings of real runs of a tiny encoder: what goes wrong is told, what goes well is not."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path
from typing import Any

import pytest

from core.config import Plan
from core.errors import BertloomError
from core.runs.findings import Points, Recorded, findings
from core.training import MemoryContext, train
from tests.tiny import tiny_encoder

_OTHER = ["the", "a", "film", "movie", "plot", "story", "actor", "was", "is", "very", "too", "city", "river", "house"]


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("findings")
    chance = random.Random(0)
    with (folder / "reviews.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for index in range(300):
            word = chance.choice(["good", "great", "fun"] if index % 2 else ["bad", "awful", "dull"])
            words = [*chance.choices(_OTHER, k=chance.randint(2, 10)), word, str(index)]
            chance.shuffle(words)
            writer.writerow([" ".join(words), "pos" if index % 2 else "neg"])
    tiny_encoder(folder / "encoder")
    return folder


def _recorded(material: Path, tmp_path: Path, *more: dict[str, Any], **stage: Any) -> Recorded:
    plan = Plan.model_validate(
        {
            "data": {"source": str(material / "reviews.csv"), "gate_share": 0.2, "test_share": 0.2},
            "model": {"source": str(material / "encoder"), "max_length": 32},
            "stages": [{"batch_size": 16, "eval_every": 10, **one} for one in (stage, *more)],
            "runtime": {"threads": 1, "precision": "fp32", "device": "cpu", "keep": "metrics"},
        }
    )
    context = MemoryContext(tmp_path / "run", tmp_path / "cache")
    error = None
    try:
        train(plan, context)
    except BertloomError as problem:
        error = problem.as_dict()
    series = {}
    for name in {name for name, _ in context.points}:
        pairs = context.series(name)
        series[name] = Points.of([step for step, _ in pairs], [value for _, value in pairs])
    folder = tmp_path / "run"
    results, report = (
        json.loads(path.read_text()) if (path := folder / name).exists() else None
        for name in ("results.json", "data_report.json")
    )
    status = "failed" if error else "finished"
    return Recorded(plan, status, series, context.events, results, report, error, 8000.0)


def test_a_run_that_learns_is_left_alone(material: Path, tmp_path: Path) -> None:
    run = _recorded(material, tmp_path, steps=60, lr=2e-3)
    assert run.results is not None
    assert run.results["metrics"]["test/accuracy"] > 0.75
    assert [one.message for one in findings(run) if one.severity != "note"] == []


def test_a_head_at_the_encoders_rate_has_learnt_nothing(material: Path, tmp_path: Path) -> None:
    run = _recorded(material, tmp_path, steps=60, lr=2e-5, freeze_encoder=True)
    found = {one.code: one for one in findings(run)}
    assert "rate_too_low" in found
    cured = found["rate_too_low"].remedies[0].plan(run.plan)
    assert cured.stages[0].head_lr == 1e-2


def test_a_rate_far_too_high_is_told(material: Path, tmp_path: Path) -> None:
    run = _recorded(material, tmp_path, steps=60, lr=10.0, schedule={"name": "constant"}, clip_norm=None,
                    optimizer={"name": "sgd"})  # fmt: skip
    found = findings(run)
    assert found[0].severity == "problem"
    assert {one.code for one in found} & {"diverged", "one_class"}


def test_a_gate_that_asks_for_too_much_is_told_with_what_was_reached(material: Path, tmp_path: Path) -> None:
    gate = {"metric": "accuracy", "reference": "majority", "min_delta": 0.49}
    run = _recorded(
        material, tmp_path, {"name": "all", "steps": 10, "lr": 1e-3},
        name="head", steps=20, lr=1e-2, freeze_encoder=True, gate=gate, on_fail="continue",
    )  # fmt: skip
    found = {one.code: one for one in findings(run)}
    assert "gate_not_reached" in found, [one["message"] for one in run.events]
    assert "The gate of stage head was never passed: " in found["gate_not_reached"].message
    assert found["gate_not_reached"].remedies[0].plan(run.plan).stages[0].steps == 40
