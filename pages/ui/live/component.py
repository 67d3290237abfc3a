"""Registers the live plot with Streamlit and mounts it.

Rows pushed to a component get lost when reruns are folded, and a chart element loses its zoom whenever its data
change. So the page hands over a run's id and a ticket only, and the script in the browser pulls what is new.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st

from core.runs.joint_tasks import taught_tasks
from core.runs.records import RunRecord
from pages.ui import keys, tokens
from pages.ui.joint.compared import compared_every
from pages.ui.loader import LOADER
from pages.ui.routes import asset_url, base_path, script_url
from pages.ui.run_teacher import has_teacher
from pages.ui.studio import studio
from pages.ui.theme import CATEGORICAL, ROLES, SIGNAL

__all__ = ["COLOURS", "live_plot", "panels_of"]

_mount = st.components.v2.component(
    "bertloom_live_plot",
    css="div:has(> .bl-live) { container-type: inline-size; }\n"
    + (Path(__file__).parent / "live.css").read_text(encoding="utf-8"),
    js=LOADER,
    isolate_styles=False,
)

#: Colours of roles and signals for the scripts, by theme.
COLOURS: dict[str, Any] = {
    mode: {"roles": dict(zip(ROLES, colours, strict=True)), "categorical": list(colours), "signals": SIGNAL[mode]}
    for mode, colours in CATEGORICAL.items()
}


def _ignore() -> None:
    """A renewal needs nothing but the rerun that it causes."""


@st.cache_data(ttl=60, show_spinner=False)
def _alone(_home: str, run_id: str) -> tuple[str, str, float] | None:
    """Return id, metric and best score on gate of the same student without a teacher; looked for once a minute."""
    found = studio().runs.without_teacher(run_id)
    best = None if found is None else found.progress.get("best")
    if found is None or not isinstance(best, dict) or not isinstance(best.get("value"), int | float):
        return None
    return found.id, str(best.get("metric", "")).removeprefix("gate/"), float(best["value"])


def _lines(run: RunRecord, metric: str | None) -> list[dict[str, Any]]:
    """Return level lines beside the gate metric: the best score of the same student without a teacher."""
    found = _alone(str(studio().home.root), run.id)
    if found is None or found[1] != metric:
        return []
    return [{"id": "alone", "name": "without a teacher, best", "value": found[2]}]


def panels_of(run: RunRecord) -> str:
    """Return which panels a run has: those of its kind, of a distillation, or of a joint run that compares nothing."""
    if run.kind == "joint":
        panels = "alone" if compared_every(run.plan) == 0 else "joint"
        return f"{panels}-taught" if taught_tasks(run.plan) else panels
    return "taught" if has_teacher(run) else run.kind


def live_plot(run: RunRecord, *, metric: str | None = None, key: str = keys.LIVE_PLOT) -> None:
    """Show a run's curves and events, live.

    Parameters
    ----------
    run
        The run. Another run under the same key replaces it in place; the person's controls stay.
    metric
        Name of the gate metric that counts, without ``gate/``; shown first.
    key
        Key of the component.
    """
    home = studio().home
    kind = panels_of(run)
    data = {
        "kind": kind,
        "run": run.id,
        "token": tokens.issue(home, run.id),
        "series": f"{base_path()}/bertloom/series",
        "script": script_url(),
        "plotly": asset_url("plotly.min.js"),
        "metric": metric,
        "lines": _lines(run, metric) if kind == "taught" else [],
        "colours": COLOURS,
    }
    # Kinds of runs have panels of their own, which are made once.
    _mount(key=key if kind == "train" else f"{key}_{kind}", data=data, on_renew_change=_ignore)
