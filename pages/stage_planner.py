"""Stage planner: data, model and one stage in a form that is the plan, what the plan will do, and Start."""

from __future__ import annotations

from functools import partial

import streamlit as st

from core.api import Studio
from core.config import Plan
from core.config.joint import JointPlan
from core.errors import BertloomError, RunError
from core.runs.records import RunRecord
from core.runs.teachers import joint_student_plan, student_plan
from pages.ui import keys
from pages.ui.components import error_box, page_header, paint_header
from pages.ui.format import plain
from pages.ui.forms_fields import SECTIONS
from pages.ui.joint.export import tasks_with_models
from pages.ui.joint.files import show_plan
from pages.ui.joint.form import joint_form
from pages.ui.joint.held import SHARED
from pages.ui.joint.mode import choose_mode, mode_switch, together
from pages.ui.joint.ready import use_named
from pages.ui.planner_check import check_part
from pages.ui.planner_data import data_section, language_of
from pages.ui.planner_describe import describe, language_mismatch, layers_of
from pages.ui.planner_distil import CSS as DISTIL_CSS
from pages.ui.planner_distil import teacher_outlook
from pages.ui.planner_distil_known import distil_objections, teacher_jobs
from pages.ui.planner_distil_pairs import PAIRS
from pages.ui.planner_draft import Draft, draft, drawn, load, objections, starter_plan, sync, using
from pages.ui.planner_estimate import known_estimate
from pages.ui.planner_facts import known_parameters, objections_of
from pages.ui.planner_findings import hints_of, plan_check_part
from pages.ui.planner_jobs import begin, watch
from pages.ui.planner_making import JOB, choose_source, settle
from pages.ui.planner_model import model_section
from pages.ui.planner_origin import CSS as ORIGIN_CSS
from pages.ui.planner_presets import presets_part
from pages.ui.planner_sets import checks_itself
from pages.ui.planner_side import outlook
from pages.ui.planner_stage_list import CSS as STAGES_CSS
from pages.ui.planner_stage_list import stages_section
from pages.ui.planner_start import anew, start, start_button
from pages.ui.planner_student import ALIKE, kept_objections
from pages.ui.planner_student import CSS as STUDENT_CSS
from pages.ui.planner_widgets import field, fields, folded, section
from pages.ui.planner_yaml import yaml_part
from pages.ui.studio import studio

_SEEN = "planner_query"
_CSS = """<style>
@media (min-width: 1100px) {
  [data-testid="stColumn"]:has(> div > div > .st-key-planner_side) { align-self: stretch; }
  [data-testid="stColumn"] > div:has(> div > .st-key-planner_side) { height: 100%; }
  [data-testid="stLayoutWrapper"]:has(> .st-key-planner_side) { position: sticky; top: 4.5rem; }
}
:is(.st-key-planner_steps, .st-key-planner_estimated_row, .st-key-joint_steps, .st-key-joint_estimated) {
  [data-testid="stMetric"] { padding: 0; }
  [data-testid="stMetricValue"] { font-size: 1.25rem; }
}
</style>"""


def _page() -> None:
    anew(draft())
    st.html(_CSS.replace("</style>", f"{STAGES_CSS}{ORIGIN_CSS}{DISTIL_CSS}{STUDENT_CSS}</style>"))
    desk = studio()
    begin()
    with st.container():
        _from_address(desk)
    if together():
        joint_form(desk)
        return
    now = sync()
    settle(now)
    about = describe(now, desk)
    known = isinstance(about, dict)
    parameters = known_parameters(now, desk, about)
    layers = layers_of(about, now.state.get("model.keep_layers"))
    found = objections_of(now, layers if known else None, parameters)
    objections({**found, **kept_objections(now, about), **distil_objections(now, desk)})
    now.hints = hints_of(now)
    _header(now, desk)
    paint_header()
    with st.container():
        mode_switch()
    with st.container():
        if now.origin:
            st.caption(f":material/subdirectory_arrow_right: Loaded from {plain(now.origin, 120)}.")
        for message in [words for words in now.loose if not words.startswith("stages.")]:
            st.error(plain(message, 400), icon=":material/error:")
    form, side = st.columns([17, 10], gap="large")
    with form:
        row = st.columns(2, gap="medium")
        with row[0]:
            field(now, "name")
        with row[1]:
            field(now, "tags")
        card = data_section(now, desk)
        language = language_of(now, desk.data.samples())
        mismatch = isinstance(about, dict) and language_mismatch(language, about.get("language_hint"))
        with card:
            check_part(now, desk, mismatch=mismatch or checks_itself(now))
        model_section(now, desk, language)
        stages_section(now, layers=layers, parameters=parameters)
        with section(4, "Runtime", "Where the run executes. The defaults fit most machines.", key="planner_runtime"):
            fields(now, SECTIONS["runtime"][0], columns=2)
            if now.state.get("runtime.backend") == "thread":
                st.caption(
                    ":material/info: A run in this process shares its time with the dashboard and stops with it."
                )
            folded(now, "runtime")
    with side, st.container(key="planner_side"):
        outlook(now, desk, above=partial(teacher_outlook, now, desk), below=partial(plan_check_part, now, desk))
        yaml_part(now.plan(), "planner", lambda: draft().generation, file="plan.yaml")
    jobs = ["preview", "check", "steps", "estimate", "describe", "parameters", "plan_check", JOB]
    watch([*jobs, ALIKE, PAIRS, *teacher_jobs(now)])
    drawn()


