"""The figure of all students: what was not measured is not drawn or is hollow, areas are sizes, words are text."""

from __future__ import annotations

import math
from typing import Any

import pytest

from core.render.look import Look
from core.render.students_figures import drawn, students_figure

LOOK = Look("#000", "#ccc", "#fff", ("#111", "#222", "#333"))


def student(name: str, kind: str = "distilled", p50: float | None = 2.0, size: int | None = 100, **others: Any) -> Any:
    known = {"p95_ms": p50, "texts_per_s": 500.0 if p50 else None, "why": None if p50 else "its speed was not measured"}
    return {
        "run": name, "name": name, "kind": kind, "score": 0.8, "parameters": size, "p50_ms": p50, "here": False,
        "on_front": False, **known, **others,
    }  # fmt: skip


FOUND: dict[str, Any] = {
    "metric": "accuracy", "role": "test",
    "students": [
        student("<b>own</b>", here=True, on_front=True), student("alone", "alone", 4.0, 400),
        student("later", p50=None), student("gone", p50=None, size=None),
    ],
    "teachers": [student("t", "teacher", 9.0, 1600, run=None)],
}  # fmt: skip


def test_what_was_not_measured_is_not_drawn_across_speed_and_hollow_across_size() -> None:
    assert [one["name"] for one in drawn(FOUND, "p50_ms")] == ["<b>own</b>", "alone", "t"]
    assert [one["name"] for one in drawn(FOUND, "parameters")] == ["<b>own</b>", "later", "alone", "t"]
    figure = students_figure(FOUND, LOOK, across="parameters")
    assert list(figure.data[0].marker.symbol) == ["circle", "circle-open"]
    assert "its speed was not measured" in figure.data[0].text[1]


def test_areas_are_sizes_and_points_lead_to_runs() -> None:
    figure = students_figure(FOUND, LOOK)
    own, alone, teacher = figure.data
    assert [trace.name for trace in figure.data] == ["with a teacher", "without a teacher", "teachers"]
    assert alone.marker.size[0] == pytest.approx(teacher.marker.size[0] * math.sqrt(400 / 1600))
    assert list(own.customdata) == ["<b>own</b>"]
    assert list(own.marker.line.width) == [2.5]
    assert own.text[0].startswith("<b>&lt;b&gt;own&lt;/b&gt;</b><br>with a teacher<br>accuracy 0.8000")
    (note,) = figure.layout.annotations
    assert (note.text, note.x) == ("this run", pytest.approx(math.log10(2.0)))


def test_nothing_measured_is_an_empty_figure() -> None:
    assert len(students_figure({**FOUND, "students": [student("x", p50=None)], "teachers": []}, LOOK).data) == 0
