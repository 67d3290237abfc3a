"""Which of the selected plans is better: those with several seeds, compared over seeds and test rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from core.api import Studio
from core.render.claim_figures import Difference, differences
from core.render.look import CONFIG
from core.runs.alike import RunVerdicts, Strategy, strategies_of
from core.runs.compare import LEAST_SEEDS
from core.runs.compare.results import TableVerdict
from core.runs.compare.words import sentence
from core.runs.records import RunRecord
from pages.ui.format import duration, metric_name, plain
from pages.ui.planner_look import look
from pages.ui.theme import BadgeColour

__all__ = ["verdicts"]

_KNOWN = "compare_verdicts"
_LOOKS: dict[str, tuple[str, BadgeColour]] = {
    "a": (":material/check_circle:", "green"),
    "b": (":material/check_circle:", "green"),
    "equivalent": (":material/drag_handle:", "blue"),
    "not distinguishable": (":material/help:", "gray"),
    "no verdict": (":material/hourglass_empty:", "gray"),
}


def verdicts(studio: Studio, runs: Sequence[RunRecord]) -> None:
    """Draw the section, if runs of two plans are selected that have ended."""
    if sum(bool(one.runs) for one in strategies_of(runs)) < 2:
        return
    with st.container(key="compare_verdict", gap="small"):
        st.markdown("**Verdict**")
        bar = st.container(horizontal=True, gap="medium", vertical_alignment="bottom")
        margin = bar.number_input(
            "Margin in points", 0.1, 50.0, 1.0, 0.5, key="compare_margin", width=170,
            help="Differences below it do not matter. Choose it before you look.",
        )  # fmt: skip
        wanted = st.session_state.get("compare_metric")
        found = _judged(studio, runs, wanted, margin / 100)
        if len(found.metrics) > 1:
            if wanted not in found.metrics:
                st.session_state["compare_metric"] = found.metric
            bar.selectbox("Score", found.metrics, key="compare_metric", format_func=metric_name, width=220)
        for one in found.verdicts:
            _verdict(one, margin)
        if found.metric is not None:
            _numbers(found, found.metric)
        for words in found.notices:
            st.caption(plain(words, 300))


def _judged(studio: Studio, runs: Sequence[RunRecord], metric: str | None, margin: float) -> RunVerdicts:
    """Return the verdicts; drawing test rows again takes a moment, so they are kept while the selection stays."""
    key = (tuple(sorted((run.id, str(run.status), run.ended) for run in runs)), metric, margin)
    kept = st.session_state.get(_KNOWN)
    if kept is None or kept[0] != key:
        with st.spinner("Comparing …"):
            kept = (key, studio.runs.verdicts([run.id for run in runs], metric=metric, margin=margin))
        st.session_state[_KNOWN] = kept
    found: RunVerdicts = kept[1]
    return found


def _verdict(one: TableVerdict, margin: float) -> None:
    icon, colour = _LOOKS[one.winner]
    told = sentence(one, f"{margin:g} {'point' if margin == 1 else 'points'}")
    if one.comparison.difference is not None:
        bounds = f" ({_told(one.corrected)})" if one.corrected else ""
        told = f"{told} {one.a} − {one.b}: {100 * one.comparison.difference:+.1f} points{bounds}."
    words = "better" if one.winner in ("a", "b") else one.winner
    st.markdown(f":{colour}-badge[{icon} {words}]&ensp;{plain(told, 500)}")


def _numbers(found: RunVerdicts, metric: str) -> None:
    st.dataframe(
        [_strategy(one, metric) for one in found.strategies], hide_index=True, key="compare_strategies",
        column_config={
            "plan": st.column_config.TextColumn("Plan", pinned=True, width="medium"),
            "seeds": "Seeds", "failed": "Failed",
            "score": st.column_config.TextColumn(f"{metric_name(metric)}, mean ± sd"), "seconds": "Seconds a run",
        },
    )  # fmt: skip
    known = [one for one in found.verdicts if one.interval and one.corrected and one.comparison.difference is not None]
    if known:
        figure = differences(
            [_difference(one) for one in known], look(), title=f"Differences of {metric_name(metric).lower()}",
            unit="points", margin=100 * known[0].comparison.delta,
        )  # fmt: skip
        st.plotly_chart(
            figure, theme=None, config=CONFIG, key="compare_differences",
            alt=f"Differences of {metric_name(metric)}, {len(known)} comparisons with intervals",
        )  # fmt: skip
        st.dataframe(
            [_comparison(one) for one in known], hide_index=True, key="compare_comparisons",
            column_config={"Compared": st.column_config.TextColumn(pinned=True, width="medium")},
        )  # fmt: skip
    st.caption(
        f"Runs whose plans differ only in their seed are one plan. A winner needs {LEAST_SEEDS} seeds, a difference of "
        "at least the margin, and intervals over seeds, over test rows and over both that exclude 0"
        + (", corrected for all comparisons (Holm)." if len(found.verdicts) > 1 else ".")
    )


def _strategy(one: Strategy, metric: str) -> dict[str, Any]:
    values = one.values(metric)
    known = [value for value in values.values() if value is not None]
    mean = sum(known) / len(known) if known else None
    spread = ""
    if mean is not None and len(known) > 1:
        spread = f" ± {100 * (sum((value - mean) ** 2 for value in known) / (len(known) - 1)) ** 0.5:.1f}"
    seconds = [run.seconds for run in one.runs.values()]
    return {
        "plan": one.name, "seeds": len(values), "failed": len(values) - len(known),
        "score": "" if mean is None else f"{100 * mean:.1f}{spread} %",
        "seconds": duration(sum(seconds) / len(seconds)),
    }  # fmt: skip


def _difference(one: TableVerdict) -> Difference:
    found = one.comparison
    assert found.difference is not None
    assert found.interval is not None
    assert found.interval_corrected is not None
    rows = found.documents_interval_corrected
    return Difference(
        f"{one.a} − {one.b}", 100 * found.difference, _points(found.interval), _points(found.interval_corrected),
        None if rows is None else _points(rows), one.winner,
    )  # fmt: skip


def _points(bounds: tuple[float, float]) -> tuple[float, float]:
    return 100 * bounds[0], 100 * bounds[1]


def _comparison(one: TableVerdict) -> dict[str, Any]:
    found = one.comparison
    p = found.both_p_corrected if found.both_p_corrected is not None else found.p_corrected
    winner = {"a": f"{one.a} is better", "b": f"{one.b} is better"}.get(one.winner, one.winner)
    return {
        "Compared": f"{one.a} − {one.b}", "Difference": f"{100 * (found.difference or 0):+.1f}",
        "95 %, both": _told(one.interval), "Corrected, both": _told(one.corrected),
        "Corrected, seeds": _told(found.interval_corrected),
        "Corrected, test rows": _told(found.documents_interval_corrected), "p": "" if p is None else f"{p:.2g}",
        "Seeds": found.seeds, "Seeds for the margin": f"{found.seeds_needed or '> 1,000'}", "Verdict": winner,
    }  # fmt: skip


def _told(bounds: tuple[float, float] | None) -> str:
    return "–" if bounds is None else f"{100 * bounds[0]:+.1f} to {100 * bounds[1]:+.1f}"
