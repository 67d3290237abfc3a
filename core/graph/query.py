"""Questions about paths, as the page, the command line and tests ask them, and their answers as plain data."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Annotated, Any

from pydantic import ConfigDict, Field, model_validator

from core.config.base import Config
from core.errors import ConfigError
from core.graph.constrained import Found, constrained_paths
from core.graph.explain import explain_hop, explain_layered_hop, no_path
from core.graph.layered import Layered, layered
from core.graph.memo import Memo
from core.graph.mixing import Mixed, check_layer, check_weights, mix
from core.graph.shortest import shortest_path
from core.graph.suggest import normalised, resolve, shown
from core.graph.types import WordGraph
from core.graph.yen import k_shortest

__all__ = ["PathQuery", "by_layer", "find_paths", "layered_for", "mixed_for"]

#: Edges of mixtures that are kept between questions.
KEPT_EDGES = 6e6

_MIXED = Memo(KEPT_EDGES, lambda one: len(one.targets))
_LAYERED = Memo(KEPT_EDGES, lambda one: len(one.targets))

_Word = Annotated[str, Field(max_length=100_000)]
_Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class PathQuery(Config):
    """Which paths are asked for. In JSON the ends are called ``from`` and ``to``."""

    model_config = ConfigDict(populate_by_name=True)

    source: _Word = Field(alias="from", description="Word that the paths start from.")
    target: _Word = Field(alias="to", description="Word that they lead to.")
    layer: int | None = Field(None, ge=0, description="Layer of the encoder. Empty: the middle one.")
    weights: dict[str, _Weight] | None = Field(
        None, description="Weight of each edge type; types that are not named have 0. Empty: all alike."
    )
    min_weight: dict[str, _Weight] = Field(
        default_factory=dict, description="Edges below this weight are left out, by type."
    )
    k: int = Field(1, ge=1, le=50, description="How many paths, the shortest first.")
    min_between: int = Field(0, ge=0, le=10, description="Fewest words between the two ends.")
    avoid: list[_Word] = Field(default_factory=list, max_length=1000, description="Words that no path may pass.")
    through: list[_Word] = Field(
        default_factory=list, max_length=3, description="Words that every path must pass, in any order; at most three."
    )
    hub_penalty: float = Field(
        0.0, ge=0, le=100, allow_inf_nan=False,
        description="λ of the cost λ·log(1 + number of neighbours) of every word in between: keeps paths off hubs.",
    )  # fmt: skip
    directed: bool = Field(
        True, description="Walk edges in their direction only. Otherwise both ways, and no probability is given."
    )
    across_layers: bool = Field(False, description="Let paths change the layer at a word.")
    from_layer: int | None = Field(None, ge=0, description="Across layers: layer to start in. Empty: any.")
    to_layer: int | None = Field(None, ge=0, description="Across layers: layer to end in. Empty: any.")
    kappa: float | None = Field(
        None, ge=0, allow_inf_nan=False,
        description="Across layers: cost of changing the layer at cosine 0. Empty: the median cost inside layers.",
    )  # fmt: skip

    @model_validator(mode="after")
    def _consistent(self) -> PathQuery:
        if not self.across_layers and (self.from_layer is not None or self.to_layer is not None):
            raise ValueError("from_layer and to_layer need across_layers; inside one layer use layer")
        return self


def mixed_for(graph: WordGraph, query: PathQuery) -> Mixed:
    """Return the mixture that a question is about, kept between questions."""
    return _mixed(graph, query, check_layer(graph, query.layer))


def _mixed(graph: WordGraph, query: PathQuery, layer: int | None) -> Mixed:
    key = (layer, *_settings(graph, query))
    return _MIXED.get(
        graph, key, lambda: mix(graph, layer, query.weights, directed=query.directed,
                                hub_penalty=query.hub_penalty, min_weight=query.min_weight)
    )  # fmt: skip


def _settings(graph: WordGraph, query: PathQuery) -> tuple[Any, ...]:
    alphas = tuple(check_weights(graph, query.weights).items())
    return alphas, tuple(sorted(query.min_weight.items())), query.directed, query.hub_penalty


def layered_for(graph: WordGraph, query: PathQuery) -> Layered:
    """Return the layered graph that a question is about, kept between questions."""
    if not graph.vectors:  # layers are joined by vectors: let the error say so before anything is mixed
        return layered(graph, query.weights)
    return _LAYERED.get(
        graph, (query.kappa, *_settings(graph, query)),
        lambda: layered(graph, kappa=query.kappa, mixed=[_mixed(graph, query, layer) for layer in graph.layers])
    )  # fmt: skip


class _Conditions:
    """The words of a question, as nodes."""

    def __init__(self, graph: WordGraph, query: PathQuery):
        self.source, self.target = resolve(graph, query.source, "from"), resolve(graph, query.target, "to")
        if self.source == self.target:
            raise ConfigError(
                f"Both ends are the word “{shown(graph.words[self.source])}”.", where="to", expected="another word",
                advice="A path leads from one word to another.",
            )  # fmt: skip
        self.notices: list[str] = []
        self.avoid: set[int] = set()
        for word in query.avoid:
            node = normalised(graph, word)
            if node is None:
                self.notices.append(f"“{shown(word)}” is not in this graph: there is nothing to avoid.")
            else:
                self.avoid.add(node)
        self.through = list(dict.fromkeys(resolve(graph, word, "through") for word in query.through))
        ends = {self.source, self.target}
        for field, nodes in (("avoid", self.avoid), ("through", set(self.through))):
            if nodes & ends:
                raise ConfigError(
                    f"“{shown(graph.words[min(nodes & ends)])}” is one of the two ends.", where=field,
                    expected="words other than the ends",
                )  # fmt: skip
        if self.avoid & set(self.through):
            both = graph.words[min(self.avoid & set(self.through))]
            raise ConfigError(f"“{shown(both)}” is to be avoided and to be passed.", where="through")

    def any(self, query: PathQuery) -> bool:
        return bool(self.avoid or self.through or query.min_between)


def find_paths(graph: WordGraph, query: PathQuery, *, mixed: Mixed | None = None) -> dict[str, Any]:
    """Answer a question about paths.

    Parameters
    ----------
    graph
        The word graph.
    query
        The question.
    mixed
        The mixture to search, instead of the one that the question describes.

    Returns
    -------
    dict
        ``paths``: [{``words``, ``cost``, ``probability``, ``hops``}], the shortest first; a hop is described in
        :func:`core.graph.explain.explain_hop`. The cost holds the hub terms, the probability never does; it is None in
        the undirected view and across layers. Across layers a path has ``layers`` and ``widths`` (vector sizes) too,
        one a word. ``exact``: whether no better paths can exist. ``layer``, ``weights``, ``directed``, ``notices``.
        Without a path also ``reason``, ``components``, ``reachable`` and ``nearest``: see
        :func:`core.graph.explain.no_path`.

    Raises
    ------
    DataError
        If a word is not in the graph.
    ConfigError
        If the conditions contradict each other, or the weights or the layer are not usable.
    """
    conditions = _Conditions(graph, query)
    answer: dict[str, Any] = {"paths": [], "exact": True}
    if query.across_layers:
        return answer | _across(graph, query, conditions)
    one = mixed if mixed is not None else mixed_for(graph, query)
    found = _search(one, query, conditions)
    answer |= {"paths": [_path(graph, one, nodes, cost) for cost, nodes in found.paths], "exact": found.exact}
    answer |= {"layer": one.layer, "weights": dict(one.weights), "directed": one.directed}
    if not found.paths:
        answer |= _why(graph, one, query, conditions, found.exact)
    return answer | {"notices": conditions.notices + _notices(found, query)}


def _search(mixed: Mixed, query: PathQuery, conditions: _Conditions) -> Found:
    source, target, avoid = conditions.source, conditions.target, conditions.avoid
    if query.min_between > 1 or conditions.through:
        return constrained_paths(
            mixed, [source], [target], query.k, min_between=query.min_between,
            through=[[node] for node in conditions.through], blocked=avoid,
        )  # fmt: skip
    # One word in between is any path but the direct edge.
    direct = [(source, target)] if query.min_between else []
    return Found(k_shortest(mixed, source, target, query.k, blocked=avoid, blocked_edges=direct), True)


def _path(graph: WordGraph, mixed: Mixed, nodes: list[int], cost: float) -> dict[str, Any]:
    hops = [explain_hop(graph, mixed, source, target, last=target == nodes[-1]) for source, target in pairwise(nodes)]
    probability = None
    if mixed.probability is not None:
        edges = [mixed.edge(source, target) for source, target in pairwise(nodes)]
        probability = math.exp(-math.fsum(float(mixed.costs[edge]) for edge in edges))
    return {"words": [graph.words[node] for node in nodes], "cost": cost, "probability": probability, "hops": hops}


def _across(graph: WordGraph, query: PathQuery, conditions: _Conditions) -> dict[str, Any]:
    over = layered_for(graph, query)
    found = constrained_paths(
        over, over.nodes(conditions.source, query.from_layer), over.nodes(conditions.target, query.to_layer), query.k,
        min_between=query.min_between, through=[over.nodes(node) for node in conditions.through],
        blocked=[node for word in conditions.avoid for node in over.nodes(word)], words=over.words,
    )  # fmt: skip
    paths = []
    for cost, nodes in found.paths:
        places = [over.place(node) for node in nodes]
        hops = [
            explain_layered_hop(graph, over, source, target, last=target == nodes[-1])
            for source, target in pairwise(nodes)
        ]
        paths.append({
            "words": [graph.words[word] for word, _ in places], "layers": [layer for _, layer in places],
            "widths": [over.width(node) for node in nodes], "cost": cost, "probability": None, "hops": hops,
        })  # fmt: skip
    some = over.mixed[len(over.mixed) // 2]
    answer: dict[str, Any] = {
        "paths": paths, "exact": found.exact, "layer": None, "layers": list(over.layers), "kappa": over.kappa,
        "weights": dict(some.weights), "directed": query.directed,
    }  # fmt: skip
    if not paths:
        answer |= _why(graph, some, query, conditions, found.exact)
    return answer | {"notices": conditions.notices + _notices(found, query)}


def _why(graph: WordGraph, mixed: Mixed, query: PathQuery, conditions: _Conditions, exact: bool) -> dict[str, Any]:
    """Say why nothing was found: because of the graph, of the conditions, or of the search's limit."""
    answer = no_path(graph, mixed, conditions.source, conditions.target)
    if conditions.any(query) and shortest_path(mixed, conditions.source, conditions.target) is not None:
        wishes = []
        if query.min_between:
            wishes.append(
                f"has at least {query.min_between} {'word' if query.min_between == 1 else 'words'} in between"
            )
        if conditions.through:
            wishes.append("passes " + ", ".join(f"“{shown(graph.words[node])}”" for node in conditions.through))
        if conditions.avoid:
            some = sorted(conditions.avoid)[:5]
            wishes.append("avoids " + ", ".join(f"“{shown(graph.words[node])}”" for node in some))
        answer["reason"] = f"The two words are joined, but no path {' and '.join(wishes)}" + (
            "." if exact else ", as far as was searched."
        )
    return answer


