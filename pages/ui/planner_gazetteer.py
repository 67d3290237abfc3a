"""Planner, first card: the gazetteer that words point to, typed as a path or uploaded, and what stands in it."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from core.api import Studio
from core.config.pointer import MOST_ENTRIES
from pages.ui.components import error_box, notice
from pages.ui.format import count, plain
from pages.ui.planner_draft import Draft, put
from pages.ui.planner_jobs import ask, forget, peek
from pages.ui.planner_upload import upload_part
from pages.ui.planner_widgets import field

__all__ = ["gazetteer_part"]

_PATH = "task.pointer.gazetteer"
_TYPES = ["csv", "tsv", "tab", "json", "jsonl", "ndjson"]
_NAMED = 8


def gazetteer_part(draft: Draft, studio: Studio) -> None:
    """Draw the file of the gazetteer, and how many entries of which types it has."""
    listed = draft.state.get("task.pointer.entries") is not None  # entries of the plan itself need no file
    if not listed:
        row = st.columns([3, 1], gap="medium", vertical_alignment="bottom")
        with row[0]:
            field(draft, _PATH, told=bool(draft.state.get(_PATH)))
        with row[1], st.popover("Upload", icon=":material/upload_file:", width="stretch"):
            upload_part(
                draft, studio, _PATH, _use, label="A table with the columns entry and type", types=_TYPES,
                among_types=True,
            )  # fmt: skip
    st.caption(
        f"A table with the columns entry and type, {MOST_ENTRIES} rows at most: the encoder reads each in every step. "
        "The first word of an entity points to its entry; to itself where there is none. The model keeps the entries."
    )
    with st.container():
        if listed or draft.state.get(_PATH):
            _facts(draft, studio)


def _use(path: Path) -> None:
    put(_PATH, str(path))
    notice(f"{path.name} is the gazetteer now.")


def _facts(draft: Draft, studio: Studio) -> None:
    """Draw what stands in the file: an error with its lines, or its size, its types and the first entries."""
    task = draft.nearest().task
    if task.pointer.dictionary != "gazetteer":  # something else in the form stands in the way, and says so there
        return
    question = {"gazetteer": task.pointer.gazetteer, "entries": task.pointer.entries}
    job = peek("gazetteer", question) or ask("gazetteer", question, lambda: studio.data.gazetteer(task))
    if job.state == "running":
        st.skeleton(height=28)
        return
    if job.state == "failed":
        error_box(job.error, title="This gazetteer cannot be used yet")
        st.button(
            "Read again", icon=":material/refresh:", key="planner_gazetteer_again", on_click=forget, args=("gazetteer",)
        )
        return
    told = job.answer
    if not told["entries"]:
        return
    types = list(told["types"].items())
    named = ", ".join(f"{kind} {count(number)}" for kind, number in types[:_NAMED])
    more = f", and {len(types) - _NAMED} more types" if len(types) > _NAMED else ""
    entries = "entry" if told["entries"] == 1 else "entries"
    st.markdown(
        f":green[:material/check_circle:] **{count(told['entries'])} {entries}** of {plain(told['source'], 80)}: "
        f"{plain(named + more, 400)}."
    )
    with st.expander("First entries"):
        st.dataframe(
            [{"entry": entry, "type": kind} for entry, kind in told["first"]], hide_index=True,
            height=min(38 + 35 * len(told["first"]), 213),
        )  # fmt: skip
