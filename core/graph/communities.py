"""Communities of words by the Leiden algorithm, each named by its most central content words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.graph.centrality import pagerank
from core.graph.pairs import Pairs, seeded
from core.graph.types import WordGraph

__all__ = ["NO_COMMUNITY", "Communities", "Community", "find_communities", "is_content"]

#: Community of a word without edges.
NO_COMMUNITY = -1
_CONTENT = frozenset({"NOUN", "PROPN", "VERB", "ADJ", "ADV", "INTJ"})
_ITERATIONS = 10
_LABEL = 24


@dataclass(frozen=True)
class Community:
    """Words that are more tied to each other than to the rest.

    Parameters
    ----------
    id
        Number from 0, the largest first.
    name
        Its most central content words (PageRank along the edges inside it), for example ``film, movie, story``.
    size
        Words in it.
    words
        Nodes that it is named by.
    """

    id: int
    name: str
    size: int
    words: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Communities:
    """The communities of a graph.

    Parameters
    ----------
    membership
        Community of each node, :data:`NO_COMMUNITY` for words without edges; int64 of shape (nodes,).
    communities
        The communities, the largest first; an id is an index.
    modularity
        Modularity of the partition (Newman 2004); None for a graph without edges.
    """

    membership: np.ndarray
    communities: list[Community]
    modularity: float | None


def find_communities(
    graph: WordGraph, pairs: Pairs, *, seed: int = 0, resolution: float = 1.0, words: int = 3
) -> Communities:
    """Divide words into communities: Leiden, modularity (Traag, Waltman & van Eck 2019), strengths of both directions.

    Parameters
    ----------
    graph
        The word graph, for names.
    pairs
        Its edges.
    seed
        Seed of the algorithm.
    resolution
        Above 1: more and smaller communities.
    words
        Words that a community is named by.
    """
    low, high, strengths = pairs.undirected()
    membership = np.full(pairs.nodes, NO_COMMUNITY, dtype=np.int64)
    if not len(low):
        return Communities(membership, [], None)
    import igraph

    whole = igraph.Graph(n=pairs.nodes, edges=np.column_stack([low, high]), directed=False)
    weights = strengths.tolist()
    with seeded(seed):
        found = whole.community_leiden(
            objective_function="modularity", weights=weights, resolution=resolution, n_iterations=_ITERATIONS
        )
    tied = np.zeros(pairs.nodes, dtype=bool)
    tied[low] = tied[high] = True
    raw = np.asarray(found.membership, dtype=np.int64)
    numbers, sizes = np.unique(raw[tied], return_counts=True)
    # by size, then by the first word, so that ids mean the same each time
    first = np.array([int(np.flatnonzero(tied & (raw == number))[0]) for number in numbers])
    order = np.lexsort((first, -sizes))
    new = np.full(int(raw.max()) + 1, NO_COMMUNITY, dtype=np.int64)
    new[numbers[order]] = np.arange(len(order))
    membership[tied] = new[raw[tied]]
    inside = membership[pairs.sources] == membership[pairs.targets]
    central = pagerank(Pairs(pairs.nodes, pairs.sources[inside], pairs.targets[inside], pairs.strengths[inside]))
    named = _named(graph, membership, central, words)
    listed = [
        Community(number, ", ".join(_short(graph.words[node]) for node in named[number]), int(size), named[number])
        for number, size in enumerate(sizes[order])
    ]
    return Communities(membership, listed, float(whole.modularity(raw.tolist(), weights=weights)))


def is_content(graph: WordGraph) -> np.ndarray:
    """Return whether each word carries meaning of its own: by its part of speech, else no stop-word; bool, (words,)."""
    letters = np.array([any(char.isalpha() for char in word) for word in graph.words], dtype=bool)
    content = letters.copy()
    for node, tag in enumerate(graph.tags):
        if tag:
            content[node] &= tag in _CONTENT
    stops = graph.about.get("stop_nodes")
    for node in stops if isinstance(stops, list) else []:
        if type(node) is int and 0 <= node < len(content):
            content[node] = False
    return content


def _named(graph: WordGraph, membership: np.ndarray, central: np.ndarray, words: int) -> dict[int, tuple[int, ...]]:
    """Return the nodes that name each community: content words first, where a community has any."""
    content = is_content(graph)
    order = np.lexsort((np.arange(len(central)), -np.asarray(graph.counts, dtype=np.float64), -central))
    chosen: dict[int, list[int]] = {}
    spare: dict[int, list[int]] = {}
    for node in order.tolist():
        number = int(membership[node])
        if number != NO_COMMUNITY:
            names = (chosen if content[node] else spare).setdefault(number, [])
            if len(names) < words:
                names.append(node)
    return {number: tuple(chosen.get(number) or spare[number]) for number in chosen.keys() | spare.keys()}


def _short(word: str) -> str:
    flat = " ".join(word.split())
    return flat if len(flat) <= _LABEL else flat[: _LABEL - 1] + "…"
