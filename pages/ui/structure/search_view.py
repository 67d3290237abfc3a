"""A search of shapes, live: where it is, candidates and front, hypervolume, rungs, and the table of all candidates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from core.api import Studio
from core.config.shape import EncoderShape
from core.errors import BertloomError
from core.render.look import CONFIG
from core.render.shape_svg import tiny_tower
from core.render.structure_search_figures import (
    ACROSS,
    SOURCES,
    UP,
    candidates_figure,
    hypervolume_figure,
    rungs_figure,
    value_of,
)
from core.runs.records import RunRecord, Status
from pages.ui import keys
from pages.ui.components import Card, card_row, empty_state, error_box, progress_line, run_url, status_markdown
from pages.ui.format import count, duration, number, percent, plain
from pages.ui.planner_look import look
from pages.ui.runs_live import act, show_problem
from pages.ui.structure.place import Place
from pages.ui.structure.search_candidate import candidate_part
from pages.ui.structure.search_session import search_form
from pages.ui.structure.search_values import state_of

__all__ = ["axes", "candidate_rows", "cards", "rung_rows", "search_view"]

_EVERY = 3.0
_STATES = {
    "waiting": "waits", "ranked": "ranked", "training": "in training", "dropped": "dropped",
    "left": "trained to the end", "failed": "diverged",
}  # fmt: skip
_AXES = {"parameters": "Parameters", "latency": "Latency", "flops": "Operations", "total": "All parameters"}
_HEIGHTS = {"loss": "Loss after training", "rank_loss": "After inheriting", "score": "Score"}
#: Session state: the candidate that is looked at, by search.
_CHOSEN = "search_chosen"
_FIGURE = "search_figure"


def search_view(studio: Studio, place: Place, run: RunRecord) -> None:
    """Draw a search; while it is at work, as it goes on.

    Parameters
    ----------
    studio
        The facade.
    place
        Where the person is on the page.
    run
        The run of kind ``structure``.
    """
    going = run.status.active or run.status is Status.QUEUED
    st.fragment(_shown, run_every=_EVERY if going else None)(studio, place, run.id, run.status)


def _shown(studio: Studio, place: Place, run_id: str, drawn: Status) -> None:
    try:
        run, view = studio.runs.get(run_id), studio.structures.view(run_id)
    except BertloomError as error:
        error_box(error)
        return
    if run.status is not drawn and not (run.status.active and drawn.active):
        st.rerun(scope="app")  # the page looks more or less often from now on
    show_problem()
    _head(studio, place, run)
    if run.error:
        what = str(run.error.get("what") or run.error.get("message") or "The search ended with an error.")
        parts = {name: run.error.get(name) for name in ("where", "expected", "advice")}
        error_box(BertloomError(what, **parts), title="The search did not get to its end")
    if not view["candidates"]:
        words = "The parent is measured first; statistics that were measured before are taken again at once."
        title = "No candidates yet" if run.status.active or run.status is Status.QUEUED else "Nothing was found"
        with empty_state(title, words, icon=":material/manage_search:", key="search_nothing"):
            pass
        return
    conclusion = view["conclusion"]
    if conclusion is not None:
        with st.container(border=True, gap="small", key="search_conclusion"):
            st.markdown(f"**What was found.** {plain(conclusion['words'], 900)}")
    card_row(cards(view), key="search_cards")
    for words in view["notices"]:
        st.caption(f":material/info: {plain(words, 400)}")
    _choose(run_id)
    _figures(view, run_id)
    _rungs(view)
    _table(view, run_id)
    key = st.session_state.get(_CHOSEN, {}).get(run_id)
    one = next((one for one in view["candidates"] if one["key"] == key), None)
    if one is None:
        st.caption("Choose a candidate in the table or in the figure to see its layers and to go on with it.")
        return
    candidate_part(studio, place, run, view, one)


# -- head --------------------------------------------------------------------------------------------------------------
def _head(studio: Studio, place: Place, run: RunRecord) -> None:
    row = st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="small", key="search_head"
    )
    words = plain(progress_line(run), 120)
    row.markdown(f"#### {plain(run.name, 80)}&ensp;{status_markdown(run.status)}&ensp;:small[:gray[{words}]]")
    buttons = row.container(horizontal=True, width="content", gap="small")
    if run.status.active or run.status is Status.QUEUED:
        stopping = run.status in (Status.PAUSING, Status.CANCELLING)
        for name, icon in (("Pause", ":material/pause:"), ("Cancel", ":material/close:")):
            buttons.button(
                name, icon=icon, key=f"search_{name.lower()}", on_click=act, disabled=stopping,
                args=(getattr(studio.runs, name.lower()), run.id),
            )  # fmt: skip
    elif run.status.resumable or run.status is Status.FAILED:
        buttons.button(
            "Resume", icon=":material/play_arrow:", key="search_resume", on_click=act,
            args=(studio.runs.resume, run.id), help="It goes on with the candidate that it was at.",
        )  # fmt: skip
    if buttons.button("Again with changes", icon=":material/content_copy:", key="search_again"):
        search_form().load(state_of(studio.structures.config(run.id)), f"the search {run.name}")
        place.go(search="", tab="search")
        st.rerun(scope="app")  # this part alone would run again otherwise
    buttons.page_link(
        st.session_state[keys.PAGES]["run"], label="Its run", icon=":material/monitoring:",
        query_params=run_url(run.id), width="content",
    )  # fmt: skip
    if run.status.active:
        step, total = run.progress.get("step"), run.progress.get("total_steps")
        if step is not None and total:
            st.progress(min(1.0, max(0.0, step / total)))


def cards(view: Mapping[str, Any]) -> list[Card]:
    """Return what a search has come to, in figures."""
    candidates = view["candidates"]
    ranked = [one for one in candidates if one["rank_loss"] is not None]
    trained = [one for one in candidates if one["loss"] is not None]
    best = min(trained, key=lambda one: (one["loss"], one["order"]), default=None)
    body = view["parent"]["body"]
    share = percent(view["budget"]["parameters"] / body, 0)
    found = [
        Card("Budget", count(view["budget"]["parameters"]), f"parameters, {share} of parent"),
        Card("Candidates", f"{count(len(ranked))} of {count(view['wanted'])}", f"ranked; {len(trained)} trained"),
        Card(
            "On the front",
            count(len(view["front"])),
            f"of {count(len(trained))} trained",
            help=f"It weighs {', '.join(view['objectives'])}.",
        ),
    ]
    if best is not None:
        note = f"{'-'.join(map(str, best['widths'][:6]))}, {count(best['steps'])} steps"
        found.append(Card("Least loss", number(best["loss"], 4), note, help="0 is the parent; the mean scores 2."))
    if view["hypervolume"] is not None:
        found.append(Card("Hypervolume", number(view["hypervolume"], 3), "dominated by the front"))
    spent = sum(view["seconds"].values())
    found.append(Card("Time", duration(spent), f"phase: {plain(str(view['phase']), 40)}"))
    return found


# -- figures -----------------------------------------------------------------------------------------------------------
def axes(view: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Return what can stand on the axes: numbers that some candidate has."""
    known = [[name for name in names if any(value_of(one, name) is not None for one in view["candidates"])]
             for names in (ACROSS, UP)]  # fmt: skip
    return known[0], known[1]


