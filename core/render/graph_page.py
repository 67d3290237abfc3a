"""A view of a word graph as one stand-alone HTML page by pyvis: no link leads out of it, and words stay text.

pyvis writes two links to a content network whatever it is told, repeats its heading as HTML, and puts titles that
hold "href" into the page as HTML. So its page is cleaned, headings are not used, and titles are set by a script of
ours: vis-network shows a title that is a string as text.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from typing import Any, Literal

from core.render.look import Look

__all__ = ["DARK", "EDGE_COLOURS", "LIGHT", "graph_page"]

#: Looks of a page that nobody gives colours to; the same ten colours as the dashboard's.
LIGHT = Look(
    text="#1B2032", grid="#DFE2EC", background="#FFFFFF",
    colours=("#4F46E5", "#B84510", "#1F7064", "#6B2C91", "#E268A1", "#323748", "#B28D0B", "#4F96DE", "#592716",
             "#789957"),
    roles={"path": "#B84510", "muted": "#5F6578"},
)  # fmt: skip
DARK = Look(
    text="#E8EAF2", grid="#2C3244", background="#11141D",
    colours=("#736FF5", "#F58B5E", "#93F0F0", "#9A86E0", "#B8568F", "#BBBBBB", "#F9D572", "#74AAD1", "#AA7E70",
             "#A6DD98"),
    roles={"path": "#F58B5E", "muted": "#9BA1B5"},
)  # fmt: skip
#: Colour of each edge type, as an index into the look's colours.
EDGE_COLOURS: dict[str, int] = {"dep": 2, "sim": 7, "cooc": 6, "attn": 4, "gnn": 3}
_DASHES: dict[str, Any] = {"cooc": [2, 4], "gnn": [8, 4]}
_FADED = {"path": 1.0, "neighbour": 0.85, "context": 0.35}
_LINKS = re.compile(
    r"<link\b[^>]*\bhref\s*=\s*[\"']?(?:https?:)?//[^>]*>|<script\b[^>]*\bsrc\s*=[^>]*>\s*</script>|<!--.*?-->|"
    r"<center>\s*<h1>.*?</h1>\s*</center>",
    re.IGNORECASE | re.DOTALL,
)
_SCHEME = re.compile(r"https?://", re.IGNORECASE)
_LETTERS = re.compile("http", re.IGNORECASE)
_QUOTES = "\"'`"


def graph_page(
    view: Mapping[str, Any],
    *,
    title: str = "Word graph",
    mode: Literal["light", "dark"] = "light",
    look: Look | None = None,
    edge_colours: Mapping[str, str] | None = None,
) -> str:
    """Return a view as a page that needs nothing but a browser.

    Parameters
    ----------
    view
        As :mod:`core.graph.view` makes it. Its positions are kept; nothing moves by itself.
    title
        Title of the page; shown as text.
    mode
        Light or dark.
    look
        Colours instead of the usual ones of the mode.
    edge_colours
        Colour by edge type instead of the usual ones.

    Returns
    -------
    str
        HTML. The letters ``http`` do not occur in it, nor does any other address.
    """
    look = look or (DARK if mode == "dark" else LIGHT)
    colours = {name: look.colour(index) for name, index in EDGE_COLOURS.items()} | dict(edge_colours or {})
    net = _network(view, look, colours)
    page = _without_links(net.generate_html())
    page = _framed(page, view, title, mode, look, colours)
    return _without_addresses(page)


def _network(view: Mapping[str, Any], look: Look, colours: Mapping[str, str]) -> Any:
    from pyvis.network import Network

    net = Network(
        height="100%", width="100%", directed=bool(view.get("directed", True)), bgcolor=look.background,
        cdn_resources="in_line",
    )  # fmt: skip
    # set at once: pyvis compares every new edge with all others
    net.nodes = [_node(node, look) for node in view["nodes"]]
    net.edges = [_edge(edge, colours, bool(view.get("directed", True))) for edge in view["edges"]]
    net.options = {
        "physics": {"enabled": False},
        "interaction": {"hover": True, "tooltipDelay": 120, "hideEdgesOnDrag": len(net.edges) > 800},
        "nodes": {"shape": "dot", "font": {"color": look.text, "size": 14, "face": "system-ui, sans-serif"}},
        "edges": {"smooth": False, "arrowStrikethrough": False},
    }
    return net


def _node(node: Mapping[str, Any], look: Look) -> dict[str, Any]:
    role = str(node.get("role", "neighbour"))
    community = int(node.get("community", -1))
    colour = _colour(look, community)
    on_path = role == "path"
    lines = [str(node.get("word", node["label"]))[:300]]
    lines += [f"part of speech: {node['tag']}"] if node.get("tag") else []
    lines += [f"occurrences: {node['count']:,}"] if node.get("count") else []
    lines += [f"vector size: {node['width']}"] if node.get("width") else []
    lines += [f"neighbours: {node['neighbours']:,}"] if node.get("neighbours") is not None else []
    return {
        "id": int(node["id"]), "label": str(node["label"]), "x": float(node["x"]), "y": float(node["y"]),
        "size": float(node["size"]), "tip": "\n".join(lines), "opacity": _FADED.get(role, 1.0),
        "borderWidth": 3 if on_path else 1,
        "color": {"background": colour, "border": look.roles.get("path", look.text) if on_path else colour},
        "font": {"color": look.text if role != "context" else look.roles.get("muted", look.text),
                 "size": 17 if on_path else 14},
    }  # fmt: skip


def _colour(look: Look, community: int) -> str:
    """Return a community's colour; those beyond the colours, and words of no community, are grey."""
    return look.colours[community] if 0 <= community < len(look.colours) else look.roles.get("muted", look.grid)


