"""One run: what it does now, its curves, and afterwards what it is worth. Address: ``/run?id=…``."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from core.errors import BertloomError, RunError
from core.runs.joint_tasks import taught_tasks
from core.runs.records import RunRecord
from pages.ui import keys
from pages.ui.claims_view import claim_view
from pages.ui.comparer.view import comparison_view
from pages.ui.components import empty_state, error_box, paint_header, status_markdown
from pages.ui.format import plain
from pages.ui.joint.export import joint_export_tab
from pages.ui.live import live_plot
from pages.ui.pointing.tab import has_pointers, pointers_tab
from pages.ui.run_decisions import decisions_tab
from pages.ui.run_dialogs import open_dialog
from pages.ui.run_figures_tab import figures_tab, happened
from pages.ui.run_findings import run_findings
from pages.ui.run_head import head, primary_metric
from pages.ui.run_joint import joint_tab, joint_try_tab
from pages.ui.run_joint_taught import joint_teacher_tab, joint_teaching_tab
from pages.ui.run_results import results_tab
from pages.ui.run_search_tab import looks_for, search_tab, trains
from pages.ui.run_tabs import export_tab, log_tab, plan_tab, try_tab
from pages.ui.run_teacher import has_teacher, teacher_tab
from pages.ui.run_teaching import teaching_tab
from pages.ui.studio import studio
from pages.ui.texts import next_step

_LAST = "_last_run"
_TABS = (
    ":material/analytics: Results",
    ":material/chat: Try it",
    ":material/description: Plan",
    ":material/article: Log",
    ":material/download: Export",
)
_SEARCH = ":material/manage_search: Search"
_TEACHER = ":material/school: Teacher"
_TEACHING = ":material/tune: While it learns"
_DECISIONS = ":material/fork_right: Decisions"
_POINTERS = ":material/ads_click: Pointers"


def _asked() -> str:
    """Return the id in the address; without one, the run that this tab showed last."""
    asked = st.query_params.get(keys.RUN_ID, "").strip()
    if not asked and st.session_state.get(_LAST):
        asked = st.query_params[keys.RUN_ID] = st.session_state[_LAST]
    return asked


def _unknown(asked: str, error: BertloomError | None) -> None:
    title = "No run has this address" if asked else "No run is chosen"
    words = error.message() if error else "Open a run from the list of runs."
    with empty_state(title, words, icon=":material/search_off:", key="run_unknown"):
        st.page_link(
            st.session_state[keys.PAGES]["runs"], label="Go to all runs", icon=":material/arrow_back:", width="content"
        )


def _trouble(run: RunRecord) -> None:
    """Show why a run stopped and what to do about it."""
    advice = next_step(run)
    if run.error:
        parts = {name: run.error.get(name) for name in ("what", "where", "expected", "advice")}
        what = str(parts["what"] or run.error.get("message") or "The run failed without a message.")
        error_box(
            BertloomError(what, where=parts["where"], expected=parts["expected"], advice=parts["advice"]),
            title="This run stopped",
        )
        if advice:
            st.caption(plain(advice))
    elif advice:
        st.info(f"{status_markdown(run.status)}&ensp;{plain(advice)}")


def _tabs(run: RunRecord) -> None:
    # Only the open tab's content runs, so that figures and predictions cost nothing until they are looked at.
    draws: tuple[Callable[[RunRecord], None], ...] = (results_tab, try_tab, plan_tab, log_tab, export_tab)
    titles: tuple[str, ...] = _TABS
    draws, titles = (results_tab, decisions_tab, *draws[1:]), (_TABS[0], _DECISIONS, *_TABS[1:])
    if looks_for(run):
        draws, titles = (results_tab, search_tab, *draws[1:]), (_TABS[0], _SEARCH, *titles[1:])
    if has_teacher(run):
        draws = (draws[0], teacher_tab, teaching_tab, *draws[1:])
        titles = (titles[0], _TEACHER, _TEACHING, *titles[1:])
    if run.kind in ("claim", "compare"):
        draws, titles = (plan_tab, log_tab), (_TABS[2], _TABS[3])
    elif run.kind == "joint":
        draws = (joint_tab, decisions_tab, joint_try_tab, plan_tab, log_tab, joint_export_tab)
        titles = (_TABS[0], _DECISIONS, *_TABS[1:])
        if taught_tasks(run.plan):
            draws = (draws[0], joint_teacher_tab, joint_teaching_tab, *draws[1:])
            titles = (titles[0], _TEACHER, _TEACHING, *titles[1:])
    elif run.kind != "train":
        draws, titles = (figures_tab, plan_tab, log_tab), (_TABS[0], _TABS[2], _TABS[3])
        if run.kind == "distil":
            draws, titles = (*draws, export_tab), (*titles, _TABS[4])
    if has_pointers(run):
        draws, titles = (draws[0], pointers_tab, *draws[1:]), (titles[0], _POINTERS, *titles[1:])
    for tab, draw in zip(st.tabs(titles, key=f"run_tabs_{len(titles)}", on_change="rerun"), draws, strict=True):
        if tab.open:
            with tab:
                try:
                    draw(run)
                except BertloomError as error:
                    error_box(error)


def main() -> None:
    """Show the run that the address names."""
    asked = _asked()
    try:
        if not asked:
            return _unknown(asked, None)
        run = studio().runs.find(asked)
    except RunError as error:
        st.session_state.pop(_LAST, None)
        return _unknown(asked, error)
    st.session_state[_LAST] = run.id
    if asked != run.id:
        st.query_params[keys.RUN_ID] = run.id
    st.page_link(st.session_state[keys.PAGES]["runs"], label="All runs", icon=":material/arrow_back:")
    head(run.id)
    paint_header()
    _trouble(run)
    if run.kind == "train":
        run_findings(run)
    if run.kind in ("graph", "stats") or (looks_for(run) and not trains(run)):
        happened(run)  # nothing is learnt in the run itself, so there are no curves
    elif run.kind == "claim":
        claim_view(run)
    elif run.kind == "compare":
        comparison_view(run)
    else:
        live_plot(run, metric=primary_metric(run))
    _tabs(run)
    open_dialog(run)


main()
