"""Planner: the lists of a stage as tables to edit: parameter groups, searched fields, objectives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from pages.ui.format import count, metric_name, plain
from pages.ui.forms_fields import shown_paths
from pages.ui.forms_relevant import relevant
from pages.ui.forms_stages import LISTS, dig, stage_paths
from pages.ui.forms_values import control
from pages.ui.planner_draft import Draft, add_row, given, living, once, row_action, widget_key
from pages.ui.planner_draft import draft as present
from pages.ui.planner_map import Parameters, matched
from pages.ui.planner_widgets import field, message

__all__ = ["groups_table", "objectives_table", "searchable", "space_table"]

_KINDS = {"range": "Range", "log": "Logarithmic range", "choices": "List of values"}
_OBJECTIVES = ("seconds", "parameters")
#: Fields that the schema refuses in a search, because they are the same for all trials.
_HELD = (
    "name", "kind", "enabled", "start_from", "lr_from", "seed", "metric", "gate", "on_pass", "on_fail", "max_retries",
    "on_exhausted", "range_test", "search", "distil", "cache_activations", "cache_limit_mb", "groups",
)  # fmt: skip


def groups_table(draft: Draft, index: int, parameters: Parameters | None, layers: int) -> None:
    """Draw the parameter groups: pattern, rate, weight decay, frozen, and how much each pattern matches."""
    path = f"stages.{index}.groups"
    rows = dig(draft.state, path)
    st.markdown(f"**{control(path).label}**", help=control(path).key.description + " The first that matches wins.")
    message(draft, path)
    if not isinstance(rows, list):
        return
    for number, row in enumerate(rows):
        one = f"{path}.{number}"
        with st.container(border=True, key=f"{widget_key(one + '.pattern')}_row"):
            columns = st.columns([4, 3, 3, 3, 1], gap="small", vertical_alignment="bottom")
            for column, name in zip(columns, ("pattern", "lr", "weight_decay", "frozen"), strict=False):
                with column:
                    field(draft, f"{one}.{name}")
            with columns[-1]:
                _remove(path, number)
            if parameters is not None and isinstance(row.get("pattern"), str):
                tensors, numbers = matched(row["pattern"], parameters, layers)
                st.caption(
                    f"Matches {count(numbers)} parameters in {count(tensors)} tensors."
                    if tensors
                    else ":orange[:material/warning: Matches no parameter of this encoder.]"
                )
    _add("Add a group", path)


def space_table(draft: Draft, index: int) -> None:
    """Draw what a search may choose from, a row a field."""
    path = f"stages.{index}.search.space"
    rows = dig(draft.state, path)
    st.markdown(f"**{control(f'stages.{index}.search').label} space**", help="Fields of this stage that trials change.")
    message(draft, path)
    if not isinstance(rows, list):
        return
    known = searchable(draft, index)
    for number, row in enumerate(rows):
        one = f"{path}.{number}"
        with st.container(border=True, key=f"{widget_key(one + '.field')}_row"):
            columns = st.columns([5, 5, 1], gap="small", vertical_alignment="bottom")
            with columns[0]:
                field(draft, f"{one}.field", options=known, format_func=_field_words)
            with columns[1]:
                _kind(path, number, row)
            with columns[2]:
                _remove(path, number)
            message(draft, one)
            ranged = ["low", "high", "fixed"] if row.get("log") else ["low", "high", "step", "fixed"]
            names = ranged if row.get("choices") is None else ["choices", "fixed"]
            for column, name in zip(st.columns(len(names), gap="small"), names, strict=True):
                with column:
                    field(draft, f"{one}.{name}")
    _add("Search another field", path)


def objectives_table(draft: Draft, index: int, metrics: Sequence[str]) -> None:
    """Draw what a search makes as good as it can; without rows it is the stage's metric."""
    path = f"stages.{index}.search.objectives"
    rows = dig(draft.state, path)
    if not isinstance(rows, list):
        return
    if rows:
        st.markdown(f"**{control(path).label}**", help=control(path).key.description)
    message(draft, path)
    for number in range(len(rows)):
        columns = st.columns([5, 5, 1], gap="small", vertical_alignment="bottom")
        with columns[0]:
            field(draft, f"{path}.{number}.metric", options=[*metrics, *_OBJECTIVES], format_func=metric_name)
        with columns[1]:
            field(draft, f"{path}.{number}.direction")
        with columns[2]:
            _remove(path, number)
    if len(rows) < 3:
        taken = [row.get("metric") for row in rows]
        free = [name for name in (*metrics, *_OBJECTIVES) if name not in taken]
        _add("Add an objective", path, {"metric": free[0], "direction": None} if free else None)


