"""Two graphs, or two layers of one, side by side: edges that appear and vanish, rank of paths, CKA of layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from core.api import Studio
from core.graph.types import WordGraph
from core.render.graph_figures import cka_figure
from core.render.look import CONFIG
from core.runs.records import Status
from pages.ui.format import number, percent, plain
from pages.ui.graph.ask import core_query, once, question
from pages.ui.graph.looks import edge_name, graph_look
from pages.ui.graph.panels import show_notices
from pages.ui.graph.shapes import arrow_words
from pages.ui.graph.state import Explorer

__all__ = ["compare_panel"]


def compare_panel(studio: Studio, now: Explorer, graph: WordGraph, known: list[dict[str, Any]]) -> None:
    """Draw this graph beside another one, or one of its layers beside another layer."""
    desk: Any = studio.graphs
    ready = {str(one["id"]): one for one in known if one["status"] == Status.FINISHED}
    ready.setdefault(now.query.graph, {"id": now.query.graph, "name": now.query.graph, "layers": graph.layers})
    row = st.columns([3, 1, 1], gap="medium")
    with row[0]:
        other: str = st.selectbox(
            "Compare with", list(ready), key="graph_other", index=list(ready).index(now.query.graph),
            format_func=lambda one: f"{ready[one]['name']}{' (this graph)' if one == now.query.graph else ''}",
            help="Another encoder, the same one after a fine-tuning run, or this graph at another layer.",
        )  # fmt: skip
    layers = list(graph.layers)
    others = _layers(ready[other].get("layers")) or layers
    if not layers:
        st.caption("This graph has no layers.")
        return
    one, two = _first_layers(layers, others, now.query.layer, same=other == now.query.graph)
    with row[1]:
        here = st.selectbox("Layer here", layers, key=f"graph_layer_a_{other}", index=layers.index(one))
    with row[2]:
        there = st.selectbox("Layer there", others, key=f"graph_layer_b_{other}", index=others.index(two))
    found = once(
        "compare", [question(now.query), other, here, there],
        lambda: desk.compare(now.query.graph, other, here, there, core_query(now.query, graph.types)),
        words="Comparing",
    )  # fmt: skip
    show_notices(found)
    _paths(found.get("paths") or [])
    _edges(found.get("edges"))
    matrix = found.get("cka")
    if matrix:
        st.plotly_chart(
            cka_figure(matrix["matrix"], matrix["rows"], matrix["columns"], graph_look(),
                       x_title="layer there", y_title="layer here"),
            theme=None, config=CONFIG, key="graph_cka_figure", alt="Linear CKA of layers",
        )  # fmt: skip


def _first_layers(layers: list[int], others: list[int], asked: int | None, *, same: bool) -> tuple[int, int]:
    """Return which layers are compared first: the one that is asked, beside the last; of two graphs the same one."""
    here = asked if asked in layers else layers[len(layers) // 2]
    if not same:
        return here, here if here in others else others[len(others) // 2]
    return here, others[-1] if here != others[-1] else others[0]


def _paths(rows: list[dict[str, Any]]) -> None:
    if not rows:
        return
    st.markdown("**Paths**")
    st.dataframe(
        [
            {
                "path": arrow_words(row["words"]), "rank here": _rank(row["rank"]["one"]),
                "rank there": _rank(row["rank"]["other"]), "cost here": number(row["cost"]["one"], 4),
                "cost there": number(row["cost"]["other"], 4),
            }
            for row in rows[:12]
        ],
        hide_index=True, width="stretch", height="content", key="graph_compare_paths",
    )  # fmt: skip


def _rank(rank: int | None) -> str:
    return "–" if rank is None else str(rank)


def _layers(found: Any) -> list[int]:
    return list(range(found)) if isinstance(found, int) else list(found or [])


def _edges(found: Any) -> None:
    for kind, part in (found or {}).items():
        if not isinstance(part, Mapping):
            continue
        shared = part.get("jaccard")
        facts = f"{percent(shared)} of the edges are shared" if shared is not None else ""
        st.markdown(f"**{plain(edge_name(str(kind)).capitalize())}** :gray[{plain(facts)}]")
        if not part.get("only_a") and not part.get("only_b"):
            continue
        columns = st.columns(2, gap="medium")
        for column, (name, title) in zip(columns, (("only_a", "Only here"), ("only_b", "Only there")), strict=True):
            rows = [
                {"from": str(edge["from"]), "to": str(edge["to"]), "weight": number(edge.get("weight"), 3)}
                for edge in (part.get(name) or [])[:30]
            ]
            with column:
                st.caption(title if rows else f"{title}: none")
                if rows:
                    st.dataframe(rows, hide_index=True, width="stretch", height=220)
