"""Stand-alone pages of a view: nothing leads out, words stay text, positions stay."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from core.graph.mixing import mix
from core.graph.view import overview, path_view
from core.render.graph_page import DARK, EDGE_COLOURS, LIGHT, graph_page
from tests.unit.graph.graphs import random_graph, small_graph

HOSTILE = [
    "</script><script>document.title='pwned'</script>", "https://evil.example/?href=1",
    "<img src=//evil.example/x onerror=\"document.title='pwned'\">", "see http HTTP://evil.example", "</body><body>",
    "😀 שלום", "</style><b>", "x" * 5000,
]  # fmt: skip


def hostile_view(limit: int = 500) -> dict[str, Any]:
    graph = small_graph()
    graph.words[:] = HOSTILE
    graph.about["notices"] = []
    return path_view(graph, mix(graph, 1), [[HOSTILE[1], HOSTILE[0], HOSTILE[3]]], limit=limit)


class Tags(HTMLParser):
    """Every tag with its attributes, and the text of inline scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self._inside = tag == "script"
        if self._inside:
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._inside = False

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.scripts[-1] += data


def tags(page: str) -> Tags:
    parser = Tags()
    parser.feed(page)
    return parser


def data_set(page: str, name: str) -> list[dict[str, Any]]:
    """Return what the page gives to vis-network, read as JSON."""
    start = page.index(f"{name} = new vis.DataSet(") + len(f"{name} = new vis.DataSet(")
    value, _ = json.JSONDecoder().raw_decode(page[start:])
    return list(value)


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_the_letters_http_do_not_occur_nor_does_any_other_address(mode: Any) -> None:
    page = graph_page(hostile_view(), title="http://title <b>", mode=mode)
    assert "http" not in page.lower()
    for tag, attributes in tags(page).found:
        assert tag not in {"link", "img", "iframe", "object", "base", "form", "a", "embed"}
        assert not {"src", "href", "action", "srcset", "data"} & attributes.keys(), (tag, attributes)
    assert not re.search("jsdelivr|cloudflare|unpkg", page)
    assert not re.search(r"url\(\s*[\"']?(?!data:)[^)\"']*//", page)
    assert "@import" not in page


def test_the_scripts_are_pyvis_own_and_ours_whatever_words_say() -> None:
    plain = small_graph()
    calm = graph_page(path_view(plain, mix(plain, 1), [["film", "good"]]))
    wild = graph_page(hostile_view())
    shape = [(tag, sorted(attributes)) for tag, attributes in tags(calm).found]
    assert [(tag, sorted(attributes)) for tag, attributes in tags(wild).found] == shape
    assert len(tags(wild).scripts) == 4


def test_words_come_as_data_and_unchanged() -> None:
    view = hostile_view()
    nodes = {node["id"]: node for node in data_set(graph_page(view), "nodes")}
    for node in view["nodes"]:
        assert nodes[node["id"]]["label"] == node["label"]
        assert nodes[node["id"]]["tip"].startswith(node["word"][:300])
        assert "title" not in nodes[node["id"]]  # pyvis would put one that holds "href" into the page as HTML
    assert len(max((node["label"] for node in nodes.values()), key=len)) <= 28


def test_positions_stay_and_nothing_moves_by_itself() -> None:
    view = hostile_view()
    page = graph_page(view)
    nodes = {node["id"]: (node["x"], node["y"]) for node in data_set(page, "nodes")}
    assert nodes == {node["id"]: (node["x"], node["y"]) for node in view["nodes"]}
    assert '"physics": {"enabled": false}' in page


def test_edges_show_their_type_direction_and_path() -> None:
    view = hostile_view()
    drawn = {(edge["from"], edge["to"]): edge for edge in data_set(graph_page(view), "edges")}
    assert drawn.keys() == {(edge["from"], edge["to"]) for edge in view["edges"]}
    for edge in view["edges"]:
        found = drawn[edge["from"], edge["to"]]
        assert found["color"]["color"] == LIGHT.colour(EDGE_COLOURS[edge["type"]])
        assert found["arrows"]["to"]["enabled"]
        assert (found["width"] == 5) == (edge["role"] == "path")
    undirected = small_graph()
    page = graph_page(path_view(undirected, mix(undirected, 1, directed=False), [["film", "good"]]))
    assert all("arrows" not in edge for edge in data_set(page, "edges"))


def test_dark_pages_have_dark_colours_and_say_so() -> None:
    page = graph_page(hostile_view(), mode="dark")
    assert DARK.background in page
    assert LIGHT.background + ";" not in page
    assert 'data-mode="dark"' in page
    assert "color-scheme:dark" in page


def test_colours_can_be_the_dashboards() -> None:
    page = graph_page(hostile_view(), edge_colours={"dep": "#123456"})
    assert "#123456" in page


def test_what_is_left_out_is_on_the_page() -> None:
    graph = random_graph(300, 900)
    view = overview(graph, mix(graph, 0), 50)
    for notice in view["notices"]:
        assert json.dumps(notice) in graph_page(view)


def test_a_page_of_500_words_is_made_quickly_and_stays_small() -> None:
    graph = random_graph(2000, 8000)
    page = graph_page(overview(graph, mix(graph, 0), 500))
    assert len(page) < 1_500_000


def test_a_page_of_nothing_is_a_page() -> None:
    graph = random_graph(5, 5)
    assert data_set(graph_page(overview(graph, mix(graph, 0), 0)), "nodes") == []


@pytest.mark.slow
def test_in_a_browser_the_graph_is_drawn_words_stay_text_and_nothing_is_fetched(tmp_path: Path) -> None:
    # In a thread of its own: the browser tests' Playwright keeps a loop in this one.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(_look, tmp_path).result(timeout=120)


def _look(tmp_path: Path) -> None:
    from playwright.sync_api import sync_playwright

    file = tmp_path / "page.html"
    file.write_text(graph_page(hostile_view(), title="My <b>graph</b>"), encoding="utf-8")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--headless", "--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": 1000, "height": 700})
        asked: list[str] = []
        problems: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(file.as_uri())
        page.wait_for_selector("#mynetwork canvas")
        assert page.title() == "My <b>graph</b>"
        assert page.locator("#about summary").inner_text() == "My <b>graph</b>"
        assert "dep: head and dependent" in page.locator("#about").inner_text()
        inked = page.evaluate(
            "() => { const c = document.querySelector('canvas'), d = c.getContext('2d').getImageData(0, 0, c.width, "
            "c.height).data; let n = 0; for (let i = 3; i < d.length; i += 4) n += d[i] > 0; return n; }"
        )
        assert inked > 1000
        first = page.evaluate("nodes.get()[0].id")
        where = page.evaluate(
            "id => { const at = network.canvasToDOM(network.getPositions([id])[id]), box = "
            "document.getElementById('mynetwork').getBoundingClientRect(); "
            "return {x: at.x + box.x, y: at.y + box.y}; }",
            first,
        )
        page.mouse.move(where["x"], where["y"])
        page.wait_for_selector("div.vis-tooltip", state="visible")
        shown = page.locator("div.vis-tooltip").inner_text()
        assert shown.split("\n")[0] in HOSTILE
        assert page.locator("div.vis-tooltip *:not(br)").count() == 0
        browser.close()
    assert asked == [file.as_uri()]
    assert problems == []
