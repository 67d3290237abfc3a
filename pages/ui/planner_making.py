"""Making an encoder for the plan in the background: a pruned copy, or one with random weights.

One is made at a time in a tab. When it is there it becomes the plan's model, unless another one was chosen meanwhile.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import streamlit as st

from pages.ui.components import error_box
from pages.ui.format import duration, plain
from pages.ui.planner_draft import Draft, anew, put
from pages.ui.planner_jobs import Job, ask, forget, peek

__all__ = ["JOB", "Making", "begun", "choose_source", "making_part", "settle"]

_SLOT = "planner_making"
#: Kind of the question, for :func:`pages.ui.planner_jobs.watch`.
JOB = "making"


@dataclass
class Making:
    """A folder that is being made.

    Parameters
    ----------
    title
        What it becomes, e.g. ``Pruning``.
    source
        The plan's model when it was asked for.
    out
        The folder.
    """

    title: str
    source: str
    out: Path
    cancel: threading.Event = field(default_factory=threading.Event)
    share: float | None = None
    doing: str = ""
    #: Whether it became the plan's model, or was put aside.
    settled: bool = False
    question: str = field(default_factory=lambda: uuid.uuid4().hex)

    def tell(self, share: float, doing: str) -> None:
        """Note down how far it has come; called by the thread that asks."""
        self.share, self.doing = share, doing


def begun(title: str, source: str, out: Path, call: Callable[[Making], Any]) -> Making:
    """Begin to make a folder, from a callback; `call` does it in a background thread."""
    making = st.session_state[_SLOT] = Making(title, source, out)
    ask(JOB, making.question, lambda: call(making))
    return making


def settle(draft: Draft) -> None:
    """Let a folder that was finished become the plan's model. Call it before anything is drawn."""
    making, job = _now()
    if making is None or job is None or making.settled or job.state != "done":
        return
    if str(draft.state.get("model.source")) == making.source:
        making.settled = True
        choose_source(str(making.out))
        st.toast(f"{plain(making.out.name, 80)} is the plan's encoder now.", icon=":material/check_circle:")


def choose_source(source: str, revision: str | None = None) -> None:
    """Make an encoder the plan's, from code: the widgets of its choice are drawn anew."""
    put("model.source", source)
    put("model.revision", revision)
    put("model.keep_layers", None)  # they were those of another encoder
    anew("model.source")


def making_part() -> bool:
    """Draw what is being made, if anything is; returns whether it is at work."""
    making, job = _now()
    if making is None or job is None or making.settled:
        return False
    if job.state == "running":
        _running(making, job)
        return True
    if job.state == "failed":
        error_box(job.error, title=f"{making.title} did not work")
        st.button("Close", key="planner_making_close", on_click=_put_aside)
    elif job.state == "done":
        st.info(
            f"{plain(making.out.name, 80)} is ready; another encoder was chosen meanwhile.",
            icon=":material/check_circle:",
        )
        row = st.container(horizontal=True, gap="small")
        row.button("Take it", key="planner_making_take", on_click=_take, args=(making,))
        row.button("Leave it", key="planner_making_leave", type="tertiary", on_click=_put_aside)
    return False


def _running(making: Making, job: Job) -> None:
    row = st.container(horizontal=True, vertical_alignment="center", gap="small", key="planner_making")

    @st.fragment(run_every=0.5)
    def bar() -> None:
        words = f"{making.title}: {making.doing}" if making.doing else f"{making.title}: starting"
        st.progress(making.share or 0.0, text=f"{plain(words, 120)} · {duration(int(job.seconds))}")

    with row.container(width="stretch"):
        bar()
    row.button("Cancel", icon=":material/close:", key="planner_making_cancel", on_click=_cancel, args=(making,))


def _now() -> tuple[Making | None, Job | None]:
    making: Making | None = st.session_state.get(_SLOT)
    return making, None if making is None else peek(JOB, making.question)


def _take(making: Making) -> None:
    making.settled = True
    choose_source(str(making.out))


def _cancel(making: Making) -> None:
    making.cancel.set()
    _put_aside()


def _put_aside() -> None:
    forget(JOB)
    st.session_state.pop(_SLOT, None)
