"""The comparison of selected runs: curves overlaid, the verdict on their plans, configs that differ, numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import streamlit as st

from core.api import Studio
from core.render.compare_figures import Curve, curves_csv, overlaid_curves, table_csv
from core.render.look import CONFIG
from core.runs.records import RunRecord
from pages.ui.compare import differences, metric_table, series_choices, unique_names
from pages.ui.compare_verdict import verdicts
from pages.ui.format import metric_name, plain
from pages.ui.planner_look import look

__all__ = ["comparison"]

#: More lines than colours cannot be told apart.
MOST = 10


def comparison(studio: Studio, runs: Sequence[RunRecord]) -> None:
    """Draw the section; the first ten runs are drawn, the verdict is on all."""
    shown = list(runs[:MOST])
    titles = unique_names(shown)
    with st.container(border=True, key="compare"):
        st.subheader(f"Comparison of {len(shown)} runs", anchor=False)
        if len(runs) > MOST:
            st.caption(
                f"{len(runs)} runs are selected; the first {MOST} are shown, for there are no more colours to tell."
            )
        _curves(studio, shown, titles)
        verdicts(studio, runs)
        tables = st.columns([1, 1], gap="medium")
        with tables[0]:
            _numbers(shown, titles)
        with tables[1]:
            _configs(shown, titles)


def _curves(studio: Studio, runs: Sequence[RunRecord], titles: dict[str, str]) -> None:
    names = series_choices([studio.runs.series_names(run.id) for run in runs])
    if not names:
        st.caption("None of these runs has recorded a curve yet.")
        return
    bar = st.container(horizontal=True, gap="medium", vertical_alignment="bottom", key="compare_controls")
    series = bar.selectbox("Curve", names, format_func=_series_title, key="compare_series", width=260)
    axis: Literal["step", "time"] = (
        bar.segmented_control(
            "Over", ["step", "time"], required=True, default="step", key="compare_axis", format_func=str.capitalize
        )
        or "step"
    )
    smoothing = bar.slider("Smoothing", 0.0, 0.99, 0.0, 0.01, key="compare_smoothing", width=180)
    log_y = bar.toggle("Log axis", key="compare_log")
    curves = []
    for run in runs:
        points = studio.runs.series(run.id, names=[series]).series.get(series)
        if points and points["steps"]:
            start = points["times"][0] if points["times"] else 0.0
            times = [moment - start for moment in points["times"]]
            curves.append(Curve(titles[run.id], run.id, points["steps"], points["values"], times))
    missing = [titles[run.id] for run in runs if run.id not in {curve.run_id for curve in curves}]
    title = _series_title(series)
    unit = "loss" if series.endswith("/loss") else metric_name(series.rpartition("/")[2])
    figure = overlaid_curves(curves, look(), title=title, unit=unit, axis=axis, log_y=log_y, smoothing=smoothing)
    st.plotly_chart(
        figure, theme=None, config=CONFIG, key="compare_plot", alt=f"{title} of {len(curves)} runs over {axis}"
    )
    if missing:
        st.caption(plain(f"Without this curve: {', '.join(missing)}.", 300))
    st.download_button(
        "Curve as CSV", lambda: curves_csv(curves, series), file_name=f"{series.replace('/', '-')}.csv",
        mime="text/csv", icon=":material/download:", key="compare_curves_csv", on_click="ignore", type="tertiary",
    )  # fmt: skip


def _numbers(runs: Sequence[RunRecord], titles: dict[str, str]) -> None:
    st.markdown("**Numbers**")
    rows = metric_table(runs, titles)
    shares = {name: st.column_config.NumberColumn(metric_name(name), format="%.4f") for name in rows[0] if "/" in name}
    st.dataframe(
        rows, hide_index=True, key="compare_table",
        column_config={
            "run": st.column_config.TextColumn("Run", pinned=True, width="medium"),
            "status": "Status", "steps": "Steps", "measured by": "Measured by",
            "seconds": st.column_config.NumberColumn("Seconds", format="%.1f"),
            "best on gate": st.column_config.NumberColumn("Best on gate", format="%.4f"), **shares,
        },
    )  # fmt: skip
    st.caption("One run a row, one seed each: a difference without an interval over seeds is no verdict.")
    st.download_button(
        "Numbers as CSV", lambda: table_csv(rows), file_name="runs.csv", mime="text/csv", icon=":material/download:",
        key="compare_csv", on_click="ignore", type="tertiary",
    )  # fmt: skip


def _configs(runs: Sequence[RunRecord], titles: dict[str, str]) -> None:
    st.markdown("**What differs in their plans**")
    rows = differences({titles[run.id]: run.plan for run in runs})
    if not rows:
        st.caption("Nothing but the names: these plans are the same.")
        return
    st.dataframe(
        rows, hide_index=True, key="compare_configs",
        column_config={"key": st.column_config.TextColumn("Key", pinned=True)},
    )  # fmt: skip
    st.download_button(
        "Differences as CSV", lambda: table_csv(rows), file_name="differences.csv", mime="text/csv",
        icon=":material/download:", key="compare_configs_csv", on_click="ignore", type="tertiary",
    )  # fmt: skip


def _series_title(name: str) -> str:
    return metric_name(name)
