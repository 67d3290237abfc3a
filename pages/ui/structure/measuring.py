"""A measurement that is under way, and one that did not get to its end."""

from __future__ import annotations

from html import escape

import streamlit as st

from core.api import Studio
from core.errors import BertloomError
from core.runs.records import RunRecord, Status
from core.search.phases import PHASES, place_of
from pages.ui import keys
from pages.ui.components import empty_state, error_box, run_url, share_done, status_markdown
from pages.ui.format import count, plain
from pages.ui.leaving import go
from pages.ui.runs_live import act, show_problem
from pages.ui.structure.place import LIKE, NEW, Place

__all__ = ["measuring", "steps_html", "stopped"]


def steps_html(phase: str, done: int | None, total: int | None) -> str:
    """Return the phases as a list: which are over, which one is at work and how far, which are to come."""
    at = place_of(phase)
    items = []
    for number, (_, words) in enumerate(PHASES):
        state = "todo" if at is None or number > at else "done" if number < at else "now"
        mark = {"todo": "○", "done": "✓", "now": "▸"}[state]
        far = f" — {count(done)} of {count(total)}" if state == "now" and done is not None and (total or 0) > 1 else ""
        shown = f"{words[:1].upper()}{words[1:]}{far}"
        current = ' aria-current="step"' if state == "now" else ""
        items.append(f'<li class="{state}"{current}><span class="mark">{mark}</span>{escape(shown)}</li>')
    return f'<ol class="bl-steps">{"".join(items)}</ol>'


def measuring(studio: Studio, run: RunRecord) -> None:
    """Show how far a measurement is; when its status changes, the whole page runs again."""
    drawn = run.status

    @st.fragment(run_every=0.7)
    def look() -> None:
        try:
            now = studio.runs.get(run.id)
        except BertloomError as error:
            error_box(error)
            return
        if now.status != drawn:
            st.rerun(scope="app")
        show_problem()
        with st.container(border=True, key="structure_measuring"):
            progress = now.progress
            words = {Status.QUEUED: "Waits for its turn in the queue", Status.STARTING: "A worker starts"}
            title = words.get(now.status, "The layers are being measured")
            st.markdown(f"{status_markdown(now.status)}&ensp;**{plain(title)}**")
            st.progress(_share(now))
            st.html(steps_html(str(progress.get("phase") or ""), progress.get("step"), progress.get("total_steps")))
            row = st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center")
            row.caption("Other pages stay usable; what is measured is kept, also when you stop.", width="stretch")
            for action, icon in (("Pause", ":material/pause:"), ("Cancel", ":material/close:")):
                if action == "Pause" and now.status is Status.QUEUED:
                    continue
                row.button(
                    action, icon=icon, key=f"structure_{action.lower()}", on_click=act,
                    args=(getattr(studio.runs, action.lower()), run.id),
                    disabled=now.status in (Status.CANCELLING, Status.PAUSING),
                )  # fmt: skip

    look()


def _share(run: RunRecord) -> float:
    """Return how much is done: phases count alike, and within one what it tells."""
    at = place_of(str(run.progress.get("phase") or ""))
    if at is None:
        return 0.0
    return min(1.0, (at + (share_done(run) or 0.0)) / len(PHASES))


def stopped(studio: Studio, now: Place, run: RunRecord) -> None:
    """Show why a measurement did not get to its end, and what can be done."""
    show_problem()
    failed = run.status is Status.FAILED
    if run.error:
        parts = {name: run.error.get(name) for name in ("where", "expected", "advice")}
        what = str(run.error.get("what") or run.error.get("message") or "The run failed without a message.")
        error_box(BertloomError(what, **parts), title="The layers were not measured")
    words = (
        "Change parent, text or settings, or try it once more as it was."
        if failed
        else "Resume goes on where it stopped: what was measured is kept."
    )
    with empty_state("Nothing to look at yet", words, icon=":material/straighten:", key="structure_stopped"):
        st.markdown(status_markdown(run.status))
        row = st.container(horizontal=True, horizontal_alignment="center", gap="small")
        if failed and row.button("Change the settings", type="primary", icon=":material/tune:", key=keys.PRIMARY):
            go("structure", {"stats": NEW, LIKE: run.id})
        row.button(
            "Try again" if failed else "Resume", type="secondary" if failed else "primary",
            icon=":material/replay:" if failed else ":material/play_arrow:",
            key="structure_retry" if failed else keys.PRIMARY, on_click=act, args=(studio.runs.resume, run.id),
        )  # fmt: skip
        row.page_link(
            st.session_state[keys.PAGES]["run"], label="Its run", icon=":material/monitoring:",
            query_params=run_url(run.id), width="content",
        )  # fmt: skip