def _edge(edge: Mapping[str, Any], colours: Mapping[str, str], directed: bool) -> dict[str, Any]:
    role, name = str(edge.get("role", "neighbour")), str(edge["type"])
    shares = ", ".join(f"{kind} {share:.0%}" for kind, share in edge.get("types", {}).items())
    lines = [shares] + ([", ".join(edge["relations"])] if edge.get("relations") else [])
    lines += [f"{'probability' if directed else 'exp(−cost)'}: {float(edge.get('weight', 0)):.3g}"]
    ends: dict[str, Any] = {}
    if directed:
        ends["arrows"] = {"to": {"enabled": True, "scaleFactor": 0.5}}
        if edge.get("mutual") and role != "path":
            ends["arrows"]["from"] = {"enabled": True, "scaleFactor": 0.5}
    return {
        "from": int(edge["from"]), "to": int(edge["to"]), "tip": "\n".join(lines), "dashes": _DASHES.get(name, False),
        "width": 5 if role == "path" else 1 + 2 * float(edge.get("weight", 0)),
        "color": {"color": colours.get(name, "#888888"), "opacity": _FADED.get(role, 1.0)}, **ends,
    }  # fmt: skip


def _without_links(page: str) -> str:
    """Take out pyvis' links to a content network and its headings, but look at no script."""
    page = re.sub(r"<!--\s*<link.*?-->", "", page, flags=re.DOTALL)
    parts = re.split(r"(<script\b[^>]*>.*?</script>|<style\b[^>]*>.*?</style>)", page, flags=re.DOTALL | re.IGNORECASE)
    kept = []
    for part in parts:
        inline = re.match(r"<script(?![^>]*\bsrc\b)|<style", part, flags=re.IGNORECASE)
        kept.append(part if inline else _LINKS.sub("", part))
    return "".join(kept)


def _framed(page: str, view: Mapping[str, Any], title: str, mode: str, look: Look, colours: Mapping[str, str]) -> str:
    """Add title, style, legend and notices, and set the titles of nodes and edges as text."""
    communities = sorted(view.get("communities", []), key=lambda one: int(one["id"]))
    # "<" is escaped, so that nothing ends the script; the rest is shown by textContent
    data = json.dumps(
        {
            "title": title,
            "legend": [
                {"colour": colours.get(str(one["type"]), "#888888"), "dashed": str(one["type"]) in _DASHES,
                 "name": str(one["type"]), "meaning": str(one.get("meaning", ""))}
                for one in view.get("legend", [])
            ],
            "communities": [
                {"colour": _colour(look, int(one["id"])), "name": str(one["name"]), "size": int(one["size"])}
                for one in communities[: len(look.colours)]
            ],
            "grey": max(0, len(communities) - len(look.colours)),
            "notices": [str(one) for one in view.get("notices", [])],
        }
    ).replace("<", "\\u003c").replace(">", "\\u003e")  # fmt: skip
    head = (
        f"<title>{_LETTERS.sub(lambda found: f'&#{ord(found[0][0])};{found[0][1:]}', html.escape(title))}</title>"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_style(mode, look)}</style></head>"
    )
    page = page.replace("</head>", head, 1)
    before, _, after = page.rpartition("</body>")
    page = f"{before}{_LEGEND}<script>{_SCRIPT.replace('__DATA__', data)}</script></body>{after}"
    page = re.sub(r"^\s*<html>", f'<!DOCTYPE html>\n<html lang="en" data-mode="{mode}">', page, count=1)
    return page


