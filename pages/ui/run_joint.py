"""What a joint run came to, task by task, and where its tasks pulled the shared encoder apart."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from core.render.joint_figures import What
from core.runs.records import RunRecord, Status
from core.studies.comparing.conflicts import unit_place
from pages.ui.components import empty_state
from pages.ui.format import count, number, percent, plain
from pages.ui.joint.compared import compared_every
from pages.ui.run_report import report_part
from pages.ui.run_results import circumstances, scores_part
from pages.ui.run_tabs import try_tab
from pages.ui.studio import studio

__all__ = [
    "CONFLICT_HELP", "SHOWN", "as_task", "joint_tab", "joint_try_tab", "map_rows", "of_task", "pairs_of",
    "summary_rows", "task_rows",
]  # fmt: skip

_MOST_POINTS = 2000
#: What a map of conflicts can show, in words.
SHOWN: dict[str, What] = {"Cosine": "cosine", "Conflict rate": "rate", "Norm ratio": "ratio"}
CONFLICT_HELP = (
    "A cosine below 0: a step for one task undoes some of the other's work. Measured on single batches with dropout, "
    "so one look is noisy; a layer in which it stays below 0 is a conflict."
)


def joint_tab(run: RunRecord) -> None:
    """Show the scores of every task, what was spent on it, and the map of conflicts."""
    results = studio().runs.results(run.id)
    names = _names(run)
    if results:
        name = _chosen(run, names)
        metrics, details = of_task(results, name)
        scores_part(metrics, details)
        folder = f"{run.id}/{name}"
        st.caption("The task's model is in its own folder. Predict with it from a shell:")
        st.code(f'bertloom predict "{folder}" …', language="sh")
        st.markdown("##### What each task had")
        st.dataframe(task_rows(results), hide_index=True, width="stretch", height="content", key="joint_tasks")
        shared = results.get("shared_parameters")
        if shared:
            st.caption(f"All tasks share an encoder of {count(shared)} parameters; each has a head of its own.")
    else:
        with empty_state(
            "No results yet", "Every task is scored on its test rows, once, after the last step.",
            icon=":material/analytics:", key="no_results",
        ):  # fmt: skip
            pass
    _conflicts(run, names, (results or {}).get("conflicts"))
    if results:
        circumstances(results)
        report_part(run)


def joint_try_tab(run: RunRecord) -> None:
    """Predict a text of the person's own with the model of one task."""
    try_tab(as_task(run, _chosen(run, _names(run))))


def as_task(run: RunRecord, name: str) -> RunRecord:
    """Return a joint run as a run of one of its tasks, with that task's plan and model."""
    task = next(one for one in run.plan["tasks"] if one["name"] == name)
    kept = (studio().home.run(run.id) / "best" / name / "config.json").is_file()
    return dataclasses.replace(run, id=f"{run.id}/{name}", plan={**run.plan, "task": task["task"]}, has_model=kept)


def _names(run: RunRecord) -> list[str]:
    return [str(task["name"]) for task in run.plan.get("tasks") or []]


def _chosen(run: RunRecord, names: Sequence[str]) -> str:
    """Ask for one of the tasks where there are several."""
    if len(names) == 1:
        return names[0]
    chosen = st.segmented_control(
        "Task", names, default=names[0], key=f"joint_task_{run.id}", label_visibility="collapsed"
    )  # fmt: skip
    return chosen or names[0]


def of_task(results: Mapping[str, Any], name: str) -> tuple[dict[str, float], dict[str, Any]]:
    """Return a task's metrics as ``role/metric`` and its details by role, as a run of that task alone has them."""
    metrics = {}
    for key, value in (results.get("metrics") or {}).items():
        role, _, rest = str(key).partition("/")
        if rest.startswith(f"{name}/"):
            metrics[f"{role}/{rest.removeprefix(f'{name}/')}"] = float(value)
    details = {role: parts[name] for role, parts in (results.get("details") or {}).items() if name in parts}
    return metrics, details


