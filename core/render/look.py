"""What all figures share: colours given by the caller, fonts, margins, axes, and the buttons of the toolbar."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

__all__ = ["CONFIG", "Look", "base_figure", "safe_text"]

_FONT = '"Source Sans", "Source Sans Pro", system-ui, sans-serif'

#: Plotly's config of every static figure: PNG at twice the size, no logo, no buttons that nobody needs.
CONFIG: dict[str, Any] = {
    "displaylogo": False,
    "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"],
    "toImageButtonOptions": {"format": "png", "scale": 2},
}


@dataclass(frozen=True)
class Look:
    """Colours of a figure.

    Parameters
    ----------
    text, grid, background
        Colours of words, grid lines and hover boxes.
    colours
        Categorical colours, in order.
    roles
        Colours that mean something: ``train``, ``gate``, ``test``, ``warn`` …
    """

    text: str
    grid: str
    background: str
    colours: tuple[str, ...]
    roles: Mapping[str, str] = field(default_factory=dict)

    def colour(self, index: int) -> str:
        """Return the colour of the n-th thing; they repeat after the last."""
        return self.colours[index % len(self.colours)]


def base_figure(
    title: str, x_title: str, y_title: str, look: Look, *, height: int = 320, log_y: bool = False
) -> Figure:
    """Return an empty figure with title, axes with units, legend below and hover for all lines at one place."""
    import plotly.graph_objects as go

    figure = go.Figure()
    axis = {
        "gridcolor": look.grid,
        "linecolor": look.grid,
        "zeroline": False,
        "automargin": True,
        "tickfont": {"size": 12},
        "title": {"standoff": 6, "font": {"size": 12}},
    }
    figure.update_layout(
        title={"text": safe_text(title), "font": {"size": 15}, "x": 0, "xanchor": "left", "y": 0.98, "yanchor": "top"},
        height=height,
        margin={"l": 8, "r": 12, "t": 44, "b": 8},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": look.text, "size": 13, "family": _FONT},
        hovermode="x unified",
        hoverlabel={
            "bgcolor": look.background,
            "bordercolor": look.grid,
            "font": {"color": look.text},
            "namelength": 40,
        },
        legend={"orientation": "h", "yanchor": "top", "y": -0.22, "xanchor": "left", "x": 0, "title": {"text": ""}},
        colorway=list(look.colours),
    )
    figure.update_xaxes(title_text=safe_text(x_title), **axis)
    figure.update_yaxes(title_text=safe_text(y_title), **axis)
    if log_y:
        figure.update_yaxes(type="log", exponentformat="power", minor={"showgrid": False})
    return figure


def safe_text(text: object, limit: int = 60) -> str:
    """Return words so that plotly shows them as they are: its texts understand a few HTML tags and ``$`` formulas."""
    words = " ".join(str(text).split())
    if len(words) > limit:
        words = words[: limit - 1] + "…"
    return words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("$", "＄")
