"""How wide: a prior from the statistics, shapes sampled from it and evenly, all within a budget of parameters.

Parameters count between embeddings and pooler. A shape's last layer is full-width, or the shape has a readout: a narrow
last layer can correct only its own directions, and nothing follows it. With mode stepped there is no readout.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from core.config.shape import EncoderShape
from core.errors import ConfigError
from core.models.shaped import count

__all__ = [
    "TOLERANCE", "Space", "even_shape", "nearest_shape", "sample_even", "sample_prior", "scale_to_budget", "shape_for",
]  # fmt: skip

#: How far from the budget a shape may be before FFN units close the rest.
TOLERANCE = 0.03
_TRIES = 200_000
_RATIOS = (0.5, 8.0)
#: How much of the scale that meets the budget is tried, nearest first.
_NUDGES = tuple(float(one) for one in sorted(np.linspace(0.7, 1.3, 61), key=lambda one: abs(one - 1.0)))


@dataclass(frozen=True)
class Space:
    """Shapes of one depth.

    Parameters
    ----------
    layers
        Number of layers.
    stream
        Width of the parent's stream.
    head_size
        Width of a head; widths are its multiples.
    budget
        Parameters between embeddings and pooler.
    ratio
        FFN units by width.
    vocabulary, positions, types
        As the parent's.
    readout
        A full-width readout on top of the last layer; mode bus only.
    mode
        ``bus`` or ``stepped``, see :class:`core.config.shape.EncoderShape`.
    """

    layers: int
    stream: int
    head_size: int
    budget: int
    ratio: float = 4.0
    vocabulary: int = 30522
    positions: int = 512
    types: int = 2
    readout: bool = True
    mode: Literal["bus", "stepped"] = "bus"

    @property
    def grid(self) -> list[int]:
        """The widths that a layer may have."""
        return list(range(self.head_size, self.stream + 1, self.head_size))

    def body(self, widths: Sequence[int]) -> int:
        """Return the parameters of a shape with the usual ratio, before FFN units close the rest."""
        return count(_shape(self, widths, [max(1, round(self.ratio * width)) for width in widths])).body


def _shape(space: Space, widths: Sequence[int], units: Sequence[int]) -> EncoderShape:
    layers: list[dict[str, Any]] = [
        {"width": int(width), "heads": int(width) // space.head_size, "intermediate": int(one)}
        for width, one in zip(widths, units, strict=True)
    ]
    return EncoderShape.model_validate(
        {
            "mode": space.mode, "layers": layers, "embedding": space.stream, "readout": space.readout,
            "vocabulary": space.vocabulary, "positions": space.positions, "types": space.types,
        }
    )  # fmt: skip


def shape_for(space: Space, widths: Sequence[int]) -> EncoderShape | None:
    """Return the shape with these widths whose FFN units meet the budget; None if that needs an absurd ratio.

    What is left of the budget is divided by width.
    """
    units = [max(1, round(space.ratio * width)) for width in widths]
    rest = space.budget - count(_shape(space, widths, units)).body
    slope = sum(width * (2 * width + 1) for width in widths)  # parameters by which a ratio of one more costs
    ratio = space.ratio + rest / slope
    if not _RATIOS[0] <= ratio <= _RATIOS[1]:
        return None
    units = [max(1, round(ratio * width)) for width in widths]
    shape = _shape(space, widths, units)
    return shape if abs(count(shape).body - space.budget) <= TOLERANCE * space.budget else None


def _bodies(space: Space, widths: np.ndarray) -> np.ndarray:
    """Return the parameters of many shapes, int64 of shape (shapes,), as :mod:`core.models.shaped.count` counts."""
    table = np.zeros(space.stream + 1, dtype=np.int64)
    for width in space.grid:
        table[width] = space.body([width]) - _top(space)
    if space.mode == "bus":
        return table[widths].sum(axis=1) + _top(space)
    first = np.where(widths < space.stream, (space.stream + 1) * widths, 0)  # the map that each would have as the first
    before = np.concatenate([np.full((len(widths), 1), space.stream), widths[:, :-1]], axis=1)
    steps = np.where(before != widths, (before + 1) * widths, 0)
    bodies: np.ndarray = (table[widths] - first + steps).sum(axis=1)
    return bodies


def _top(space: Space) -> int:
    return space.stream * (space.stream + 1) + 2 * space.stream if space.readout else 0


def scale_to_budget(space: Space, needed: Sequence[int]) -> float:
    """Solve c so that layers of width c · d* meet the budget.

    Parameters
    ----------
    space
        Depth and budget.
    needed
        For each layer the largest d* of its segment.

    Raises
    ------
    ConfigError
        If no width of the grid meets the budget; the nearest that does is named.
    """
    narrow, wide = space.body([space.grid[0]] * space.layers), space.body([space.stream] * space.layers)
    if not narrow * (1 - TOLERANCE) <= space.budget <= wide * (1 + TOLERANCE):
        nearest = narrow if space.budget < narrow else wide
        raise ConfigError(
            f"No shape of {space.layers} layers has {space.budget:,} parameters between embeddings and pooler.",
            where="budget", expected=f"{narrow:,} to {wide:,}",
            advice=f"The nearest budget that can be met is {nearest:,}.",
        )  # fmt: skip
    low, high = 1e-3, 1e3
    for _ in range(60):
        middle = float(np.sqrt(low * high))
        widths = np.clip(middle * np.asarray(needed, dtype=float), space.head_size, space.stream)
        if _smooth(space, widths) < space.budget:
            low = middle
        else:
            high = middle
    return float(np.sqrt(low * high))


def _smooth(space: Space, widths: np.ndarray) -> float:
    """The parameters for widths between the grid's."""
    matrices = (4 + 2 * space.ratio) * widths**2
    if space.mode == "bus":
        maps = np.where(widths < space.stream, 2 * space.stream * widths + space.stream + widths, 0.0)
    else:
        before = np.concatenate([[float(space.stream)], widths[:-1]])
        maps = np.where(before != widths, (before + 1) * widths, 0.0)
    return float((matrices + (9 + space.ratio) * widths + maps).sum()) + _top(space)


