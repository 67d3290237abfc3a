"""Small word graphs made by hand, for tests of what is done with a graph."""

from __future__ import annotations

from typing import Any

import numpy as np

from core.graph.types import EdgeSet, WordGraph

WORDS = ["the", "film", "is", "good", "movie", "bad", "story", "dull"]
TAGS = ["DET", "NOUN", "AUX", "ADJ", "NOUN", "ADJ", "NOUN", "ADJ"]
SENTENCES = ["the film is good", "the movie is bad", "the story is dull"]
SENTENCE_NODES = [[0, 1, 2, 3], [0, 4, 2, 5], [0, 6, 2, 7]]


def small_graph(**changes: Any) -> WordGraph:
    """Eight words of three sentences: dep and cooc edges, sim edges in layers 0 and 1 of different width."""
    generator = np.random.default_rng(7)
    dep = EdgeSet.of(
        "dep", [1, 4, 6, 1, 4, 6], [0, 0, 0, 3, 5, 7], [0.5, 0.5, 0.25, 2.0, 2.0, 1.5],
        counts=[1, 1, 1, 1, 1, 1], examples=[[0, -1, -1], [1, -1, -1], [2, -1, -1]] * 2,
        relations=["det", "amod"], relation_counts=[[i, int(i > 2), 1] for i in range(6)],
    )  # fmt: skip
    pairs = [(a, b) for nodes in SENTENCE_NODES for a in nodes for b in nodes if a != b]
    sources, targets = zip(*sorted(set(pairs)), strict=True)
    cooc = EdgeSet.of("cooc", sources, targets, [0.1 + 0.01 * n for n in range(len(sources))])
    sims = [
        EdgeSet.of("sim", [1, 4, 3, 5, 4, 6], [4, 1, 5, 3, 6, 4], [c, c, c - 0.1, c - 0.1, 0.4, 0.4], layer=layer)
        for layer, c in ((0, 0.9), (1, 0.7))
    ]
    parts: dict[str, Any] = {
        "words": list(WORDS), "counts": np.array([3, 1, 3, 1, 1, 1, 1, 1]), "tags": list(TAGS), "lemmas": list(WORDS),
        "sentences": list(SENTENCES), "sentence_nodes": [np.array(nodes, dtype=np.int32) for nodes in SENTENCE_NODES],
        "edges": [dep, cooc, *sims], "layers": [0, 1], "widths": [4, 6],
        "vectors": {n: generator.normal(size=(8, w)).astype(np.float16) for n, w in ((0, 4), (1, 6))},
        "about": {"config": {"name": "small"}, "language": "en", "notices": ["made by hand"], "trees": "gold"},
    }  # fmt: skip
    return WordGraph(**{**parts, **changes})


def random_graph(words: int, edges: int, *, seed: int = 0, types: tuple[str, ...] = ("sim",)) -> WordGraph:
    """A graph of `words` words with about `edges` directed edges a type, those of few words being frequent."""
    generator = np.random.default_rng(seed)
    sets = []
    for name in types:
        sources = generator.integers(0, words, edges)
        targets = (generator.pareto(1.5, edges) * words / 20).astype(np.int64) % words
        keys = np.unique(sources * words + targets)
        keys = keys[keys // words != keys % words]
        weights = generator.uniform(0.05, 1, len(keys)).astype(np.float32)
        sets.append(EdgeSet.of(name, keys // words, keys % words, weights, layer=0 if name == "sim" else None))
    return WordGraph(
        words=[f"w{n}" for n in range(words)], counts=np.arange(words, 0, -1), tags=["NOUN"] * words,
        lemmas=[f"w{n}" for n in range(words)], sentences=[], sentence_nodes=[], edges=sets, layers=[0], widths=[8],
        vectors={0: np.zeros((words, 8), dtype=np.float16)}, about={},
    )  # fmt: skip
