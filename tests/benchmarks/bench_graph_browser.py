"""The graph explorer's promises in a real browser: ``python -m tests.benchmarks.bench_graph_browser``.

On a graph of review sentences through the bundled encoder (all layers, dep, sim and cooc edges; above 5,000 words):

- ``paint``: from opening an address to the picture of 500 words, against a bare Streamlit page, visits in turns with a
  fresh browser context each; once with questions that nobody has asked, once with the same one again;
- ``query``: from the key that submits a word to the frame that shows the new path, in views of 60 to 2,000 words;
- ``layers``: the first question across layers that a server is asked;
- ``map``: from the click to the WebGL map of 5,000 words, rendered by software.

Times are the browser's own, up to the frame after the one that draws. Writes ``docs/results/graph/browser.json``; a
part that is measured anew replaces its own figures only. ``--home FOLDER`` keeps the graph for the next time.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from playwright.sync_api import Browser, ConsoleMessage, Page

from core.api import Studio
from core.config import GraphConfig
from core.graph.query import PathQuery
from core.runs.records import Status
from core.settings import Home
from tests.benchmarks.visits import PAINTED, BareServer, chromium, spread
from tests.e2e.conftest import Server

PARTS = ("paint", "query", "layers", "map")
RESULTS = Path(__file__).parents[2] / "docs" / "results" / "graph" / "browser.json"
#: Views of the query part: the address, and how many words they show.
VIEWS = {
    "path, 60 words": ("words=60", 60),
    "path, 500 words": ("words=500", 500),
    "path, 2,000 words": ("words=2000", 2000),
    "strongest words, 2,000": ("view=overview&words=2000", 2000),
}
_SENTENCES, _WORDS, _MAP, _PICTURE = 1200, 5000, 5000, 500
_FROM = "film"

#: Notes when keys and clicks came and when a picture was drawn whose path holds the words that are waited for.
WATCH = """
window.bench = { path: null, words: 0, asked: 0, shown: 0 };
const note = () => { window.bench.asked = performance.now(); };
addEventListener("keydown", (event) => event.key === "Enter" && note(), true);
addEventListener("click", note, true);
new MutationObserver((records) => {
  const { bench } = window, picture = records.at(-1).target.picture;
  if (bench.shown || !picture?.network || picture.data.nodes.length < bench.words) return;
  const path = picture.data.nodes.filter((node) => node.role === "path").map((node) => node.word);
  if (bench.path && (path.length !== bench.path.length || !bench.path.every((word) => path.includes(word)))) return;
  if (!picture.inSight(picture.path)) return;
  bench.shown = NaN;
  requestAnimationFrame(() => setTimeout(() => { bench.shown = performance.now(); }));
}).observe(document, { attributes: true, subtree: true, attributeFilter: ["data-drawn"] });
"""
#: Waits for the map's points, its names and the end of what the graphics library was told; returns the time.
MAP = """(points) => new Promise((done) => {
  const look = () => {
    const figure = document.querySelector(".st-key-graph_map_figure .js-plotly-plot");
    const canvas = figure?.querySelector(".gl-container canvas");
    const drawn = (figure?._fullData ?? []).reduce((sum, one) => sum + (one.type === "scattergl" ? one._length : 0), 0);
    if (!canvas || drawn < points || !figure.querySelector(".annotation")) return requestAnimationFrame(look);
    const gl = canvas.getContext("webgl");
    gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4));
    requestAnimationFrame(() => setTimeout(() => done(performance.now())));
  };
  look();
})"""
#: Share of the map's canvas that is coloured.
COLOURED = """() => {
  const own = document.querySelector(".st-key-graph_map_figure .gl-container canvas");
  const copy = Object.assign(document.createElement("canvas"), { width: own.width, height: own.height });
  const context = copy.getContext("2d");
  context.drawImage(own, 0, 0);
  const pixels = context.getImageData(0, 0, own.width, own.height).data;
  let count = 0;
  for (let at = 3; at < pixels.length; at += 4) count += pixels[at] > 0;
  return count / (own.width * own.height);
}"""


class Explorer:
    """A server with a graph, its questions, and what went wrong in its tabs."""

    def __init__(self, home: Home, folder: Path) -> None:
        self.home, self.folder = home, folder
        self.graph, self.words, self.questions = _prepared(home)
        self.server = Server(home, folder / "server.log")
        self.errors: list[str] = []

    def address(self, end: str, rest: str = "") -> str:
        """Return the address of a question."""
        return f"{self.server.url}/graph_explorer?graph={self.graph}&from={_FROM}&to={end}{rest and '&'}{rest}"

    @contextmanager
    def tab(self, browser: Browser) -> Iterator[Page]:
        """Open a tab in a context of its own, that is, with an empty cache."""
        context = browser.new_context(viewport={"width": 1440, "height": 1000})
        try:
            context.add_init_script(PAINTED)
            context.add_init_script(WATCH)
            page = context.new_page()
            page.set_default_timeout(60_000)
            page.on("pageerror", lambda error: self.errors.append(str(error)))
            page.on("console", self._hear)
            yield page
        finally:
            context.close()

    def _hear(self, said: ConsoleMessage) -> None:
        # Streamlit looks for its own addresses below a page's first, on every page of every app.
        if said.type == "error" and "/_stcore/" not in said.location.get("url", ""):
            self.errors.append(f"{said.text} ({said.location.get('url', '')})")

    def open(self, page: Page, end: str, rest: str = "", words: int = 0) -> tuple[float, float]:
        """Go to a question; return the seconds until the title and until the picture with its path is painted."""
        page.goto(self.address(end, rest), wait_until="commit")
        page.evaluate("(found) => Object.assign(window.bench, found)", {"path": self.questions[end], "words": words})
        page.wait_for_function("window.painted && window.bench.shown > 0")
        return page.evaluate("window.painted") / 1000, page.evaluate("window.bench.shown") / 1000

    def ask(self, page: Page, end: str) -> tuple[float, bool]:
        """Choose another end; return the seconds until its path is painted, and whether the zoom is the same."""
        before = page.locator(".bl-graph").evaluate("root => root.picture.network.getScale()")
        page.evaluate("(path) => Object.assign(window.bench, { path, shown: 0 })", self.questions[end])
        field = page.locator(".st-key-graph_to input")
        field.click()
        field.fill(end)
        field.press("Enter")
        page.wait_for_function("window.bench.shown > 0")
        after = page.locator(".bl-graph").evaluate("root => root.picture.network.getScale()")
        return page.evaluate("window.bench.shown - window.bench.asked") / 1000, abs(after - before) < 1e-6

    def memory(self) -> float:
        """Return the server's resident memory in MB."""
        assert self.server.process is not None
        return psutil.Process(self.server.process.pid).memory_info().rss / 2**20


