"""Registers the live plot with Streamlit and mounts it.

Rows pushed to a component get lost when reruns are folded, and a chart element loses its zoom whenever its data
change. So the page hands over a run's id and a ticket only, and the script in the browser pulls what is new.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st

from core.runs.records import RunRecord
from pages.ui import keys, tokens
from pages.ui.loader import LOADER
from pages.ui.routes import asset_url, base_path, script_url
from pages.ui.run_teacher import has_teacher
from pages.ui.studio import studio
from pages.ui.theme import CATEGORICAL, ROLES, SIGNAL

__all__ = ["live_plot"]

_mount = st.components.v2.component(
    "bertloom_live_plot",
    css="div:has(> .bl-live) { container-type: inline-size; }\n"
    + (Path(__file__).parent / "live.css").read_text(encoding="utf-8"),
    js=LOADER,
    isolate_styles=False,
)

_COLOURS: dict[str, Any] = {
    mode: {"roles": dict(zip(ROLES, colours, strict=True)), "categorical": list(colours), "signals": SIGNAL[mode]}
    for mode, colours in CATEGORICAL.items()
}


def _ignore() -> None:
    """A renewal needs nothing but the rerun that it causes."""


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
    kind = "taught" if has_teacher(run) else run.kind
    data = {
        "kind": kind,
        "run": run.id,
        "token": tokens.issue(home, run.id),
        "series": f"{base_path()}/bertloom/series",
        "script": script_url(),
        "plotly": asset_url("plotly.min.js"),
        "metric": metric,
        "colours": _COLOURS,
    }
    # Kinds of runs have panels of their own, which are made once.
    _mount(key=key if kind == "train" else f"{key}_{kind}", data=data, on_renew_change=_ignore)
