"""Downloads of a graph: for other programs, and as one HTML page that works without any of this."""

from __future__ import annotations

from typing import Any

import streamlit as st

from core.api import Studio
from core.errors import BertloomError
from pages.ui.components import error_box
from pages.ui.graph.ask import once
from pages.ui.graph.state import Explorer

__all__ = ["export_part"]

_FORMATS = {
    "graphml": ("GraphML", "For Gephi, yEd, igraph, networkx."),
    "gexf": ("GEXF", "For Gephi."),
    "json": ("JSON", "Nodes and links, as networkx reads them."),
    "csv": ("CSV", "A table of edges."),
    "html": ("HTML page", "The present picture as one page without any link to elsewhere."),
}
_MIME = {"graphml": "application/xml", "gexf": "application/xml", "json": "application/json", "html": "text/html"}


def export_part(studio: Studio, now: Explorer, view: dict[str, Any] | None) -> None:
    """Draw the content of the export's popover."""
    kind = st.radio(
        "Format", list(_FORMATS), key="graph_format", format_func=lambda name: _FORMATS[name][0],
        captions=[words for _, words in _FORMATS.values()],
    )  # fmt: skip
    st.caption("PNG and SVG of the picture are above it, at its right.")

    def content() -> tuple[str, bytes]:
        return studio.graphs.export(now.query.graph, kind, view=view if kind == "html" else None)

    # Made when it is asked for: a large graph takes a moment.
    if st.button("Prepare", icon=":material/build:", key="graph_prepare"):
        st.session_state["graph_prepared"] = (now.query.graph, kind)
    if st.session_state.get("graph_prepared") != (now.query.graph, kind):
        return
    try:
        name, data = once("export", [now.query.graph, kind, view if kind == "html" else None], content, words="Writing")
    except BertloomError as error:
        error_box(error, title="The graph was not exported")
        return
    st.download_button(
        f"Download {name}", data, file_name=name, mime=_MIME.get(kind, "application/octet-stream"),
        icon=":material/download:", key="graph_download", on_click="ignore",
    )  # fmt: skip