def _notices(found: Found, query: PathQuery) -> list[str]:
    if not found.exact:
        return ["The search with these conditions reached its limit: shorter paths may exist."]
    if found.paths and len(found.paths) < query.k:
        only = len(found.paths)
        return [f"There {'is' if only == 1 else 'are'} only {only} such {'path' if only == 1 else 'paths'}."]
    return []


def by_layer(graph: WordGraph, query: PathQuery) -> list[dict[str, Any]]:
    """Ask the same question in every layer.

    Returns
    -------
    list of dict
        For each layer the answer of :func:`find_paths` with ``width`` (vector size), and ``changed``: whether the first
        path has other words than in the layer before; None for the first. A graph without layers gives one answer.
    """
    if query.across_layers:
        raise ConfigError(
            "A path across layers cannot be asked layer by layer.", where="across_layers", expected="false"
        )
    rows: list[dict[str, Any]] = []
    before: list[str] | None = None
    for layer, width in zip(graph.layers or [None], graph.widths or [None], strict=True):  # type: ignore[list-item]
        answer = find_paths(graph, query.model_copy(update={"layer": layer}))
        words = answer["paths"][0]["words"] if answer["paths"] else []
        rows.append(answer | {"width": width, "changed": None if before is None else words != before})
        before = words
    return rows
