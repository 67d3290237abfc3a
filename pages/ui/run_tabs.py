"""The quieter tabs of a run's page: try it, plan, log, export."""

from __future__ import annotations

from typing import Any

import streamlit as st

from core.config import plan_to_yaml
from core.runs.records import RunRecord, Status
from pages.ui.components import empty_state
from pages.ui.format import percent, plain
from pages.ui.run_answers import ask_form
from pages.ui.run_export import export_form, export_rows
from pages.ui.run_trees import parse_form
from pages.ui.studio import studio

__all__ = ["export_tab", "log_tab", "plan_tab", "try_tab"]


def _no_model(run: RunRecord, words: str) -> bool:
    if run.has_model:
        return False
    later = (
        "They are written at the first evaluation."
        if run.status.active or run.status is Status.QUEUED
        else "This run has kept none."
    )
    with empty_state("There are no weights yet", f"{words} {later}", icon=":material/hourglass_empty:", key="no_model"):
        pass
    return True


def try_tab(run: RunRecord) -> None:
    """Predict a text of the person's own with the best weights."""
    if _no_model(run, "Trying the model needs its best weights."):
        return
    kind = run.plan.get("task", {}).get("kind")
    if kind == "question_answering":
        ask_form(run)
        return
    if kind == "dependency":
        parse_form(run)
        return
    tagging = kind == "tagging"
    with st.form("try_form", border=False):
        text = st.text_area(
            "Your text" if not tagging else "Your sentence",
            key="try_text",
            height=100,
            max_chars=20_000,
            placeholder="Type or paste a text; several lines are several texts.",
        )
        sent = st.form_submit_button("Predict", type="primary", icon=":material/play_arrow:", key="try_go")
    slot = f"_tried_{run.id}"
    lines = [line.strip() for line in (text or "").splitlines() if line.strip()][:100]
    if sent and not lines:
        st.caption("Write a text first.")
    elif sent:
        with st.spinner("Predicting with the best weights"):
            st.session_state[slot] = studio().predict(run.id, lines)
    for item in st.session_state.get(slot, []):
        _prediction(item, tagging=tagging)


def _prediction(item: dict[str, Any], *, tagging: bool) -> None:
    with st.container(border=True, gap="small"):
        st.text(item.get("text") or " ".join(item.get("words") or []))
        if tagging:
            entities = _spans_of(item) if item.get("spans") is not None else item.get("entities") or []
            if entities:
                st.dataframe([_entity(entity) for entity in entities], hide_index=True, width="stretch")
            else:
                st.caption("No entity was found in this sentence.")
            return
        label = item.get("label")
        names = ", ".join(map(str, label)) if isinstance(label, list) else str(label)
        st.markdown(f"**{plain(names) or 'no label'}**")
        scores = item.get("scores")
        if isinstance(scores, dict):
            for name, share in sorted(scores.items(), key=lambda pair: -pair[1])[:8]:
                st.progress(min(max(float(share), 0.0), 1.0), text=f"{plain(name, 60)}&ensp;{percent(share)}")


def _spans_of(item: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the stretches that were found, with their words: they may lie inside each other."""
    words = item.get("words") or []
    return [{**one, "text": " ".join(words[one["first"] : one["last"] + 1])} for one in item["spans"]]


def _entity(entity: dict[str, Any]) -> dict[str, Any]:
    shown = {"type": entity.get("type") or entity.get("label"), "text": entity.get("text")}
    score = entity.get("score")
    if isinstance(score, int | float):
        shown["score"] = percent(score)
    return shown


def plan_tab(run: RunRecord) -> None:
    """Show the complete plan; the downloaded file does exactly the same run."""
    text = plan_to_yaml(studio().runs.config(run.id))
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.caption(r"Every setting of this run. `bertloom run plan.yaml` repeats it exactly.")
        st.download_button(
            "Download YAML",
            text,
            file_name=f"{run.id}.yaml",
            mime="application/yaml",
            icon=":material/download:",
            key="plan_download",
            on_click="ignore",
        )
    st.code(text, language="yaml", height=520)


def log_tab(run: RunRecord) -> None:
    """Show the end of what the worker printed."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        lines = st.selectbox("Lines", [100, 500, 2000], key="log_lines", width=140)
        st.button("Refresh", icon=":material/refresh:", key="log_refresh")
    text = studio().runs.log(run.id, tail=lines)
    if text.strip():
        st.code(text, language=None, height=480, wrap_lines=True)
    else:
        st.caption("The worker has printed nothing yet.")


def export_tab(run: RunRecord) -> None:
    """Write the best weights as a model folder, and list what was written before."""
    before = studio().students.exports(run.id)
    if not _no_model(run, "An export needs the best weights."):
        st.caption("A folder with tokenizer, label names, model card and plan. It stays when the run is deleted.")
        export_form(run, place="tab")
    if before:
        st.markdown("**Written so far**")
        st.dataframe(export_rows(before), hide_index=True, width="stretch", key="exports_table")
