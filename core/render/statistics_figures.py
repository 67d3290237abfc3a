"""Figures of a parent's layers: syntax, novelty, and from how few directions their word graphs come back.

Pure functions of the statistics as :func:`core.search.proposal.propose` returns them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from core.render.look import Look, base_figure

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

__all__ = ["cost_figure", "curve_figure", "least_figure", "margin_figure", "novelty_figure", "shade"]

_CURVES = {
    "rho": ("Path lengths kept by d directions", "Spearman's ρ(d)", "ρ"),
    "overlap": ("Neighbours kept by d directions", "share o(d)", "o"),
}


def shade(look: Look, at: int, of: int) -> str:
    """Return the colour of a layer: from the look's second over its third to its first, lowest to highest."""
    stops = [_parts(look.colour(index)) for index in (1, 2, 0)]
    place = (len(stops) - 1) * at / max(1, of - 1)
    below = min(int(place), len(stops) - 2)
    share = place - below
    pairs = zip(stops[below], stops[below + 1], strict=True)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)


def _parts(colour: str) -> tuple[int, ...]:
    return tuple(int(colour[at : at + 2], 16) for at in (1, 3, 5))


def curve_figure(found: Mapping[str, Any], look: Look, *, kind: Literal["rho", "overlap"], height: int = 360) -> Figure:
    """Draw ρ_l(d) or o_l(d) of every layer with its threshold; a ring marks each layer's d*.

    Parameters
    ----------
    found
        Statistics at the thresholds that are drawn.
    look
        Colours.
    kind
        Which of the two.
    height
        Height in pixels.
    """
    import plotly.graph_objects as go

    title, axis, sign = _CURVES[kind]
    figure = base_figure(title, "directions d", axis, look, height=height)
    layers = found["layers"]
    for at, entry in enumerate(layers):
        colour = shade(look, at, len(layers))
        figure.add_trace(
            go.Scatter(
                x=entry["widths"], y=entry[kind], name=f"layer {entry['layer']}", mode="lines",
                line={"color": colour, "width": 2}, legendgroup=str(at),
                hovertemplate=f"layer {entry['layer']}: {sign}(%{{x}}) = %{{y:.3f}}<extra></extra>",
            )
        )  # fmt: skip
        place = entry["widths"].index(entry["least"])
        figure.add_trace(
            go.Scatter(
                x=[entry["least"]], y=[entry[kind][place]], mode="markers", showlegend=False, legendgroup=str(at),
                marker={"color": colour, "size": 9, "symbol": "circle-open", "line": {"width": 2}}, hoverinfo="skip",
            )
        )  # fmt: skip
    threshold = found["thresholds"][kind]
    figure.add_hline(
        y=threshold, line={"color": look.text, "dash": "dash", "width": 1.5}, annotation_font={"size": 12},
        annotation_text=f"at least {threshold:.2f}", annotation_position="bottom right",
    )  # fmt: skip
    lowest = min(min(entry[kind]) for entry in layers)
    figure.update_layout(hovermode="closest")
    figure.update_yaxes(range=[min(lowest, threshold) - 0.05, 1.02])
    return figure


def least_figure(found: Mapping[str, Any], look: Look, *, height: int = 360) -> Figure:
    """Draw d* of every layer with its 95 % bootstrap interval, and the parent's width."""
    import plotly.graph_objects as go

    layers = found["layers"]
    figure = base_figure("Directions that a layer's word graph needs", "layer", "d*", look, height=height)
    least = [entry["least"] for entry in layers]
    figure.add_trace(
        go.Scatter(
            x=[entry["layer"] for entry in layers], y=least, mode="lines+markers", name="d*",
            line={"color": look.colour(0), "width": 2.5}, marker={"size": 9},
            error_y={
                "type": "data", "symmetric": False, "thickness": 1.5, "width": 5,
                "array": [entry["least_high"] - entry["least"] for entry in layers],
                "arrayminus": [entry["least"] - entry["least_low"] for entry in layers],
            },
            customdata=[[entry["least_low"], entry["least_high"], entry["width"]] for entry in layers],
            hovertemplate="%{y} of %{customdata[2]} (95 %: %{customdata[0]} to %{customdata[1]})<extra></extra>",
        )
    )  # fmt: skip
    widest = max(entry["width"] for entry in layers)
    figure.add_hline(
        y=widest, line={"color": look.text, "dash": "dot", "width": 1}, annotation_text=f"all {widest} directions",
        annotation_position="top left", annotation_font={"size": 12},
    )  # fmt: skip
    figure.update_xaxes(dtick=1)
    figure.update_yaxes(range=[0, 1.12 * widest])
    return figure


