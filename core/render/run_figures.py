"""Figures of one finished run: what it confuses, and how sure its scores are. Pure functions of their arguments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from core.render.look import Look, base_figure, safe_text

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

__all__ = ["breakdown_scores", "confusion_matrix", "entity_scores", "head_scores", "pick_labels", "shares"]


def pick_labels(matrix: Sequence[Sequence[float]], most: int) -> list[int]:
    """Return the indices of the labels to draw: the `most` with the largest number of confusions, in their own order.

    Parameters
    ----------
    matrix
        Gold × predicted counts, shape (labels, labels).
    most
        At most this many.
    """
    size = len(matrix)
    if size <= most:
        return list(range(size))
    wrong = [sum(matrix[gold]) + sum(row[gold] for row in matrix) - 2 * matrix[gold][gold] for gold in range(size)]
    ranked = sorted(range(size), key=lambda index: (-wrong[index], index))
    return sorted(ranked[:most])


def shares(matrix: Sequence[Sequence[float]]) -> list[list[float | None]]:
    """Return each row divided by its sum (share of the gold label); rows without any text are None throughout."""
    result: list[list[float | None]] = []
    for row in matrix:
        total = sum(row)
        result.append([value / total if total else None for value in row])
    return result


def confusion_matrix(
    labels: Sequence[str], matrix: Sequence[Sequence[float]], look: Look, *, role: str = "test", most: int = 25
) -> Figure:
    """Draw gold labels against predicted ones; the colour is the share of the gold label, the number is the count.

    Parameters
    ----------
    labels
        Names, in the order of the matrix.
    matrix
        Gold × predicted counts, shape (labels, labels).
    look
        Colours.
    role
        Which role the counts come from; names the figure.
    most
        With more labels than this only the most confused ones are drawn.
    """
    import plotly.graph_objects as go

    shown = pick_labels(matrix, most)
    part = [[shares(matrix)[gold][guess] for guess in shown] for gold in shown]
    counts = [[matrix[gold][guess] for guess in shown] for gold in shown]
    names = [safe_text(labels[index], 28) for index in shown]
    title = f"Confusion on {role} (colour: share of gold)" + (
        f", the {len(shown)} most confused of {len(labels)} labels" if len(shown) < len(labels) else ""
    )
    height = min(150 + 42 * len(shown), 760)
    figure = base_figure(title, "predicted", "gold", look, height=max(height, 280))
    scale = [[0.0, _faint(look.colour(0), 0.05)], [1.0, look.colour(0)]]
    ticks = list(range(len(shown)))
    figure.add_trace(
        go.Heatmap(
            z=part,
            x=ticks,
            y=ticks,
            colorscale=scale,
            zmin=0,
            zmax=1,
            xgap=2,
            ygap=2,
            customdata=counts,
            hovertemplate="gold %{y}, predicted %{x}<br>%{customdata:,} texts (%{z:.1%} of gold)<extra></extra>",
            colorbar={"tickformat": ".0%", "thickness": 10, "outlinewidth": 0, "nticks": 5},
        )
    )
    if len(shown) <= 12:
        # Written on the cells: white on dark ones in the light theme, and the other way round.
        for gold, row in enumerate(part):
            for guess, share in enumerate(row):
                figure.add_annotation(
                    x=guess,
                    y=gold,
                    text=f"{counts[gold][guess]:,}",
                    showarrow=False,
                    font={"size": 13, "color": "#FFFFFF" if (share or 0) > 0.45 else look.text},
                )
    figure.update_layout(hovermode="closest", margin={"l": 8, "r": 8, "t": 48, "b": 8})
    figure.update_xaxes(tickvals=ticks, ticktext=names, showgrid=False, showline=False, side="bottom")
    figure.update_yaxes(tickvals=ticks, ticktext=names, showgrid=False, showline=False, autorange="reversed")
    return figure


def entity_scores(entities: Sequence[Mapping[str, Any]], look: Look, *, role: str = "test", most: int = 25) -> Figure:
    """Draw F1 of every entity type with its 95 % interval, the most frequent type on top.

    Parameters
    ----------
    entities
        ``type``, ``f1``, ``support``, and ``interval`` [low, high] where there is one.
    look
        Colours; the role's colour is used.
    """
    shown = sorted(entities, key=lambda item: -int(item.get("support") or 0))[:most]
    return _f1_figure(
        f"Strict F1 by entity type, {role}", shown, [safe_text(item.get("type"), 28) for item in shown], look,
        role=role, unit="entities",
    )  # fmt: skip


def breakdown_scores(entries: Sequence[Mapping[str, Any]], look: Look, *, role: str = "test", most: int = 30) -> Figure:
    """Draw F1 of every group of questions with its 95 % interval, in the order given.

    Parameters
    ----------
    entries
        ``by``, ``value``, ``f1``, ``support``, and ``interval`` [low, high] where there is one.
    look
        Colours; the role's colour is used.
    """
    shown = entries[:most]
    names = [safe_text(f"{item.get('by')}: {item.get('value')}", 40) for item in shown]
    return _f1_figure(f"F1 by kind of question, {role}", shown, names, look, role=role, unit="questions")


def head_scores(
    entries: Sequence[Mapping[str, Any]], look: Look, *, role: str = "test", by: str = "", most: int = 30
) -> Figure:
    """Draw the share of words with the right head in every group, with its 95 % interval, in the order given.

    Parameters
    ----------
    entries
        ``value``, ``heads``, ``support``, and ``interval`` [low, high] where there is one.
    look
        Colours; the role's colour is used.
    role, by
        For the title.
    """
    shown = [{**item, "f1": item.get("heads")} for item in entries[:most]]
    names = [safe_text(item.get("value"), 28) for item in shown]
    return _f1_figure(f"Right heads by {by}, {role}", shown, names, look, role=role, unit="words", what="right heads")


def _f1_figure(
    title: str, shown: Sequence[Mapping[str, Any]], names: Sequence[str], look: Look, *, role: str, unit: str,
    what: str = "F1",
) -> Figure:  # fmt: skip
    import plotly.graph_objects as go

    values = [float(item.get("f1") or 0.0) for item in shown]
    bounds = [item.get("interval") or (value, value) for item, value in zip(shown, values, strict=True)]
    figure = base_figure(title, f"{what} (95 % interval)", "", look, height=max(120 + 30 * len(shown), 240))
    figure.add_trace(
        go.Scatter(
            x=values,
            y=list(names),
            mode="markers",
            marker={"size": 10, "color": look.roles.get(role, look.colour(0))},
            error_x={
                "type": "data",
                "symmetric": False,
                "thickness": 2,
                "width": 5,
                "array": [max(high - value, 0.0) for value, (_, high) in zip(values, bounds, strict=True)],
                "arrayminus": [max(value - low, 0.0) for value, (low, _) in zip(values, bounds, strict=True)],
            },
            customdata=[[int(item.get("support") or 0), *bound] for item, bound in zip(shown, bounds, strict=True)],
            hovertemplate=f"%{{y}}: {what} %{{x:.1%}} (%{{customdata[1]:.1%}}–%{{customdata[2]:.1%}}),"
            f" %{{customdata[0]:,}} {unit}<extra></extra>",
            showlegend=False,
        )
    )
    figure.update_layout(hovermode="closest")
    figure.update_xaxes(range=[-0.02, 1.02], tickformat=".0%")
    figure.update_yaxes(autorange="reversed", showgrid=False)
    return figure


def _faint(colour: str, alpha: float) -> str:
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},{alpha})"
