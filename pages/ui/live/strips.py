"""Registers the strips of pinned sentences with Streamlit and mounts them; as the live plot they pull what is new."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from core.runs.joint_tasks import parted
from core.runs.records import RunRecord
from pages.ui import keys, tokens
from pages.ui.live.component import COLOURS
from pages.ui.loader import LOADER
from pages.ui.routes import asset_url, base_path
from pages.ui.studio import studio

__all__ = ["live_strips"]

_mount = st.components.v2.component(
    "bertloom_strips",
    css=(Path(__file__).parent / "strips.css").read_text(encoding="utf-8"),
    js=LOADER,
    isolate_styles=False,
)


def _ignore() -> None:
    """A renewal needs nothing but the rerun that it causes."""


def live_strips(run: RunRecord, pins: Sequence[Mapping[str, Any]], *, key: str = keys.STRIPS) -> None:
    """Show how far student and teacher are apart on pinned sentences, word by word and step by step, live.

    Parameters
    ----------
    run
        The run, or a task of a joint run as one.
    pins
        Its pins, as :meth:`core.runs.desk.RunDesk.pins` returns them.
    key
        Key of the component.
    """
    whole, task = parted(run.id)
    data = {
        "run": whole,
        "task": task,
        "token": tokens.issue(studio().home, whole),
        "address": f"{base_path()}/bertloom/watched",
        "script": asset_url("strips.js"),
        "pins": [{name: one.get(name) for name in ("id", "text", "pair", "gold")} for one in pins],
        "colours": COLOURS,
    }
    _mount(key=key, data=data, on_renew_change=_ignore)
