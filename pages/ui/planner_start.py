"""Start, of either form of the planner: one run for two clicks, and why a plan was refused."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any, Protocol

import streamlit as st

from core.errors import BertloomError
from pages.ui import keys
from pages.ui.components import error_box, notice, run_url
from pages.ui.leaving import depart

__all__ = ["Started", "anew", "start", "start_button"]


class Started(Protocol):
    """What a form remembers of its Start."""

    #: Id that makes two clicks one run, and whether it was used.
    request: str
    submitted: bool
    #: Why the run was not started; shown once.
    refused: BertloomError | None

    @property
    def wrong(self) -> int:
        """How many things need mending first."""
        ...


def anew(now: Started) -> None:
    """Give the next Start a request of its own, when a person comes back from the run that was started."""
    if now.submitted:
        now.request, now.submitted = uuid.uuid4().hex, False


def start_button(actions: Any, now: Started, act: Callable[[], None], *, things: str) -> None:
    """Draw the button, and why the last click on it started nothing.

    Parameters
    ----------
    actions
        Where the button stands.
    now
        The form.
    act
        What it does, as a callback.
    things
        What needs mending, in the plural.
    """
    wrong = now.wrong
    actions.button(
        "Start", type="primary", icon=":material/play_arrow:", key=keys.PRIMARY, disabled=bool(wrong), on_click=act,
        help=f"{wrong} {things} need mending first." if wrong else "Puts this plan into the queue and opens its page.",
    )  # fmt: skip
    with st.container():
        if now.refused is not None:
            error_box(now.refused, title="The run was not started")
            now.refused = None


def start(now: Started, name: str, submit: Callable[[], str]) -> None:
    """Put a plan into the queue and open its page, from a callback; a second click finds the run of the first.

    Parameters
    ----------
    now
        The form.
    name
        Of the run.
    submit
        Puts it into the queue with the form's request, and returns its id.
    """
    try:
        made = submit()
    except BertloomError as error:
        now.refused = error
        return
    if not now.submitted:
        notice(f"{name} is in the queue.")
    now.submitted = True
    depart("run", run_url(made))
