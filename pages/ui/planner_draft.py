"""The plan that a person is working on: it lives in the session, outlives page switches, and knows its widgets.

Widgets forget their value as soon as they are not drawn, so the truth is the draft's state; widgets are filled from it
and read back into it at the start of every run of the page, before anything is drawn.

A stage keeps its widgets when it moves: they are named after the number that it got when it came into the draft, not
after its position. Rows of a list have no such number, so a list whose rows change their places gets new widgets.
"""

from __future__ import annotations

import contextlib
import copy
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from typing import Any

import streamlit as st

from core.config import Plan
from pages.ui.forms import State, place_problems, read_state, state_from_plan
from pages.ui.forms_fields import message_paths, shown_paths
from pages.ui.forms_stages import (
    Values,
    dig,
    fresh_part,
    fresh_row,
    split,
    stage_count,
    store,
    with_stages,
)
from pages.ui.forms_values import from_widget, to_widget
from pages.ui.planner_held import Draft, hold, tell

__all__ = [
    "Draft", "add_row", "anew", "discard", "draft", "drawn", "given", "living", "load", "objections", "once", "put",
    "replace_stages", "row_action", "starter_plan", "switch_part", "sync", "turn_card", "using", "widget_key", "within",
]  # fmt: skip

_SLOT = "planner_draft"
#: Which draft everything here works on: the planner's own, or one of a plan that has several.
_CHOSEN: ContextVar[str] = ContextVar("planner_draft", default="")
#: Seconds within which an action that comes again is the same click.
SAME_CLICK = 1.0
_ROW = re.compile(r"^(groups|search\.space|search\.objectives|distil\.teachers|distil\.states)\.")


def starter_plan() -> Plan:
    """Return the plan that an untouched form holds: 2,000 bundled reviews, one epoch."""
    return Plan.model_validate({"name": "reviews", "data": {"source": "reviews", "train_rows": 2000}})


def draft() -> Draft:
    """Return the session's draft; the first time it is the starter plan."""
    slot = f"{_SLOT}{_CHOSEN.get()}"
    found = st.session_state.get(slot)
    if found is None:
        state = state_from_plan(starter_plan())
        found = st.session_state[slot] = Draft(state, dict(state))
    return found


@contextlib.contextmanager
def using(name: str) -> Iterator[Draft]:
    """Let everything inside work on another draft of the session, whose widgets have names of their own.

    Parameters
    ----------
    name
        Its name, ``""`` for the planner's own. Callbacks of widgets that are drawn inside keep to it where
        :func:`living` or :func:`within` made them.
    """
    before = _CHOSEN.set(name)
    try:
        yield draft()
    finally:
        _CHOSEN.reset(before)


def discard(name: str) -> None:
    """Forget another draft of the session (see :func:`using`)."""
    st.session_state.pop(f"{_SLOT}{name}", None)


def within(action: Callable[..., None]) -> Callable[..., None]:
    """Return a callback that works on the draft that is chosen now (see :func:`using`)."""
    name = _CHOSEN.get()

    def act(*arguments: Any) -> None:
        with using(name):
            action(*arguments)

    return act


def load(plan: Plan, *, origin: str = "", parent: str | None = None) -> Draft:
    """Replace the draft by a plan."""
    now = draft()
    now.state = state_from_plan(plan)
    now.good = dict(now.state)
    now.generation += 1
    now.given, now.versions, now.shelf, now.objections, now.turns, now.told = {}, {}, {}, {}, {}, {}
    now.order, now.open = list(range(len(plan.stages))), set()
    now.origin, now.parent = origin, parent
    _validate(now)
    return now


def sync() -> Draft:
    """Read all widgets back into the draft and check it.

    Call it before anything is drawn, and in callbacks that change stages or rows: they come first.
    """
    now = draft()
    before = now.state
    now.state = dict(before)
    for path in shown_paths(before):
        key = widget_key(path)
        if key in st.session_state:
            hold(now, key)
            store(now.state, path, from_widget(path, st.session_state[key]))
    _follow_names(now, before)
    _validate(now)
    return now


def put(path: str, value: object) -> None:
    """Change one field from code: from a callback, or before its widget is drawn."""
    now = draft()
    store(now.state, path, value)
    key = widget_key(path)
    if key in st.session_state:
        tell(now, key, to_widget(path, value))
    _validate(now)


def drawn() -> None:
    """Note down that the page is drawn to its end: what code has put into widgets is on its way to the browser."""
    for told in draft().told.values():
        told.drawn = True


def anew(path: str) -> None:
    """Give a field outside of the stages new widgets, which begin with what code has put into it."""
    turns = draft().turns
    turns[path] = turns.get(path, 0) + 1


def living(path: str, suffix: str, action: Callable[[], None]) -> Callable[[], None]:
    """Return a callback of a field's widget that is carried out only while the form has that widget.

    Now and then a browser still tells the value of a widget that a loaded plan has replaced. Streamlit, which has
    forgotten that widget, takes this for a change and calls what it called: the old form would write into the new one.

    Parameters
    ----------
    path
        The field.
    suffix
        What the widget's key has behind :func:`widget_key`.
    action
        What is done.
    """
    key = f"{widget_key(path)}{suffix}"

    def act() -> None:
        if key == f"{widget_key(path)}{suffix}":
            action()

    return within(act)


