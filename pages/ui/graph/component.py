"""Registers the picture of a word graph with Streamlit and mounts it.

The node keeps its zoom because it is keyed: a new path changes what is highlighted, not where a person looks. The
positions come from the server, so nothing moves by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from pages.ui import keys
from pages.ui.forms import fingerprint
from pages.ui.graph.looks import component_colours, edge_name, type_looks
from pages.ui.loader import LOADER
from pages.ui.routes import asset_url
from pages.ui.told import Awaited

__all__ = ["PAINT_SECONDS", "awaited", "picture", "picture_words", "preload"]

#: What the script reads of a word and of an edge; a large picture is sent with every path, so nothing else goes along.
_NODE = ("id", "label", "word", "x", "y", "size", "community", "count", "tag", "width", "role")
_EDGE = ("from", "to", "type", "weight", "role")

_PAINTED = "_picture_painted"
#: Seconds that the rest of a page waits at most for the first picture: a script that cannot be loaded holds up nothing.
PAINT_SECONDS = 3.0

_preload = st.components.v2.component(
    "bertloom_word_graph_scripts",
    js="""
export default function (component) {
  const { script, vis } = component.data;
  document.head.append(Object.assign(document.createElement("link"), { rel: "preload", as: "script", href: vis }));
  import(new URL(script, window.location.origin).href).catch(() => {});  // the picture tries again
}
""",
    isolate_styles=False,
)
_mount = st.components.v2.component(
    "bertloom_word_graph",
    css=(Path(__file__).parent / "graph.css").read_text(encoding="utf-8"),
    js=LOADER,
    isolate_styles=False,
)


def picture(
    view: Mapping[str, Any],
    *,
    graph: str,
    fit: str,
    selected: str | None,
    file: str,
    on_change: Callable[[], None],
    told: str = "",
    key: str = keys.GRAPH_PICTURE,
) -> None:
    """Show the words and edges of a view.

    Parameters
    ----------
    view
        ``nodes``, ``edges`` and ``communities`` as the graph desk gives them.
    graph
        Id of the graph; another one replaces the picture in place.
    fit
        Name of the kind of view: as long as it stays the same, the zoom is kept.
    selected
        Word that is chosen, if any.
    file
        Name of downloads, without ending.
    on_change
        Called after a click, with what happened in the session state under `key`: ``node`` {"word"}, ``pair``
        {"pair": [from, to]} or ``seek`` {"word"}.
    told
        Address that the browser asks for once the picture is seen.
    key
        Key of the component.
    """
    types = {edge["type"] for edge in view["edges"]}
    nodes = [{name: node[name] for name in _NODE if name in node} for node in view["nodes"]]
    edges = [{name: edge[name] for name in _EDGE if name in edge} for edge in view["edges"]]
    data = {
        "script": asset_url("graph.js"),
        "vis": asset_url("vis-network.min.js"),
        "graph": graph,
        "fit": f"{graph} {fit}",
        "stamp": fingerprint([nodes, edges]),
        "nodes": nodes,
        "edges": edges,
        "communities": view.get("communities") or [],
        "types": type_looks(types),
        "colours": component_colours(),
        "selected": selected,
        "file": file,
        "words": picture_words(view),
        "told": told,
    }
    _mount(key=key, data=data, on_node_change=on_change, on_pair_change=on_change, on_seek_change=on_change)


def preload() -> None:
    """Let the browser fetch what draws the picture while the server still places the words."""
    _preload(key="graph_preload", data={"script": asset_url("graph.js"), "vis": asset_url("vis-network.min.js")})


def awaited() -> Awaited:
    """Return what the browser tells after it has drawn a visit's first picture; afterwards nothing is waited for."""
    if _PAINTED in st.session_state:
        return Awaited(heard=False)
    st.session_state[_PAINTED] = True
    return Awaited()


def picture_words(view: Mapping[str, Any]) -> str:
    """Return the picture in one sentence, for those who do not see it."""
    nodes: Sequence[Mapping[str, Any]] = view["nodes"]
    types = sorted({edge_name(edge["type"]) for edge in view["edges"]})
    on_path = [str(node["label"]) for node in nodes if node.get("role") == "path"]
    words = f"Word graph with {len(nodes)} words and {len(view['edges'])} edges ({', '.join(types) or 'none'})."
    if on_path:
        words += f" Words on the path: {', '.join(on_path)}."
    return f"{words} A table with the same content follows."
