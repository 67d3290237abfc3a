"""Planner: the losses between layers of a distillation, a row each: kind, weight, layers, distance, map, schedule."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import partial
from typing import Any

import streamlit as st

from core.api import Studio
from pages.ui.forms_stages import fresh_row
from pages.ui.forms_values import control, words_for
from pages.ui.planner_distil_facts import Side, layer_map
from pages.ui.planner_distil_known import settings_of
from pages.ui.planner_distil_pairs import pairs_part
from pages.ui.planner_draft import Draft, add_row, given, living, once, put, row_action, widget_key
from pages.ui.planner_slider import slider_field
from pages.ui.planner_widgets import field, fields, message

__all__ = ["CSS", "MOST_LOSSES", "losses_part", "with_pair"]

MOST_LOSSES = 8
HAND = "hand"
#: What a loss of a kind begins with, where that is not the schema's default.
_BEGIN: dict[str, dict[str, Any]] = {
    "hidden": {"layers": "uniform"}, "attention": {"layers": "uniform"}, "relation": {"layers": "last"},
    "embedding": {"layers": "uniform"},
}  # fmt: skip
_FIELDS = ("distance", "positions", "map", "heads", "schedule.name", "schedule.to", "schedule.begin", "schedule.end")
CSS = """
[class*="st-key-distil_pair_"] { flex-wrap: nowrap; align-items: center; }
[class*="st-key-distil_pair_"] > div:first-child { flex: 0 0 4rem; min-width: 4rem; width: 4rem; }
[class*="st-key-distil_pair_"] > div:last-child { flex: 1 1 0; min-width: 0; }
[class*="st-key-distil_pair_"] [role="toolbar"] { flex-wrap: wrap; overflow: visible; }
[class*="st-key-distil_loss_head_"] { flex-wrap: nowrap; }
[class*="st-key-distil_loss_head_"] > div { min-width: 0; }
"""


def losses_part(draft: Draft, studio: Studio, index: int, student: Side | None, teacher: Side | None) -> None:
    """Draw the rows of losses, and what can be added.

    Parameters
    ----------
    draft
        The draft.
    studio
        The facade.
    index
        Position of the stage.
    student, teacher
        Both sides; None where nobody can describe them.
    """
    path = f"stages.{index}.distil.states"
    rows = settings_of(draft, index).get("states") or []
    st.markdown(f"**{control(path).label}**", help=control(path).key.description)
    if not rows:
        st.caption("None: the student learns from the teacher's answers, which are computed once.")
    message(draft, path)
    for number in range(len(rows)):
        with st.container(border=True, gap="small", key=f"distil_loss_{draft.order[index]}_{number}"):
            _row(draft, studio, index, number, student, teacher)
    if len(rows) < MOST_LOSSES:
        _adding(draft, index)


def with_pair(pairs: list[list[int]], own: int, others: list[int]) -> list[list[int]]:
    """Return a map of layers in which a layer of the student learns from exactly these of the teacher."""
    kept = [[int(one), int(other)] for one, other in pairs if one != own]
    return sorted([*kept, *([own, other] for other in others)])


def _row(
    draft: Draft, studio: Studio, index: int, number: int, student: Side | None, teacher: Side | None
) -> None:  # fmt: skip
    path = f"stages.{index}.distil.states.{number}"
    row = settings_of(draft, index)["states"][number]
    head = st.container(
        horizontal=True, gap="small", vertical_alignment="bottom", key=f"distil_loss_head_{draft.order[index]}_{number}"
    )
    with head.container(width="stretch"):
        field(draft, f"{path}.kind")
    _button(draft, index, number, "content_copy", "Duplicate this loss", partial(_twice, number), head)
    _button(draft, index, number, "close", "Remove this loss", partial(_without, number), head)
    slider_field(draft, f"{path}.weight")
    if row.get("kind") != "embedding":
        _way(draft, path, row, student, teacher)
        if row.get("layers") == "cka" and student is not None and teacher is not None:
            pairs_part(draft, studio, index, key=f"distil_find_{draft.order[index]}_{number}")
    fields(draft, [f"{path}.{name}" for name in _FIELDS], columns=2)
    message(draft, path)


def _button(draft: Draft, index: int, number: int, icon: str, words: str, change: Any, place: Any) -> None:
    path = f"stages.{index}.distil.states"
    place.button(
        "", icon=f":material/{icon}:", key=f"{widget_key(f'{path}.{number}.x')}_{icon}", type="tertiary", help=words,
        on_click=once(f"{icon} {path}", row_action), args=(path, change),
    )  # fmt: skip


def _way(draft: Draft, path: str, row: Mapping[str, Any], student: Side | None, teacher: Side | None) -> None:
    """Draw how layers are paired: by a rule, or by hand."""
    layers = f"{path}.layers"
    value = row.get("layers")
    if not isinstance(value, str | list) or (isinstance(value, list) and (student is None or teacher is None)):
        field(draft, layers)  # nobody knows how many layers there are: pairs are written
        return
    spec = control(layers)
    key = f"{widget_key(layers)}_way"
    now = HAND if isinstance(value, list) else value
    rules = ["uniform", "skip", "last", "cka"]
    known = [*rules, HAND] if student is not None and teacher is not None else rules
    known += [] if now in known else [now]

    def chosen() -> None:
        way = st.session_state[key]
        if way == HAND and student is not None and teacher is not None:
            found = layer_map(value, student.layers, teacher.layers)
            found = found or layer_map("uniform", student.layers, teacher.layers) or []
            put(layers, [[own, other] for own, other in found])
        elif way and way != HAND:
            put(layers, way)

    if key in st.session_state and st.session_state[key] != now:
        st.session_state[key] = draft.given[key] = now
    st.selectbox(
        spec.label, known, index=known.index(given(key, now)), key=key, help=spec.help,
        on_change=living(layers, "_way", chosen),
        format_func=lambda one: "By hand" if one == HAND else words_for(layers, one),
    )  # fmt: skip
    if isinstance(value, list) and student is not None and teacher is not None:
        _pairs(draft, layers, value, student, teacher)
    message(draft, layers)


def _pairs(draft: Draft, path: str, pairs: list[Any], student: Side, teacher: Side) -> None:
    """Draw a line for each layer of the student, with the teacher's layers that it learns from."""
    usable = [[int(one[0]), int(one[1])] for one in pairs if isinstance(one, list) and len(one) == 2]
    own = sorted({*range(1, student.layers + 1), *(one for one, _ in usable)})
    others = sorted({*range(1, teacher.layers + 1), *(other for _, other in usable)})
    st.caption("For each of the student's layers, the teacher's layers that it learns from.")
    for layer in own:
        key = f"{widget_key(path)}_pair_{layer}"
        now = [other for one, other in usable if one == layer]

        def picked(layer: int = layer, key: str = key) -> None:
            put(path, with_pair(usable, layer, [int(one) for one in st.session_state[key] or []]))

        line = st.container(horizontal=True, gap="small", key=f"distil_pair_{widget_key(path)}_{layer}")
        line.caption(f"Layer {layer}")
        line.pills(
            f"Layers that layer {layer} learns from", others, selection_mode="multi", default=given(key, now), key=key,
            label_visibility="collapsed", on_change=living(path, f"_pair_{layer}", picked),
        )  # fmt: skip


def _adding(draft: Draft, index: int) -> None:
    path = f"stages.{index}.distil.states"
    key = f"{widget_key(path)}_add"

    def chosen() -> None:
        kind = st.session_state[key]
        once(f"{key} {kind}", add_row)(path, {**fresh_row("distil.states"), "kind": kind, **_BEGIN[kind]})

    st.menu_button(
        "Add a loss between layers", list(_BEGIN), key=key, icon=":material/add:", on_click=chosen, type="tertiary",
        format_func=lambda kind: words_for(f"{path}.0.kind", kind),
        help="The teacher then runs in every step: its layers are not kept.",
    )  # fmt: skip


def _without(number: int, rows: list[Any]) -> list[Any]:
    return rows[:number] + rows[number + 1 :]


def _twice(number: int, rows: list[Any]) -> list[Any]:
    return [*rows[: number + 1], copy.deepcopy(rows[number]), *rows[number + 1 :]]
