"""Where a student differs from its teacher: mean divergence by label and by place, then and now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from core.render.look import Look, base_figure, safe_text

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

__all__ = ["gap_figure"]


def gap_figure(
    groups: Sequence[Sequence[Any]], look: Look, *, title: str, axis: str, first: Sequence[Sequence[Any]] = (),
    most: int = 20,
) -> Figure:  # fmt: skip
    """Draw the mean divergence of each group as a bar, and where it was at the first evaluation as a mark.

    Parameters
    ----------
    groups
        Name, positions, mean divergence (0 to 1), agreement (share) of each group, from top to bottom.
    look
        Colours; the student's role is used.
    title, axis
        Words.
    first
        The same at the first evaluation.
    most
        At most so many groups are drawn.
    """
    import plotly.graph_objects as go

    shown = list(groups)[:most]
    names = [safe_text(one[0], 28) for one in shown]
    title += f", {len(shown)} of {len(groups)}" if len(shown) < len(groups) else ""
    figure = base_figure(title, "mean divergence", axis, look, height=max(240, 140 + 26 * len(shown)))
    places = list(range(len(shown)))  # groups of one name when cut stay apart
    figure.add_trace(
        go.Bar(
            x=[one[2] for one in shown], y=places, orientation="h", name="last evaluation",
            marker={"color": look.roles.get("student", look.colour(0))}, customdata=[[one[1], one[3]] for one in shown],
            hovertemplate="%{x:.3f}, agreement %{customdata[1]:.1%} of %{customdata[0]:,}<extra>last</extra>",
        )
    )  # fmt: skip
    before = {one[0]: one[2] for one in first}
    if before:
        figure.add_trace(
            go.Scatter(
                x=[before.get(one[0]) for one in shown], y=places, mode="markers", name="first evaluation",
                marker={"symbol": "line-ns", "size": 14, "line": {"width": 2, "color": look.text}},
                hovertemplate="%{x:.3f}<extra>first</extra>",
            )
        )  # fmt: skip
    figure.update_layout(
        hovermode="y unified", bargap=0.35, showlegend=bool(before), margin={"t": 72},
        legend={"y": 1.01, "yanchor": "bottom"},
    )  # fmt: skip
    figure.update_xaxes(rangemode="tozero")
    figure.update_yaxes(
        tickvals=places, ticktext=names, autorange="reversed", showgrid=False, showline=False,
    )  # fmt: skip
    return figure
