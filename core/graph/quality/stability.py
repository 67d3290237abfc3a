"""Whether a graph's edges stay when its sentences are drawn anew."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np

from core.config.graph import EdgeConfig, EdgeType
from core.graph.types import Corpus

__all__ = ["stability"]


def stability(
    corpus: Corpus,
    settings: EdgeConfig,
    *,
    types: Sequence[EdgeType] = ("dep", "cooc"),
    rounds: int = 10,
    seed: int = 0,
    check: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Resample the sentences and see which edges stay: the mean Jaccard index of the edges of two resamples.

    A resample, drawn with replacement, holds about 63 % of the sentences; so even a stable corpus stays below 1.

    Parameters
    ----------
    corpus, settings
        What the edges are made of.
    types
        ``dep`` and ``cooc``; the others need the encoder, and are not resampled.
    rounds
        Resamples, at least 2.
    seed
        Seed of the drawing.
    check
        Called between resamples; may raise to stop.

    Returns
    -------
    dict
        ``types``: type → ``jaccard`` (mean over pairs of resamples, None without edges), ``low``, ``high`` (the lowest
        and the highest pair), ``to_whole`` (mean index with the whole corpus' edges), ``edges`` (of the whole corpus);
        ``rounds``, ``sentences``.
    """
    from core.graph.edges.cooc import cooc_edges
    from core.graph.edges.dep import dep_edges

    if rounds < 2:
        raise ValueError("stability compares two resamples at least")
    rng = np.random.default_rng([0x57AB, seed])
    count, nodes = len(corpus.sentences), len(corpus.words)

    def keys(part: Corpus, kind: str) -> np.ndarray:
        edges = dep_edges(part, settings.dep) if kind == "dep" else cooc_edges(part, settings.cooc)
        return edges.sources.astype(np.int64) * nodes + edges.targets

    usable = [kind for kind in types if kind == "cooc" or (kind == "dep" and corpus.trees != "none")]
    whole = {kind: keys(corpus, kind) for kind in usable}
    drawn: dict[str, list[np.ndarray]] = {kind: [] for kind in usable}
    for _ in range(rounds):
        check()
        part = replace(corpus, sentences=[corpus.sentences[at] for at in rng.integers(0, count, count)])
        for kind in usable:
            drawn[kind].append(keys(part, kind))
    found: dict[str, Any] = {}
    for kind in usable:
        pairs = [_jaccard(one, other) for one, other in combinations(drawn[kind], 2)]
        values = [value for value in pairs if value is not None]
        to_whole = [value for one in drawn[kind] if (value := _jaccard(one, whole[kind])) is not None]
        found[kind] = {
            "jaccard": float(np.mean(values)) if values else None, "low": min(values, default=None),
            "high": max(values, default=None), "to_whole": float(np.mean(to_whole)) if to_whole else None,
            "edges": len(whole[kind]),
        }  # fmt: skip
    return {"types": found, "rounds": rounds, "sentences": count}


def _jaccard(one: np.ndarray, other: np.ndarray) -> float | None:
    shared = len(np.intersect1d(one, other, assume_unique=True))
    union = len(one) + len(other) - shared
    return shared / union if union else None
