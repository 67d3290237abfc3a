"""Runs home, upper part: what runs, what waits, what was interrupted. A fragment that looks again by itself."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from core.api import Studio
from core.errors import BertloomError
from core.runs.records import RunRecord, Status
from pages.ui import keys
from pages.ui.compare import best_of
from pages.ui.components import error_box, progress_line, run_url, share_done, status_markdown
from pages.ui.format import metric_name, metric_value, plain, relative

__all__ = ["LIVE", "act", "facts", "live_part", "signature"]

#: Statuses that change by themselves.
LIVE = tuple(str(status) for status in Status if status.active or status is Status.QUEUED)
_PROBLEM = "runs_problem"


def live_part(studio: Studio) -> None:
    """Draw active, queued and interrupted runs; when one enters or leaves these lists, the whole page runs again."""
    first = studio.runs.list(status=[*LIVE, str(Status.INTERRUPTED)], limit=100)
    busy = any(run.status.active for run in first)
    known = signature(first)

    @st.fragment(run_every=2.0 if busy else 5.0)
    def look() -> None:
        try:
            runs = studio.runs.list(status=[*LIVE, str(Status.INTERRUPTED)], limit=100)
        except BertloomError as error:
            error_box(error)
            return
        if signature(runs) != known:
            st.rerun()
        _draw(studio, runs)

    look()


def signature(runs: list[RunRecord]) -> tuple[tuple[str, str, float | None], ...]:
    """Return what has to stay the same for the page around the fragment to stay right."""
    return tuple(sorted((run.id, str(run.status), run.position) for run in runs))


def act(call: Callable[..., object], *arguments: object) -> None:
    """Do what a button asks for, in its callback; an error is kept for the page to show."""
    try:
        call(*arguments)
    except BertloomError as error:
        st.session_state[_PROBLEM] = error


def show_problem() -> None:
    """Show why the last button did nothing, once."""
    problem = st.session_state.pop(_PROBLEM, None)
    if problem is not None:
        error_box(problem)


def facts(run: RunRecord) -> str:
    """Return one line of plain text: best gate metric, speed, when it was made."""
    parts = []
    best = best_of(run)
    if best:
        parts.append(f"{metric_name(best[0])} {metric_value(best[0], best[1])} at best")
    speed = run.progress.get("examples_per_s")
    if run.status.active and isinstance(speed, int | float):
        parts.append(f"{speed:.0f} examples/s")
    parts.append(f"created {relative(run.created)}")
    return " · ".join(parts)


def _draw(studio: Studio, runs: list[RunRecord]) -> None:
    show_problem()
    for run in runs:
        if run.status.active:
            _active(studio, run)
    waiting = sorted((run for run in runs if run.status is Status.QUEUED), key=_place)
    if waiting:
        _queue(studio, waiting)
    interrupted = [run for run in runs if run.status is Status.INTERRUPTED]
    if interrupted:
        _interrupted(studio, interrupted)


def _active(studio: Studio, run: RunRecord) -> None:
    with st.container(border=True, gap="small", key=f"active_{run.id}"):
        row = st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="small")
        words = row.container(gap=None, width="stretch")
        _name(words, run, strong=True)
        buttons = row.container(horizontal=True, width="content", gap="small")
        steady = run.status is Status.RUNNING
        buttons.button(
            "Pause", icon=":material/pause:", key=f"pause_{run.id}", disabled=not steady, on_click=act,
            args=(studio.runs.pause, run.id), help="Writes a checkpoint and stops; resume goes on exactly there.",
        )  # fmt: skip
        buttons.button(
            "Cancel", icon=":material/close:", key=f"cancel_{run.id}", type="tertiary", on_click=act,
            disabled=run.status not in (Status.RUNNING, Status.STARTING), args=(studio.runs.cancel, run.id),
        )  # fmt: skip
        done = share_done(run)
        st.progress(done if done is not None else 0.0)
        line = progress_line(run) or "getting ready"
        st.markdown(f"{status_markdown(run.status)}&ensp;**{plain(line)}**&ensp;:gray[{plain(facts(run))}]")


def _queue(studio: Studio, waiting: list[RunRecord]) -> None:
    with st.container(border=True, gap="small", key="queue"):
        st.markdown(f"**Queue** :gray[· {len(waiting)} waiting, one after another]")
        for place, run in enumerate(waiting):
            row = st.container(
                horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="small",
                key=f"queued_{run.id}",
            )  # fmt: skip
            words = row.container(
                horizontal=True, wrap=False, gap="small", width="stretch", vertical_alignment="center"
            )
            words.markdown(f":gray[{place + 1}]", width="content")
            _name(words, run)
            buttons = row.container(horizontal=True, width="content", gap=None)
            # The words are hidden from eyes only: a screen reader hears which run each arrow moves.
            words_of = plain(run.name, 40)
            for where, icon, verb, off in (
                ("first", ":material/vertical_align_top:", "next", place == 0),
                ("up", ":material/arrow_upward:", "one place up", place == 0),
                ("down", ":material/arrow_downward:", "one place down", place == len(waiting) - 1),
            ):
                buttons.button(
                    f"Move {words_of} {verb}", icon=icon, key=f"{where}_{run.id}", help=f"Move {verb}", disabled=off,
                    type="tertiary", on_click=act, args=(studio.runs.move, run.id, where),
                )  # fmt: skip
            buttons.button(
                f"Take {words_of} out of the queue", icon=":material/close:", key=f"cancel_{run.id}",
                help="Take it out of the queue", type="tertiary", on_click=act, args=(studio.runs.cancel, run.id),
            )  # fmt: skip


def _interrupted(studio: Studio, runs: list[RunRecord]) -> None:
    with st.container(border=True, gap="small", key="interrupted"):
        promise = "nothing is lost; Resume goes on from the last checkpoint"
        st.markdown(f":red[:material/power_off:] **Interrupted** :gray[· {promise}]")
        for run in runs:
            row = st.container(
                horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="small"
            )
            words = row.container(gap=None, width="stretch")
            _name(words, run)
            words.caption(plain(" · ".join(part for part in (progress_line(run), facts(run)) if part)))
            row.button(
                "Resume", icon=":material/resume:", key=f"resume_{run.id}", on_click=act,
                args=(studio.runs.resume, run.id), help=None if run.has_checkpoint
                else "It has no checkpoint yet, so it starts again from its first step.",
            )  # fmt: skip


def _name(box: st.delta_generator.DeltaGenerator, run: RunRecord, *, strong: bool = False) -> None:
    label = plain(run.name, 70)
    box.page_link(
        st.session_state[keys.PAGES]["run"], label=f"**{label}**" if strong else label, query_params=run_url(run.id)
    )


def _place(run: RunRecord) -> float:
    return run.position if run.position is not None else float("inf")
