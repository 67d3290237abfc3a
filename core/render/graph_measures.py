"""Figures of what was measured of a word graph: similarity lists by layer, words by their number of neighbours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from core.render.look import Look, base_figure, safe_text

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

__all__ = ["degree_figure", "similarity_figure"]


def similarity_figure(rows: Sequence[Mapping[str, Any]], look: Look, *, name: str = "", height: int = 300) -> Figure:
    """Draw Spearman's correlation with a list of similar words by layer, with its 95 % interval as a band.

    Parameters
    ----------
    rows
        One a layer: ``layer``, ``spearman``, ``low``, ``high`` (None where too few pairs are covered).
    look
        Colours.
    name
        What the list is called.
    height
        Height in pixels.
    """
    import plotly.graph_objects as go

    figure = base_figure(f"Similar words by layer: {name}", "layer", "Spearman's ρ", look, height=height)
    known = [row for row in rows if row.get("spearman") is not None]
    layers = [row["layer"] for row in known]
    colour = look.colour(0)
    figure.add_trace(
        go.Scatter(
            x=[*layers, *reversed(layers)],
            y=[*(row["high"] for row in known), *(row["low"] for row in reversed(known))],
            fill="toself", mode="lines", line={"width": 0}, fillcolor=colour, opacity=0.18, hoverinfo="skip",
            name="95 % interval",
        )
    )  # fmt: skip
    figure.add_trace(
        go.Scatter(
            x=layers, y=[row["spearman"] for row in known], mode="lines+markers", name="Spearman's ρ",
            customdata=[[row["low"], row["high"]] for row in known], line={"color": colour, "width": 2.5},
            hovertemplate="%{y:.3f} (%{customdata[0]:.3f} to %{customdata[1]:.3f})<extra></extra>",
        )
    )  # fmt: skip
    figure.update_xaxes(dtick=1)
    figure.add_hline(y=0, line={"color": look.text, "dash": "dot", "width": 1})
    return figure


def degree_figure(spread: Sequence[Mapping[str, int]], look: Look, *, height: int = 300) -> Figure:
    """Draw how many words have how many neighbours, in classes that double.

    Parameters
    ----------
    spread
        ``from``, ``to`` (numbers of neighbours) and ``words``, ascending.
    look
        Colours.
    height
        Height in pixels.
    """
    import plotly.graph_objects as go

    figure = base_figure("Words by their number of neighbours", "neighbours", "words", look, height=height)
    names = [f"{one['from']}" if one["from"] == one["to"] else f"{one['from']}–{one['to']}" for one in spread]
    figure.add_trace(
        go.Bar(
            x=[safe_text(name) for name in names], y=[one["words"] for one in spread], showlegend=False,
            marker={"color": look.colour(0), "opacity": 0.85}, text=[f"{one['words']:,}" for one in spread],
            textposition="outside", cliponaxis=False, hovertemplate="%{y:,} words with %{x} neighbours<extra></extra>",
        )
    )  # fmt: skip
    figure.update_xaxes(type="category", showgrid=False)
    figure.update_layout(hovermode="closest", bargap=0.12)
    return figure
