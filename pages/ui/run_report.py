"""The report of a finished training run, to keep: one file that needs no other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import streamlit as st

from core.api import Studio
from core.render.report_block import Block
from core.render.report_page import html_report, markdown_report
from core.render.run_report import run_blocks
from core.runs.records import RunRecord
from core.runs.reported import reported
from pages.ui.studio import studio

__all__ = ["report_part"]


def report_part(run: RunRecord) -> None:
    """Offer the report as a page and as Markdown."""
    with st.container(border=True, gap="small", key="run_report"):
        st.markdown("##### Report")
        st.caption(
            "Scores, the curve, where heads point, the plan, the environment, and the commands that repeat it, in one "
            "file that needs no other."
        )
        row = st.container(horizontal=True, gap="small")
        for label, icon, write, ending, mime in (
            ("HTML", ":material/html:", html_report, "html", "text/html"),
            ("Markdown", ":material/description:", markdown_report, "md", "text/markdown"),
        ):
            row.download_button(
                label, partial(_written, write, studio(), run.id), f"run-{run.id}.{ending}", mime, icon=icon,
                key=f"run_report_{ending}", on_click="ignore",
            )  # fmt: skip


def _written(write: Callable[[Sequence[Block]], str], desk: Studio, run_id: str) -> str:
    told = reported(desk.runs, desk.home, run_id)
    return write(
        run_blocks(told["run"], told["results"], told["plan"], pointed=told["pointed"], curve=told["curve"])
    )  # fmt: skip
