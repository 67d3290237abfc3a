"""What a joint plan will do: steps of each task, clashes between tasks, rates, time; and the plan as YAML."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import streamlit as st

from core.api import Studio
from core.config.joint import JointPlan
from core.errors import BertloomError
from core.render.look import CONFIG
from core.runs.sources import names_hub
from pages.ui.components import error_box
from pages.ui.format import count, duration, percent, plain
from pages.ui.joint.held import SHARED, Joint, slot
from pages.ui.joint.messages import home_of
from pages.ui.planner_draft import using
from pages.ui.planner_jobs import Job, ask, forget, peek
from pages.ui.planner_look import look

__all__ = ["CHECK", "TIME", "counted_of", "hints_of", "outlook", "rates_of"]

CHECK, TIME = "joint_check", "joint_time"
_LEVELS = {
    "error": (":material/error:", "red"), "warning": (":material/warning:", "orange"),
    "note": (":material/info:", "blue"),
}  # fmt: skip
#: Rates this many times apart are drawn on a logarithmic axis at first.
_WIDE = 30.0


def counted_of(now: Joint, studio: Studio) -> Job | None:
    """Return how far the check of this plan is; it is begun where no other machine need be asked."""
    if now.plan is None:
        return None
    question = _question(now.plan)
    job = peek(CHECK, question)
    if job is None and not names_hub(now.plan.model_dump(mode="json")):
        job = ask(CHECK, question, partial(studio.joint.check, now.plan))
    return job


def _question(plan: JointPlan) -> dict[str, Any]:
    return {name: value for name, value in plan.model_dump(mode="json").items() if name not in ("name", "tags")}


def hints_of(now: Joint, job: Job | None) -> dict[str, str]:
    """Put what the check found beside the fields that it concerns, and return what belongs to no draft, by key."""
    found = job.answer["findings"] if job is not None and job.state == "done" else []
    own: dict[str, str] = {}
    beside: dict[str, dict[str, str]] = {}
    for one in found:
        if one["level"] == "note":
            continue
        words = f"{one['message']} {one.get('advice') or ''}".strip()
        home = home_of(now, str(one["key"]))
        place = own if home is None else beside.setdefault(home[0], {})
        key = str(one["key"]) if home is None else home[1]
        place[key] = f"{place[key]} {words}" if key in place else words
    for name in (SHARED, *(slot(number) for number in now.order)):
        with using(name) as draft:
            draft.hints = beside.get(name, {})
    return own


def outlook(now: Joint, studio: Studio, job: Job | None) -> None:
    """Draw steps, clashes, rates and time."""
    with st.container(border=True, key="joint_outlook"):
        st.subheader("What this plan does", anchor=False)
        if now.plan is None:
            st.caption("Some fields need mending first; each has its message beside it.")
            return
        if job is None:
            st.caption("Counting the steps asks the hub for the data.")
            if st.button("Count the steps", icon=":material/cloud_download:", key="joint_count"):
                ask(CHECK, _question(now.plan), partial(studio.joint.check, now.plan))
                st.rerun()
            return
        if job.state == "running":
            st.caption("Reading the rows of all tasks …")
            st.skeleton(height=260)
            return
        if job.state == "failed":
            error_box(job.error, title="The tasks could not be checked")
            st.button("Check again", icon=":material/refresh:", key="joint_check_again", on_click=forget, args=(CHECK,))
            return
        answer = job.answer
        _findings(now, answer["findings"])
        _steps(now.plan, answer)
        if answer["steps"] is not None:
            _rates(studio, now.plan, int(answer["steps"]))
            _time(studio, now.plan, answer)


def _findings(now: Joint, findings: Sequence[Mapping[str, Any]]) -> None:
    with st.container(gap="small", key="joint_findings"):
        if not any(one["level"] == "error" for one in findings):
            alone = len(now.order) == 1
            words = "The task fits its rows." if alone else "The tasks can be learnt together."
            st.markdown(f":green[:material/check_circle:] **{words}**")
        else:
            st.markdown(":red[:material/error:] **This plan cannot run as it is.**")
        told = [(_LEVELS[str(one["level"])], f"{one['message']} {one.get('advice') or ''}".strip()) for one in findings]
        for (icon, colour), words in dict.fromkeys(told):  # one clash may concern the fields of several tasks
            st.markdown(f":{colour}[{icon}] {plain(words, 700)}")


def _steps(plan: JointPlan, answer: Mapping[str, Any]) -> None:
    if answer["steps"] is not None:
        row = st.container(horizontal=True, gap="small", key="joint_steps")
        row.metric("Optimiser steps", count(answer["steps"]))
        row.metric("Tasks", count(len(plan.tasks)))
        every = plan.training.eval_every or answer["round"]
        row.metric("Evaluations", count(max(1, int(answer["steps"]) // max(1, int(every)))))
    rows = []
    for one in answer["tasks"]:
        if one["rows"] is None:
            continue
        shown = {"Task": plain(one["name"], 30)}
        if one["steps"] is not None:
            shown |= {"Batches": count(one["steps"]), "Share": percent(one["share"], 0)}
        shown |= {role.capitalize(): count(size) for role, size in one["rows"].items()}
        rows.append(shown)
    if rows:
        st.table(rows, border="horizontal", hide_index=True)
    cut = [f"{one['name']} {percent(one['cut_share'])}" for one in answer["tasks"] if one["cut_share"]]
    if cut:
        st.caption(f":material/content_cut: Longer than the limit, and cut: {plain(', '.join(cut), 200)}.")
    if plan.mixing.pcgrad and len(plan.tasks) > 1:
        st.caption("With PCGrad each step takes a batch of every task.")
    elif plan.mixing.alpha_end is not None:
        st.caption("The shares are those of the whole run; they change from its beginning to its end.")


def rates_of(studio: Studio, plan: JointPlan, steps: int) -> dict[str, Any]:
    """Return the learning rates of all groups, heads with a rate of their own by the task's name.

    Raises
    ------
    BertloomError
        If the schedule's options do not fit.
    """
    whole = plan.plan_of(0).model_copy(update={"stages": [plan.stage()]})
    found: dict[str, Any] = dict(studio.curve(whole, steps))
    for index, task in enumerate(plan.tasks):
        if task.head_lr is not None:
            own = studio.curve(plan.plan_of(index), steps)
            found[f"head {task.name}"] = next(one for name, one in own.items() if name == "all" or "head" in name)
    if all(task.head_lr is not None for task in plan.tasks):  # none is left in a group of the whole
        found.pop("head", None)
        names = {"all": "encoder"}
        found = {names.get(name, name.removesuffix(" + head")): one for name, one in found.items()}
    return found


def _rates(studio: Studio, plan: JointPlan, steps: int) -> None:
    from core.render.curve_figures import learning_rate_curve

    try:
        curve = rates_of(studio, plan, steps)
    except BertloomError as error:
        error_box(error, title="The learning rate cannot be drawn")
        return
    peaks = [max(points["lr"], default=0.0) for points in curve.values()]
    trained = [peak for peak in peaks if peak > 0]
    wide = bool(trained) and max(trained) / min(trained) > _WIDE
    figure = learning_rate_curve(curve, look(), log_y=wide, height=290)
    words = f"Learning rate by optimiser step of {len(curve)} parameter group(s); the highest is {max(peaks):.2g}."
    st.plotly_chart(figure, theme=None, config=CONFIG, key="joint_curve", alt=words)


def _time(studio: Studio, plan: JointPlan, counted: Mapping[str, Any]) -> None:
    question = _question(plan)
    job = peek(TIME, question)
    if job is None:
        st.button(
            "Estimate time and memory", icon=":material/speed:", key="joint_estimate", width="stretch",
            on_click=_pose, args=(question, partial(studio.joint.estimate, plan, dict(counted))),
            help="A dry run of each task: a few real steps with its own batches. Nothing is stored.",
        )  # fmt: skip
        return
    if job.state == "running":
        row = st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center")
        row.markdown(f":material/hourglass_top: Dry runs … :gray[{duration(int(job.seconds))}]")
        row.button("Stop waiting", key="joint_estimate_stop", type="tertiary", on_click=forget, args=(TIME,))
        return
    if job.state == "failed":
        error_box(job.error, title="The dry run did not work")
        st.button("Try again", icon=":material/refresh:", key="joint_estimate_again", on_click=forget, args=(TIME,))
        return
    found = job.answer
    st.markdown("**From a dry run of each task**")
    row = st.container(horizontal=True, gap="small", key="joint_estimated")
    row.metric("Time", f"about {duration(found['seconds'])}")
    row.metric("Memory", f"{count(found['memory_mb'])} MB")
    parts = ", ".join(f"{one['name']} {duration(one['seconds'])}" for one in found["tasks"])
    st.caption(plain(f"{duration(found['seconds_low'])} to {duration(found['seconds_high'])}. {parts}.", 400))


def _pose(question: dict[str, Any], call: Callable[[], dict[str, Any]]) -> None:
    ask(TIME, question, call)
