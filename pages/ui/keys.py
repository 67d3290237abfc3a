"""Keys of widgets and containers that more than one module or a test needs. Tests find them by ``.st-key-<key>``."""

from __future__ import annotations

__all__ = [
    "GRAPH", "GRAPH_PICTURE", "HEADER", "LIVE_PLOT", "PAGES", "PRIMARY", "RUN_CARD", "RUN_ID", "RUN_NOTICE", "STRIPS",
]  # fmt: skip

#: Page header (title, caption, actions) and the primary action inside it.
HEADER = "page_header"
PRIMARY = "primary_action"
#: The card of the active run in the sidebar.
RUN_CARD = "run_card"
#: The live plot of the run page.
LIVE_PLOT = "live_plot"
#: The strips of pinned sentences below it.
STRIPS = "strips"
#: Session state: the pages by name (runs, run, planner, explorer, structure, claims, comparer), for links and switches.
PAGES = "_pages"
#: Query parameter of the run page.
RUN_ID = "id"
#: Query parameter of the graph explorer: a run of kind graph or link.
GRAPH = "graph"
#: The picture of the graph explorer.
GRAPH_PICTURE = "graph_picture"
#: Session state: a sentence to show as a toast after a page switch.
RUN_NOTICE = "notice"
