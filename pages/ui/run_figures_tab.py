"""The results of runs that do not train a task: their figures, what a person should know, and the details."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import streamlit as st

from core.runs.records import RunRecord
from pages.ui.components import empty_state
from pages.ui.format import count, metric_name, number, plain
from pages.ui.graph.found import draw_links, draw_probe
from pages.ui.run_distilled import draw_distilled
from pages.ui.structure.statistics import draw_statistics
from pages.ui.studio import studio

__all__ = ["figures_tab", "happened"]

#: Kinds of runs whose results have figures of their own.
_DRAWN: dict[str, Callable[[Mapping[str, Any]], None]] = {
    "probe": draw_probe, "link": draw_links, "stats": draw_statistics, "distil": draw_distilled,
}  # fmt: skip
#: Details that are drawn, and too long to be read as they were written.
_LONG = ("statistics", "distil")


def happened(run: RunRecord) -> None:
    """List the events of a run that has no curves, the newest first."""
    events = studio().runs.events(run.id)
    if not events:
        return
    with st.container(border=True, gap="small", key="run_events"):
        for event in reversed(events[-50:]):
            with st.container(horizontal=True, gap="small"):
                st.caption(datetime.fromtimestamp(event.time).strftime("%H:%M:%S"), width="content")
                st.markdown(plain(event.message, 500), width="stretch")


def figures_tab(run: RunRecord) -> None:
    """Show the figures of a run of any kind: drawn where its kind is known, and everything as it was written."""
    results = studio().runs.results(run.id)
    if not results:
        with empty_state(
            "There are no results yet",
            "They are written when the run has finished.",
            icon=":material/hourglass_empty:",
            key="no_results",
        ):
            pass
        return
    details = dict(results.get("details") or {})
    for notice in details.pop("notices", None) or []:
        st.info(plain(str(notice), 500), icon=":material/info:")
    draw = _DRAWN.get(run.kind)
    if draw is not None:
        draw(results)
    metrics = results.get("metrics") or {}
    if metrics:
        rows = [{"figure": metric_name(name), "value": _figure(value)} for name, value in metrics.items()]
        st.dataframe(rows, hide_index=True, width="stretch", height="content", key="run_figures")
    for name, value in details.items():
        if name not in _LONG:
            _detail(name, value)


def _figure(value: float) -> str:
    return count(value) if float(value).is_integer() else number(value, 4)


def _detail(name: str, value: Any) -> None:
    title = plain(str(name).replace("_", " ").capitalize(), 80)
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        st.markdown(f"**{title}**")
        st.dataframe(value, hide_index=True, width="stretch")
    elif isinstance(value, dict | list):
        with st.expander(f"{title}: everything that was written"):
            st.json(value, expanded=1)
    elif value is not None:
        st.markdown(f"**{title}:** {plain(str(value), 500)}")
