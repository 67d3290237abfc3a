"""The freeze map as a component: a matrix of stages and units that is read at a glance and changed by clicks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import streamlit as st

from core.errors import ConfigError
from core.training.groups import unit_names
from pages.ui.components import notice
from pages.ui.forms import stage_from_values
from pages.ui.forms_stages import Values, stage_values
from pages.ui.loader import LOADER
from pages.ui.planner_draft import Draft, once, put, row_action, sync, turn_card
from pages.ui.planner_map import Cell, span, toggled, trained_share, trained_words
from pages.ui.planner_stage_words import rate_words
from pages.ui.routes import asset_url

__all__ = ["MAP", "clicked", "freeze_map", "map_rows"]

#: Key of the component.
MAP = "planner_map"

_mount = st.components.v2.component(
    "bertloom_freeze_map",
    css=(Path(__file__).parent / "planner" / "map.css").read_text(encoding="utf-8"),
    js=LOADER,
    isolate_styles=False,
)


def freeze_map(
    draft: Draft, stages: Sequence[Values], rows: Sequence[Sequence[Cell] | None], layers: int, *, key: str = MAP
) -> None:
    """Show what each stage does to each unit of the encoder; a click freezes or trains a unit.

    Parameters
    ----------
    draft
        The draft.
    stages
        Values of its stages.
    rows
        Their cells, ``None`` for a stage that is not valid.
    layers
        Number of the encoder's layers.
    key
        Key of the component.
    """
    units = unit_names(layers)
    limits = span([row for row in rows if row is not None])
    data = {
        "script": asset_url("map.js"),
        "several": len(stages) > 1,
        "label": f"What is trained: {len(stages)} stages by {len(units)} units",
        "units": [{"name": unit, "short": _short(unit)} for unit in units],
        "rows": map_rows(draft.order, stages, rows, units),
        "legend": {
            "low": rate_words(limits[0]) if limits else "",
            "high": rate_words(limits[1]) if limits else "",
            "searched": any(cell.state == "searched" for row in rows if row for cell in row),
            "hint": "Colour: learning rate. Click a unit to freeze or train it.",
        },
    }
    react = partial(_react, key, layers)
    _mount(key=key, data=data, on_cell_change=react, on_open_change=react)


def map_rows(
    numbers: Sequence[int], stages: Sequence[Values], rows: Sequence[Sequence[Cell] | None], units: Sequence[str]
) -> list[dict[str, Any]]:
    """Return the rows of the map as the component draws them: words, states and strengths (0 to 1) of the colour."""
    limits = span([row for row in rows if row is not None])
    found = []
    for number_, values, row in zip(numbers, stages, rows, strict=True):
        share = trained_share(row) if row else None
        name = str(values.get("name") or "")
        cells = [_cell(cell, limits, name) for cell in row] if row else [_unknown(unit, name) for unit in units]
        found.append(
            {
                "id": number_,
                "name": name,
                "on": bool(values.get("enabled", True)),
                "cells": cells,
                "share": _millions(share[0]) if share else "",
                "words": trained_words(row) if row else "",
            }
        )
    return found


def clicked(stage: int, unit: str, layers: int) -> None:
    """Freeze a unit of a stage, or train it again; `stage` is the number that its widgets have."""
    now = sync()
    if stage not in now.order:
        return
    index = now.order.index(stage)
    found = stage_from_values(stage_values(now.state, index))
    if found is None:
        return
    try:
        changed = toggled(found, layers, unit)
    except ConfigError as error:
        notice(f"{error.what} {error.advice or ''}".strip())
        return
    for name in ("freeze_encoder", "freeze_layers"):
        put(f"stages.{index}.{name}", changed[name])
    if changed["groups"] != now.state[f"stages.{index}.groups"]:
        row_action(f"stages.{index}.groups", lambda _: changed["groups"])


def _react(key: str, layers: int) -> None:
    state = st.session_state.get(key) or {}
    # Each click has its own time of day, so that quick clicks on one unit all count, and one told twice counts once.
    if cell := state.get("cell"):
        once(f"map {cell['click']}", clicked)(int(cell["stage"]), str(cell["unit"]), layers)
    elif opened := state.get("open"):
        once(f"map {opened['click']}", turn_card)(int(opened["stage"]))


def _cell(cell: Cell, limits: tuple[float, float] | None, stage: str) -> dict[str, Any]:
    if cell.state == "frozen":
        words, text, strength = "frozen", "", 0.0
    elif cell.state == "searched":
        words, text, strength = "decided by the search", "?", 0.0
    else:
        low, high = rate_words(cell.low), rate_words(cell.high)
        words = f"learning rate {high}" if low == high else f"learning rates {low} to {high}"
        text, strength = high, _strength(cell.high, limits)
        if cell.trained is not None and cell.parameters is not None and cell.trained < cell.parameters:
            words += ", in part"
    size = "" if cell.parameters is None else f", {_millions(cell.parameters)} parameters"
    return {
        "state": cell.state, "text": text, "strength": strength, "click": cell.state != "searched",
        "title": f"{stage}: {cell.unit}, {words}{size}",
    }  # fmt: skip


def _unknown(unit: str, stage: str) -> dict[str, Any]:
    title = f"{stage}: {unit}, shown when the stage's fields are mended"
    return {"state": "unknown", "text": "", "strength": 0.0, "click": False, "title": title}


def _strength(rate: float | None, limits: tuple[float, float] | None) -> float:
    """Return how strong the colour of a rate is, on a logarithmic scale between the lowest and the highest."""
    if not rate or limits is None:
        return 0.0
    low, high = limits
    if high <= low:
        return 1.0
    return min(max((math.log(rate) - math.log(low)) / (math.log(high) - math.log(low)), 0.0), 1.0)


def _short(unit: str) -> str:
    return {"embeddings": "Emb", "head": "Head"}.get(unit, unit.removeprefix("layer "))


def _millions(count: int) -> str:
    if count >= 1_000_000:
        return f"{count / 1e6:.1f} M"
    return f"{count / 1e3:.1f} k" if count >= 10_000 else f"{count:,}"
