"""Co-occurrence: words that stand near each other in a sentence, weighted by PPMI."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from core.config.graph import CoocEdges
from core.graph.edges.pairs import blocks, count_keys, examples
from core.graph.edges.ppmi import ppmi
from core.graph.types import Corpus, EdgeSet, Sentence

__all__ = ["cooc_edges"]


def cooc_edges(corpus: Corpus, settings: CoocEdges) -> EdgeSet:
    """Return edges between words that occur within a window, both directions of each pair.

    Counts are symmetric: two words at most `window` places apart count once for either direction. Tokens that were
    filtered out keep their places, so that a window has the same reach with and without stop-words. Smoothing makes
    the weights asymmetric: that of u → v takes p(u) and the smoothed p(v); see :func:`~core.graph.edges.ppmi.ppmi`.
    A word beside itself, and pairs below ``min_count``, count for the marginals and are no edges. Edges of weight 0
    are left out.

    Parameters
    ----------
    corpus
        Sentences with nodes.
    settings
        Window, smoothing and minimum count.

    Returns
    -------
    EdgeSet
        Of type ``cooc``, with counts and up to three examples an edge (the shortest sentences).
    """
    nodes = len(corpus.words)
    everything = range(len(corpus.sentences))
    counted = count_keys(keys for keys, _ in _pairs(corpus.sentences, everything, settings.window, nodes))
    first, second = np.divmod(counted.keys, max(nodes, 1))
    # Each unordered pair was counted once and is two directed ones; a word beside itself counts for both of its sides.
    of_first, of_second = (np.bincount(ends, weights=counted.counts, minlength=nodes) for ends in (first, second))
    occurrences = of_first + of_second
    often = (first != second) & (counted.counts >= settings.min_count)
    first, second, counts, keys = first[often], second[often], counted.counts[often], counted.keys[often]
    sources, targets = np.concatenate([first, second]), np.concatenate([second, first])
    counts, keys = np.tile(counts, 2), np.tile(keys, 2)
    weights = ppmi(sources, targets, counts, nodes, settings.smoothing, (occurrences, occurrences))
    kept = weights > 0
    wanted, place = np.unique(keys[kept], return_inverse=True)
    by_length = sorted(everything, key=lambda index: len(corpus.sentences[index].nodes))
    found = examples(wanted, _pairs(corpus.sentences, by_length, settings.window, nodes))
    return EdgeSet.of("cooc", sources[kept], targets[kept], weights[kept], counts=counts[kept], examples=found[place])


def _pairs(
    sentences: list[Sentence], order: Iterable[int], window: int, nodes: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield keys (smaller · nodes + larger) of the pairs with their sentences, block by block."""
    for block in blocks(sentences, order):
        lengths = np.array([len(sentences[index].nodes) for index in block])
        tokens = np.concatenate([sentences[index].nodes for index in block]).astype(np.int64)
        owner = np.repeat(np.arange(len(block), dtype=np.int32), lengths)
        keys, owners = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int32)]
        for distance in range(1, min(window, int(lengths.max()) - 1) + 1):
            left, right = tokens[:-distance], tokens[distance:]
            near = (owner[:-distance] == owner[distance:]) & (left >= 0) & (right >= 0)
            left, right = left[near], right[near]
            keys.append(np.minimum(left, right) * nodes + np.maximum(left, right))
            owners.append(owner[distance:][near])
        whose = np.concatenate(owners)
        # Distances were looked at one by one: back into the order of the sentences.
        back = np.argsort(whose, kind="stable")
        yield np.concatenate(keys)[back], np.array(block, dtype=np.int32)[whose[back]]
