"""The joint plan that a person is working on: it lives in the session, and outlives page switches.

What is shared and each task are drafts of the planner with names of their own, so that the planner's fields serve them.
A task's draft is named after the number that it got when it came, not after its place.
"""

from __future__ import annotations

import copy
from typing import Any

import streamlit as st
from pydantic import ValidationError

from core.config.joint import JointPlan, JointTask
from pages.ui.joint.held import SHARED, Before, Joint, draft_of, key_of, schema_of, slot
from pages.ui.joint.messages import check
from pages.ui.joint.parts import OF_STAGE, OWN, from_single, own_values, parts_of, task_name, task_state
from pages.ui.planner_draft import Draft, discard, draft, starter_plan, using
from pages.ui.planner_draft import load as load_single
from pages.ui.planner_draft import sync as sync_single

__all__ = [
    "MOST", "add_task", "duplicate_task", "joint", "load", "move_task", "open_task", "put_back", "remove_task",
    "starting_plan", "sync",
]  # fmt: skip

_SLOT = "joint_plan"
#: As many tasks as a plan may have.
MOST = 12


def joint() -> Joint:
    """Return the session's joint plan; the first time its only task is that of the planner's form."""
    now: Joint | None = st.session_state.get(_SLOT)
    if now is None:
        with using(""):
            single = draft().nearest()
        now = st.session_state[_SLOT] = Joint()
        try:
            load(from_single(single))
        except ValidationError:  # a stage that a joint plan has no counterpart of
            load(starting_plan())
    return now


def starting_plan() -> JointPlan:
    """Return the plan of an untouched form."""
    return from_single(starter_plan())


def load(plan: JointPlan, *, origin: str = "", parent: str | None = None) -> Joint:
    """Take over a whole plan; its fields get new widgets."""
    now: Joint = st.session_state.setdefault(_SLOT, Joint())
    for number in now.order:
        discard(slot(number))
    parts = parts_of(plan)
    with using(SHARED):
        load_single(plan.plan_of(0))
        draft().state, draft().good = parts.shared, dict(parts.shared)
    now.order, now.own, now.called = [], {}, {}
    for index, task in enumerate(plan.tasks):
        _take(now, task, plan.plan_of(index))
    now.mixing, now.rest, now.given, now.turns = parts.mixing, parts.rest, {}, {}
    now.generation += 1
    now.open = now.order[0] if len(now.order) == 1 else None
    now.origin, now.parent, now.before = origin, parent, None
    check(now)
    return now


def put_back(before: Before) -> None:
    """Let the form hold again what it held before, valid or not; its fields get new widgets."""
    now, held = joint(), before.held
    for number in now.order:
        discard(slot(number))
    numbers = {number: now.fresh + at for at, number in enumerate(held.order)}
    names = {SHARED: SHARED, **{slot(old): slot(new) for old, new in numbers.items()}}
    for name, kept in before.drafts.items():
        with using(names[name]):
            here = load_single(kept.nearest())
            here.state, here.good = dict(kept.state), dict(kept.good)
    now.order, now.fresh = list(numbers.values()), now.fresh + len(numbers)
    now.own = {numbers[old]: values for old, values in held.own.items()}
    now.called = {numbers[old]: values for old, values in held.called.items()}
    now.mixing, now.rest, now.given, now.turns = held.mixing, held.rest, {}, {}
    now.generation += 1
    now.open = None if held.open is None else numbers.get(held.open)
    now.origin, now.parent, now.before = held.origin, held.parent, None
    sync()


