"""What happened in a run and what to do: sentences with their numbers, each with plans to try instead."""

from __future__ import annotations

import streamlit as st

from core.config import Plan
from core.errors import BertloomError
from core.runs.findings import Finding, Remedy
from core.runs.records import RunRecord, Status
from pages.ui import studio as desk
from pages.ui.components import notice
from pages.ui.format import plain
from pages.ui.leaving import go
from pages.ui.theme import BadgeColour

__all__ = ["run_findings"]

#: Seconds between two looks at a run that goes on: findings change slowly.
_EVERY = 15.0
_LOOKS: dict[str, tuple[str, BadgeColour, str]] = {
    "problem": (":material/error:", "red", "Problem"),
    "warning": (":material/warning:", "orange", "Could be better"),
    "note": (":material/info:", "blue", "Good to know"),
}


def run_findings(run: RunRecord) -> None:
    """Show the findings of a training run, during it and afterwards; nothing where nothing stands out."""
    if run.status is Status.QUEUED:
        return
    st.fragment(_shown, run_every=_EVERY if run.status.active else None)(run.id)


def _shown(run_id: str) -> None:
    runs = desk.studio().runs
    try:
        plan, found = runs.plan(run_id), runs.findings(run_id)
    except BertloomError:
        return  # the page itself says why
    if not found:
        return
    with st.container(border=True, gap="small", key="run_findings"):
        st.markdown("##### What happened and what to do")
        for at, one in enumerate(found):
            if at:
                st.divider()
            _finding(one, plan, run_id)


def _finding(one: Finding, plan: Plan, run_id: str) -> None:
    icon, colour, word = _LOOKS[one.severity]
    with st.container(gap="xxsmall", key=f"finding_{one.code}"):
        st.markdown(f":{colour}-badge[{icon} {word}]&ensp;{plain(one.message, 600)}")
        if one.advice:
            st.caption(plain(one.advice, 400))
        if one.remedies:
            row = st.container(horizontal=True, gap="small", key=f"remedies_{one.code}")
            for at, cure in enumerate(one.remedies):
                pressed = row.button(
                    plain(cure.label), icon=":material/edit_note:", key=f"remedy_{one.code}_{at}",
                    help="Opens the stage planner with a changed copy of this run's plan; nothing is started.",
                )  # fmt: skip
                if pressed:
                    _open(cure, plan, run_id)


def _open(cure: Remedy, plan: Plan, run_id: str) -> None:
    """Put the changed plan into the planner's form and go there."""
    from pages.ui.planner_draft import load

    load(cure.plan(plan), origin=f"a remedy for run {plan.name}", parent=run_id)
    notice(f"Changed: {cure.label}. Start runs it.")
    go("planner")
