"""Planner: the plan checked against its rows and its encoder before it starts, with each finding in its place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import streamlit as st

from core.api import Studio
from pages.ui.components import error_box
from pages.ui.format import duration, plain
from pages.ui.forms_fields import message_paths
from pages.ui.forms_stages import split
from pages.ui.forms_values import control
from pages.ui.planner_draft import Draft, sync
from pages.ui.planner_estimate import estimate_question
from pages.ui.planner_jobs import ask, forget, peek

__all__ = ["hints_of", "place_words", "plan_check_part"]

_LEVELS = {
    "error": (":material/error:", "red"),
    "warning": (":material/warning:", "orange"),
    "note": (":material/info:", "blue"),
}


def hints_of(draft: Draft) -> dict[str, str]:
    """Return what a check of exactly this plan found, by the shown field that it concerns."""
    job = peek("plan_check", estimate_question(draft))
    if job is None or job.state != "done":
        return {}
    shown = set(message_paths(draft.state))
    found: dict[str, str] = {}
    for finding in job.answer.get("findings") or []:
        key = str(finding.get("key") or "")
        while key and key not in shown:
            key = key.rpartition(".")[0]
        if key:
            words = _words(finding)
            found[key] = f"{found[key]} {words}" if key in found else words
    return found


def plan_check_part(draft: Draft, studio: Studio) -> None:
    """Draw the button and what the check found."""
    job = peek("plan_check", estimate_question(draft))
    if job is None:
        st.button(
            "Check the plan", icon=":material/rule:", key="planner_plan_check", width="stretch", on_click=_pose,
            args=(studio,),
            help="Rows, patterns, metrics, rates and gates against this data and this encoder, without training.",
        )  # fmt: skip
        return
    if job.state == "running":
        row = st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center")
        row.markdown(f":material/hourglass_top: Checking the plan … :gray[{duration(int(job.seconds))}]")
        if row.button("Stop waiting", key="planner_plan_check_stop", type="tertiary"):
            forget("plan_check")
            st.rerun()
        return
    if job.state == "failed":
        error_box(job.error, title="The plan could not be checked")
        st.button(
            "Check again", icon=":material/refresh:", key="planner_plan_check_again", on_click=forget,
            args=("plan_check",),
        )  # fmt: skip
        return
    _found(draft, job.answer.get("findings") or [])


def place_words(key: str, draft: Draft) -> str:
    """Return where a finding belongs, in words: ``stage 2, Learning rate``."""
    place = split(key)
    if place is None:
        stage = key.removeprefix("stages.")
        if stage.isdecimal():
            return f"stage {int(stage) + 1}"
        return _label(key) or key
    return f"stage {place[0] + 1}, {_label(key) or place[1]}"


def _label(key: str) -> str | None:
    try:
        return control(key).label
    except KeyError:
        return None


def _found(draft: Draft, findings: Sequence[Mapping[str, Any]]) -> None:
    with st.container(gap="small", key="planner_plan_findings"):
        if not any(finding["level"] == "error" for finding in findings):
            st.markdown(":green[:material/check_circle:] **The plan fits its data and its encoder.**")
        else:
            st.markdown(":red[:material/error:] **The plan cannot run as it is.**")
        for finding in findings:
            icon, colour = _LEVELS.get(str(finding["level"]), _LEVELS["note"])
            where = place_words(str(finding.get("key") or ""), draft)
            st.markdown(f":{colour}[{icon}] {plain(_words(finding), 500)} :gray[({plain(where, 80)})]")


def _words(finding: Mapping[str, Any]) -> str:
    return f"{finding['message']} {finding.get('advice') or ''}".strip()


def _pose(studio: Studio) -> None:
    """Ask for a check of what the form holds when the button is pressed."""
    now = sync()
    plan = now.plan()
    if plan is not None:
        ask("plan_check", estimate_question(now), partial(studio.check_plan, plan))
