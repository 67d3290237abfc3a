"""Planner: plans that were saved by name."""

from __future__ import annotations

import streamlit as st

from core.api import Studio
from core.errors import BertloomError
from pages.ui.components import error_box, notice
from pages.ui.planner_draft import Draft, load

__all__ = ["presets_part"]

_PROBLEM = "planner_preset_problem"


def presets_part(draft: Draft, studio: Studio) -> None:
    """Draw the content of the presets' popover: load, delete, save."""
    names = studio.presets.list()
    problem = st.session_state.pop(_PROBLEM, None)
    if problem is not None:
        error_box(problem)
    if names:
        chosen = st.selectbox("Saved presets", names, key="preset_pick")
        row = st.container(horizontal=True, gap="small")
        row.button(
            "Load", icon=":material/folder_open:", key="preset_load", on_click=_load, args=(studio, chosen),
            help="The form takes the preset's plan.",
        )  # fmt: skip
        row.button("Delete", icon=":material/delete:", key="preset_delete", on_click=_delete, args=(studio, chosen))
        st.divider()
    else:
        st.caption("A preset keeps this whole plan under a name.")
    name = st.text_input("Save this plan as", key="preset_name", max_chars=100, placeholder="my usual settings")
    exists = name.strip() in names
    st.button(
        "Replace preset" if exists else "Save preset",
        icon=":material/bookmark_add:", key="preset_save", disabled=not name.strip() or bool(draft.problems),
        on_click=_save, args=(draft, studio, name, exists),
    )  # fmt: skip


def _load(studio: Studio, name: str) -> None:
    try:
        load(studio.presets.load(name), origin=f"preset {name}")
        notice(f"The form holds the preset {name} now.")
    except BertloomError as error:
        st.session_state[_PROBLEM] = error


def _delete(studio: Studio, name: str) -> None:
    try:
        studio.presets.delete(name)
        notice(f"The preset {name} is deleted.")
    except BertloomError as error:
        st.session_state[_PROBLEM] = error


def _save(draft: Draft, studio: Studio, name: str, overwrite: bool) -> None:
    plan = draft.plan()
    if plan is None:
        return
    try:
        studio.presets.save(name.strip(), plan, overwrite=overwrite)
        notice(f"Saved as preset {name.strip()}.")
    except BertloomError as error:
        st.session_state[_PROBLEM] = error
