"""Quality of a graph: what was measured, on what, and how many items it covers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from core.api import Studio
from core.errors import BertloomError
from core.graph.types import WordGraph
from core.render.look import CONFIG
from core.render.measure_figures import similarity_figure
from pages.ui.components import error_box
from pages.ui.format import count, number, percent, plain
from pages.ui.graph.ask import once
from pages.ui.graph.looks import graph_look
from pages.ui.graph.panels import show_notices
from pages.ui.graph.state import Explorer
from pages.ui.graph.trained import trained_parts

__all__ = ["quality_panel", "similarity_row"]

_LIST = "graph_list"
_FILE = "graph_list_file"
_PROBLEM = "graph_list_problem"
_TYPES = ["csv", "tsv", "txt"]


def quality_panel(studio: Studio, now: Explorer, graph: WordGraph, words: list[str]) -> None:
    """Draw what is known about the graph's quality, and the probes and graph networks that were trained.

    Parameters
    ----------
    studio, now, graph
        The facade, the explorer and the graph that it shows.
    words
        The path that is shown.
    """
    found = once("quality", now.query.graph, lambda: studio.graphs.quality(now.query.graph))
    table = st.container()
    rows = [
        {
            "measure": str(item.get("name")), "value": number(item.get("value"), 3),
            "computed on": str(item.get("on") or ""), "items": count(item.get("items")),
        }
        for item in found.get("measures") or []
    ]  # fmt: skip
    if words:
        _plausibility(studio, now, words)
    if graph.layers:
        with st.container(border=True, key="graph_similar"):
            similar = _similar(studio, now)
        if similar:
            rows.append(similarity_row(similar, now.query.layer))
    with table:
        if rows:
            st.dataframe(rows, hide_index=True, width="stretch", height="content", key="graph_quality")
        show_notices(found)
    trained_parts(studio, now, graph)


# -- a path ---------------------------------------------------------------------------------------------------------
def _plausibility(studio: Studio, now: Explorer, words: list[str]) -> None:
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
        "plausible", asked, lambda: studio.graphs.plausibility(now.query.graph, words, now.query.layer),
        words="Reading sentences that the graph did not see",
    )  # fmt: skip
    if found.get("percentile") is None:
        st.caption(
            "There is nothing to compare with: the graph took every sentence of its corpus, or no random path is alike."
        )
        return
    st.markdown(
        f"**Plausibility of the path** {percent(found['percentile'], 0)} "
        f":gray[of {count(found.get('random_paths'))} random paths have a lower mean PPMI on "
        f"{count(found.get('sentences'))} held-out sentences; {count(found.get('hops_seen'))} of "
        f"{count(found.get('hops'))} hops occur there.]"
    )


# -- lists of similar words -----------------------------------------------------------------------------------------
def _similar(studio: Studio, now: Explorer) -> dict[str, Any] | None:
    """Draw the choice of a list and its figure, and return what was measured."""
    st.markdown("**Similar words**")
    st.caption(
        "Do words that people find alike have similar vectors? Spearman's correlation with a list such as WordSim-353 "
        "or SimLex-999, at every layer. None comes with Bertloom: bring one as CSV or TSV (word, word, score)."
    )
    lists = {str(one["path"]): one for one in studio.graphs.similarity_lists()}
    row = st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="graph_list_row")
    chosen: str | None = None
    if lists:
        added = st.session_state.get(_LIST)
        places = list(lists)
        chosen = row.selectbox(
            "List", places, key=f"graph_list_{len(lists)}_{added}", index=places.index(added) if added in lists else 0,
            format_func=lambda path: f"{lists[path]['name']} · {count(lists[path]['pairs'])} pairs", width=380,
        )  # fmt: skip
    with row.popover("Add a list", icon=":material/upload:", key="graph_list_box"):
        st.file_uploader(
            "A list of pairs", type=_TYPES, key=_FILE, on_change=_add, args=(studio,),
            help="One pair a line: word, word, score, separated by tabs, commas or semicolons; a heading is skipped.",
        )  # fmt: skip
        problem = st.session_state.get(_PROBLEM)
        if problem is not None:
            error_box(problem, title="The list was not taken")
    if chosen is None:
        return None
    try:
        found: dict[str, Any] = once(
            "similarity", [now.query.graph, chosen, lists[chosen]["pairs"]],
            lambda: studio.graphs.similarity(now.query.graph, chosen), words="Comparing cosines with the list's scores",
        )  # fmt: skip
    except BertloomError as error:
        error_box(error)
        return None
    if any(one["spearman"] is not None for one in found["layers"]):
        st.plotly_chart(
            similarity_figure(found["layers"], graph_look(), name=str(found["list"])), theme=None, config=CONFIG,
            key="graph_similarity_figure", alt="Spearman's correlation with the list by layer",
        )  # fmt: skip
    missing = [plain(word, 24) for word in found.get("missing") or []]
    facts = f"{count(found['covered'])} of {count(found['pairs'])} pairs are covered"
    if found["covered"] < found["pairs"] / 2:
        facts += ": the figure says little about the rest"
    if missing:
        more = found.get("missing_words", len(missing)) - len(missing[:8])
        facts += f". Not in the graph: {', '.join(missing[:8])}{f' and {count(more)} more' if more > 0 else ''}"
    st.caption(f":material/info: {facts}.")
    return found


def _add(studio: Studio) -> None:
    st.session_state.pop(_PROBLEM, None)
    file = st.session_state.get(_FILE)
    if file is None:
        return
    try:
        st.session_state[_LIST] = studio.graphs.add_similarity_list(file.name, file.getvalue())
    except BertloomError as error:
        st.session_state[_PROBLEM] = error


def similarity_row(found: Mapping[str, Any], layer: int | None) -> dict[str, str]:
    """Return the row of the table of measures: the present layer's correlation, and those of the others in words."""
    known = [one for one in found["layers"] if one["spearman"] is not None]
    here = next((one for one in known if one["layer"] == layer), None)
    words = f"{count(found['pairs'])} pairs of {found['list']}"
    if not known:
        words += "; too few of them are covered"
    else:
        low, high = (pick(known, key=lambda one: one["spearman"]) for pick in (min, max))
        words += (
            f"; layers from {number(low['spearman'], 3)} (layer {low['layer']}) to {number(high['spearman'], 3)} "
            f"(layer {high['layer']})"
        )
    if here is not None:
        words += f"; 95 % interval {number(here['low'], 2)} to {number(here['high'], 2)}"
    return {
        "measure": f"similar words, layer {layer} (Spearman's ρ)" if layer is not None else "similar words",
        "value": number(here["spearman"] if here else None, 3), "computed on": words, "items": count(found["covered"]),
    }  # fmt: skip
