"""A graph that is being built, and one that was not finished."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from core.api import Studio
from core.errors import BertloomError
from core.runs.records import Status
from pages.ui import keys
from pages.ui.components import empty_state, error_box, page_header, status_markdown
from pages.ui.format import clock, count, plain
from pages.ui.graph.links import explorer_link
from pages.ui.leaving import go
from pages.ui.runs_live import act, show_problem

__all__ = ["building", "find_graph", "progress_words", "share", "stopped"]


def find_graph(studio: Studio, source: str) -> dict[str, Any] | None:
    """Return what is known of a graph, or None for a file that no run made."""
    return next((graph for graph in studio.graphs.list() if graph["id"] == source), None)


def share(progress: Mapping[str, Any]) -> float | None:
    """Return how much is done (0 to 1), or None as long as nobody knows."""
    done, total = progress.get("step"), progress.get("total_steps")
    if not isinstance(done, int | float) or not isinstance(total, int | float) or total <= 0:
        return None
    return min(max(done / total, 0.0), 1.0)


def progress_words(progress: Mapping[str, Any]) -> str:
    """Return one line: phase, count, time left."""
    phase = str(progress.get("phase") or "starting").replace("_", " ")
    parts = [phase[:1].upper() + phase[1:]]
    if (progress.get("total_steps") or 0) > 1:
        parts.append(f"{count(progress.get('step') or 0)} of {count(progress['total_steps'])}")
    if isinstance(progress.get("eta_s"), int | float):
        parts.append(f"{clock(progress['eta_s'])} left")
    return " · ".join(parts)


def building(studio: Studio, graph: Mapping[str, Any]) -> None:
    """Show the progress of a graph; when its status changes, the whole page runs again."""
    page_header(str(graph["name"]), "The graph opens here when it is ready.", status=graph["status"])
    drawn = graph["status"]

    @st.fragment(run_every=0.7)
    def look() -> None:
        try:
            now = find_graph(studio, str(graph["id"]))
        except BertloomError as error:
            error_box(error)
            return
        if now is None or now["status"] != drawn:
            st.rerun()
            return
        show_problem()
        progress = now.get("progress") or {}
        done = share(progress)
        with st.container(border=True, key="graph_building"):
            words = "Waits for its turn in the queue" if drawn == Status.QUEUED else progress_words(progress)
            st.markdown(f"**{plain(words)}**")
            st.progress(done if done is not None else 0.0)
            row = st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center")
            row.caption("Other pages stay usable; the graph is built in a process of its own.")
            row.button(
                "Cancel", icon=":material/close:", key="graph_cancel", on_click=act,
                args=(studio.runs.cancel, str(graph["id"])), disabled=drawn == Status.CANCELLING,
            )  # fmt: skip

    look()


def stopped(studio: Studio, graph: Mapping[str, Any]) -> None:
    """Show why a graph was not built, and what can be done."""
    page_header(str(graph["name"]), "This graph was not built.", status=graph["status"])
    show_problem()
    failed = graph["status"] == Status.FAILED
    error = graph.get("error")
    if error:
        lines = [f"**{plain(error.get('what') or error.get('message') or 'The run failed.')}**"]
        lines += [f"{name}: {plain(error[key])}" for name, key in (("Where", "where"), ("Expected", "expected"))
                  if error.get(key)]  # fmt: skip
        if error.get("advice"):
            lines.append(plain(error["advice"]))
        st.error("\n\n".join(lines), icon=":material/error:")
    with empty_state(
        "No graph here",
        "Change the settings or the text and build it again, or try it once more as it was."
        if failed
        else "Resume goes on with the same settings; a new graph starts from the form.",
        icon=":material/hub:", key="graph_stopped",
    ):  # fmt: skip
        st.markdown(status_markdown(graph["status"]))
        row = st.container(horizontal=True, horizontal_alignment="center", gap="small")
        if failed and row.button("Change the settings", type="primary", icon=":material/tune:", key=keys.PRIMARY):
            go("explorer", {keys.GRAPH: "new", "like": str(graph["id"])})
        row.button(
            "Try again" if failed else "Resume", type="secondary" if failed else "primary",
            icon=":material/replay:" if failed else ":material/play_arrow:",
            key="graph_retry" if failed else keys.PRIMARY, on_click=act,
            args=(studio.runs.resume, str(graph["id"])),
        )  # fmt: skip
        explorer_link(row, "New graph", {keys.GRAPH: "new"}, key="graph_new", icon=":material/add:")
