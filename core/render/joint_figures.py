"""Where tasks that share an encoder pull it apart: cosines or norm ratios of their gradients, layer by layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from core.render.look import Look, base_figure, safe_text

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

__all__ = ["conflict_map", "thinned"]

#: More looks than this are averaged in neighbouring ones: cells would be narrower than a pixel.
MOST_COLUMNS = 120


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


def conflict_map(
    units: Sequence[str], steps: Sequence[int], rows: Sequence[Sequence[float | None]], look: Look, *,
    pair: tuple[str, str], ratio: bool = False,
) -> Figure:  # fmt: skip
    """Draw what was found of two tasks' gradients as a map, layers by steps, the lowest layer at the bottom.

    Parameters
    ----------
    units
        Names of the layers, lowest first.
    steps
        Step of each look.
    rows
        Cosines, or norm ratios, by unit and look.
    look
        Colours: the first for what is above 0 (or 1), the second for what is below.
    pair
        Names of the tasks.
    ratio
        Whether the values are norm ratios; they are coloured by their logarithm.
    """
    import plotly.graph_objects as go

    columns, means = thinned(steps, rows)
    first, second = (safe_text(name, 24) for name in pair)
    what = f"norm of {first} by that of {second}" if ratio else f"cosine of {first} and {second}"
    shown: list[list[float | None]] = means
    if ratio:
        shown = [[math.log2(value) if value else None for value in row] for row in means]
    known = [abs(value) for row in shown for value in row if value is not None]
    most = max([*known, 1e-3])
    figure = base_figure(f"Gradients by layer: {what}", "step", "", look, height=150 + 30 * len(units))
    ticks = [-most, 0.0, most]
    names = [f"{2.0**tick:.2g}" for tick in ticks] if ratio else [f"{tick:.2g}" for tick in ticks]
    figure.add_trace(
        go.Heatmap(
            z=shown, x=[f"{step:,}" for step in columns], y=[safe_text(unit, 24) for unit in units], customdata=means,
            zmin=-most, zmax=most, ygap=1,
            colorscale=[[0, look.colour(1)], [0.5, look.background], [1, look.colour(0)]],
            colorbar={"thickness": 10, "outlinewidth": 0, "tickvals": ticks, "ticktext": names},
            hovertemplate="%{y}, step %{x}: %{customdata:.3f}<extra></extra>",
        )
    )  # fmt: skip
    figure.update_layout(hovermode="closest")
    figure.update_xaxes(type="category", showgrid=False, nticks=8, tickangle=0)
    figure.update_yaxes(type="category", showgrid=False)
    return figure