def sample_prior(
    space: Space, needed: Sequence[int], number: int, *, seed: int, deviation: float = 0.5
) -> list[EncoderShape]:
    """Sample shapes whose widths follow log₂ d ~ N(log₂(c · d*), deviation²), within the budget.

    Raises
    ------
    ConfigError
        If the budget cannot be met.
    """
    scale = scale_to_budget(space, needed)
    centre = np.log2(np.maximum(scale * np.asarray(needed, dtype=float), 1e-9))

    def draw(rng: np.random.Generator, rows: int) -> np.ndarray:
        exact = 2.0 ** rng.normal(centre, deviation, size=(rows, space.layers))
        return np.clip(np.round(exact / space.head_size), 1, space.stream // space.head_size) * space.head_size

    return _sampled(space, draw, number, seed)


def sample_even(space: Space, number: int, *, seed: int) -> list[EncoderShape]:
    """Sample shapes whose widths are even over the grid, within the budget (by rejection)."""
    scale_to_budget(space, [space.stream] * space.layers)  # says clearly where nothing can be found
    grid = np.asarray(space.grid)

    def draw(rng: np.random.Generator, rows: int) -> np.ndarray:
        return rng.choice(grid, size=(rows, space.layers))

    return _sampled(space, draw, number, seed)


def _sampled(space: Space, draw: Any, number: int, seed: int) -> list[EncoderShape]:
    rng = np.random.default_rng([0x51A9E, seed, space.layers])
    found: dict[tuple[int, ...], EncoderShape] = {}
    for _ in range(max(1, _TRIES // 10_000)):
        widths = draw(rng, 10_000).astype(np.int64)
        if not space.readout:
            widths[:, -1] = space.stream
        near = np.abs(_bodies(space, widths) - space.budget) <= TOLERANCE * space.budget
        for row in widths[near]:
            key = tuple(int(one) for one in row)
            if key in found:
                continue
            shape = shape_for(space, key)
            if shape is not None:
                found[key] = shape
            if len(found) >= number:
                return list(found.values())
    return list(found.values())


def even_shape(space: Space) -> EncoderShape | None:
    """Return the shape whose layers are all of one width and whose FFN ratio is nearest to the usual one."""
    fits = []
    for width in space.grid:
        widths = [width] * space.layers
        if not space.readout:
            widths[-1] = space.stream
        shape = shape_for(space, widths)
        if shape is not None:
            first = shape.layers[0]
            fits.append((abs(np.log(first.intermediate / first.width / space.ratio)), width, shape))
    return min(fits, key=lambda one: one[:2])[2] if fits else None


def nearest_shape(space: Space, needed: Sequence[float]) -> tuple[float, EncoderShape]:
    """Return the shape within the budget whose widths are nearest to one multiple of `needed`, and that multiple.

    Parameters
    ----------
    space
        Depth and budget.
    needed
        What each layer's width is to be in proportion to, such as d*.

    Raises
    ------
    ConfigError
        If no shape of this depth meets the budget; the nearest budget is named where there is one.
    """
    scale = scale_to_budget(space, [max(1, round(one)) for one in needed])
    widest = space.stream // space.head_size
    for nudge in _NUDGES:  # rounding to whole heads may miss a budget that a slightly other scale meets
        heads = np.clip(np.round(nudge * scale * np.asarray(needed, dtype=float) / space.head_size), 1, widest)
        widths = [int(one) * space.head_size for one in heads]
        if not space.readout:
            widths[-1] = space.stream
        shape = shape_for(space, widths)
        if shape is not None:
            return nudge * scale, shape
    raise ConfigError(
        f"No shape of {space.layers} layers comes within {TOLERANCE:.0%} of {space.budget:,} parameters.",
        where="budget", expected="a budget that whole heads and FFN units can meet",
        advice="Take another number of layers, or another budget.",
    )  # fmt: skip
