"""Figures of the planner: the learning rate before the start, and what the check found in the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from core.render.look import Look, base_figure, safe_text

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

__all__ = ["class_balance", "learning_rate_curve", "length_histogram"]


def learning_rate_curve(
    curve: Mapping[str, Mapping[str, Sequence[float]]], look: Look, *, log_y: bool = False, height: int = 300
) -> Figure:
    """Draw the learning rate of every parameter group over the optimiser steps.

    Parameters
    ----------
    curve
        Group → ``{"steps": […], "lr": […]}``. Groups with equal curves share one line.
    look
        Colours.
    log_y
        Logarithmic learning rate; rates of 0 are then left out.
    """
    import plotly.graph_objects as go

    figure = base_figure("Learning rate by step", "optimiser step", "learning rate", look, height=height, log_y=log_y)
    lines: dict[tuple[tuple[float, ...], tuple[float, ...]], list[str]] = {}
    for group, points in curve.items():
        lines.setdefault((tuple(points["steps"]), tuple(points["lr"])), []).append(group)
    for index, ((steps, rates), groups) in enumerate(lines.items()):
        name = ", ".join(groups) if len(groups) <= 3 else f"{groups[0]} … {groups[-1]} ({len(groups)} groups)"
        frozen = not any(rates)
        figure.add_trace(
            go.Scatter(
                x=list(steps),
                y=[rate if rate > 0 or not log_y else None for rate in rates],
                name=safe_text(name + (" (frozen)" if frozen else "")),
                mode="lines",
                line={"color": look.colour(index), "width": 2, "dash": "dot" if frozen else "solid"},
                hovertemplate="%{y:.3e}",
            )
        )
    figure.update_layout(showlegend=True)
    figure.update_xaxes(hoverformat=",d")
    if not log_y:
        figure.update_yaxes(rangemode="tozero", exponentformat="e", tickformat=".1e")
    return figure


def class_balance(counts: Mapping[str, Mapping[str, int]], look: Look, *, most: int = 20, height: int = 260) -> Figure:
    """Draw how often each label occurs, a bar for each role.

    Parameters
    ----------
    counts
        Role (``train`` …) → label → rows.
    look
        Colours; those of the roles are taken from ``look.roles``.
    most
        Only so many labels, the most frequent ones; the title says so.
    """
    import plotly.graph_objects as go

    total: dict[str, int] = {}
    for labels in counts.values():
        for label, number in labels.items():
            total[label] = total.get(label, 0) + number
    shown = sorted(total, key=lambda label: (-total[label], label))[:most]
    left_out = len(total) - len(shown)
    title = "Class balance" + (f", the {len(shown)} most frequent of {len(total)} labels" if left_out else "")
    figure = base_figure(title, "rows", "", look, height=max(height, 90 + 26 * len(shown) * max(len(counts), 1) // 2))
    for index, (role, labels) in enumerate(counts.items()):
        size = sum(labels.values()) or 1
        figure.add_trace(
            go.Bar(
                y=[safe_text(label, 28) for label in shown],
                x=[labels.get(label, 0) for label in shown],
                customdata=[labels.get(label, 0) / size for label in shown],
                name=safe_text(role),
                orientation="h",
                marker={"color": look.roles.get(role, look.colour(index))},
                hovertemplate="%{x:,d} rows (%{customdata:.1%})",
            )
        )
    figure.update_layout(hovermode="y unified", bargap=0.25, barmode="group")
    figure.update_yaxes(autorange="reversed", type="category")
    return figure


def length_histogram(
    edges: Sequence[float],
    rows: Sequence[int],
    look: Look,
    *,
    limit: int | None = None,
    unit: str = "sub-words",
    height: int = 260,
) -> Figure:
    """Draw how long the texts are, and where they are cut.

    Parameters
    ----------
    edges
        Edges of the bins, whole numbers, one more than `rows`; a bin holds lengths from its edge up to the next.
    rows
        Texts in each bin.
    look
        Colours.
    limit
        Length at which texts are cut; drawn as a line.
    unit
        What the lengths count.
    """
    import plotly.graph_objects as go

    figure = base_figure("Length of the texts", f"{unit} a text", "texts", look, height=height)
    bars = list(pairwise(edges))
    usual = bars[0][1] - bars[0][0] if bars else 1
    # The last bar may hold all the rest up to the longest text: it is drawn as wide as the others and says so.
    words = [
        f"{low:g} to {high - 1:g}" if high - low <= usual else f"{low:g} to {high - 1:g}, the longest"
        for low, high in bars
    ]
    figure.add_trace(
        go.Bar(
            x=[low + usual / 2 for low, _ in bars],
            y=list(rows),
            width=[usual] * len(bars),
            customdata=words,
            marker={"color": look.roles.get("train", look.colour(0)), "line": {"width": 1, "color": look.background}},
            hovertemplate="%{customdata} " + unit + ": %{y:,d} texts<extra></extra>",
        )
    )
    figure.update_layout(showlegend=False, hovermode="closest", bargap=0)
    if limit is not None and bars and limit <= bars[-1][0] + usual:
        marks: dict[str, Any] = {"color": look.roles.get("warn", look.text), "dash": "dash", "width": 1.5}
        figure.add_vline(x=limit, line=marks, annotation_text=f"cut at {limit}", annotation_position="top right")
    return figure
