"""Figures of what was measured on word graphs: probes, layers, predicted links, similar words, neighbours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from core.render.look import Look, base_figure, safe_text

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

__all__ = ["cka_figure", "degree_figure", "link_figure", "probe_figure", "similarity_figure"]


def probe_figure(
    rows: Sequence[Mapping[str, Any]], look: Look, *, chain: Mapping[str, float] | None = None, height: int = 360
) -> Figure:
    """Draw a structural probe's UUAS and DSpr by layer beside its baselines.

    Parameters
    ----------
    rows
        One a layer: ``layer``, ``uuas``, ``dspr``, and ``random_uuas``, ``random_dspr`` of the same encoder with random
        weights where they were measured.
    look
        Colours.
    chain
        ``uuas`` and ``dspr`` of the linear chain.
    height
        Height in pixels.
    """
    import plotly.graph_objects as go

    figure = base_figure("Structural probe by layer", "layer", "UUAS and DSpr", look, height=height)
    layers = [row["layer"] for row in rows]
    measures = (("uuas", "UUAS", look.colour(0)), ("dspr", "DSpr", look.colour(1)))
    for name, title, colour in measures:
        figure.add_trace(
            go.Scatter(x=layers, y=[row.get(name) for row in rows], name=title, mode="lines+markers",
                       line={"color": colour, "width": 2.5}, hovertemplate="%{y:.3f}")
        )  # fmt: skip
        random = [row.get(f"random_{name}") for row in rows]
        if any(value is not None for value in random):
            figure.add_trace(
                go.Scatter(x=layers, y=random, name=f"{title}, random weights", mode="lines+markers",
                           line={"color": colour, "width": 1.5, "dash": "dot"}, hovertemplate="%{y:.3f}")
            )  # fmt: skip
        if chain and chain.get(name) is not None:
            figure.add_trace(
                go.Scatter(x=[min(layers), max(layers)], y=[chain[name]] * 2, name=f"{title}, linear chain",
                           mode="lines", line={"color": colour, "width": 1.5, "dash": "dash"},
                           hovertemplate="%{y:.3f}")
            )  # fmt: skip
    figure.update_xaxes(dtick=1)
    figure.update_yaxes(range=[0, 1])
    return figure


def cka_figure(
    matrix: Sequence[Sequence[float]], rows: Sequence[Any], columns: Sequence[Any], look: Look, *,
    title: str = "Linear CKA of layers", x_title: str = "layer", y_title: str = "layer", height: int = 380,
) -> Figure:  # fmt: skip
    """Draw how alike layers are: linear CKA from 0 to 1.

    Parameters
    ----------
    matrix
        Shape (rows, columns).
    rows, columns
        Names of the layers.
    look
        Colours.
    title, x_title, y_title
        Words.
    height
        Height in pixels.
    """
    import plotly.graph_objects as go

    figure = base_figure(title, x_title, y_title, look, height=height)
    figure.add_trace(
        go.Heatmap(
            z=[list(row) for row in matrix], x=[safe_text(name) for name in columns],
            y=[safe_text(name) for name in rows], zmin=0, zmax=1, xgap=2, ygap=2,
            colorscale=[[0, look.background], [1, look.colour(0)]], texttemplate="%{z:.2f}",
            colorbar={"title": {"text": "CKA"}, "thickness": 12, "outlinewidth": 0},
            hovertemplate=f"{safe_text(y_title)} %{{y}}, {safe_text(x_title)} %{{x}}: %{{z:.3f}}<extra></extra>",
        )
    )  # fmt: skip
    figure.update_layout(hovermode="closest")
    figure.update_xaxes(type="category", showgrid=False)
    figure.update_yaxes(type="category", showgrid=False)
    return figure


def link_figure(
    rows: Sequence[Mapping[str, Any]], look: Look, *, measure: str = "auc", title: str = "AUC", height: int = 320
) -> Figure:
    """Draw how well methods predict held-out edges, by edge type.

    Parameters
    ----------
    rows
        ``method``, ``type``, and the measure, with ``low`` and ``high`` where there is an interval.
    look
        Colours.
    measure, title
        Key in the rows, and its name.
    height
        Height in pixels.
    """
    import plotly.graph_objects as go

    figure = base_figure(f"Held-out edges: {title} by method", "", title, look, height=height)
    kinds = list(dict.fromkeys(str(row["type"]) for row in rows))
    for kind in kinds:
        own = [row for row in rows if str(row["type"]) == kind and row.get(measure) is not None]
        bounds = None
        if own and all(row.get("low") is not None and row.get("high") is not None for row in own):
            bounds = {
                "type": "data", "symmetric": False, "array": [row["high"] - row[measure] for row in own],
                "arrayminus": [row[measure] - row["low"] for row in own],
            }  # fmt: skip
        figure.add_trace(
            go.Bar(
                x=[safe_text(row["method"]) for row in own], y=[row[measure] for row in own], name=safe_text(kind),
                marker={"color": look.roles.get(kind, look.colour(0))}, error_y=bounds, hovertemplate="%{y:.3f}",
            )
        )  # fmt: skip
    if measure == "auc":
        figure.add_hline(y=0.5, line={"color": look.text, "dash": "dot", "width": 1}, annotation_text="chance")
    figure.update_yaxes(range=[0, 1])
    figure.update_xaxes(type="category")
    figure.update_layout(showlegend=len(kinds) > 1, bargap=0.3)
    return figure


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
    first = next((place for place, one in enumerate(spread) if one["words"]), 0)
    spread = spread[first:]  # empty classes below the first word say nothing
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
