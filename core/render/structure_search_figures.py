"""Figures of a structure search: candidates and their front, the hypervolume over time, losses through the rungs.

Everything is drawn from the view of a search (:func:`core.search.structure.view.view`), so that a search which is still
going on can be looked at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from core.render.look import Look, base_figure, safe_text

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

__all__ = ["ACROSS", "SOURCES", "UP", "candidates_figure", "hypervolume_figure", "points", "rungs_figure", "value_of"]

#: What may stand on the axes, and its unit.
ACROSS = {
    "parameters": "parameters between embeddings and pooler", "latency": "median ms of one text",
    "flops": "operations of one text", "total": "all parameters",
}  # fmt: skip
UP = {
    "loss": "held-out loss after training", "rank_loss": "held-out loss after inheriting",
    "score": "score on gate after fine-tuning",
}  # fmt: skip
#: Where a candidate's widths come from, in the order of their colours.
SOURCES = {
    "prior": "from the statistics", "random": "drawn evenly", "uniform": "even shape", "hand": "made by hand",
    "given": "given", "tpe": "proposed by TPE",
}  # fmt: skip
_SYMBOLS = {"prior": "circle", "random": "square", "uniform": "diamond", "hand": "triangle-up", "given": "star"}
_MOST_LINES = 40


def value_of(candidate: Mapping[str, Any], name: str) -> float | None:
    """Return a number of a candidate; None while it is not known."""
    if name == "latency":
        return None if candidate["latency"] is None else float(candidate["latency"]["p50"])
    value = candidate.get(name)
    return None if value is None else float(value)


def points(view: Mapping[str, Any], across: str, up: str) -> list[Mapping[str, Any]]:
    """Return the candidates for which both numbers are known, in the order in which they are painted.

    Those of one source stand together; a figure has one trace a source.
    """
    known = [one for one in view["candidates"] if value_of(one, across) is not None and value_of(one, up) is not None]
    order = {name: place for place, name in enumerate(SOURCES)}
    return sorted(known, key=lambda one: (order.get(one["source"], len(order)), one["order"]))


def candidates_figure(
    view: Mapping[str, Any], look: Look, *, across: str = "parameters", up: str = "loss", chosen: str | None = None
) -> Figure:
    """Draw the candidates by what they cost and what they are worth, and the Pareto front.

    Parameters
    ----------
    view
        A search.
    look
        Colours.
    across, up
        Keys of :data:`ACROSS` and :data:`UP`.
    chosen
        Key of the candidate that is looked at.
    """
    import plotly.graph_objects as go

    figure = base_figure("Candidates", ACROSS[across], UP[up], look, height=380)
    shown = points(view, across, up)
    for place, source in enumerate(SOURCES):
        own = [one for one in shown if one["source"] == source]
        if not own:
            continue
        figure.add_trace(
            go.Scatter(
                x=[value_of(one, across) for one in own],
                y=[value_of(one, up) for one in own],
                mode="markers",
                name=SOURCES[source],
                marker={
                    "size": [13 if one["on_front"] else 9 for one in own],
                    "color": look.colour(place),
                    "opacity": [1.0 if one["on_front"] else 0.55 for one in own],
                    "symbol": _SYMBOLS.get(source, "cross"),
                    "line": {"width": [2 if one["on_front"] else 0 for one in own], "color": look.text},
                },
                selected={"marker": {"opacity": 1.0}},
                unselected={"marker": {"opacity": 0.5}},
                customdata=[one["key"] for one in own],
                text=[_words(one) for one in own],
                hovertemplate="%{text}<extra></extra>",
            )
        )
    _front(figure, view, look, across, up)
    for one in shown:
        if one["key"] == chosen:
            figure.add_trace(
                go.Scatter(
                    x=[value_of(one, across)], y=[value_of(one, up)], mode="markers", showlegend=False,
                    hoverinfo="skip",
                    marker={"size": 22, "color": "rgba(0,0,0,0)", "line": {"width": 2, "color": look.text}},
                )
            )  # fmt: skip
    limit = (view.get("budget") or {}).get("latency_ms")
    if across == "latency" and limit:
        bad = look.roles.get("bad", look.text)
        figure.add_vline(x=limit, line={"color": bad, "width": 1, "dash": "dot"})
    figure.update_layout(hovermode="closest", showlegend=True)
    return figure


def hypervolume_figure(view: Mapping[str, Any], look: Look) -> Figure:
    """Draw the share of the box between nothing and the parent that the front dominates, as work went on."""
    import plotly.graph_objects as go

    figure = base_figure(
        "Hypervolume of the front", "candidates ranked and trained so far", "share dominated", look, height=380
    )
    history = [one for one in view["history"] if one["hypervolume"] is not None]
    figure.add_trace(
        go.Scatter(
            x=[one["step"] for one in history],
            y=[one["hypervolume"] for one in history],
            mode="lines+markers",
            name="hypervolume",
            line={"color": look.colour(0), "width": 2, "shape": "hv"},
            marker={"size": 6},
            text=[f"{safe_text(one['phase'])}, {len(one['front'])} on the front" for one in history],
            hovertemplate="%{y:.4f} · %{text}<extra></extra>",
        )
    )
    figure.update_layout(showlegend=False, hovermode="closest")
    return figure


def rungs_figure(view: Mapping[str, Any], look: Look) -> Figure:
    """Draw each trained candidate's held-out loss from step to step: a line ends where its candidate was dropped."""
    import plotly.graph_objects as go

    figure = base_figure("Successive halving", "steps of training", "held-out loss to the parent", look, height=380)
    trained = [one for one in view["candidates"] if one["rungs"]]
    trained.sort(key=lambda one: (one["on_front"], one["steps"], one["order"]))
    named: set[str] = set()
    order = list(SOURCES)
    for one in trained[-_MOST_LINES:]:
        steps, losses = _curve(one["rungs"])
        source = str(one["source"])
        strong = one["state"] in ("left", "training")
        figure.add_trace(
            go.Scatter(
                x=steps,
                y=losses,
                mode="lines+markers",
                name=SOURCES.get(source, source),
                legendgroup=source,
                showlegend=source not in named,
                line={
                    "color": look.colour(order.index(source) if source in order else len(order)),
                    "width": 2.5 if strong else 1.2,
                    "dash": "dash" if one["reference"] else "solid",
                },
                opacity=1.0 if strong else 0.5,
                marker={"size": 5},
                text=[_words(one)] * len(steps),
                hovertemplate="%{text}<br>step %{x}: %{y:.4f}<extra></extra>",
            )
        )
        named.add(source)
    for border in sorted({rung["steps"] for one in trained for rung in one["rungs"]})[:-1]:
        figure.add_vline(x=border, line={"color": look.grid, "width": 1})
    figure.update_layout(hovermode="closest", showlegend=True)
    return figure


