"""The Decisions tab of a run: what was decided, by which rule, on which evidence, and what followed."""

from __future__ import annotations

import streamlit as st

from core.errors import BertloomError
from core.runs.decisions import action_words, decisions_csv, rule_words
from core.runs.records import RunRecord, Status
from pages.ui.components import empty_state, error_box
from pages.ui.format import number, plain
from pages.ui.studio import studio

__all__ = ["decisions_tab"]

_EVERY = 3.0
_ALL = "All stages"
_ROW = 35
_MOST_ROWS = 14


def decisions_tab(run: RunRecord) -> None:
    """Show the decision log; while the run is at work, as it grows."""
    going = run.status.active or run.status is Status.QUEUED
    st.fragment(_log, run_every=_EVERY if going else None)(run.id)


def _log(run_id: str) -> None:
    try:
        found = studio().runs.decisions(run_id)
    except BertloomError as error:
        error_box(error)
        return
    if not found:
        with empty_state(
            "Nothing was decided yet",
            "Choices by timing, gates, guards, raised and cut rates and roll-backs are listed here with their numbers.",
            icon=":material/fork_right:", key="no_decisions",
        ):  # fmt: skip
            pass
        return
    stages = list(dict.fromkeys(str(one["stage"]) for one in found if one["stage"] is not None))
    chosen = _ALL
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom", gap="small"):
        if len(stages) > 1:
            chosen = st.selectbox("Stage", [_ALL, *stages], key=f"decisions_stage_{run_id}", width=260)
        else:
            st.caption("Each decision with the numbers that it was made of. They are marked on the loss curve too.")
        shown = [one for one in found if chosen == _ALL or one["stage"] == chosen]
        st.download_button(
            "Download CSV", decisions_csv(shown), file_name=f"{run_id}-decisions.csv", mime="text/csv",
            icon=":material/download:", key="decisions_csv", on_click="ignore",
        )  # fmt: skip
    rows = [
        {
            "time": one["time"] * 1000,
            "step": one["step"],
            "stage": "" if one["stage"] is None else str(one["stage"]),
            "attempt": "" if one["attempt"] is None else str(one["attempt"]),
            "rule": rule_words(one["rule"]),
            "action": action_words(one["action"]),
            "evidence": one["words"],
            "rates": "" if one["lr_scale"] in (None, 1.0) else f"× {number(one['lr_scale'])}",
        }
        for one in shown
    ]
    st.dataframe(
        rows, hide_index=True, width="stretch", height=38 + _ROW * min(max(len(rows), 1), _MOST_ROWS),
        key="decisions_table",
        column_config={
            "time": st.column_config.DatetimeColumn("When", format="HH:mm:ss", width="small"),
            "step": st.column_config.NumberColumn("Step", format="localized", width="small"),
            "stage": st.column_config.TextColumn("Stage"),
            "attempt": st.column_config.TextColumn("Attempt", width="small", help="Which attempt at the stage."),
            "rule": st.column_config.TextColumn("Rule"),
            "action": st.column_config.TextColumn("Action"),
            "evidence": st.column_config.TextColumn("Evidence", width="large"),
            "rates": st.column_config.TextColumn(
                "Rates", width="small", help="What the stage's rates are multiplied by afterwards."
            ),
        },
    )  # fmt: skip
    last = shown[-1] if shown else None
    if last is not None:
        st.caption(plain(f"Last: {last['message']}", 400))
