"""All students of one task together: who counts, what is known of each, and the front, by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from core.api import Studio
from core.config import Plan
from core.errors import BertloomError, ModelError
from core.runs.background import Background, Going
from core.runs.distilled import alone, complete
from core.runs.records import RunRecord, Status
from core.runs.speed import comparable, forms, kept, measured_of, read_speed, told
from core.runs.students import overview
from core.settings import Home

MACHINE = {"processor": "p", "cores": 2, "system": "s"}
REPORT: dict[str, Any] = {
    "role": "test", "metric": "accuracy",
    "teachers": [{"source": "/t", "name": "t", "score": 0.9, "parameters": 900}],
}  # fmt: skip


def plan(lr: float = 3e-4, **others: Any) -> Plan:
    stage = {"kind": "distil", "distil": {"teachers": [{"source": "/t"}]}, "lr": lr}
    return Plan.model_validate({"stages": [stage], **others})


def record(name: str, plan: Plan, score: float | None = 0.8) -> RunRecord:
    return RunRecord(
        id=name, kind="train", name=name, status=Status.FINISHED, plan=plan.model_dump(mode="json"), tags=(),
        created=0.0, started=0.0, ended=1.0, seconds=1.0, position=None, backend="process", pid=None, heartbeat=None,
        metrics={} if score is None else {"test/accuracy": score},
    )  # fmt: skip


def measured(form: str, p50: float, parameters: int, **named: Any) -> dict[str, Any]:
    timings = [{"batch": batch, "length": 64, "p50_ms": p50, "p95_ms": p50, "texts_per_s": 1.0} for batch in (1, 32)]
    return {"form": form, "parameters": parameters, "file_bytes": 1, "timings": timings, **named}


def speed(*found: dict[str, Any], threads: int = 2) -> dict[str, Any]:
    return {"forms": list(found), "machine": MACHINE, "threads": threads}


def test_students_of_one_task_and_data_are_gathered_and_what_is_not_known_is_told() -> None:
    own, fast, twin = record("own", plan()), record("fast", plan(1e-3), 0.7), record("twin", alone(plan()), 0.6)
    slow, far = record("slow", plan(2e-3), 0.75), record("far", plan(3e-3))
    unmeasured = record("unmeasured", plan(4e-3), 0.99)
    strangers = [
        record("other data", plan(data={"source": "plots"})), record("other task", plan(task={"kind": "tagging"})),
        record("no student", Plan.model_validate({"stages": [{"lr": 0.1}]})), record("no score", plan(9e-3), None),
    ]  # fmt: skip
    speeds = {
        "own": speed(
            measured("student", 3.0, 100, run="own"), measured("alone", 3.0, 100, run="twin"),
            measured("teacher", 9.0, 900, source="/t"),
        ),
        "fast": speed(measured("student", 1.0, 50, run="fast")),
        "slow": speed(measured("student", 4.0, 200, run="slow")),
        "far": speed(measured("student", 0.1, 10, run="far"), threads=64),
    }  # fmt: skip
    found = overview(
        own,
        [*strangers, fast, twin, slow, far, unmeasured, own],
        REPORT,
        lambda one: speeds.get(one.id),
        lambda one: 77,
    )
    by_name = {one["name"]: one for one in found["students"]}
    assert set(by_name) == {"own", "fast", "twin", "slow", "far", "unmeasured"}
    # `slow` is larger, slower and worse than `own`; `twin` costs the same and scores less
    assert {name for name, one in by_name.items() if one["on_front"]} == {"own", "fast"}
    assert (by_name["twin"]["kind"], by_name["twin"]["p50_ms"]) == ("alone", 3.0)
    assert by_name["far"]["why"] == "measured on another machine or with other threads"
    assert (by_name["far"]["p50_ms"], by_name["far"]["parameters"]) == (None, 10)
    assert by_name["unmeasured"]["why"] == "its speed was not measured"
    assert (by_name["unmeasured"]["p50_ms"], by_name["unmeasured"]["parameters"]) == (None, 77)
    assert [name for name, one in by_name.items() if one["here"]] == ["own"]
    (teacher,) = found["teachers"]
    assert (teacher["p50_ms"], teacher["score"], teacher["on_front"]) == (9.0, 0.9, False)


def test_measurements_are_put_to_what_they_are_of() -> None:
    own = record("own", plan())
    wanted = forms(
        own, None, REPORT["teachers"], (record("twin", alone(plan())), "/twin"),
        [{"folder": "/a", "name": "a", "format": "onnx", "about": {"x": 1}},
         {"folder": "/b", "name": "b", "format": "onnx", "about": {"x": 1}},
         {"folder": "/c", "name": "c", "format": "safetensors"}],
    )  # fmt: skip
    assert [(one["form"], one["source"]) for one in wanted] == [
        ("teacher", "/t"),
        ("alone", "/twin"),
        ("export", "/a"),
    ]  # the weights of the run are gone, and of two exports of one format the newer counts
    error = ModelError("It is gone.", where="/t")
    timings = measured("x", 1.0, 5)
    del timings["form"]
    found = told({"models": {"0": {"error": error}, "1": timings, "2": timings}, "threads": 2, "machine": MACHINE})
    result = kept(wanted, json.loads(json.dumps(found)))
    assert result["forms"][0]["error"].startswith("It is gone.")
    assert measured_of(result, "teacher") is None
    assert measured_of(result, "alone", run="twin") is not None
    assert measured_of(result, "alone", run="else") is None
    assert not comparable(result, {**result, "threads": 1})
    report = {
        "student": {"id": "own"}, "alone": {"id": "twin"}, "teachers": REPORT["teachers"], "notices": ["n"],
    }  # fmt: skip
    whole = complete(report, result, [], lambda run: 42)
    assert (whole["student"]["bench"], whole["student"]["parameters"]) == (None, 42)
    assert (whole["alone"]["parameters"], whole["teachers"][0]["parameters"]) == (5, 900)
    assert complete(report, None, [], lambda run: None)["notices"][-1].startswith("Speed and memory were not measured")


def test_damaged_measurements_are_none(tmp_path: Path) -> None:
    assert read_speed(tmp_path) is None
    for text in ("{", "[]", '{"forms": 3}'):
        (tmp_path / "speed.json").write_text(text)
        assert read_speed(tmp_path) is None


def test_work_in_the_background_tells_how_far_it_is_and_what_came_of_it() -> None:
    background = Background()

    def fail(going: Going) -> None:
        going.tell(0.5, "half")
        raise ZeroDivisionError("nobody foresaw this")

    for work, expected in ((lambda going: 7, 7), (fail, None)):
        going = background.start("x", work)
        while not going.done:
            going.cancel.wait(0.005)
        assert going.answer == expected
    assert isinstance(going.error, BertloomError)
    assert "nobody foresaw this" in going.error.what
    assert (going.share, going.doing) == (0.5, "half")
    background.forget("x")
    assert background.get("x") is None
    waiting = background.start("y", lambda going: going.cancel.wait(10))
    assert background.start("y", lambda going: pytest.fail("twice")) is waiting
    background.close()
    while not waiting.done:
        waiting.cancel.wait(0.005)


def test_a_run_without_a_teacher_and_an_unknown_format_are_refused(home: Home) -> None:
    with Studio(home, watch=False) as studio:
        run = studio.runs.submit(Plan.model_validate({"name": "plain"}))
        with pytest.raises(BertloomError, match="learns from no teacher"):
            studio.students.measure(run)
        with pytest.raises(BertloomError, match="no format 'tflite'"):
            studio.students.export(run, None, format="tflite")
        going = studio.students.export(run, None, format="onnx")
        while not going.done:
            going.cancel.wait(0.005)
        assert going.error is not None
        assert "has no model" in going.error.what
