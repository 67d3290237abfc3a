"""Planner, in the second card: how the plan's encoder was made, what that lost, and the way back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from core.api import Studio
from pages.ui.format import count, duration, number, percent, plain
from pages.ui.planner_draft import Draft, within
from pages.ui.planner_look import look
from pages.ui.planner_making import choose_source
from pages.ui.planner_shape_words import heads_table, loss_words

__all__ = ["CSS", "origin_part"]

CSS = """
.bl-heads { overflow-x: auto; }
.bl-heads table { border-collapse: separate; border-spacing: 2px; font-size: 0.74rem; }
.bl-heads caption { text-align: left; font-size: 0.8rem; opacity: 0.8; padding-bottom: 0.2rem; caption-side: top; }
.bl-heads th, .bl-heads td { padding: 0; border: 0; font-weight: 400; text-align: center; }
.bl-heads th { opacity: 0.75; min-width: 1.1rem; }
.bl-heads tbody th { padding-right: 0.35rem; text-align: right; }
.bl-heads .n { padding-left: 0.5rem; opacity: 0.75; white-space: nowrap; font-variant-numeric: tabular-nums; }
.bl-heads i { display: block; width: 1.1rem; height: 1.1rem; border-radius: 4px; }
.bl-heads .off {
  border: 1px dashed color-mix(in srgb, currentColor 40%, transparent);
  background: linear-gradient(45deg, transparent 46%, color-mix(in srgb, currentColor 40%, transparent) 47% 53%, transparent 54%);
}
.st-key-planner_pruned [data-testid="stMetric"] { padding: 0; }
.st-key-planner_pruned [data-testid="stMetricValue"] { font-size: 1.25rem; }
"""  # noqa: E501


def origin_part(draft: Draft, studio: Studio) -> None:
    """Draw how the plan's encoder was made, if its folder says so: what pruning lost, or that it is random."""
    found = studio.models.origin(str(draft.state.get("model.source") or ""))
    if found is None:
        return
    made, report = found
    if made == "pruned":
        with st.container(border=True, key="planner_pruned"):
            try:
                _pruned(report)
            except (KeyError, TypeError, ValueError, AttributeError):  # a file that people can edit
                st.caption(":material/info: This encoder was pruned; the report in its folder cannot be read.")
            _back(report.get("source"), report.get("revision"))
    elif made == "random":
        with st.container(horizontal=True, vertical_alignment="center", gap="small", key="planner_random"):
            st.badge("Random weights", icon=":material/casino:", color="orange")
            _back(report.get("tokenizer"), None)


def _pruned(report: Mapping[str, Any]) -> None:
    parameters, seconds = report["parameters"], report["seconds"]
    words = loss_words(report)
    st.markdown(f"**:material/content_cut: Pruned from {plain(report['source'], 90)}**")
    row = st.container(horizontal=True, gap="small")
    cells = [
        ("Parameters", f"{parameters['after'] / 1e6:.1f} M", f"of {parameters['before'] / 1e6:.1f} M"),
        (
            "Time of a batch", f"× {seconds['ratio']:.2f}",
            f"{_moment(seconds['before'])} → {_moment(seconds['after'])}, measured here",
        ),
    ]  # fmt: skip
    lost = report["lost"]
    if report["trained"]:
        cells.append(("Before training", percent(lost["after"]), f"{percent(lost['before'])} unpruned"))
    else:
        cells.append(("Nearness", number(lost["similarity"]), "cosine of hidden states"))
    for label, value, note in cells:
        with row.container(width="stretch", gap=None):
            st.metric(label, value)
            st.caption(plain(note))
    st.caption(plain(" ".join(words)))
    table = heads_table(report, look().colour(0))
    units = [int(layer["intermediate"]) for layer in report["layers"]]
    with st.expander("Which heads went", icon=":material/grid_on:", key="planner_pruned_heads"):
        st.html(table)
        st.caption(
            "Rows: layers, lowest first. Filled: the head stays, the stronger the more important in its layer; "
            "crossed: it went."
        )
        left = (
            f"{count(units[0])} in every layer"
            if len(set(units)) == 1
            else ", ".join(f"{count(one)} in layer {index}" for index, one in enumerate(units))
        )
        st.caption(f"FFN units that stay: {left}.")


def _moment(seconds: float) -> str:
    return duration(seconds) if seconds >= 1 else f"{number(1000 * seconds, 3)} ms"


def _back(source: object, revision: object) -> None:
    """Offer the encoder that this one was made from."""
    if not isinstance(source, str) or not source:
        return
    st.button(
        f"Back to {plain(source.rstrip('/').rpartition('/')[2] or source, 40)}",
        icon=":material/undo:", key="planner_model_back", on_click=within(choose_source),
        args=(source, revision if isinstance(revision, str) else None),
        help="The plan takes the encoder before again; the folder stays and can be chosen under From my runs.",
    )  # fmt: skip