def _header(now: Draft, desk: Studio) -> None:
    actions = page_header("Stage planner", "Data, model and stages of training. The form is the plan; Start runs it.")
    with actions.popover("Presets", icon=":material/bookmarks:", key="planner_presets"):
        presets_part(now, desk)
    if actions.button("Reset", icon=":material/restart_alt:", key="planner_reset", help="Back to the starting plan."):
        load(starter_plan())
        st.rerun()
    start_button(actions, now, partial(_submit, desk), things="fields")


def _submit(desk: Studio) -> None:
    now = draft() if draft().submitted else sync()
    plan = now.plan()
    if plan is not None:
        start(
            now, plan.name,
            lambda: desk.runs.submit(plan, request_id=now.request, parent=now.parent, estimate=known_estimate(now)),
        )  # fmt: skip


def _student_of(desk: Studio, run: RunRecord) -> Plan | JointPlan:
    """Return a plan for a student of a run, of a joint one with a teacher for each of its tasks."""
    if run.kind != "joint":
        trained = desk.models.trained(str(desk.runs.model_folder(run.id)))
        return student_plan(desk.runs.plan(run.id), trained)
    plan = desk.runs.config(run.id)
    assert isinstance(plan, JointPlan)
    names = tasks_with_models(run)
    folders = {name: str(desk.runs.model_folder(f"{run.id}/{name}")) for name in names}
    if not folders:
        raise RunError("This run has kept no model that could teach.", where=f"run {run.id}", expected="a finished run")
    return joint_student_plan(plan, folders, desk.models.trained(folders[names[0]]))


def _from_address(desk: Studio) -> None:
    """Fill the form from an address, once.

    ``?from=RUN``, ``?teacher=RUN``, ``?preset=NAME``, ``?model=FOLDER``, or ``?together=NAME`` of a ready joint plan.
    """
    if keys.RUN_ID in st.query_params:  # of the run's page, left over when a person comes back from there
        del st.query_params[keys.RUN_ID]
    known = ("from", "teacher", "preset", "model", "together")
    asked = {name: st.query_params[name] for name in known if name in st.query_params}
    if not asked or st.session_state.get(_SEEN) == asked:
        return
    try:
        choose_mode("together" in asked)
        if "together" in asked:
            use_named(asked["together"])
        elif "from" in asked:
            run = desk.runs.find(asked["from"])
            plan = desk.runs.config(run.id) if run.kind == "joint" else desk.runs.plan(run.id)
            assert isinstance(plan, Plan | JointPlan)
            show_plan(plan, origin=f"run {run.name}", parent=run.id)
        elif "teacher" in asked:
            run = desk.runs.find(asked["teacher"])
            show_plan(_student_of(desk, run), origin=f"run {run.name}, as a teacher")
        elif "preset" in asked:
            load(desk.presets.load(asked["preset"]), origin=f"preset {asked['preset']}")
        if "model" in asked:
            if not asked["model"].startswith("hub:"):  # an address alone asks no other machine
                desk.models.describe(asked["model"])
            with using(SHARED if "together" in asked else ""):
                choose_source(asked["model"])
    except BertloomError as error:
        draft()
        error_box(error, title="The form could not be filled from this address")
    # Only now: a run of the page that is cut short before must fill the form the next time.
    st.session_state[_SEEN] = asked


_page()
