"""The graphs' desk of the facade: word graphs, questions about paths, what is drawn, probes and graph networks.

Graphs are built, probed and extended by runs; questions are answered in this process, which needs arrays only.
"""

from __future__ import annotations

import contextlib
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core.config import GraphConfig, LinkConfig, ProbeConfig
from core.errors import ConfigError, DataError, RunError, RunNotFound
from core.runs import folder
from core.runs.control import Control
from core.runs.helper import Helper
from core.runs.records import RunRecord, Status
from core.runs.store import Store

if TYPE_CHECKING:
    from core.graph.mixing import Mixed
    from core.graph.query import PathQuery
    from core.graph.types import WordGraph

__all__ = ["GraphDesk"]

GRAPH_FILE = "graph.graph"
PROBE_FILE = "probe.npz"
#: Graphs that stay open.
_OPEN = 4
#: What is kept of the latest mixtures (communities, sizes); each entry keeps its mixture alive.
_KEPT = 8
_MOST_NEIGHBOURS = 60
_MOST_CONTEXTS = 12
_PLANE_WORDS = 120

# inside a class with a method `list`, the name no longer means the type
_Dicts = list[dict[str, Any]]
_Words = list[str]


class GraphDesk:
    """Build word graphs and ask them.

    Parameters
    ----------
    store
        The store of the home.
    helper
        The helper process, which reads sentences with a probe.
    submitter
        Token of the manager in this process, if there is one.
    """

    def __init__(self, store: Store, helper: Helper, submitter: str | None = None) -> None:
        self._store = store
        self._helper = helper
        self._submitter = submitter
        self._control = Control(store)
        self._graphs: OrderedDict[tuple[str, int, int], WordGraph] = OrderedDict()
        self._sizes: dict[tuple[Any, ...], Any] = {}
        self._lock = threading.Lock()

    # -- runs --------------------------------------------------------------------------------------------------------
    def list(self) -> _Dicts:
        """Return graphs that were built or are being built, newest first, with what is known of them."""
        return [self._described(run) for run in self._runs("graph", "link")]

    def probes(self) -> _Dicts:
        """Return the runs of structural probes, newest first."""
        return [self._described(run) for run in self._runs("probe")]

    def links(self) -> _Dicts:
        """Return the runs of graph networks, newest first."""
        return [self._described(run) for run in self._runs("link")]

    def build(self, config: GraphConfig, *, request_id: str | None = None) -> str:
        """Build a graph in a run that starts at once, beside a training, and return its id."""
        return self._submit(config, request_id)

    def probe(self, config: ProbeConfig, *, request_id: str | None = None) -> str:
        """Train a structural probe in a run of the queue and return its id."""
        return self._submit(config, request_id)

    def link(self, config: LinkConfig, *, request_id: str | None = None) -> str:
        """Train a graph network in a run of the queue and return its id."""
        return self._submit(config, request_id)

    def results(self, run_id: str) -> dict[str, Any] | None:
        """Return what a run left; ``None`` while there is nothing."""
        return folder.read_json(self._store.home.run(self._store.runs.get(run_id).id) / "results.json")

    def _submit(self, config: GraphConfig | ProbeConfig | LinkConfig, request_id: str | None) -> str:
        return self._control.submit(
            config, kind=config.kind, request_id=request_id, now=config.kind == "graph", submitter=self._submitter
        )

    def _runs(self, *kinds: str) -> Sequence[RunRecord]:
        return [run for run in self._store.runs.list(limit=500) if run.kind in kinds]

    def _described(self, run: RunRecord) -> dict[str, Any]:
        details: dict[str, Any] = {}
        if run.status is Status.FINISHED:
            details = (self.results(run.id) or {}).get("details", {}).get("graph") or {}
        return {
            "id": run.id, "kind": run.kind, "name": run.name, "status": run.status, "progress": run.progress,
            "created": run.created, "error": run.error, "words": details.get("words"),
            "types": list(dict.fromkeys(str(one["type"]) for one in details.get("edges") or [])),
            "layers": [one["layer"] for one in details.get("layers") or []],
            "widths": [one["width"] for one in details.get("layers") or []], "language": details.get("language"),
            "notices": details.get("notices") or [], "plan": run.plan,
        }  # fmt: skip

    # -- one graph ---------------------------------------------------------------------------------------------------
    def file(self, source: str) -> Path:
        """Return the file of a graph: a run's, by its id, or a path.

        Raises
        ------
        RunError
            If the run has left no graph.
        DataError
            If there is neither a run nor a file of this name.
        """
        try:
            run = self._store.runs.get(source)
        except RunNotFound:
            path = Path(source).expanduser() if source and "\0" not in source else None
            # An address may hold any path: other files are not even looked at.
            if path is not None and path.suffix == ".graph" and path.is_file():
                return path
            raise DataError(
                "There is no graph of this name.", where=source[:200], expected="a graph's run, or a .graph file",
                advice="Choose one from the list, or build one.",
            ) from None  # fmt: skip
        found = self._store.home.run(run.id) / GRAPH_FILE
        if run.status is not Status.FINISHED or not found.is_file():
            raise RunError(
                f"The run {run.name!r} ({run.status.value}) has left no graph.", where=f"run {run.id}",
                expected="a finished run of kind graph or link",
            )  # fmt: skip
        return found

    def open(self, source: str) -> WordGraph:
        """Return a graph; the latest few stay open."""
        from core.graph.file import load_graph

        path = self.file(source)
        state = path.stat()
        key = (str(path), state.st_size, state.st_mtime_ns)
        with self._lock:
            if key in self._graphs:
                self._graphs.move_to_end(key)
                return self._graphs[key]
        graph = load_graph(path)
        with self._lock:
            graph = self._graphs.setdefault(key, graph)
            while len(self._graphs) > _OPEN:
                self._graphs.popitem(last=False)
        return graph

    def paths(self, source: str, query: PathQuery) -> dict[str, Any]:
        """Return the paths that answer a question, hop by hop, or why there is none."""
        from core.graph.query import find_paths

        return find_paths(self.open(source), query)

    def by_layer(self, source: str, query: PathQuery) -> _Dicts:
        """Return the answer to the same question in every layer."""
        from core.graph.query import by_layer

        return by_layer(self.open(source), query)

    def complete(self, source: str, prefix: str, limit: int = 20) -> _Words:
        """Return words that begin alike, the most frequent first."""
        from core.graph.suggest import completions

        return completions(self.open(source), prefix, limit)

    def suggest(self, source: str, word: str) -> _Words:
        """Return the words of nearest spelling."""
        from core.graph.suggest import nearest_spellings

        return nearest_spellings(self.open(source), word)

    def word(self, source: str, word: str, layer: int | None = None) -> dict[str, Any]:
        """Return what is known of a word: count, tag, lemma, widths, strongest neighbours by type, contexts."""
        from core.graph.explain import sentences_with
        from core.graph.suggest import resolve

        graph = self.open(source)
        node = resolve(graph, word)
        layer = graph.middle if layer is None else layer
        neighbours: _Dicts = []
        for one in graph.edge_sets(layer):
            low, high = np.searchsorted(one.sources, [node, node + 1])
            back = np.flatnonzero(one.targets == node)
            best: dict[int, float] = {}
            for other, weight in (
                *zip(one.targets[low:high].tolist(), one.weights[low:high].tolist(), strict=True),
                *zip(one.sources[back].tolist(), one.weights[back].tolist(), strict=True),
            ):
                best[other] = max(weight, best.get(other, 0.0))
            strongest = sorted(best.items(), key=lambda item: (-item[1], item[0]))[:_MOST_NEIGHBOURS]
            neighbours += [
                {"word": graph.words[other], "type": one.type, "weight": weight} for other, weight in strongest
            ]
        contexts = sorted((graph.sentences[int(index)] for index in sentences_with(graph, node)[:500]), key=len)
        return {
            "word": graph.words[node], "count": int(graph.counts[node]), "tag": graph.tags[node],
            "lemma": graph.lemmas[node], "widths": dict(zip(graph.layers, graph.widths, strict=True)),
            "neighbours": neighbours, "contexts": contexts[:_MOST_CONTEXTS],
        }  # fmt: skip

    def stats(self, source: str) -> dict[str, Any]:
        """Return the statistics of a graph; see :func:`core.graph.stats.graph_stats`."""
        from core.graph.stats import graph_stats

        return graph_stats(self.open(source))

    # -- what is drawn -----------------------------------------------------------------------------------------------
    def view(
        self,
        source: str,
        kind: str,
        *,
        query: PathQuery | None = None,
        word: str | None = None,
        layer: int | None = None,
        weights: Mapping[str, float] | None = None,
        types: Sequence[str] | None = None,
        size: str = "degree",
        limit: int = 500,
    ) -> dict[str, Any]:
        """Return what is drawn; see :mod:`core.graph.view`.

        Parameters
        ----------
        source
            The graph.
        kind
            ``path``, ``neighbourhood``, ``overview`` or ``map``.
        query
            The question whose paths are drawn (``path``); its settings also mix the other views.
        word
            The word in the middle (``neighbourhood``).
        layer, weights
            Layer and mixture where there is no question.
        types
            Edge types to draw; the others get weight 0.
        size
            What makes a word large: ``degree``, ``pagerank`` or ``betweenness`` (estimated).
        limit
            Most words.

        Raises
        ------
        ConfigError
            If the view needs a question or a word that is missing, or the mixture cannot be made.
        """
        from core.graph import view as views
        from core.graph.query import find_paths

        graph = self.open(source)
        mixed = self._mixed(graph, query, layer, weights, types)
        sizes, label = self._size(graph, mixed, size)
        about: dict[str, Any] = {"groups": self._groups(graph, mixed), "sizes": sizes, "limit": limit}
        if kind == "path":
            if query is None:
                raise ConfigError("A picture of paths needs a question.", where="query")
            found = views.path_view(graph, mixed, find_paths(graph, query)["paths"] or [[query.source]], **about)
        elif kind == "neighbourhood":
            if word is None:
                raise ConfigError("A neighbourhood needs a word.", where="word")
            found = views.neighbourhood(graph, mixed, word, **about)
        elif kind in ("overview", "map"):
            found = (views.map_view if kind == "map" else views.overview)(graph, mixed, **about)
        else:
            raise ConfigError(f"There is no view {kind!r}.", where="kind",
                              expected="path, neighbourhood, overview or map")  # fmt: skip
        found["size_by"] = label
        return found

    def _mixed(
        self,
        graph: WordGraph,
        query: PathQuery | None,
        layer: int | None,
        weights: Mapping[str, float] | None,
        types: Sequence[str] | None,
    ) -> Mixed:
        from core.graph.query import PathQuery, mixed_for

        named = dict(query.weights or {}) if query is not None else dict(weights or {})
        named = named or dict.fromkeys(graph.types, 1.0)
        if types is not None:
            named = {name: value for name, value in named.items() if name in types}
            if not named:
                raise ConfigError("No edge type is left to draw.", where="types", expected=", ".join(graph.types))
        if query is not None:
            asked = query.model_copy(update={"weights": named})
        else:
            ends = {"from": "a", "to": "b"}  # a mixture has no ends
            asked = PathQuery.model_validate({**ends, "layer": layer, "weights": named})
        return mixed_for(graph, asked)

    def _groups(self, graph: WordGraph, mixed: Mixed) -> Any:
        from core.graph.communities import find_communities
        from core.graph.pairs import Pairs

        return self._kept(mixed, "groups", lambda: find_communities(graph, Pairs.of_mixed(mixed)))

    def _size(self, graph: WordGraph, mixed: Mixed, size: str) -> tuple[np.ndarray, str]:
        from core.graph.centrality import betweenness, degree, pagerank
        from core.graph.pairs import Pairs

        pairs = Pairs.of_mixed(mixed)
        if size == "betweenness":
            found = self._kept(mixed, size, lambda: betweenness(pairs))
            return found.values, found.label
        if size == "pagerank":
            return self._kept(mixed, size, lambda: pagerank(pairs)), "PageRank"
        if size == "degree":
            return self._kept(mixed, size, lambda: degree(pairs)), "number of neighbours"
        raise ConfigError(f"Words cannot be sized by {size!r}.", where="size", expected="degree, pagerank, betweenness")

    def _kept(self, mixed: Mixed, what: str, make: Any) -> Any:
        """Keep what was derived from the latest mixtures; they are kept by the question module, so ids are stable."""
        with self._lock:
            found = self._sizes.get((id(mixed), what))
            if found is not None and found[0] is mixed:
                return found[1]
        made = make()
        with self._lock:
            self._sizes[id(mixed), what] = (mixed, made)
            for key in list(islice(self._sizes, max(0, len(self._sizes) - _KEPT))):
                del self._sizes[key]
        return made

    def layers3d(self, source: str, query: PathQuery) -> dict[str, Any]:
        """Return one plane a layer: the path's words and their surroundings, the edges in each, the path across.

        Returns
        -------
        dict
            ``nodes`` [{"word", "layer", "x", "y", "width", "role"}], ``edges`` [{"from": [word, layer], "to": …,
            "weight"}], ``path`` [[word, layer], …], ``reason`` where there is nothing to draw.
        """
        from core.graph.query import find_paths, mixed_for

        graph = self.open(source)
        if not graph.layers:
            return {"nodes": [], "edges": [], "path": [], "reason": "This graph was built without an encoder."}
        answer = find_paths(graph, query)
        flat = query.model_copy(update={"across_layers": False, "from_layer": None, "to_layer": None})
        drawn = self.view(source, "path", query=flat, limit=_PLANE_WORDS)
        best = answer["paths"][0] if answer["paths"] else None
        words = {node["word"]: node for node in drawn["nodes"]}
        path: list[list[Any]] = []
        if best is not None:
            inside = answer.get("layer", graph.middle)
            path = [
                [word, layer]
                for word, layer in zip(best["words"], best.get("layers") or [inside] * len(best["words"]), strict=True)
            ]
        index = graph.index()
        missing = [word for word, _ in path if word not in words]
        for place, word in enumerate(missing):
            words[word] = {"word": word, "x": -0.6 + 1.2 * (place + 1) / (len(missing) + 1), "y": 0.05, "role": "path"}
        on = {(word, layer) for word, layer in path}
        nodes, edges = [], []
        chosen = {index[word]: word for word in words if word in index}
        for layer, width in zip(graph.layers, graph.widths, strict=True):
            nodes += [
                {"word": word, "layer": layer, "x": node["x"], "y": node["y"], "width": width,
                 "role": "path" if (word, layer) in on else "context"}
                for word, node in words.items()
            ]  # fmt: skip
            mixed = mixed_for(graph, flat.model_copy(update={"layer": layer}))
            for node, word in chosen.items():
                low, high = int(mixed.indptr[node]), int(mixed.indptr[node + 1])
                there = [edge for edge in range(low, high) if int(mixed.targets[edge]) in chosen]
                for edge in sorted(there, key=lambda edge: float(mixed.costs[edge]))[:2]:
                    other = chosen[int(mixed.targets[edge])]
                    edges.append({"from": [word, layer], "to": [other, layer],
                                  "weight": float(np.exp(-mixed.costs[edge]))})  # fmt: skip
        return {"nodes": nodes, "edges": edges, "path": path, "reason": answer.get("reason")}

    def sentence(self, source: str, index: int) -> dict[str, Any]:
        """Return a sentence's tokens and trees: the corpus' or the parser's, and a probe's where one was trained.

        Raises
        ------
        DataError
            If there is no such sentence.
        """
        graph = self.open(source)
        if not 0 <= index < len(graph.sentences):
            raise DataError("There is no such sentence.", where=f"sentence {index + 1}",
                            expected=f"1 to {len(graph.sentences):,}")  # fmt: skip
        stored = self._stored_tree(source, index)
        if stored is None:
            return {"text": graph.sentences[index], "tokens": [], "heads": None, "relations": None, "trees": []}
        kind = {"gold": "gold tree", "silver": "parser (silver)"}.get(str(graph.about.get("trees")), "tree")
        trees = [{"name": kind, "heads": stored["heads"], "relations": stored["relations"]}] if stored["heads"] else []
        notices: list[str] = []
        for run in self._runs("probe"):
            if run.status is Status.FINISHED and run.plan.get("model") == graph.about.get("config", {}).get("model"):
                arguments = {"probe": str(self._store.home.run(run.id) / PROBE_FILE), "model": run.plan["model"],
                             "sentence": {**stored, "text": graph.sentences[index]}}  # fmt: skip
                found = self._helper.call("probe_tree", arguments, timeout=300)
                if found["heads"] is not None:
                    trees.append({"name": f"probe, layer {found['layer']}", "heads": found["heads"], "relations": None})
                else:
                    notices.append("The sentence is too long for the encoder: the probe has no tree of it.")
                break
        return {
            "text": graph.sentences[index], "tokens": stored["tokens"], "heads": stored["heads"],
            "relations": stored["relations"], "trees": trees, "notices": notices,
        }  # fmt: skip

    def _stored_tree(self, source: str, index: int) -> dict[str, Any] | None:
        from core.graph.sentences import TREES, load_tree

        try:
            run = self._store.runs.get(source)
        except RunNotFound:
            return None  # a file that came from elsewhere
        if run.kind == "link":  # a graph that got edges has the sentences of the one that it was made from
            return self._stored_tree(str(run.plan.get("graph")), index)
        return load_tree(self._store.home.run(run.id) / TREES, index)

    # -- how good it is ----------------------------------------------------------------------------------------------
    def quality(self, source: str) -> dict[str, Any]:
        """Return what was measured of a graph: ``measures`` [{"name", "value", "on", "items"}] and ``notices``.

        Stability is measured when a graph is built. What a probe and a graph network say is in their own results.
        """
        run: RunRecord | None = None
        with contextlib.suppress(RunNotFound):
            run = self._store.runs.get(source)
        if run is not None and run.kind == "link":
            return self.quality(str(run.plan.get("graph")))
        details = (self.results(run.id) or {}).get("details", {}) if run is not None else {}
        stable = details.get("stability") or {}
        measures = [
            {
                "name": f"stability of {kind} edges (Jaccard index, {one['low']:.2f} – {one['high']:.2f})",
                "value": one["jaccard"],
                "on": f"{stable['rounds']} resamples of {stable['sentences']:,} sentences, drawn with replacement",
                "items": one["edges"],
            }
            for kind, one in (stable.get("types") or {}).items()
            if one.get("jaccard") is not None
        ]
        notices = [] if measures else ["Nothing was measured when this graph was built: no dep or cooc edges."]
        return {"measures": measures, "notices": notices}

    def plausibility(self, source: str, words: Sequence[str], layer: int | None = None) -> dict[str, Any]:
        """Compare a path with random ones on sentences that the graph did not see (helper process).

        Returns
        -------
        dict
            See :func:`core.graph.quality.path_plausibility`.
        """
        arguments = {"file": str(self.file(source)), "words": list(words), "layer": layer}
        return dict(self._helper.call("plausibility", arguments, timeout=600))

    def compare(
        self, source: str, other: str, layer: int | None = None, other_layer: int | None = None,
        query: PathQuery | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        """Lay two graphs, or two layers of one, side by side.

        Returns
        -------
        dict
            ``edges``: type → ``jaccard``, ``only_a``, ``only_b`` [{"from", "to", "weight"}]; ``cka``; ``paths``
            (rank and cost of each path in both; None without a question); ``notices``.
        """
        from core.graph.compare import compare_graphs

        found = compare_graphs(self.open(source), self.open(other), layer=layer, other_layer=other_layer, query=query)
        edges = {
            kind: {**part, "only_a": part["vanished"], "only_b": part["appeared"]}
            for kind, part in found["edges"].items()
        }
        return {**found, "edges": edges}

    # -- elsewhere ---------------------------------------------------------------------------------------------------
    def export(self, source: str, format: str, view: Mapping[str, Any] | None = None) -> tuple[str, bytes]:
        """Return a graph, or a view of it as a page, as (name of the file, its content)."""
        from core.graph.export import FORMATS, export_graph

        graph = self.open(source)
        if format == "html":
            from core.render.graph_page import graph_page

            if view is None:
                view = self.view(source, "overview")
            return "graph.html", graph_page(view).encode("utf-8", errors="replace")
        if format not in FORMATS:
            raise ConfigError(f"Graphs are not exported as {format!r}.", where="format",
                              expected=", ".join([*FORMATS, "html"]))  # fmt: skip
        name = "graph.csv.zip" if format == "csv" else f"graph.{format}"
        with tempfile.TemporaryDirectory() as place:
            export_graph(graph, Path(place) / name, format)
            return name, (Path(place) / name).read_bytes()
