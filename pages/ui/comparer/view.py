"""A comparison's run on its page: the runs so far while it goes on, then verdicts, tables, rows, report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from core.errors import BertloomError
from core.render.claim_figures import ArmCurves, arm_curves
from core.render.comparison_figures import differences_figure
from core.render.look import CONFIG
from core.runs.compare import LEAST_SEEDS
from core.runs.records import RunRecord, Status
from pages.ui import keys
from pages.ui import studio as desk
from pages.ui.comparer.closer import closer
from pages.ui.comparer.conflicts import conflicts_part
from pages.ui.comparer.pointing import pointing_part
from pages.ui.comparer.words import badge, budget_words
from pages.ui.components import error_box, run_url
from pages.ui.format import count, duration, metric_name, plain
from pages.ui.planner_look import look

__all__ = ["comparison_view"]

_EVERY = 3.0


def comparison_view(run: RunRecord) -> None:
    """Show a comparison, while it goes on and afterwards."""
    going = run.status.active or run.status is Status.QUEUED
    st.fragment(_shown, run_every=_EVERY if going else None)(run.id)


def _shown(run_id: str) -> None:
    try:
        view = desk.studio().comparisons.view(run_id)
    except BertloomError as error:
        error_box(error)
        return
    _verdict(view)
    _scores(view)
    _curves(view)
    _costs(view)
    conflicts_part(view)
    pointing_part(view)
    if view["complete"]:
        closer(view)
    _runs(view["runs"])


def _verdict(view: Mapping[str, Any]) -> None:
    config = view["config"]
    with st.container(border=True, gap="small", key="comparison_verdict"):
        st.markdown("##### Verdict")
        if not view["complete"]:
            failed = f", {view['failed']} of them failed" if view["failed"] else ""
            st.markdown(
                f":gray-badge[:material/hourglass_empty: not yet]&ensp;{view['done']} of {view['total']} runs are "
                f"there{failed}. Nothing is judged before all are: who looks after every seed finds too many winners."
            )
        for one in view["verdicts"]:
            told = one["sentence"]
            if one["interval"] is not None:
                low, high = (f"{100 * bound:+.1f}" for bound in one["interval"])
                told += f" {one['a']} − {one['b']}: {100 * one['difference']:+.1f} points ({low} to {high})."
            elif one["difference"] is not None:
                told += f" {one['a']} − {one['b']}: {100 * one['difference']:+.1f} points."
            st.markdown(f"{badge(one['verdict'])}&ensp;{plain(told, 600)}")
        for one in view["transfer"]:
            if one["flag"] in ("negative", "suspected"):
                word = "Negative transfer" if one["flag"] == "negative" else "Perhaps negative transfer"
                told = f"{one['joint']} does worse on {one['task']} than {one['single']}."
                st.markdown(f":red-badge[:material/trending_down: {word}]&ensp;{plain(told, 300)}")
        st.caption(plain(_size(view), 600))
        known = [one for one in view["verdicts"] if one["interval"] is not None]
        if known:
            figure = differences_figure(known, look(), margin=config["margin"], title="Differences of scores on test")
            st.plotly_chart(
                figure, theme=None, config=CONFIG, key="comparison_differences",
                alt=f"Differences of scores on test, {len(known)} comparisons with intervals",
            )  # fmt: skip
            st.dataframe(
                [_numbers(one) for one in known], hide_index=True, width="stretch", key="comparison_numbers",
                column_config={"Compared": st.column_config.TextColumn(pinned=True, width="medium")},
            )  # fmt: skip


def _size(view: Mapping[str, Any]) -> str:
    config = view["config"]
    told = [f"{config['seeds']} seeds.", budget_words(config)]
    if config["seeds"] < LEAST_SEEDS:
        told.append(f"With fewer than {LEAST_SEEDS} seeds there is no verdict.")
    margin = 100 * config["margin"]
    told.append(f"Differences below {margin:g} {'point' if margin == 1 else 'points'} do not matter.")
    if len(view["verdicts"]) > 1:
        told.append(f"{len(view['verdicts'])} comparisons, corrected together (Holm).")
    told.append("The weights are chosen on gate rows; test rows are scored once.")
    return " ".join(told)


def _numbers(one: Mapping[str, Any]) -> dict[str, Any]:
    def told(bounds: Sequence[float] | None) -> str:
        return "–" if not bounds else f"{100 * bounds[0]:+.1f} to {100 * bounds[1]:+.1f}"

    winner = {"a": f"{one['a']} is better", "b": f"{one['b']} is better"}.get(one["verdict"], one["verdict"])
    return {
        "Compared": f"{one['task']}: {one['a']} − {one['b']}", "Difference": f"{100 * one['difference']:+.1f}",
        "95 %": told(one["interval"]), "Corrected": told(one["interval_corrected"]),
        "p, corrected": f"{one['p_corrected']:.2g}", "Over seeds": told(one["seeds_interval"]),
        "Over test rows": told(one["documents_interval"]), "Seeds": one["seeds"],
        "Seeds for the margin": f"{one['seeds_needed'] or '> 1,000'}", "Verdict": winner,
    }  # fmt: skip


def _scores(view: Mapping[str, Any]) -> None:
    rows = []
    for one in view["standings"]:
        spread = f" ± {100 * one['sd']:.1f}" if one["sd"] is not None else ""
        rows.append(
            {
                "Task": one["task"], "Strategy": one["strategy"],
                "Score on test, mean ± sd": "" if one["mean"] is None else f"{100 * one['mean']:.1f}{spread} %",
                "Score": metric_name(one["metric"]), "Seeds": one["seeds"], "Failed": one["failed"],
                "On gate": "" if one["gate"] is None else f"{100 * one['gate']:.1f} %",
                "Without a model": "" if one["majority"] is None else f"{100 * one['majority']:.1f} %",
            }
        )  # fmt: skip
    with st.container(border=True, gap="small", key="comparison_scores"):
        st.markdown("##### Scores")
        st.dataframe(rows, hide_index=True, width="stretch", key="comparison_standings")


def _curves(view: Mapping[str, Any]) -> None:
    tasks = [task for task, curves in view["curves"].items() if any(curves.values())]
    if not tasks:
        return
    with st.container(border=True, gap="small", key="comparison_curves"):
        st.markdown("##### Learning curves")
        task = tasks[0]
        if len(tasks) > 1:
            chosen = st.segmented_control(
                "Task", tasks, default=tasks[0], required=True, key="comparison_curve_task",
                label_visibility="collapsed",
            )  # fmt: skip
            task = chosen or task
        stood = next(one for one in view["standings"] if one["task"] == task)
        arms = [
            ArmCurves(name, [(one["steps"], one["values"]) for one in curves])
            for name, curves in view["curves"][task].items()
        ]
        figure = arm_curves(
            arms, look(), title=f"{plain(task, 40)}: mean and range over the seeds", unit=metric_name(stood["metric"]),
            percent=True, baseline=stood["majority"],
        )  # fmt: skip
        st.plotly_chart(
            figure, theme=None, config=CONFIG, key=f"comparison_curve_{task}",
            alt=f"{metric_name(stood['metric'])} on gate over the steps, one line a strategy",
        )  # fmt: skip


def _costs(view: Mapping[str, Any]) -> None:
    if not any(one["seconds"] for one in view["costs"]):
        return
    rows = [
        {
            "Strategy": one["strategy"], "Steps": one["steps"],
            "Time": "" if one["seconds"] is None else duration(one["seconds"]),
            "Memory": "" if one["memory_mb"] is None else f"{count(one['memory_mb'])} MB",
            "Parameters": count(one["parameters"]) if one["parameters"] else "",
            "Shared by tasks": count(one["shared_parameters"]) if one["shared_parameters"] is not None else "",
            "Examples": ", ".join(f"{task} {count(seen)}" for task, seen in one["examples"].items()),
            "Failed runs": one["failed"],
        }
        for one in view["costs"]
    ]  # fmt: skip
    with st.container(border=True, gap="small", key="comparison_costs"):
        st.markdown("##### Cost of one seed, all tasks together")
        st.dataframe(rows, hide_index=True, width="stretch", key="comparison_cost_table")
        st.caption("Memory is the largest of the worker's process, which also holds the rows of all tasks.")


def _runs(runs: Sequence[Mapping[str, Any]]) -> None:
    """List the single runs; each has a page of its own."""
    if not runs:
        return
    label = f"All {len(runs)} runs"
    with st.expander(label, icon=":material/list:", key="comparison_runs", on_change="rerun") as box:
        if not box.open:
            return
        page = st.session_state[keys.PAGES]["run"]
        for one in runs:
            with st.container(horizontal=True, gap="small", vertical_alignment="center"):
                label = f"{one['strategy']} · {' + '.join(one['tasks'])} · seed {one['seed']}"
                if one["run"]:
                    st.page_link(page, label=plain(label), query_params=run_url(one["run"]))
                else:
                    st.markdown(plain(label))
                scores = [f"{100 * each['score']:.1f} %" for each in one["tasks"].values() if each["score"] is not None]
                told = f"failed: {one['failed']}" if one["failed"] else ", ".join(scores)
                st.caption(plain(told, 200) or "&nbsp;")
