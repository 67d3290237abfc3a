"""Dropout whose random numbers cost little on the CPU and belong to the run alone.

torch draws Bernoulli masks on the CPU one number at a time, from a generator that the whole process shares: in the
bundled encoder that is a tenth of a training step, and whatever another thread draws changes the mask. Here masks come
from a small fast generator (SFC64) that is seeded for every micro-batch of every step, sixteen bits a number.

What a layer computes is dropout as defined by Srivastava et al. (2014), with the probability rounded to 1/65536 (0.1
becomes 0.100006) and the kept values scaled by the inverse of the rounded keep probability: the mean is kept.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

__all__ = ["Masks", "dropout"]

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

    def draw(
        self, shape: torch.Size | tuple[int, ...], probability: float, dtype: torch.dtype
    ) -> tuple[torch.Tensor, float]:
        """Return a mask of zeros (with `probability`) and ones, and the factor that keeps the mean.

        The factor is apart from the mask because bf16 has too few digits for it: 1/0.9 would become 1.109.

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
        return kept.to(dtype), _LEVELS / (_LEVELS - dropped)


class _Dropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: torch.Tensor, kept: torch.Tensor, scale: float) -> torch.Tensor:
        ctx.save_for_backward(kept)
        ctx.scale = scale
        return (values * kept).mul_(scale)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (kept,) = ctx.saved_tensors
        return (gradients[0] * kept).mul_(ctx.scale), None, None


def dropout(values: torch.Tensor, probability: float, masks: Masks) -> torch.Tensor:
    """Return `values` of any shape with dropout; they come back as they are when the probability is 0."""
    if probability <= 0:
        return values
    kept, scale = masks.draw(values.shape, probability, values.dtype)
    result: torch.Tensor = _Dropout.apply(values, kept, scale)
    return result