def turn_card(number: int) -> None:
    """Open the card of a stage, or close it; `number` is the one that its widgets have."""
    draft().open ^= {number}


def replace_stages(stages: Sequence[Values], order: Sequence[int | None]) -> list[int]:
    """Put other stages in the place of the draft's, from a callback that has called :func:`sync`.

    Parameters
    ----------
    stages
        Their values, in order.
    order
        For each the number that its widgets have, ``None`` for a new stage.

    Returns
    -------
    list of int
        The numbers of all stages.
    """
    now = draft()
    fresh = max(now.order, default=-1) + 1
    numbers: list[int] = []
    for number in order:
        numbers.append(fresh if number is None else number)
        fresh += number is None
    now.state = with_stages(now.state, stages)
    now.order = numbers
    now.open &= set(numbers)
    _validate(now)
    return numbers


def once(key: str, action: Callable[..., None]) -> Callable[..., None]:
    """Return a callback that takes one click for one click.

    When other runs of the page come close upon a click, its callback is now and then called again some tenths of a
    second later: a stage would be added twice, and a card that was opened would be closed again. So an action of one
    name counts once within :data:`SAME_CLICK` seconds.

    Parameters
    ----------
    key
        Name of the action: its widget's key, and what was chosen there.
    action
        What is done, from a callback.
    """

    def act(*arguments: Any) -> None:
        now = draft()
        if time.monotonic() - now.acted.get(key, -SAME_CLICK) < SAME_CLICK:
            return
        action(*arguments)
        now.acted[key] = time.monotonic()

    return act


def switch_part(path: str, on: bool) -> None:
    """Switch an optional part of a stage on or off, from a callback; what it held comes back with it."""
    now = sync()
    place = split(path)
    if place is None:
        return
    slot = (now.order[place[0]], place[1])
    held = dig(now.state, path)
    if on and held is None:
        store(now.state, path, now.shelf.pop(slot, None) or fresh_part(place[1]))
    elif not on and held is not None:
        now.shelf[slot] = held
        store(now.state, path, None)
    _validate(now)


def add_row(path: str, row: dict[str, Any] | None = None) -> None:
    """Add a row to a list of a stage, from a callback."""
    now = sync()
    place, rows = split(path), dig(now.state, path)
    if place is None or not isinstance(rows, list):
        return
    store(now.state, path, [*rows, fresh_row(place[1]) if row is None else row])
    _validate(now)


def row_action(path: str, change: Callable[[list[Any]], list[Any]]) -> None:
    """Change the rows of a list of a stage, from a callback; they get new widgets."""
    now = sync()
    place, rows = split(path), dig(now.state, path)
    if place is None or not isinstance(rows, list):
        return
    store(now.state, path, change(copy.deepcopy(rows)))
    slot = (now.order[place[0]], place[1])
    now.versions[slot] = now.versions.get(slot, 0) + 1
    _validate(now)


def objections(found: dict[str, str]) -> None:
    """Note down what keeps a valid plan from being executed, for the fields that it concerns."""
    now = draft()
    now.objections = found
    _messages(now)


def given(key: str, value: Any) -> Any:
    """Return what a widget starts with: `value` when it is new, afterwards what it was told then."""
    now = draft()
    if key not in now.given or key not in st.session_state:
        now.given[key] = value
    return now.given[key]


def widget_key(path: str) -> str:
    """Return the key of a field's widget. Tests and the browser find it by this name."""
    now = draft()
    place = split(path)
    whose = f"plan{_CHOSEN.get()}{now.generation}"
    if place is None or place[0] >= len(now.order):
        turn = now.turns.get(path, 0)
        return f"{whose}_{path.replace('.', '_')}{f'_{turn}' if turn else ''}"
    number, name = now.order[place[0]], place[1]
    row = _ROW.match(name)
    version = now.versions.get((number, row[1]), 0) if row else 0
    mark = f"v{version}_" if version else ""
    return f"{whose}_stages_{number}_{mark}{name.replace('.', '_')}"


def _follow_names(now: Draft, before: State) -> None:
    """Let the stages that name another one follow when that gets another name."""
    for index in range(stage_count(now.state)):
        old, new = before.get(f"stages.{index}.name"), now.state.get(f"stages.{index}.name")
        names = [before.get(f"stages.{other}.name") for other in range(stage_count(before))]
        if old == new or not old or not new or names.count(old) != 1:
            continue
        for other in range(stage_count(now.state)):
            for name, was, becomes in (("start_from", f"best:{old}", f"best:{new}"), ("lr_from", old, new)):
                path = f"stages.{other}.{name}"
                if now.state.get(path) == was:
                    now.state[path] = becomes
                    key = widget_key(path)
                    if key in st.session_state:
                        tell(now, key, becomes)


def _validate(now: Draft) -> None:
    plan, now.problems = read_state(now.state)
    if plan is not None:
        now.good = dict(now.state)
    _messages(now)


def _messages(now: Draft) -> None:
    found = {**now.objections, **now.problems}
    now.beside, now.loose = place_problems(found, message_paths(now.state)) if found else ({}, [])