def _prepared(home: Home) -> tuple[str, int, dict[str, list[str]]]:
    """Return a graph's id, its number of words, and questions: end → words of the path that is expected."""
    with Studio(home, warm=False) as studio:
        ready = [one for one in studio.graphs.list() if one["status"] == Status.FINISHED and one["words"] >= _WORDS]
        if ready:
            graph = str(ready[0]["id"])
        else:
            corpus = {"source": "reviews", "max_sentences": _SENTENCES, "min_count": 1, "seed": 0}
            graph = studio.graphs.build(GraphConfig.model_validate({"name": "reviews", "corpus": corpus}))
            run = studio.runs.wait(graph, 900)
            if run.status is not Status.FINISHED:
                raise RuntimeError(f"the graph's run ended {run.status}: {run.error}")
        held = studio.graphs.open(graph)
        drawn = {node["word"] for node in studio.graphs.view(graph, "overview", layer=held.middle, limit=1900)["nodes"]}
        order = np.random.default_rng(1).permutation(len(held.words)).tolist()
        first: dict[str, str] = {}  # what the list of the search box offers first for these letters
        for word in held.words:
            for end in range(1, len(word) + 1):
                first.setdefault(word[:end].casefold(), word)
        questions: dict[str, list[str]] = {}
        for word in (held.words[node] for node in order):
            if not word.isalpha() or word not in drawn or first[word] != word or word == _FROM or len(questions) >= 150:
                continue
            query = PathQuery(source=_FROM, target=word, layer=held.middle, k=3, min_between=1)
            paths = studio.graphs.paths(graph, query)["paths"]
            if paths and drawn.issuperset(paths[0]["words"]):
                questions[word] = paths[0]["words"]
        return graph, len(held), questions


