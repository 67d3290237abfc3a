"""Where tasks that share an encoder pull it apart: cosines, conflict rates and norm ratios, layer by layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from core.render.look import Look, base_figure, safe_text

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

__all__ = ["What", "conflict_map", "negative", "thinned"]

#: What a map shows.
What = Literal["cosine", "rate", "ratio"]
#: More looks than this are averaged in neighbouring ones: cells would be narrower than a pixel.
MOST_COLUMNS = 120
#: A single look is negative or not: a rate is one of several.
RATE_COLUMNS = 24


def thinned(
    steps: Sequence[int], rows: Sequence[Sequence[float | None]], most: int = MOST_COLUMNS
) -> tuple[list[int], list[list[float | None]]]:
    """Average neighbouring looks until at most so many are left.

    Parameters
    ----------
    steps
        Step of each look.
    rows
        Values by unit and look; None where there is none.
    most
        At most this many columns.

    Returns
    -------
    steps
        The last step of each column.
    rows
        Means by unit and column.
    """
    size = max(1, math.ceil(len(steps) / most))
    starts = range(0, len(steps), size)
    kept = [steps[min(at + size, len(steps)) - 1] for at in starts]
    return kept, [[_mean(row[at : at + size]) for at in starts] for row in rows]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None and math.isfinite(value)]
    return sum(known) / len(known) if known else None


def negative(
    steps: Sequence[int], rows: Sequence[Sequence[float | None]]
) -> tuple[list[int], list[list[float | None]]]:
    """Return the share of looks with a negative cosine in each column of neighbouring looks.

    Parameters
    ----------
    steps
        Step of each look.
    rows
        Cosines by unit and look; None where there is none.

    Returns
    -------
    steps
        The last step of each column.
    rows
        Rates by unit and column.
    """
    signs = [[None if value is None else float(value < 0) for value in row] for row in rows]
    return thinned(steps, signs, RATE_COLUMNS)


def conflict_map(
    units: Sequence[str], steps: Sequence[int], rows: Sequence[Sequence[float | None]], look: Look, *,
    pair: tuple[str, str], what: What = "cosine",
) -> Figure:  # fmt: skip
    """Draw what was found of two tasks' gradients as a map, layers by steps, the lowest layer at the bottom.

    Parameters
    ----------
    units
        Names of the layers, lowest first.
    steps
        Step of each look.
    rows
        Cosines, shares of looks with a negative one, or norm ratios, by unit and look.
    look
        Colours: the first for what is above 0 (or 1), the second for what is below, and for rates.
    pair
        Names of the tasks.
    what
        What the values are. Norm ratios are averaged and coloured by their logarithm.
    """
    import plotly.graph_objects as go

    first, second = (safe_text(name, 24) for name in pair)
    titles = {
        "cosine": f"cosine of {first} and {second}",
        "rate": f"share of looks in which {first} and {second} disagree",
        "ratio": f"norm of {first} by that of {second}",
    }
    if what == "ratio":
        rows = [[math.log2(value) if value else None for value in row] for row in rows]
    columns, shown = thinned(steps, rows)
    told: list[list[float | None]] = shown
    if what == "ratio":
        told = [[None if value is None else 2.0**value for value in row] for row in shown]
    most = max([*(abs(value) for row in shown for value in row if value is not None), 1e-3])
    ticks, scale = [-most, 0.0, most], [[0, look.colour(1)], [0.5, look.background], [1, look.colour(0)]]
    names = [f"{2.0**tick:.2g}" for tick in ticks] if what == "ratio" else [f"{tick:.2g}" for tick in ticks]
    hover = "%{y}, step %{x}: %{customdata:.3f}<extra></extra>"
    if what == "rate":
        ticks, scale, most = [0.0, 0.5, 1.0], [[0, look.background], [1, look.colour(1)]], 1.0
        names, hover = ["0 %", "50 %", "100 %"], "%{y}, until step %{x}: %{customdata:.0%}<extra></extra>"
    figure = base_figure(f"Gradients by layer: {titles[what]}", "step", "", look, height=150 + 30 * len(units))
    figure.add_trace(
        go.Heatmap(
            z=shown, x=[f"{step:,}" for step in columns], y=[safe_text(unit, 24) for unit in units], customdata=told,
            zmin=0.0 if what == "rate" else -most, zmax=most, ygap=1, colorscale=scale,
            colorbar={"thickness": 10, "outlinewidth": 0, "tickvals": ticks, "ticktext": names}, hovertemplate=hover,
        )
    )  # fmt: skip
    figure.update_layout(hovermode="closest")
    figure.update_xaxes(type="category", showgrid=False, nticks=8, tickangle=0)
    figure.update_yaxes(type="category", showgrid=False)
    return figure
