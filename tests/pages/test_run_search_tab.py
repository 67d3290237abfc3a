"""The Search tab of a run's page, trials below their run, and what a trial's own page offers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.config import Plan
from core.runs.control import Control
from core.runs.store import Store
from core.settings import Home
from pages.ui import keys, security, studio
from pages.ui.texts import parts_words
from tests.searching import begin, plan_of, searched

ROOT = Path(__file__).parents[2]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setenv("BERTLOOM_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("BERTLOOM_WARM", "0")
    monkeypatch.setattr(security, "sign_in_configured", lambda: False)
    made = Store(Home(tmp_path / "home").ensure())
    yield made
    made.close()
    studio.close()


def opened(run_id: str | None, page: str = "run") -> AppTest:
    test = AppTest.from_file(str(ROOT / "pages" / "ui" / "router.py"), default_timeout=60).run()
    if page == "run":
        test.switch_page(str(ROOT / "pages" / "run.py"))
        test.query_params[keys.RUN_ID] = run_id
        test.run()
    assert not test.exception, [item.message for item in test.exception]
    return test


def at_search(run_id: str) -> AppTest:
    """Open the tab: AppTest cannot click tabs, so its content is drawn alone."""

    def draw(run_id: str) -> None:
        import streamlit as st

        from core.api import Studio
        from pages.ui import studio
        from pages.ui.run_search_tab import search_tab

        desk: Studio = studio.studio()
        st.session_state.setdefault("_pages", {})
        search_tab(desk.runs.get(run_id))

    test = AppTest.from_function(draw, args=(run_id,), default_timeout=60).run()
    assert not test.exception, [item.message for item in test.exception]
    return test


def words(test: AppTest) -> str:
    kinds = (test.title, test.markdown, test.caption, test.error, test.info, test.warning)
    return " ".join(item.value for kind in kinds for item in kind).replace("\\", "").replace("\u2060", "")


def metrics(test: AppTest) -> dict[str, str]:
    return {item.label.replace("\\", ""): item.value for item in test.metric}


def titles(test: AppTest) -> list[str]:
    return [tab.label for tab in test.tabs]


def test_only_runs_that_look_for_something_have_the_tab(store: Store) -> None:
    run = searched(store)
    assert any("Search" in title for title in titles(opened(run)))
    plain = Control(store).submit(Plan(name="plain"))
    assert not any("Search" in title for title in titles(opened(plain)))


def test_the_tab_says_what_was_tried_what_is_best_and_what_to_make_of_it(store: Store) -> None:
    test = at_search(searched(store))
    said = words(test)
    assert "12 of at most 20 trials · sampler TPE · one seed a trial · held: optimizer.name adamw" in said
    assert "The best of many trials looks better than it is" in said
    assert "small differences may be chance" in said
    assert "The smoothed loss falls most steeply" in said
    found = metrics(test)
    assert found["Trials"] == "12"
    assert "Best Accuracy" in found
    assert "Learning rate" in found
    rows = test.dataframe[0].value
    assert list(rows["state"]).count("best") == 1
    assert "finished (as 2)" in list(rows["state"])


def test_with_several_objectives_one_is_chosen_and_the_front_is_explained(store: Store) -> None:
    test = at_search(searched(store, plan=plan_of(objectives=2)))
    assert "on the Pareto front the one with the best Accuracy goes on" in words(test)
    assert "Best Seconds" in metrics(test)


def test_before_the_first_trial_the_tab_says_so(store: Store) -> None:
    said = words(at_search(begin(store, plan_of()).id))
    assert "The range test has not begun" in said
    assert "No trial has ended yet" in said


def test_few_trials_say_that_importance_needs_more(store: Store) -> None:
    assert "told from eight finished trials on; there are 3" in words(at_search(searched(store, trials=3)))


def test_a_search_that_trains_nothing_itself_shows_what_happened_instead_of_empty_curves(store: Store) -> None:
    test = opened(searched(store))
    assert "The smoothed loss falls most steeply" in words(test)


def test_a_trial_leads_to_the_whole_and_to_the_planner_but_cannot_be_resumed(store: Store) -> None:
    run = searched(store)
    parts = {str(part.status): part for part in store.runs.list(part_of=run)}
    test = opened(parts["cancelled"].id)
    assert "It was ended early" in words(test)
    assert test.button(key=keys.PRIMARY).label == "Make it a plan"
    assert "Resume" not in [button.label for button in test.button]
    assert any(run in str(link.proto) for link in test.get("page_link"))
    assert not any("Search" in title for title in titles(test))


def test_trials_are_folded_below_their_run(store: Store) -> None:
    run = searched(store)
    test = opened(None, page="runs")
    assert not test.exception
    (fold,) = [box for box in test.expander if "trials" in box.label]
    assert fold.label == "11 trials"
    assert not [box for box in test.checkbox if "trial 1" in box.label]
    assert store.runs.get(run).children == 11


@pytest.mark.parametrize("keep", [True, False])
def test_deleting_a_search_asks_whether_its_trials_are_kept(store: Store, keep: bool) -> None:
    run = searched(store)
    test = opened(run)
    test.session_state["_run_question"] = ("delete", run)
    test.run()
    assert "11 trials are deleted too" in words(test)
    if keep:
        test.session_state["_run_question"] = ("delete", run)
        test.checkbox(key="delete_keep_parts").check().run()
    test.session_state["_run_question"] = ("delete", run)
    test.button(key="delete_confirm").click().run()
    assert len(store.runs.list(children=True)) == (11 if keep else 0)


@pytest.mark.parametrize(
    ("kind", "count", "said"),
    [
        ("train", 1, "1 trial"), ("train", 11, "11 trials"), ("claim", 1, "1 run of an arm"),
        ("claim", 1200, "1,200 runs of its arms"), ("distil", 2, "2 parts"), (None, 2, "2 parts"),
    ],
)  # fmt: skip
def test_parts_of_a_run_are_called_what_they_are(kind: str | None, count: int, said: str) -> None:
    assert parts_words(kind, count) == said
