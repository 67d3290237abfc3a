"""Long questions to the core, asked from a page without freezing it.

A question runs in a background thread; the page goes on and looks again a moment later. An answer belongs to the exact
question (its fingerprint): when the form has changed in the meantime, the old answer is ignored.

A run of the page notes down once where its questions stand (:func:`begin`), so that an answer that comes while the page
is drawn cannot be half shown; :func:`watch` then waits for exactly what was drawn without an answer.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any, Literal

import streamlit as st

from core.errors import BertloomError
from pages.ui.forms import fingerprint

__all__ = ["Job", "ask", "begin", "busy", "forget", "peek", "running", "watch"]

_log = logging.getLogger(__name__)
_SLOT = "planner_jobs"
_MOMENT = 0.08

State = Literal["none", "running", "done", "failed"]


@dataclass
class Job:
    """A question and, in time, its answer."""

    mark: str
    future: Future[Any]
    started: float = field(default_factory=time.monotonic)
    #: Where it stands, for the present run of the page: everything that is drawn in one run agrees.
    state: State = "running"
    #: Whether the present run of the page has looked at it.
    looked_at: bool = True

    def look(self) -> None:
        """Note down where it stands now."""
        if not self.future.done():
            self.state = "running"
        elif self.future.cancelled():
            self.state = "none"
        else:
            self.state = "failed" if self.future.exception() is not None else "done"

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
    if old is not None and old.mark == mark and not old.future.cancelled():
        old.looked_at = True
        return old
    if old is not None:
        old.future.cancel()
    job = jobs[kind] = Job(mark, _pool().submit(_told, kind, call))
    # Answers that are known already come within moments: then nothing flickers.
    wait([job.future], timeout=_MOMENT)
    job.look()
    return job


def _told(kind: str, call: Callable[[], Any]) -> Any:
    try:
        return call()
    except BertloomError:
        raise  # the page shows it
    except Exception:
        _log.exception("no answer to the planner's question %r", kind)
        raise


def begin() -> None:
    """Note down where all questions stand. Call it first in every run of the page."""
    jobs: dict[str, Job] = st.session_state.setdefault(_SLOT, {})
    for job in jobs.values():
        job.look()
        job.looked_at = False


def peek(kind: str, question: Any) -> Job | None:
    """Return the job of exactly this question, if it was asked."""
    job: Job | None = st.session_state.get(_SLOT, {}).get(kind)
    if job is None or job.mark != fingerprint(question) or job.state == "none":
        return None
    job.looked_at = True
    return job


def running(kind: str) -> bool:
    """Whether some question of a kind, be it an old one, is at work; the page then looks again when it has ended."""
    job: Job | None = st.session_state.get(_SLOT, {}).get(kind)
    if job is None or job.state != "running":
        return False
    job.looked_at = True
    return True


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
    waiting = [jobs[kind] for kind in kinds if kind in jobs and jobs[kind].looked_at and jobs[kind].state == "running"]
    if not waiting:
        return
    drawing = True

    @st.fragment(run_every=every)
    def look() -> None:
        # Not while the page is drawn: running it again at once throws away what the browser has not been sent yet.
        # The browser's timer, which comes after everything else, proves that it was sent.
        if not drawing and any(job.future.done() for job in waiting):
            st.rerun()

    look()
    drawing = False
