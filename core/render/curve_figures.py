"""Figures of the planner: the learning rate before the start, and what the check found in the data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from core.render.curve_parts import drawn_rates, group_colours, has_range, rate_axis, stage_label, stage_words
from core.render.look import Look, base_figure, safe_text

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

__all__ = ["class_balance", "learning_rate_curve", "length_histogram", "plan_curve_figure"]


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


def plan_curve_figure(
    curve: Mapping[str, Any], look: Look, *, log_y: bool = False, height: int = 340, characters: int = 44
) -> Figure:
    """Draw the learning rates of a whole plan before it starts.

    Stages stand side by side as labelled bands. A group keeps its colour from stage to stage; where its rate depends
    on results the range that it stays in is filled. Lines and diamonds mark where gates decide.

    Parameters
    ----------
    curve
        From :func:`core.training.curves.plan_curve`; its words are
        :func:`core.render.curve_parts.plan_words`.
    look
        Colours; gates take that of the role ``gate``.
    log_y
        Logarithmic learning rate; a rate of 0 then stands at the bottom.
    height
        In pixels.
    characters
        How many characters of 11 pixels fit beside one another over the whole width, for the stages' names.
    """
    import plotly.graph_objects as go

    figure = base_figure("Learning rate by step", "optimiser step", "learning rate", look, height=height, log_y=log_y)
    axis = rate_axis(curve, log_y=log_y)
    colours = group_colours(curve["names"], look)
    shown: set[str] = set()
    for stage in curve["stages"]:
        for name, part in stage["groups"].items():
            rates = drawn_rates(part["lr"], axis, log_y=log_y)
            steps = list(part["steps"])
            shared = {"legendgroup": name, "name": safe_text(name)}
            if has_range(part):
                low, high = (drawn_rates(part[key], axis, log_y=log_y) for key in ("low", "high"))
                figure.add_trace(
                    go.Scatter(
                        x=[*steps, *reversed(steps)],
                        y=[*high, *reversed(low)],
                        fill="toself",
                        mode="lines",
                        line={"width": 0},
                        fillcolor=_faded(colours[name], 0.16),
                        hoverinfo="skip",
                        showlegend=False,
                        **shared,
                    )
                )
            figure.add_trace(
                go.Scatter(
                    x=steps,
                    y=rates,
                    mode="lines" if len(steps) > 1 else "markers",
                    showlegend=name not in shown,
                    line={"color": colours[name], "width": 2},
                    marker={"color": colours[name], "size": 6},
                    customdata=[
                        _rate_words(*values) for values in zip(part["lr"], part["low"], part["high"], strict=True)
                    ],
                    hovertemplate="%{customdata}",
                    **shared,
                )
            )
            shown.add(name)
    _bands(figure, curve, look, characters)
    _gates(figure, curve, look)
    figure.update_layout(
        showlegend=True, margin={"t": 68},
        yaxis2={"overlaying": "y", "visible": False, "range": [0, 1], "fixedrange": True},
    )  # fmt: skip
    figure.update_xaxes(hoverformat=",d", tickformat=",d", range=[0.5, max(curve["steps"], 1) + 0.5])
    if log_y:
        figure.update_layout(yaxis={"range": [math.log10(axis[0]), math.log10(axis[1])]})
    else:
        figure.update_layout(yaxis={"range": list(axis), "exponentformat": "e", "tickformat": ".1e"})
    return figure


def _rate_words(rate: float, low: float, high: float) -> str:
    return f"{rate:.3e}" if low == high else f"{rate:.3e} (may be {low:.2g} to {high:.2g})"


def _faded(colour: str, share: float) -> str:
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},{share})"


def _bands(figure: Figure, curve: Mapping[str, Any], look: Look, characters: int) -> None:
    """Shade every second stage, name each above its part, and say more in a hover text."""
    import plotly.graph_objects as go

    whole = max(curve["steps"], 1)
    middles, texts = [], []
    for number, stage in enumerate(curve["stages"], 1):
        first, last = stage["first_step"] - 0.5, stage["last_step"] + 0.5
        if number % 2 == 0:
            figure.add_vrect(x0=first, x1=last, fillcolor=look.grid, opacity=0.45, line_width=0, layer="below")
        if number > 1:
            figure.add_vline(x=first, line={"color": look.grid, "width": 1})
        label = stage_label(stage, number, int(characters * (last - first) / whole))
        figure.add_annotation(
            x=(first + last) / 2, y=1, yref="paper", yanchor="bottom", showarrow=False, font={"size": 12},
            text=safe_text(label + ("" if stage["certain"] else " ≈")),
        )  # fmt: skip
        middles.append((first + last) / 2)
        texts.append("<br>".join(safe_text(line, 110) for line in stage_words(stage)))
    figure.add_trace(
        go.Scatter(
            x=middles,
            y=[0.98] * len(middles),
            yaxis="y2",
            mode="markers",
            text=texts,
            name="stages",
            marker={"size": 16, "opacity": 0},
            hovertemplate="%{text}<extra></extra>",
            showlegend=False,
        )
    )


def _gates(figure: Figure, curve: Mapping[str, Any], look: Look) -> None:
    """Mark where gates may decide: a line at the last chance, diamonds at all."""
    import plotly.graph_objects as go

    gates = curve["gates"]
    if not gates:
        return
    colour = look.roles.get("gate", look.colour(1))
    for gate in gates:
        if gate["last"]:
            figure.add_vline(x=gate["step"], line={"color": colour, "width": 1.5, "dash": "dash"})
    figure.add_trace(
        go.Scatter(
            x=[gate["step"] for gate in gates],
            y=[0.9] * len(gates),
            yaxis="y2",
            mode="markers",
            name="gate decides",
            text=[safe_text(f"Gate of {gate['stage']}: {gate['words']}", 200) for gate in gates],
            marker={
                "symbol": ["diamond" if gate["last"] else "diamond-open" for gate in gates],
                "size": 9,
                "color": colour,
                "line": {"color": colour, "width": 1.5},
            },
            hovertemplate="%{text}<extra></extra>",
            showlegend=True,
        )
    )


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
