"""Planner: the fields of one stage, the common ones at first sight, the others folded away."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import streamlit as st

from pages.ui.format import metric_name, plain
from pages.ui.forms_fields import GATE_FIELDS, STAGE_FIELDS, STAGE_MORE
from pages.ui.forms_relevant import relevant
from pages.ui.forms_stages import dig, fresh_part, stage_count, stage_values
from pages.ui.forms_values import control
from pages.ui.planner_distil import distil_part
from pages.ui.planner_distil_known import first_teacher
from pages.ui.planner_draft import Draft, given, living, put, switch_part, sync, widget_key
from pages.ui.planner_map import Parameters
from pages.ui.planner_stage_rows import groups_table, objectives_table, space_table
from pages.ui.planner_stage_words import metrics_of, settings_of, start_choices, start_words
from pages.ui.planner_widgets import field, message
from pages.ui.studio import studio

__all__ = ["card_body"]

_PART_WORDS = {
    "gate": "What must be reached on the gate rows before the next stage begins.",
    "raise_if": "All rates are multiplied while the loss falls and the gradient's norm is steady.",
}


def card_body(
    draft: Draft,
    index: int,
    *,
    several: bool,
    parameters: Parameters | None,
    layers: int,
    between: Callable[[], None] | None = None,
) -> None:
    """Draw the fields of a stage.

    Parameters
    ----------
    draft
        The draft.
    index
        Position of the stage.
    several
        Whether the plan has other stages too: then name, kind and beginning stand on top.
    parameters
        The model's parameters, as soon as they are known.
    layers
        Number of the encoder's layers.
    between
        Draws what stands between the common fields and the folded ones.
    """
    kind = str(draft.state.get(f"stages.{index}.kind") or "train")
    prefix = f"stages.{index}"
    top = ("name", "kind", "start_from") if several else ()
    with st.container():
        for words in draft.loose:
            if words.startswith(f"{prefix}:"):
                st.error(plain(words.partition(": ")[2], 400), icon=":material/error:")
    if top:
        _fields(draft, index, top)
    if kind != "train" or several:
        _tests(draft, index, kind)
    if kind == "distil" and draft.state.get(f"{prefix}.distil") is not None:
        distil_part(draft, studio(), index)
    shown = [name for name in STAGE_FIELDS.get(kind, STAGE_FIELDS["train"]) if not name.startswith("range_test.")]
    if draft.state.get(f"{prefix}.steps") is not None:
        # Steps take the place of epochs: what does not count is folded away.
        shown = ["steps" if name == "epochs" else name for name in shown]
    _fields(draft, index, shown)
    if between is not None:
        with st.container():
            between()
    has_groups = bool(draft.state.get(f"{prefix}.groups"))
    if kind == "search":
        space_table(draft, index)
        objectives_table(draft, index, _metrics(draft))
    if has_groups:
        groups_table(draft, index, parameters, layers)
    gate_shown = kind in ("train", "distil") and (several or draft.state.get(f"{prefix}.gate") is not None)
    if gate_shown:
        _gate(draft, index)
    raise_shown = draft.state.get(f"{prefix}.raise_if") is not None
    if raise_shown:
        _part(draft, index, "raise_if")
    _folded(
        draft, index, kind, without={*top, *shown}, groups=not has_groups,
        gate=kind in ("train", "distil") and not gate_shown,
        raising=kind != "range_test" and not raise_shown, parameters=parameters, layers=layers,
    )  # fmt: skip


def _folded(
    draft: Draft,
    index: int,
    kind: str,
    *,
    without: set[str],
    groups: bool,
    gate: bool,
    raising: bool,
    parameters: Parameters | None,
    layers: int,
) -> None:
    sections: dict[str, list[str]] = {}
    seen = set(without)
    for title, listed in STAGE_MORE.items():
        if kind == "search" or title != "Values that are not searched":
            sections[title] = [name for name in listed if name not in seen]
            seen.update(listed)
    paths = [f"stages.{index}.{name}" for names in sections.values() for name in names]
    wrong = sum(path in draft.beside for path in paths)
    label = f"Advanced · {wrong} to mend" if wrong else "Advanced"
    with st.expander(label, expanded=bool(wrong), key=f"planner_more_stage_{draft.order[index]}"):
        for title, names in sections.items():
            kept = [name for name in names if relevant(f"stages.{index}.{name}", draft.state)]
            if not kept:
                continue
            st.markdown(f"**{title}**")
            _fields(draft, index, kept)
        if gate:
            _gate(draft, index)
        if raising:
            _part(draft, index, "raise_if")
        if groups:
            groups_table(draft, index, parameters, layers)


def _fields(draft: Draft, index: int, names: Sequence[str], *, columns: int = 3) -> None:
    """Draw fields of a stage in a grid; those without a meaning at the moment are left out."""
    shown = [name for name in names if relevant(f"stages.{index}.{name}", draft.state)]
    for start in range(0, len(shown), columns):
        row = st.columns(columns, gap="medium")
        for column, name in zip(row, shown[start : start + columns], strict=False):
            with column:
                if control(f"stages.{index}.{name}").widget == "toggle":
                    st.space("small")
                _field(draft, index, name)


def _field(draft: Draft, index: int, name: str) -> None:
    path = f"stages.{index}.{name}"
    stages = [stage_values(draft.state, place) for place in range(stage_count(draft.state))]
    if name == "start_from":
        begins, _ = start_choices(stages, index)
        field(draft, path, options=begins, format_func=start_words, free=False)
    elif name == "lr_from":
        _, tests = start_choices(stages, index)
        field(draft, path, options=tests, free=False, placeholder=None if tests else "there is no range test before")
    elif name in ("metric", "gate.metric"):
        field(draft, path, options=_metrics(draft), format_func=metric_name, free=False)
    elif name == "kind":
        field(draft, path, on_change=partial(_kind_changed, draft.order[index]))
    else:
        field(draft, path)


def _metrics(draft: Draft) -> list[str]:
    return metrics_of(str(draft.state.get("task.kind")), **settings_of(draft.state))


def _kind_changed(number: int) -> None:
    """Give a stage of another kind the parts that belong to that kind, and take away those that do not."""
    now = sync()
    index = now.order.index(number)
    kind = now.state[f"stages.{index}.kind"]
    switch_part(f"stages.{index}.search", kind == "search")
    switch_part(f"stages.{index}.range_test", kind == "range_test")
    switch_part(f"stages.{index}.distil", kind == "distil")
    if kind == "distil" and not dig(now.state, f"stages.{index}.distil.teachers.0.source"):
        put(f"stages.{index}.distil.teachers.0.source", first_teacher(now, studio()))
    if kind not in ("train", "distil"):
        switch_part(f"stages.{index}.gate", False)


def _gate(draft: Draft, index: int) -> None:
    """Draw the gate and what follows from it."""
    if _switch(draft, index, "gate"):
        with st.container(key=f"stage_part_gate_{draft.order[index]}"):
            _fields(draft, index, ("gate.metric", "gate.reference", "gate.min_delta"))
            _fields(draft, index, [name for name in GATE_FIELDS if name not in ("gate.metric", "gate.min_delta")])


def _part(draft: Draft, index: int, name: str) -> None:
    """Draw an optional part as a switch and its fields."""
    if _switch(draft, index, name):
        with st.container(key=f"stage_part_{name}_{draft.order[index]}"):
            _fields(draft, index, [f"{name}.{key}" for key in fresh_part(name)])


def _switch(draft: Draft, index: int, name: str) -> bool:
    path = f"stages.{index}.{name}"
    key = f"{widget_key(path)}_on"
    on = draft.state.get(path) is not None

    def turned() -> None:
        switch_part(path, bool(st.session_state[key]))

    given(key, on)
    st.toggle(control(path).label, value=on, key=key, on_change=living(path, "_on", turned), help=_PART_WORDS[name])
    message(draft, path)
    return on


def _tests(draft: Draft, index: int, kind: str) -> None:
    """Draw the settings of a range test; a plan may leave them out, then the defaults hold."""
    if kind != "range_test":
        return
    path = f"stages.{index}.range_test"
    if dig(draft.state, path) is None:
        row = st.container(horizontal=True, vertical_alignment="center", gap="small")
        row.caption("The test has its default settings.")
        row.button("Change them", key=f"{widget_key(path)}_own", on_click=switch_part, args=(path, True))
        return
    _fields(draft, index, [name for name in STAGE_FIELDS["range_test"] if name.startswith("range_test.")])
