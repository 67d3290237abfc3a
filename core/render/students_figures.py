"""All students of one task by what they cost and what they score, and those that no other beats."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from core.render.look import Look, base_figure, safe_text

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

__all__ = ["ACROSS", "drawn", "students_figure"]

#: What may stand across, and its unit.
ACROSS = {"p50_ms": "median ms of one text of 64 sub-words", "parameters": "parameters"}
_KINDS = {"distilled": "with a teacher", "alone": "without a teacher", "teacher": "teachers"}
_SYMBOLS = {"distilled": "circle", "alone": "square", "teacher": "star"}
_LEAST, _LARGEST = 9.0, 30.0


def drawn(found: Mapping[str, Any], across: str) -> list[Mapping[str, Any]]:
    """Return the students and teachers that can be drawn, in the order of the figure's points: a kind at a time."""
    everyone = [*found["students"], *found["teachers"]]
    known = [one for one in everyone if one.get(across) is not None and one["score"] is not None]
    return sorted(known, key=lambda one: list(_KINDS).index(one["kind"]))


def students_figure(found: Mapping[str, Any], look: Look, *, across: str = "p50_ms") -> Figure:
    """Draw students and teachers; a point's area is the number of its parameters.

    Parameters
    ----------
    found
        What :func:`core.runs.students.overview` returns. What was not measured is not drawn where speed stands across,
        and is hollow where size does.
    look
        Colours.
    across
        A key of :data:`ACROSS`.
    """
    import plotly.graph_objects as go

    name = safe_text(f"{found['role']} {found['metric']}".replace("_", " "))
    figure = base_figure("Students so far", ACROSS[across], name, look, height=400)
    shown = drawn(found, across)
    largest = max((float(one["parameters"] or 0) for one in shown), default=0.0)
    for place, kind in enumerate(_KINDS):
        own = [one for one in shown if one["kind"] == kind]
        if not own:
            continue
        colour = look.colour(place)
        figure.add_trace(
            go.Scatter(
                x=[one[across] for one in own],
                y=[one["score"] for one in own],
                mode="markers",
                name=_KINDS[kind],
                marker={
                    "size": [_size(one["parameters"], largest) for one in own],
                    "symbol": [_SYMBOLS[kind] + ("-open" if one["why"] else "") for one in own],
                    "color": colour,
                    "opacity": [0.95 if one["on_front"] or one["here"] or kind == "teacher" else 0.6 for one in own],
                    "line": {"width": [2.5 if one["on_front"] else 1 for one in own],
                             "color": [look.text if one["on_front"] else colour for one in own]},
                },
                selected={"marker": {"opacity": 1.0}},
                unselected={"marker": {"opacity": 0.5}},
                customdata=[one["run"] for one in own],
                text=[_words(one, found["metric"]) for one in own],
                hovertemplate="%{text}<extra></extra>",
            )
        )  # fmt: skip
    for one in shown:
        if one["here"]:
            figure.add_annotation(
                x=_place(one[across]), y=one["score"], text="this run", showarrow=True, arrowhead=0, ax=0, ay=-34,
                font={"size": 12, "color": look.text}, arrowcolor=look.text,
            )  # fmt: skip
    figure.update_xaxes(type="log", exponentformat="none" if across == "p50_ms" else "SI", minor={"showgrid": False})
    figure.update_layout(hovermode="closest", showlegend=True)
    return figure


def _size(parameters: int | None, largest: float) -> float:
    """Return a marker's diameter; its area is in proportion to the parameters, tiny ones stay visible."""
    if not parameters or not largest:
        return _LEAST
    return max(_LEAST, _LARGEST * math.sqrt(parameters / largest))


def _place(value: float) -> float:
    """Return where an annotation stands on an axis of logarithms."""
    return math.log10(value) if value > 0 else 0.0


def _words(one: Mapping[str, Any], metric: str) -> str:
    lines: Sequence[str | None] = [
        f"<b>{safe_text(one['name'])}</b>", _KINDS[one["kind"]], f"{safe_text(metric)} {one['score']:.4f}",
        None if one["parameters"] is None else f"{one['parameters']:,} parameters",
        None if one["p50_ms"] is None else f"{one['p50_ms']:.2f} ms (p50), {one['p95_ms']:.2f} ms (p95)",
        None if one["texts_per_s"] is None else f"{one['texts_per_s']:,.0f} texts/s, 32 at once",
        safe_text(one["why"]) if one["why"] else None, "on the front" if one["on_front"] else None,
    ]  # fmt: skip
    return "<br>".join(line for line in lines if line)
