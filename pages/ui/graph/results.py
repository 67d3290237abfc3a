"""Quality of a graph and comparison of two: what was measured, on what, and how many items it covers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st

from core.api import Studio
from core.config.graph import LinkConfig, ProbeConfig
from core.graph.types import WordGraph
from core.render.graph_figures import cka_figure, link_figure, probe_figure
from core.render.look import CONFIG
from core.runs.records import Status
from pages.ui import keys
from pages.ui.components import run_url, status_markdown
from pages.ui.format import count, number, percent, plain
from pages.ui.graph.ask import core_query, once, question
from pages.ui.graph.looks import edge_name, graph_look
from pages.ui.graph.panels import show_notices
from pages.ui.graph.shapes import arrow_words
from pages.ui.graph.state import Explorer

__all__ = ["compare_panel", "link_rows", "probe_rows", "quality_panel"]


def quality_panel(studio: Studio, now: Explorer, graph: WordGraph, words: list[str]) -> None:
    """Draw what is known about the graph's quality, and the probes and graph networks that were trained.

    Parameters
    ----------
    studio, now, graph
        The facade, the explorer and the graph that it shows.
    words
        The path that is shown.
    """
    desk: Any = studio.graphs
    if hasattr(desk, "quality"):
        found = once("quality", now.query.graph, lambda: desk.quality(now.query.graph))
        if found:
            _measures(found)
    if words and hasattr(desk, "plausibility"):
        _plausibility(desk, now, words)
    for kind, title, about, draw in _TRAINED:
        if not hasattr(desk, kind):
            continue
        with st.container(border=True, key=f"graph_{kind}"):
            runs = getattr(desk, kind)()
            ready = next((run for run in runs if run["status"] == Status.FINISHED), None)
            results = desk.results(ready["id"]) if ready else None
            st.markdown(f"**{title}**" + (f" :gray[{plain(ready['name'], 60)}]" if ready else ""))
            st.caption(about)
            if results:
                draw(results)
            _train(studio, now, graph, kind, runs)


def _plausibility(desk: Any, now: Explorer, words: list[str]) -> None:
    asked = [now.query.graph, words, now.query.layer]
    shown = st.session_state.get("graph_plausible") == asked
    if not shown and st.button(
        "Compare this path with random ones", icon=":material/casino:", key="graph_plausibility",
        help="Mean PPMI of its hops on sentences that the graph did not see, among random paths over words that are as "
        "well connected.",
    ):  # fmt: skip
        st.session_state["graph_plausible"] = asked
        shown = True
    if not shown:
        return
    found = once(
        "plausible", asked, lambda: desk.plausibility(now.query.graph, words, now.query.layer),
        words="Reading sentences that the graph did not see",
    )  # fmt: skip
    if found.get("percentile") is None:
        st.caption("There are no held-out sentences or no random paths to compare with.")
        return
    st.markdown(
        f"**Plausibility of the path** {percent(found['percentile'], 0)} "
        f":gray[of {count(found.get('random_paths'))} random paths have a lower mean PPMI on "
        f"{count(found.get('sentences'))} held-out sentences; {count(found.get('hops_seen'))} of "
        f"{count(found.get('hops'))} hops occur there.]"
    )


def _train(studio: Studio, now: Explorer, graph: WordGraph, kind: str, runs: list[dict[str, Any]]) -> None:
    """Offer to train one, or show where the one that is at work stands."""
    busy = next((run for run in runs if run["status"] == Status.QUEUED or run["status"].active), None)
    if busy:
        st.markdown(status_markdown(busy["status"]))
        st.page_link(
            st.session_state[keys.PAGES]["run"], label=plain(busy["name"], 60), icon=":material/monitoring:",
            query_params=run_url(str(busy["id"])),
        )  # fmt: skip
        return
    built = graph.about.get("config") or {}
    label = "Train a probe on this corpus" if kind == "probes" else "Train a graph network on this graph"
    if not built or not graph.layers:
        st.caption("This needs a graph that was built here with an encoder.")
    elif st.button(label, icon=":material/model_training:", key=f"graph_train_{kind}"):
        name = str(built.get("name") or "graph")
        if kind == "probes":
            run_id = studio.graphs.probe(
                ProbeConfig.model_validate(
                    {"name": f"probe: {name}"[:120], "corpus": built["corpus"], "model": built["model"]}
                )
            )
        else:
            run_id = studio.graphs.link(LinkConfig(name=f"links: {name}"[:120], graph=now.query.graph))
        st.switch_page(st.session_state[keys.PAGES]["run"], query_params=run_url(run_id))


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


def _probe(results: Mapping[str, Any]) -> None:
    rows, chain = probe_rows(results)
    if not rows:
        return
    show_notices(_details(results, "probe"))
    st.plotly_chart(
        probe_figure(rows, graph_look(), chain=chain), theme=None, config=CONFIG, key="graph_probe_figure",
        alt="UUAS and DSpr of the structural probe by layer",
    )  # fmt: skip


def link_rows(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the held-out scores of a graph network and its baselines.

    Parameters
    ----------
    results
        What the run left: under ``details.link`` ``kinds`` {type: {"methods": {name: {"auc", "auc_low", …}}}} and
        ``titles``.

    Returns
    -------
    list of dict
        ``method``, ``type``, ``auc`` with ``low`` and ``high``, ``mrr``, ``hits`` (Hits@10).
    """
    details = _details(results, "link")
    titles = details.get("titles") or {}
    return [
        {
            "method": str(titles.get(name, name)), "type": kind, "auc": scores.get("auc"), "low": scores.get("auc_low"),
            "high": scores.get("auc_high"), "mrr": scores.get("mrr"), "hits": scores.get("hits"),
        }
        for kind, one in (details.get("kinds") or {}).items()
        for name, scores in (one.get("methods") or {}).items()
    ]  # fmt: skip


def _link(results: Mapping[str, Any]) -> None:
    rows = link_rows(results)
    if not rows:
        return
    details = _details(results, "link")
    for one in (details.get("kinds") or {}).values():
        if one.get("verdict"):
            st.markdown(plain(one["verdict"], 300))
    show_notices(details)
    st.plotly_chart(
        link_figure(rows, graph_look()), theme=None, config=CONFIG, key="graph_link_figure",
        alt="AUC of held-out edges by method",
    )  # fmt: skip
    st.dataframe(
        [
            {
                "method": row["method"], "edges": edge_name(row["type"]), "AUC": number(row["auc"], 3),
                "MRR": number(row["mrr"], 3), "Hits@10": number(row["hits"], 3),
            }
            for row in rows
        ],
        hide_index=True, width="stretch", height="content", key="graph_link_table",
    )  # fmt: skip


#: Method of the desk, title, what it is, how its results are drawn.
_TRAINED: tuple[tuple[str, str, str, Callable[[Mapping[str, Any]], None]], ...] = (
    (
        "probes",
        "Structural probe",
        "Does a layer hold the trees of its sentences? UUAS and DSpr beside the linear chain and random weights.",
        _probe,
    ),
    (
        "links",
        "Graph network",
        "Does a network over this graph predict edges that held-out sentences show first, better than cosine, common "
        "neighbours or Adamic–Adar?",
        _link,
    ),
)


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
                st.caption(title)
                st.dataframe(rows, hide_index=True, width="stretch", height=220)