def searchable(draft: Draft, index: int) -> list[str]:
    """Return the fields of a stage that a search may change."""
    prefix = f"stages.{index}."
    own = [name for name in stage_paths() if name.partition(".")[0] not in (*_HELD, "raise_if", "class_weights")]
    own = [name for name in own if name not in ("optimizer.betas", "schedule.options")]
    inside = [
        path.removeprefix(prefix)
        for path in shown_paths(draft.state)
        if path.startswith((f"{prefix}raise_if.", f"{prefix}groups."))
    ]
    first = ["lr", "head_lr", "batch_size", "layer_decay", "freeze_layers", "epochs", "schedule.warmup", "dropout"]
    rest = [name for name in own if name not in first and relevant(prefix + name, draft.state)]
    return [*first, *rest, *inside]


def _field_words(name: str) -> str:
    """Return a searched field's label with its key; a key that the form does not know stands alone."""
    try:
        return f"{control(f'stages.0.{name}').label} ({name})"
    except KeyError:
        return name


def _kind(path: str, number: int, row: dict[str, Any]) -> None:
    """Draw how a row's values are given: range, logarithmic range or list."""
    low = f"{path}.{number}.low"
    key = f"{widget_key(low)}_kind"
    is_now = _kind_of(row)

    def chosen() -> None:
        kind = st.session_state[key]
        held = dig(present().state, path)
        if isinstance(held, list) and number < len(held) and kind == _kind_of(held[number]):
            return  # told again, when a person may have gone on from there

        def change(rows: list[Any]) -> list[Any]:
            rows[number] = _of_kind(rows[number], kind)
            return rows

        row_action(path, change)

    given(key, is_now)
    st.selectbox(
        "Values", list(_KINDS), index=list(_KINDS).index(is_now), key=key, on_change=living(low, "_kind", chosen),
        format_func=lambda kind: _KINDS[kind],
    )  # fmt: skip


def _kind_of(row: dict[str, Any]) -> str:
    return "choices" if row.get("choices") is not None else "log" if row.get("log") else "range"


def _of_kind(row: dict[str, Any], kind: str) -> dict[str, Any]:
    """Return a row of the space whose values are given in another way, with what it holds already where that fits."""
    low, high = row.get("low"), row.get("high")
    if kind == "choices":
        given_both = low is not None and high is not None
        choices = row.get("choices") or ([low, high] if given_both else [16, 32])
        return {**row, "low": None, "high": None, "log": False, "step": None, "choices": choices}
    numbers = [one for one in row.get("choices") or () if isinstance(one, int | float) and not isinstance(one, bool)]
    if low is None or high is None:
        low, high = (min(numbers), max(numbers)) if len(numbers) > 1 else (LISTS["search.space"]["low"], 1.0)
    if kind == "log" and low <= 0:
        low = min(1e-5, high / 100) if high > 0 else 1e-5
    step = None if kind == "log" else row.get("step")
    return {**row, "low": low, "high": high, "log": kind == "log", "step": step, "choices": None}


def _remove(path: str, number: int) -> None:
    def without(rows: list[Any]) -> list[Any]:
        return rows[:number] + rows[number + 1 :]

    st.button(
        "", icon=":material/close:", key=f"{widget_key(f'{path}.{number}.x')}_remove", type="tertiary",
        help="Remove this row", on_click=once(f"remove {path}", row_action), args=(path, without),
    )  # fmt: skip


def _add(label: str, path: str, row: dict[str, Any] | None = None) -> None:
    add = once(f"add {path}", add_row)
    st.button(
        plain(label), icon=":material/add:", key=f"{widget_key(path)}_add", type="tertiary", on_click=add,
        args=(path, row),
    )  # fmt: skip
