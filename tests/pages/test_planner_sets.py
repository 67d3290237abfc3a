"""Prepare, train and test in the planner: the finetuning set's field, what the sets hold, and how they fit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from pages.ui.planner_sets import fit_badges, made_words
from tests.pages import fake_studio
from tests.pages.fake_studio import FakeStudio
from tests.pages.test_planner_page import key, primary, shown_plan, words

SHIFT = {
    "divergence": 0.31,
    "low": 0.2,
    "high": 0.4,
    "level": "warned",
    "original": [],
    "finetuning": [],
    "rows": [9, 3],
}
REPORT: dict[str, Any] = {
    **fake_studio.REPORT,
    "sets": {
        "training": "together",
        "original": {"rows": 1600, "source": "sample reviews"},
        "finetuning": {
            "rows": 300, "read": 300, "source": "ft.jsonl", "dropped": {},
            "record": {"steps": [
                {"step": "read", "before": 900, "after": 900}, {"step": "cloze_questions", "before": 900, "after": 300},
            ]},
        },
    },
    "fit": {
        "missing": [], "extra": [], "labels": {**SHIFT, "level": "fits", "divergence": 0.01}, "lengths": SHIFT,
        "classes": ["fresh", "rotten"], "unit": "characters", "warn": 0.1, "refuse": 0.5,
    },
}  # fmt: skip


def test_three_steps_stand_there_and_a_second_set_joins_them(
    open_planner: Callable[..., AppTest], studio: FakeStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(studio.data, "check", lambda data, task, model: REPORT)
    app = open_planner()
    assert all(title in words(app) for title in ("1 · Prepare", "2 · Train", "3 · Test"))
    assert "Learns from the original set (2,000 rows)" in words(app)
    assert "bertloom data derive" in words(app)
    app.text_input(key=key(app, "data.finetuning_source")).set_value("ft.jsonl").run()
    assert (shown_plan(app).data.finetuning_source, shown_plan(app).data.training) == ("ft.jsonl", "together")
    told = words(app)
    assert "Original set (1,600 rows)" in told
    assert "Finetuning set (300 rows)" in told
    assert "Read 900 → cloze questions 300" in told
    assert ":orange-badge[lengths shifted by 0.31]" in told
    assert "Learns from both sets" in told
    app.segmented_control(key=key(app, "data.training")).set_value("original").run()
    assert shown_plan(app).data.training == "original"
    # Another set leaves the choice; without any nothing else can be learnt from.
    app.text_input(key=key(app, "data.finetuning_source")).set_value("other.jsonl").run()
    assert shown_plan(app).data.training == "original"
    app.segmented_control(key=key(app, "data.training")).set_value("finetuning").run()
    app.text_input(key=key(app, "data.finetuning_source")).set_value("").run()
    assert (shown_plan(app).data.finetuning_source, shown_plan(app).data.training) == (None, "original")
    assert not primary(app).disabled


def test_badges_say_how_a_set_fits() -> None:
    assert fit_badges({}) == []
    assert fit_badges(REPORT) == [
        ":green-badge[same labels]", ":green-badge[label shares fit]", ":orange-badge[lengths shifted by 0.31]",
    ]  # fmt: skip
    refused = {**REPORT["fit"], "missing": ["rotten"], "labels": None, "lengths": {**SHIFT, "level": "refused"}}
    assert fit_badges({"fit": refused}) == [
        ":red-badge[other labels]", ":red-badge[lengths shifted too far: 0.31]",
    ]  # fmt: skip


def test_a_set_without_a_record_says_nothing_of_steps() -> None:
    assert made_words(REPORT) == "read 900 → cloze questions 300"
    assert made_words({"sets": {"finetuning": {"record": None}}}) == ""
