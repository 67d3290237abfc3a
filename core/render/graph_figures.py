"""Figures of word graphs. Pure functions of plain data and a look; words are shown as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from core.render.look import Look, base_figure, safe_text
from core.render.measure_figures import cka_figure, link_figure, probe_figure

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

__all__ = ["arcs_figure", "cka_figure", "layered_figure", "layers_figure", "link_figure", "map_figure", "probe_figure"]

_MOST_LABELS = 40


def layered_figure(data: Mapping[str, Any], look: Look, *, height: int = 620) -> Figure:
    """Draw words in the layers around a path: one plane a layer, the path crossing them.

    Parameters
    ----------
    data
        ``nodes`` [{"word", "layer", "x", "y", "width", "role"}], ``edges`` [{"from", "to", "type"}] with indices into
        the nodes or [word, layer] pairs, and ``path`` [[word, layer], …].
    look
        Colours; the path takes the role ``path``, edges the role of their type.
    height
        Height in pixels.
    """
    import plotly.graph_objects as go

    nodes = list(data.get("nodes") or [])
    at = {(str(node["word"]), node["layer"]): node for node in nodes}
    layers = sorted({node["layer"] for node in nodes})
    path = [at[(str(word), layer)] for word, layer in data.get("path") or [] if (str(word), layer) in at]
    figure = base_figure("Words by layer, and the path through them", "", "", look, height=height)
    for place, layer in enumerate(layers):
        _plane(figure, [node for node in nodes if node["layer"] == layer], nodes, layer, look, legend=place == 0)
    ends = [
        (found[0], found[1], str(edge.get("type", "")))
        for edge in data.get("edges") or []
        if (found := _ends(edge, nodes, at)) is not None
    ]
    for kind in dict.fromkeys(one[2] for one in ends):
        members = [(one, other) for one, other, own in ends if own == kind]
        xs, ys, zs = _lines(members)
        figure.add_trace(
            go.Scatter3d(
                x=xs, y=ys, z=zs, mode="lines", name=safe_text(kind or "strongest edges"), opacity=0.22,
                line={"color": look.roles.get(kind, look.text), "width": 1}, hoverinfo="skip",
            )
        )  # fmt: skip
    if path:
        figure.add_trace(
            go.Scatter3d(
                x=[node["x"] for node in path], y=[node["y"] for node in path], z=[node["layer"] for node in path],
                mode="lines+markers+text", text=[safe_text(node["word"], 24) for node in path], name="the path",
                textposition="top center", textfont={"size": 17, "color": look.text},
                line={"color": look.roles.get("path", look.colour(0)), "width": 7},
                marker={"size": 7, "color": look.roles.get("path", look.colour(0))},
                customdata=[[node.get("width")] for node in path],
                hovertemplate="%{text}, layer %{z}, vector of %{customdata[0]}<extra></extra>",
            )
        )  # fmt: skip
    bare = {"visible": False, "showspikes": False}
    figure.update_layout(
        scene={
            "xaxis": bare, "yaxis": bare, "bgcolor": "rgba(0,0,0,0)", "aspectmode": "manual",
            "aspectratio": {"x": 1.25, "y": 1.25, "z": 1.15},
            "zaxis": {
                "title": {"text": "layer"}, "tickvals": layers, "gridcolor": look.grid, "color": look.text,
                "showbackground": False, "zeroline": False, "showspikes": False,
            },
            "camera": {"eye": {"x": 1.35, "y": 1.35, "z": 0.6}, "center": {"x": 0, "y": 0, "z": -0.08}},
        },
        legend={"y": -0.02}, margin={"l": 0, "r": 0, "t": 44, "b": 0}, hovermode="closest",
    )  # fmt: skip
    return figure


def _plane(figure: Figure, members: list[Any], nodes: list[Any], layer: Any, look: Look, *, legend: bool) -> None:
    import plotly.graph_objects as go

    xs, ys = [node["x"] for node in nodes], [node["y"] for node in nodes]
    left, right, low, high = min(xs), max(xs), min(ys), max(ys)
    figure.add_trace(
        go.Mesh3d(
            x=[left, right, right, left], y=[low, low, high, high], z=[layer] * 4, i=[0, 0], j=[1, 2], k=[2, 3],
            color=look.text, opacity=0.06, hoverinfo="skip", showlegend=False, flatshading=True,
        )
    )  # fmt: skip
    figure.add_trace(
        go.Scatter3d(
            x=[left, right, right, left, left], y=[low, low, high, high, low], z=[layer] * 5, mode="lines",
            line={"color": look.text, "width": 1}, opacity=0.25, hoverinfo="skip", showlegend=False,
        )
    )  # fmt: skip
    figure.add_trace(
        go.Scatter3d(
            x=[node["x"] for node in members], y=[node["y"] for node in members], z=[layer] * len(members),
            mode="markers", name="words", legendgroup="words", showlegend=legend,
            text=[safe_text(node["word"], 40) for node in members],
            customdata=[[node.get("width")] for node in members],
            marker={"size": 2, "color": look.text, "opacity": 0.35},
            hovertemplate=f"%{{text}}, layer {layer}, vector of %{{customdata[0]}}<extra></extra>",
        )
    )  # fmt: skip


def _ends(edge: Mapping[str, Any], nodes: list[Any], at: Mapping[Any, Any]) -> tuple[Any, Any] | None:
    found = []
    for name in ("from", "to"):
        end = edge[name]
        if isinstance(end, int):
            found.append(nodes[end] if 0 <= end < len(nodes) else None)
        else:
            found.append(at.get((str(end[0]), end[1])))
    return (found[0], found[1]) if all(node is not None for node in found) else None


def _lines(pairs: Sequence[tuple[Any, Any]]) -> tuple[list[Any], list[Any], list[Any]]:
    axes: tuple[list[Any], list[Any], list[Any]] = ([], [], [])
    for one, other in pairs:
        for axis, name in zip(axes, ("x", "y", "layer"), strict=True):
            axis += [one[name], other[name], None]
    return axes


def map_figure(view: Mapping[str, Any], look: Look, *, path: Sequence[str] = (), height: int = 620) -> Figure:
    """Draw a whole graph as points, coloured by community, with a path in it.

    Parameters
    ----------
    view
        ``nodes`` [{"label", "x", "y", "size", "community", "count"}] (size: radius in pixels, y grows
        downwards) and ``communities`` [{"id", "name", "size"}].
    look
        Colours.
    path
        Words of the path, in order.
    height
        Height in pixels.
    """
    import plotly.graph_objects as go

    nodes = list(view.get("nodes") or [])
    figure = base_figure(f"{len(nodes):,} words, coloured by community", "", "", look, height=height)
    names = {one["id"]: str(one["name"]) for one in view.get("communities") or []}
    groups: dict[Any, list[Any]] = {}
    for node in nodes:
        groups.setdefault(node.get("community"), []).append(node)
    ranked = sorted(groups, key=lambda group: -len(groups[group]))
    for place, group in enumerate(ranked):
        members = groups[group]
        figure.add_trace(
            go.Scattergl(
                x=[node["x"] for node in members], y=[node["y"] for node in members], mode="markers",
                name=safe_text(names.get(group, "others"), 36), showlegend=place < 12,
                text=[safe_text(node["label"], 40) for node in members],
                customdata=[[node.get("count")] for node in members],
                hovertemplate="%{text}, %{customdata[0]} occurrences<extra>%{fullData.name}</extra>",
                marker={
                    "size": [max(4.0, 0.8 * float(node.get("size") or 0)) for node in members], "opacity": 0.75,
                    "color": look.colour(group) if isinstance(group, int) and group >= 0 else look.grid,
                    "line": {"width": 0},
                },
            )
        )  # fmt: skip
    at = {node.get("word", node["label"]): node for node in nodes}
    steps = [at[word] for word in path if word in at]
    # The words that are large get their names, as far as the eye can take them in.
    for node in sorted(nodes, key=lambda node: -float(node.get("size") or 0))[:_MOST_LABELS]:
        if node.get("word", node["label"]) not in path:
            figure.add_annotation(
                x=node["x"], y=node["y"], text=safe_text(node["label"], 20), showarrow=False, yshift=11,
                font={"size": 11, "color": look.text}, opacity=0.8,
            )  # fmt: skip
    if steps:
        figure.add_trace(
            go.Scatter(
                x=[node["x"] for node in steps], y=[node["y"] for node in steps], mode="lines+markers+text",
                name="the path", text=[safe_text(node["label"], 24) for node in steps], textposition="top center",
                textfont={"size": 15, "color": look.text}, hoverinfo="skip",
                line={"color": look.roles.get("path", look.colour(0)), "width": 3.5},
                marker={"size": 12, "color": look.roles.get("path", look.colour(0)),
                        "line": {"width": 2, "color": look.background}},
            )
        )  # fmt: skip
    figure.update_layout(hovermode="closest", legend={"y": -0.02}, dragmode="pan")
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False, scaleanchor="x", autorange="reversed")
    return figure


def layers_figure(rows: Sequence[Mapping[str, Any]], look: Look, *, height: int = 420) -> Figure:
    """Draw the same query at every layer: cost and probability, with the path's words where it changes.

    Parameters
    ----------
    rows
        One a layer: ``layer``, ``words`` (empty without a path), ``cost``, ``probability`` (None where undirected).
    look
        Colours.
    height
        Height in pixels.
    """
    import plotly.graph_objects as go

    figure = base_figure("The same query at every layer", "layer", "", look, height=height)
    inner = [" → ".join(safe_text(word, 18) for word in row["words"][1:-1]) or "direct" for row in rows]
    # A label only where the path is another one than in the layer before.
    shown = [
        words if row["words"] and (place == 0 or row["words"] != rows[place - 1]["words"]) else ""
        for place, (row, words) in enumerate(zip(rows, inner, strict=True))
    ]
    figure.add_trace(
        go.Scatter(
            x=[row["layer"] for row in rows], y=[row["cost"] if row["words"] else None for row in rows],
            mode="lines+markers+text", text=shown, cliponaxis=False,
            # Every second label below the line: neighbours would cover each other.
            textposition=_sides(shown),
            customdata=[" → ".join(safe_text(word, 24) for word in row["words"]) for row in rows],
            hovertemplate="%{customdata}, cost %{y:.3f}<extra></extra>", connectgaps=False,
            line={"color": look.roles.get("path", look.colour(0)), "width": 2}, marker={"size": 9}, showlegend=False,
        )
    )  # fmt: skip
    figure.add_trace(
        go.Bar(
            x=[row["layer"] for row in rows], y=[row["probability"] for row in rows], yaxis="y2", showlegend=False,
            marker={"color": look.roles.get("path", look.colour(0)), "opacity": 0.55},
            hovertemplate="probability %{y:.3e}<extra></extra>", width=0.5,
        )
    )  # fmt: skip
    missing = [row["layer"] for row in rows if not row["words"]]
    for layer in missing:
        figure.add_annotation(x=layer, y=0.5, yref="y domain", text="no path", showarrow=False,
                              font={"color": look.roles.get("warn", look.text)})  # fmt: skip
    axis = {"gridcolor": look.grid, "zeroline": False, "automargin": True, "tickfont": {"size": 12}}
    figure.update_layout(
        yaxis={"domain": [0.44, 0.94], "title": {"text": "cost"}, "rangemode": "normal"},
        yaxis2={**axis, "domain": [0, 0.3], "title": {"text": "probability", "font": {"size": 12}}, "anchor": "x",
                "exponentformat": "power", "rangemode": "tozero"},
    )  # fmt: skip
    figure.update_xaxes(dtick=1, showgrid=False, anchor="y2")
    if rows:
        figure.update_xaxes(range=[min(row["layer"] for row in rows) - 0.6, max(row["layer"] for row in rows) + 0.6])
    return figure


def _sides(labels: Sequence[str]) -> list[str]:
    found, above = [], True
    for label in labels:
        found.append("top center" if above else "bottom center")
        above = above != bool(label)
    return found


def arcs_figure(tokens: Sequence[str], trees: Sequence[Mapping[str, Any]], look: Look, *, height: int = 380) -> Figure:
    """Draw a sentence with the arcs of its trees: the first above it, the second below.

    Parameters
    ----------
    tokens
        Words in order.
    trees
        One or two of ``name``, ``heads`` (index of each word's head, -1 for the root) and, for directed trees,
        ``relations`` (one a word).
    look
        Colours; the first tree takes that of ``dep``, the second the path's.
    height
        Height in pixels.
    """
    import plotly.graph_objects as go

    figure = base_figure("Trees of the sentence", "", "", look, height=height)
    colours = (look.roles.get("dep", look.colour(0)), look.roles.get("path", look.colour(1)))
    tallest = 1.0
    for side, (tree, colour) in enumerate(zip(trees[:2], colours, strict=False)):
        sign = -1.0 if side else 1.0
        xs: list[float | None] = []
        ys: list[float | None] = []
        relations = tree.get("relations")
        for place, head in enumerate(tree["heads"]):
            if head is None or head < 0 or head == place:
                continue
            span = abs(place - head)
            top = sign * (0.35 + 0.55 * span**0.75)
            tallest = max(tallest, abs(top))
            steps = [step / 16 for step in range(17)]
            xs += [head + (place - head) * step for step in steps] + [None]
            ys += [sign * 0.25 + (top - sign * 0.25) * 4 * step * (1 - step) for step in steps] + [None]
            if relations and relations[place]:
                figure.add_annotation(
                    x=(place + head) / 2, y=top, text=safe_text(relations[place], 14), showarrow=False,
                    yshift=9 * sign, font={"size": 11, "color": colour},
                )  # fmt: skip
        figure.add_trace(
            go.Scatter(x=xs, y=ys, mode="lines", name=safe_text(tree["name"], 40), hoverinfo="skip",
                       line={"color": colour, "width": 2, "dash": "dot" if side else "solid"})
        )  # fmt: skip
    figure.add_trace(
        go.Scatter(
            x=list(range(len(tokens))), y=[0.0] * len(tokens), mode="text", showlegend=False, hoverinfo="skip",
            text=[safe_text(token, 16) for token in tokens], textfont={"size": 13, "color": look.text},
        )
    )  # fmt: skip
    # Every word keeps some room, so a long sentence is wider than the page and scrolls there.
    figure.update_layout(hovermode="closest", legend={"y": -0.02}, width=max(640, 74 * len(tokens)))
    figure.update_xaxes(visible=False, range=[-0.7, len(tokens) - 0.3], fixedrange=True)
    low = -1.15 * tallest if len(trees) > 1 else -0.6
    figure.update_yaxes(visible=False, range=[low, 1.2 * tallest], fixedrange=True)
    return figure
