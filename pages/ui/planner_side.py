"""Planner, right side: what this plan will do (steps, learning rate, time, memory), and the plan as YAML."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st

from core.api import Studio
from core.config import Plan, plan_to_yaml
from core.errors import BertloomError
from core.render.look import CONFIG
from pages.ui.components import error_box, notice
from pages.ui.format import count, duration, percent, plain
from pages.ui.forms import subset
from pages.ui.forms_stages import split
from pages.ui.joint.files import plan_of_text, show_plan
from pages.ui.planner_draft import Draft
from pages.ui.planner_draft import draft as current
from pages.ui.planner_estimate import estimate_part, estimate_question
from pages.ui.planner_jobs import Job, ask, forget, peek
from pages.ui.planner_look import look

__all__ = ["outlook", "steps_question", "yaml_part"]

#: Beginnings of the names of a stage's keys that its number of steps depends on.
_STEP_FIELDS = (
    "name", "kind", "enabled", "epochs", "steps", "batch_", "accumulation", "bucketing", "range_test", "search", "seed",
)  # fmt: skip
#: Rates this many times apart are drawn on a logarithmic axis at first.
_WIDE = 30.0
_UPLOAD_PROBLEM = "planner_yaml_problem"


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


def yaml_part(draft: Draft) -> None:
    """Draw the plan as YAML with download and upload."""
    with st.expander("Plan as YAML", icon=":material/code:", key="planner_yaml"):
        st.caption("The form is this file, and `bertloom run plan.yaml` does exactly the same.")
        plan = draft.plan()
        row = st.container(horizontal=True, gap="small", vertical_alignment="center")
        if plan is not None:
            text = plan_to_yaml(plan)
            row.download_button(
                "Download YAML", text, file_name=f"{file_stem(plan.name)}.yaml", mime="application/yaml",
                icon=":material/download:", key="planner_download", on_click="ignore",
            )  # fmt: skip
        with row.popover("Upload YAML", icon=":material/upload:", key="planner_yaml_upload_box"):
            _upload(draft)
        problem = st.session_state.get(_UPLOAD_PROBLEM)
        if problem is not None:
            error_box(problem, title="The form is as it was: this file cannot be used")
        if plan is None:
            st.caption("The plan is shown when every field is usable.")
        else:
            st.code(text, language="yaml", height=420, wrap_lines=True)


def file_stem(name: str) -> str:
    """Return a file name for a run's name: letters and digits of any script, everything else a dash."""
    kept = "".join(char if char.isalnum() else "-" for char in name)
    return "-".join(part for part in kept.split("-") if part)[:60] or "plan"


def _upload(draft: Draft) -> None:
    key = f"plan_upload_{draft.generation}"

    def came() -> None:
        file = st.session_state.get(key)
        # A browser may tell a file again whose plan has been loaded: the form that it made is not replaced once more.
        if file is None or key != f"plan_upload_{current().generation}":
            return
        st.session_state.pop(_UPLOAD_PROBLEM, None)
        try:
            plan = plan_of_text(file.getvalue().decode("utf-8"), file.name)
        except BertloomError as error:
            st.session_state[_UPLOAD_PROBLEM] = error
        except UnicodeDecodeError:
            st.session_state[_UPLOAD_PROBLEM] = BertloomError(
                "The plan file is not UTF-8 text.", where=file.name, expected="a YAML file in UTF-8"
            )
        else:
            show_plan(plan, origin=f"file {file.name}")
            notice(f"The form holds {file.name} now.")

    st.file_uploader(
        "Plan file",
        type=["yaml", "yml"],
        key=key,
        on_change=came,
        help="The form takes its place; a wrong file changes nothing.",
    )


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
