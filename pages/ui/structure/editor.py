"""The tab Layers: a shape by hand, its drawing, its cost, what it inherits, and what can be done with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from core.api import Studio
from core.config.shape import EncoderShape
from core.errors import BertloomError, ConfigError
from core.models.shaped import count
from pages.ui.components import error_box
from pages.ui.format import plain
from pages.ui.structure import editor_meter, editor_rows
from pages.ui.structure.drawing import show_drawing
from pages.ui.structure.editor_form import shape_of_yaml, yaml_of
from pages.ui.structure.editor_handover import Subject, handover
from pages.ui.structure.editor_inherit import Inheritance, inheritance, inheritance_part
from pages.ui.structure.editor_meter import meter_html, meters, millions
from pages.ui.structure.editor_presets import PRESETS, parent_shape, preset
from pages.ui.structure.editor_rows import further_fields, layer_table, shape_fields
from pages.ui.structure.editor_state import Editor, load, sync
from pages.ui.theme import SIGNAL, mode, palette

__all__ = ["parents", "show"]

_CSS = f"<style>{editor_meter.CSS}{editor_rows.CSS}</style>"
_PROBLEM = "layers_problem"
_MOST_BYTES = 1_000_000
_BUDGET = "layers_budget"


def show(studio: Studio, *, parent: str = "bundled", statistics: Mapping[str, Any] | None = None) -> None:
    """Draw the editor of layers.

    Parameters
    ----------
    studio
        The facade.
    parent
        Source of the parent that the page is about; another one can be chosen here.
    statistics
        What was measured of that parent (:func:`core.search.statistics.statistics`): it says which layers are
        inherited, and how wide they should be.
    """
    st.fragment(_editor)(studio, parent, statistics)


def parents(studio: Studio) -> dict[str, Mapping[str, Any]]:
    """Return the local models by source, the bundled one first, each as the studio describes it."""
    return {str(model["source"]): model for model in studio.models.list()}


def _editor(studio: Studio, parent: str, statistics: Mapping[str, Any] | None) -> None:
    st.html(_CSS)
    now = sync()
    if now.offered != parent:  # the page is about another parent now
        now.offered = now.parent = parent
    # What these two hold is needed above the place where they are drawn.
    now.parent = st.session_state.get(_parent_key(now), now.parent)
    now.share = st.session_state.get(_BUDGET, 100 * now.share) / 100
    known = parents(studio)
    about = _about(studio, now, known)
    own, refused = None, None
    try:
        own = parent_shape(about) if about is not None else None
    except ConfigError as error:
        refused = error
    measured = statistics if now.parent == parent else None
    budget = max(1, round(now.share * count(own).body)) if own is not None else None
    found = Inheritance(problem=refused) if refused else inheritance(own, now.good, measured)
    _bar(studio, now, own, measured, budget, found)
    problem = st.session_state.pop(_PROBLEM, None)
    if problem is not None:
        error_box(problem, title="The shape stays as it was")
    left, right = st.columns([10, 9], gap="large")
    with left:
        _parent(now, known)
        with st.container(border=True, gap="small", key="layers_form"):
            shape_fields(now)
            layer_table(now)
            further_fields(now)
    with right:
        _picture(now, own, found)
        _meter(now, own)
    title = str((about or {}).get("title") or now.parent)
    inheritance_part(found, title)


def _parent_key(now: Editor) -> str:
    return f"layers_parent_{now.offered}"


def _about(studio: Studio, now: Editor, known: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any] | None:
    if now.parent in known:
        return known[now.parent]
    if now.parent.startswith("hub:"):  # looking at it would download it
        return None
    try:
        return studio.models.describe(now.parent)
    except BertloomError:
        return None


def _parent(now: Editor, known: Mapping[str, Mapping[str, Any]]) -> None:
    options = list(dict.fromkeys([*known, now.parent]))
    st.selectbox(
        "Parent", options, index=options.index(now.parent), key=_parent_key(now),
        format_func=lambda one: str((known.get(one) or {}).get("title") or one)[:80],
        help="The encoder that the shape is compared with and inherits its weights from.",
    )  # fmt: skip


def _bar(
    studio: Studio, now: Editor, parent: EncoderShape | None, statistics: Mapping[str, Any] | None,
    budget: int | None, found: Inheritance,
) -> None:  # fmt: skip
    """Draw what fills the form and what can be done with the shape."""
    row = st.container(horizontal=True, gap="small", vertical_alignment="center", key="layers_bar")
    with row.popover("Presets", icon=":material/bookmarks:", key="layers_presets"):
        for name, one in PRESETS.items():
            missing = one.needs == "parent" and parent is None
            missing = missing or (one.needs == "statistics" and (statistics is None or parent is None))
            words = one.words
            if missing and one.needs == "statistics":
                words = "The parent has to be measured first (tab Statistics)."
            st.button(
                one.title, key=f"layers_preset_{name}", on_click=_take_preset, args=(name, parent, budget, statistics),
                disabled=missing, width="stretch", help=words,
            )  # fmt: skip
    with row.popover("Settings file", icon=":material/description:", key="layers_file_box"):
        st.file_uploader(
            "Fill the form from a YAML or JSON file", type=["yaml", "yml", "json"], key="layers_file",
            on_change=_take_file,
            help="What “Shape as YAML” gives, also after a change by hand; keys that are left out are as usual.",
        )  # fmt: skip
        if now.shape is not None:
            st.code(yaml_of(now.shape), language="yaml", height=260)
    if now.origin:
        row.caption(f":material/subdirectory_arrow_right: from {plain(now.origin, 80)}", width="stretch")
    subject = Subject(now.shape, now.parent, found, name=_name(now.good))
    handover(studio, subject, row, key="layers")


def _name(shape: EncoderShape) -> str:
    widths = [layer.width for layer in shape.layers]
    if len(set(widths)) == 1:
        return f"{len(widths)} × {widths[0]}"
    shown = "-".join(map(str, widths[:8]))
    return shown if len(widths) <= 8 else f"{shown}-… ({len(widths)} layers)"


def _picture(now: Editor, parent: EncoderShape | None, found: Inheritance) -> None:
    with st.container(border=True, gap="small", key="layers_drawing"):
        show_drawing(now.good, key="layers_picture", parent=parent, origins=found.origins, stale=now.shape is None)
        words = "Blue: heads · green: FFN units by four · orange: linear maps · grey: the stream"
        if now.shape is None:
            words = "The last shape that fitted together; the fields with a message need mending."
        elif parent is not None and found.origins:
            words += " · violet: the parent's layers that give weights"
        st.caption(words)


def _meter(now: Editor, parent: EncoderShape | None) -> None:
    with st.container(border=True, gap="small", key="layers_meter"):
        budget = None
        if parent is not None:
            body = count(parent).body
            st.slider(
                "Budget: share of the parent's parameters between embeddings and pooler", 5, 150,
                round(100 * now.share), 5, format="%d %%", key=_BUDGET,
            )  # fmt: skip
            budget = max(1, round(now.share * body))
            st.caption(
                f"{millions(budget)} of {millions(body)} parameters. Presets and the search keep to it within 3 %."
            )
        shown = meters(now.good, parent, budget)
        st.html(meter_html(shown, good=palette()[0], over=SIGNAL[mode()]["bad"]))
        st.caption(
            "Operations of one forward pass; memory with Adam in fp32 and a micro-batch of 16 × 128 sub-words. All by "
            "formula, nothing is built. Solid mark: the parent; dashed mark: the budget."
        )


def _take_preset(
    name: str, parent: EncoderShape | None, budget: int | None, statistics: Mapping[str, Any] | None
) -> None:
    try:
        load(preset(name, parent, budget or 1, statistics), PRESETS[name].title.lower())
    except ConfigError as error:
        st.session_state[_PROBLEM] = error


def _take_file() -> None:
    file = st.session_state.get("layers_file")
    if file is None:
        return
    try:
        if file.size > _MOST_BYTES:
            raise ConfigError("The file is larger than 1 MB.", where=file.name, expected="a YAML file of a few kB")
        try:
            text = file.getvalue().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise ConfigError("The file is not UTF-8 text.", where=file.name, expected="a YAML file") from error
        load(shape_of_yaml(text, file.name), file.name)
    except BertloomError as error:
        st.session_state[_PROBLEM] = error
