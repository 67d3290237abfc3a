"""The Teacher tab of a run: who is right, what was lost, what everything costs, and all students together."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core.config import Plan
from core.runs.background import Going
from core.runs.distilled import alone
from core.runs.records import Status
from core.runs.store import Store
from core.runs.table import NewRun
from core.settings import Home
from pages.ui import security
from pages.ui import studio as studio_module
from pages.ui.run_teacher import has_teacher, quadrant_rows
from pages.ui.run_teacher_lost import lost_rows
from pages.ui.run_teacher_speed import cost_rows, same_answers, timing_rows

MACHINE = {"processor": "Some <b>CPU</b>", "cores": 2, "system": "Linux x86_64"}
ROWS = {"role": "test", "rows": 512, "of": 1275, "metric": "accuracy", "torch": 0.801, "onnx": 0.809,
        "agreement": 0.984375, "answers": 512}  # fmt: skip


def test_rows_are_crossed_by_who_is_right() -> None:
    rows = quadrant_rows({"both_right": 50, "teachable": 10, "harmful": 5, "both_wrong": 35})
    assert rows == [
        {"": "teacher right", "student right": "50 (50.0 %)", "student wrong": "10 (10.0 %)"},
        {"": "teacher wrong", "student right": "5 (5.0 %)", "student wrong": "35 (35.0 %)"},
    ]


def test_no_rows_are_no_division_by_zero() -> None:
    assert (
        quadrant_rows(dict.fromkeys(("both_right", "teachable", "harmful", "both_wrong"), 0))[0][""] == "teacher right"
    )


@pytest.mark.parametrize(
    ("kind", "stages", "expected"),
    [
        ("train", [{"kind": "distil"}], True),
        ("train", [{"kind": "distil", "enabled": False}, {"kind": "train"}], False),
        ("train", [], False),
        ("distil", [{"kind": "distil"}], False),  # a parent distilled into a shape has no labels
    ],
)
def test_only_stages_that_are_executed_have_a_teacher(kind: str, stages: list[dict[str, Any]], expected: bool) -> None:
    assert has_teacher(SimpleNamespace(kind=kind, plan={"stages": stages})) is expected  # type: ignore[arg-type]


def bench(p50: float, parameters: int, *lengths: int) -> dict[str, Any]:
    timings = [
        {"batch": batch, "length": length, "p50_ms": batch * p50, "p95_ms": 2 * batch * p50, "texts_per_s": 1e3 / p50}
        for batch in (1, 32) for length in lengths or (64,)
    ]  # fmt: skip
    return {"parameters": parameters, "file_bytes": 4 * parameters, "memory_mb": 400.0, "timings": timings}


def side(measured: dict[str, Any] | None, **others: Any) -> dict[str, Any]:
    return {"name": "t", "parameters": 900, "bench": measured, **others}


def test_everything_that_was_measured_has_a_row_and_what_was_not_says_so() -> None:
    export = side(bench(1.0, 100), format="onnx-int8", about={"rows": ROWS})
    found = {
        "student": side(bench(2.0, 100)), "teachers": [side(bench(5.0, 900))], "alone": side(None),
        "exports": [export, side(None, format="safetensors")],
    }  # fmt: skip
    student, teacher, other, onnx = cost_rows(found)
    assert (student["parameters"], student["file"], student["faster than teacher"]) == ("100", "400 B", "2.5 ×")
    assert (student["p50"], student["p95"], student["texts/s"]) == ("2.00 ms", "4.00 ms", "500")
    assert teacher["faster than teacher"] == ""
    assert (other["file"], other["p50"], other["memory"], other["parameters"]) == ("not measured", "–", "–", "900")
    assert onnx["same answers"] == "98.4 % of 512 on test; 80.9 % for 80.1 %"
    found["exports"] = []
    assert "same answers" not in cost_rows(found)[0]


def test_lengths_that_only_one_reads_are_no_timing_of_the_other() -> None:
    found = {
        "student": side(bench(2.0, 100, 64, 256)), "teachers": [side(bench(5.0, 900))], "alone": None, "exports": [],
    }  # fmt: skip
    rows = {(row["texts at once"], row["sub-words each"]): row for row in timing_rows(found)}
    assert sorted(rows) == [("1", "256"), ("1", "64"), ("32", "256"), ("32", "64")]
    assert rows["1", "256"]["teacher, p50 ms"] == "–"
    assert rows["1", "64"]["teacher, p50 ms"] == "5.00"


def test_an_export_that_was_held_against_random_pieces_only_says_that() -> None:
    assert same_answers({"batches": {"agreement": 1.0, "answers": 11}, "rows": {"why": "gone"}}) == (
        "100.0 % of 11 on random pieces"
    )
    assert same_answers({}) == ""


def test_lost_rows_are_shown_as_they_are() -> None:
    sure = {"divergence": 0.5, "teacher_confidence": 0.9, "student_confidence": 0.8}
    text, words = lost_rows(
        {
            "examples": [
                {"row": 7, "text": "<script>", "gold": ["a", "b"], "teacher": ["a", "b"], "student": [], **sure},
                {"row": None, "text": "Anna ran", **sure,
                 "words": [{"word": "Anna", "gold": "B-PER", "teacher": "B-PER", "student": "O"}]},
            ]
        }
    )  # fmt: skip
    assert (text["row"], text["text"], text["gold"], text["student"]) == ("7", "<script>", "a, b", "none")
    assert (words["row"], words["words"]) == ("–", "Anna: B-PER, student O")
    assert (text["apart"], text["teacher is sure"]) == ("0.500", "90.0 %")


# -- the tab itself --------------------------------------------------------------------------------------------------
@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    monkeypatch.setenv("BERTLOOM_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(security, "sign_in_configured", lambda: False)
    yield Home(tmp_path / "home").ensure()
    studio_module.close()


def bits(*answers: int) -> str:
    return np.packbits(np.asarray(answers, dtype=bool)).tobytes().hex()


def results(*right: int, **others: Any) -> dict[str, Any]:
    score = sum(right) / len(right)
    details = {"n": len(right), "intervals": {"accuracy": [0, 1]}, "majority": 0.5,
               "documents": {"score": "mean", "bits": bits(*right)}}  # fmt: skip
    return {"metrics": {"test/accuracy": score}, "details": {"test": details}, **others}


Finished = Callable[..., str]


@pytest.fixture
def finished(home: Home) -> Iterator[Finished]:
    """Leave a finished run in the store."""
    store = Store(home)

    def make(run_id: str, plan: Plan, found: dict[str, Any], speed: dict[str, Any] | None = None) -> str:
        store.runs.insert(
            NewRun(
                id=run_id, kind="train", name=plan.name, plan=plan.model_dump(mode="json"), tags=(), backend="process",
                now=True, submitter="test",
            )
        )  # fmt: skip
        store.claims.beat("test")
        claim = store.claims.claim("test")
        assert claim is not None
        store.claims.begin(run_id, claim.token)
        folder = home.run(run_id)
        folder.mkdir(parents=True)
        (folder / "results.json").write_text(json.dumps(found))
        if speed is not None:
            (folder / "speed.json").write_text(json.dumps(speed))
        store.claims.end(run_id, claim.token, Status.FINISHED, metrics=found["metrics"])
        return run_id

    yield make
    store.close()


def plan(name: str, lr: float = 3e-4) -> Plan:
    stage = {"kind": "distil", "distil": {"teachers": [{"source": "/t/best"}]}, "lr": lr}
    return Plan.model_validate({"name": name, "stages": [stage]})


def teacher(*right: int, **others: Any) -> dict[str, Any]:
    return {"source": "/t/best", "name": "t", "parameters": 900, **results(*right), **others}


LOST = {
    "rows": 2, "answers": 2, "of": 4,
    "examples": [{"row": 3, "source": "a", "text": "<img src=x> **b**", "gold": "yes", "teacher": "yes",
                  "student": "no", "divergence": 0.4, "teacher_confidence": 0.9, "student_confidence": 0.6}],
}  # fmt: skip


def speed_of(run: str, *others: dict[str, Any]) -> dict[str, Any]:
    own = {"form": "student", "name": "s", "run": run, "source": "x", **bench(2.0, 100)}
    return {
        "format": 1, "forms": [own, *others], "threads": 2, "machine": MACHINE, "versions": {"torch": "2.13"},
        "measured": 1.8e9, "seconds": 0.5,
    }  # fmt: skip


def opened(run_id: str) -> AppTest:
    def page(run_id: str) -> None:
        import streamlit as st

        from pages.ui import keys
        from pages.ui.run_teacher import teacher_tab
        from pages.ui.studio import studio

        here = st.Page(lambda: teacher_tab(studio().runs.get(run_id)), title="here", default=True)
        st.session_state[keys.PAGES] = {"run": here}
        st.navigation([here]).run()

    test = AppTest.from_function(page, args=(run_id,), default_timeout=60).run()
    assert not test.exception, [item.message for item in test.exception]
    return test


def words(test: AppTest) -> str:
    found = [item.value for kind in (test.markdown, test.caption, test.error, test.info) for item in kind]
    return " ".join(found).replace("\\", "").replace("\u2060", "")


def table(test: AppTest, column: str) -> Any:
    """Return the table that has this column."""
    return next(one.value for one in test.dataframe if column in one.value.columns)


def test_before_anything_was_measured_the_tab_says_so_and_invents_nothing(finished: Finished) -> None:
    run = finished("20260101-000000-aaaa", plan("student"), results(1, 0, 0, 1, teachers=[teacher(1, 1, 1, 0)]))
    test = opened(run)
    shown = words(test)
    assert "was made by an older version" in shown
    assert "take one to three minutes" in shown.replace("takes", "take")
    assert test.button(key="measure_speed").label == "Measure"
    assert not [one for one in test.dataframe if "faster than teacher" in one.value.columns]
    rows = table(test, "front")
    assert list(rows["p50 ms"]) == ["–", "–"]
    assert rows["not known"][0] == "its weights were deleted before it was measured"


def test_what_was_kept_is_shown_again_and_students_stand_together(finished: Finished) -> None:
    twin = finished("20260101-000000-cccc", alone(plan("student")), results(0, 0, 1, 1))
    beside = [
        {"form": "alone", "name": "u", "run": twin, "source": "y", **bench(2.5, 100)},
        {"form": "teacher", "name": "t", "run": None, "source": "/t/best", **bench(5.0, 900)},
    ]
    run = "20260101-000000-aaaa"
    found = results(1, 0, 0, 1, teachers=[teacher(1, 1, 1, 0, lost={"test": LOST})])
    finished(run, plan("student"), found, speed_of(run, *beside))
    other = "20260101-000000-bbbb"
    finished(other, plan("<b>other</b>", 1e-3), results(1, 1, 1, 1, teachers=[teacher(1, 1, 1, 0)]), speed_of(other))
    test = opened(run)
    shown = words(test)
    assert test.button(key="measure_speed").label == "Measure again"
    assert "Some <b>CPU</b>, 2 cores, 2 threads" in shown
    assert "On 2 of 4 test rows the student is wrong about something that the teacher knows" in shown
    assert table(test, "apart")["text"][0] == "<img src=x> **b**"
    costs = table(test, "faster than teacher")
    assert list(costs[""]) == ["student", "teacher", "without a teacher"]
    assert list(costs["faster than teacher"]) == ["2.5 ×", "", "2.0 ×"]
    rows = table(test, "front")
    assert set(rows["run"]) == {"student (this run)", "<b>other</b>", "student without a teacher", "t"}
    by_name = rows.set_index("run")
    # another is as small and as fast and scores more: it alone is on the front
    assert dict(by_name["front"])["<b>other</b>"] == "yes"
    assert (by_name["front"] == "yes").sum() == 1
    assert by_name["p50 ms"]["student without a teacher"] == "2.50"
    assert by_name["what"]["t"] == "teacher"


def test_a_measurement_goes_on_in_the_background_and_every_tab_sees_it(
    finished: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = finished("20260101-000000-aaaa", plan("student"), results(1, 0, teachers=[teacher(1, 1)]))
    gate, at_work = threading.Event(), threading.Event()
    students = studio_module.studio().students

    def measure(run_id: str, wanted: Any, seconds: float, going: Going) -> dict[str, Any]:
        assert [one["form"] for one in wanted] == ["teacher"]  # the student's weights are gone
        going.tell(0.4, "1 × 64, turn 1 of 3: the teacher t")
        at_work.set()
        gate.wait(60)
        return {}

    monkeypatch.setattr(students, "_measure", measure)
    test = opened(run)
    test.button(key="measure_speed").click().run()
    assert not test.exception
    other = opened(run)  # another tab, or this one after a reload
    assert other.button(key="measure_speed").disabled
    assert other.button(key="measure_cancel")
    going = students.measuring(run)
    assert going is not None
    assert at_work.wait(60)
    assert going.doing.startswith("1 × 64")
    assert students.measure(run) is going  # a second click is the same measurement
    other.button(key="measure_cancel").click().run()
    assert going.cancel.is_set()
    gate.set()