def _figures(view: Mapping[str, Any], run_id: str) -> None:
    """Draw candidates and hypervolume."""
    across_names, up_names = axes(view)
    if not up_names:
        st.caption(":material/info: No candidate has been ranked yet.")
        return
    left, right = st.columns([3, 2], gap="medium")
    with left, st.container(border=True, gap="small", key="search_candidates"):
        row = st.container(horizontal=True, gap="medium")
        across = row.segmented_control(
            "Across", across_names, default=across_names[0], required=True, key=f"search_across_{len(across_names)}",
            format_func=lambda one: _AXES[one],
        )  # fmt: skip
        first = "loss" if "loss" in up_names else up_names[0]
        up = row.segmented_control(
            "Up", up_names, default=first, required=True, key=f"search_up_{'_'.join(up_names)}",
            format_func=lambda one: _HEIGHTS[one],
        )  # fmt: skip
        picked = st.session_state.get(_CHOSEN, {}).get(run_id)
        figure = candidates_figure(view, look(), across=str(across), up=str(up), chosen=picked)
        st.plotly_chart(
            figure, theme=None, config=CONFIG, key=_FIGURE, on_select="rerun", selection_mode="points",
            alt=f"Candidates by {ACROSS[str(across)]} and {UP[str(up)]}",
        )  # fmt: skip
        if up == "rank_loss":
            st.caption("Losses after inheriting order the shapes of one depth; across depths they say little.")
    with right, st.container(border=True, gap="small", key="search_hypervolume"):
        if any(one["hypervolume"] is not None for one in view["history"]):
            st.plotly_chart(
                hypervolume_figure(view, look()), theme=None, config=CONFIG, key="search_volume_figure",
                alt="Hypervolume of the front over candidates ranked and trained",
            )  # fmt: skip
            words = "Within a box from nothing to what the parent costs and the mean predictor loses."
            if "latency" in view["objectives"]:
                words += " Latencies are measured once more at the end, in turns: the last point may fall by that."
            st.caption(words)
        else:
            st.caption(":material/info: The front begins with the first candidate that was trained.")


