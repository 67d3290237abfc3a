"""Planner: ready plans to begin with. Choosing one fills the stages; data, model and runtime stay."""

from __future__ import annotations

import streamlit as st

from core.config.templates import Template, templates
from core.errors import BertloomError
from pages.ui.components import error_box, notice
from pages.ui.format import plain
from pages.ui.forms import values_of_stage
from pages.ui.planner_draft import Draft, draft, once, replace_stages, sync
from pages.ui.planner_map import cells
from pages.ui.planner_recipes import recipes_part
from pages.ui.planner_stage_words import summary

__all__ = ["OPEN", "close_gallery", "gallery", "open_gallery", "use_template"]

#: Whether the dialog is open.
OPEN = "planner_gallery_open"


def open_gallery() -> None:
    """Open the dialog, from a callback. It stays open when an answer of the core lets the page be drawn again."""
    st.session_state[OPEN] = True


def close_gallery() -> None:
    """Close the dialog, from a callback or before the page is drawn again."""
    st.session_state[OPEN] = False


@st.dialog("Ready plans", width="large", icon=":material/auto_awesome_motion:", on_dismiss=close_gallery)
def gallery(layers: int) -> None:
    """Show the ready plans, each with what its stages do for this encoder.

    Parameters
    ----------
    layers
        Number of the encoder's layers.
    """
    now = draft()
    tuning, teaching = st.tabs(["Tuning", "Learning from a teacher"], key="gallery_tabs")
    with teaching:
        recipes_part(now, close_gallery)
    with tuning:
        st.caption("A ready plan takes the place of the stages. Data, model and runtime stay as they are.")
        _templates(now, layers)


def _templates(now: Draft, layers: int) -> None:
    for template in templates():
        with st.container(border=True, gap="small", key=f"template_{template.name}"):
            row = st.container(horizontal=True, vertical_alignment="center", gap="small")
            row.container(width="stretch").markdown(f"**{plain(template.title)}**")
            try:
                lines = _stages(now, template, layers)
            except BertloomError as error:
                error_box(error)
                continue
            if row.button(
                "Use", key=f"template_use_{template.name}", help=f"Use {template.title}",
                on_click=once(f"use {template.name}", use_template), args=(template, layers),
            ):  # fmt: skip
                close_gallery()
                st.rerun()
            st.markdown(plain(template.about))
            st.markdown("\n".join(f"{place}. {line}" for place, line in enumerate(lines, 1)))
            st.caption(plain(template.source))


def use_template(template: Template, layers: int) -> None:
    """Put a ready plan's stages into the draft.

    Raises
    ------
    ConfigError
        If the encoder has too few layers for it.
    """
    now = sync()
    nearest = now.nearest()
    plan = template.plan(nearest.data, nearest.task, nearest.model, layers)
    replace_stages([values_of_stage(stage) for stage in plan.stages], [None] * len(plan.stages))
    now.origin = f"ready plan: {template.title}"
    notice(f"The stages are those of: {template.title}.")


def _stages(now: Draft, template: Template, layers: int) -> list[str]:
    """Return a line for each stage."""
    nearest = now.nearest()
    plan = template.plan(nearest.data, nearest.task, nearest.model, layers)
    return [
        f"**{plain(stage.name)}**&ensp;:gray[{plain(summary(values_of_stage(stage), cells(stage, layers)))}]"
        for stage in plan.stages
    ]
