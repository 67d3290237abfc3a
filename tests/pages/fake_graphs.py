"""A graph desk in memory: one small real word graph, asked through the graph room without a store or a worker."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np

from core.config.graph import CorpusConfig, GraphConfig, LinkConfig, ProbeConfig
from core.errors import DataError
from core.graph.compare import compare_graphs
from core.graph.corpus.usual import usual_edges
from core.graph.mixing import mix
from core.graph.quality import parse_similarity, word_similarity
from core.graph.query import PathQuery, by_layer, find_paths
from core.graph.stats import graph_stats
from core.graph.suggest import completions, nearest_spellings, resolve
from core.graph.types import EdgeSet, WordGraph
from core.graph.view import map_view, neighbourhood, overview, path_view
from core.runs.records import Status

__all__ = ["READY", "FakeGraphs", "small_graph"]

READY = "20261124-210000-a001"
_TEXT = """the cat is on the mat
the dog is in the garden and the cat is in the tree
a cat sees the dog near the old garden wall
the film is a slow but lovely story about a dog
a lovely film about the old garden of a queen
the queen sees the cat and the story is over
the dog sleeps on the mat near the wall
a slow story is a good story for the queen
the tree in the garden is old and good
the cat sleeps in the tree over the wall"""


def small_graph(extra: list[str] | None = None, layers: int = 3) -> WordGraph:
    """Return a graph of ten sentences with dependency, similarity and co-occurrence edges.

    Parameters
    ----------
    extra
        Further sentences, one word after another; words there may be anything.
    layers
        Layers with similarity edges.
    """
    sentences = [line.split() for line in [*_TEXT.splitlines(), *(extra or [])]]
    counts: dict[str, int] = {}
    for sentence in sentences:
        for word in sentence:
            counts[word] = counts.get(word, 0) + 1
    words = sorted(counts, key=lambda word: (-counts[word], word))
    index = {word: node for node, word in enumerate(words)}
    nodes = [np.array([index[word] for word in sentence]) for sentence in sentences]
    near: dict[tuple[int, int], tuple[int, list[int]]] = {}
    heads: dict[tuple[int, int], tuple[int, list[int]]] = {}
    for number, sentence in enumerate(nodes):
        for at, one in enumerate(sentence):
            for other in sentence[at + 1 : at + 4]:
                for pair in ((int(one), int(other)), (int(other), int(one))):
                    if pair[0] != pair[1]:
                        count, examples = near.get(pair, (0, []))
                        near[pair] = (count + 1, [*examples, number])
            if at + 1 < len(sentence) and one != sentence[at + 1]:
                pair = (int(sentence[at + 1]), int(one))
                count, examples = heads.get(pair, (0, []))
                heads[pair] = (count + 1, [*examples, number])
    edges = [_edges("dep", heads, relations=True), _edges("cooc", near)]
    generator = np.random.default_rng(0)
    vectors = {layer: generator.normal(size=(len(words), 8)).astype(np.float16) for layer in range(layers)}
    for layer, raw in vectors.items():
        unit = raw.astype(np.float32) / np.linalg.norm(raw.astype(np.float32), axis=1, keepdims=True)
        alike = unit @ unit.T
        np.fill_diagonal(alike, -1)
        best = np.argsort(-alike, axis=1)[:, :4]
        pairs = {(one, int(other)) for one in range(len(words)) for other in best[one]}
        mutual = sorted(pair for pair in pairs if (pair[1], pair[0]) in pairs)
        if mutual:
            sources, targets = np.array(mutual).T
            edges.append(EdgeSet.of("sim", sources, targets, np.clip(alike[sources, targets], 0, 1), layer=layer))
    return WordGraph(
        words=words, counts=np.array([counts[word] for word in words]),
        tags=["NOUN" if word in ("cat", "dog", "film", "story", "queen", "garden") else "X" for word in words],
        lemmas=list(words), sentences=[" ".join(sentence) for sentence in sentences], sentence_nodes=nodes,
        edges=edges, layers=list(range(layers)), widths=[8] * layers, vectors=vectors,
        about={
            "config": GraphConfig(name="ten sentences").model_dump(mode="json"), "language": "en", "trees": "silver",
            "notices": ["Silver trees: a parser made them, nobody checked."],
        },
    )  # fmt: skip


def _edges(kind: str, found: dict[tuple[int, int], tuple[int, list[int]]], relations: bool = False) -> EdgeSet:
    pairs = sorted(found)
    sources, targets = np.array(pairs).T
    examples = np.full((len(pairs), 3), -1)
    for place, pair in enumerate(pairs):
        kept = list(dict.fromkeys(found[pair][1]))[:3]
        examples[place, : len(kept)] = kept
    counts = np.array([found[pair][0] for pair in pairs])
    rest: dict[str, Any] = {}
    if relations:
        rest = {
            "relations": ["det", "nsubj"],
            "relation_counts": [(place, place % 2, int(count)) for place, count in enumerate(counts)],
        }
    return EdgeSet.of(kind, sources, targets, np.log1p(counts), counts=counts, examples=examples, **rest)


class FakeGraphs:
    """What ``studio.graphs`` answers. ``asked`` records questions; ``entries`` are the graphs that it lists."""

    def __init__(self, graph: WordGraph | None = None, *, ready: bool = True) -> None:
        self.graph = graph or small_graph()
        self.entries: list[dict[str, Any]] = []
        self.built: list[tuple[GraphConfig, str | None]] = []
        self.asked: list[tuple[str, Any]] = []
        #: What a build becomes; the browser tests let it finish by itself after `seconds`.
        self.status_of_builds = Status.RUNNING
        self.seconds: float | None = None
        self.probe_runs: Any = []
        self.link_runs: Any = []
        #: Lists of similar words by path.
        self.lists: dict[str, list[tuple[str, str, float]]] = {}
        self.run_results: dict[str, dict[str, Any]] = {}
        if ready:
            self.add(READY, "ten sentences")

    def add(self, run_id: str, name: str, status: Status = Status.FINISHED, **values: Any) -> dict[str, Any]:
        entry = {
            "id": run_id, "name": name, "status": status, "progress": {}, "created": 1_790_000_000.0,
            "words": len(self.graph), "types": self.graph.types, "layers": self.graph.layers,
            "widths": self.graph.widths, "language": "en", "notices": [], "error": None, **values,
        }  # fmt: skip
        self.entries.insert(0, entry)
        return entry

    def list(self) -> list[dict[str, Any]]:
        return list(self.entries)

    def build(self, config: GraphConfig, *, request_id: str | None = None) -> str:
        known = [run_id for run_id, request in self._requests() if request and request == request_id]
        if known:
            return known[0]
        run_id = f"20261124-2101{len(self.built):02d}-b{len(self.built):03d}"
        self.built.append((config, request_id))
        progress = {"phase": "vectors", "step": 120, "total_steps": 600, "eta_s": 12.0}
        entry = self.add(run_id, config.name, self.status_of_builds, progress=progress)
        if self.seconds is not None:
            threading.Timer(self.seconds, entry.update, [{"status": Status.FINISHED}]).start()
        return run_id

    def _requests(self) -> list[tuple[str, str | None]]:
        return [(f"20261124-2101{place:02d}-b{place:03d}", request) for place, (_, request) in enumerate(self.built)]

    def open(self, source: str) -> WordGraph:
        if all(entry["id"] != source for entry in self.entries):
            raise DataError("There is no graph here.", where=source, advice="Choose one of the list.")
        return self.graph

    def paths(self, source: str, query: PathQuery) -> dict[str, Any]:
        self.asked.append(("paths", query))
        return find_paths(self.graph, query)

    def by_layer(self, source: str, query: PathQuery) -> list[dict[str, Any]]:
        return by_layer(self.graph, query)

    def view(
        self, source: str, kind: str, *, query: PathQuery | None = None, word: str | None = None,
        layer: int | None = None, weights: dict[str, float] | None = None, types: Any = None, size: str = "degree",
        limit: int = 500,
    ) -> dict[str, Any]:  # fmt: skip
        self.asked.append(("view", (kind, word, size)))
        mixed = mix(self.graph, self.graph.middle if layer is None else layer, weights)
        if kind == "path":
            assert query is not None
            return path_view(self.graph, mixed, find_paths(self.graph, query)["paths"], limit=limit)
        if kind == "neighbourhood":
            return neighbourhood(self.graph, mixed, str(word), min(limit, 12))
        return (map_view if kind == "map" else overview)(self.graph, mixed, limit)

    def suggest(self, source: str, word: str) -> list[str]:
        return nearest_spellings(self.graph, word)

    def complete(self, source: str, prefix: str, limit: int = 20) -> list[str]:
        return completions(self.graph, prefix, limit)

    def word(self, source: str, word: str, layer: int | None = None) -> dict[str, Any]:
        at = resolve(self.graph, word)
        return {
            "word": word, "count": int(self.graph.counts[at]), "tag": self.graph.tags[at], "lemma": word,
            "widths": self.graph.widths,
            "neighbours": [
                {"word": self.graph.words[int(one.targets[edge])], "type": one.type, "weight": float(one.weights[edge])}
                for one in self.graph.edge_sets(layer)
                for edge in np.flatnonzero(one.sources == at)
            ],
            "contexts": [text for text in self.graph.sentences if word in text.split()],
        }  # fmt: skip

    def sentence(self, source: str, index: int) -> dict[str, Any]:
        tokens = self.graph.sentences[index].split()
        heads = [*range(1, len(tokens)), -1]
        return {
            "text": self.graph.sentences[index], "tokens": tokens, "heads": heads,
            "relations": ["det"] * (len(tokens) - 1) + ["root"],
            "trees": [
                {"name": "parser", "heads": heads, "relations": ["det"] * (len(tokens) - 1) + ["root"]},
                {"name": "probe, layer 1", "heads": [-1, *range(len(tokens) - 1)], "relations": None},
            ],
        }  # fmt: skip

    def layers3d(self, source: str, query: PathQuery) -> dict[str, Any]:
        drawn = self.view(source, "overview")["nodes"]
        best = self.paths(source, query)["paths"]
        nodes = [
            {"word": node["word"], "layer": layer, "x": node["x"], "y": node["y"], "width": 8, "role": ""}
            for layer in self.graph.layers
            for node in drawn
        ]
        layers = best[0].get("layers") or [query.layer or 0] * len(best[0]["words"]) if best else []
        steps = [[word, layer] for word, layer in zip(best[0]["words"], layers, strict=True)] if best else []
        return {"nodes": nodes, "edges": [], "path": steps}

    def quality(self, source: str) -> dict[str, Any]:
        measures = [{"name": "stability of dep edges", "value": 0.62, "on": "5 resamples", "items": 60}]
        return {"measures": measures, "notices": []}

    def plausibility(self, source: str, words: Any, layer: int | None = None) -> dict[str, Any]:
        self.asked.append(("plausibility", list(words)))
        return {"percentile": 0.9, "random_paths": 200, "sentences": 40, "hops": 2, "hops_seen": 1}

    def probes(self) -> Any:
        return self.probe_runs

    def links(self) -> Any:
        return self.link_runs

    def results(self, run_id: str) -> dict[str, Any] | None:
        return self.run_results.get(run_id)

    def probe(self, config: ProbeConfig, *, request_id: str | None = None) -> str:
        self.asked.append(("probe", config))
        return "20261124-220000-c001"

    def link(self, config: LinkConfig, *, request_id: str | None = None) -> str:
        self.asked.append(("link", config))
        return "20261124-220000-c002"

    def compare(
        self, source: str, other: str, layer: int | None = None, other_layer: int | None = None,
        query: PathQuery | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        found = compare_graphs(self.graph, self.graph, layer=layer, other_layer=other_layer, query=query)
        edges = {
            kind: {**part, "only_a": part["vanished"], "only_b": part["appeared"]}
            for kind, part in found["edges"].items()
        }
        return {**found, "edges": edges}

    def stats(self, source: str, layer: int | None = None) -> dict[str, Any]:
        return graph_stats(self.graph, layer)

    def usual_edges(self, config: CorpusConfig, *, text: str | None = None) -> tuple[Any, str | None]:
        self.asked.append(("usual_edges", (config, text)))
        return usual_edges(config, text=text)

    def similarity_lists(self) -> Any:
        return [{"name": Path(path).name, "path": path, "pairs": len(pairs)} for path, pairs in self.lists.items()]

    def add_similarity_list(self, name: str, content: bytes) -> str:
        self.lists[f"/uploads/{name}"] = parse_similarity(content, name)
        return f"/uploads/{name}"

    def similarity(self, source: str, path: str) -> dict[str, Any]:
        return word_similarity(self.graph, self.lists[path], name=Path(path).name)

    def export(self, source: str, format: str, view: Any = None) -> tuple[str, bytes]:
        return f"graph.{format}", b"content"
