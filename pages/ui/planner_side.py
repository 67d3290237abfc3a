"""Planner, right side: what this plan will do (steps, learning rate, time, memory), and the plan as YAML."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st

from core.api import Studio
from core.config import Plan
from core.errors import BertloomError
from core.render.look import CONFIG
from pages.ui.components import error_box
from pages.ui.format import count, duration, percent, plain
from pages.ui.forms import subset
from pages.ui.forms_stages import split
from pages.ui.planner_draft import Draft
from pages.ui.planner_estimate import estimate_part, estimate_question
from pages.ui.planner_jobs import Job, ask, forget, peek
from pages.ui.planner_look import look

__all__ = ["outlook", "steps_question"]

#: Beginnings of the names of a stage's keys that its number of steps depends on.
_STEP_FIELDS = (
    "name", "kind", "enabled", "epochs", "steps", "batch_", "accumulation", "bucketing", "range_test", "search", "seed",
)  # fmt: skip
#: Rates this many times apart are drawn on a logarithmic axis at first.
_WIDE = 30.0


def steps_question(draft: Draft) -> dict[str, Any]:
    """Return the part of the form that the number of steps depends on."""
    kept = subset(draft.state, "data.", "task.", "model.")
    for path, value in draft.state.items():
        place = split(path)
        tests = place is not None and draft.state.get(f"stages.{place[0]}.kind") == "range_test"
        if place is not None and (tests or place[1].startswith(_STEP_FIELDS)):
            kept[path] = value
    return kept


def outlook(draft: Draft, studio: Studio, *, above: Callable[[], None], below: Callable[[], None]) -> None:
    """Draw steps and rows, the learning-rate curve and the estimate; `above` and `below` draw what stands around it."""
    with st.container(border=True, key="planner_outlook"):
        st.subheader("What this plan does", anchor=False)
        plan = draft.plan()
        if plan is None:
            st.caption("Some fields need mending first; each has its message beside it.")
            return
        job = _steps_job(draft, studio, plan)
        if job is None:
            st.caption("Counting the steps asks the hub for the data.")
            if st.button("Count the steps", icon=":material/cloud_download:", key="planner_count"):
                ask("steps", steps_question(draft), lambda: studio.steps(plan))
                st.rerun()
            return
        if job.state == "running":
            st.caption("Reading the rows to count the steps …")
            st.skeleton(height=300)
        elif job.state == "failed":
            st.caption("The steps cannot be counted yet.")
            error_box(job.error)
            st.button(
                "Count again", icon=":material/refresh:", key="planner_count_again", on_click=forget, args=("steps",)
            )
            return
        else:
            _steps(job.answer)
            _curve(studio, plan, job.answer)
            _stage_table(draft, plan, job.answer)
        above()
        estimate_part(draft, studio)
        below()


def _steps_job(draft: Draft, studio: Studio, plan: Plan) -> Job | None:
    question = steps_question(draft)
    job = peek("steps", question)
    if job is None and not (plan.data.source.startswith("hub:") or plan.model.source.startswith("hub:")):
        job = ask("steps", question, lambda: studio.steps(plan))
    return job


def _steps(answer: Mapping[str, Any]) -> None:
    rows = answer.get("rows") or {}
    row = st.container(horizontal=True, gap="small", key="planner_steps")
    row.metric("Optimiser steps", ("≤ " if answer.get("upper") else "") + count(answer["steps"]))
    row.metric("Training rows", count(rows.get("train")))
    row.metric("Gate", count(rows.get("gate")))
    row.metric("Test", count(rows.get("test")))
    if answer.get("cut_share"):
        what = "questions" if answer.get("label_names") == ["start", "end"] else "texts"
        st.caption(
            f":material/content_cut: {percent(answer['cut_share'])} of the {what} are longer than the limit, and cut."
        )


def _curve(studio: Studio, plan: Plan, counted: Mapping[str, Any]) -> None:
    from core.render.curve_figures import learning_rate_curve, plan_curve_figure
    from core.render.curve_parts import plan_words

    try:
        whole = studio.plan_curve(plan, dict(counted))
        simple = len(whole["stages"]) == 1 and whole["certain"] and whole["stages"][0]["kind"] == "train"
        curve = studio.curve(plan, int(counted["steps"])) if simple else {}
    except BertloomError as error:
        error_box(error, title="The learning rate cannot be drawn")
        return
    # Rates of a head and of an encoder's lowest layer lie far apart: on a linear axis only the highest would be seen.
    wide = _spread(whole) > _WIDE
    log = bool(st.session_state.get("planner_log", wide))
    if simple:
        figure = learning_rate_curve(curve, look(), log_y=log, height=290)
        words = _words(curve)
    else:
        rows = math.ceil((len(whole["names"]) + bool(whole["gates"])) / 3)
        figure = plan_curve_figure(whole, look(), log_y=log, height=310 + 26 * rows, characters=34)
        words = plan_words(whole)
    st.plotly_chart(figure, theme=None, config=CONFIG, key="planner_curve", alt=words)
    if not simple or len(curve) > 2:
        st.toggle("Logarithmic axis", value=wide, key="planner_log")
    if not whole["certain"]:
        marks = " Diamonds: where a gate may decide." if whole["gates"] else ""
        st.caption(f"Filled: the range of what depends on results.{marks}")


def _spread(curve: Mapping[str, Any]) -> float:
    """Return how many times the highest peak of a group in a stage is the lowest."""
    peaks = [max(part["lr"], default=0.0) for stage in curve["stages"] for part in stage["groups"].values()]
    trained = [peak for peak in peaks if peak > 0]
    return max(trained) / min(trained) if trained else 1.0


def _stage_table(draft: Draft, plan: Plan, counted: Mapping[str, Any]) -> None:
    """Draw what each stage takes: its steps, and from a dry run time, memory and trained parameters."""
    stages = counted.get("stages") or []
    if len(stages) < 2:
        return
    job = peek("estimate", estimate_question(draft))
    estimated = {}
    if job is not None and job.state == "done":
        estimated = {str(one["name"]): one for one in job.answer.get("stages") or []}
    rows = []
    for place, one in enumerate(stages, 1):
        row = {"Stage": f"{place} {one['name']}", "Steps": ("≤ " if one.get("upper") else "") + count(one["steps"])}
        cost = estimated.get(str(one["name"]))
        if cost is not None:
            row["Time"] = duration(cost.get("seconds"))
            row["Memory"] = f"{count(cost.get('memory_mb'))} MB"
            trained = cost.get("trainable_parameters")
            row["Trained"] = f"{trained / 1e6:.2f} M" if trained is not None else "–"
        rows.append({name: plain(value) for name, value in row.items()})
    st.table(rows, border="horizontal", hide_index=True)
    if any(stage.gate is not None or stage.max_retries for stage in plan.active):
        st.caption("Gates, guards and retries may skip or repeat stages; these are the steps of one attempt each.")


def _words(curve: Mapping[str, Any]) -> str:
    peaks = [max(points["lr"], default=0.0) for points in curve.values()]
    highest = max(peaks, default=0.0)
    return f"Learning rate by optimiser step of {len(curve)} parameter group(s); the highest is {highest:.2g}."
