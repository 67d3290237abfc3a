"""Structure search: which layers of a parent a student needs, and how wide. Address: ``/structure_search``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from core.errors import BertloomError
from core.runs.records import Status
from pages.ui.components import error_box, page_header, paint_header
from pages.ui.structure import editor, search
from pages.ui.structure.measurements import earlier, facts, new_button
from pages.ui.structure.place import NEW, Place, Tab, find_measurement, follow_address, measurements, statistics_at
from pages.ui.structure.statistics import statistics_tab
from pages.ui.structure.style import CSS
from pages.ui.studio import studio

_WORDS = (
    "Asks each layer of an encoder what it holds, and proposes how many layers a smaller one needs and how wide they "
    "should be. A search then builds such encoders from the parent's weights, trains the best, and shows what they "
    "cost and what they are worth."
)
_TABS: dict[Tab, str] = {
    "statistics": ":material/straighten: Statistics",
    "layers": ":material/edit: Layers",
    "search": ":material/manage_search: Search",
}


def main() -> None:
    """Draw the page."""
    st.html(CSS)
    desk = studio()
    now = follow_address()
    runs = measurements(desk)
    if not now.asked.stats and runs:
        now.settle(stats=next((run.id for run in runs if run.status is Status.FINISHED), runs[0].id))
    found = statistics_at(desk, now.asked)
    run = find_measurement(desk, now.asked.stats)
    caption = facts(found) if found else run.name if run else _WORDS
    actions = page_header("Structure search", caption)
    if runs and now.asked.stats != NEW:
        with actions.popover("Measurements", icon=":material/folder_open:", key="structure_choose"):
            earlier(desk, now, runs=runs)
        new_button(now, where=actions)
    paint_header()
    first = _TABS[now.first("tab", now.asked.tab)]
    tabs = st.tabs(list(_TABS.values()), default=first, key=now.key("tabs"), on_change="rerun")
    for name, tab in zip(_TABS, tabs, strict=True):
        if not tab.open:
            continue
        now.keep(tab=name)
        with tab:
            try:
                _tab(name, now, found)
            except BertloomError as error:
                error_box(error)
    now.write_address()


def _tab(name: Tab, now: Place, found: Mapping[str, Any] | None) -> None:
    desk = studio()
    if name == "statistics":
        statistics_tab(desk, now, found)
        return
    run = find_measurement(desk, now.asked.stats)
    parent = str(((run.plan if run else {}).get("model") or {}).get("source") or "bundled")
    part = editor if name == "layers" else search
    part.show(desk, parent=parent, statistics=found)


main()
