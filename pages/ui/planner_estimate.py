"""Planner, right side: time and memory from a dry run, and how far earlier estimates were off."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import streamlit as st

from core.api import Studio
from pages.ui.components import error_box
from pages.ui.format import count, duration, percent, plain
from pages.ui.planner_draft import Draft, sync
from pages.ui.planner_jobs import ask, forget, peek, running

__all__ = ["estimate_part", "estimate_question", "known_estimate", "teacher_share"]


def estimate_question(draft: Draft) -> dict[str, Any]:
    """Return the part of the form that the dry run depends on."""
    return {path: value for path, value in draft.state.items() if path not in ("name", "tags")}


def known_estimate(draft: Draft) -> dict[str, Any] | None:
    """Return the estimate of exactly what the form holds, if there is one."""
    job = peek("estimate", estimate_question(draft))
    return dict(job.answer) if job is not None and job.state == "done" else None


def estimate_part(draft: Draft, studio: Studio) -> None:
    """Draw the button of the dry run, and what it said."""
    question = estimate_question(draft)
    job = peek("estimate", question)
    stale = st.session_state.get("planner_estimated")
    plan = draft.plan()
    if stale and plan is not None and not (plan.data.source.startswith("hub:") or plan.model.source.startswith("hub:")):
        follow = st.toggle(
            "Estimate anew after every change", key="planner_follow",
            help="One dry run at a time; while it runs, further changes wait for the next one.",
        )  # fmt: skip
        if follow and job is None:
            if running("estimate"):  # of the plan before: dry runs are served one after another
                st.markdown(":material/hourglass_top: A dry run of the plan before is ending …")
                return
            job = ask("estimate", question, partial(studio.estimate, plan))
    if job is None:
        st.button(
            "Estimate time and memory", icon=":material/speed:", key="planner_estimate", width="stretch",
            on_click=_pose, args=(studio,),
            help="A dry run: a few real steps in a helper process, with the plan's own batches. Nothing is stored.",
        )  # fmt: skip
        if stale:
            st.caption("The plan has changed since the last estimate.")
        return
    st.session_state["planner_estimated"] = True
    if job.state == "running":
        row = st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center")
        row.markdown(f":material/hourglass_top: Dry run … :gray[{duration(int(job.seconds))}]")
        if row.button("Stop waiting", key="planner_estimate_stop", type="tertiary"):
            forget("estimate")
            st.rerun()
        return
    if job.state == "failed":
        error_box(job.error, title="The dry run did not work")
        if st.button("Try again", icon=":material/refresh:", key="planner_estimate_again"):
            forget("estimate")
            st.rerun()
        return
    _estimated(job.answer)
    _accuracy(studio)


def _pose(studio: Studio) -> None:
    """Ask for the estimate of what the form holds when the button is pressed."""
    now = sync()
    plan = now.plan()
    if plan is not None:
        ask("estimate", estimate_question(now), partial(studio.estimate, plan))


def _accuracy(studio: Studio) -> None:
    """Say how far the last estimates on this machine were off."""
    found = studio.runs.estimate_accuracy()
    if not found["count"]:
        return
    times = "estimate was" if found["count"] == 1 else f"{found['count']} estimates were"
    words = f"The last {times} off by {percent(found['seconds_error'], 0)} in time"
    if found["memory_error"] is not None:
        words += f" and {percent(found['memory_error'], 0)} in memory"
    st.caption(plain(words + (" (medians)." if found["count"] > 1 else ".")))


def _estimated(answer: Mapping[str, Any]) -> None:
    low, high = answer.get("seconds_low"), answer.get("seconds_high")
    spread = f"{duration(low)} to {duration(high)}" if low is not None and high is not None else ""
    trainable, parameters = answer.get("trainable_parameters"), answer.get("parameters")
    share = (
        f"{percent(trainable / parameters, 0)} of {parameters / 1e6:.1f} M"
        if trainable is not None and parameters
        else ""
    )
    choices = answer.get("choices") or {}
    st.markdown("**From a dry run**")
    row = st.container(horizontal=True, gap="small", key="planner_estimated_row")
    with row.container(width="stretch", gap=None):
        st.metric("Time", f"about {duration(answer.get('seconds'))}")
        st.caption(plain(spread) or "&nbsp;")
    with row.container(width="stretch", gap=None):
        st.metric("Memory", f"{count(answer.get('memory_mb'))} MB")
        st.caption(
            plain(" · ".join(f"{key}: {value}" for key, value in choices.items() if value is not None)) or "&nbsp;"
        )
    with row.container(width="stretch", gap=None):
        st.metric(
            "Trained", f"{trainable / 1e6:.1f} M" if trainable is not None else "–", help="Parameters that are trained."
        )
        st.caption(plain(share) or "&nbsp;")
    words = teacher_share(answer.get("teacher"))
    if words:
        st.caption(f":material/school: {plain(words)}")


def teacher_share(teacher: Mapping[str, Any] | None) -> str:
    """Say how much of an estimate teachers take; nothing without one."""
    if not teacher:
        return ""
    once, scores = float(teacher["answering_s"]), float(teacher["scoring_s"])
    answers = f"about {duration(once)} for its answers, once" if once else "its answers are in the cache already"
    words = f"Of it for the teacher: {answers}; about {duration(scores)} for its own scores"
    return words + ("; and it runs in every step, which the time of the steps holds." if teacher["every_step"] else ".")
