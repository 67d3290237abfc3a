"""Planner, in the second card: which of the encoder's layers are kept, and the teacher's own layers as a student."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from html import escape
from typing import Any

import streamlit as st

from core.api import Studio
from core.config import DataConfig, Plan, TaskConfig
from core.errors import ConfigError
from core.models.layers import SEPARABLE, kept_layers
from pages.ui.components import error_box
from pages.ui.format import duration
from pages.ui.forms_values import control
from pages.ui.planner_distil_facts import student_side
from pages.ui.planner_distil_known import described, distil_places, teachers_of
from pages.ui.planner_draft import Draft, anew, given, living, put, widget_key, within
from pages.ui.planner_jobs import ask, peek
from pages.ui.planner_making import choose_source
from pages.ui.planner_widgets import field, message
from pages.ui.theme import role_colour

__all__ = ["ALIKE", "CSS", "half_of", "kept_objections", "kept_part", "kept_strip", "take_layers", "taught_folder"]

_PATH = "model.keep_layers"
#: Kind of the question which layers are alike, for :func:`pages.ui.planner_jobs.watch`.
ALIKE = "alike"
_WAYS = {"all": "All layers", "many": "Some, spread evenly", "which": "Chosen ones"}
CSS = """
.bl-kept { display: flex; gap: 3px; margin: 0.1rem 0 0.2rem; max-width: 34rem; }
.bl-kept i {
  flex: 1 1 0; min-width: 0; height: 1.5rem; line-height: 1.5rem; border-radius: 4px; font-style: normal;
  font-size: 0.75rem; text-align: center; font-variant-numeric: tabular-nums; overflow: hidden;
  background: color-mix(in srgb, var(--bl-kept) 38%, transparent);
}
.bl-kept .off { background: none; border: 1px dashed color-mix(in srgb, currentColor 40%, transparent); opacity: 0.6; }
"""


def taught_folder(draft: Draft, studio: Studio) -> Mapping[str, Any] | None:
    """Return what is known of the first teacher of the plan, if a stage learns from one that lies on this machine."""
    for _, settings in distil_places(draft):
        for source in teachers_of(settings)[:1]:
            about = described(source, studio)
            if isinstance(about, dict) and not source.startswith("hub:"):
                return {**about, "folder": about.get("folder") or source}
    return None


def half_of(about: Mapping[str, Any]) -> int | None:
    """Return how many layers half of an encoder are; None where none can be taken away."""
    layers = about.get("layers")
    if not isinstance(layers, int) or layers < 2 or about.get("family") not in SEPARABLE:
        return None
    return layers // 2


def take_layers(source: str, keep: int | list[int] | None) -> None:
    """Make layers of an encoder the plan's student, from a callback."""
    choose_source(source)
    put(_PATH, keep)
    anew(_PATH)


def kept_objections(draft: Draft, about: object) -> dict[str, str]:
    """Return what is wrong with the layers that are kept of a described encoder, by field."""
    value = draft.state.get(_PATH)
    layers = about.get("layers") if isinstance(about, Mapping) else None
    if not isinstance(about, Mapping) or not isinstance(value, int | list) or not isinstance(layers, int):
        return {}
    numbers = [value] if isinstance(value, int) else [one for one in value if isinstance(one, int)]
    if max(numbers, default=0) > layers:
        return {_PATH: f"the encoder has {layers} layers"}
    if about.get("family") not in SEPARABLE:
        return {_PATH: f"layers of a {about.get('family')} encoder cannot be taken away one by one"}
    return {}


