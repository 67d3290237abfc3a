"""How well scores tell links from pairs that are none: AUC, MRR and Hits@10, with intervals over the links."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["HITS", "auc", "difference", "evaluate", "ranks"]

#: A link counts as hit if it is among so many first.
HITS = 10
RESAMPLES = 500


class _Pooled:
    """Scores of links and of their negatives, sorted once, so that resampled links cost no new sorting."""

    def __init__(self, positive: np.ndarray, negative: np.ndarray):
        there = ~np.isnan(negative)
        values = np.concatenate([positive, negative[there]])
        self.links = len(positive)
        self.of = np.concatenate([np.arange(self.links), np.nonzero(there)[0]])
        levels, self.level = np.unique(values, return_inverse=True)
        self.levels = len(levels)

    def auc(self, weights: np.ndarray) -> float:
        """Return the AUC where link i, with its negatives, counts weights[i] times."""
        mass = weights[self.of]
        good = np.bincount(self.level[: self.links], mass[: self.links], self.levels)
        bad = np.bincount(self.level[self.links :], mass[self.links :], self.levels)
        total = good.sum() * bad.sum()
        return float((good * (np.cumsum(bad) - bad / 2)).sum() / total) if total else float("nan")


def auc(positive: np.ndarray, negative: np.ndarray) -> float:
    """Return the share of (link, negative) pairs in which the link scores higher; equal scores count half.

    Parameters
    ----------
    positive, negative
        Scores, of any shape; NaN among the negatives: there is none. NaN is returned where either is empty.
    """
    positive, negative = np.ravel(positive), np.ravel(negative)
    if not len(positive):
        return float("nan")
    padded = np.full((len(positive), -(-len(negative) // len(positive))), np.nan)
    padded.ravel()[: len(negative)] = negative  # whose negative one is does not matter here
    return _Pooled(positive, padded).auc(np.ones(len(positive)))


def ranks(positive: np.ndarray, negative: np.ndarray) -> np.ndarray:
    """Return each link's rank among its own negatives, from 1; of equal scores it has the mean rank.

    Parameters
    ----------
    positive
        Scores of the links, shape (links,).
    negative
        Scores of the negatives of each, shape (links, candidates); NaN: there is none.
    """
    above = (negative > positive[:, None]).sum(axis=1)
    equal = (negative == positive[:, None]).sum(axis=1)
    return 1 + above + equal / 2


def evaluate(positive: np.ndarray, negative: np.ndarray, *, seed: int = 0) -> dict[str, Any]:
    """Score links against their negatives.

    Parameters
    ----------
    positive, negative
        As for :func:`ranks`.
    seed
        Seed of the resampling of links.

    Returns
    -------
    dict
        ``auc``, ``mrr`` and ``hits`` (Hits@10), each with ``_low`` and ``_high`` (95 %, links resampled with their
        negatives); None where there are no links.
    """
    found: dict[str, Any] = {}
    if not len(positive) or not bool((~np.isnan(negative)).any()):
        return dict.fromkeys(f"{name}{end}" for name in ("auc", "mrr", "hits") for end in ("", "_low", "_high"))
    pooled, place = _Pooled(positive, negative), ranks(positive, negative)
    each = {"mrr": 1 / place, "hits": (place <= HITS).astype(float)}
    draws = _draws(len(positive), seed)
    for name in ("auc", "mrr", "hits"):
        if name == "auc":
            value = pooled.auc(np.ones(len(positive)))
            drawn = np.array([pooled.auc(weights) for weights in draws])
        else:
            value = float(each[name].mean())
            drawn = draws @ each[name] / len(positive)
        low, high = np.nanquantile(drawn, [0.025, 0.975])
        found |= {name: value, f"{name}_low": float(low), f"{name}_high": float(high)}
    return found


def difference(
    one: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray], *, seed: int = 0
) -> tuple[float, float, float]:
    """Compare two methods on the same links and negatives.

    Parameters
    ----------
    one, other
        Scores of the links and of their negatives, as for :func:`ranks`.
    seed
        Seed of the resampling; both methods see the same resamples.

    Returns
    -------
    (float, float, float)
        AUC of the first less that of the second, and the bounds of its 95 % interval.
    """
    first, second = _Pooled(*one), _Pooled(*other)
    whole = np.ones(first.links)
    drawn = [first.auc(weights) - second.auc(weights) for weights in _draws(first.links, seed)]
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return first.auc(whole) - second.auc(whole), float(low), float(high)


def _draws(links: int, seed: int) -> np.ndarray:
    """Return how often each link occurs in each resample, shape (resamples, links)."""
    rng = np.random.default_rng([0x117C, seed])
    return rng.multinomial(links, np.full(links, 1 / links), size=RESAMPLES).astype(np.float64)
