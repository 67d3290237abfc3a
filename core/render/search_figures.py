"""Figures of searches. Pure functions of the plain data that a run's desk gives.

They show what Optuna's own figures show, but are drawn from the stored history: a page needs neither Optuna nor a study
for them, and a search that is still going on can be looked at.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from core.render.look import Look, base_figure, safe_text
from core.render.search_parts import (
    faint,
    field_axis,
    hover,
    last_value,
    metric_words,
    mixed,
    parallel_axis,
    spread,
    way,
)  # fmt: skip

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

__all__ = [
    "best_so_far", "history_figure", "importance_figure", "moving", "parallel_figure", "pareto_figure", "scored",
    "slice_figure",
]  # fmt: skip

_MOST_SLICES = 8


# ---- what is drawn -------------------------------------------------------------------------------------------------


def scored(search: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the finished trials of a search that were really run, in order."""
    return [one for one in search["trials"] if one["scores"] is not None and one["repeats"] is None]


def moving(search: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the dimensions of a search that are not held at one value."""
    return [one for one in search["space"] if one["fixed"] is None]


def best_so_far(search: Mapping[str, Any], objective: int = 0) -> tuple[list[int], list[float]]:
    """Return trial numbers (from 1) and the best score up to each."""
    better = max if search["objectives"][objective]["direction"] == "maximize" else min
    numbers, values = list[int](), list[float]()
    for one in search["trials"]:
        if one["scores"] is not None:
            score = one["scores"][objective]
            numbers.append(one["number"] + 1)
            values.append(better(values[-1], score) if values else score)
    return numbers, values


# ---- figures -------------------------------------------------------------------------------------------------------


def history_figure(search: Mapping[str, Any], look: Look, *, objective: int = 0) -> Figure:
    """Draw the score of every trial in order and the best so far; bars are the spread over the seeds.

    Parameters
    ----------
    search
        A search as :meth:`core.runs.desk.RunDesk.searches` returns it.
    look
        Colours.
    objective
        Which objective.
    """
    import plotly.graph_objects as go

    metric = search["objectives"][objective]["metric"]
    figure = base_figure(f"{metric_words(metric)} of every trial", "trial", metric, look, height=320)
    finished = [one for one in search["trials"] if one["scores"] is not None]
    spreads = [spread(one, objective) for one in finished]
    figure.add_trace(
        go.Scatter(
            x=[one["number"] + 1 for one in finished],
            y=[one["scores"][objective] for one in finished],
            mode="markers",
            name="finished",
            marker={
                "size": 9,
                "color": look.colour(0),
                "symbol": ["circle" if one["repeats"] is None else "circle-open" for one in finished],
            },
            error_y={"type": "data", "array": spreads, "thickness": 1.5, "width": 3} if any(spreads) else None,
            text=[hover(one, search) for one in finished],
            hovertemplate="%{text}<extra></extra>",
        )
    )
    pruned = [one for one in search["trials"] if one["state"] == "pruned" and one["steps"]] if objective == 0 else []
    if pruned:
        figure.add_trace(
            go.Scatter(
                x=[one["number"] + 1 for one in pruned],
                y=[last_value(one) for one in pruned],
                mode="markers",
                name="ended early",
                marker={"size": 9, "color": look.text, "opacity": 0.6, "symbol": "x-thin-open", "line": {"width": 2}},
                text=[hover(one, search) for one in pruned],
                hovertemplate="%{text}<extra></extra>",
            )
        )
    numbers, values = best_so_far(search, objective)
    figure.add_trace(
        go.Scatter(
            x=numbers,
            y=values,
            mode="lines",
            name="best so far",
            line={"color": look.colour(1), "width": 2, "shape": "hv"},
            hoverinfo="skip",
        )
    )
    failed = [one["number"] + 1 for one in search["trials"] if one["state"] == "failed"]
    for number in failed:
        figure.add_vline(x=number, line={"color": look.roles.get("bad", look.text), "width": 1, "dash": "dot"})
    if failed:
        figure.add_trace(
            go.Scatter(
                x=[None], y=[None], mode="lines", name="failed",
                line={"color": look.roles.get("bad", look.text), "width": 1, "dash": "dot"},
            )
        )  # fmt: skip
    figure.update_layout(hovermode="closest", showlegend=True)
    figure.update_xaxes(tickformat=",d", range=[0.4, max(len(search["trials"]), 2) + 0.6])
    return figure


def slice_figure(search: Mapping[str, Any], look: Look, *, objective: int = 0) -> Figure:
    """Draw the score against each field that moved, one panel a field; later trials are darker."""
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    fields = moving(search)[:_MOST_SLICES]
    trials, metric = scored(search), search["objectives"][objective]["metric"]
    columns = min(len(fields), 3)
    rows = math.ceil(len(fields) / columns)
    base = base_figure(f"{metric_words(metric)} against each field", "", "", look, height=90 + 210 * rows)
    figure = make_subplots(rows=rows, cols=columns, shared_yaxes=True, vertical_spacing=0.3 / rows,
                           horizontal_spacing=0.04)  # fmt: skip
    figure.update_layout(base.layout)
    shades = [one["number"] + 1 for one in trials]
    fonts = {"title_font_size": 12, "title_standoff": 6, "tickfont_size": 12}
    for at, field in enumerate(fields):
        row, column = at // columns + 1, at % columns + 1
        places, ticks = field_axis(field, [one["values"][field["key"]] for one in trials])
        figure.add_trace(
            go.Scatter(
                x=places,
                y=[one["scores"][objective] for one in trials],
                mode="markers",
                showlegend=False,
                marker={
                    "size": 9,
                    "color": shades,
                    "colorscale": [[0, faint(look.colour(0), 0.25)], [1, look.colour(0)]],
                    "cmin": 1,
                    "cmax": max([*shades, 2]),
                    "line": {"width": 1, "color": look.colour(0)},
                },
                text=[hover(one, search) for one in trials],
                hovertemplate="%{text}<extra></extra>",
            ),
            row=row,
            col=column,
        )
        figure.update_xaxes(title_text=safe_text(field["key"], 32), gridcolor=look.grid, linecolor=look.grid,
                            zeroline=False, automargin=True, row=row, col=column, **fonts, **ticks)  # fmt: skip
        figure.update_yaxes(gridcolor=look.grid, linecolor=look.grid, zeroline=False, automargin=True, row=row,
                            col=column, title_text=safe_text(metric) if column == 1 else "", **fonts)  # fmt: skip
    figure.update_layout(hovermode="closest")
    return figure


def parallel_figure(search: Mapping[str, Any], look: Look, *, objective: int = 0) -> Figure:
    """Draw every trial as a line through its values and its score; better ones stand out by colour."""
    import plotly.graph_objects as go

    trials = scored(search)
    scores = [one["scores"][objective] for one in trials]
    axes = [parallel_axis(field, [one["values"][field["key"]] for one in trials]) for field in moving(search)]
    axes += [
        {"label": safe_text(one["metric"], 24), "values": [trial["scores"][at] for trial in trials]}
        for at, one in enumerate(search["objectives"])
    ]
    up = search["objectives"][objective]["direction"] == "maximize"
    figure = base_figure("Trials from field to score", "", "", look, height=360)
    figure.add_trace(
        go.Parcoords(
            dimensions=axes,
            line={
                "color": scores,
                "colorscale": [[0, look.grid], [0.5, mixed(look.grid, look.colour(0))], [1, look.colour(0)]],
                "reversescale": not up,
                "showscale": False,
            },
            labelfont={"size": 12, "color": look.text},
            tickfont={"size": 11, "color": look.text},
            rangefont={"size": 10, "color": look.text},
            unselected={"line": {"opacity": 0.05}},
        )
    )
    # its ticks throw a shadow in the paper's colour, which must be one
    figure.update_layout(margin={"l": 56, "r": 48, "t": 84, "b": 24}, paper_bgcolor=look.background)
    return figure


def importance_figure(search: Mapping[str, Any], look: Look) -> Figure:
    """Draw how much each field explains of each objective, as Optuna's PED-ANOVA has it."""
    import plotly.graph_objects as go

    found: Mapping[str, Mapping[str, float]] = search["importance"] or {}
    keys = [field["key"] for field in moving(search)]
    keys.sort(key=lambda key: max((shares.get(key, 0.0) for shares in found.values()), default=0.0))
    figure = base_figure(
        "Which fields matter", "share of the importance", "", look, height=110 + 34 * max(len(keys), 2) * len(found)
    )
    for at, (metric, shares) in enumerate(found.items()):
        figure.add_trace(
            go.Bar(
                x=[shares.get(key, 0.0) for key in keys],
                y=[safe_text(key, 32) for key in keys],
                orientation="h",
                name=safe_text(metric),
                marker={"color": look.colour(at)},
                text=[f"{shares.get(key, 0.0):.0%}" for key in keys],
                textposition="auto",
                hovertemplate="%{y}: %{x:.1%}<extra></extra>",
            )
        )
    figure.update_layout(hovermode="closest", showlegend=len(found) > 1, bargap=0.35)
    figure.update_xaxes(tickformat=".0%", range=[0, 1.02])
    figure.update_yaxes(showgrid=False)
    return figure


def pareto_figure(search: Mapping[str, Any], look: Look, *, across: int = 0, up: int = 1) -> Figure:
    """Draw two objectives against each other; no trial beats those on the line in all objectives."""
    import plotly.graph_objects as go

    first, second = search["objectives"][across], search["objectives"][up]
    trials, front = scored(search), set(search["front"])
    figure = base_figure(
        "Pareto front", f"{first['metric']} ({way(first)})", f"{second['metric']} ({way(second)})", look, height=360
    )
    for name, chosen, colour, opacity in (
        ("other trials", [one for one in trials if one["number"] not in front], look.text, 0.45),
        ("front", [one for one in trials if one["number"] in front], look.colour(1), 1.0),
    ):
        chosen = sorted(chosen, key=lambda one: one["scores"][across])
        line = name == "front" and len(search["objectives"]) == 2
        figure.add_trace(
            go.Scatter(
                x=[one["scores"][across] for one in chosen],
                y=[one["scores"][up] for one in chosen],
                mode="lines+markers" if line else "markers",
                name=name,
                line={"color": colour, "width": 1.5, "dash": "dot"},
                marker={"size": 10, "color": colour, "opacity": opacity},
                text=[hover(one, search) for one in chosen],
                hovertemplate="%{text}<extra></extra>",
            )
        )
    figure.update_layout(hovermode="closest", showlegend=True)
    return figure
