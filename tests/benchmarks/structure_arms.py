"""The arms of the structure experiment: who chooses which shapes. Pure functions of the arm, the seed and d*.

All arms have six layers like the parent, so that one layer of a student stands for one of the parent's, and only the
widths differ. Every arm may rank the same number of shapes, which differ in how the budget is shared between attention
and FFN: the ratio of FFN units to width. Without that freedom for all, the arm that happened to have it would win.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from core.config.shape import EncoderShape
from core.search.widths import Space, sample_even, scale_to_budget, shape_for

__all__ = ["ARMS", "CANDIDATES", "RATIOS", "SPACE", "Arm", "arm_named", "permuted", "scaled", "shapes_of"]

#: Half of the bundled encoder's 10,646,784 parameters between embeddings and pooler, readout included.
SPACE = Space(layers=6, stream=384, head_size=32, budget=5_323_392)
#: FFN units by width that the shapes of an arm aim at, before the units close the rest of the budget.
RATIOS = (1.0, 1.5, 2.5)
CANDIDATES = len(RATIOS)
#: Three of the four best of the six uniform shapes that meet the budget (192, 224, 256, 288, 320 and 384 wide), by one
#: ranking before the experiment; 320 has the ratio of 384, which is better. If that favours an arm, then this one.
UNIFORM = (384, 288, 256)

_Shapes = Callable[[int, Sequence[int]], list[EncoderShape]]


@dataclass(frozen=True)
class Arm:
    """One way to choose shapes.

    Parameters
    ----------
    name
        For files.
    title
        For people.
    described
        How it chooses, in a sentence.
    shapes
        From a seed and d* of layers 1 … 6 to the shapes that are ranked.
    """

    name: str
    title: str
    described: str
    shapes: _Shapes


def scaled(profile: Sequence[float], ratio: float) -> EncoderShape:
    """Return the shape whose widths follow a profile: the centre of the search's prior, log₂ d = log₂(c · profile).

    Parameters
    ----------
    profile
        Relative widths, one a layer.
    ratio
        FFN units by width to aim at; c is solved so that the budget is met with it.
    """
    space = replace(SPACE, ratio=ratio)
    # scale_to_budget takes what d* is measured in, directions of the parent.
    needed = [round(SPACE.stream * value / max(profile)) for value in profile]
    exact = scale_to_budget(space, needed) * np.asarray(needed, dtype=float)
    heads = np.clip(np.round(exact / space.head_size), 1, space.stream // space.head_size)
    shape = shape_for(space, [int(width) for width in heads * space.head_size])
    if shape is None:  # rounding to whole heads left more than FFN units can close
        raise ValueError(f"the profile {list(profile)} has no shape with {ratio:g} FFN units by width")
    return shape


def permuted(needed: Sequence[int], seed: int) -> list[int]:
    """Return d* in an order drawn at random for a seed: whatever comes, the old order included."""
    order = np.random.default_rng([0x9E12, seed]).permutation(len(needed))
    return [int(needed[at]) for at in order]


def _random(seed: int, needed: Sequence[int]) -> list[EncoderShape]:
    del needed
    return [
        sample_even(replace(SPACE, ratio=ratio), 1, seed=seed * CANDIDATES + at)[0] for at, ratio in enumerate(RATIOS)
    ]


def _uniform(seed: int, needed: Sequence[int]) -> list[EncoderShape]:
    del seed, needed
    found = [shape_for(SPACE, [width] * SPACE.layers) for width in UNIFORM]
    return [shape for shape in found if shape is not None]


def _by_hand(profile: Sequence[float]) -> _Shapes:
    def shapes(seed: int, needed: Sequence[int]) -> list[EncoderShape]:
        del seed, needed
        return [scaled(profile, ratio) for ratio in RATIOS]

    return shapes


def _prior(seed: int, needed: Sequence[int]) -> list[EncoderShape]:
    del seed
    return [scaled(needed, ratio) for ratio in RATIOS]


def _permuted(seed: int, needed: Sequence[int]) -> list[EncoderShape]:
    return [scaled(permuted(needed, seed), ratio) for ratio in RATIOS]


#: In the order in which the seeds of each are trained.
ARMS = (
    Arm("prior", "graph prior", "widths in proportion to d* of the parent's layers", _prior),
    Arm("uniform", "best uniform", "all layers equally wide: " + ", ".join(map(str, UNIFORM)), _uniform),
    Arm("permuted", "graph prior, permuted", "widths in proportion to d* in an order drawn for each seed", _permuted),
    Arm("random", "random", "widths drawn evenly from the grid for each seed, by rejection", _random),
    Arm("reverse", "reverse taper", "half as wide at the bottom as at the top", _by_hand((0.5, 0.6, 0.7, 0.8, 0.9, 1))),
    Arm("taper", "taper", "half as wide at the top as at the bottom", _by_hand((1, 0.9, 0.8, 0.7, 0.6, 0.5))),
    Arm("bulge", "bulge", "half as wide at both ends as in the middle", _by_hand((0.5, 0.75, 1, 1, 0.75, 0.5))),
)  # fmt: skip


def arm_named(name: str) -> Arm:
    """Return an arm by its name; KeyError if there is none."""
    return {arm.name: arm for arm in ARMS}[name]


def shapes_of(arm: Arm, seed: int, needed: Sequence[int]) -> list[EncoderShape]:
    """Return the shapes that an arm ranks with a seed.

    Parameters
    ----------
    arm
        Who chooses.
    seed
        Decides what is drawn.
    needed
        d* of the parent's layers 1 … 6.
    """
    return arm.shapes(seed, needed)