def _without_addresses(page: str) -> str:
    """Write every address so that nothing can follow it, and words that hold one so that they stay what they were.

    Before the body there are pyvis' libraries: an address that begins a string keeps its meaning by an escape, one in
    a comment or in the middle of a message loses its scheme. In the body there is data in scripts, where an escape
    always means the same.
    """
    # "<" is escaped in all data, so the last "<body>" is the page's own
    head, mark, body = page.rpartition("<body>")

    def plain(found: re.Match[str]) -> str:
        return _escaped(found) if head[found.start() - 1] in _QUOTES else ""

    head = _LETTERS.sub(_escaped, _SCHEME.sub(plain, head))
    return head + mark + _LETTERS.sub(_escaped, body)


def _escaped(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0][0]):04x}{found[0][1:]}"


def _style(mode: str, look: Look) -> str:
    muted = look.roles.get("muted", look.text)
    return (
        f":root{{color-scheme:{mode}}}html,body{{margin:0;height:100%;background:{look.background};color:{look.text};"
        "font:14px/1.4 system-ui,sans-serif}.card,#mynetwork{width:100%!important;height:100%!important}"
        "#mynetwork{border:0!important;float:none!important;position:absolute!important;inset:0}"
        f"#about{{position:absolute;left:12px;top:12px;width:min(270px,70vw);background:{look.background};"
        f"border:1px solid {look.grid};border-radius:10px;padding:10px 14px;max-height:calc(100vh - 48px);"
        "overflow:auto}@media(min-width:800px){#mynetwork{left:324px;width:auto!important}}"
        "#about h1{font-size:15px;margin:0}#about summary{cursor:pointer;font-weight:600}"
        "#about ul{list-style:none;margin:8px 0 0;padding:0}#about li{margin:2px 0;overflow-wrap:anywhere}"
        f"#about .notices{{color:{muted};font-size:12px}}"
        "#about i{display:inline-block;width:22px;margin-right:8px;vertical-align:middle;border-top:3px solid}"
        "#about i.dashed{border-top-style:dashed}#about b{display:inline-block;width:10px;height:10px;"
        "border-radius:50%;margin:0 10px 0 6px}"
        f"div.vis-tooltip{{background:{look.background}!important;color:{look.text}!important;"
        f"border:1px solid {look.grid}!important;white-space:pre-line!important;font:13px/1.4 system-ui!important}}"
    )


_LEGEND = '<details id="about" open><summary></summary><ul></ul><ul></ul><ul class="notices"></ul></details>'
_SCRIPT = """
(function () {
  var about = __DATA__;
  var box = document.getElementById('about'), lists = box.querySelectorAll('ul');
  box.querySelector('summary').textContent = about.title;
  function item(list, text, mark) {
    var line = document.createElement('li');
    if (mark) { line.appendChild(mark); }
    line.appendChild(document.createTextNode(text));
    list.appendChild(line);
  }
  about.legend.forEach(function (one) {
    var mark = document.createElement('i');
    mark.style.borderTopColor = one.colour;
    if (one.dashed) { mark.className = 'dashed'; }
    item(lists[0], one.name + ': ' + one.meaning, mark);
  });
  about.communities.forEach(function (one) {
    var mark = document.createElement('b');
    mark.style.background = one.colour;
    item(lists[1], one.name + ' (' + one.size + ')', mark);
  });
  if (about.grey) { item(lists[1], about.grey + ' smaller communities are grey'); }
  about.notices.forEach(function (one) { item(lists[2], one); });
  [nodes, edges].forEach(function (set) {
    set.update(set.get().map(function (one) { return {id: one.id, title: one.tip}; }));
  });
  network.fit({animation: false});
})();
"""
