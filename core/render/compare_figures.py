"""Several runs in one picture: their curves overlaid, as figure, table and CSV. Pure functions of their arguments."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from core.render.look import Look, base_figure, safe_text

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

__all__ = ["Curve", "cell", "curves_csv", "overlaid_curves", "smoothed", "table_csv"]


@dataclass(frozen=True)
class Curve:
    """One run's series.

    Parameters
    ----------
    name
        Name of the run.
    run_id
        Id of the run; tells runs of one name apart.
    steps, values
        Optimiser steps and values; ``None`` marks a value that was not a number.
    times
        Seconds since the run's first point, if they are known.
    """

    name: str
    run_id: str
    steps: Sequence[float]
    values: Sequence[float | None]
    times: Sequence[float] = ()


def smoothed(values: Sequence[float | None], weight: float) -> list[float | None]:
    """Return the exponential moving average, corrected for its start (as in Kingma & Ba 2015, section 3).

    Parameters
    ----------
    values
        Values; ``None`` stays and does not count.
    weight
        Share of the past, 0 (off) to below 1.
    """
    if not 0 <= weight < 1:
        raise ValueError(f"weight must be in [0, 1), got {weight}")
    mean, correction = 0.0, 1.0
    result: list[float | None] = []
    for value in values:
        if value is None or not math.isfinite(value):
            result.append(None)
            continue
        mean = weight * mean + (1 - weight) * value
        correction *= weight
        result.append(mean / (1 - correction))
    return result


def overlaid_curves(
    curves: Sequence[Curve],
    look: Look,
    *,
    title: str,
    unit: str,
    axis: Literal["step", "time"] = "step",
    log_y: bool = False,
    smoothing: float = 0.0,
    height: int = 400,
) -> Figure:
    """Draw one series of several runs, a colour a run; smoothed lines keep the raw ones faintly behind them.

    Parameters
    ----------
    curves
        One a run, in the order of the legend.
    look
        Colours.
    title, unit
        What is drawn, and the unit of its values.
    axis
        ``step``: optimiser steps; ``time``: minutes since the run's first point.
    log_y
        Logarithmic values.
    smoothing
        Weight of the past, 0 (off) to below 1.
    """
    import plotly.graph_objects as go

    words = "optimiser step" if axis == "step" else "minutes since the first point"
    figure = base_figure(title, words, unit, look, height=height, log_y=log_y)
    names = _names(curves)
    for index, (curve, name) in enumerate(zip(curves, names, strict=True)):
        x = list(curve.steps) if axis == "step" else [moment / 60 for moment in curve.times]
        colour = look.colour(index)
        few = len(curve.values) <= 30
        shared: dict[str, Any] = {"x": x, "mode": "lines+markers" if few else "lines", "legendgroup": curve.run_id}
        if smoothing:
            raw = {"line": {"color": colour, "width": 1}, "opacity": 0.25, "showlegend": False, "hoverinfo": "skip"}
            figure.add_trace(go.Scatter(y=list(curve.values), **raw, **shared))
        figure.add_trace(
            go.Scatter(
                y=smoothed(curve.values, smoothing) if smoothing else list(curve.values),
                name=name,
                line={"color": colour, "width": 2},
                marker={"size": 5},
                hovertemplate="%{y:.5g}",
                **shared,
            )
        )
    figure.update_layout(showlegend=True)
    figure.update_xaxes(hoverformat=",d" if axis == "step" else ".2f")
    return figure


def curves_csv(curves: Sequence[Curve], value_name: str) -> str:
    """Return the points as CSV with the columns ``run``, ``name``, ``step``, ``seconds`` and the value.

    Names that a spreadsheet would take for a formula get a quote in front.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["run", "name", "step", "seconds", value_name])
    for curve in curves:
        times: Sequence[float | None] = curve.times or [None] * len(curve.steps)
        for step, value, moment in zip(curve.steps, curve.values, times, strict=True):
            seconds = "" if moment is None else f"{moment:.3f}"
            writer.writerow([curve.run_id, cell(curve.name), step, seconds, "" if value is None else repr(value)])
    return out.getvalue()


def cell(text: str) -> str:
    """Return a text for a CSV cell that no spreadsheet runs as a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def table_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return a table as CSV; the columns are those of the first row."""
    out = io.StringIO()
    if rows:
        writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({key: cell(value) if isinstance(value, str) else value for key, value in row.items()})
    return out.getvalue()


def _names(curves: Sequence[Curve]) -> list[str]:
    seen = [curve.name for curve in curves]
    return [
        safe_text(f"{curve.name} · {curve.run_id[-4:]}" if seen.count(curve.name) > 1 else curve.name, 40)
        for curve in curves
    ]