def kept_part(draft: Draft, studio: Studio, about: Mapping[str, Any]) -> None:
    """Draw which layers of the encoder are kept: all, so many, or these.

    Parameters
    ----------
    draft
        The draft.
    studio
        The facade.
    about
        The described encoder.
    """
    value, layers = draft.state.get(_PATH), about.get("layers")
    if not isinstance(layers, int) or layers < 2:
        _written(draft, value)
        return
    if about.get("family") not in SEPARABLE:
        if value is not None:
            message(draft, _PATH)
            st.button("Keep all layers", key="planner_keep_all", on_click=within(_keep), args=(None,))
        return
    now = _way_of(value)
    key = f"{widget_key(_PATH)}_way"

    def chosen() -> None:
        way = st.session_state[key]
        if way == _way_of(draft.state.get(_PATH)):
            return  # told again, when a person may have gone on from there
        kept = _kept(value, layers)
        put(_PATH, {"all": None, "many": max(1, layers // 2), "which": kept}[way])

    if key in st.session_state and st.session_state[key] != now:
        st.session_state[key] = draft.given[key] = now
    spec = control(_PATH)
    st.segmented_control(
        spec.label, list(_WAYS), default=given(key, now), required=True, key=key, width="stretch",
        on_change=living(_PATH, "_way", chosen), format_func=lambda way: _WAYS[way], help=spec.help,
    )  # fmt: skip
    if now == "many":
        _many(value, layers)
    elif now == "which":
        _which(value, layers)
    message(draft, _PATH)
    if now != "all":
        _drawn(about, value, layers)
        _by_likeness(draft, studio, value, layers)


def _way_of(value: object) -> str:
    return "all" if value is None else "which" if isinstance(value, list) else "many"


def _many(value: object, layers: int) -> None:
    key = f"{widget_key(_PATH)}_many"

    def slid() -> None:
        put(_PATH, int(st.session_state[key]))

    number = value if isinstance(value, int) else layers
    st.slider(
        "How many layers", 1, max(layers, number), value=given(key, number), step=1, key=key,
        on_change=living(_PATH, "_many", slid),
    )  # fmt: skip


def _which(value: object, layers: int) -> None:
    key = f"{widget_key(_PATH)}_which"
    numbers = [one for one in value if isinstance(one, int)] if isinstance(value, list) else []

    def picked() -> None:
        put(_PATH, sorted(int(one) for one in st.session_state[key] or []))

    st.pills(
        "Which layers", sorted({*range(1, layers + 1), *numbers}), selection_mode="multi", default=given(key, numbers),
        key=key, on_change=living(_PATH, "_which", picked), help="1 is the lowest.",
    )  # fmt: skip


def _drawn(about: Mapping[str, Any], value: object, layers: int) -> None:
    side = student_side(about, value)
    if side is None:
        return
    st.html(kept_strip(side.origins, layers))
    if side.parameters is not None and about.get("parameters"):
        st.caption(
            f":material/content_cut: {side.parameters / 1e6:.1f} M of {about['parameters'] / 1e6:.1f} M parameters "
            "stay, embeddings included."
        )


def _by_likeness(draft: Draft, studio: Studio, value: object, layers: int) -> None:
    """Offer as many layers, chosen so that each stands for neighbours that are much alike on the plan's rows."""
    number = value if isinstance(value, int) else len(value) if isinstance(value, list) else 0
    source = str(draft.state.get("model.source") or "")
    if not 0 < number < layers or source.startswith("hub:") or any(one.startswith("data.") for one in draft.problems):
        return
    nearest = draft.nearest()
    question = [source, number, nearest.model.max_length, *(one.model_dump(mode="json") for one in _rows(nearest))]
    job = peek(ALIKE, question)
    if job is None:
        st.button(
            "Choose by likeness", icon=":material/join_inner:", key="planner_keep_alike", type="tertiary",
            on_click=_compare, args=(studio, nearest, number, question),
            help="Measures how alike the layers are on training rows (linear CKA). Neighbours that are much alike are "
            "put together, and one of them stays for all.",
        )  # fmt: skip
    elif job.state == "running":
        st.caption(f":material/hourglass_top: Comparing the layers on training rows … {duration(int(job.seconds))}")
    elif job.state == "failed":
        error_box(job.error, title="The layers could not be compared")
    else:
        kept = [int(one) for one in job.answer["keep"]]
        if kept == _kept(value, layers):
            st.caption(":green[:material/check_circle: These are the layers that stand for those most like them.]")
            return
        row = st.container(horizontal=True, gap="small", vertical_alignment="center", key="planner_keep_row")
        row.caption(f"Most alike their neighbours: {', '.join(map(str, kept))}.", width="content")
        row.button(
            f"Keep {', '.join(map(str, kept))}", key="planner_keep_take", type="tertiary", on_click=within(_keep),
            args=(kept,),
        )  # fmt: skip


def _rows(plan: Plan) -> tuple[DataConfig, TaskConfig]:
    return plan.data, plan.task


def _compare(studio: Studio, plan: Plan, number: int, question: list[Any]) -> None:
    ask(
        ALIKE, question,
        partial(studio.models.alike_layers, plan.model.source, number, *_rows(plan), plan.model.max_length),
    )  # fmt: skip


def kept_strip(kept: tuple[int, ...], layers: int) -> str:
    """Return the layers of an encoder from left to right as HTML, those that are kept filled."""
    cells = "".join(
        f'<i{"" if number in kept else " class=off"} title="Layer {number} {"stays" if number in kept else "goes"}">'
        f"{number}</i>"
        for number in range(1, layers + 1)
    )
    words = escape(f"Layers {', '.join(map(str, kept))} of {layers} are kept", quote=True)
    colour = f"--bl-kept:{role_colour('student')}"
    return f'<div class="bl-kept" role="img" aria-label="{words}" style="{colour}">{cells}</div>'


def _written(draft: Draft, value: object) -> None:
    """Draw the plain field where nobody knows how many layers there are."""
    if value is not None:
        field(draft, _PATH)


def _kept(value: object, layers: int) -> list[int]:
    try:
        return kept_layers(value if isinstance(value, int | list) and value else None, layers)
    except (ConfigError, TypeError):
        return list(range(1, layers + 1))


def _keep(value: int | list[int] | None) -> None:
    put(_PATH, value)
    anew(_PATH)
