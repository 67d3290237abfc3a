"""The network beside its baselines: a table by kind of link, and a sentence that says who won."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from core.graph.link.baselines import adamic_adar, adjacency, common_neighbours, cosine
from core.graph.link.metrics import difference, evaluate
from core.graph.link.train import Task

__all__ = ["CANDIDATES", "TITLES", "compare_methods", "scores_of_baselines", "verdict"]

#: Negatives a link that it is ranked among.
CANDIDATES = 100
#: Most links of a kind that are scored.
MOST_LINKS = 3000
TITLES = {
    "network": "the graph network", "cosine": "cosine", "common_neighbours": "common neighbours",
    "adamic_adar": "Adamic–Adar", "adamic_adar_own": "Adamic–Adar over edges of the same type", "degree": "degree",
}  # fmt: skip

Scored = tuple[np.ndarray, np.ndarray]


def scores_of_baselines(task: Task, kind: str, vectors: np.ndarray, pairs: np.ndarray) -> dict[str, np.ndarray]:
    """Score pairs by every baseline.

    Parameters
    ----------
    task
        Whose edges the baselines may see: the same as the network.
    kind
        Kind of link; one baseline sees only edges of this type.
    vectors
        Word vectors, shape (words, width).
    pairs
        Shape (pairs, 2).

    Returns
    -------
    dict
        Name → scores, shape (pairs,). Neighbours count over all relations together; ``degree`` is that of the target.
    """
    nodes = len(vectors)
    union = adjacency(task.edges.values(), nodes)
    own = adjacency([task.edges[kind]], nodes)
    degrees = np.bincount(task.edges[kind][:, 1], minlength=nodes).astype(float)
    return {
        "cosine": cosine(vectors, pairs),
        "common_neighbours": common_neighbours(union, pairs),
        "adamic_adar": adamic_adar(union, pairs),
        "adamic_adar_own": adamic_adar(own, pairs),
        "degree": degrees[pairs[:, 1]],
    }


def compare_methods(
    task: Task,
    kind: str,
    vectors: np.ndarray,
    network: Callable[[np.ndarray], np.ndarray],
    *,
    seed: int = 0,
) -> tuple[dict[str, Any], Scored]:
    """Score a task's links of one kind against their negatives, by the network and by every baseline.

    Parameters
    ----------
    task, kind, vectors
        As for :func:`scores_of_baselines`.
    network
        Gives the network's scores of pairs.
    seed
        Seed of the negatives and of the resampling.

    Returns
    -------
    (dict, (numpy.ndarray, numpy.ndarray))
        ``links`` scored, ``of`` how many, ``candidates`` a link on average, ``methods``, ``best_baseline`` (by AUC),
        ``difference`` (AUC, with its interval), ``beats`` and ``verdict``; and the network's scores of the links and of
        their negatives (NaN: there is none).
    """
    rng = np.random.default_rng([0x7AB1, seed])
    links = task.links[kind]
    total = len(links)
    if total > MOST_LINKS:
        links = links[np.sort(rng.choice(total, MOST_LINKS, replace=False))]
    targets = task.matched[kind].candidates(links, CANDIDATES, rng)
    there = targets >= 0
    rivals = np.stack([np.repeat(links[:, 0], CANDIDATES)[there.ravel()], targets[there]], axis=1)
    pairs = np.concatenate([links, rivals])
    found: dict[str, Scored] = {}
    for name, scores in {"network": network(pairs), **scores_of_baselines(task, kind, vectors, pairs)}.items():
        negative = np.full(there.shape, np.nan)
        negative[there] = scores[len(links) :]
        found[name] = scores[: len(links)], negative
    methods = {name: evaluate(*scored, seed=seed) for name, scored in found.items()}
    result: dict[str, Any] = {
        "links": len(links), "of": total, "candidates": float(there.sum(axis=1).mean()) if len(links) else 0.0,
        "methods": methods,
    }  # fmt: skip
    baselines = [name for name in methods if name != "network" and methods[name]["auc"] is not None]
    if baselines:
        best = max(baselines, key=lambda name: methods[name]["auc"])
        value, low, high = difference(found["network"], found[best], seed=seed)
        result |= {"best_baseline": best, "difference": [value, low, high], "beats": low > 0}
        result["verdict"] = verdict(kind, methods["network"]["auc"], best, methods[best]["auc"], (value, low, high))
    return result, found["network"]


def verdict(kind: str, auc: float, baseline: str, other: float, between: tuple[float, float, float]) -> str:
    """Say whether the network beats the best baseline: only if the interval of the difference lies above zero."""
    value, low, high = between
    beats = low > 0
    figures = f"AUC {auc:.3f} against {other:.3f}, difference {value:+.3f}, 95 % interval {low:+.3f} to {high:+.3f}"
    return f"The graph network {'beats' if beats else 'does not beat'} {TITLES[baseline]} on {kind} ({figures})."
