"""A teacher, its student, and the same student alone, through the store; and what the report says of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from core.api import Studio
from core.cli.app import app
from core.config import Plan
from core.errors import RunError
from core.runs.compare.documents import answered, ratio_interval
from core.runs.distilled import alone, report, without_teacher
from core.runs.records import RunRecord, Status
from core.settings import Home
from tests.tiny import tiny_encoder


def record(plan: dict[str, Any], **others: Any) -> RunRecord:
    return RunRecord(
        **{
            "id": "20260101-000000-aaaa", "kind": "train", "name": "student", "status": Status("finished"),
            "plan": Plan.model_validate(plan).model_dump(mode="json"), "tags": (), "created": 0.0, "started": 0.0,
            "ended": 1.0, "seconds": 1.0, "position": None, "backend": "process", "pid": None, "heartbeat": None,
            **others,
        }
    )  # fmt: skip


def bits(*answers: int) -> str:
    return np.packbits(np.asarray(answers, dtype=bool)).tobytes().hex()


def results(score: float, *right: int, teachers: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    details = {
        "n": len(right), "intervals": {"accuracy": [score - 0.1, score + 0.1]}, "majority": 0.5,
        "documents": {"score": "mean", "bits": bits(*right)},
    }  # fmt: skip
    found: dict[str, Any] = {"metrics": {"test/accuracy": score}, "details": {"test": details}}
    return {**found, "teachers": teachers} if teachers is not None else found


DISTILLED = {"stages": [{"kind": "distil", "distil": {"teachers": [{"source": "t"}]}, "lr": 3e-4}]}


def test_rows_are_crossed_and_retention_is_the_share_of_the_teachers_score() -> None:
    theirs = {"source": "t", "name": "t", "parameters": 10, **results(0.75, 1, 1, 1, 0)}
    found = report(record(DISTILLED), results(0.5, 1, 0, 0, 1, teachers=[theirs]), {"distil/soft": [(1, 2.0)]}, None)
    (teacher,) = found["teachers"]
    assert teacher["quadrants"] == {"teachable": 2, "harmful": 1, "both_wrong": 0, "both_right": 1}
    assert teacher["retention"]["value"] == pytest.approx(2 / 3)
    low, high = teacher["retention"]["interval"]
    assert low <= 2 / 3 <= high
    assert found["training"] == {"distil/soft": 2.0}
    assert found["alone"] is None
    assert "not trained yet" in found["notices"][0]


def test_an_interval_of_a_share_covers_it_as_often_as_it_says() -> None:
    generator = np.random.default_rng(0)
    hits = 0
    for _ in range(60):
        teacher = generator.random((150, 1)) < 0.8
        student = np.where(generator.random((150, 1)) < 0.75, teacher, generator.random((150, 1)) < 0.5)
        truth = (0.75 * 0.8 + 0.25 * 0.5) / 0.8
        low, high = ratio_interval(student.astype(float), teacher.astype(float))
        hits += low <= truth <= high
    assert 52 <= hits <= 60


def test_spans_are_put_in_proportion_by_their_f1() -> None:
    theirs = np.asarray([[2, 2, 2], [1, 2, 2], [0, 1, 1]], dtype=float)
    low, high = ratio_interval(theirs, theirs, "f1")
    assert (low, high) == pytest.approx((1.0, 1.0), abs=1e-9) or low <= 1.0 <= high
    assert answered({"score": "f1", "counts": [[1, 1, 1]]}, 1) is not None
    assert answered({}, 3) is None


def test_the_same_student_alone_is_found_by_its_plan_whatever_its_name() -> None:
    plan = record(DISTILLED).plan
    same = alone(Plan.model_validate(plan)).model_dump(mode="json")
    assert same["stages"][0]["kind"] == "train"
    other = {"stages": [{"lr": 1e-3}]}
    rows = [
        record(DISTILLED, id="distilled"), record(other, id="other"),
        record(same, id="running", status=Status("running")), record({**same, "name": "mine"}, id="twin"),
    ]  # fmt: skip
    found = without_teacher(plan, rows)
    assert found is not None
    assert found.id == "twin"


def test_a_run_without_a_teacher_and_one_without_results_have_no_report() -> None:
    with pytest.raises(RunError, match="learns from no teacher"):
        report(record({}), results(0.5, 1), {}, None)
    with pytest.raises(RunError, match="no results yet"):
        report(record(DISTILLED), None, {}, None)


@pytest.mark.slow
def test_from_a_teacher_to_the_report_on_the_command_line(
    home: Home, studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BERTLOOM_HOME", str(home.root))
    data = tmp_path / "rows.csv"
    kinds = (("bad", "no"), ("good", "yes"))
    data.write_text("text,label\n" + "\n".join(f"a {kinds[n % 2][0]} film {n},{kinds[n % 2][1]}" for n in range(90)))
    encoder = tiny_encoder(tmp_path / "encoder", layers=3)
    runtime = {"threads": 1, "precision": "fp32", "device": "cpu", "backend": "thread"}
    stage = {"epochs": 4, "lr": 5e-3, "batch_size": 16}

    def finished(**plan: Any) -> str:
        whole = {"data": {"source": str(data)}, "model": {"source": str(encoder), "max_length": 16}, **plan}
        run = studio.runs.submit(Plan(runtime=runtime, **whole))
        assert studio.runs.wait(run, 90).status == "finished", studio.runs.log(run)
        return str(run)

    teacher = finished(name="teacher", stages=[stage])
    folder = studio.runs.model_folder(teacher)
    student = {"source": str(folder), "max_length": 16, "keep_layers": 1}
    distilled = {**stage, "kind": "distil", "distil": {"teachers": [{"source": str(folder)}]}}
    run = finished(name="student", model=student, stages=[distilled])
    other = finished(name="alone", model=student, stages=[stage])
    answer = CliRunner().invoke(app, ["distil", "report", "student", "--json"])
    assert answer.exit_code == 0, answer.stderr
    found = json.loads(answer.stdout)
    assert (found["id"], found["alone"]["id"]) == (run, other)
    own = (studio.runs.results(teacher) or {})["metrics"]["test/accuracy"]
    assert found["teachers"][0]["score"] == pytest.approx(own)  # the same rows: the split is the plan's
    assert found["student"]["parameters"] < found["teachers"][0]["parameters"]
    assert sum(found["teachers"][0]["quadrants"].values()) > 0
    lost = found["teachers"][0]["lost"]
    assert (lost["rows"], len(lost["examples"])) == (found["teachers"][0]["quadrants"]["teachable"],) * 2
    assert found["speed"] is None
    assert "not measured yet" in found["notices"][-1]
    table = CliRunner().invoke(app, ["distil", "report", "student"], env={"COLUMNS": "120"})
    assert "student without a teacher" in table.stdout
    bench = CliRunner().invoke(
        app, ["bench-model", str(folder), "--lengths", "8,16,4096", "--batches", "1,4", "--seconds", "0.02", "--json"]
    )
    measured = json.loads(bench.stdout)
    assert [(one["batch"], one["length"]) for one in measured["timings"]] == [(1, 8), (1, 16), (4, 8), (4, 16)]
    assert all(0 < one["p50_ms"] <= one["p95_ms"] for one in measured["timings"])
    assert measured["left_out"] == [4096]
    assert measured["head"]
    wrong = CliRunner().invoke(app, ["bench-model", str(folder), "--lengths", "x", "--json"])
    assert "numbers with commas" in json.loads(wrong.stdout or wrong.stderr)["what"]
