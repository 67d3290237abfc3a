"""Where a head points: the matrix as a map, the same as arcs, and how it came about over the training. Pure functions.

Views are plain data of :func:`core.data.tasks.pointer_view.pointer_views`, gold of ``gold_of`` there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from core.render.look import Look, base_figure, safe_text
from core.render.tree_svg import Arc, arcs_of

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

__all__ = [
    "answered_cells",
    "gold_cells",
    "learning_map",
    "learnt_shares",
    "learnt_targets",
    "pointer_arcs",
    "pointer_map",
]

View = Mapping[str, Any]
_WORD = 16
_BAR = {"thickness": 10, "outlinewidth": 0, "tickvals": [0, 0.5, 1], "ticktext": ["0 %", "50 %", "100 %"]}
#: Words around an answer that arcs are drawn over, and most of them.
_AROUND, _MOST = 10, 60


def pointer_map(view: View, look: Look, *, gold: Mapping[str, Any] | None = None, memory: bool = False) -> Figure:
    """Draw the shares of a view: rows point to columns, the empty slot first.

    Parameters
    ----------
    view
        What a head says of a sentence.
    look
        Colours.
    gold
        What is right, where that is known: open squares; what is answered has a cross.
    memory
        Draw what the memory is made of in place of the pointers.
    """
    import plotly.graph_objects as go

    shares = view["memory"] if memory else view["shares"]
    rows = list(view["rows"])[: len(shares)]
    columns = [f"[{view['slot']}]", *view["columns"]] if view["slot"] else list(view["columns"])
    named = [[(safe_text(row, 30), safe_text(column, 30)) for column in columns] for row in rows]
    title, axis, hover = _texts(view, memory=memory)
    figure = base_figure(title, axis, "", look, height=max(230, 150 + 22 * len(rows)))
    figure.add_trace(
        go.Heatmap(
            z=shares, x=list(range(len(columns))), y=list(range(len(rows))), customdata=named, zmin=0, zmax=1, xgap=1,
            ygap=1, colorscale=[[0, look.background], [1, look.colour(2 if memory else 0)]], showlegend=False,
            colorbar=_BAR, hovertemplate=hover + "<extra></extra>",
        )
    )  # fmt: skip
    if not memory:
        for name, cells, symbol, colour in (
            ("answer", answered_cells(view), "x-thin", look.text), ("gold", gold_cells(view, gold), "square-open",
                                                               look.colour(1)),
        ):  # fmt: skip
            if cells:
                figure.add_trace(
                    go.Scatter(
                        x=[cell[1] for cell in cells], y=[cell[0] for cell in cells], mode="markers", name=name,
                        hoverinfo="skip",
                        marker={"symbol": symbol, "size": 11 if name == "gold" else 7, "color": colour,
                                "line": {"width": 2, "color": colour}},
                    )
                )  # fmt: skip
    figure.update_layout(hovermode="closest", legend={"y": 1.0, "yanchor": "bottom", "x": 1, "xanchor": "right"})
    few = len(columns) <= 45
    ticks = list(range(len(columns))) if few else list(range(0, len(columns), max(1, len(columns) // 30)))
    figure.update_xaxes(
        tickvals=ticks, ticktext=[safe_text(columns[at], _WORD) for at in ticks], showgrid=False, tickangle=-60,
        range=[-0.5, len(columns) - 0.5],
    )  # fmt: skip
    figure.update_yaxes(
        tickvals=list(range(len(rows))), ticktext=[safe_text(row, _WORD) for row in rows], showgrid=False,
        range=[len(rows) - 0.5, -0.5],
    )  # fmt: skip
    return figure


def _texts(view: View, *, memory: bool) -> tuple[str, str, str]:
    """Return title, name of the columns, and what hovering says."""
    if memory:
        return "What the memory is made of", "words whose values are read", (
            "%{customdata[0]} reads %{customdata[1]}: %{z:.1%} of its memory"
        )  # fmt: skip
    if view["kind"] == "stretches":
        return "Stretches from row to column", "last word", "%{customdata[0]} … %{customdata[1]}: %{z:.1%}"
    what = {"heads": "head", "question": "word of the text"}.get(view["kind"], "what is pointed to")
    return "Pointers", what, "%{customdata[0]} → %{customdata[1]}: %{z:.1%}"


def answered_cells(view: View) -> list[tuple[int, int]]:
    """Return row and column in the shares of everything that is answered."""
    if view["kind"] == "stretches":
        return [(one["first"], one["last"]) for one in view["spans"] or ()]
    return list(enumerate(view["pointed"]))


def gold_cells(view: View, gold: Mapping[str, Any] | None) -> list[tuple[int, int]]:
    """Return row and column in the shares of what is right; none where nobody knows, or it stands outside."""
    if gold is None:
        return []
    if view["kind"] == "stretches":
        return [(one["first"], one["last"]) for one in gold["spans"] or ()]
    return list(enumerate(gold["pointed"] or ()))


def pointer_arcs(view: View, gold: Mapping[str, Any] | None = None) -> tuple[list[str], list[Arc], list[Arc]]:
    """Return the words with the arcs that were predicted, and those of the gold that were missed.

    Words in no entity that rightly point to no word have no arc. Answers and stretches are arcs from their first to
    their last word; of a long text the words around them are returned.

    Parameters
    ----------
    view
        What a head says of a sentence.
    gold
        What is right; None where nobody knows.
    """
    words = [str(word) for word in view["columns"]]
    if view["kind"] in ("words", "heads"):
        wanted = None if gold is None else gold["pointed"]
        known = gold["names"] if gold is not None and wanted is not None else None
        found, missed = arcs_of(view["pointed"], view["names"], wanted, known)
        found = [
            replace(arc, share=view["shares"][at][arc.head]) for at, arc in enumerate(found)
            if arc.head or view["kind"] == "heads" or not arc.right
        ]  # fmt: skip
        return _with_entries(words, found, missed, len(view["rows"])) if view.get("entries") else (words, found, missed)
    said = {(one["first"], one["last"], one["name"]): one.get("share") for one in view["spans"] or ()}
    right = None if gold is None else {(one["first"], one["last"], one["name"]) for one in gold["spans"] or ()}
    found = [
        Arc(last + 1, first + 1, name, right is None or (first, last, name) in right, share)
        for (first, last, name), share in said.items()
    ]
    missed = [Arc(last + 1, first + 1, name) for first, last, name in sorted((right or set()) - set(said))]
    return _around(words, found, missed)


def _with_entries(
    columns: list[str], found: list[Arc], missed: list[Arc], words: int
) -> tuple[list[str], list[Arc], list[Arc]]:
    """Return the words, behind them the entries of a dictionary that arcs lead to, and the arcs."""
    used = sorted({arc.head for arc in (*found, *missed) if arc.head > words})
    places = {head: words + 1 + at for at, head in enumerate(used)}

    def moved(arcs: list[Arc]) -> list[Arc]:
        return [replace(arc, head=places.get(arc.head, arc.head)) for arc in arcs]

    return [*columns[:words], *(columns[head - 1] for head in used)], moved(found), moved(missed)


def _around(words: list[str], found: list[Arc], missed: list[Arc]) -> tuple[list[str], list[Arc], list[Arc]]:
    """Return the words around all arcs, of a text that is too long to be drawn."""
    ends = [end for arc in (*found, *missed) for end in (arc.word, arc.head)]
    if len(words) <= _MOST or not ends:
        return words[:_MOST], found, missed
    low, high = max(0, min(ends) - 1 - _AROUND), min(len(words), max(ends) + _AROUND)

    def moved(arcs: list[Arc]) -> list[Arc]:
        return [replace(arc, word=arc.word - low, head=arc.head - low) for arc in arcs]

    return words[low:high], moved(found), moved(missed)


def learnt_targets(looks: Sequence[View], gold: Mapping[str, Any] | None) -> list[tuple[str, int, int]]:
    """Return what is followed over the training: name, row and column of each cell of the matrix.

    These are the gold's cells; without gold, or where it stands outside, those that the last look answers.

    Parameters
    ----------
    looks
        Views of one sentence.
    gold
        What is right.
    """
    last = looks[-1]
    cells = gold_cells(last, gold) or answered_cells(last)
    columns = [last["slot"], *last["columns"]] if last["slot"] else list(last["columns"])
    join = " … " if last["kind"] == "stretches" else " → "
    return [(f"{last['rows'][row]}{join}{columns[column]}", row, column) for row, column in cells]


def learnt_shares(looks: Sequence[View], targets: Sequence[tuple[str, int, int]]) -> list[list[float]]:
    """Return the shares of cells at each look, shape (cells, looks)."""
    return [[look["shares"][row][column] for look in looks] for _, row, column in targets]


def learning_map(looks: Sequence[View], look: Look, *, gold: Mapping[str, Any] | None = None) -> Figure:
    """Draw how probable the right pointers were at each look.

    Parameters
    ----------
    looks
        Views of one sentence with their ``step``, oldest first.
    look
        Colours.
    gold
        What is right; without it the pointers of the last look are followed.
    """
    import plotly.graph_objects as go

    targets = learnt_targets(looks, gold)
    right = gold is not None and bool(gold_cells(looks[-1], gold))
    title = "Probability of the right pointer" if right else "Probability of the last look's pointers"
    names = [safe_text(name, 34) for name, _, _ in targets]
    figure = base_figure(title, "step", "", look, height=max(230, 120 + 22 * len(targets)))
    figure.add_trace(
        go.Heatmap(
            z=learnt_shares(looks, targets), x=[f"{one['step']:,}" for one in looks], y=list(range(len(targets))),
            customdata=[[name] * len(looks) for name in names], zmin=0, zmax=1, ygap=1,
            colorscale=[[0, look.background], [1, look.colour(0)]],
            colorbar=_BAR, hovertemplate="step %{x}, %{customdata}: %{z:.1%}<extra></extra>",
        )
    )  # fmt: skip
    figure.update_layout(hovermode="closest")
    figure.update_xaxes(type="category", showgrid=False, nticks=8, tickangle=0)
    figure.update_yaxes(
        tickvals=list(range(len(names))), ticktext=names, showgrid=False, range=[len(names) - 0.5, -0.5]
    )  # fmt: skip
    return figure
