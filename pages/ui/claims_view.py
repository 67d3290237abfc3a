"""A claim's run on its page: the verdict in words, curves of its arms, differences with intervals, the numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from core.config import ClaimConfig
from core.config.claims import Part
from core.errors import BertloomError
from core.render.claim_figures import ArmCurves, Difference, RatePoint, arm_curves, differences, rate_figure
from core.render.look import CONFIG
from core.runs.compare import LEAST_SEEDS
from core.runs.records import RunRecord, Status
from core.studies import Claim, Measure, claim_named
from core.studies.records import ArmRun
from core.studies.verdicts import ClaimVerdict, Judged, amount
from pages.ui import keys
from pages.ui import studio as desk
from pages.ui.components import error_box, run_url
from pages.ui.format import count, duration, metric_name, plain
from pages.ui.planner_look import look
from pages.ui.theme import BadgeColour

__all__ = ["PARTS", "claim_view", "verdict_badge"]

_EVERY = 4.0
PARTS: dict[str, str] = {"head": "Head alone", "full": "Full training"}
_LOOKS: dict[str, tuple[str, BadgeColour]] = {
    ClaimVerdict.HOLDS: (":material/check_circle:", "green"),
    ClaimVerdict.FAILS: (":material/cancel:", "red"),
    ClaimVerdict.IN_PART: (":material/adjust:", "orange"),
    ClaimVerdict.UNDECIDED: (":material/help:", "gray"),
    ClaimVerdict.NONE: (":material/hourglass_empty:", "gray"),
    ClaimVerdict.TABLE: (":material/table_chart:", "blue"),
}
_TITLES: dict[Measure, str] = {
    "score": "Differences of the score on test",
    "steps": "Differences of the steps to the target",
    "memory": "Differences of the largest memory",
}


def verdict_badge(verdict: str, part: str | None = None) -> str:
    """Return a verdict as a badge in markdown, with what was trained in front of it."""
    icon, colour = _LOOKS.get(verdict, _LOOKS[ClaimVerdict.NONE])
    words = f"{PARTS.get(part, part)}: {verdict}" if part else verdict
    return f":{colour}-badge[{icon} {plain(words, 60)}]"


def claim_view(run: RunRecord) -> None:
    """Show a claim's run, while it goes on and afterwards."""
    going = run.status.active or run.status is Status.QUEUED
    st.fragment(_shown, run_every=_EVERY if going else None)(run.id)


def _shown(run_id: str) -> None:
    claims = desk.studio().claims
    try:
        config, judged, records = claims.config(run_id), claims.verdicts(run_id), claims.runs_of(run_id)
        total = claims.count(config)
    except BertloomError as error:
        error_box(error)
        return
    claim = claim_named(config.claim)
    with st.container(border=True, gap="small", key="claim_sentence"):
        st.markdown(f"#### “{plain(claim.sentence, 300)}”")
        st.markdown("&ensp;".join(verdict_badge(str(one.verdict), one.part) for one in judged))
        st.caption(plain(f"{claim.tested} {claim.decided}", 1200))
        st.caption(plain(_size(config, records, judged, total), 600))
    if claim.is_table:
        _rates(claim, judged, records)
    for one in judged:
        _part(claim, one, [record for record in records if record.part == one.part])
    if records:
        _runs(records)


def _size(config: ClaimConfig, records: Sequence[ArmRun], judged: Sequence[Judged], total: int) -> str:
    """Say what the verdict rests on."""
    comparisons = sum(len(one.comparisons) for one in judged)
    documents = max((one.documents for part in judged for one in part.comparisons), default=0)
    said = [f"{len(records)} of {count(total)} runs are there: {config.seeds} seeds an arm."]
    if config.seeds < LEAST_SEEDS:
        said.append(f"With fewer than {LEAST_SEEDS} seeds there is no verdict.")
    if comparisons:
        said.append(f"{comparisons} comparisons, corrected together (Holm).")
    if documents:
        said.append(f"{count(documents)} test rows.")
    said.append(
        f"Score differences below {100 * config.delta:g} points do not matter. Rows and splits are the same for all "
        "seeds: the verdict speaks of these data."
    )
    return " ".join(said)


def _part(claim: Claim, one: Judged, records: Sequence[ArmRun]) -> None:
    with st.container(border=True, gap="small", key=f"claim_{one.part}"):
        st.markdown(f"##### {PARTS[one.part]}&ensp;{verdict_badge(str(one.verdict))}")
        st.markdown(plain(one.words, 2000))
        if not records:
            return
        curves = _curves(claim, one.part, records)
        if any(arm.curves for arm in curves):
            metric = records[0].metric
            figure = arm_curves(
                curves, look(), title=f"{metric_name(f'gate/{metric}')}: mean and range over the seeds",
                unit=metric_name(metric), percent=True, target=one.target if "steps" in claim.measures else None,
                baseline=one.majority,
            )  # fmt: skip
            st.plotly_chart(
                figure, theme=None, config=CONFIG, key=f"claim_curves_{one.part}",
                alt=f"{metric_name(metric)} on gate over the steps, one line an arm",
            )  # fmt: skip
        for measure in claim.measures:
            _differences(one, measure)
        st.dataframe(_arms(one, claim.measures), hide_index=True, width="stretch", key=f"claim_arms_{one.part}")
        if any(arm.failed for arm in one.standings):
            st.caption("A run that failed (diverged) counts with the majority's score and with all its steps.")


