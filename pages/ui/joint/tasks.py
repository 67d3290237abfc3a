"""The tasks of a joint plan: a line for each, and the fields of the one that is open."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import streamlit as st

from core.api import Studio
from core.config.joint import JointTask
from pages.ui.format import count, percent, plain
from pages.ui.joint.held import Joint, draft_of, slot
from pages.ui.joint.parts import task_name
from pages.ui.joint.ready import OPEN, open_ready, ready_plans
from pages.ui.joint.session import MOST, add_task, duplicate_task, joint, move_task, open_task, remove_task
from pages.ui.joint.teacher import taught_words, teacher_part
from pages.ui.joint.widgets import own_field
from pages.ui.joint.words import TITLES
from pages.ui.planner_check import check_part
from pages.ui.planner_data import data_part, language_of
from pages.ui.planner_describe import language_mismatch
from pages.ui.planner_draft import once, using
from pages.ui.planner_sets import checks_itself
from pages.ui.planner_widgets import fields, section

__all__ = ["tasks_section"]

_ACTIONS = {
    "duplicate": ":material/content_copy: Duplicate",
    "up": ":material/arrow_upward: Move up",
    "down": ":material/arrow_downward: Move down",
    "remove": ":material/delete: Remove",
}
_TASK_FIELDS = ("stages.0.class_weights", "stages.0.label_smoothing")


def tasks_section(now: Joint, studio: Studio, counted: Mapping[str, Any], hint: str | None) -> str | None:
    """Draw the card.

    Parameters
    ----------
    now
        The joint plan.
    studio
        The facade.
    counted
        What the check of this plan said, empty while it is not known.
    hint
        Which script the encoder's vocabulary has, if it is known.

    Returns
    -------
    str or None
        The language of the rows: ``zh`` if that of the open task's rows is.
    """
    language = None
    with section(
        1, "Tasks", "What is learnt together. Each task has data and a head of its own; the encoder is everyone's.",
        key="joint_tasks_card",
    ):  # fmt: skip
        with st.container(horizontal=True, gap="small"):
            st.button(
                "Add a task", icon=":material/add:", key="joint_add", disabled=len(now.order) >= MOST,
                on_click=once("joint add", _add), args=(studio,),
            )  # fmt: skip
            st.button(
                "Ready plans", icon=":material/auto_awesome_motion:", key="joint_ready", on_click=open_ready,
                help="Tasks on bundled rows, with the ways of learning them together.",
            )  # fmt: skip
        if st.session_state.get(OPEN):
            ready_plans()
        told = list(counted.get("tasks") or [])
        keys = [str(one["key"]) for one in counted.get("findings") or () if one["level"] == "error"]
        for at, number in enumerate(now.order):
            wrong = now.wrong_in(number) + sum(key.startswith(f"tasks.{at}.") for key in keys)
            with st.container(border=True, gap="small", key=f"joint_task_{number}"):
                _line(now, number, told[at] if at < len(told) else {}, wrong)
                with st.container():
                    if now.open == number:
                        language = _fields(now, studio, number, hint, told[at] if at < len(told) else {})
    return language


def _add(studio: Studio) -> None:
    """Add a task on a bundled sample that none has yet; texts that another task is judged on are dropped."""
    now = joint()
    used = [str(draft_of(number).state.get("data.source")) for number in now.order]
    samples = {one["name"]: one for one in studio.data.samples() if one["tasks"] and one.get("available", True)}
    languages = {samples[name]["language"] for name in used if name in samples}
    free = [one for name, one in samples.items() if name not in used]
    # One encoder reads all texts.
    free.sort(key=lambda one: bool(languages) and one["language"] not in languages)
    one: Mapping[str, Any] = next(iter(free or samples.values()), {"name": "reviews", "tasks": ["classification"]})
    task = {"kind": one["tasks"][0], **(one.get("settings") or {})}
    rows = 2000 if (one.get("rows") or 0) > 2500 else None
    name = task_name(one["name"], [now.name(number) for number in now.order])
    data = {"source": one["name"], "train_rows": rows, "drop_duplicates": True}
    add_task(JointTask.model_validate({"name": name, "task": task, "data": data}))


def _line(now: Joint, number: int, told: Mapping[str, Any], wrong: int) -> None:
    shown = now.open == number
    with st.container(horizontal=True, vertical_alignment="center", gap="small", horizontal_alignment="distribute"):
        st.button(
            f"**{plain(now.name(number), 40)}**", key=f"joint_open_{number}", type="tertiary",
            icon=":material/expand_less:" if shown else ":material/expand_more:",
            on_click=once(f"joint open {number}", open_task), args=(number,),
            help="Hide its fields" if shown else "Show its data and settings",
        )  # fmt: skip
        _menu(now, number)
    state = draft_of(number).state
    source = str(state.get("data.source") or "")
    parts = [TITLES.get(str(state.get("task.kind")), ""), PurePath(source).name or source]
    if told.get("rows"):
        parts.append(f"{count(told['rows']['train'])} training rows")
    if told.get("steps") is not None:
        parts.append(f"{count(told['steps'])} batches ({percent(told['share'], 0)})")
    parts.append(taught_words(state))
    mend = f" :red[:material/error: {wrong} to mend]" if wrong and not shown else ""
    st.caption(plain(" · ".join(part for part in parts if part)) + mend)


def _menu(now: Joint, number: int) -> None:
    at, last = now.order.index(number), len(now.order) - 1
    options = [
        *(["duplicate"] if len(now.order) < MOST else []), *(["up"] if at else []), *(["down"] if at < last else []),
        *(["remove"] if last else []),  # one task has to stay
    ]  # fmt: skip
    key = f"joint_menu_{number}"

    def chosen() -> None:
        what = st.session_state[key]
        once(f"{key} {what}", _act)(what, number)

    st.menu_button(
        "Actions", options, key=key, on_click=chosen, format_func=lambda name: _ACTIONS[name], icon=":material/tune:",
        type="tertiary", disabled=not options,
    )  # fmt: skip


def _act(what: str, number: int) -> None:
    if what == "duplicate":
        duplicate_task(number)
    elif what == "remove":
        remove_task(number)
    else:
        move_task(number, -1 if what == "up" else 1)


def _fields(now: Joint, studio: Studio, number: int, hint: str | None, told: Mapping[str, Any]) -> str | None:
    """Draw the fields of a task, and return the language of its rows."""
    own_field(now, f"{number}_name")
    with using(slot(number)) as one:
        data_part(one, studio)
        language = language_of(one, studio.data.samples())
        with st.container():
            check_part(one, studio, mismatch=language_mismatch(language, hint) or checks_itself(one))
        with st.expander("Length, head and loss of this task", key=f"joint_more_{number}"):
            row = st.columns(2, gap="medium")
            for column, name in zip(row, ("max_length", "head_lr"), strict=True):
                with column:
                    own_field(now, f"{number}_{name}")
            fields(one, _TASK_FIELDS, columns=2)
        teacher_part(one, studio, told)
    return language
