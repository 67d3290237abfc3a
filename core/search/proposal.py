"""What measured curves of a parent's layers propose at given thresholds: d* of every layer, depths, segments, widths.

Pure numpy: the dashboard moves thresholds with it, and :func:`core.search.statistics.statistics` ends with it, so both
say the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.config.shape import EncoderShape
from core.search.depth import best_partition, depth_of, novelty, representatives
from core.search.least import least_interval, least_width
from core.search.widths import Space, nearest_shape

__all__ = ["Fitted", "fitted", "parent_shape", "propose", "segments_of"]


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


@dataclass(frozen=True)
class Fitted:
    """A shape that statistics and a budget propose.

    Parameters
    ----------
    segments
        What each of its layers stands for, as :func:`segments_of` returns it.
    budget
        Parameters between embeddings and pooler that were asked for.
    scale
        c of the widths c · d*, before they were rounded to whole heads.
    shape
        Whole heads, and FFN units that close the rest of the budget.
    """

    segments: tuple[dict[str, int], ...]
    budget: int
    scale: float
    shape: EncoderShape


def parent_shape(found: Mapping[str, Any]) -> EncoderShape:
    """Return the measured parent's shape, every layer alike, as budgets are counted."""
    parent, width = found["parent"], int(found["layers"][-1]["width"])
    layer = {
        "width": width, "heads": parent["heads"], "intermediate": parent["intermediate"],
        "head_size": None if width % parent["heads"] == 0 else max(1, width // parent["heads"]),
    }  # fmt: skip
    return EncoderShape.model_validate(
        {
            "layers": [layer] * (len(found["layers"]) - 1), "embedding": width, "vocabulary": parent["vocabulary"],
            "positions": parent["positions"], "types": parent["types"],
        }
    )  # fmt: skip


def fitted(found: Mapping[str, Any], depth: int, budget: int, *, readout: bool = True) -> Fitted:
    """Return the shape of one depth whose widths are those that the statistics ask for, scaled to a budget.

    Parameters
    ----------
    found
        Statistics at the thresholds that count, from :func:`propose`.
    depth
        Number of layers, from 1 to the parent's.
    budget
        Parameters between embeddings and pooler.
    readout
        A map of full width on top; without it the last layer is as wide as the stream.

    Raises
    ------
    ConfigError
        If no shape of this depth meets the budget; the nearest budget is named where there is one.
    """
    parent = parent_shape(found)
    first = parent.layers[0]
    space = Space(
        layers=depth, stream=parent.embedding, head_size=first.size_of_head, budget=budget,
        ratio=first.intermediate / first.width, vocabulary=parent.vocabulary, positions=parent.positions,
        types=parent.types, readout=readout,
    )  # fmt: skip
    segments = segments_of(np.asarray(found["cka"], dtype=float), found["layers"], depth)
    scale, shape = nearest_shape(space, [one["least"] for one in segments])
    return Fitted(tuple(segments), budget, scale, shape)