def _curves(claim: Claim, part: Part, records: Sequence[ArmRun]) -> list[ArmCurves]:
    found = []
    for arm in claim.designs[part].arms:
        kept = [one.curves.get(f"gate/{one.metric}") for one in records if one.arm == arm.name]
        found.append(ArmCurves(arm.title, [(curve["steps"], curve["values"]) for curve in kept if curve]))
    return found


def _differences(one: Judged, measure: Measure) -> None:
    scale = 100.0 if measure == "score" else 1.0
    items = []
    margin = 0.0
    titles = {arm.arm: arm.title for arm in one.standings}
    for contrast, found in zip(one.contrasts, one.comparisons, strict=True):
        known = (found.difference, found.interval, found.interval_corrected)
        if contrast.measure != measure or found.difference is None or None in known:
            continue
        assert found.interval is not None
        assert found.interval_corrected is not None
        margin = found.delta * scale
        items.append(
            Difference(
                f"{titles[contrast.arm]} against {titles[contrast.reference]}", found.difference * scale,
                _scaled(found.interval, scale), _scaled(found.interval_corrected, scale),
                _scaled(found.documents_interval_corrected, scale) if found.documents_interval_corrected else None,
                str(found.verdict),
            )
        )  # fmt: skip
    if not items:
        return
    unit = "points" if measure == "score" else "steps" if measure == "steps" else "MB"
    figure = differences(items, look(), title=_TITLES[measure], unit=unit, margin=margin)  # type: ignore[arg-type]
    st.plotly_chart(
        figure, theme=None, config=CONFIG, key=f"claim_{measure}_{one.part}",
        alt=f"{_TITLES[measure]}, {len(items)} comparisons with intervals",
    )  # fmt: skip


def _scaled(bounds: tuple[float, float], scale: float) -> tuple[float, float]:
    return bounds[0] * scale, bounds[1] * scale


def _arms(one: Judged, measures: Sequence[Measure]) -> list[dict[str, Any]]:
    """Return the arms as rows of a table; columns that say nothing are left out."""
    rows = []
    for arm in one.standings:
        spread = f" ± {100 * arm.sd:.1f}" if arm.sd is not None else ""
        reached = f"{arm.steps:.0f}" if arm.steps is not None else ""
        if arm.never:
            reached = f"{reached}, {arm.never} never" if reached else f"{arm.never} never"
        rows.append(
            {
                "arm": arm.title, "seeds": arm.seeds, "failed": arm.failed,
                "score on test (mean ± sd)": f"{100 * arm.mean:.1f}{spread} %" if arm.mean is not None else "",
                "steps to the target": reached if one.target is not None else "",
                "memory": amount("memory", arm.memory_mb) if arm.memory_mb is not None and "memory" in measures else "",
                "seconds a run": duration(arm.seconds) if arm.seconds is not None else "",
            }
        )  # fmt: skip
    said = {name for row in rows for name, value in row.items() if value not in ("", 0) or name == "seeds"}
    return [{name: value for name, value in row.items() if name in said} for row in rows]


def _rates(claim: Claim, judged: Sequence[Judged], records: Sequence[ArmRun]) -> None:
    series = {}
    for one in judged:
        points = []
        for arm in claim.designs[one.part].arms:
            runs = [record for record in records if record.part == one.part and record.arm == arm.name]
            scores = [record.score for record in runs if record.score is not None]
            failed = sum(bool(record.failed) for record in runs)
            if runs:
                mean = sum(scores) / len(scores) if scores else None
                low, high = (min(scores), max(scores)) if scores else (None, None)
                points.append(RatePoint(float(arm.stages[0]["lr"]), mean, low, high, failed, len(runs)))
        if points:
            series[PARTS[one.part]] = points
    if series:
        figure = rate_figure(
            series, look(), title="Score by learning rate (range over the seeds)", baseline=judged[0].majority
        )
        with st.container(border=True, key="claim_rates"):
            st.plotly_chart(
                figure, theme=None, config=CONFIG, key="claim_rate_figure", alt="Score on test over the learning rate"
            )


def _runs(records: Sequence[ArmRun]) -> None:
    """List the single runs; each has a page of its own."""
    with st.expander(f"All {len(records)} runs", icon=":material/list:", key="claim_runs", on_change="rerun") as box:
        if not box.open:
            return
        page = st.session_state[keys.PAGES]["run"]
        for one in records:
            with st.container(horizontal=True, gap="small", vertical_alignment="center"):
                label = f"{PARTS[one.part]}, {one.arm}, seed {one.seed}"
                if one.run_id:
                    st.page_link(page, label=plain(label), query_params=run_url(one.run_id))
                else:
                    st.markdown(plain(label))
                told = one.failed or (f"{100 * one.score:.1f} %" if one.score is not None else "")
                st.caption(plain(told, 200) or "&nbsp;")
