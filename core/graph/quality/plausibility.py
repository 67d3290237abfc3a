"""Whether the words of a path attract each other in sentences that the graph has not seen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from core.config.graph import GraphConfig
from core.errors import DataError
from core.graph.edges.ppmi import ppmi
from core.graph.link.split import seen_pairs
from core.graph.types import EdgeSet, Sentence, WordGraph

__all__ = ["held_out_sentences", "path_plausibility"]

#: A node's degree counts as matched if it lies within this factor.
SIMILAR = 1.5


def held_out_sentences(
    graph: WordGraph,
    most: int = 2000,
    *,
    check: Callable[[], None] = lambda: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[np.ndarray]:
    """Draw sentences of the graph's source that the graph was not built from, as nodes of the graph.

    Returns
    -------
    list of numpy.ndarray
        Node of each token, -1 for words that the graph does not have. Empty if the graph took all sentences.

    Raises
    ------
    DataError
        If the graph does not say what it was built from, or its source cannot be read.
    """
    from core.graph.corpus import read_corpus

    if not graph.about.get("sampled"):
        return []
    try:
        config = GraphConfig.model_validate(graph.about.get("config")).corpus
    except ValueError as error:
        raise DataError(
            "The graph does not say what it was built from.", expected="a graph that Bertloom built"
        ) from error
    # Another seed draws other sentences; nothing is filtered here, what the graph does not know drops out below.
    changed = {"seed": config.seed + 1, "max_sentences": most, "min_count": 1}
    corpus = read_corpus(config.model_copy(update=changed), check=check, progress=progress)
    known, index = set(graph.sentences), graph.index()
    place = np.array([*(index.get(word, -1) for word in corpus.words), -1], dtype=np.int64)
    return [place[np.asarray(one.nodes)] for one in corpus.sentences if one.text not in known]


def path_plausibility(
    graph: WordGraph,
    words: Sequence[str],
    sentences: Sequence[np.ndarray],
    *,
    layer: int | None = None,
    window: int = 5,
    samples: int = 500,
    seed: int = 0,
) -> dict[str, Any]:
    """Compare how strongly a path's neighbours attract each other in held-out sentences with random paths.

    A random path walks as many edges of the graph, from a word as well connected as the path's first to one as well
    connected as its second, and so on; so it is not put down by rare words, nor raised by hubs.

    Parameters
    ----------
    graph
        The graph.
    words
        The path, at least two words of the graph.
    sentences
        Nodes of each held-out sentence's tokens, -1 where there is none; see :func:`held_out_sentences`.
    layer
        Layer whose edges random paths walk; None: the middle one.
    window
        Words at most so far apart count as neighbours (symmetric PPMI).
    samples
        Random paths.
    seed
        Seed of their drawing.

    Returns
    -------
    dict
        ``percentile`` (share of random paths of lower mean PPMI, of equal ones half; None without held-out sentences
        or random paths), ``ppmi`` (the path's mean over its hops), ``random_ppmi`` (mean of the random paths'),
        ``hops``, ``hops_seen`` (hops that occur in the sentences), ``random_paths``, ``sentences``.

    Raises
    ------
    DataError
        If a word is not in the graph or the path has no hop.
    """
    index = graph.index()
    unknown = [word for word in words if word not in index]
    if unknown or len(words) < 2:
        raise DataError(
            f"The graph has no word {unknown[0][:80]!r}." if unknown else "A path of one word has no hop.",
            where="path", expected="two words or more of the graph",
        )  # fmt: skip
    path = np.array([index[word] for word in words])
    nodes = len(graph)
    held = [Sentence(text="", tokens=[], nodes=np.asarray(one)) for one in sentences]
    keys, counts = seen_pairs(held, nodes, window=window)
    weights = ppmi(*np.divmod(keys, nodes), counts, nodes)
    starts, neighbours = _neighbours(graph.edge_sets(graph.middle if layer is None else layer), nodes)
    rng = np.random.default_rng([0x9A7B, seed])
    drawn = _random_paths(path, starts, neighbours, samples, rng)

    def mean_ppmi(paths: np.ndarray) -> np.ndarray:
        hops = paths[:, :-1] * nodes + paths[:, 1:]
        if not len(keys):
            return np.zeros(len(paths))
        at = np.minimum(np.searchsorted(keys, hops), len(keys) - 1)
        return np.where(keys[at] == hops, weights[at], 0.0).mean(axis=1)

    own = float(mean_ppmi(path[None])[0])
    others = mean_ppmi(drawn)
    percentile = float(((others < own) + (others == own) / 2).mean()) if len(drawn) and len(keys) else None
    return {
        "percentile": percentile, "ppmi": own, "random_ppmi": float(others.mean()) if len(drawn) else None,
        "hops": len(path) - 1, "hops_seen": int(np.isin(path[:-1] * nodes + path[1:], keys).sum()),
        "random_paths": len(drawn), "sentences": len(sentences),
    }  # fmt: skip


def _neighbours(sets: Iterable[EdgeSet], nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the targets of each node's edges of any type: where its part begins, and the targets."""
    keys = [one.sources.astype(np.int64) * nodes + one.targets for one in sets]
    sources, targets = np.divmod(np.unique(np.concatenate([np.empty(0, dtype=np.int64), *keys])), max(1, nodes))
    return np.concatenate([[0], np.cumsum(np.bincount(sources, minlength=nodes))]), targets


def _random_paths(
    path: np.ndarray, starts: np.ndarray, neighbours: np.ndarray, samples: int, rng: np.random.Generator
) -> np.ndarray:
    degrees = np.diff(starts)

    def like(candidates: np.ndarray, node: int) -> np.ndarray:
        low, high = degrees[node] / SIMILAR, degrees[node] * SIMILAR
        return candidates[(degrees[candidates] >= low) & (degrees[candidates] <= high)]

    found: list[list[int]] = []
    first = like(np.arange(len(degrees)), path[0])
    for _ in range(20 * samples if len(first) else 0):  # walks that end nowhere are drawn anew
        walk = [int(rng.choice(first))]
        for node in path[1:]:
            near = like(neighbours[starts[walk[-1]] : starts[walk[-1] + 1]], node)
            near = near[~np.isin(near, walk)]
            if not len(near):
                break
            walk.append(int(rng.choice(near)))
        if len(walk) == len(path):
            found.append(walk)
            if len(found) == samples:
                break
    return np.array(found, dtype=np.int64).reshape(-1, len(path))
