"""Graph explorer: how do two words connect in this model and this text, layer by layer, and why?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import streamlit as st

from core.api import Studio
from core.errors import BertloomError
from core.runs.records import Status
from pages.ui import keys
from pages.ui.components import error_box, page_header, status_markdown
from pages.ui.format import count, plain, relative
from pages.ui.graph.ask import across_words, core_query, once, question
from pages.ui.graph.compare import compare_panel
from pages.ui.graph.component import PAINT_SECONDS, awaited, picture, preload
from pages.ui.graph.drawing import complete, drawing, latest
from pages.ui.graph.explain import explanation, no_path, unknown_word
from pages.ui.graph.export import export_part
from pages.ui.graph.links import explorer_link
from pages.ui.graph.looks import edge_name, known_types
from pages.ui.graph.panels import (
    alternatives,
    chosen_path,
    every_layer,
    in_space,
    sentence_trees,
    show_notices,
    whole_graph,
)
from pages.ui.graph.progress import building, find_graph, stopped
from pages.ui.graph.quality import quality_panel
from pages.ui.graph.query_bar import query_bar
from pages.ui.graph.shapes import highlight
from pages.ui.graph.start import LIKE, LIKED, start_page
from pages.ui.graph.state import Explorer, Size, View, follow_address
from pages.ui.graph.statistics import statistics_panel
from pages.ui.graph.style import CSS
from pages.ui.graph.word import word_side
from pages.ui.leaving import go
from pages.ui.studio import studio

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

    from core.graph.types import WordGraph

_NEW = "new"
_VIEWS: dict[View, str] = {"path": "Path", "neighbourhood": "Neighbourhood", "overview": "Strongest words"}
_SIZES: dict[Size, str] = {"degree": "Neighbours", "pagerank": "PageRank", "betweenness": "Betweenness"}
#: Words in the picture; more than some hundred are for the map, but a person may want them.
_LIMITS = [60, 120, 250, 500, 2000]
_READABLE = 500
_PANELS = {
    "paths": ":material/alt_route: Alternatives",
    "layers": ":material/layers: Every layer",
    "space": ":material/deployed_code: Layers in 3-D",
    "map": ":material/bubble_chart: Whole graph",
    "sentence": ":material/account_tree: Sentence trees",
    "statistics": ":material/bar_chart: Statistics",
    "quality": ":material/verified: Quality",
    "compare": ":material/compare: Compare",
}


def main() -> None:
    """Draw the page."""
    st.html(CSS)
    desk = studio()
    now = follow_address()
    known = desk.graphs.list()
    if not now.query.graph and known:
        now.settle(graph=latest(known))
    if now.query.graph in ("", _NEW):
        start_page(desk)
        return
    st.session_state.pop(LIKED, None)
    found = find_graph(desk, now.query.graph)
    if found is not None and found["status"] != Status.FINISHED:
        if found["status"] == Status.QUEUED or found["status"].active:
            building(desk, found)
        else:
            stopped(desk, found)
        return
    try:
        graph = once("graph", now.query.graph, lambda: desk.graphs.open(now.query.graph), words="Opening the graph")
    except BertloomError as error:
        page_header("Graph explorer", "This graph cannot be opened.")
        error_box(error)
        explorer_link(st.container(), "Make or choose another graph", {keys.GRAPH: _NEW}, key="graph_other_one")
        return
    _explore(desk, now, graph, found, known)


def _explore(
    desk: Studio, now: Explorer, graph: WordGraph, found: Mapping[str, Any] | None, known: list[dict[str, Any]]
) -> None:
    completed = complete(now.query, graph)
    if completed != now.query:
        now.settle(**completed.__dict__)
    _happened(now)
    # Before its widgets are drawn the query is complete: the picture goes first, what asks for another one after it.
    first = not now.given
    name = str(found["name"]) if found else now.query.graph.rpartition("/")[2]
    actions = page_header(name, _facts(graph))
    bar = st.container(key="graph_bar")
    with bar:
        preload()  # and with something in it the bar has its height from the start: the picture stays where it is
    left, right = st.columns([13, 8], gap="medium")
    if not first:
        export = _actions(actions, now, known)
        with bar:
            query_bar(now, graph)
    asked = now.query
    answer, missing, problem = _answer(desk, now, graph)
    place = chosen_path(answer, now)
    path = answer["paths"][place] if answer.get("paths") else None
    words = list(path["words"]) if path else []
    with left:
        row = st.container(horizontal=True, vertical_alignment="center", gap="small", key="graph_view_row")
        if not first:
            _view_row(row, now)
        drawn = awaited()
        view = _picture(desk, now, graph, path, name, drawn.address)
    if first:
        # All of the rest at once would keep the browser from drawing.
        drawn.wait(PAINT_SECONDS if view else 0.0)
        export = _actions(actions, now, known)
        with bar:
            query_bar(now, graph)
        _view_row(row, now)
        if question(now.query) != question(asked):  # the address asked for what the widgets do not offer
            st.rerun()
    with right, st.container(border=True, key="graph_side"):
        _side(desk, now, answer, place, missing, problem)
    show_notices(graph.about)
    _panels(desk, now, answer, place, words, graph, known)
    with export:
        export_part(desk, now, view)
    now.write_address()


def _facts(graph: WordGraph) -> str:
    about = graph.about
    parts = [
        f"{count(number)} {name if number == 1 else f'{name}s'}"
        for number, name in ((len(graph), "word"), (len(graph.sentences), "sentence"))
    ]
    if graph.layers:
        widths = sorted(set(graph.widths))
        parts.append(f"{len(graph.layers)} layers of {', '.join(map(str, widths))}")
    parts.append(", ".join(edge_name(kind) for kind in known_types(graph.types)))
    if ((about.get("config") or {}).get("settings") or {}).get("dep", {}).get("source") == "probe":
        parts.append("trees of a probe")
    elif about.get("trees") in ("gold", "silver"):
        parts.append(f"{about['trees']} trees")
    return " · ".join(part for part in parts if part)


def _actions(actions: DeltaGenerator, now: Explorer, known: list[dict[str, Any]]) -> DeltaGenerator:
    with actions.popover("Graphs", icon=":material/folder_open:", key="graph_choose"):
        _graphs(now, known)
    export = actions.popover("Export", icon=":material/download:", key="graph_export")
    if actions.button("New graph", type="primary", icon=":material/add:", key=keys.PRIMARY):
        go("explorer", {keys.GRAPH: _NEW})
    return export


def _graphs(now: Explorer, known: list[dict[str, Any]]) -> None:
    explorer_link(
        st.container(), "Build this one again with changes", {keys.GRAPH: _NEW, LIKE: now.query.graph},
        key="graph_again", icon=":material/tune:",
    )  # fmt: skip
    for graph in known[:12]:
        row = st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute")
        explorer_link(
            row, plain(graph["name"], 40), {keys.GRAPH: str(graph["id"])}, key=f"graph_open_{graph['id']}",
            disabled=graph["id"] == now.query.graph,
        )  # fmt: skip
        facts = f"{count(graph['words'])} words" if graph.get("words") else relative(graph.get("created"))
        row.markdown(
            f":gray[{plain(facts)}]" if graph["status"] == Status.FINISHED else status_markdown(graph["status"]),
            width="content",
        )


# -- the answer -----------------------------------------------------------------------------------------------------
def _answer(
    desk: Studio, now: Explorer, graph: WordGraph
) -> tuple[dict[str, Any], list[tuple[str, str]], BertloomError | None]:
    """Return the paths, the words that the graph has not (with their side), and why there is no answer."""
    query = now.query
    known = set(graph.words)
    missing = [(word, side) for word, side in ((query.start, "start"), (query.end, "end")) if word not in known]
    if missing:
        return {}, missing, None
    try:
        answer = once(
            "paths", question(query), lambda: desk.graphs.paths(query.graph, core_query(query, graph.types)),
            words=across_words(graph) if query.across else None,
        )  # fmt: skip
        return answer, [], None
    except BertloomError as error:
        return {}, [], error


def _side(
    desk: Studio, now: Explorer, answer: Mapping[str, Any], place: int, missing: list[tuple[str, str]],
    problem: BertloomError | None,
) -> None:  # fmt: skip
    titles = {"path": "Why this path", "word": f"Word: {plain(now.selected, 20)}" if now.selected else "Word"}
    # Another word or another reason to look is another control, which begins on the right side.
    name = f"side_{now.side}_{now.selected}"
    chosen = st.segmented_control(
        "Beside the picture", ["path", "word"], required=True, label_visibility="collapsed", width="stretch",
        default=now.first(name, now.side), key=now.key(name), format_func=titles.__getitem__,
    )  # fmt: skip
    if chosen == "word":
        word_side(desk, now)
        return
    if problem is not None:
        error_box(problem)
    for word, side in missing:
        if word:
            unknown_word(desk, word, side, now)
        else:
            st.caption(f"Choose a word to {'start from' if side == 'start' else 'arrive at'}.")
    if missing or problem is not None:
        return
    show_notices(answer)
    if answer.get("paths"):
        explanation(answer, place, now)
    else:
        no_path(answer, now)


# -- the picture ----------------------------------------------------------------------------------------------------
def _view_row(row: DeltaGenerator, now: Explorer) -> None:
    """Draw what chooses the view, and take over what its widgets hold."""
    query = now.query
    kind: View = row.segmented_control(
        "Shown", list(_VIEWS), format_func=_VIEWS.__getitem__, required=True, label_visibility="collapsed",
        key=now.key("view"), default=now.first("view", query.view),
    ) or "path"  # fmt: skip
    size: Size = row.selectbox(
        "Size of a word", list(_SIZES), format_func=lambda one: f"Size: {_SIZES[one]}", key=now.key("size"),
        label_visibility="collapsed", index=list(_SIZES).index(now.first("size", query.size)), width=165,
    )  # fmt: skip
    most: int = row.selectbox(
        "Words, at most", _LIMITS, format_func=lambda one: f"{count(one)} words", key=now.key("most"), width=125,
        label_visibility="collapsed", index=_LIMITS.index(now.first("most", query.most)),
    )  # fmt: skip
    now.keep(view=kind, size=size, most=most)


def _picture(
    desk: Studio, now: Explorer, graph: WordGraph, path: dict[str, Any] | None, name: str, told: str
) -> dict[str, Any] | None:
    drawn = drawing(now.query, graph.types, selected=now.selected, path=path is not None)
    if now.query.view == "neighbourhood":
        st.caption(
            f"Around **{plain(drawn.around, 40)}**. Choose another word and press Neighbourhood beside the picture."
        )
    words = "Ranking the words" if now.query.size == "betweenness" else None
    try:
        found = once("view", drawn.asked, lambda: drawn.find(desk), words=words)
    except BertloomError as error:
        error_box(error, title="There is no picture")
        return None
    shown = highlight(found, path)
    picture(
        shown, graph=now.query.graph, fit=drawn.fit, selected=now.selected, file=_file(name), on_change=_clicked,
        told=told,
    )  # fmt: skip
    there = {node["word"] for node in shown["nodes"]}
    hidden = [word for word in dict.fromkeys(path["words"] if path else []) if word not in there]
    missing = [f"Not among the words drawn: {', '.join(hidden)}."] if hidden else []
    if len(shown["nodes"]) > _READABLE:
        missing.append(f"More than {_READABLE} words are hard to read here: the map under Whole graph is made for it.")
    show_notices({"notices": [*missing, *(found.get("notices") or [])]})
    return shown


def _file(name: str) -> str:
    kept = "".join(char if char.isalnum() else "-" for char in name)
    return "-".join(part for part in kept.split("-") if part)[:60] or "word-graph"


def _clicked() -> None:
    """Note that something happened in the picture; the page reads it before it draws."""


def _happened(now: Explorer) -> None:
    """Take over what was clicked in the picture."""
    state = st.session_state.get(keys.GRAPH_PICTURE) or {}
    pair, node, seek = (state.get(name) for name in ("pair", "node", "seek"))
    if pair:
        start, end = pair["pair"]
        now.side, now.selected = "path", None
        now.change(start=str(start), end=str(end), view="path")
    elif seek:
        now.side, now.selected = "word", str(seek["word"])
        now.change(view="neighbourhood", word=str(seek["word"]))
    elif node:
        now.selected = node["word"]
        now.side = "word" if node["word"] else "path"


# -- below ----------------------------------------------------------------------------------------------------------
def _panels(
    desk: Studio, now: Explorer, answer: dict[str, Any], place: int, words: list[str], graph: WordGraph,
    known: list[dict[str, Any]],
) -> None:  # fmt: skip
    tabs = dict(zip(_PANELS, st.tabs(list(_PANELS.values()), key="graph_panels", on_change="rerun"), strict=True))
    for name, tab in tabs.items():
        if not tab.open:
            continue
        with tab:
            try:
                if name == "paths":
                    alternatives(answer, now)
                elif name == "layers":
                    every_layer(desk, now, graph.types)
                elif name == "space":
                    in_space(desk, now, graph.types)
                elif name == "map":
                    whole_graph(desk, now, words, graph.types)
                elif name == "sentence":
                    sentence_trees(desk, now, answer, place, graph.sentences)
                elif name == "statistics":
                    statistics_panel(desk, now)
                elif name == "quality":
                    quality_panel(desk, now, graph, words)
                else:
                    compare_panel(desk, now, graph, known)
            except BertloomError as error:
                error_box(error)


main()
