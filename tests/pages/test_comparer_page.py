"""The strategy comparer: its form, and the page of a comparison while it goes on and afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.settings import Home
from pages.ui import keys, security, studio
from tests.pages.test_claims_page import opened, words
from tests.unit.comparing.made import Torn, Trainer, comparison, execute, learns


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    monkeypatch.setenv("BERTLOOM_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(security, "sign_in_configured", lambda: False)
    # Nothing is to be executed: a page's studio watches no queue here.
    studio.open_studio(watch=False)
    yield Home(tmp_path / "home")
    studio.close()


def made(home: Home, *, stop_at: int | None = None, **changes: Any) -> str:
    of = comparison(**changes)
    run_id = studio.studio().comparisons.submit(of)
    execute(home, run_id, of, Trainer(learns, stop_at=stop_at))
    return run_id


def test_a_press_queues_what_the_form_says(home: Home) -> None:
    test = opened("strategy_comparer")
    assert "20 runs" not in words(test)
    assert "10 runs." in words(test)
    test.number_input(key="comparer_seeds").set_value(6)
    test.number_input(key="comparer_margin").set_value(2.0)
    test.segmented_control(key="comparer_rule").set_value("examples")
    test.multiselect(key="comparer_tasks").set_value(["tweet-questions", "tweets"])
    test.run()
    assert "24 runs." in words(test)
    test.number_input(key="comparer_examples").set_value(640)
    test.button(key=keys.PRIMARY).click().run()
    assert not test.exception
    queued = studio.studio().runs.list()
    assert [one.kind for one in queued] == ["compare"]
    of = studio.studio().comparisons.config(queued[0].id)
    assert [one.name for one in of.strategies] == ["single", "single-frozen"]
    assert [(one.name, one.task.kind, one.task.no_answer) for one in of.tasks] == [
        ("tweet-questions", "question_answering", True), ("tweets", "tagging", False),
    ]  # fmt: skip
    assert (of.seeds, of.margin, of.budget.rule, of.budget.examples) == (6, 0.02, "examples", 640)


def test_one_strategy_is_none(home: Home) -> None:
    test = opened("strategy_comparer")
    test.multiselect(key="comparer_strategies").set_value(["single"]).run()
    assert "Choose two strategies" in words(test)
    assert not [one for one in test.button if one.key == keys.PRIMARY]


def test_while_runs_are_missing_nothing_is_judged(home: Home) -> None:
    run_id = made(home, stop_at=7, seeds=2)
    shown = words(opened("run", id=run_id))
    assert "6 of 8 runs are there. Nothing is judged before all are" in shown
    assert "is better than" not in shown
    listed = opened("strategy_comparer")
    assert "reviews, moods · 2 seeds" in words(listed)


def test_a_finished_comparison_tells_its_verdict_and_everything_beside_it(home: Home) -> None:
    run_id = made(home)
    test = opened("run", id=run_id)
    shown = words(test)
    assert "reviews: fast is better than slow. slow − fast: -23.7 points" in shown
    assert "2 comparisons, corrected together (Holm)." in shown
    assert "Every strategy makes the same number of optimiser steps (24 a task)." in shown
    assert {"HTML", "Markdown", "Plan"} <= {one.proto.label for one in test.get("download_button")}
    assert len(test.get("plotly_chart")) == 2


def test_one_seed_has_no_verdict(home: Home) -> None:
    shown = words(opened("run", id=made(home, seeds=1)))
    assert "no verdict on slow and fast" in shown
    assert "With fewer than 5 seeds there is no verdict." in shown


def test_conflicts_stand_beside_what_tasks_gain(home: Home) -> None:
    of = comparison(strategies=[{"name": "single"}, {"name": "joint", "sharing": "joint"}])
    run_id = studio.studio().comparisons.submit(of)
    execute(home, run_id, of, Torn(learns))
    test = opened("run", id=run_id)
    assert not test.exception
    shown = words(test)
    assert "Do the tasks agree?" in shown
    assert "20 looks over 5 seeds, one every 6 steps" in shown
    drawn = {one.proto.id.split("-")[-1] for one in test.get("plotly_chart")}
    assert {"comparison_conflict_map", "comparison_conflict_gains"} <= drawn
    test.segmented_control(key="comparison_conflict_shown").set_value("Conflict rate").run()
    assert not test.exception
    (layers,) = (one.value for one in test.dataframe if "mean cosine" in one.value)
    assert layers["conflict rate"].tolist() == ["50.0 %", "0.0 %"]