def sync() -> Joint:
    """Read all widgets back and check the plan. Call it before anything is drawn, and first in callbacks."""
    now = joint()
    for number in now.order:
        for name in OWN:
            _read_back(now, now.own[number], f"{number}_{name}", name)
    for name in now.mixing:
        _read_back(now, now.mixing, f"mixing_{name}", name)
    with using(SHARED):
        shared = sync_single()
    for number in now.order:
        with using(slot(number)) as one:
            _follow_source(now, number, one)
            one.state = task_state(sync_single().state, shared.state, now.own[number])
            sync_single()
    first = draft_of(now.order[0])
    # Measurements of the encoder are made on rows: those of the first task.
    shared.state.update({path: value for path, value in first.state.items() if path.startswith(("data.", "task."))})
    check(now)
    return now


def add_task(task: JointTask) -> None:
    """Add a task and show its fields, from a callback."""
    now = sync()
    with using(SHARED) as shared:
        plan = shared.nearest()
    kind = "train" if task.distil is None else "distil"
    stage = plan.stages[0].model_copy(update={"kind": kind, **{name: getattr(task, name) for name in OF_STAGE}})
    alone = plan.model_copy(update={"task": task.task, "data": task.data, "stages": [stage]})
    now.open = _take(now, task, alone)
    sync()


def remove_task(number: int) -> None:
    """Remove a task, from a callback; one always stays."""
    now = sync()
    if number not in now.order or len(now.order) == 1:
        return
    now.order.remove(number)
    del now.own[number]
    now.called.pop(number, None)
    discard(slot(number))
    if now.open == number:
        now.open = None
    sync()


def move_task(number: int, by: int) -> None:
    """Move a task up (-1) or down (1), from a callback. It keeps its widgets."""
    now = sync()
    at = now.order.index(number) if number in now.order else -1
    if at < 0 or not 0 <= at + by < len(now.order):
        return
    now.order[at], now.order[at + by] = now.order[at + by], now.order[at]
    sync()


def duplicate_task(number: int) -> None:
    """Put a copy behind a task, valid or not, and show its fields, from a callback."""
    now = sync()
    if number not in now.order or len(now.order) >= MOST:
        return
    source, fresh = draft_of(number), now.fresh
    now.fresh += 1
    name = str(now.own[number]["name"] or "task")
    taken = {now.name(one).casefold() for one in now.order}
    free = (f"{name[:36].rstrip()} {count}" for count in range(2, MOST + 2))
    now.own[fresh] = {
        **copy.deepcopy(now.own[number]),
        "name": next(one for one in free if one.casefold() not in taken),
    }
    now.order.insert(now.order.index(number) + 1, fresh)
    with using(slot(fresh)):
        twin = load_single(source.nearest())
        twin.state, twin.good = copy.deepcopy(source.state), copy.deepcopy(source.good)
    now.open = fresh
    sync()


def open_task(number: int) -> None:
    """Show the fields of a task, or hide them, from a callback."""
    now = sync()
    now.open = None if now.open == number else number


def _take(now: Joint, task: JointTask, plan: Any) -> int:
    number = now.fresh
    now.fresh += 1
    now.order.append(number)
    now.own[number] = own_values(task)
    with using(slot(number)):
        load_single(plan)
    if task.name == task_name(task.data.source, [now.name(one) for one in now.order[:-1]]):
        now.called[number] = (task.data.source, task.name)
    return number


def _read_back(now: Joint, values: dict[str, Any], path: str, name: str) -> None:
    widget = key_of(now, path)
    if widget not in st.session_state:
        return
    value, key = st.session_state[widget], schema_of(path)
    if key.kind == "text":
        value = str(value or "").strip()
    values[name] = value


def _follow_source(now: Joint, number: int, one: Draft) -> None:
    """Let a task that is called after its source follow when it gets another one."""
    source = str(one.state.get("data.source") or "")
    known = now.called.get(number)
    if known is None or known[0] == source or not source:
        return
    if now.own[number]["name"] != known[1]:  # a person has named it
        del now.called[number]
        return
    others = [now.name(other) for other in now.order if other != number]
    now.own[number]["name"] = name = task_name(source, others)
    now.called[number] = (source, name)
    now.turns[f"{number}_name"] = now.turns.get(f"{number}_name", 0) + 1
