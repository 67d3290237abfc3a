"""What a position says, in parts: a word's pointer and its type, a window's start and end. Pure functions of tensors.

A position is what is right or wrong as a whole, and what weighs: a text, a word, a window of a question. It says one or
several things at once, each a :class:`Part`: a distribution over options that exclude each other, or a yes or no of
every option by itself. The losses of the parts are added up as those of the gold labels are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch.nn import functional

from core.training.distil.differences import consensus, divergence
from core.training.distil.losses import soft_divergence, soft_yes_no, yes_no_divergence

__all__ = [
    "BARRED", "NOTHING", "Part", "agreeing", "apart", "apart_each", "detached", "doubt", "gold_loss", "kept_only",
    "right", "soft", "together", "weights_of",
]  # fmt: skip

#: Score of an option that cannot be: its share is 0 at every temperature, and no infinity gets into a product.
BARRED = -1e4
#: Gold of a part where there is nothing to be right about.
NOTHING = -100


@dataclass(frozen=True)
class Part:
    """One thing that every position says.

    Parameters
    ----------
    name
        What it is: answer, start, end, pointer, type, relation, sentence, stretches.
    student
        The student's logits, shape (positions, options); :data:`BARRED` where an option cannot be.
    gold
        Options of shape (positions,), :data:`NOTHING` where there is none; with `apart` 1, 0, or below 0 where an
        option does not count, shape (positions, options).
    weight
        How much the part's loss counts, a number or of shape (positions,).
    gated
        Whether it counts only as far as the first part is not its option 0: the relative entropy of two choices, the
        second of which is made only after some of the first, is KL(first) + P(some) KL(second) (chain rule, Cover &
        Thomas 2006, theorem 2.5.3).
    apart
        Whether every option is a yes or no of its own.
    judged
        Whether a position is right or wrong, and near or far, by this part too.
    """

    name: str
    student: torch.Tensor
    gold: torch.Tensor
    weight: float | torch.Tensor = 1.0
    gated: bool = False
    apart: bool = False
    judged: bool = True


def kept_only(parts: Sequence[Part], here: torch.Tensor) -> list[Part]:
    """Return parts of some positions only; `here` is boolean of shape (positions,)."""
    return [
        replace(
            one, student=one.student[here], gold=one.gold[here],
            weight=one.weight[here] if isinstance(one.weight, torch.Tensor) else one.weight,
        )
        for one in parts
    ]  # fmt: skip


def detached(parts: Sequence[Part]) -> list[Part]:
    """Return parts through which no gradient flows."""
    return [replace(one, student=one.student.detach()) for one in parts]


def together(
    parts: Sequence[Part], shares: Sequence[float], told: Sequence[Sequence[torch.Tensor]]
) -> list[torch.Tensor]:
    """Return what several teachers say together in each part; see :func:`core.training.distil.differences.consensus`.

    Parameters
    ----------
    parts
        The parts.
    shares
        Weight of each teacher; they sum to 1.
    told
        For each teacher its logits of every part.
    """
    if len(told) == 1:
        return list(told[0])
    found = []
    for one, each in zip(parts, zip(*told, strict=True), strict=True):
        if not one.apart:
            found.append(consensus(shares, each))
            continue
        yes = torch.stack([share * said.sigmoid() for share, said in zip(shares, each, strict=True)]).sum(0)
        found.append(torch.logit(yes, eps=1e-12).masked_fill(one.student <= BARRED, BARRED))
    return found


def weights_of(parts: Sequence[Part], told: Sequence[torch.Tensor]) -> list[float | torch.Tensor]:
    """Return what each part counts for, a number or of shape (positions,), without a gradient.

    Parameters
    ----------
    parts
        The parts.
    told
        The teacher's logits of each, which say how far a gated part counts.
    """
    some: torch.Tensor | None = None
    found: list[float | torch.Tensor] = []
    for one in parts:
        if one.gated and some is None:
            with torch.no_grad():
                some = 1.0 - functional.softmax(told[0].float(), dim=-1)[:, 0]
        found.append(one.weight * some if one.gated and some is not None else one.weight)
    return found


def soft(
    parts: Sequence[Part], told: Sequence[torch.Tensor], temperature: float, weights: Sequence[float | torch.Tensor]
) -> torch.Tensor:
    """Return T² times the divergence from the teacher of each position, its parts added up; shape (positions,).

    Parameters
    ----------
    parts, told
        The parts, and the teacher's logits of each, which get no gradient.
    temperature
        T of all softmaxes and sigmoids.
    weights
        As :func:`weights_of` gives them.
    """
    if len(parts) == 1 and not parts[0].apart:
        found = soft_divergence(told[0], parts[0].student, temperature)
        return found if isinstance(weights[0], float) and weights[0] == 1.0 else weights[0] * found
    each = [
        weight * (soft_yes_no if one.apart else soft_divergence)(other, one.student, temperature)
        for one, other, weight in zip(parts, told, weights, strict=True)
    ]
    return torch.stack(each).sum(0)


def apart_each(parts: Sequence[Part], told: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Return the Jensen–Shannon divergence by ln 2 of every judged part, each of shape (positions,).

    Where every option is a yes or no of its own it is that of the option that differs most.
    """
    return [
        yes_no_divergence(other, one.student).amax(-1) if one.apart else divergence(other, one.student)
        for one, other in zip(parts, told, strict=True) if one.judged
    ]  # fmt: skip


