"""What a position of a micro-batch counts for: how far student and teacher differ, who is right, who is unsure."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from core.config.distillation import DistillationConfig
from core.training.distil.differences import Quadrants, crossed, difference_weights
from core.training.distil.parts import Part, apart, doubt, gold_loss, right

__all__ = ["crossed_parts", "part_weights", "position_weights"]


def position_weights(
    config: DistillationConfig,
    teacher: torch.Tensor,
    student: torch.Tensor,
    gold: torch.Tensor,
    *,
    amount: float | None = None,
) -> torch.Tensor | None:
    """Return what each position counts for, shape (positions,); None where all count alike.

    Parameters
    ----------
    config
        How the student learns.
    teacher, student
        Logits of shape (positions, classes). Neither gets a gradient from here.
    gold
        Classes of shape (positions,).
    amount
        λ, if it is not the config's.
    """
    return part_weights(config, [Part("answer", student, gold)], [teacher], amount=amount)


def part_weights(
    config: DistillationConfig, parts: Sequence[Part], told: Sequence[torch.Tensor], *, amount: float | None = None
) -> torch.Tensor | None:
    """Return what positions of several parts count for; see :func:`position_weights`.

    Parameters
    ----------
    config
        How the student learns.
    parts, told
        What the student says, and the teacher's logits of each part.
    amount
        λ, if it is not the config's.
    """
    amount = config.differences if amount is None else amount
    with torch.no_grad():
        gold = parts[0].gold
        counts = torch.ones(len(gold), dtype=torch.bool, device=gold.device)
        if config.harmful == "drop":
            counts &= ~crossed_parts(parts, told).harmful
        if config.selection is not None:
            counts &= _selected(config, parts, told)
        if amount == 0:
            return None if bool(counts.all()) else counts.to(torch.float32)
        weights = torch.zeros(len(gold), device=gold.device)
        weights[counts] = difference_weights(apart(parts, told)[counts], amount, config.sharpness)
        return weights


def crossed_parts(parts: Sequence[Part], told: Sequence[torch.Tensor]) -> Quadrants:
    """Cross where the teacher is right with where the student is; of the student's parts, and the teacher's logits."""
    with torch.no_grad():
        return crossed(right(parts, told), right(parts, [one.student for one in parts]))


def _selected(config: DistillationConfig, parts: Sequence[Part], told: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return the positions where the student is least certain, or furthest from the gold."""
    assert config.selection is not None
    score = doubt(parts, told) if config.selection.by == "entropy" else gold_loss(parts)
    most = max(1, round(config.selection.share * len(score)))
    found = torch.zeros(len(score), dtype=torch.bool, device=score.device)
    found[torch.topk(score, min(most, len(score))).indices] = True
    return found
