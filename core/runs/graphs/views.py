"""What is drawn of a graph: views with positions and sizes, and the planes of all layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from core.errors import ConfigError
from core.graph.memo import Memo
from core.runs.graphs.shelf import Shelf
from core.runs.helper import Helper
from core.runs.store import Store

if TYPE_CHECKING:
    from core.graph.mixing import Mixed
    from core.graph.query import PathQuery
    from core.graph.types import WordGraph

__all__ = ["Views"]

#: What is kept of the latest mixtures (communities, sizes); each entry keeps its mixture alive.
_KEPT = 8
#: Words and edges of views that are kept for who asks the same again; each takes about a kilobyte.
_KEPT_DRAWN = 40_000
_PLANE_WORDS = 120


class Views(Shelf):
    """Chooses words and edges, and places them."""

    def __init__(self, store: Store, helper: Helper, submitter: str | None = None) -> None:
        super().__init__(store, helper, submitter)
        self._sizes: dict[tuple[Any, ...], Any] = {}
        self._views = Memo(_KEPT_DRAWN, lambda view: len(view["nodes"]) + len(view["edges"]))

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
        """Return what is drawn; see :mod:`core.graph.view`. The latest views are kept: nobody may change them.

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
        graph = self.open(source)
        named = tuple(sorted(weights.items())) if weights else None
        shown = tuple(types) if types is not None else None
        asked = query.model_dump_json() if query is not None else None
        found = self._views.get(
            graph, (kind, asked, word, layer, named, shown, size, limit),
            lambda: self._view(graph, kind, query, word, layer, weights, types, size, limit),
        )  # fmt: skip
        return dict(found)

    def _view(
        self, graph: WordGraph, kind: str, query: PathQuery | None, word: str | None, layer: int | None,
        weights: Mapping[str, float] | None, types: Sequence[str] | None, size: str, limit: int,
    ) -> dict[str, Any]:  # fmt: skip
        from core.graph import view as views
        from core.graph.query import find_paths

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
