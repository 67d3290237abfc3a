"""The desk itself: questions about words and paths, comparison and export, beside what its parts give."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core.errors import ConfigError
from core.runs.graphs.measures import Measures
from core.runs.graphs.sentences import Sentences
from core.runs.graphs.views import Views

if TYPE_CHECKING:
    from core.graph.query import PathQuery

__all__ = ["GraphDesk"]

_MOST_NEIGHBOURS = 60
_MOST_CONTEXTS = 12

_Dicts = list[dict[str, Any]]
_Words = list[str]


class GraphDesk(Views, Sentences, Measures):
    """Build word graphs and ask them; see the parts for parameters."""

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
