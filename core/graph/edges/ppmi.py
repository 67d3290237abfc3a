"""Positive pointwise mutual information of counted pairs."""

from __future__ import annotations

import numpy as np

__all__ = ["ppmi"]

_ROUNDING = 1e-9


def ppmi(
    sources: np.ndarray,
    targets: np.ndarray,
    counts: np.ndarray,
    nodes: int,
    smoothing: float = 1.0,
    marginals: tuple[np.ndarray, np.ndarray] | None = None,
) -> np.ndarray:
    """Return max(0, log(p(u, v) / (p(u) · p_s(v)))) of each pair, by the natural logarithm.

    p(u, v) is the pair's share of all pairs, p(u) the share of the pairs whose source is u, and p_s(v) ∝
    count(v)^smoothing over targets. An exponent below 1 raises the probability of rare contexts, so that pairs with
    rare words are favoured less (context distribution smoothing; Levy, Goldberg & Dagan 2015, "Improving
    Distributional Similarity with Lessons Learned from Word Embeddings", section 3.2). With it the measure is not
    symmetric, even where the counts are.

    Parameters
    ----------
    sources, targets
        Nodes u and v of each pair, integers of shape (pairs,); each pair once.
    counts
        How often each pair occurs, shape (pairs,).
    nodes
        Number of nodes.
    smoothing
        Exponent of the target counts, above 0 and at most 1.
    marginals
        How often each node is a source, and a target, each of shape (nodes,), where the pairs given are not all pairs.

    Returns
    -------
    np.ndarray
        float32 of shape (pairs,); 0 where the pair occurs no more often than by chance.
    """
    if not 0 < smoothing <= 1:
        raise ValueError(f"smoothing must be above 0 and at most 1, got {smoothing}")
    weight = np.asarray(counts, dtype=np.float64)
    if not len(weight):
        return np.zeros(0, dtype=np.float32)
    if marginals is None:
        marginals = (
            np.bincount(sources, weights=weight, minlength=nodes),
            np.bincount(targets, weights=weight, minlength=nodes),
        )
    of_source, of_target = marginals[0], marginals[1] ** smoothing
    # log(p(u,v) / (p(u) p_s(v))) = log(c(u,v) / c(u)) - log(c(v)^s / sum c^s): the number of pairs cancels out.
    information = np.log(weight / of_source[sources]) - np.log(of_target[targets] / of_target.sum())
    # Independent words have 0 by definition, and rounding must not make an edge of them.
    return np.where(information > _ROUNDING, information, 0.0).astype(np.float32)
