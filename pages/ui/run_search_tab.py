"""The Search tab of a run: what its range tests suggest, what its searches have tried, and the best as a plan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from core.errors import BertloomError
from core.runs.records import RunRecord, Status
from pages.ui import keys
from pages.ui.components import Card, card_row, empty_state, error_box, run_url
from pages.ui.format import count, duration, metric_name, metric_value, number, plain
from pages.ui.leaving import go
from pages.ui.studio import studio

__all__ = ["looks_for", "search_tab", "trains"]

_EVERY = 3.0
_KINDS = ("range_test", "search")
_STATES = {"finished": "finished", "pruned": "ended early", "failed": "failed"}


def looks_for(run: RunRecord) -> bool:
    """Whether a run holds a range test or a search; a trial's own plan only repeats what came before the search."""
    stages = run.plan.get("stages") or []
    return (
        run.kind == "train"
        and not run.child
        and any(one.get("kind") in _KINDS and one.get("enabled", True) for one in stages)
    )


def trains(run: RunRecord) -> bool:
    """Whether a run has a stage of its own that trains: trials are runs of their own."""
    stages = run.plan.get("stages") or []
    return any(one.get("kind", "train") in ("train", "distil") and one.get("enabled", True) for one in stages)


def search_tab(run: RunRecord) -> None:
    """Show range tests and searches; while the run is at work, as they go on."""
    going = run.status.active or run.status is Status.QUEUED
    st.fragment(_tab, run_every=_EVERY if going else None)(run.id)


def _tab(run_id: str) -> None:
    try:
        tests, searches = studio().runs.range_tests(run_id), studio().runs.searches(run_id)
        run = studio().runs.get(run_id)
    except BertloomError as error:
        error_box(error)
        return
    for test in tests:
        _range_test(test)
    for search in searches:
        _search(run, search)


# -- range tests -----------------------------------------------------------------------------------------------------
def _range_test(test: Mapping[str, Any]) -> None:
    from core.render.look import CONFIG
    from core.render.range_figures import range_figure
    from pages.ui.planner_look import look

    st.markdown(f"##### Range test {plain(test['stage'], 60)}")
    if not any(group["rates"] for group in test["groups"]):
        _nothing_yet("The range test has not begun", "The loss at each learning rate is drawn here.", test["index"])
        return
    suggestion = test["suggestion"] or {}
    if suggestion:
        names = {"lr": "Learning rate", "head_lr": "Learning rate of the head"}
        card_row(
            [Card(names[name], number(value, 2), "suggested") for name, value in suggestion.items() if name in names],
            key=f"range_cards_{test['index']}",
        )
    elif test["done"]:
        st.info("The test suggests nothing: stages that rely on it keep their own rate.", icon=":material/info:")
    several = len(test["groups"]) > 1
    columns = st.columns(2, gap="medium") if several else [st.container()]
    for at, group in enumerate(test["groups"]):
        if not group["rates"]:
            continue
        with columns[at % len(columns)].container(border=True, key=f"range_{test['index']}_{at}"):
            key = f"range_figure_{test['index']}_{at}"
            st.plotly_chart(range_figure(group, look()), theme=None, config=CONFIG, key=key)
            if group.get("reason"):
                st.caption(plain(group["reason"], 600))


# -- searches --------------------------------------------------------------------------------------------------------
def _search(run: RunRecord, search: Mapping[str, Any]) -> None:
    place = search["index"]
    actions = st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center")
    actions.markdown(f"##### Search {plain(search['stage'], 60)}")
    if not search["trials"]:
        _nothing_yet("No trial has ended yet", "Each trial appears here when it ends.", place)
        return
    best = _trial(search, search["best"])
    if best is not None:
        _promote(actions, run, best, f"search_promote_{place}", "Promote the best to a plan", primary=True)
    st.caption(plain(_about(search)))
    card_row(_cards(search, best), key=f"search_cards_{place}")
    _notices(search, best)
    _figures(search)
    _table(run, search)


def _about(search: Mapping[str, Any]) -> str:
    samplers = {
        "tpe": "TPE",
        "gp": "Gaussian process",
        "cmaes": "CMA-ES",
        "qmc": "quasi-Monte Carlo",
        "random": "random",
    }
    parts = [f"{len(search['trials'])} of at most {search['wanted']} trials", f"sampler {samplers[search['sampler']]}"]
    if search["pruner"] != "none":
        parts.append(f"pruner {search['pruner']}")
    parts.append("one seed a trial" if search["seeds"] == 1 else f"{search['seeds']} seeds a trial")
    held = [f"{one['key']} {_value(one['fixed'])}" for one in search["space"] if one["fixed"] is not None]
    if held:
        parts.append(f"held: {', '.join(held)}")
    if search["ended"]:
        parts.append(f"ended: {search['ended']}")
    return " · ".join(parts)


def _cards(search: Mapping[str, Any], best: Mapping[str, Any] | None) -> list[Card]:
    cards = []
    if best is not None:
        for at, one in enumerate(search["objectives"]):
            varies = _spread(best, at)
            note = f"trial {best['number'] + 1}" + (f", ± {number(varies, 2)} over seeds" if varies is not None else "")
            cards.append(
                Card(f"Best {metric_name(one['metric'])}", metric_value(one["metric"], best["scores"][at]), note)
            )
    states = [one["state"] for one in search["trials"]]
    repeated = sum(one["repeats"] is not None for one in search["trials"])
    parts = [f"{states.count(state)} {words}" for state, words in _STATES.items() if state in states]
    if repeated:
        parts.append(f"{repeated} repeated values")
    cards.append(Card("Trials", count(len(states)), " · ".join(parts)))
    spent = sum(one["seconds"] for one in search["trials"])
    run = sum(one["repeats"] is None for one in search["trials"])
    cards.append(Card("Time", duration(spent), f"{duration(spent / max(run, 1))} a trial"))
    return cards


