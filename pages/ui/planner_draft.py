"""The plan that a person is working on: it lives in the session, outlives page switches, and knows its widgets.

Widgets forget their value as soon as they are not drawn, so the truth is the draft's state; widgets are filled from it
and read back into it at the start of every run of the page, before anything is drawn.
"""

from __future__ import annotations

import copy
import uuid
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from core.config import Plan
from pages.ui.forms import State, fix_state, plan_from_state, read_state, state_from_plan
from pages.ui.forms_fields import from_widget, shown_paths, to_widget

__all__ = ["Draft", "draft", "given", "load", "put", "starter_plan", "sync", "widget_key"]

_SLOT = "planner_draft"


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
    origin
        What the draft was loaded from, e.g. ``preset:mine``; shown in the page.
    parent
        The run that this one is a changed copy of.
    problems
        Messages by dotted key, of the present state.

    A widget is told its first value with every run of the page, the same each time: a value put into the session state
    reaches the browser with one run only, and is lost with it when another run comes too soon.
    """

    state: State
    good: State
    generation: int = 0
    request: str = field(default_factory=lambda: uuid.uuid4().hex)
    submitted: bool = False
    origin: str = ""
    parent: str | None = None
    problems: dict[str, str] = field(default_factory=dict)
    #: What each widget starts with, by its key.
    given: dict[str, Any] = field(default_factory=dict)

    def plan(self) -> Plan | None:
        """Return the plan, or ``None`` while the state is not valid."""
        return None if self.problems else plan_from_state(self.state)

    def nearest(self) -> Plan:
        """Return the plan, with fields that are not usable as they last were."""
        return plan_from_state(fix_state(self.state, self.good))


def starter_plan() -> Plan:
    """Return the plan that an untouched form holds: 2,000 bundled reviews, one epoch."""
    return Plan.model_validate({"name": "reviews", "data": {"source": "reviews", "train_rows": 2000}})


def draft() -> Draft:
    """Return the session's draft; the first time it is the starter plan."""
    found = st.session_state.get(_SLOT)
    if found is None:
        state = state_from_plan(starter_plan())
        found = st.session_state[_SLOT] = Draft(state, dict(state))
    return found


def load(plan: Plan, *, origin: str = "", parent: str | None = None) -> Draft:
    """Replace the draft by a plan."""
    now = draft()
    now.state = state_from_plan(plan)
    now.good = dict(now.state)
    now.generation += 1
    now.given = {}
    now.origin, now.parent = origin, parent
    _validate(now)
    return now


def sync() -> Draft:
    """Read all widgets back into the draft and check it. Call it before anything is drawn."""
    now = draft()
    for path in shown_paths():
        key = widget_key(path)
        if key in st.session_state:
            now.state[path] = from_widget(path, st.session_state[key])
    _validate(now)
    return now


def put(path: str, value: object) -> None:
    """Change one field from code: from a callback, or before its widget is drawn."""
    now = draft()
    now.state[path] = copy.deepcopy(value)
    key = widget_key(path)
    if key in st.session_state:
        st.session_state[key] = now.given[key] = to_widget(path, value)
    _validate(now)


def given(key: str, value: Any) -> Any:
    """Return what a widget starts with: `value` when it is new, afterwards what it was told then."""
    now = draft()
    if key not in now.given or key not in st.session_state:
        now.given[key] = value
    return now.given[key]


def widget_key(path: str) -> str:
    """Return the key of a field's widget. Tests and the browser find it by this name."""
    return f"plan{draft().generation}_{path.replace('.', '_')}"


def _validate(now: Draft) -> None:
    plan, now.problems = read_state(now.state)
    if plan is not None:
        now.good = dict(now.state)
