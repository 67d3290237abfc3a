"""The teachers of a task of a joint plan: the planner's own form of a distillation, for one task."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import streamlit as st

from core.api import Studio
from pages.ui.forms_stages import dig
from pages.ui.joint.held import STAGE, Joint, draft_of
from pages.ui.planner_distil import distil_part
from pages.ui.planner_distil_known import first_teacher, remember, teacher_jobs, teachers_of
from pages.ui.planner_draft import Draft, given, living, put, switch_part, widget_key

__all__ = ["asked_teachers", "first_taught", "taught_words", "teacher_part"]

_PATH = f"{STAGE}distil"


def teacher_part(one: Draft, studio: Studio, told: Mapping[str, Any]) -> None:
    """Draw whether a task learns from a teacher, and from whom and how.

    Parameters
    ----------
    one
        The task's draft, which is the one that is used.
    studio
        The facade.
    told
        What the check of the plan said of the task, empty while it is not known.
    """
    if told.get("label_names") is not None:
        remember(one, {"label_names": told["label_names"], "answers": told["answers"]})
    key = f"{widget_key(_PATH)}_on"
    on = one.state.get(_PATH) is not None

    def turned() -> None:
        wanted = bool(st.session_state[key])
        switch_part(_PATH, wanted)
        if wanted and not dig(one.state, f"{_PATH}.teachers.0.source"):
            put(f"{_PATH}.teachers.0.source", first_teacher(one, studio))

    given(key, on)
    st.toggle(
        "Learn from a teacher", value=on, key=key, on_change=living(_PATH, "_on", turned),
        help="A run of this task, or a joint run's model of it. What it answers counts beside the gold labels.",
    )  # fmt: skip
    with st.container():
        if on:
            distil_part(one, studio, 0)


def taught_words(state: Mapping[str, Any]) -> str:
    """Return from whom a task learns, for a line about it; empty where it has no teacher."""
    settings = state.get(_PATH)
    if not isinstance(settings, Mapping):
        return ""
    names = [source for source in teachers_of(settings) if source]
    return f"taught by {', '.join(_short(one) for one in names)}" if names else "taught by nobody yet"


def _short(source: str) -> str:
    """Return what a teacher's folder is called: of ``RUN/best/TASK`` and ``RUN/best`` the run with its task."""
    parts = [part for part in PurePath(source).parts if part != "best"]
    within = PurePath(source).parent.name == "best"
    return ("/".join(parts[-2:]) if within and len(parts) > 1 else parts[-1] if parts else source)[:60]


def first_taught(now: Joint) -> Draft | None:
    """Return the draft of the first task that has a teacher: layers of that one may be the student."""
    drafts = [draft_of(number) for number in now.order]
    return next((one for one in drafts if isinstance(one.state.get(_PATH), Mapping)), None)


def asked_teachers(now: Joint) -> list[str]:
    """Return the kinds of the questions about hub teachers of all tasks; see :func:`pages.ui.planner_jobs.watch`."""
    return [kind for number in now.order for kind in teacher_jobs(draft_of(number))]
