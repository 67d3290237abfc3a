"""What the desk says of searches and range tests: live, from plain data, without Optuna."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from core.runs.control import Control
from core.runs.helper import Helper
from core.runs.store import Store
from tests.searching import HOSTILE, begin, plan_of, searched, tell_range_test


@pytest.fixture
def desk(store: Store):  # type: ignore[no-untyped-def]
    from core.runs.desk import RunDesk

    return RunDesk(store, Helper(store.home))


def test_a_search_is_read_with_its_trials_and_their_runs(store: Store, desk) -> None:  # type: ignore[no-untyped-def]
    run = searched(store)
    (found,) = desk.searches(run)
    assert (found["stage"], found["index"], found["begun"], found["wanted"]) == (HOSTILE, 1, True, 20)
    assert len(found["trials"]) == 12
    best = found["trials"][found["best"]]
    assert best["scores"][0] == max(one["scores"][0] for one in found["trials"] if one["scores"])
    made = {run_id for one in found["trials"] for run_id in one["runs"]}
    assert {one.id for one in desk.list(part_of=run)} == made


def test_a_trial_whose_run_was_deleted_stays_in_the_history(store: Store, desk) -> None:  # type: ignore[no-untyped-def]
    run = searched(store)
    gone = desk.searches(run)[0]["trials"][0]["runs"][0]
    Control(store).delete(gone)
    (found,) = desk.searches(run)
    assert found["trials"][0]["runs"] == [None]
    assert found["trials"][0]["scores"] is not None


def test_a_search_that_has_not_begun_says_what_it_will_look_for(store: Store, desk) -> None:  # type: ignore[no-untyped-def]
    claim = begin(store, plan_of(objectives=2))
    (found,) = desk.searches(claim.id)
    assert not found["begun"]
    assert found["trials"] == []
    assert found["objectives"] == [
        {"metric": "accuracy", "direction": "maximize"}, {"metric": "seconds", "direction": "minimize"}
    ]  # fmt: skip


def test_a_range_test_is_read_with_curve_suggestion_and_reason(store: Store, desk) -> None:  # type: ignore[no-untyped-def]
    (found,) = desk.range_tests(searched(store))
    (group,) = found["groups"]
    assert found["done"]
    assert found["suggestion"]["lr"] == group["lr"]
    assert group["reason"].startswith("The smoothed loss falls most steeply")
    assert len(group["rates"]) == len(group["losses"]) == len(group["smoothed"]) == len(group["at"]) == 60
    # an exponential mean speaks of earlier rates
    assert all(at <= rate * (1 + 1e-9) for at, rate in zip(group["at"], group["rates"], strict=True))


def test_a_range_test_can_be_watched_before_it_has_decided(store: Store, desk) -> None:  # type: ignore[no-untyped-def]
    claim = begin(store, plan_of())
    assert desk.range_tests(claim.id)[0]["groups"] == []
    tell_range_test(store, claim, plan_of(), decide=False)
    (found,) = desk.range_tests(claim.id)
    assert not found["done"]
    assert found["suggestion"] is None
    assert len(found["groups"][0]["rates"]) == 60


def test_reading_needs_neither_optuna_nor_torch() -> None:
    code = (
        "import sys, core.api, core.cli.search, core.runs.searches, core.training.search.history,"
        " core.training.range_test, pages.ui.run_search_tab, core.render.search_figures, core.render.range_figures;"
        "print([name for name in ('optuna', 'torch') if name in sys.modules])"
    )
    root = Path(__file__).parents[3]
    found = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
