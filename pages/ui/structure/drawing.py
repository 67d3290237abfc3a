"""The drawing of a shape in the page: Streamlit's HTML takes no SVG, so a component puts it there."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.config.shape import EncoderShape
from core.models.shaped.segments import Foreseen
from core.render.shape_svg import shape_svg
from pages.ui.planner_look import look

__all__ = ["show_drawing", "show_svg"]

_CSS = """
.bl-drawing { line-height: 0; }
.bl-drawing svg { width: 100%; height: auto; max-width: 34rem; display: block; margin-inline: auto; }
.bl-drawing.narrow svg { max-width: 26rem; }
.bl-drawing.stale { opacity: 0.45; }
"""
#: The text is parsed as a document of its own: scripts in it would not run.
_JS = """
export default function ({ parentElement, data }) {
  let box = parentElement.querySelector('.bl-drawing');
  if (!box) {
    box = document.createElement('div');
    parentElement.appendChild(box);
  }
  box.className = `bl-drawing${data.stale ? ' stale' : ''}${data.narrow ? ' narrow' : ''}`;
  if (box.shown !== data.svg) {
    const parsed = new DOMParser().parseFromString(data.svg, 'image/svg+xml');
    box.replaceChildren(document.importNode(parsed.documentElement, true));
    box.shown = data.svg;
  }
}
"""
_mount = st.components.v2.component("bertloom_drawing", css=_CSS, js=_JS, isolate_styles=False)


def show_drawing(
    shape: EncoderShape, *, key: str, parent: EncoderShape | None = None, origins: Sequence[Foreseen] | None = None,
    stale: bool = False,
) -> None:  # fmt: skip
    """Draw a shape.

    Parameters
    ----------
    shape
        The shape.
    key
        Key of the component.
    parent, origins
        See :func:`core.render.shape_svg.drawing`.
    stale
        Whether the form has changed meanwhile into something that cannot be drawn.
    """
    svg = shape_svg(shape, look(), parent=parent, origins=origins)
    show_svg(svg, key=key, stale=stale, narrow=parent is None)


def show_svg(svg: str, *, key: str, stale: bool = False, narrow: bool = False) -> None:
    """Put an SVG element into the page, as wide as there is room, up to a limit; it is narrower with `narrow`."""
    _mount(key=key, data={"svg": svg, "stale": stale, "narrow": narrow})