def measure_paint(explorer: Explorer, repeats: int) -> dict[str, Any]:
    """Seconds until the title of a bare page, and until title and picture of the explorer, in turns."""
    bare = BareServer(explorer.home, explorer.folder / "bare.log")
    ends = iter(explorer.questions)
    same = next(ends)
    seconds: dict[str, list[float]] = {name: [] for name in ("bare", "title", "again", "anew", "small")}
    with chromium() as browser:
        explorer.server.start()
        with explorer.tab(browser) as page:
            first = explorer.open(page, same, f"words={_PICTURE}", _PICTURE)
        bare.start()
        try:
            for turn in range(repeats + 1):
                found = {}
                with explorer.tab(browser) as page:
                    page.goto(bare.url, wait_until="commit")
                    page.wait_for_function("window.painted")
                    found["bare"] = page.evaluate("window.painted") / 1000
                with explorer.tab(browser) as page:
                    found["title"], found["again"] = explorer.open(page, same, f"words={_PICTURE}", _PICTURE)
                with explorer.tab(browser) as page:
                    _, found["anew"] = explorer.open(page, next(ends), f"words={_PICTURE}", _PICTURE)
                with explorer.tab(browser) as page:
                    _, found["small"] = explorer.open(page, next(ends), "", 60)
                for name, value in found.items():
                    if turn:
                        seconds[name].append(value)
        finally:
            bare.stop()
            explorer.server.stop()
    base = statistics.median(seconds["bare"])
    return {
        **{
            name: {**spread(values), "ratio": round(statistics.median(values) / base, 3)}
            for name, values in seconds.items()
        },
        "first_of_server_s": round(first[1], 3), "words_drawn": _PICTURE,
        "promise": "a view of 500 words painted within 1.5 times a bare page",
    }  # fmt: skip


def measure_query(explorer: Explorer, repeats: int) -> dict[str, Any]:
    """Seconds from submitting a word to the path in the picture, views in turns; memory of the server."""
    explorer.server.start()
    memory = {"before_mb": explorer.memory()}
    seconds: dict[str, list[float]] = {name: [] for name in VIEWS}
    kept: dict[str, list[bool]] = {name: [] for name in VIEWS}
    shown: dict[str, int] = {}
    ends = cycle(explorer.questions)
    try:
        with chromium() as browser, ExitStack() as tabs:
            pages = {name: tabs.enter_context(explorer.tab(browser)) for name in VIEWS}
            for name, (rest, words) in VIEWS.items():
                explorer.open(pages[name], next(ends), rest, words)
                shown[name] = pages[name].locator(".bl-graph").evaluate("root => root.picture.data.nodes.length")
                memory.setdefault("opened_mb", explorer.memory())
            for turn in range(repeats + 1):
                for name, page in pages.items():
                    page.bring_to_front()
                    took, same = explorer.ask(page, next(ends))
                    if turn:
                        seconds[name].append(took)
                        kept[name].append(same)
            memory["highest_mb"] = explorer.memory()
    finally:
        explorer.server.stop()
    views = {
        name: {**spread(values), "slowest_s": round(max(values), 3), "words": shown[name], "zoom_kept": sum(kept[name])}
        for name, values in seconds.items()
    }
    return {
        "views": views, "memory": {name: round(value, 1) for name, value in memory.items()},
        "promise": "within 1 s on a view of 2,000 words",
    }  # fmt: skip


