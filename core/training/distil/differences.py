"""Where student and teacher differ: divergence of each position, the weights that follow from it, and quadrants.

Pure functions of tensors. A position is a text, a word, or (several labels) one label's yes or no; its classes are the
last dimension. Positions that do not count are not passed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch.nn import functional

__all__ = [
    "CAP", "Quadrants", "consensus", "crossed", "difference_weights", "divergence", "effective_size", "quadrants",
]  # fmt: skip

#: No position weighs more than so many others.
CAP = 5.0
_EPSILON = 1e-3


class Quadrants(NamedTuple):
    """Positions by who is right; each is boolean of shape (positions,)."""

    teachable: torch.Tensor
    harmful: torch.Tensor
    both_wrong: torch.Tensor
    both_right: torch.Tensor


def divergence(teacher: torch.Tensor, student: torch.Tensor) -> torch.Tensor:
    """Return the Jensen–Shannon divergence of each position by ln 2: 0 where both say the same, 1 at most.

    Parameters
    ----------
    teacher, student
        Logits of shape (positions, classes); temperature 1. Neither gets a gradient.

    Notes
    -----
    Lin, J. (1991). Divergence measures based on the Shannon entropy. IEEE Trans. Inf. Theory 37.
    """
    with torch.no_grad():
        left = functional.log_softmax(teacher.float(), dim=-1)
        right = functional.log_softmax(student.float(), dim=-1)
        middle = torch.logaddexp(left, right) - math.log(2.0)
        found = 0.5 * ((left.exp() * (left - middle)).sum(-1) + (right.exp() * (right - middle)).sum(-1))
        return (found / math.log(2.0)).clamp(0.0, 1.0)


def consensus(shares: Sequence[float], answers: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return what several teachers say together: logits of the weighted mean of their distributions.

    Parameters
    ----------
    shares
        Weight of each teacher; they sum to 1.
    answers
        Logits of each, of shape (positions, classes). Those of a single teacher are returned as they are.
    """
    if len(answers) == 1:
        return answers[0]
    mixed = [share * functional.softmax(one, dim=-1) for share, one in zip(shares, answers, strict=True)]
    return torch.stack(mixed).sum(0).clamp(min=1e-12).log()


def difference_weights(differs: torch.Tensor, amount: float, sharpness: float = 1.0) -> torch.Tensor:
    """Return what each position weighs: in proportion to (d + ε)^γ, blended with 1, none beyond :data:`CAP`.

    Parameters
    ----------
    differs
        Divergence of the positions that count, shape (positions,).
    amount
        λ, how much of the proportional weights is taken; with 0 all weigh exactly 1.
    sharpness
        γ.

    Returns
    -------
    torch.Tensor
        Shape (positions,); the sum is the number of positions, also after the cap.
    """
    if amount == 0 or differs.numel() == 0:
        return torch.ones_like(differs)
    raw = (differs.double() + _EPSILON) ** sharpness
    blended = (1.0 - amount) + amount * raw * (raw.numel() / raw.sum())
    return _capped(blended).to(differs.dtype)


def _capped(weights: torch.Tensor) -> torch.Tensor:
    """Scale weights so that none exceeds the cap and the sum is their number: the fixed point of cutting and scaling.

    With k weights at the cap the others are scaled by s = (n − k · cap) / (their sum); the smallest k for which no
    other exceeds the cap is that fixed point.
    """
    count = weights.numel()
    ordered, order = torch.sort(weights, descending=True)
    rest = weights.sum() - torch.cumsum(ordered, 0) + ordered
    capped = torch.arange(count, device=weights.device, dtype=weights.dtype)
    scales = (count - capped * CAP) / rest
    most = int(torch.nonzero(scales * ordered <= CAP * (1 + 1e-12))[0])
    found = ordered * scales[most]
    found[:most] = CAP
    placed = torch.empty_like(found)
    placed[order] = found
    return placed


def effective_size(weights: torch.Tensor) -> torch.Tensor:
    """Return the effective sample size (Σ w)² / Σ w² of weights, shape () (Kish 1965)."""
    return weights.sum() ** 2 / (weights**2).sum().clamp(min=1e-12)


def quadrants(teacher: torch.Tensor, student: torch.Tensor, gold: torch.Tensor) -> Quadrants:
    """Cross each position with the gold label.

    Parameters
    ----------
    teacher, student
        Logits of shape (positions, classes).
    gold
        Classes of shape (positions,).
    """
    with torch.no_grad():
        return crossed(teacher.argmax(-1) == gold, student.argmax(-1) == gold)


def crossed(knows: torch.Tensor, answers: torch.Tensor) -> Quadrants:
    """Cross where the teacher is right with where the student is; boolean of shape (positions,)."""
    return Quadrants(knows & ~answers, ~knows & answers, ~knows & ~answers, knows & answers)
