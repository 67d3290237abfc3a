"""Ready joint plans: the dialog, taking one, and the way back to what the form held before."""

from __future__ import annotations

import copy

import streamlit as st

from core.config.joint_demo import ReadyJoint, joint_plans, ready_joint
from core.errors import ConfigError
from pages.ui.components import notice
from pages.ui.format import plain
from pages.ui.joint.held import SHARED, Before, Joint, draft_of, slot
from pages.ui.joint.session import joint, load, put_back, starting_plan, sync
from pages.ui.joint.words import CHOICES, TITLES
from pages.ui.planner_draft import draft, once, using

__all__ = ["OPEN", "back_button", "close_ready", "open_ready", "ready_plans", "use_named", "use_ready"]

#: Whether the dialog is open.
OPEN = "joint_ready_open"


def open_ready() -> None:
    """Open the dialog, from a callback. It stays open when an answer of the core lets the page be drawn again."""
    st.session_state[OPEN] = True


def close_ready() -> None:
    """Close the dialog, from a callback or before the page is drawn again."""
    st.session_state[OPEN] = False


@st.dialog("Ready plans", width="large", icon=":material/auto_awesome_motion:", on_dismiss=close_ready)
def ready_plans() -> None:
    """Show the ready plans, each with what it is for and its tasks."""
    st.caption(
        "A ready plan takes the place of name, tasks, mixing and training. Encoder and runtime stay as they are, and "
        "the form keeps a way back to what it holds now."
    )
    for one in joint_plans():
        with st.container(border=True, gap="small", key=f"joint_ready_{one.name}"):
            row = st.container(horizontal=True, vertical_alignment="center", gap="small")
            row.container(width="stretch").markdown(f"**{plain(one.title)}**")
            if row.button(
                "Use", key=f"joint_use_{one.name}", help=f"Use {one.title}",
                on_click=once(f"use {one.name}", use_ready), args=(one,),
            ):  # fmt: skip
                close_ready()
                st.rerun()
            st.markdown(plain(one.about))
            st.caption(plain(_told(one)))


def use_ready(one: ReadyJoint) -> None:
    """Fill the form with a ready plan, from a callback or before the page is drawn."""
    now = sync()
    before = _kept(now)
    with using(SHARED) as shared:
        held = shared.nearest()
    plan = one.plan().model_copy(update={"model": held.model, "runtime": held.runtime})
    now = load(plan, origin=f"ready plan: {one.title}")
    before.taken = now.plan
    now.before = None if before.held.plan == starting_plan() else before  # nobody has changed anything yet
    notice(f"The form holds this ready plan now: {one.title}.")


def use_named(name: str) -> None:
    """Fill the form with the ready plan of a name, before the page is drawn.

    Raises
    ------
    ConfigError
        If there is none of this name.
    """
    one = ready_joint(name)
    if one is None:
        raise ConfigError(
            f"There is no ready plan {name!r} of several tasks.", where="together",
            expected=", ".join(known.name for known in joint_plans()),
        )  # fmt: skip
    use_ready(one)


def back_button(now: Joint) -> None:
    """Draw the way back to what a ready plan took the place of, if one did."""
    if now.before is not None:
        name = plain(str(now.before.drafts[SHARED].state.get("name") or "plan without a name"), 40)
        st.button(
            f"Back to {name}", icon=":material/undo:", type="tertiary", key="joint_back",
            on_click=once("joint back", _back), help="What the form held before this ready plan.",
        )  # fmt: skip


def _back() -> None:
    before = joint().before
    if before is not None:
        put_back(before)
        notice("The form holds again what it held before.")


def _kept(now: Joint) -> Before:
    """Return what is to be kept: of several ready plans in a row, what the first one took the place of."""
    if now.before is not None and now.plan is not None and now.plan == now.before.taken:
        return now.before
    with using(SHARED):
        drafts = {SHARED: copy.deepcopy(draft())}
    drafts |= {slot(number): copy.deepcopy(draft_of(number)) for number in now.order}
    now.before = None
    return Before(copy.deepcopy(now), drafts)


def _told(one: ReadyJoint) -> str:
    """Return the tasks and the mixing in one line."""
    plan = one.plan()
    parts = [f"{task.name}: {TITLES[task.task.kind].lower()} ({task.data.source})" for task in plan.tasks]
    if any(task.task.head == "pointer" for task in plan.tasks):
        parts.append("heads that point")
    if plan.mixing.weights != "equal":
        parts.append(f"weights: {CHOICES[plan.mixing.weights].lower()}")
    return " · ".join([*parts, *(["PCGrad"] if plan.mixing.pcgrad else [])])
