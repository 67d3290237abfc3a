"""Exporting what a joint run has learnt: a model folder for each task, written like that of a run of its own."""

from __future__ import annotations

import streamlit as st

from core.runs.records import RunRecord
from pages.ui.components import empty_state
from pages.ui.run_export import export_form, export_rows
from pages.ui.run_joint import as_task
from pages.ui.studio import studio

__all__ = ["joint_export", "joint_export_tab", "tasks_with_models"]


def tasks_with_models(run: RunRecord) -> list[str]:
    """Return the tasks of a joint run whose weights are there, in the plan's order."""
    best = studio().home.run(run.id) / "best"
    names = [str(task["name"]) for task in run.plan.get("tasks") or []]
    return [name for name in names if (best / name / "config.json").is_file()]


def joint_export(run: RunRecord, *, place: str) -> None:
    """Ask which task's model is exported, and how.

    Parameters
    ----------
    run
        A joint run.
    place
        Where the form stands: ``dialog`` or ``tab``.
    """
    names = tasks_with_models(run)
    if not names:
        later = "They are written at the first evaluation." if run.status.active else "This run has kept none."
        with empty_state(
            "There are no weights yet", f"An export needs the best weights. {later}", icon=":material/hourglass_empty:",
            key="no_model",
        ):  # fmt: skip
            pass
        return
    name = names[0]
    if len(names) > 1:
        name = st.segmented_control(
            "Task", names, default=names[0], required=True, key=f"joint_export_task_{place}_{run.id}"
        ) or name  # fmt: skip
    st.caption("A folder of this task alone, with its head, the shared encoder, label names, model card and plan.")
    export_form(as_task(run, name), place=place)


def joint_export_tab(run: RunRecord) -> None:
    """Write one task's best weights as a model folder, and list what was written before."""
    joint_export(run, place="tab")
    before = studio().students.exports(run.id)
    if before:
        st.markdown("**Written so far**")
        rows = [
            {"task": str(one.get("task") or ""), **row} for one, row in zip(before, export_rows(before), strict=True)
        ]
        st.dataframe(rows, hide_index=True, width="stretch", key="exports_table")
