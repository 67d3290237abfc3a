"""What measured curves of a parent's layers propose at given thresholds: d* of every layer, depths and segments.

Pure numpy: the dashboard moves thresholds with it, and :func:`core.search.statistics.statistics` ends with it, so both
say the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from core.search.depth import best_partition, depth_of, novelty, representatives
from core.search.least import least_interval, least_width

__all__ = ["propose", "segments_of"]


def propose(found: Mapping[str, Any], *, rho: float, overlap: float, share: float) -> dict[str, Any]:
    """Apply thresholds to statistics; nothing is measured again.

    Parameters
    ----------
    found
        What :func:`core.search.statistics.statistics` returns; it stays as it is.
    rho
        Least correlation of path lengths for a width to suffice.
    overlap
        Least share of common neighbours for a width to suffice.
    share
        Cost of the proposed segments by that of one segment of all layers, at most.

    Returns
    -------
    dict
        The statistics with ``least``, ``least_low`` and ``least_high`` of every layer, ``depth`` and ``thresholds``
        for these thresholds. Without bootstrap draws both bounds are ``least`` itself.
    """
    layers, draws = [], found.get("draws") or []
    for at, entry in enumerate(found["layers"]):
        grid = entry["widths"]
        least = least_width(grid, np.asarray(entry["rho"]), np.asarray(entry["overlap"]), rho, overlap)
        low = high = least
        if at < len(draws) and draws[at]["rho"]:
            low, high = least_interval(grid, draws[at]["rho"], draws[at]["overlap"], rho, overlap)
        layers.append({**entry, "least": least, "least_low": low, "least_high": high})
    likeness = np.asarray(found["cka"], dtype=float)
    return {
        **found, "layers": layers, "depth": _depth(likeness, layers, share),
        "thresholds": {"rho": rho, "overlap": overlap, "share": share},
    }  # fmt: skip


def segments_of(likeness: np.ndarray, layers: Sequence[Mapping[str, Any]], depth: int) -> list[dict[str, int]]:
    """Return the best segments of one depth.

    Parameters
    ----------
    likeness
        CKA of layers 0 … L, shape (L + 1, L + 1).
    layers
        One entry for layers 0 … L with ``least`` and, where there are trees, ``margin``.
    depth
        How many segments, from 1 to L.

    Returns
    -------
    list of dict
        ``first`` and ``last`` layer from 1, ``representative``, and ``least``: the largest d* within.
    """
    margins = [entry.get("margin") for entry in layers[1:]]
    margin = None if any(one is None for one in margins) else np.asarray(margins, dtype=float)
    chosen = representatives(best_partition(likeness[1:, 1:], depth)[1], margin, novelty(likeness))
    return [
        {
            "first": one.first, "last": one.last, "representative": one.representative,
            "least": max(layers[layer]["least"] for layer in range(one.first, one.last + 1)),
        }
        for one in chosen
    ]  # fmt: skip


def _depth(likeness: np.ndarray, layers: Sequence[Mapping[str, Any]], share: float) -> dict[str, Any]:
    found = depth_of(likeness[1:, 1:], share)
    return {
        "fewest": found.fewest, "lowest": found.lowest, "highest": found.highest,
        "costs": [round(cost, 6) for cost in found.costs],
        "segments": {
            str(depth): segments_of(likeness, layers, depth) for depth in range(found.lowest, found.highest + 1)
        },
    }  # fmt: skip
