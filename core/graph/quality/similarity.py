"""Word similarity: whether word vectors order pairs of words as people do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.stats import rankdata, spearmanr

from core.graph.types import WordGraph

__all__ = ["word_similarity"]

RESAMPLES = 1000
_FEWEST = 5
#: Numbers that resampling holds at once.
_BLOCK = 2_000_000


def word_similarity(
    graph: WordGraph, pairs: Sequence[tuple[str, str, float]], *, name: str = "", seed: int = 0
) -> dict[str, Any]:
    """Correlate cosines of word vectors with people's scores of similarity, at every layer.

    Parameters
    ----------
    graph
        Its vectors count. A word is looked up as it is, else in lower case.
    pairs
        From :func:`read_similarity`.
    name
        What the list is called.
    seed
        Seed of the resampling.

    Returns
    -------
    dict
        ``list``, ``pairs``, ``covered`` (pairs whose words both have vectors), ``missing`` (words without, at most 20),
        ``sentences`` that the graph was built from, and ``layers``: ``spearman`` with ``low`` and ``high`` (95 %, pairs
        resampled), None where fewer than five pairs are covered.
    """
    index = graph.index()
    nodes = [[index.get(word, index.get(word.lower(), -1)) for word in pair[:2]] for pair in pairs]
    ends = np.array(nodes, dtype=np.int64).reshape(-1, 2)
    there = (ends >= 0).all(axis=1)
    rows = []
    layers = {layer: np.asarray(graph.vectors[layer], dtype=np.float32) for layer in sorted(graph.vectors)}
    for vectors in layers.values():
        seen = np.asarray(vectors.any(axis=1))
        there &= seen[ends].all(axis=1)
    scores = np.array([pair[2] for pair in pairs], dtype=float)[there]
    for layer, vectors in layers.items():
        one, other = vectors[ends[there, 0]], vectors[ends[there, 1]]
        size = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
        cosines = (one * other).sum(axis=1) / np.maximum(size, 1e-12)
        entry: dict[str, Any] = {"layer": layer, "spearman": None, "low": None, "high": None}
        if len(scores) >= _FEWEST and len(set(scores.tolist())) > 1:
            low, high = np.nanquantile(_resampled(cosines, scores, seed), [0.025, 0.975])
            entry |= {"spearman": _spearman(cosines, scores), "low": float(low), "high": float(high)}
        rows.append(entry)
    words = dict.fromkeys(word for pair in pairs for word in pair[:2])
    missing = [word for word in words if index.get(word, index.get(word.lower(), -1)) < 0]
    return {
        "list": name, "pairs": len(pairs), "covered": int(there.sum()), "missing": missing[:20],
        "missing_words": len(missing), "sentences": len(graph.sentences), "layers": rows,
    }  # fmt: skip


def _resampled(cosines: np.ndarray, scores: np.ndarray, seed: int) -> np.ndarray:
    """Return Spearman's correlation of each resample of the pairs, nan where one side is constant."""
    rng = np.random.default_rng([0x3535, seed])  # the same resamples in every layer
    found = []
    rows = max(1, _BLOCK // len(scores))
    for start in range(0, RESAMPLES, rows):
        draws = rng.integers(0, len(scores), (min(rows, RESAMPLES - start), len(scores)))
        one, other = (rankdata(values[draws], axis=1) for values in (cosines, scores))
        one, other = (ranks - ranks.mean(axis=1, keepdims=True) for ranks in (one, other))
        with np.errstate(invalid="ignore", divide="ignore"):
            size = np.sqrt((one**2).sum(axis=1) * (other**2).sum(axis=1))
            found.append(np.where(size > 0, (one * other).sum(axis=1) / size, np.nan))
    return np.concatenate(found)


def _spearman(one: np.ndarray, other: np.ndarray) -> float:
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return float("nan")
    return float(spearmanr(one, other).statistic)
