"""The parts of the structure search on a page of their own, and statistics of a parent as they are measured."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["SCRIPT", "statistics"]

#: A page that shows one part, and places where its links lead.
SCRIPT = """
import streamlit as st

from pages.ui import keys
from pages.ui import studio as home
from pages.ui.leaving import pass_on
from pages.ui.structure import editor


def part():
    if st.session_state["test_part"] == "layers":
        editor.show(home.studio(), statistics=st.session_state.get("test_statistics"))
    else:
        from pages.ui.structure import search

        search.show(home.studio(), statistics=st.session_state.get("test_statistics"))


def place(name):
    def shown():
        st.text(" ".join([f"page {name}", *(f"{key}={value}" for key, value in st.query_params.items())]))

    shown.__name__ = name
    return shown


names = ("runs", "run", "planner", "explorer", "claims")
pages = {name: st.Page(place(name), url_path=name) for name in names}
here = st.Page(part, url_path="structure_search", default=True)
st.session_state[keys.PAGES] = {**pages, "structure": here}
shown = st.navigation([here, *pages.values()], position="hidden")
if not pass_on(shown):
    shown.run()
"""


def statistics() -> dict[str, Any]:
    """Return what is measured of a parent of six layers whose middle ones are much alike."""
    layers = [
        {"layer": at, "width": 384, "least": least, "least_low": least, "least_high": least}
        for at, least in enumerate([384, 320, 256, 192, 256, 256, 320])
    ]
    likeness = np.full((7, 7), 0.5)
    likeness[2:6, 2:6] = 0.99
    np.fill_diagonal(likeness, 1.0)
    segments = [
        {"first": 1, "last": 1, "representative": 1, "least": 320},
        {"first": 2, "last": 5, "representative": 4, "least": 256},
        {"first": 6, "last": 6, "representative": 6, "least": 320},
    ]
    return {
        "layers": layers, "cka": likeness.tolist(), "words": 2500, "sentences": 2000, "notices": [],
        "depth": {"fewest": 3, "lowest": 2, "highest": 5, "costs": [], "segments": {"3": segments}},
        "thresholds": {"rho": 0.95, "overlap": 0.8}, "corpus": "reviews",
    }  # fmt: skip
