"""What was measured and searched before: one line each, and the facts of a measurement in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from core.api import Studio
from core.runs.records import RunRecord, Status
from pages.ui.components import status_markdown
from pages.ui.format import count, plain, relative
from pages.ui.structure.place import NEW, Place, measurements

__all__ = ["earlier", "facts", "parent_words", "searches"]

_MOST = 8


def parent_words(source: str) -> str:
    """Return what a parent is called in a line."""
    return source if source == "bundled" or source.startswith("hub:") else Path(source).name or source


def facts(found: Mapping[str, Any]) -> str:
    """Return what was measured on what, in one line."""
    encoder = found["encoder"]
    corpus = str(found["corpus"])
    trees = {"none": "no trees"}.get(found["trees"], f"{found['trees']} trees")
    return " · ".join(
        [
            parent_words(str(encoder["source"])), f"{encoder['layers']} layers of {encoder['width']}",
            corpus if corpus.startswith("hub:") else Path(corpus).name, f"{count(found['words'])} words",
            f"{count(found['sentences'])} sentences", trees,
        ]
    )  # fmt: skip


def searches(studio: Studio) -> list[RunRecord]:
    """Return the structure searches, newest first."""
    return [run for run in studio.runs.list(limit=1000) if run.kind == "structure"]


def earlier(studio: Studio, now: Place, *, runs: Sequence[RunRecord] | None = None) -> None:
    """Draw the measurements and searches that there are; nothing where there are none."""
    measured = list(measurements(studio) if runs is None else runs)
    for title, kind, found in (("Measured before", "stats", measured), ("Searches", "search", searches(studio))):
        if not found:
            continue
        with st.container(border=True, gap="small", key=f"structure_earlier_{kind}"):
            st.markdown(f"**{title}**")
            for run in found[:_MOST]:
                _line(now, kind, run)
            if len(found) > _MOST:
                st.caption(f"{len(found) - _MOST} more are in the list of runs.")


def _line(now: Place, kind: str, run: RunRecord) -> None:
    row = st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute", gap="small")
    row.button(
        plain(run.name, 60), type="tertiary", key=f"structure_open_{run.id}", on_click=_open, args=(now, kind, run.id),
        icon=":material/straighten:" if kind == "stats" else ":material/manage_search:",
        disabled=kind == "stats" and now.asked.stats == run.id,
    )  # fmt: skip
    sources = [str((run.plan.get(part) or {}).get("source", "")) for part in ("model", "corpus")]
    words = " on ".join(parent_words(source) for source in sources if source)
    told = f":small[:gray[{plain(words, 60)} · {relative(run.created)}]]"
    if run.status is not Status.FINISHED:
        told = f"{status_markdown(run.status)} {told}"
    row.markdown(told, width="content")


def _open(now: Place, kind: str, run_id: str) -> None:
    if kind == "stats":
        now.go(stats=run_id, tab="statistics", rho=None, overlap=None, share=None, depth=None)
    else:
        now.go(search=run_id, tab="search")


def new_button(now: Place, *, where: Any = st) -> None:
    """Draw the button that leads to the form of a new measurement."""
    where.button(
        "Measure another",
        icon=":material/add:",
        key="structure_new",
        on_click=lambda: now.go(stats=NEW, tab="statistics"),
    )
