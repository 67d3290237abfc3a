"""Figures of claims: what the arms did over the steps, and how they differ. Pure functions of their arguments."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from core.render.look import Look, base_figure, safe_text

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

__all__ = ["ArmCurves", "Difference", "RatePoint", "arm_curves", "band", "differences", "rate_figure"]

Unit = Literal["points", "steps", "MB"]


@dataclass(frozen=True)
class ArmCurves:
    """One arm's curves, one a seed: (steps, values) each; ``None`` marks a value that was not a number."""

    title: str
    curves: Sequence[tuple[Sequence[int], Sequence[float | None]]]


@dataclass(frozen=True)
class Difference:
    """One difference, in the figure's unit.

    Parameters
    ----------
    title
        What is compared with what.
    value
        The mean difference.
    interval, corrected
        Over seeds: 95 % of this comparison alone, and corrected for all comparisons.
    documents
        Over documents, corrected; ``None`` where there are none.
    verdict
        In words.
    """

    title: str
    value: float
    interval: tuple[float, float]
    corrected: tuple[float, float]
    documents: tuple[float, float] | None
    verdict: str


@dataclass(frozen=True)
class RatePoint:
    """What one learning rate reached: mean, lowest and highest score over the seeds, and how many runs failed."""

    rate: float
    mean: float | None
    low: float | None
    high: float | None
    failed: int
    seeds: int


def band(
    curves: Sequence[tuple[Sequence[int], Sequence[float | None]]],
) -> tuple[list[int], list[float], list[float], list[float]]:
    """Return steps, and the mean, lowest and highest value over the curves that have a number at the step."""
    at: dict[int, list[float]] = {}
    for steps, values in curves:
        for step, value in zip(steps, values, strict=True):
            if value is not None and math.isfinite(value):
                at.setdefault(int(step), []).append(float(value))
    steps = sorted(at)
    return (
        steps, [math.fsum(at[step]) / len(at[step]) for step in steps], [min(at[step]) for step in steps],
        [max(at[step]) for step in steps],
    )  # fmt: skip


def arm_curves(
    arms: Sequence[ArmCurves],
    look: Look,
    *,
    title: str,
    unit: str,
    percent: bool = False,
    target: float | None = None,
    baseline: float | None = None,
    height: int = 360,
) -> Figure:
    """Draw each arm's mean over the seeds as a line, and the range from the lowest to the highest seed as a band.

    Parameters
    ----------
    arms
        In the order of the legend.
    look
        Colours; ``baseline`` among the roles is the line of the majority.
    title, unit
        What is drawn, and the axis title.
    percent
        Whether values are shares.
    target, baseline
        Horizontal lines: what counts as reached, and what needs no model.
    """
    import plotly.graph_objects as go

    figure = base_figure(title, "optimiser step", unit, look, height=height)
    for index, arm in enumerate(arms):
        steps, mean, low, high = band(arm.curves)
        if not steps:
            continue
        colour, name = look.colour(index), safe_text(arm.title, 32)
        if len(arm.curves) > 1:
            figure.add_trace(
                go.Scatter(
                    x=[*steps, *reversed(steps)], y=[*high, *reversed(low)], fill="toself", mode="lines",
                    line={"width": 0}, fillcolor=_faint(colour, 0.14), hoverinfo="skip", showlegend=False,
                    legendgroup=name,
                )
            )  # fmt: skip
        spread = [f"{_shown(one, percent)}–{_shown(other, percent)}" for one, other in zip(low, high, strict=True)]
        figure.add_trace(
            go.Scatter(
                x=steps, y=mean, name=name, legendgroup=name, mode="lines+markers", marker={"size": 4},
                line={"color": colour, "width": 2}, customdata=spread,
                hovertemplate=f"%{{y:{'.1%' if percent else '.4g'}}} (%{{customdata}})",
            )
        )  # fmt: skip
    for value, words, colour in (
        (baseline, "majority", look.roles.get("baseline", look.text)),
        (target, "target", look.roles.get("good", look.text)),
    ):
        if value is not None:
            figure.add_hline(
                y=value, line={"color": colour, "width": 1.5, "dash": "dot"}, annotation_text=words,
                annotation_position="bottom right", annotation_font={"color": colour, "size": 12},
            )  # fmt: skip
    figure.update_layout(showlegend=True)
    if percent:
        figure.update_yaxes(tickformat=".0%")
    return figure


