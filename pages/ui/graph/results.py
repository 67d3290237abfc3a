"""Quality of a graph and comparison of two: what was measured, on what, and how many items it covers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from core.api import Studio
from core.graph.types import WordGraph
from core.render.graph_figures import cka_figure, link_figure, probe_figure
from core.render.look import CONFIG
from core.runs.records import Status
from pages.ui.format import count, number, percent, plain
from pages.ui.graph.ask import once
from pages.ui.graph.looks import edge_name, graph_look
from pages.ui.graph.panels import show_notices
from pages.ui.graph.state import Explorer

__all__ = ["compare_panel", "link_rows", "probe_rows", "quality_panel"]


def quality_panel(studio: Studio, now: Explorer) -> None:
    """Draw what is known about the graph's quality, and the probes and graph networks that were trained."""
    desk: Any = studio.graphs
    shown = False
    if hasattr(desk, "quality"):
        found = once("quality", now.query.graph, lambda: desk.quality(now.query.graph))
        if found:
            shown = True
            _measures(found)
    for kind, draw in (("probes", _probe), ("links", _link)):
        runs = [run for run in getattr(desk, kind)() if run["status"] == Status.FINISHED] if hasattr(desk, kind) else []
        results = desk.results(runs[0]["id"]) if runs and hasattr(desk, "results") else None
        if results:
            shown = True
            draw(runs[0], results)
    if not shown:
        st.caption("Nothing was measured for this graph yet.")


def _measures(found: Mapping[str, Any]) -> None:
    rows = [
        {
            "measure": str(item.get("name")), "value": number(item.get("value"), 3),
            "computed on": str(item.get("on") or ""), "items": count(item.get("items")),
        }
        for item in found.get("measures") or []
    ]  # fmt: skip
    if rows:
        st.dataframe(rows, hide_index=True, width="stretch", height="content", key="graph_quality")
    show_notices(found)


def probe_rows(results: Mapping[str, Any]) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """Return a probe's figures by layer and those of the linear chain.

    Parameters
    ----------
    results
        What the run left: under ``details.probe`` ``layers`` and ``random`` [{"layer", "uuas", "dspr"}] and ``chain``
        {"uuas", "dspr"}.
    """
    details = _details(results, "probe")
    rows = [dict(row) for row in details.get("layers") or [] if isinstance(row, Mapping)]
    random = {row["layer"]: row for row in details.get("random") or [] if isinstance(row, Mapping)}
    for row in rows:
        other = random.get(row["layer"])
        if other:
            row.setdefault("random_uuas", other.get("uuas"))
            row.setdefault("random_dspr", other.get("dspr"))
    return rows, dict(details.get("chain") or {})


def _details(results: Mapping[str, Any], kind: str) -> dict[str, Any]:
    details = dict(results.get("details") or results)
    return dict(details.get(kind) or details)


def _probe(run: Mapping[str, Any], results: Mapping[str, Any]) -> None:
    rows, chain = probe_rows(results)
    if not rows:
        return
    st.markdown(f"**Structural probe** :gray[{plain(run['name'], 60)}]")
    show_notices(_details(results, "probe"))
    st.plotly_chart(
        probe_figure(rows, graph_look(), chain=chain), theme=None, config=CONFIG, key="graph_probe_figure",
        alt="UUAS and DSpr of the structural probe by layer",
    )  # fmt: skip


def link_rows(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return held-out scores of a run: ``method``, ``type``, ``auc``, ``mrr``, ``hits10``."""
    details = _details(results, "link")
    return [dict(row) for row in details.get("scores") or [] if isinstance(row, Mapping)]


def _link(run: Mapping[str, Any], results: Mapping[str, Any]) -> None:
    rows = link_rows(results)
    if not rows:
        return
    st.markdown(f"**Graph network** :gray[{plain(run['name'], 60)}]")
    details = _details(results, "link")
    if details.get("verdict"):
        st.markdown(plain(details["verdict"], 300))
    show_notices(details)
    st.plotly_chart(
        link_figure(rows, graph_look()), theme=None, config=CONFIG, key="graph_link_figure",
        alt="AUC of held-out edges by method",
    )  # fmt: skip


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
    with row[1]:
        here = st.selectbox("Layer here", layers, key="graph_layer_a", index=0)
    with row[2]:
        there = st.selectbox("Layer there", others, key=f"graph_layer_b_{other}", index=len(others) - 1)
    found = once(
        "compare", [now.query.graph, other, here, there],
        lambda: desk.compare(now.query.graph, other, here, there), words="Comparing",
    )  # fmt: skip
    show_notices(found)
    _edges(found.get("edges"))
    matrix = found.get("cka")
    if matrix:
        st.plotly_chart(
            cka_figure(matrix["matrix"], matrix["rows"], matrix["columns"], graph_look(),
                       x_title="layer there", y_title="layer here"),
            theme=None, config=CONFIG, key="graph_cka_figure", alt="Linear CKA of layers",
        )  # fmt: skip


def _layers(found: Any) -> list[int]:
    return list(range(found)) if isinstance(found, int) else list(found or [])


def _edges(found: Any) -> None:
    for kind, part in (found or {}).items():
        if not isinstance(part, Mapping):
            continue
        shared = part.get("jaccard")
        facts = f"{percent(shared)} of the edges are shared" if shared is not None else ""
        st.markdown(f"**{plain(edge_name(str(kind)).capitalize())}** :gray[{plain(facts)}]")
        columns = st.columns(2, gap="medium")
        for column, (name, title) in zip(columns, (("only_a", "Only here"), ("only_b", "Only there")), strict=True):
            rows = [
                {"from": str(edge["from"]), "to": str(edge["to"]), "weight": number(edge.get("weight"), 3)}
                for edge in (part.get(name) or [])[:30]
            ]
            with column:
                st.caption(title)
                st.dataframe(rows, hide_index=True, width="stretch", height=220)