def apart(parts: Sequence[Part], told: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return how far teacher and student are apart at each position, 0 to 1: the mean of its parts, as they weigh."""
    each = apart_each(parts, told)
    if len(each) == 1:
        return each[0]
    weights = [
        weight for one, weight in zip(parts, weights_of(parts, told), strict=True) if one.judged
    ]  # fmt: skip
    total = torch.stack([weight * one for weight, one in zip(weights, each, strict=True)]).sum(0)
    size = torch.stack([torch.as_tensor(one, device=total.device).expand_as(total) for one in weights]).sum(0)
    return (total / size.clamp(min=1e-12)).clamp(0.0, 1.0)


def right(parts: Sequence[Part], logits: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return where all judged parts of some logits say the gold, boolean of shape (positions,)."""
    found: torch.Tensor | None = None
    for one, said in zip(parts, logits, strict=True):
        if not one.judged:
            continue
        if one.apart:
            here = (((said > 0) == (one.gold == 1)) | (one.gold < 0)).all(-1)
        else:
            here = said.argmax(-1) == one.gold
            if len(parts) > 1:
                here = here | (one.gold < 0)
        found = here if found is None else found & here
    assert found is not None
    return found


def agreeing(parts: Sequence[Part], told: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return where student and teacher choose the same in all judged parts, boolean of shape (positions,).

    A gated part is looked at only where the teacher's first part is not option 0.
    """
    found: torch.Tensor | None = None
    for one, said in zip(parts, told, strict=True):
        if not one.judged:
            continue
        if one.apart:
            here = (((said > 0) == (one.student > 0)) | (one.student <= BARRED)).all(-1)
        else:
            here = said.argmax(-1) == one.student.argmax(-1)
        if one.gated:
            here = here | (told[0].argmax(-1) == 0)
        found = here if found is None else found & here
    assert found is not None
    return found


def doubt(parts: Sequence[Part], told: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return the student's entropy at each position, its judged parts added up as they weigh; shape (positions,)."""
    found: list[torch.Tensor] = []
    for one, weight in zip(parts, weights_of(parts, told), strict=True):
        if one.apart:
            yes, no = functional.logsigmoid(one.student.float()), functional.logsigmoid(-one.student.float())
            entropy = -(yes.exp() * yes + no.exp() * no).sum(-1)
        else:
            log_shares = functional.log_softmax(one.student.float(), dim=-1)
            entropy = -(log_shares.exp() * log_shares).sum(-1)
        if one.judged:
            found.append(entropy if len(parts) == 1 else weight * entropy)
    return found[0] if len(found) == 1 else torch.stack(found).sum(0)


def gold_loss(parts: Sequence[Part]) -> torch.Tensor:
    """Return the student's cross-entropy with the gold at each position, its judged parts added up as they weigh."""
    found: list[torch.Tensor] = []
    for one in parts:
        if not one.judged:
            continue
        if one.apart:
            wanted = one.gold.clamp(min=0).to(torch.float32)
            each = functional.binary_cross_entropy_with_logits(one.student.float(), wanted, reduction="none")
            loss = each.masked_fill(one.gold < 0, 0.0).sum(-1)
        else:
            log_shares = functional.log_softmax(one.student.float(), dim=-1)
            loss = -log_shares.gather(1, one.gold.clamp(min=0)[:, None])[:, 0]
            if len(parts) > 1:
                loss = loss.masked_fill(one.gold < 0, 0.0)
        found.append(loss if len(parts) == 1 else one.weight * loss)
    return found[0] if len(found) == 1 else torch.stack(found).sum(0)
