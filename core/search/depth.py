"""How many layers: contiguous segments of a parent's layers that are much alike, and the layer that stands for each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Depth", "Segment", "best_partition", "depth_of", "novelty", "representatives", "segment_cost"]


@dataclass(frozen=True)
class Segment:
    """Neighbouring layers of the parent that one layer of a student stands for.

    Parameters
    ----------
    first, last
        The parent's layers from 1, both included.
    representative
        The one whose weights are inherited.
    """

    first: int
    last: int
    representative: int


@dataclass(frozen=True)
class Depth:
    """The depth that the statistics propose.

    Parameters
    ----------
    fewest
        K₀, the fewest segments whose best partition costs at most `share` of one segment of all layers.
    lowest, highest
        Depths that are searched: max(1, K₀ − 1) and min(L, K₀ + 2).
    costs
        Cost of the best partition into 1 … L segments.
    """

    fewest: int
    lowest: int
    highest: int
    costs: tuple[float, ...]


def novelty(cka: np.ndarray) -> np.ndarray:
    """Return n_l = 1 − CKA(l − 1, l) of layers 1 … L from the matrix of layers 0 … L."""
    return 1.0 - np.diagonal(cka, offset=1)


def segment_cost(cka: np.ndarray, first: int, last: int) -> float:
    """Return the sum of 1 − CKA over all pairs of a segment's layers.

    Parameters
    ----------
    cka
        Of layers 1 … L, shape (L, L).
    first, last
        From 1, both included.
    """
    part = 1.0 - cka[first - 1 : last, first - 1 : last]
    return float(np.triu(part, k=1).sum())


def best_partition(cka: np.ndarray, segments: int) -> tuple[float, list[tuple[int, int]]]:
    """Divide layers 1 … L into contiguous segments of least total cost, by dynamic programming.

    Parameters
    ----------
    cka
        Of layers 1 … L, shape (L, L).
    segments
        How many, from 1 to L.

    Returns
    -------
    (float, list of (int, int))
        The cost, and first and last layer of each segment, from 1. Of equal costs the earlier cut is taken.
    """
    layers = len(cka)
    if not 1 <= segments <= layers:
        raise ValueError(f"{layers} layers cannot be divided into {segments} segments")
    cost = np.full((segments + 1, layers + 1), np.inf)
    cut = np.zeros((segments + 1, layers + 1), dtype=int)
    cost[0, 0] = 0.0
    for count in range(1, segments + 1):
        for end in range(count, layers + 1):
            for start in range(count - 1, end):
                here = cost[count - 1, start] + segment_cost(cka, start + 1, end)
                if here < cost[count, end]:
                    cost[count, end], cut[count, end] = here, start
    bounds, end = [], layers
    for count in range(segments, 0, -1):
        start = int(cut[count, end])
        bounds.append((start + 1, end))
        end = start
    return float(cost[segments, layers]), bounds[::-1]


def depth_of(cka: np.ndarray, share: float = 0.1) -> Depth:
    """Propose depths from the CKA of layers 1 … L, shape (L, L)."""
    layers = len(cka)
    costs = [best_partition(cka, count)[0] for count in range(1, layers + 1)]
    fewest = next(count for count, cost in enumerate(costs, 1) if cost <= share * costs[0] + 1e-12)
    return Depth(fewest, max(1, fewest - 1), min(layers, fewest + 2), tuple(costs))


def representatives(bounds: list[tuple[int, int]], margin: np.ndarray | None, new: np.ndarray) -> list[Segment]:
    """Choose the layer of each segment that maximises z(s) + z(n), z over all layers.

    Parameters
    ----------
    bounds
        First and last layer of each segment, from 1.
    margin
        s_l = UUAS of layer l less that of the chain, of layers 1 … L; None where there are no trees: n decides alone.
    new
        n_l of layers 1 … L.
    """
    scores = _z(new) + (0.0 if margin is None else _z(margin))
    return [Segment(first, last, first + int(np.argmax(scores[first - 1 : last]))) for first, last in bounds]


def _z(values: np.ndarray) -> np.ndarray:
    spread = float(values.std())
    return (values - values.mean()) / spread if spread > 1e-12 else np.zeros_like(values)
