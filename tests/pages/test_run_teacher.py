"""The Teacher tab of a run: rows crossed by who is right, and student beside teacher in speed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pages.ui.run_teacher import has_teacher, quadrant_rows, speed_rows


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


def timing(batch: int, length: int, p50: float) -> dict[str, Any]:
    return {"batch": batch, "length": length, "p50_ms": p50, "p95_ms": p50, "texts_per_s": 1e3 * batch / p50}


def test_speed_is_compared_where_both_read_the_length() -> None:
    student = {"timings": [timing(1, 64, 2.0), timing(1, 256, 8.0)]}
    teacher = {"timings": [timing(1, 64, 5.0)]}
    (row,) = speed_rows(student, teacher)
    assert row["sub-words each"] == "64"
    assert row["faster by"] == "2.5 ×"
    assert row["student, texts/s"] == "500"


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
