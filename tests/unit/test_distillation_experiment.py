"""The distillation experiment: arms that differ in nothing else, and a page that says what the files say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from core.errors import ModelError
from core.runs.compare import compare
from core.studies.records import ArmRun
from tests.benchmarks import distillation_speed
from tests.benchmarks.distillation import PAGE, RESULTS, SPEED, Taught, read_results, write_result
from tests.benchmarks.distillation_arms import ARMS, LAYERS, SEEDS, TASKS, Job, jobs, student_plan, teacher_plan
from tests.benchmarks.report_distillation import page, pairs


def test_arms_of_a_seed_differ_in_what_the_teacher_adds_and_in_nothing_else() -> None:
    for task in TASKS:
        for layers in LAYERS:
            plans = {arm: student_plan(Job(task, 3, layers, arm), "teacher").model_dump(mode="json") for arm in ARMS}
            told = [plan["stages"][0].pop("distil") for plan in plans.values()]
            kinds = [plan["stages"][0].pop("kind") for plan in plans.values()]
            assert all(plan == plans["plain"] for plan in plans.values())
            assert kinds == ["train", "distil", "distil", "distil"]
            assert told[0] is None
            changed = [{key for key in one if one[key] != told[1][key]} for one in told[1:]]
            assert changed == [set(), {"differences"}, {"harmful"}]


def test_every_student_has_a_teacher_of_its_seed_that_is_trained_before_it() -> None:
    found = jobs()
    assert len({job.key for job in found}) == len(found) == SEEDS * len(TASKS) * (1 + len(LAYERS) * len(ARMS))
    for at, job in enumerate(found):
        assert job.layers == 0 or Job(job.task, job.seed) in found[:at]
    assert teacher_plan("reviews", 2).runtime.seed == 2


def made(arm: str, seed: int, score: float, layers: int = 3, bits: str = "f0") -> Taught:
    run = ArmRun(
        "full", arm, seed, "accuracy", score=score, gate_score=score, majority=0.5,
        documents={"score": "mean", "bits": bits, "n": 8},
    )  # fmt: skip
    return Taught("reviews", seed, layers, arm, 1_000_000 * (layers or 6), run)


@pytest.mark.parametrize(("score", "ms", "told"), [(0.79, 5.0, ("held", "held")), (0.71, 9.0, ("short", "short"))])
def test_the_page_says_whether_the_promise_holds(score: float, ms: float, told: tuple[str, str]) -> None:
    results = [made("teacher", seed, 0.8, layers=0) for seed in range(SEEDS)]
    results += [made("plain", seed, score + seed / 1000) for seed in range(SEEDS)]

    def timed(p50: float) -> dict[str, Any]:
        return {"timings": [{"batch": batch, "length": 64, "p50_ms": batch * p50} for batch in (1, 32)]}

    text = page(results, {"reviews": {"models": {"teacher": timed(10.0), "3": timed(ms)}}})
    (line,) = (one for one in text.splitlines() if one.startswith("**Promised and kept.**"))
    kept = 100 * (score + 0.002) / 0.8
    assert f"They keep {kept:.1f} % (95 % interval" in line
    alone = f"a text of 64 pieces by itself {10 / ms:.2f} times, **{told[1]}**"
    assert f": **{told[0]}**. They should answer 1.8 times as fast: {alone}; 32 of them" in line
    assert "Promised" not in page(results[:4], {})


def test_the_page_says_what_is_there_and_no_more(tmp_path: Path) -> None:
    results = [made("teacher", seed, 0.8 + seed / 100, layers=0) for seed in range(2)]
    results += [made(arm, seed, 0.7 + seed / 100) for arm in ARMS for seed in range(2)]
    for one in results:
        write_result(one, tmp_path)
    assert read_results(tmp_path) == sorted(results, key=lambda one: f"{one.key}.json")
    text = page(results, {})
    assert "| 3 layers, without a teacher | 70.5 ± 0.7 % | 2 | 87.6 % ± 0.1 |" in text
    assert "no verdict" in text
    assert "*Not finished*" in text
    assert "Not measured yet" in text  # the tweets


def test_a_verdict_needs_five_seeds_and_both_sources_of_error() -> None:
    results = [made("alone", seed, 0.60 + seed / 1000, bits="c0") for seed in range(5)]
    results += [made("plain", seed, 0.70 + seed / 900, bits="ff") for seed in range(5)]
    one = compare(pairs(results, "reviews", 3))[0]
    assert one.seeds == 5
    assert one.documents == 8
    assert one.difference == pytest.approx(0.1, abs=2e-3)


CHECK = {"max_difference": 3e-6, "agreement": 1.0}
ROWS = {"role": "test", "rows": 512, "of": 1000, "metric": "accuracy", "torch": 0.75, "onnx": 0.74, "agreement": 0.985}


def measured(p50: float, format: str = "safetensors") -> dict[str, Any]:
    timings = [
        {"batch": batch, "length": length, "p50_ms": batch * p50, "p95_ms": 2 * batch * p50, "texts_per_s": 1000 / p50}
        for batch in (1, 32) for length in (16, 64)
    ]  # fmt: skip
    return {
        "source": "/somewhere", "format": format, "parameters": 5, "file_bytes": 90_000_000, "memory_mb": 400.4,
        "libraries_mb": 200.0, "left_out": [], "head": True, "timings": timings,
    }  # fmt: skip


def benched(models: dict[str, Any]) -> dict[str, Any]:
    machine = {"processor": "p", "cores": 2, "system": "s"}
    return {
        "models": models, "threads": 2, "seconds": 0.5, "machine": machine, "measured": 1,
        "versions": {"torch": "2", "onnxruntime": "1"},
    }  # fmt: skip


def test_models_and_their_exports_are_measured_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def export(source: Path, target: Path, *, format: str, cache: Path | None) -> Path:
        target.mkdir()
        about = {"batches": {**CHECK, "largest": 4.0}, "rows": ROWS if cache else None, "format": format}
        (target / "onnx.json").write_text(json.dumps(about))
        return target

    def bench(places: dict[str, Path], *, seconds: float) -> dict[str, Any]:
        assert len(set(places.values())) == len(places)
        return benched({name: measured(float(at + 1)) for at, name in enumerate(places)})

    monkeypatch.setattr(distillation_speed, "export_model", export)
    monkeypatch.setattr(distillation_speed, "bench_models", bench)
    models = {"teacher": tmp_path / "t", "3": tmp_path / "s"}
    found = distillation_speed.costs(models, tmp_path, exports=True, cache=tmp_path)
    names = ["teacher", "3", "teacher onnx", "teacher onnx-int8", "3 onnx", "3 onnx-int8"]
    assert list(found["models"]) == names
    assert [one["of"] for one in found["models"].values()] == ["teacher", "3", "teacher", "teacher", "3", "3"]
    assert found["models"]["3 onnx"]["check"] == {**CHECK, "rows": ROWS}
    assert str(tmp_path) not in json.dumps(found)  # a file of results names no folder of whoever measured
    plain = distillation_speed.costs(models, tmp_path, exports=False)
    assert list(plain["models"]) == ["teacher", "3"]
    error = {"error": ModelError("It is gone.")}
    monkeypatch.setattr(distillation_speed, "bench_models", lambda *_, **__: benched({"teacher": error}))
    with pytest.raises(ModelError, match="gone"):
        distillation_speed.costs(models, tmp_path, exports=False)


def test_the_page_tells_what_every_format_costs() -> None:
    models: dict[str, Any] = {
        "teacher": {"of": "teacher", **measured(12.0)},
        "3": {"of": "3", **measured(6.0)},
        "teacher onnx": {"of": "teacher", **measured(9.0, "onnx"), "check": {**CHECK, "rows": ROWS}},
        "3 onnx": {"of": "3", **measured(4.0, "onnx"), "check": {**CHECK, "rows": {"why": "no rows"}}},
        "3 onnx-int8": {"of": "3", **measured(2.0, "onnx-int8"), "check": {**CHECK, "rows": ROWS}},
    }
    speed = {"reviews": benched(models), "tweets": benched({"teacher": models["teacher"], "3": models["3"]})}
    results = [made("teacher", 0, 0.8, layers=0), made("plain", 0, 0.7)]
    text = page(results, speed)
    assert "| 87.5 % | 3,000,000 | 6.00 | 2.00 × |" in text  # beside the score: the student by torch
    assert "## What they cost" in text
    lines = text.splitlines()
    assert [line.startswith("| teacher, 6 layers | ONNX | 90.0") for line in lines].index(True) + 1 == lines.index(
        "| 3 layers | torch | 90.0 | 400 | 6.00 | 12.00 | 2.00 × | 167 | 2.00 × |  |  |  |  |"
    )
    told = [line for line in lines if line.startswith("| 3 layers | ")]
    assert told[:3] == [
        "| 3 layers | torch | 90.0 | 400 | 6.00 | 12.00 | 2.00 × | 167 | 2.00 × |  |  |  |  |",
        "| 3 layers | ONNX | 90.0 | 400 | 4.00 | 8.00 | 3.00 × | 250 | 3.00 × | 3e-06 | 100.0 % | – | – |",
        "| 3 layers | ONNX, 8 bits | 90.0 | 400 | 2.00 | 4.00 | 6.00 × | 500 | 6.00 × | 3e-06 | 98.5 % | 75.0 % | "
        "74.0 % |",
    ]  # fmt: skip
    assert told[3] == "| 3 layers | torch | 6.00 (12.00) | 6.00 (12.00) | 192.00 (384.00) | 192.00 (384.00) |"
    assert "answers on 512 of the 1,000 test rows" in text
    assert "## What they cost" not in page(results, {"reviews": benched({"teacher": models["teacher"]})})


def test_the_stored_page_is_rendered_from_the_stored_files() -> None:

    speed = json.loads((RESULTS / SPEED).read_text()) if (RESULTS / SPEED).exists() else {}
    assert PAGE.read_text(encoding="utf-8") == page(read_results(), speed)