def _curve(rungs: Sequence[Mapping[str, Any]]) -> tuple[list[int], list[float]]:
    """Return steps and losses of all rungs; what a rung began with stands at the steps before it."""
    found: dict[int, float] = {}
    before = 0
    for rung in rungs:
        if rung["before"] is not None:
            found.setdefault(before, float(rung["before"]))
        for step, loss in [*rung["curve"], (rung["steps"], rung["loss"])]:
            if loss is not None:
                found[int(step)] = float(loss)
        before = rung["steps"]
    steps = sorted(found)
    return steps, [found[step] for step in steps]


def _front(figure: Figure, view: Mapping[str, Any], look: Look, across: str, up: str) -> None:
    """Join the front, if these two are all that it weighs: with more objectives a line would say what is not so."""
    import plotly.graph_objects as go

    front = [one for one in view["candidates"] if one["on_front"]]
    known = [(value_of(one, across), value_of(one, up)) for one in front]
    places = sorted((x, y) for x, y in known if x is not None and y is not None)
    if set(view["objectives"]) != {across, up} or len(places) < 2:
        return
    figure.add_trace(
        go.Scatter(
            x=[x for x, _ in places], y=[y for _, y in places], mode="lines", name="Pareto front",
            line={"color": look.text, "width": 1.5, "dash": "dot", "shape": "hv"}, hoverinfo="skip",
        )
    )  # fmt: skip


def _words(one: Mapping[str, Any]) -> str:
    lines = [
        f"<b>{safe_text('-'.join(map(str, one['widths'])))}</b>",
        safe_text(SOURCES.get(one["source"], one["source"])),
        f"{one['parameters']:,} parameters",
    ]
    if one["latency"] is not None:
        lines.append(f"{one['latency']['p50']:.2f} ms")
    if one["rank_loss"] is not None:
        lines.append(f"loss after inheriting {one['rank_loss']:.4f}")
    if one["loss"] is not None:
        lines.append(f"after {one['steps']:,} steps {one['loss']:.4f}")
    if one["score"] is not None:
        lines.append(f"{safe_text(one['metric'])} {one['score']:.4f}")
    return "<br>".join(lines) + ("<br>on the front" if one["on_front"] else "")