def rung_rows(view: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the funnel: how many entered each rung, how far it trains, and how many went on."""
    rows = []
    by_key = {one["key"]: one for one in view["candidates"]}
    for place, entered in enumerate(view["rungs"]):
        done = [by_key[key] for key in entered if key in by_key and len(by_key[key]["rungs"]) > place]
        losses = [one["rungs"][place]["loss"] for one in done if one["rungs"][place]["loss"] is not None]
        going = len(view["rungs"][place + 1]) if place + 1 < len(view["rungs"]) else None
        steps = {one["rungs"][place]["steps"] for one in done}
        rows.append(
            {
                "rung": str(place + 1), "entered": count(len(entered)), "trained": count(len(done)),
                "steps so far": count(max(steps)) if steps else "–",
                "least loss": number(min(losses), 4) if losses else "–",
                "largest loss": number(max(losses), 4) if losses else "–",
                "go on": "–" if going is None else count(going),
            }
        )  # fmt: skip
    return rows


def _rungs(view: Mapping[str, Any]) -> None:
    rows = rung_rows(view)
    if not rows:
        return
    left, right = st.columns([3, 2], gap="medium")
    with left, st.container(border=True, key="search_rungs"):
        st.plotly_chart(
            rungs_figure(view, look()), theme=None, config=CONFIG, key="search_rungs_figure",
            alt="Held-out loss of each trained candidate by steps",
        )  # fmt: skip
    with right, st.container(border=True, gap="small", key="search_funnel"):
        st.markdown("**Rungs**")
        st.dataframe(rows, hide_index=True, width="stretch", height="content", key="search_rungs_table")
        if view["references"]:
            st.caption(
                f":material/info: Trained along whatever their loss, as references (dashed lines): even shapes, "
                f"{len(view['references'])}."
            )


# -- table -------------------------------------------------------------------------------------------------------------
def candidate_rows(view: Mapping[str, Any], picture: Any) -> list[dict[str, Any]]:
    """Return the table of candidates: the front first, then by loss, then by rank within a depth.

    Parameters
    ----------
    view
        A search.
    picture
        Makes the address of a small picture of a shape.
    """
    return [
        {
            "shape": picture(EncoderShape.model_validate(one["shape"])), "widths": "-".join(map(str, one["widths"])),
            "front": "●" if one["on_front"] else "", "state": _STATES.get(one["state"], one["state"]),
            "layers": one["depth"], "parameters": one["parameters"], "latency (ms)": value_of(one, "latency"),
            "after inheriting": one["rank_loss"], "rank in its depth": one["rank"], "loss": one["loss"],
            "steps": one["steps"] or None, "score": one["score"], "from": SOURCES.get(one["source"], one["source"]),
        }
        for one in ordered(view["candidates"])
    ]  # fmt: skip


def ordered(candidates: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the candidates in the table's order."""
    far = float("inf")

    def place(one: Mapping[str, Any]) -> tuple[Any, ...]:
        loss, rank = one["loss"], one["rank_loss"]
        return (
            not one["on_front"], -one["steps"], far if loss is None else loss, one["depth"],
            far if rank is None else rank, one["order"],
        )  # fmt: skip

    return sorted(candidates, key=place)


def _table(view: Mapping[str, Any], run_id: str) -> None:
    """Draw the table, and note down which candidate stands in which row."""
    shown = look()
    rows = candidate_rows(view, lambda shape: tiny_tower(shape, shown))
    st.markdown("**Candidates**")
    config = {
        "shape": st.column_config.ImageColumn("shape", width=60, help="Layers, the lowest below"),
        "parameters": st.column_config.NumberColumn(format="localized"),
        "latency (ms)": st.column_config.NumberColumn(format="%.2f"),
        "after inheriting": st.column_config.NumberColumn(format="%.4f"),
        "loss": st.column_config.NumberColumn(format="%.4f"), "score": st.column_config.NumberColumn(format="%.4f"),
    }  # fmt: skip
    empty = [
        name
        for name in ("latency (ms)", "loss", "score", "steps", "rank in its depth")
        if all(row[name] is None for row in rows)
    ]
    st.session_state.setdefault(f"{_CHOSEN}_rows", {})[run_id] = [
        str(one["key"]) for one in ordered(view["candidates"])
    ]
    st.dataframe(
        rows, hide_index=True, width="stretch", height=min(40 + 48 * len(rows), 460), row_height=48,
        key=f"search_table_{run_id}", on_select="rerun", selection_mode="single-row",
        column_config={**config, **dict.fromkeys(empty)},
    )  # fmt: skip


def _choose(run_id: str) -> None:
    """Keep the candidate that was chosen last, in the figure or in the table; before anything is drawn."""
    points = ((st.session_state.get(_FIGURE) or {}).get("selection") or {}).get("points") or []
    data = points[0].get("customdata") if points else None
    clicked = str(data[0] if isinstance(data, list) else data) if data else None
    rows = ((st.session_state.get(f"search_table_{run_id}") or {}).get("selection") or {}).get("rows") or []
    drawn: list[str] = st.session_state.get(f"{_CHOSEN}_rows", {}).get(run_id, [])
    picked = drawn[rows[0]] if rows and rows[0] < len(drawn) else None
    chosen: dict[str, str] = st.session_state.setdefault(_CHOSEN, {})
    before: dict[str, tuple[str | None, str | None]] = st.session_state.setdefault(f"{_CHOSEN}_before", {})
    was = before.get(run_id, (None, None))
    if picked is not None and picked != was[1]:
        chosen[run_id] = picked
    elif clicked is not None and clicked != was[0]:
        chosen[run_id] = clicked
    before[run_id] = (clicked, picked)
