"""Below the picture: alternatives, every layer, layers in space, the whole graph, a sentence's trees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import streamlit as st

from core.api import Studio
from core.render.graph_figures import arcs_figure, layered_figure, layers_figure, map_figure
from core.render.look import CONFIG
from pages.ui.format import count, number, plain
from pages.ui.graph.ask import core_query, mixing, once, question
from pages.ui.graph.looks import edge_name, graph_look
from pages.ui.graph.shapes import arrow_words, chance, changes, layer_rows, path_rows
from pages.ui.graph.state import Explorer

__all__ = ["alternatives", "chosen_path", "every_layer", "in_space", "sentence_trees", "show_notices", "whole_graph"]

_MOST_ON_MAP = 5000
_SCROLL = {**CONFIG, "scrollZoom": True}


def alternatives(answer: Mapping[str, Any], now: Explorer) -> None:
    """Draw the k shortest paths; the one that is chosen is highlighted and explained above."""
    rows = path_rows(answer)
    if not rows:
        st.caption("No path, so no alternatives.")
        return
    st.caption("Choose a row to see it in the picture and explained. The number of paths is under Conditions.")
    st.dataframe(
        [
            {
                "#": row["place"], "path": row["path"], "cost": number(row["cost"], 4),
                "probability": chance(row["probability"]), "mostly by": edge_name(row["mainly"]),
            }
            for row in rows
        ],
        hide_index=True, width="stretch", height="content", on_select="rerun", selection_mode="single-row",
        key=f"graph_rows_{chosen_mark(now)}", alt="Paths by cost",
        column_config={"path": st.column_config.Column(width="large")},
    )  # fmt: skip


def chosen_mark(now: Explorer) -> str:
    """Return a name for the query, so that a choice among its paths ends with it."""
    from pages.ui.forms import fingerprint

    return fingerprint(question(now.query))


def chosen_path(answer: Mapping[str, Any], now: Explorer) -> int:
    """Return which path is shown: the chosen row, or the best."""
    state = st.session_state.get(f"graph_rows_{chosen_mark(now)}")
    rows = list(state["selection"]["rows"]) if state else []
    return int(rows[0]) if rows and rows[0] < len(answer.get("paths") or []) else 0


def every_layer(studio: Studio, now: Explorer, types: list[str]) -> None:
    """Draw the same query at every layer: where in the model does the path change?"""
    query = replace(now.query, across=False, k=1)
    if now.query.across:
        st.caption("Each layer by itself: here paths do not change the layer.")
    asked = {**question(query), "layer": None}
    rows = layer_rows(
        once(
            "layers", asked, lambda: studio.graphs.by_layer(query.graph, core_query(query, types)),
            words="Asking every layer",
        )
    )  # fmt: skip
    if not rows:
        st.caption("This graph has no layers: it was built without an encoder.")
        return
    turns = changes(rows)
    if turns:
        places = ", ".join(f"{one} and {other}" for one, other in turns)
        st.markdown(f"The path changes between layers **{plain(places)}**.")
    else:
        st.markdown("The path is the same at every layer.")
    left, right = st.columns(2, gap="medium")
    with left:
        st.plotly_chart(
            layers_figure(rows, graph_look()), theme=None, config=CONFIG, key="graph_layers_figure",
            alt="Cost and probability of the path by layer",
        )  # fmt: skip
    with right:
        st.dataframe(
            [
                {
                    "layer": row["layer"], "path": arrow_words(row["words"]) or row["reason"] or "no path",
                    "cost": number(row["cost"], 4), "probability": chance(row["probability"]),
                }
                for row in rows
            ],
            hide_index=True, width="stretch", height="content", key="graph_layers_table",
            column_config={
                "layer": st.column_config.Column(width=60), "path": st.column_config.Column(width=250),
                "cost": st.column_config.Column(width=70), "probability": st.column_config.Column(width=90),
            },
        )  # fmt: skip


def in_space(studio: Studio, now: Explorer, types: list[str]) -> None:
    """Draw one plane a layer with the path across them."""
    data = once(
        "space", question(now.query), lambda: studio.graphs.layers3d(now.query.graph, core_query(now.query, types)),
        words="Placing the words of every layer",
    )  # fmt: skip
    if not data.get("nodes"):
        st.caption(plain(data.get("reason") or "There is nothing to draw: this graph has no layers.", 300))
        return
    st.caption(
        "Each plane is a layer; a word stands at the same place in all of them. The path stays in one layer unless "
        "it may lead across layers (under Conditions)."
    )
    st.plotly_chart(
        layered_figure(data, graph_look()), theme=None, config=_SCROLL, key="graph_space_figure",
        alt=f"Path by layer: {arrow_words(f'{word} ({layer})' for word, layer in data.get('path') or [])}",
    )  # fmt: skip


def whole_graph(studio: Studio, now: Explorer, words: list[str], types: list[str]) -> None:
    """Draw the whole graph as points, coloured by community."""
    query = now.query
    view = once(
        "map", [query.graph, query.layer, query.weights],
        lambda: studio.graphs.view(
            query.graph, "map", layer=query.layer, weights=mixing(query, types), limit=_MOST_ON_MAP
        ),
        words="Placing the words of the whole graph",
    )  # fmt: skip
    show_notices(view)
    figure = map_figure(view, graph_look(), path=words)
    st.plotly_chart(
        figure, theme=None, config=_SCROLL, key="graph_map_figure",
        alt=f"Map of {count(len(view['nodes']))} words; the path: {arrow_words(words)}",
    )  # fmt: skip


def sentence_trees(studio: Studio, now: Explorer, answer: Mapping[str, Any], place: int, sentences: list[str]) -> None:
    """Draw the trees of a sentence as arcs: the parser's above, a probe's below."""
    if not sentences:
        st.caption("This graph keeps no sentences.")
        return
    paths = answer.get("paths") or []
    hops = paths[place].get("hops") or [] if paths else []
    named = [int(index) for hop in hops for index in hop.get("sentences") or []]
    offered = [index for index in dict.fromkeys(named) if 0 <= index < len(sentences)]
    offered += [index for index in range(min(len(sentences), 200)) if index not in offered]
    chosen = st.selectbox(
        "Sentence", offered, key="graph_sentence", help="Sentences that hold a hop of the path come first.",
        format_func=lambda index: f"{index + 1} · {' '.join(sentences[index].split())[:110]}",
    )  # fmt: skip
    found = once(
        "sentence", [now.query.graph, chosen], lambda: studio.graphs.sentence(now.query.graph, chosen),
        words="Looking up the sentence's trees; a probe has to read it first",
    )  # fmt: skip
    trees = list(found.get("trees") or [])
    if not trees and found.get("heads") is not None:
        trees = [
            {"name": found.get("parser") or "parser", "heads": found["heads"], "relations": found.get("relations")}
        ]
    if not trees:
        st.caption("This graph was built without trees: there are no arcs to draw.")
        return
    show_notices(found)
    with st.container(key="graph_arcs"):
        st.plotly_chart(
            arcs_figure(found["tokens"], trees, graph_look()), theme=None, config={**CONFIG, "displayModeBar": False},
            key="graph_arcs_figure", width="content", alt=f"Trees of: {' '.join(found['tokens'])[:200]}",
        )  # fmt: skip


def show_notices(answer: Mapping[str, Any]) -> None:
    """Show what a person should know about figures, where they stand."""
    notices = answer.get("notices") or []
    if notices:
        with st.container(gap=None):
            for words in notices:
                st.caption(f":material/info: {plain(words, 400)}")
