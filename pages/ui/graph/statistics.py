"""What the graph consists of, in figures: words, edges by type, neighbours, connected parts, hubs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from core.api import Studio
from core.render.look import CONFIG
from core.render.measure_figures import degree_figure
from pages.ui.components import Card, card_row
from pages.ui.format import count, number, percent, plain
from pages.ui.graph.ask import once
from pages.ui.graph.looks import edge_name, graph_look, known_types
from pages.ui.graph.state import Explorer

__all__ = ["edge_rows", "statistics_panel"]

_MOST_NAMED = 12


def statistics_panel(studio: Studio, now: Explorer) -> None:
    """Draw the statistics of the graph in the layer that is asked."""
    found = once(
        "stats", [now.query.graph, now.query.layer], lambda: studio.graphs.stats(now.query.graph, now.query.layer)
    )
    degree, parts = found["degree"], found["components"]
    where = "" if found["layer"] is None else f"in layer {found['layer']}"
    card_row(
        [
            Card("Words", count(found["words"]), f"{count(found['occurrences'])} occurrences"),
            Card("Joined pairs", count(found["pairs"]), f"density {percent(found['density'], 2)}"),
            Card("Neighbours a word", number(degree["mean"], 3), f"median {number(degree['median'], 3)}, "
                 f"at most {count(degree['max'])}"),
            Card("Largest part", percent(parts["share"]), f"{count(parts['largest'])} words, of "
                 f"{count(parts['number'])} {'part' if parts['number'] == 1 else 'parts'}"),
            Card("Words alone", count(found["isolated"]), "no edge"),
        ],
        key="graph_stats",
    )  # fmt: skip
    st.caption(
        f"Pairs, neighbours and connected parts {where}, all edge types together, whatever their direction and weight."
    )
    left, right = st.columns(2, gap="medium")
    with left:
        st.plotly_chart(
            degree_figure(degree["spread"], graph_look()), theme=None, config=CONFIG, key="graph_degree_figure",
            alt="Words by their number of neighbours",
        )  # fmt: skip
    with right:
        st.markdown("**Edges**")
        st.dataframe(edge_rows(found), hide_index=True, width="stretch", height="content", key="graph_edge_table")
        _hubs(now, degree["most"])
    _named("Parts of speech", found.get("parts_of_speech") or {})
    _named("Relations", found.get("relations") or {})


def edge_rows(found: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return a table of edges by type: in this layer, in all layers, and the weights in this layer."""
    rows = []
    edges = found["edges"]
    for kind in known_types(dict.fromkeys(one["type"] for one in edges)):
        own = [one for one in edges if one["type"] == kind]
        here = [one for one in own if one["layer"] in (None, found["layer"])]
        weight = next((one["weight"] for one in here if one["weight"]), None)
        layers = [one["layer"] for one in own if one["layer"] is not None]
        rows.append(
            {
                "type": edge_name(kind), "edges": count(sum(one["edges"] for one in here)),
                "in all layers": count(sum(one["edges"] for one in own)) if len(layers) > 1 else "–",
                "mean weight": number(weight["mean"], 3) if weight else "–",
                "weights": f"{number(weight['min'], 2)} – {number(weight['max'], 2)}" if weight else "–",
            }
        )  # fmt: skip
    return rows


def _hubs(now: Explorer, most: list[dict[str, Any]]) -> None:
    st.markdown("**Hubs** :gray[the words with most neighbours]")
    row = st.container(horizontal=True, gap="small", key="graph_hubs")
    for place, one in enumerate(most[:8]):
        row.button(
            f"{plain(one['word'], 20)} :gray[{count(one['neighbours'])}]", key=now.key(f"hub_{place}"),
            on_click=_look_at, args=(now, str(one["word"])), type="tertiary", help="Show its neighbourhood.",
        )  # fmt: skip


def _look_at(now: Explorer, word: str) -> None:
    now.side, now.selected = "word", word
    now.change(view="neighbourhood", word=word)


def _named(title: str, counts: Mapping[str, int]) -> None:
    if not counts:
        return
    shown = list(counts.items())[:_MOST_NAMED]
    rest = len(counts) - len(shown)
    words = ", ".join(f"{plain(name, 30)} {count(value)}" for name, value in shown)
    st.caption(f"**{title}** {words}{f' and {rest} more' if rest else ''}")
