"""Dropout whose random numbers cost little on the CPU and belong to the run alone.

torch draws Bernoulli masks on the CPU one number at a time, from a generator that the whole process shares: in the
bundled encoder that is a tenth of a training step, and whatever another thread draws changes the mask. Here masks come
from a small fast generator (SFC64) that is seeded for every micro-batch of every step, sixteen bits a number.

What a layer computes is dropout as defined by Srivastava et al. (2014), with the probability rounded to 1/65536 (0.1
becomes 0.100006) and the kept values scaled by exactly the inverse of the rounded keep probability: the mean is kept.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import nn

__all__ = ["Masks", "dropout", "fast_dropout"]

_LEVELS = 65536


class Masks:
    """A source of dropout masks.

    Parameters
    ----------
    seed
        Its first seed; :meth:`seed` sets another.
    """

    def __init__(self, seed: int = 0):
        self._generator: np.random.SFC64
        self.seed(seed)

    def seed(self, *entropy: int) -> None:
        """Start again from non-negative numbers, e.g. (seed, step, part)."""
        self._generator = np.random.SFC64(np.random.SeedSequence(entropy))

    def draw(self, shape: torch.Size | tuple[int, ...], probability: float, dtype: torch.dtype) -> torch.Tensor:
        """Return a mask of `shape`: 0 with `probability`, else what keeps the mean.

        Raises
        ------
        ValueError
            If the probability is not in [0, 1).
        """
        if not 0 <= probability < 1:
            raise ValueError(f"the dropout probability must lie in [0, 1), got {probability}")
        count = math.prod(shape)
        dropped = min(round(probability * _LEVELS), _LEVELS - 1)
        bits = torch.from_numpy(self._generator.random_raw(-(-count // 4)).view(np.int16)[:count])
        kept = (bits >= dropped - _LEVELS // 2).view(shape)
        return kept.to(dtype).mul_(_LEVELS / (_LEVELS - dropped))


class _Dropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: torch.Tensor, probability: float, masks: Masks) -> torch.Tensor:
        mask = masks.draw(values.shape, probability, values.dtype)
        ctx.save_for_backward(mask)
        return values * mask

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (mask,) = ctx.saved_tensors
        return gradients[0] * mask, None, None


def dropout(values: torch.Tensor, probability: float, masks: Masks) -> torch.Tensor:
    """Return `values` of any shape with dropout; they come back as they are when the probability is 0."""
    if probability <= 0:
        return values
    result: torch.Tensor = _Dropout.apply(values, probability, masks)
    return result


class _FastDropout(nn.Module):
    """Stands in for an ``nn.Dropout`` for as long as :func:`fast_dropout` lasts."""

    def __init__(self, original: nn.Dropout, masks: Masks):
        super().__init__()
        self.p = original.p
        self.original = original
        self._masks = masks
        self.training = original.training

    def train(self, mode: bool = True) -> _FastDropout:
        """Switch both, so that the original is right when it comes back."""
        self.original.train(mode)
        self.training = mode
        return self

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Return dropout of the values in training, and the values otherwise."""
        return dropout(values, self.p, self._masks) if self.training else values


@contextlib.contextmanager
def fast_dropout(model: nn.Module, masks: Masks) -> Iterator[int]:
    """Let every ``nn.Dropout`` of a model draw from `masks` for as long as the block lasts.

    Yields
    ------
    int
        Number of modules replaced. Parameters and their names are untouched.
    """
    places = [
        (parent, name, child)
        for parent in model.modules()
        for name, child in parent.named_children()
        if type(child) is nn.Dropout
    ]
    for parent, name, child in places:
        setattr(parent, name, _FastDropout(child, masks))
    try:
        yield len(places)
    finally:
        for parent, name, child in places:
            setattr(parent, name, child)