def task_rows(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what each task had, one row each."""
    rows = []
    for task in results.get("tasks") or []:
        row = {
            "task": task["name"], "kind": str(task["kind"]).replace("_", " "), "batches": count(task["batches"]),
            "examples": count(task["examples"]), "parameters of its head": count(task["parameters"]),
            "weight of its loss": number(task["weight"], 3),
        }  # fmt: skip
        row.update({f"{role} rows": count(size) for role, size in (task.get("rows") or {}).items()})
        rows.append(row)
    return rows


def summary_rows(pair: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the means over all looks of one pair of tasks, one row a layer."""
    return [
        {"layer": unit["unit"], "mean cosine": number(unit["cosine"], 3), "conflict rate": percent(unit["rate"]),
         "norm ratio": number(unit["ratio"], 3)}
        for unit in pair["units"]
    ]  # fmt: skip


def pairs_of(names: Sequence[str]) -> list[tuple[str, str]]:
    """Return all pairs of tasks, in their order."""
    return [(one, other) for at, one in enumerate(names) for other in names[at + 1 :]]


def map_rows(
    series: Mapping[str, Mapping[str, Any]], pair: tuple[str, str], what: str
) -> tuple[list[str], list[int], list[list[float | None]]]:
    """Return (layers, lowest first; steps; values by layer and step) of one pair's series.

    Parameters
    ----------
    series
        Name → ``steps`` and ``values``.
    pair
        Names of the tasks.
    what
        ``cosine`` or ``ratio``.
    """
    start = f"conflict/{pair[0]}~{pair[1]}/{what}/"
    found = {name.removeprefix(start): one for name, one in series.items() if name.startswith(start)}
    units = sorted(found, key=unit_place)
    steps = sorted({step for one in found.values() for step in one["steps"]})
    rows = []
    for unit in units:
        known = dict(zip(found[unit]["steps"], found[unit]["values"], strict=True))
        rows.append([known.get(step) for step in steps])
    return units, steps, rows


def _not_compared(run: RunRecord) -> str:
    every = compared_every(run.plan)
    if every == 0:
        return "The tasks' gradients are not compared: mixing.monitor_every is 0, or the encoder is frozen."
    steps = "some steps" if every is None else f"{count(every)} steps"
    if run.status.active or run.status in (Status.QUEUED, Status.PAUSED):
        return f"The tasks' gradients are compared for the first time after {steps}."
    return f"The run ended before its tasks' gradients were compared for the first time, after {steps}."


def _conflicts(run: RunRecord, names: Sequence[str], found: Mapping[str, Any] | None) -> None:
    from core.render.joint_figures import conflict_map, negative
    from core.render.look import CONFIG
    from pages.ui.planner_look import look

    pairs = pairs_of(names)
    if not pairs:
        return
    st.markdown("##### Do the tasks agree?", help=CONFLICT_HELP)
    with st.container(horizontal=True, gap="medium"):
        pair = pairs[0]
        if len(pairs) > 1:
            pair = st.selectbox(
                "Tasks", pairs, format_func=lambda one: f"{one[0]} and {one[1]}", key=f"joint_pair_{run.id}", width=280
            )
        shown = st.segmented_control("Shown", list(SHOWN), default="Cosine", key=f"joint_shown_{run.id}")
    drawn = SHOWN[shown or "Cosine"]
    what = "ratio" if drawn == "ratio" else "cosine"
    wanted = [
        name for name in studio().runs.series_names(run.id) if name.startswith(f"conflict/{pair[0]}~{pair[1]}/{what}/")
    ]
    series = studio().runs.series(run.id, names=wanted, max_points=_MOST_POINTS).series if wanted else {}
    units, steps, rows = map_rows(series, pair, what)
    if not steps:
        st.caption(_not_compared(run))
        return
    if drawn == "rate":
        steps, rows = negative(steps, rows)
    with st.container(border=True, key="joint_map"):
        figure = conflict_map(units, steps, rows, look(), pair=pair, what=drawn)
        st.plotly_chart(figure, theme=None, config=CONFIG, key="joint_map_figure")
    told = next((one for one in (found or {}).get("pairs") or [] if (one["a"], one["b"]) == tuple(pair)), None)
    if told is not None and found is not None:
        st.dataframe(summary_rows(told), hide_index=True, width="stretch", height="content", key="joint_summary")
        st.caption(plain(f"Means over {count(found['looks'])} looks, one every {count(found['every'])} steps."))
