"""The tab Statistics: the form, a measurement under way, or what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from core.api import Studio
from core.errors import BertloomError
from core.render.look import CONFIG
from core.render.measure_figures import cka_figure
from core.render.statistics_figures import margin_figure, novelty_figure
from core.runs.records import Status
from pages.ui import keys
from pages.ui.components import error_box, run_url
from pages.ui.format import count, number
from pages.ui.graph.panels import show_notices
from pages.ui.planner_look import look
from pages.ui.structure.measuring import measuring, stopped
from pages.ui.structure.place import NEW, Place, find_measurement
from pages.ui.structure.proposal import proposal
from pages.ui.structure.start import start

__all__ = ["FEW_WORDS", "draw_statistics", "statistics_tab"]

#: With fewer words neighbourhoods are thin, and with fewer sentences probes are weak.
FEW_WORDS, FEW_SENTENCES = 1000, 1000


def statistics_tab(studio: Studio, now: Place, found: Mapping[str, Any] | None) -> None:
    """Draw the tab.

    Parameters
    ----------
    studio
        The facade.
    now
        Where the person is.
    found
        The statistics that are shown, if there are any.
    """
    if now.asked.stats in ("", NEW):
        start(studio, now)
        return
    run = find_measurement(studio, now.asked.stats)
    if run is None:
        error_box(BertloomError("There is no measurement of this address.", where=now.asked.stats[:60]))
        start(studio, now)
    elif run.status is Status.QUEUED or run.status.active:
        measuring(studio, run)
    elif found is None:
        stopped(studio, now, run)
    else:
        proposal(studio)
        _fixed(found)
        show_notices({"notices": [*found["notices"], *_doubts(found)]})
        st.page_link(
            st.session_state[keys.PAGES]["run"], label="The run of this measurement", icon=":material/monitoring:",
            query_params=run_url(run.id),
        )  # fmt: skip


def _fixed(found: Mapping[str, Any]) -> None:
    """Draw what does not depend on any threshold."""
    shown = look()
    names = [str(entry["layer"]) for entry in found["layers"]]
    figures = [
        ("structure_novelty", novelty_figure(found, shown), "Novelty of every layer"),
        ("structure_cka", cka_figure(found["cka"], names, names, shown, height=600), "CKA of all pairs of layers"),
    ]
    if any(entry.get("margin") is not None for entry in found["layers"]):
        figures.insert(0, ("structure_margin", margin_figure(found, shown), "UUAS over the chain by layer"))
    left, right = st.columns(2, gap="medium")
    for key, figure, words in figures:
        with (right if key == "structure_cka" else left).container(border=True, key=key):
            st.plotly_chart(figure, theme=None, config=CONFIG, key=f"{key}_figure", alt=words)


def _doubts(found: Mapping[str, Any]) -> list[str]:
    doubts = []
    if found["words"] < FEW_WORDS:
        doubts.append(
            f"Only {count(found['words'])} words: with so few, neighbourhoods are thin and d* is rough. Take more text."
        )
    if found["sentences"] < FEW_SENTENCES:
        doubts.append(f"Only {count(found['sentences'])} sentences: probe scores and CKA are rough.")
    if found["encoder"].get("random"):
        doubts.append("The parent's weights are random: everything here is a baseline.")
    return doubts


def draw_statistics(results: Mapping[str, Any]) -> None:
    """Draw the figures of a run of kind ``stats`` on its own page: a row a layer."""
    found = (results.get("details") or {}).get("statistics")
    if not isinstance(found, Mapping):
        return
    st.dataframe(
        [
            {
                "layer": entry["layer"], "d*": entry["least"],
                "95 % interval": f"{entry['least_low']} – {entry['least_high']}", "of": entry["width"],
                "CKA with the layer below": number(entry.get("cka_below")), "UUAS": number(entry.get("uuas")),
                "over the chain": number(entry.get("margin")),
            }
            for entry in found["layers"]
        ],
        hide_index=True, width="stretch", height="content", key="structure_table",
    )  # fmt: skip
    show_notices(found)
