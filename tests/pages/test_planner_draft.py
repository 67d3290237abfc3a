"""Values that code puts into widgets of the planner while the browser still tells the old ones. No browser here."""

from __future__ import annotations

from typing import Any

import pytest
import streamlit as st

from pages.ui import planner_held
from pages.ui.planner_draft import draft, drawn, put, sync, widget_key
from pages.ui.planner_held import ON_ITS_WAY

PATH = "data.train_rows"


class Clock:
    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A session as plain data, and a clock that stands until it is moved."""
    state: dict[str, Any] = {}
    monkeypatch.setattr(st, "session_state", state)
    found = Clock()
    monkeypatch.setattr(planner_held, "time", found)
    draft()
    state[widget_key(PATH)] = 2000
    sync()
    return found


def told_by_the_browser(value: int) -> int:
    """Return what the form holds after the browser has told a value."""
    st.session_state[widget_key(PATH)] = value
    return int(sync().state[PATH])


def test_a_run_that_was_cut_short_loses_no_change(clock: Clock) -> None:
    put(PATH, 600)
    clock.now += 60  # however long it takes: the page was never drawn to its end
    assert told_by_the_browser(2000) == 600
    assert st.session_state[widget_key(PATH)] == 600  # so that the browser is told once more


def test_an_old_value_that_was_on_its_way_changes_nothing(clock: Clock) -> None:
    put(PATH, 600)
    drawn()
    assert told_by_the_browser(2000) == 600


def test_of_several_changes_the_last_one_stays(clock: Clock) -> None:
    put(PATH, 600)
    put(PATH, 700)
    assert told_by_the_browser(2000) == 700
    assert told_by_the_browser(600) == 700


def test_a_person_may_go_back_to_the_old_value_afterwards(clock: Clock) -> None:
    put(PATH, 600)
    drawn()
    clock.now += ON_ITS_WAY + 0.1
    assert told_by_the_browser(2000) == 2000


def test_another_value_is_a_persons_own_at_once(clock: Clock) -> None:
    put(PATH, 600)
    assert told_by_the_browser(50) == 50
    assert told_by_the_browser(2000) == 2000
