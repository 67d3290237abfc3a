"""A run with an original and a finetuning set shows what it prepared, learnt from and tested on."""

from __future__ import annotations

import json

import pytest

from core.runs.records import Status
from core.settings import Home
from pages.ui.run_sets import steps_of
from tests.e2e.fake_run import FakeRun
from tests.pages.test_planner_sets import REPORT
from tests.pages.test_run_page import home, opened, words  # noqa: F401

ROLES = {"train": {"rows": 1900}, "gate": {"rows": 200}, "test": {"rows": 201}}
SETS = {**REPORT["sets"], "finetuning": {**REPORT["sets"]["finetuning"], "dropped": {"leaking": 3, "repeated": 0}}}
FOUND = {**REPORT, "sets": SETS, "roles": ROLES}


def test_the_page_shows_three_steps(home: Home) -> None:  # noqa: F811
    with FakeRun(home.ensure()) as run:
        run.finish()
        (home.run(run.id) / "data_report.json").write_text(json.dumps(FOUND))
        told = words(opened(run.id))
    for part in (
        "1 · Prepare", "2 · Train", "3 · Test", "Original set: 1,600 rows of sample reviews.",
        "read 900 → cloze questions 300", "Learns from both sets: 1,900 rows.", "Gate, 200 rows,", "Test: 201 rows.",
        "Left out: 3 rows that stand in gate or test", "lengths shifted by 0.31",
    ):  # fmt: skip
        assert part in told
    assert "repeat a row" not in told


@pytest.mark.parametrize(
    ("status", "said"), [(Status.RUNNING, "Untouched until the end."), (Status.FINISHED, "Scored once, at the end.")]
)
def test_test_rows_are_untouched_until_the_end(status: Status, said: str) -> None:
    assert steps_of(status, FOUND)["3 · Test"] == ["Test: 201 rows.", said]


def test_a_set_that_is_not_learnt_from_is_called_so() -> None:
    report = {**FOUND, "sets": {**SETS, "training": "original"}}
    assert "not learnt from" in " ".join(steps_of(Status.FINISHED, report)["2 · Train"])
