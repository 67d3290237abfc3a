"""Planner: the check of the data before training, as findings, class balance and lengths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import streamlit as st

from core.api import Studio
from core.render.look import CONFIG
from pages.ui.components import error_box
from pages.ui.format import duration, plain
from pages.ui.forms import subset
from pages.ui.planner_draft import Draft, sync, within
from pages.ui.planner_jobs import ask, forget, peek
from pages.ui.planner_look import look

__all__ = ["check_part", "check_question"]

_LEVELS = {
    "error": (":material/error:", "red"),
    "warning": (":material/warning:", "orange"),
    "note": (":material/info:", "blue"),
}
_ORDER = list(_LEVELS)


def check_question(draft: Draft) -> dict[str, Any]:
    """Return the part of the form that the check depends on."""
    return subset(draft.state, "data.", "task.", "model.source", "model.revision", "model.max_length")


def check_part(draft: Draft, studio: Studio, *, mismatch: bool) -> None:
    """Draw the button and the report; with a language mismatch or a finetuning set the check starts by itself.

    Parameters
    ----------
    draft
        The draft.
    studio
        The facade.
    mismatch
        Whether there is something to see: the rows' language does not fit the encoder, or a second set is named.
    """
    question = check_question(draft)
    plan = draft.plan()
    job = peek("check", question)
    hub = plan is not None and (plan.data.source.startswith("hub:") or plan.model.source.startswith("hub:"))
    row = st.container(horizontal=True, vertical_alignment="center", key="planner_check_row")
    if job is None and plan is not None and mismatch and not hub:
        job = ask("check", question, partial(studio.data.check, plan.data, plan.task, plan.model))
    if job is None:
        if plan is None:
            row.button("Check data", icon=":material/fact_check:", key="planner_check", disabled=True)
            return
        row.button(
            "Check data", icon=":material/fact_check:", key="planner_check", on_click=within(_pose), args=(studio,),
            help="Reads all rows: what is dropped, balance of the labels, lengths, doubles, unknown pieces.",
        )  # fmt: skip
        row.caption("Optional: every run checks its data before it starts.")
        return
    if job.state == "running":
        row.markdown(f":material/hourglass_top: Checking the data … :gray[{duration(int(job.seconds))}]")
        if row.button("Stop waiting", key="planner_check_stop", type="tertiary"):
            forget("check")
            st.rerun()
        st.skeleton(height=120)
        return
    if job.state == "failed":
        error_box(job.error, title="The data cannot be used as it is")
        if row.button("Check again", icon=":material/refresh:", key="planner_check_again"):
            forget("check")
            st.rerun()
        return
    _report(job.answer)


def _pose(studio: Studio) -> None:
    """Ask for the check of what the form holds when the button is pressed, not of what it held when it was drawn."""
    now = sync()
    plan = now.plan()
    if plan is not None:
        ask("check", check_question(now), partial(studio.data.check, plan.data, plan.task, plan.model))


def _report(report: Mapping[str, Any]) -> None:
    findings = sorted(
        report.get("findings") or [], key=lambda found: _ORDER.index(found["level"]) if found["level"] in _ORDER else 9
    )
    with st.container(border=True, gap="small", key="planner_report"):
        if report.get("ok", True):
            st.markdown(":green[:material/check_circle:] **The data can be used.**")
        else:
            st.markdown(":red[:material/error:] **The data cannot be used as it is.**")
        for finding in findings:
            icon, colour = _LEVELS.get(finding["level"], _LEVELS["note"])
            where = f" :gray[({plain(finding['where'], 120)})]" if finding.get("where") else ""
            advice = f" {plain(finding['advice'], 300)}" if finding.get("advice") else ""
            st.markdown(f":{colour}[{icon}] {plain(finding['message'], 400)}{where}{advice}")
        _charts(report)


def _charts(report: Mapping[str, Any]) -> None:
    from core.render.curve_figures import class_balance, length_histogram

    balance = _balance(report)
    lengths = report.get("lengths") or {}
    bins = lengths.get("histogram") if isinstance(lengths, Mapping) else None
    charts = st.columns(2, gap="medium") if balance and bins else [st.container()] * 2
    if balance:
        with charts[0]:
            st.plotly_chart(class_balance(balance, look()), theme=None, config=CONFIG, key="planner_balance")
    if bins:
        edges: Sequence[float] = bins["edges"]
        figure = length_histogram(
            edges, bins["counts"], look(), limit=lengths.get("max_length"), unit=str(lengths.get("unit") or "sub-words")
        )
        with charts[1]:
            st.plotly_chart(figure, theme=None, config=CONFIG, key="planner_lengths")


def _balance(report: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    found = report.get("balance") or {}
    return {role: dict(labels) for role, labels in found.items() if labels}
