"""The form of a joint plan: what the stage planner shows for several tasks together."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import streamlit as st

from core.api import Studio
from pages.ui.components import page_header, paint_header
from pages.ui.format import plain
from pages.ui.joint.held import SHARED, Joint, draft_of, slot
from pages.ui.joint.mode import mode_switch
from pages.ui.joint.ready import back_button
from pages.ui.joint.session import joint, load, starting_plan, sync
from pages.ui.joint.side import CHECK, TIME, counted_of, hints_of, outlook
from pages.ui.joint.tasks import tasks_section
from pages.ui.joint.teacher import asked_teachers, first_taught
from pages.ui.joint.training import mixing_section, runtime_section, training_section
from pages.ui.joint.words import metrics
from pages.ui.planner_describe import describe, layers_of
from pages.ui.planner_distil_known import distil_objections
from pages.ui.planner_distil_pairs import PAIRS
from pages.ui.planner_draft import drawn, objections, using
from pages.ui.planner_facts import objections_of
from pages.ui.planner_jobs import watch
from pages.ui.planner_model import model_section
from pages.ui.planner_start import anew, start, start_button
from pages.ui.planner_student import ALIKE, kept_objections
from pages.ui.planner_widgets import field
from pages.ui.planner_yaml import yaml_part

__all__ = ["joint_form"]

#: Questions that the fields of single plans ask.
_JOBS = ("preview", "check", "steps", "describe", ALIKE)


def joint_form(desk: Studio) -> None:
    """Draw the page's form; where the planner stands and what it was asked is settled by the page."""
    now = sync()
    anew(now)
    with using(SHARED) as shared:
        about = describe(shared, desk)
    _object(now, about, desk)
    job = counted_of(now, desk)
    hints = hints_of(now, job)
    counted = job.answer if job is not None and job.state == "done" else {}
    now.extra += sum(one["level"] == "error" for one in counted.get("findings") or ())
    _header(now, desk)
    paint_header()
    with st.container():
        mode_switch()
    with st.container():
        if now.origin:
            st.caption(f":material/subdirectory_arrow_right: Loaded from {plain(now.origin, 120)}.")
        back_button(now)
        if now.rest.get("beside"):
            names = ", ".join(str(one.get("name")) for one in now.rest["beside"])
            st.caption(f":material/info: Rows are left out as if these were learnt too: {plain(names, 200)}.")
        for message in now.loose:
            st.error(plain(message, 400), icon=":material/error:")
    form, side = st.columns([17, 10], gap="large")
    with form:
        with using(SHARED):
            row = st.columns(2, gap="medium")
            with row[0]:
                field(shared, "name")
            with row[1]:
                field(shared, "tags")
        hint = about.get("language_hint") if isinstance(about, dict) else None
        language = tasks_section(now, desk, counted, hint)
        with using(SHARED):
            model_section(shared, desk, language, together=True, taught=first_taught(now))
        mixing_section(now, hints)
        training_section(now, shared, hints)
        runtime_section(shared)
        st.caption(
            ":material/balance: The strategy comparer tells whether learning together is better than a model for each."
        )
    with side, st.container(key="planner_side"):
        outlook(now, desk, job)
        yaml_part(now.plan, "joint", lambda: joint().generation, file="joint.yaml")
    watch([*_JOBS, CHECK, TIME, PAIRS, *asked_teachers(now)])
    for name in (SHARED, *(slot(number) for number in now.order)):
        with using(name):
            drawn()


def _object(now: Joint, about: object, desk: Studio) -> None:
    """Note down what this encoder and these tasks cannot do of a plan that is valid by itself."""
    layers = layers_of(about, None) if isinstance(about, Mapping) else None
    with using(SHARED) as shared:
        layers = layers_of(about, shared.state.get("model.keep_layers")) if layers is not None else None
        found = {
            **{key: words for key, words in objections_of(shared, layers, None).items() if not key.endswith("metric")},
            **kept_objections(shared, about),
        }  # fmt: skip
        objections({**found, **shared.objections})
    now.extra = len(found)
    for number in now.order:
        with using(slot(number)) as one:
            metric = one.state.get("stages.0.metric")
            if metric and metric not in metrics(draft_of(number)):
                words = f"this task has no metric of this name; it has {', '.join(metrics(one))}"
                objections({"stages.0.metric": words, **one.objections})
                now.extra += 1
            if one.state.get("stages.0.distil") is not None:
                wrong = distil_objections(one, desk)
                objections({**wrong, **one.objections})
                now.extra += len(wrong)


def _header(now: Joint, desk: Studio) -> None:
    actions = page_header("Stage planner", "Several tasks on one encoder. The form is the plan; Start runs it.")
    if actions.button("Reset", icon=":material/restart_alt:", key="joint_reset", help="Back to one task."):
        load(starting_plan())
        st.rerun()
    start_button(actions, now, partial(_submit, desk), things="things")


def _submit(desk: Studio) -> None:
    now = joint() if joint().submitted else sync()
    plan = now.plan
    if plan is not None:
        start(
            now, plan.name,
            lambda: desk.runs.submit(plan, kind=plan.kind, request_id=now.request, parent=now.parent),
        )  # fmt: skip
