"""The tab of a run that learns from a teacher: values to change, pinned sentences, where the two differ."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from core.errors import BertloomError
from core.runs.joint_tasks import parted
from core.runs.records import RunRecord, Status
from core.runs.teaching import trains_now
from core.training.distil.controls import NAMES
from core.training.distil.places import of_task
from pages.ui.components import error_box, notice
from pages.ui.format import count, plain
from pages.ui.live.strips import live_strips
from pages.ui.run_teaching_gaps import gaps_part, pin_row
from pages.ui.studio import studio

__all__ = ["teaching_tab"]

#: Name of a value → series, label, step of the field, help.
_VALUES = {
    "temperature": ("distil/temperature", "Temperature T", 0.1, "Of both softmaxes; above 0."),
    "alpha": ("distil/alpha", "α, the teacher's share", 0.05, "0: gold labels alone. 1: the teacher's answers alone."),
    "differences": (
        "distil/lambda", "λ, weight of differences", 0.05, "How much more a position counts where the two differ.",
    ),
}  # fmt: skip
_EVERY = 2.0
_HIGHEST = {"temperature": 100.0, "alpha": 1.0, "differences": 1.0}


def teaching_tab(run: RunRecord) -> None:
    """Show what can be said to the student while it learns, and what is seen of it."""
    _values(run)
    _pins(run)
    gaps_part(run)


# -- values ----------------------------------------------------------------------------------------------------------
def current_values(run: RunRecord) -> dict[str, float]:
    """Return the values that held at the last logged step, else those of the plan's first stage with a teacher."""
    stages = run.plan.get("stages") or []
    active = [one for one in stages if one.get("kind") == "distil" and one.get("enabled", True)]
    config: Mapping[str, float] = active[0]["distil"] if active else {}
    found = {name: float(config.get(name) or 0.0) for name in _VALUES}
    whole, task = parted(run.id)
    lines = {name: of_task(line, task) for name, (line, *_) in _VALUES.items()}
    series = studio().runs.series(whole, names=list(lines.values())).series
    for name, line in lines.items():
        values = [value for value in (series.get(line) or {}).get("values", []) if value is not None]
        if values:
            found[name] = values[-1]
    return found


def why_not(run: RunRecord) -> str | None:
    """Return why nothing can be changed now; None where it can."""
    if run.child:
        return "It is a part of another run and cannot be changed on its own."
    if run.status is not Status.RUNNING:
        return "Values can be changed while the run trains."
    try:
        trains_now(run)
    except BertloomError as error:
        return error.what
    return None


def _values(run: RunRecord) -> None:
    st.markdown("**How it learns now**")
    values, reason = current_values(run), why_not(run)
    if reason is not None:
        words = " · ".join(f"{sign} {values[name]:g}" for name, sign in NAMES.items())
        st.caption(plain(f"{words}. {reason}"))
        _changes(run)
        if run.status.active or run.status is Status.QUEUED:
            st.fragment(_wait, run_every=_EVERY)(run.id, reason)
        return
    with st.form(f"teach_{run.id}", border=True):
        row = st.container(horizontal=True, vertical_alignment="bottom", gap="small")
        wanted = {}
        for name, (_, label, step, words) in _VALUES.items():
            with row.container(width=190):
                wanted[name] = st.number_input(
                    label, value=values[name], min_value=0.0, max_value=_HIGHEST[name], step=step, help=words,
                    key=f"teach_{name}_{run.id}",
                )  # fmt: skip
        sent = row.form_submit_button("Change from the next step", icon=":material/tune:", key="teach_go")
    if sent:
        _send(run, values, wanted)
    _changes(run)


def _wait(run_id: str, reason: str) -> None:
    """Draw the page anew once values can be changed, or cannot for another reason."""
    try:
        desk = studio().runs
        if why_not(desk.student(run_id) if parted(run_id)[1] else desk.get(run_id)) != reason:
            st.rerun(scope="app")
    except BertloomError as error:
        error_box(error)


def _send(run: RunRecord, values: Mapping[str, float], wanted: Mapping[str, float]) -> None:
    changed = {name: value for name, value in wanted.items() if abs(value - values[name]) > 1e-9}
    if not changed:
        st.caption("These are the values that hold already.")
        return
    try:
        studio().runs.change(run.id, **changed)
    except BertloomError as error:
        error_box(error)
        return
    said = ", ".join(f"{NAMES[name]} {value:g}" for name, value in changed.items())
    notice(f"From the next step on: {said}.")
    st.rerun()


def _changes(run: RunRecord) -> None:
    whole, task = parted(run.id)
    every = studio().runs.decisions(whole)
    made = [one for one in every if one["rule"] == "person" and one["evidence"].get("task", "") == task]
    if made:
        lines = [f"after step {count(one['step'])}: {one['words']}" for one in made[-5:]]
        st.caption(plain(f"Changed {'; '.join(lines)}. Each change is on the curves and in the tab Decisions."))


# -- pins ------------------------------------------------------------------------------------------------------------
def _pins(run: RunRecord) -> None:
    st.markdown("**Pinned sentences**")
    pins = studio().runs.pins(run.id)
    open_ = run.status is not Status.FINISHED
    if open_:
        _add(run)
    if not pins:
        st.caption(
            "Pin a sentence to see, word by word, how far student and teacher are apart as training goes on."
            if open_ else "No sentence was pinned in this run."
        )  # fmt: skip
        return
    if open_:
        with st.expander(f"{count(len(pins))} pinned", icon=":material/push_pin:"):
            for one in pins:
                row = st.container(horizontal=True, vertical_alignment="center", gap="small")
                row.markdown(plain(one["text"], 200), width="stretch")
                row.button(
                    f"Unpin {plain(one['text'], 40)}", icon=":material/close:", type="tertiary", help="Unpin",
                    key=f"unpin_{one['id']}", on_click=_unpin, args=(run.id, one["id"]),
                )  # fmt: skip
    live_strips(run, pins)


def _unpin(run_id: str, pin: str) -> None:
    try:
        studio().runs.unpin(run_id, pin)
    except BertloomError as error:
        notice(error.message())


def _add(run: RunRecord) -> None:
    asks = (run.plan.get("task") or {}).get("kind") == "question_answering"
    with st.form(f"pin_form_{run.id}", clear_on_submit=True, border=False):
        context: str | None = None
        if asks:  # a line each: side by side there is no room for them on a narrow screen
            text = st.text_input(
                "A question to pin", key="pin_text", max_chars=1000, placeholder="Where does Anna live?"
            )
        row = st.container(horizontal=True, vertical_alignment="bottom", gap="small")
        example = "Anna moved from London to Paris."
        if asks:
            context = row.text_input("Its context", key="pin_context", max_chars=1000, placeholder=example)
        else:
            text = row.text_input("A sentence to pin", key="pin_text", max_chars=1000, placeholder=example)
        sent = row.form_submit_button("Pin", icon=":material/push_pin:", key="pin_go")
    if sent and not (text or "").strip():
        st.caption("Write a question first." if asks else "Write a sentence first.")
    elif sent:
        pin_row(run, {"text": text, "pair": context})
