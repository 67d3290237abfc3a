"""Long questions to the core, asked from a page without freezing it.

A question runs in a background thread; the page goes on and looks again a moment later. An answer belongs to the exact
question (its fingerprint): when the form has changed in the meantime, the old answer is ignored.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any, Literal

import streamlit as st

from core.errors import BertloomError
from pages.ui.forms import fingerprint

__all__ = ["Job", "ask", "busy", "forget", "peek", "watch"]

_SLOT = "planner_jobs"
_MOMENT = 0.08

State = Literal["none", "running", "done", "failed"]


@dataclass
class Job:
    """A question and, in time, its answer."""

    mark: str
    future: Future[Any]
    started: float = field(default_factory=time.monotonic)
    #: Whether the page was last drawn while there was no answer yet.
    drawn_waiting: bool = False

    @property
    def state(self) -> State:
        """Where it stands."""
        self.drawn_waiting = not self.future.done()
        if self.drawn_waiting:
            return "running"
        if self.future.cancelled():
            return "none"
        return "failed" if self.future.exception() is not None else "done"

    @property
    def answer(self) -> Any:
        """The answer of a question that is done."""
        return self.future.result(timeout=0)

    @property
    def error(self) -> BertloomError:
        """Why there is no answer."""
        found = self.future.exception(timeout=0)
        if isinstance(found, BertloomError):
            return found
        return BertloomError(
            f"Something unforeseen went wrong: {type(found).__name__}.",
            advice="The log of the dashboard has the details.",
        )

    @property
    def seconds(self) -> float:
        """Seconds since the question was asked."""
        return time.monotonic() - self.started


@st.cache_resource(show_spinner=False)
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=4, thread_name_prefix="bertloom-page")


def ask(kind: str, question: Any, call: Callable[[], Any]) -> Job:
    """Ask a question, or return the job that is already on it.

    Parameters
    ----------
    kind
        Name of the question; a new one of the same kind takes the place of the old one.
    question
        Plain data that the answer depends on.
    call
        Finds the answer, in a background thread; it may not touch the page.
    """
    mark = fingerprint(question)
    jobs: dict[str, Job] = st.session_state.setdefault(_SLOT, {})
    old = jobs.get(kind)
    if old is not None and old.mark == mark and old.state != "none":
        return old
    if old is not None:
        old.future.cancel()
    job = jobs[kind] = Job(mark, _pool().submit(call))
    # Answers that are known already come within moments: then nothing flickers.
    wait([job.future], timeout=_MOMENT)
    return job


def peek(kind: str, question: Any) -> Job | None:
    """Return the job of exactly this question, if it was asked."""
    job: Job | None = st.session_state.get(_SLOT, {}).get(kind)
    return job if job is not None and job.mark == fingerprint(question) and job.state != "none" else None


def forget(kind: str) -> None:
    """Drop a question; its answer is ignored when it comes."""
    job = st.session_state.get(_SLOT, {}).pop(kind, None)
    if job is not None:
        job.future.cancel()


def busy(kinds: Iterable[str]) -> list[str]:
    """Return those of the kinds that are still without an answer."""
    jobs: dict[str, Job] = st.session_state.get(_SLOT, {})
    return [kind for kind in kinds if kind in jobs and not jobs[kind].future.done()]


def watch(kinds: Iterable[str], *, every: float = 0.5) -> None:
    """Look again until one of the questions is answered, then run the page once more. Call it last."""
    jobs: dict[str, Job] = st.session_state.get(_SLOT, {})
    waiting = [jobs[kind] for kind in kinds if kind in jobs and jobs[kind].drawn_waiting]
    if not waiting:
        return

    @st.fragment(run_every=every)
    def look() -> None:
        if any(job.future.done() for job in waiting):
            st.rerun()

    look()
