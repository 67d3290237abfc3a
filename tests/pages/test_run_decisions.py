"""A run of several stages tells what it decided, what its stages came to, and how good the estimate was."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.runs.decisions import decisions_csv
from core.settings import Home
from pages.ui import security, studio
from pages.ui.routes import series_payload
from tests.e2e.fake_run import FakeRun
from tests.e2e.staged_run import finish_staged, tell_stages


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    monkeypatch.setenv("BERTLOOM_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(security, "sign_in_configured", lambda: False)
    yield Home(tmp_path / "home")
    studio.close()


@pytest.fixture
def staged(home: Home) -> Iterator[FakeRun]:
    with FakeRun(home, total=100) as run:
        run.advance(100)
        tell_stages(run)
        yield run


def tab(run_id: str, which: str) -> AppTest:
    def page(run_id: str, which: str) -> None:
        from pages.ui.run_decisions import decisions_tab
        from pages.ui.run_results import results_tab
        from pages.ui.studio import studio

        (decisions_tab if which == "decisions" else results_tab)(studio().runs.get(run_id))

    test = AppTest.from_function(page, args=(run_id, which), default_timeout=60).run()
    assert not test.exception, [item.message for item in test.exception]
    return test


def told(test: AppTest) -> str:
    return " ".join(item.value for item in (*test.markdown, *test.caption)).replace("\\", "").replace("\u2060", "")


def table(test: AppTest, column: str) -> list[dict[str, object]]:
    found = [item.value for item in test.dataframe if column in item.value.columns]
    assert len(found) == 1
    return found[0].to_dict("records")


def test_every_decision_is_a_row_with_its_evidence(staged: FakeRun) -> None:
    rows = table(tab(staged.id, "decisions"), "rule")
    assert [(row["rule"], row["action"]) for row in rows[1:]] == [
        ("gate", "promote"), ("guard", "roll back"), ("steady loss", "raise the rates"), ("gate", "cut the rates"),
    ]  # fmt: skip
    assert rows[1]["evidence"] == "accuracy 0.702 (0.64 to 0.757) against 0.584"
    assert rows[2]["rates"] == "× 0.333"
    assert [row["attempt"] for row in rows[1:]] == ["1", "1", "2", "2"]


def test_one_stage_can_be_looked_at_alone(staged: FakeRun) -> None:
    test = tab(staged.id, "decisions")
    (choice,) = test.selectbox
    assert choice.options == ["All stages", "head", "all <b>"]
    choice.select("head").run()
    assert [row["stage"] for row in table(test, "rule")] == ["head"]


def test_a_run_without_decisions_says_what_would_be_listed(home: Home) -> None:
    with FakeRun(home) as run:
        test = tab(run.id, "decisions")
    assert "Nothing was decided yet" in told(test)
    assert not test.dataframe


def test_the_file_of_decisions_has_the_rows_of_the_table(staged: FakeRun) -> None:
    found = studio.studio().runs.decisions(staged.id)
    rows = list(csv.DictReader(io.StringIO(decisions_csv(found))))
    assert [row["action"] for row in rows[1:]] == ["promote", "rollback", "raise", "cut"]


def test_the_results_show_what_each_stage_came_to(staged: FakeRun) -> None:
    finish_staged(staged)
    test = tab(staged.id, "results")
    rows = table(test, "outcome")
    assert rows[0] == {
        "stage": "head", "kind": "train", "attempts": 1, "steps": "900", "score": "Accuracy 41.0 % → 70.2 %",
        "outcome": "promoted", "seconds": "44 s",
    }  # fmt: skip
    assert (rows[1]["attempts"], rows[1]["steps"], rows[1]["outcome"]) == (2, "2,100", "rolled back")
    assert "Evaluations for gates took 15 s, 4.6 %" in told(test)


def test_the_estimate_stands_beside_what_the_run_took(staged: FakeRun) -> None:
    finish_staged(staged)
    test = tab(staged.id, "results")
    shown = {item.label.replace("\\", ""): item.value for item in test.metric}
    assert (shown["Time, estimated"], shown["Time, real"]) == ("5 min 00 s", "5 min 30 s")
    assert (shown["Memory, estimated"], shown["Memory, real"]) == ("700 MB", "752 MB")
    assert "10 % more than estimated" in told(test)
    assert [row["error"] for row in table(test, "estimated")] == [
        "10 % more than estimated", "8 % more than estimated",
    ]  # fmt: skip


def test_an_ordinary_run_shows_neither_stages_nor_an_estimate(home: Home) -> None:
    with FakeRun(home) as run:
        run.advance(20)
        run.finish()
        test = tab(run.id, "results")
    assert "Stages" not in told(test)
    assert "Estimated and real" not in told(test)


def test_the_live_plot_is_told_what_it_marks(staged: FakeRun) -> None:
    events = series_payload(staged.id)["events"]
    (gate,) = [event for event in events if event.get("action") == "promote"]
    assert (gate["rule"], gate["stage"], gate["attempt"]) == ("gate", "head", 1)
    assert [(event["name"], event["attempt"]) for event in events if event["kind"] == "stage"] == [
        ("head", 1), ("all <b>", 1), ("all <b>", 2),
    ]  # fmt: skip
    assert all("evidence" not in event for event in events)
