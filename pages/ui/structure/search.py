"""The tab Search: the form of a search of shapes, and what a search has found so far."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from core.api import Studio
from core.errors import BertloomError
from core.runs.records import Status
from pages.ui.components import error_box, status_markdown
from pages.ui.format import count, percent, plain, relative
from pages.ui.structure.place import Place, place
from pages.ui.structure.search_form import start_form
from pages.ui.structure.search_view import search_view
from pages.ui.structure.verdict import UNPROVEN, verdict_of

__all__ = ["show"]

_MOST = 12


def show(studio: Studio, *, parent: str = "bundled", statistics: Mapping[str, Any] | None = None) -> None:
    """Draw a search, or the form of a new one.

    Parameters
    ----------
    studio
        The facade.
    parent
        Source of the parent that the page is about.
    statistics
        What was measured of it.
    """
    now = place()
    searches = studio.structures.list()
    row = st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="small", key="search_top"
    )
    with row.container(width="stretch", gap=None):
        _prior()
    if searches:
        with row.popover("Searches", icon=":material/folder_open:", key="search_choose"):
            for one in searches[:_MOST]:
                _line(now, one)
            if len(searches) > _MOST:
                st.caption(f"{len(searches) - _MOST} more are in the list of runs.")
    if not now.asked.search:
        start_form(studio, now, parent=parent, statistics=statistics)
        return
    row.button("New search", icon=":material/add:", key="search_new", on_click=lambda: now.go(search="", tab="search"))
    try:
        record = studio.runs.get(now.asked.search)
        studio.structures.config(record.id)
    except BertloomError as error:
        error_box(error, title="There is no search at this address")
        return
    search_view(studio, now, record)


def _prior() -> None:
    """Say what is known of the prior: in a sentence, and with all of the verdict where there is one."""
    found = verdict_of()
    if not found:
        st.caption(f":material/science: {plain(UNPROVEN)}")
        return
    st.caption(f":material/science: {plain(found[0], 400)}")
    with st.popover("What is known of the prior", icon=":material/menu_book:", type="tertiary", key="search_prior"):
        st.markdown("**Verdict of docs/structure.md**")
        for line in found[:8]:
            st.caption(plain(line, 900))
        st.caption("`make experiment-structure` repeats the experiment.")


def _line(now: Place, one: Mapping[str, Any]) -> None:
    row = st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute", gap="small")
    row.button(
        plain(one["name"], 50), type="tertiary", key=f"search_open_{one['id']}", icon=":material/manage_search:",
        on_click=lambda: now.go(search=str(one["id"]), tab="search"), disabled=now.asked.search == one["id"],
    )  # fmt: skip
    size = one["budget"]
    words = percent(size, 0) if isinstance(size, float) else count(size)
    kind = "random, " if one["random"] else ""
    told = f":gray[{kind}{plain(words, 20)} · {plain(relative(one['created']))}]"
    if one["status"] != Status.FINISHED:
        told = f"{status_markdown(one['status'])} {told}"
    row.markdown(told, width="content")
