"""What the planner keeps of a plan in the session, and the widgets that it is put into from code."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from core.config import Plan
from core.errors import BertloomError
from pages.ui.forms import State, fix_state, plan_from_state

__all__ = ["ON_ITS_WAY", "Draft", "Told", "hold", "tell"]

#: Seconds after a change by code within which the browser may still tell what it held before.
ON_ITS_WAY = 1.5


@dataclass
class Told:
    """A value that code has put into a widget, until the browser is sure to have it.

    Parameters
    ----------
    value
        What the widget holds now.
    before
        What it held before, of which the browser may still tell one.
    at
        When it was put, in seconds of a clock that never goes back.
    drawn
        Whether a run of the page has been drawn to its end since.
    """

    value: Any
    before: list[Any]
    at: float
    drawn: bool = False


@dataclass
class Draft:
    """What the planner keeps in the session.

    Parameters
    ----------
    state
        Dotted key → value of every key of the plan; may be invalid while a person types.
    good
        The last state that was valid.
    generation
        Part of every widget's key: a loaded plan gets new widgets, so that none keeps an old value.
    request
        Id that makes two clicks on Start one run.
    submitted
        Whether Start was pressed with this request id.
    refused
        Why the run was not started; shown once.
    origin
        What the draft was loaded from, e.g. ``preset:mine``; shown in the page.
    parent
        The run that this one is a changed copy of.
    problems
        Messages by dotted key, of the present state.
    objections
        Messages by dotted key of a plan that is valid as such, but cannot be executed with this data or encoder.
    hints
        What a check of exactly this plan found, by the field that it concerns.
    order
        For each stage, in order, the number that its widgets are named after.
    open
        The stages (by that number) whose cards are open.

    A widget is told its first value with every run of the page, the same each time: a value put into the session state
    reaches the browser with one run only, and is lost with it when another run comes too soon.
    """

    state: State
    good: State
    generation: int = 0
    request: str = field(default_factory=lambda: uuid.uuid4().hex)
    submitted: bool = False
    refused: BertloomError | None = None
    origin: str = ""
    parent: str | None = None
    problems: dict[str, str] = field(default_factory=dict)
    objections: dict[str, str] = field(default_factory=dict)
    hints: dict[str, str] = field(default_factory=dict)
    order: list[int] = field(default_factory=lambda: [0])
    open: set[int] = field(default_factory=set)
    #: Messages beside shown fields, and those that no field can show.
    beside: dict[str, str] = field(default_factory=dict)
    loose: list[str] = field(default_factory=list)
    #: What each widget starts with, by its key.
    given: dict[str, Any] = field(default_factory=dict)
    #: What code has put into widgets a moment ago, by their keys.
    told: dict[str, Told] = field(default_factory=dict)
    #: How often the rows of a list have changed their places, by the number of the stage and the list's name.
    versions: dict[tuple[int, str], int] = field(default_factory=dict)
    #: How often the widgets of a field outside of the stages were drawn anew.
    turns: dict[str, int] = field(default_factory=dict)
    #: When each action was last carried out, in seconds of a clock that never goes back.
    acted: dict[str, float] = field(default_factory=dict)
    #: Parts that were switched off, by the number of the stage and the part's name: they come back as they were.
    shelf: dict[tuple[int, str], Any] = field(default_factory=dict)

    def plan(self) -> Plan | None:
        """Return the plan, or ``None`` while the state is not valid."""
        return None if self.problems else plan_from_state(self.state)

    def nearest(self) -> Plan:
        """Return the plan, with fields that are not usable as they last were."""
        return plan_from_state(fix_state(self.state, self.good))

    @property
    def wrong(self) -> int:
        """How many things need mending before this plan can be started."""
        return len(self.problems) + len([key for key in self.objections if key not in self.problems])


def tell(now: Draft, key: str, value: Any) -> None:
    """Put a value into a widget, and remember that the browser does not know it yet."""
    held = st.session_state[key]
    last = now.told.get(key)
    before = [held] if last is None or held != last.value else [*last.before, held]
    st.session_state[key] = now.given[key] = value
    now.told[key] = Told(value, [one for one in before if one != value], time.monotonic())


def hold(now: Draft, key: str) -> None:
    """Put a value into a widget again that the browser has not been told, or could not have been told in time.

    A value reaches the browser with one run of the page. When another run takes that one's place before the widget was
    drawn, or was asked for before the browser had the answer, the browser tells the old value, as if a person had
    chosen it.
    """
    told = now.told.get(key)
    if told is None:
        return
    if told.drawn and time.monotonic() - told.at > ON_ITS_WAY:
        del now.told[key]
    elif st.session_state[key] in told.before:
        st.session_state[key] = now.given[key] = told.value
        told.drawn = False
    elif st.session_state[key] != told.value:  # a person has changed it since
        del now.told[key]
