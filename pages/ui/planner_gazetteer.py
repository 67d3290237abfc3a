"""Planner, first card: the gazetteer that words point to, typed as a path or uploaded, and what stands in it."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from core.api import Studio
from core.config.pointer import MOST_ENTRIES
from core.errors import BertloomError
from pages.ui.components import error_box, notice
from pages.ui.format import bytes_text, count, plain
from pages.ui.planner_draft import Draft, living, put, widget_key
from pages.ui.planner_jobs import ask, forget, peek
from pages.ui.planner_widgets import field

__all__ = ["gazetteer_part"]

_PATH = "task.pointer.gazetteer"
_TYPES = ["csv", "tsv", "tab", "json", "jsonl", "ndjson"]
_PROBLEM = "planner_gazetteer_problem"
_NAMED = 8


def gazetteer_part(draft: Draft, studio: Studio) -> None:
    """Draw the file of the gazetteer, and how many entries of which types it has."""
    listed = draft.state.get("task.pointer.entries") is not None  # entries of the plan itself need no file
    if not listed:
        row = st.columns([3, 1], gap="medium", vertical_alignment="bottom")
        with row[0]:
            field(draft, _PATH, told=bool(draft.state.get(_PATH)))
        with row[1]:
            _upload(studio)
        problem = st.session_state.pop(_PROBLEM, None)
        if problem is not None:
            error_box(problem, title="This file was not kept")
    st.caption(
        f"A table with the columns entry and type, {MOST_ENTRIES} rows at most: the encoder reads each in every step. "
        "The first word of an entity points to its entry; to itself where there is none. The model keeps the entries."
    )
    with st.container():
        if listed or draft.state.get(_PATH):
            _facts(draft, studio)


def _upload(studio: Studio) -> None:
    key = f"{widget_key(_PATH)}_upload"
    pick = f"{key}_pick"

    def came() -> None:
        file = st.session_state.get(key)
        if file is None:
            return
        try:
            path = studio.data.save_upload(file.name, file.getvalue())
        except BertloomError as error:
            st.session_state[_PROBLEM] = error
            return
        _use(path)

    def picked() -> None:
        if st.session_state[pick]:
            _use(Path(st.session_state[pick]))

    with st.popover("Upload", icon=":material/upload_file:", width="stretch"):
        st.file_uploader(
            "A table with the columns entry and type", type=_TYPES, key=key, on_change=living(_PATH, "_upload", came)
        )
        by_path = {str(one["path"]): one for one in studio.data.uploads() if _fits(str(one["name"]))}
        if by_path:
            st.selectbox(
                "Uploaded files", list(by_path), index=None, key=pick, placeholder="Use an earlier upload",
                on_change=living(_PATH, "_upload_pick", picked),
                format_func=lambda path: f"{by_path[path]['name']} · {bytes_text(by_path[path]['bytes'])}",
            )  # fmt: skip


def _fits(name: str) -> bool:
    return any(suffix.lower().lstrip(".") in _TYPES for suffix in Path(name).suffixes)


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
