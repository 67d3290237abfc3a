"""The tab of a run whose head points: sentences that it watched while it learnt, and one of the person's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from core.errors import BertloomError
from core.runs.pointing import pointer_looks, pointing_tasks
from core.runs.records import RunRecord, Status
from pages.ui.components import empty_state, error_box
from pages.ui.pointing.view import shown_view, watched_sentences
from pages.ui.run_joint import as_task
from pages.ui.studio import studio

__all__ = ["has_pointers", "pointers_tab"]

_EVERY = 4.0


def has_pointers(run: RunRecord) -> bool:
    """Whether a head of a training run points."""
    return run.kind in ("train", "joint") and bool(pointing_tasks(run.plan))


def pointers_tab(run: RunRecord) -> None:
    """Show where the head points: over the training, then in a text of one's own."""
    tasks = pointing_tasks(run.plan)
    name = next(iter(tasks))
    if len(tasks) > 1:
        chosen = st.segmented_control(
            "Task", list(tasks), default=name, key=f"pointing_task_{run.id}", label_visibility="collapsed"
        )
        name = chosen or name
    going = run.status.active or run.status is Status.QUEUED
    st.fragment(_watched, run_every=_EVERY if going else None)(run, name)
    one = as_task(run, name) if name else run
    if one.has_model:
        _own(one, tasks[name])


def _watched(run: RunRecord, task: str) -> None:
    try:
        found = [one for one in pointer_looks(studio().home.run(run.id)) if one["task"] == task]
    except BertloomError as error:
        error_box(error)
        return
    st.markdown("##### While it learns")
    if not found:
        with empty_state(
            "Nothing was looked at", "A few short gate sentences are looked at before the first step and at "
            "evaluations, test sentences at the end. This run has none that one window shows whole, or is older.",
            icon=":material/ads_click:", key="no_pointers",
        ):  # fmt: skip
            pass
        return
    watched_sentences(found, key=f"pointing_{task}" if task else "pointing")


def _own(run: RunRecord, task: Mapping[str, Any]) -> None:
    st.markdown("##### In a text of your own")
    asks = task.get("kind") == "question_answering"
    with st.form("pointing_form", border=False):
        text = st.text_area("Your text" if asks else "Your sentence", key="pointing_text", height=80, max_chars=5000)
        question = st.text_input("Question", key="pointing_question", max_chars=400) if asks else ""
        sent = st.form_submit_button("Look", type="primary", icon=":material/ads_click:", key="pointing_go")
    slot = f"_pointed_{run.id}"
    if sent and not ((text or "").strip() and (not asks or (question or "").strip())):
        st.caption("Write a text and a question first." if asks else "Write a sentence first.")
    elif sent:
        try:
            with st.spinner("Looking with the best weights"):
                wanted = [question or "", text] if asks else text
                st.session_state[slot] = studio().pointers(run.id, [wanted])[0]
        except BertloomError as error:
            st.session_state.pop(slot, None)
            error_box(error)
    view = st.session_state.get(slot)
    if view is not None:
        st.text(view["text"])
        shown_view(view, key="pointing_own")