def differences(items: Sequence[Difference], look: Look, *, title: str, unit: Unit, margin: float) -> Figure:
    """Draw differences with their intervals: thick 95 %, thin corrected, a lighter row below for documents.

    Parameters
    ----------
    items
        Differences, the first on top.
    look
        Colours.
    title
        Title.
    unit
        Unit of the values.
    margin
        Differences within ± this do not matter; the band is shaded.
    """
    import plotly.graph_objects as go

    figure = base_figure(
        title, f"{unit} (thick 95 %, thin corrected)", "", look,
        height=130 + 62 * max(1, len(items)),
    )  # fmt: skip
    figure.add_vrect(x0=-margin, x1=margin, fillcolor=_faint(look.text, 0.08), line_width=0, layer="below")
    figure.add_vline(x=0, line={"color": look.text, "width": 1})
    train, test = look.roles.get("train", look.colour(0)), look.roles.get("gate", look.colour(1))
    for at, item in enumerate(items):
        hover = f"{safe_text(item.title, 80)}: {item.value:+.3g} {unit}, {item.verdict}<extra></extra>"
        for bounds, width in ((item.corrected, 2), (item.interval, 7)):
            figure.add_trace(_bar(go, bounds, at, train, width))
        figure.add_trace(
            go.Scatter(
                x=[item.value], y=[at], mode="markers", marker={"size": 11, "color": train, "symbol": "diamond"},
                name="over seeds", legendgroup="seeds", showlegend=at == 0, hovertemplate=hover,
            )
        )  # fmt: skip
        if item.documents is not None:
            figure.add_trace(_bar(go, item.documents, at + 0.28, test, 2))
            figure.add_trace(
                go.Scatter(
                    x=[item.value], y=[at + 0.28], mode="markers", marker={"size": 7, "color": test},
                    name="over test rows", legendgroup="documents", showlegend=at == 0, hovertemplate=hover,
                )
            )  # fmt: skip
    figure.update_layout(
        hovermode="closest", showlegend=True, legend={"y": -0.5 if len(items) < 3 else -0.3}
    )  # fmt: skip
    every = [-margin, margin]
    every += [bound for item in items for bound in (*item.corrected, *item.interval, *(item.documents or ()))]
    room = 0.06 * (max(every) - min(every))
    figure.update_xaxes(range=[min(every) - room, max(every) + room])
    figure.update_yaxes(
        tickvals=list(range(len(items))), ticktext=[safe_text(item.title, 48) for item in items], showgrid=False,
        range=[len(items) - 0.4, -0.6],
    )  # fmt: skip
    return figure


def rate_figure(series: Mapping[str, Sequence[RatePoint]], look: Look, *, title: str, baseline: float | None) -> Figure:
    """Draw the score over the learning rate: a line for each thing that is trained, with the range over seeds.

    Parameters
    ----------
    series
        Name (head alone, full training) → points by rising rate.
    look
        Colours.
    title
        Title.
    baseline
        The majority's score.
    """
    import plotly.graph_objects as go

    figure = base_figure(title, "learning rate", "score on test", look, height=380)
    for index, (name, points) in enumerate(series.items()):
        kept = [point for point in points if point.mean is not None]
        colour = look.colour(index)
        figure.add_trace(
            go.Scatter(
                x=[point.rate for point in kept], y=[point.mean for point in kept], name=safe_text(name, 32),
                mode="lines+markers", line={"color": colour, "width": 2}, marker={"size": 8},
                error_y={
                    "type": "data", "symmetric": False, "thickness": 1.5, "width": 4,
                    "array": [(point.high or 0) - (point.mean or 0) for point in kept],
                    "arrayminus": [(point.mean or 0) - (point.low or 0) for point in kept],
                },
                customdata=[[point.seeds, point.failed] for point in kept],
                hovertemplate="%{y:.1%}, %{customdata[0]} seeds, %{customdata[1]} failed",
            )
        )  # fmt: skip
        lost = [point for point in points if point.failed and baseline is not None]
        if lost:
            figure.add_trace(
                go.Scatter(
                    x=[point.rate for point in lost], y=[baseline] * len(lost), name=safe_text(f"{name}: failed", 32),
                    mode="markers", marker={"size": 11, "symbol": "x-thin", "line": {"width": 2.5, "color": colour}},
                    customdata=[[point.failed, point.seeds] for point in lost],
                    hovertemplate="%{customdata[0]} of %{customdata[1]} runs failed",
                )
            )  # fmt: skip
    if baseline is not None:
        colour = look.roles.get("baseline", look.text)
        figure.add_hline(
            y=baseline, line={"color": colour, "width": 1.5, "dash": "dot"}, annotation_text="majority",
            annotation_position="top left", annotation_font={"color": colour, "size": 12},
        )  # fmt: skip
    figure.update_layout(showlegend=True)
    figure.update_xaxes(type="log", exponentformat="power", dtick=1)
    figure.update_yaxes(tickformat=".0%")
    return figure


def _bar(go: Any, bounds: tuple[float, float], y: float, colour: str, width: int) -> Any:
    return go.Scatter(
        x=list(bounds), y=[y, y], mode="lines", line={"color": colour, "width": width}, hoverinfo="skip",
        showlegend=False,
    )  # fmt: skip


def _shown(value: float, percent: bool) -> str:
    return f"{100 * value:.1f} %" if percent else f"{value:.4g}"


def _faint(colour: str, alpha: float) -> str:
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},{alpha})"