def margin_figure(found: Mapping[str, Any], look: Look, *, height: int = 320) -> Figure:
    """Draw by how much each layer's probe beats the linear chain (UUAS); layers without a score are left out."""
    import plotly.graph_objects as go

    scored = [entry for entry in found["layers"] if entry.get("margin") is not None]
    figure = base_figure(
        "Syntax: structural probe over the linear chain", "layer", "UUAS − chain", look, height=height
    )  # fmt: skip
    figure.add_trace(
        go.Bar(
            x=[entry["layer"] for entry in scored], y=[entry["margin"] for entry in scored], showlegend=False,
            marker={"color": look.colour(0)}, customdata=[entry["uuas"] for entry in scored],
            hovertemplate="%{y:+.3f} (UUAS %{customdata:.3f})<extra></extra>",
        )
    )  # fmt: skip
    figure.add_hline(y=0, line={"color": look.text, "width": 1})
    figure.update_xaxes(dtick=1)
    figure.update_layout(bargap=0.35)
    return figure


def novelty_figure(found: Mapping[str, Any], look: Look, *, height: int = 320) -> Figure:
    """Draw how unlike the layer below each layer is: n = 1 − CKA."""
    import plotly.graph_objects as go

    layers = found["layers"][1:]
    figure = base_figure("Novelty: 1 − CKA with the layer below", "layer", "n", look, height=height)
    figure.add_trace(
        go.Bar(
            x=[entry["layer"] for entry in layers], y=[entry["novelty"] for entry in layers], showlegend=False,
            marker={"color": look.colour(2)}, hovertemplate="n = %{y:.4f}<extra></extra>",
        )
    )  # fmt: skip
    figure.update_xaxes(dtick=1)
    figure.update_layout(bargap=0.35)
    return figure


def cost_figure(found: Mapping[str, Any], look: Look, *, height: int = 360) -> Figure:
    """Draw what the best division into 1 … L segments costs by that of one segment, with the share that suffices."""
    import plotly.graph_objects as go

    depth, share = found["depth"], found["thresholds"]["share"]
    costs = depth["costs"]
    shares = [cost / costs[0] if costs[0] else 0.0 for cost in costs]
    numbers = list(range(1, len(costs) + 1))
    figure = base_figure("How many segments suffice", "segments", "cost, by one segment's", look, height=height)
    figure.add_vrect(
        x0=depth["lowest"] - 0.4, x1=depth["highest"] + 0.4, fillcolor=look.colour(0), opacity=0.12, line_width=0
    )
    figure.add_trace(
        go.Scatter(
            x=numbers, y=shares, mode="lines+markers", showlegend=False, line={"color": look.colour(0), "width": 2.5},
            marker={
                "size": [13 if number == depth["fewest"] else 8 for number in numbers],
                "symbol": ["circle" if number >= depth["fewest"] else "circle-open" for number in numbers],
            },
            hovertemplate="%{x} segments: %{y:.1%}<extra></extra>",
        )
    )  # fmt: skip
    figure.add_hline(
        y=share, line={"color": look.text, "dash": "dash", "width": 1.5}, annotation_text=f"at most {share:.0%}",
        annotation_position="top right", annotation_font={"size": 12},
    )  # fmt: skip
    figure.update_xaxes(dtick=1, range=[0.5, len(costs) + 0.5])
    figure.update_yaxes(tickformat=".0%", range=[-0.04, 1.05])
    return figure
