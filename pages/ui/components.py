"""Pieces that every page shares: header with actions, cards of one height, badges, empty states, errors."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from core.errors import BertloomError
from core.runs.records import RunRecord, Status
from pages.ui import keys
from pages.ui.format import clock, count, plain
from pages.ui.theme import status_look

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

__all__ = [
    "Card",
    "card_row",
    "empty_state",
    "error_box",
    "notice",
    "page_header",
    "paint_header",
    "progress_line",
    "run_card",
    "run_url",
    "share_done",
    "show_notice",
    "shown_errors",
    "status_badge",
    "status_markdown",
]

#: Height of all metric cards, in pixels.
CARD_HEIGHT = 116
_PAINTED = "_header_painted"
#: As long as a browser takes to draw a frame with the header in it.
_PAINT_SECONDS = 0.1


@dataclass(frozen=True)
class Card:
    """One metric card. Texts are shown as they are."""

    label: str
    value: str
    #: A short line below the value, e.g. an interval or "step 1,200 of 3,000".
    note: str = ""
    help: str | None = None
    icon: str | None = None


def page_header(title: str, caption: str = "", *, status: Status | str | None = None) -> DeltaGenerator:
    """Show a page's title and caption, and return the container at its top right for the actions.

    Parameters
    ----------
    title, caption
        Shown as plain text, whoever wrote them.
    status
        A run's status, shown as a badge before the caption.

    Returns
    -------
    DeltaGenerator
        A horizontal container. One primary button belongs there (with ``key=keys.PRIMARY``), and quieter ones.
    """
    row = st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="medium", key=keys.HEADER
    )
    words = row.container(width="stretch", gap="xxsmall")
    words.title(plain(title, 120), anchor=False)
    parts = [status_markdown(status)] if status is not None else []
    if caption:
        parts.append(plain(caption))
    if parts:
        words.markdown("&ensp;".join(parts))
    return row.container(
        horizontal=True, horizontal_alignment="right", width="content", gap="small", key=f"{keys.HEADER}_actions"
    )


def paint_header() -> None:
    """Let the browser draw what it has, once a visit: a whole form at once would keep the header waiting."""
    if _PAINTED not in st.session_state:
        st.session_state[_PAINTED] = True
        time.sleep(_PAINT_SECONDS)


def card_row(cards: Sequence[Card], *, key: str) -> None:
    """Show metric cards of one height side by side; they wrap on a narrow screen."""
    row = st.container(horizontal=True, gap="small", key=key)
    for card in cards:
        with row.container(
            border=True, height=CARD_HEIGHT, width="stretch", gap=None, key=f"{key}_{_slug(card.label)}"
        ):
            st.metric(plain(card.label), card.value, help=card.help, icon=card.icon)
            st.caption(plain(card.note) if card.note else "&nbsp;")


def _slug(text: str) -> str:
    return "".join(char if char.isalnum() else "_" for char in text.lower())


def status_markdown(status: Status | str) -> str:
    """Return a status badge as markdown, for lines that hold more than the badge."""
    look = status_look(status)
    return f":{look.colour}-badge[{look.icon} {look.label}]"


def status_badge(status: Status | str) -> None:
    """Show a status as a badge with icon and word; its meaning is the tooltip."""
    look = status_look(status)
    st.badge(look.label, icon=look.icon, color=look.colour, help=look.meaning)


@contextmanager
def empty_state(
    title: str, words: str, *, icon: str = ":material/inbox:", key: str = "empty_state"
) -> Iterator[DeltaGenerator]:
    """Show what is missing and, inside the block, the one action that helps."""
    box = st.container(border=True, horizontal_alignment="center", key=key)
    with box:
        st.space("small")
        st.markdown(f"## {icon}", text_alignment="center")
        st.markdown(f"#### {plain(title)}", text_alignment="center")
        st.caption(plain(words), text_alignment="center")
        yield box
        st.space("small")


def error_box(error: BertloomError | str, *, title: str | None = None) -> None:
    """Show an error's message as text: what, where, what was expected, what to do."""
    if isinstance(error, str):
        st.error((f"**{plain(title)}**\n\n" if title else "") + plain(error), icon=":material/error:")
        return
    lines = [f"**{plain(title or error.what)}**"]
    if title:
        lines.append(plain(error.what))
    if error.where:
        lines.append(f"Where: {plain(error.where)}")
    if error.expected:
        lines.append(f"Expected: {plain(error.expected)}")
    if error.advice:
        lines.append(plain(error.advice))
    st.error("\n\n".join(lines), icon=":material/error:")


@contextmanager
def shown_errors(title: str | None = None) -> Iterator[None]:
    """Show a :class:`~core.errors.BertloomError` of the block instead of letting it end the page."""
    try:
        yield
    except BertloomError as error:
        error_box(error, title=title)


def notice(words: str) -> None:
    """Keep a sentence for :func:`show_notice`: it survives a rerun or page switch."""
    st.session_state[keys.RUN_NOTICE] = words


def show_notice() -> None:
    """Show the sentence kept by :func:`notice` as a toast, once."""
    words = st.session_state.pop(keys.RUN_NOTICE, None)
    if words:
        st.toast(plain(words), icon=":material/check_circle:")


def run_url(run_id: str) -> dict[str, str]:
    """Return the query parameters that lead to a run's page, for ``st.page_link`` and :func:`pages.ui.leaving.go`."""
    return {keys.RUN_ID: run_id}


def share_done(run: RunRecord) -> float | None:
    """Return how much of a run is done (0 to 1), or None as long as nobody knows."""
    step, total = run.progress.get("step"), run.progress.get("total_steps")
    if run.status is Status.FINISHED:
        return 1.0
    if not isinstance(step, int | float) or not isinstance(total, int | float) or total <= 0:
        return None
    return min(max(step / total, 0.0), 1.0)


def progress_line(run: RunRecord) -> str:
    """Return one line about a run's progress: phase or step, and the time left."""
    step, total, eta = (run.progress.get(name) for name in ("step", "total_steps", "eta_s"))
    parts = []
    phase = str(run.progress.get("phase") or "").replace("_", " ")
    if step and total:
        parts.append(f"step {count(step)} of {count(total)}")
    elif phase and run.status.active:
        parts.append(phase)
    if run.status is Status.RUNNING and eta is not None:
        parts.append(f"{clock(eta)} left")
    return " · ".join(parts)


def run_card(run: RunRecord, waiting: int = 0) -> None:
    """Show the active run as a card: status, name, progress, and how many wait behind it."""
    with st.container(border=True, gap="small", key=keys.RUN_CARD):
        st.markdown(status_markdown(run.status) + (f"&ensp;:gray[+{waiting} queued]" if waiting else ""))
        st.page_link(
            st.session_state[keys.PAGES]["run"],
            label=f"**{plain(run.name, 40)}**",
            query_params=run_url(run.id),
            icon=":material/monitoring:",
        )
        done = share_done(run)
        st.progress(done if done is not None else 0.0)
        st.caption(plain(progress_line(run)) or plain(status_look(run.status).meaning))
