"""The theme's colours as a figure's look."""

from __future__ import annotations

from core.render.look import Look
from pages.ui.theme import BACKGROUND, ROLES, SIGNAL, mode, palette

__all__ = ["look"]

_TEXT = {"light": "#1B2032", "dark": "#E7EAF3"}
_GRID = {"light": "#E6E8F0", "dark": "#2C3345"}


def look() -> Look:
    """Return the look of figures in the theme that is shown."""
    shown = mode()
    colours = palette(shown)
    roles = {**dict(zip(ROLES, colours, strict=True)), **SIGNAL[shown]}
    return Look(_TEXT[shown], _GRID[shown], BACKGROUND[shown], colours, roles)
