"""A joint run with teachers: the tabs of a distilled run, for one of its tasks at a time."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from core.runs.joint_tasks import taught_tasks
from core.runs.records import RunRecord
from pages.ui.format import plain
from pages.ui.run_teacher import teacher_tab
from pages.ui.run_teaching import teaching_tab
from pages.ui.studio import studio

__all__ = ["joint_teacher_tab", "joint_teaching_tab"]


def joint_teacher_tab(run: RunRecord) -> None:
    """Show what a task's student kept of its teacher."""
    _of_task(run, teacher_tab, "teacher")


def joint_teaching_tab(run: RunRecord) -> None:
    """Show a task's student while it learns."""
    _of_task(run, teaching_tab, "teaching")


def _of_task(run: RunRecord, draw: Callable[[RunRecord], None], tab: str) -> None:
    names = taught_tasks(run.plan)
    chosen = names[0]
    if len(names) > 1:
        chosen = st.segmented_control(
            "Task", names, default=names[0], required=True, key=f"taught_{tab}_{run.id}", label_visibility="collapsed"
        ) or names[0]  # fmt: skip
    others = [str(one["name"]) for one in run.plan["tasks"] if str(one["name"]) not in names]
    if others:
        verb = "have" if len(others) > 1 else "has"
        st.caption(f"{plain(', '.join(others), 200)} {verb} no teacher.")
    draw(studio().runs.student(f"{run.id}/{chosen}"))
