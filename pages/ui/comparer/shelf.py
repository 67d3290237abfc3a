"""The comparisons of this home."""

from __future__ import annotations

import streamlit as st

from core.api import Studio
from core.runs.records import RunRecord, Status
from pages.ui import keys
from pages.ui.components import run_url, status_markdown
from pages.ui.format import plain, relative

__all__ = ["shelf"]

_MOST = 20


def shelf(studio: Studio) -> None:
    """List the newest comparisons; each has a page with its verdict."""
    found = [one for one in studio.runs.list(limit=1000) if one.kind == "compare"][:_MOST]
    if not found:
        return
    st.markdown("##### Comparisons on this home")
    with st.container(border=True, gap="small", key="comparer_shelf"):
        for one in found:
            _line(one)


def _line(one: RunRecord) -> None:
    row = st.container(horizontal=True, gap="small", vertical_alignment="center")
    row.page_link(
        st.session_state[keys.PAGES]["run"], label=plain(one.name, 80), icon=":material/balance:",
        query_params=run_url(one.id),
    )  # fmt: skip
    tasks = ", ".join(str(task.get("name")) for task in one.plan.get("tasks") or [])
    done = ""
    if one.status is not Status.FINISHED and one.progress.get("total_steps"):
        done = f"{one.progress.get('step') or 0} of {one.progress['total_steps']} runs · "
    told = f"{done}{tasks} · {one.plan.get('seeds')} seeds · {relative(one.ended or one.created)}"
    row.markdown(f"{status_markdown(one.status)}&ensp;:small[:gray[{plain(told, 160)}]]")