def _notices(search: Mapping[str, Any], best: Mapping[str, Any] | None) -> None:
    if best is None:
        st.warning("No trial has finished so far.", icon=":material/warning:")
        return
    words = ["The best of many trials looks better than it is: the same gate rows chose it. The test rows say more."]
    if search["seeds"] == 1:
        words.append("With one seed a trial, small differences may be chance.")
    if len(search["objectives"]) > 1:
        first = metric_name(search["objectives"][0]["metric"])
        words.append(f"Of the {len(search['front'])} trials on the Pareto front the one with the best {first} goes on.")
    st.caption(f":material/info: {plain(' '.join(words))}")


def _figures(search: Mapping[str, Any]) -> None:
    from core.render import search_figures as figures
    from core.render.look import CONFIG
    from pages.ui.planner_look import look

    place, objective = search["index"], 0
    names = [one["metric"] for one in search["objectives"]]
    if len(names) > 1:
        chosen = st.segmented_control(
            "Objective",
            names,
            default=names[0],
            required=True,
            key=f"search_objective_{place}",
            format_func=metric_name,
        )
        objective = names.index(str(chosen)) if chosen in names else 0
    shown = look()

    def draw(figure: Any, name: str) -> None:
        with st.container(border=True, key=f"search_{name}_{place}"):
            st.plotly_chart(figure, theme=None, config=CONFIG, key=f"search_{name}_figure_{place}")

    scored = figures.scored(search)
    left, right = st.columns(2, gap="medium")
    with left:
        draw(figures.history_figure(search, shown, objective=objective), "history")
    with right:
        if search["importance"]:
            draw(figures.importance_figure(search, shown), "importance")
        else:
            with st.container(border=True, key=f"search_importance_{place}"):
                words = f"Which fields matter is told from eight finished trials on; there are {len(scored)}."
                st.caption(f":material/info: {words}")
    if len(names) > 1:
        pairs = [(0, 1)] if len(names) == 2 else [(0, 1), (0, 2)]
        for column, (across, up) in zip(st.columns(len(pairs), gap="medium"), pairs, strict=True):
            with column:
                draw(figures.pareto_figure(search, shown, across=across, up=up), f"pareto{up}")
    if len(scored) > 1:
        draw(figures.parallel_figure(search, shown, objective=objective), "parallel")
        draw(figures.slice_figure(search, shown, objective=objective), "slices")


# -- the trials ------------------------------------------------------------------------------------------------------
def _table(run: RunRecord, search: Mapping[str, Any]) -> None:
    place = search["index"]
    rows = [_row(one, search) for one in search["trials"]]
    found = st.dataframe(
        rows, hide_index=True, width="stretch", height=min(38 + 35 * len(rows), 420), key=f"search_trials_{place}",
        on_select="rerun", selection_mode="single-row",
    )  # fmt: skip
    picked = found["selection"]["rows"]
    if not picked or picked[0] >= len(rows):
        st.caption("Choose a trial to open its run or to make it a plan.")
        return
    trial = search["trials"][picked[0]]
    line = st.container(horizontal=True, vertical_alignment="center", gap="small")
    line.markdown(f"**Trial {trial['number'] + 1}**", width="content")
    if trial["error"]:
        line.caption(plain(trial["error"], 300))
    there = [one for one in trial["runs"] if one]
    for at, run_id in enumerate(there):
        words = "Open its run" if len(trial["runs"]) == 1 else f"Seed {at + 1}"
        line.page_link(
            st.session_state[keys.PAGES]["run"], label=words, icon=":material/monitoring:", query_params=run_url(run_id)
        )
    _promote(line, run, trial, f"search_take_{place}", "Make it a plan")
    if not there:
        line.caption("Its run was deleted.")


def _row(trial: Mapping[str, Any], search: Mapping[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = {"trial": trial["number"] + 1, "state": _STATES[trial["state"]]}
    if trial["number"] == search["best"]:
        row["state"] = "best"
    if trial["repeats"] is not None:
        row["state"] += f" (as {trial['repeats'] + 1})"
    for at, one in enumerate(search["objectives"]):
        row[one["metric"]] = None if trial["scores"] is None else round(trial["scores"][at], 5)
        if search["seeds"] > 1:
            varies = _spread(trial, at)
            row[f"± {one['metric']}"] = None if varies is None else round(varies, 5)
    row.update({key: _value(value) for key, value in trial["values"].items()})
    row["took (s)"] = round(trial["seconds"], 1)
    return row


def _promote(
    box: Any, run: RunRecord, trial: Mapping[str, Any], key: str, label: str, *, primary: bool = False
) -> None:
    """Offer to open the planner with a trial's plan."""
    there = next((one for one in trial["runs"] if one), None)
    if there is None:
        return
    kind = "primary" if primary else "secondary"
    if box.button(label, icon=":material/edit_note:", type=kind, key=key):
        from pages.ui.planner_draft import load

        plan = studio().runs.plan(there)
        load(plan, origin=f"trial {trial['number'] + 1} of {run.name}", parent=there)
        go("planner")


def _trial(search: Mapping[str, Any], wanted: int | None) -> Mapping[str, Any] | None:
    return next((one for one in search["trials"] if one["number"] == wanted), None)


def _spread(trial: Mapping[str, Any], at: int) -> float | None:
    from core.render.search_parts import spread

    return spread(trial, at) if len(trial["seeds"]) > 1 else None


def _value(value: Any) -> str:
    if value is None:
        return "empty"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _nothing_yet(title: str, words: str, place: int) -> None:
    with empty_state(title, words, icon=":material/hourglass_empty:", key=f"search_nothing_{place}"):
        pass