def measure_layers(explorer: Explorer, repeats: int) -> dict[str, Any]:
    """Seconds from the click that lets paths change layers to the answer: of the first one of a server, and later."""
    first, later = [], []
    ends = iter(explorer.questions)
    with chromium() as browser:
        for _ in range(repeats):
            explorer.server.start()
            try:
                for times in (first, later):
                    with explorer.tab(browser) as page:
                        explorer.open(page, next(ends))
                        page.wait_for_timeout(3000)  # as long as a person takes to find the condition
                        page.locator(".st-key-graph_conditions_box button").first.click()
                        page.get_by_text("Across layers").click()
                        page.wait_for_function(
                            r"/\(\d/.test(document.querySelector('.st-key-graph_side h3')?.textContent ?? '')"
                        )
                        times.append(page.evaluate("performance.now() - window.bench.asked") / 1000)
            finally:
                explorer.server.stop()
    return {"first": spread(first), "later": spread(later)}


def measure_map(explorer: Explorer, repeats: int) -> dict[str, Any]:
    """Seconds from the click to the map of the whole graph, a tab with an empty cache each; also a server's first."""
    seconds, coloured = [], 0.0
    explorer.server.start()
    ends = iter(explorer.questions)
    try:
        with chromium() as browser:
            for _ in range(repeats + 1):
                with explorer.tab(browser) as page:
                    explorer.open(page, next(ends))
                    page.get_by_role("tab", name="Whole graph").click()
                    shown = page.evaluate(MAP, _MAP)
                    seconds.append((shown - page.evaluate("window.bench.asked")) / 1000)
                    coloured = page.evaluate(COLOURED)
        memory = explorer.memory()
    finally:
        explorer.server.stop()
    return {
        **spread(seconds[1:]), "slowest_s": round(max(seconds[1:]), 3), "first_of_server_s": round(seconds[0], 3),
        "words": _MAP, "coloured_share": round(coloured, 4), "memory_mb": round(memory, 1),
        "promise": "within 6 s, rendered by software",
    }  # fmt: skip


def main(
    repeats: int = 10, parts: tuple[str, ...] = PARTS, minutes: float = 60.0, keep: Path | None = None
) -> dict[str, Any]:
    """Measure the parts and write each one's figures; none is begun after the minutes."""
    until = time.monotonic() + 60 * minutes
    measures: dict[str, Callable[[Explorer], dict[str, Any]]] = {
        "paint": lambda explorer: measure_paint(explorer, repeats),
        "query": lambda explorer: measure_query(explorer, repeats),
        "layers": lambda explorer: measure_layers(explorer, max(2, repeats // 3)),
        "map": lambda explorer: measure_map(explorer, max(3, repeats // 2)),
    }
    found: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        explorer = Explorer(Home(keep or Path(folder) / "home").ensure(), Path(folder))
        for part in parts:
            if time.monotonic() > until:
                break
            load = os.getloadavg()[0]
            explorer.errors.clear()
            measured = measures[part](explorer)
            about = {"graph_words": explorer.words, "errors": list(explorer.errors)}
            found[part] = {**measured, **about, "load_before": round(load, 2), "cores": os.cpu_count()}
            RESULTS.parent.mkdir(parents=True, exist_ok=True)
            RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
            print(part, json.dumps(found[part], indent=1), flush=True)
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=10, help="visits or questions of each kind")
    parser.add_argument("--minutes", type=float, default=60.0, help="begin no part after this time")
    parser.add_argument("--home", type=Path, help="a home folder that keeps the graph")
    parser.add_argument("parts", nargs="*", default=list(PARTS), help="what to measure")
    given = parser.parse_args()
    main(given.repeats, tuple(given.parts), given.minutes, given.home)
