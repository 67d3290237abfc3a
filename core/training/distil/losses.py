"""What a student is told to match: pure functions of tensors, each with the paper that it comes from.

The teacher's side never gets a gradient.
"""

from __future__ import annotations

import math

import torch
from torch.nn import functional

__all__ = [
    "attention_loss", "hidden_loss", "relation_loss", "soft_divergence", "soft_yes_no", "yes_no_divergence",
]  # fmt: skip


def soft_divergence(teacher: torch.Tensor, student: torch.Tensor, temperature: float) -> torch.Tensor:
    """Return T² · KL(teacher ‖ student) of each position, shape (positions,).

    Parameters
    ----------
    teacher, student
        Logits of shape (positions, classes).
    temperature
        T of both softmaxes. The factor T² keeps gradients of one size (Hinton, Vinyals and Dean 2015).
    """
    told = functional.log_softmax(teacher.detach().float() / temperature, dim=-1)
    said = functional.log_softmax(student.float() / temperature, dim=-1)
    return temperature**2 * functional.kl_div(said, told, reduction="none", log_target=True).sum(-1)


def soft_yes_no(teacher: torch.Tensor, student: torch.Tensor, temperature: float) -> torch.Tensor:
    """Return T² · Σ KL(teacher ‖ student) of positions whose options are each a yes or no, shape (positions,).

    Parameters
    ----------
    teacher, student
        Logits of shape (positions, options); an option's yes has the share σ(x / T).
    temperature
        T of both sigmoids; see :func:`soft_divergence`: a sigmoid is the softmax of (0, x).
    """
    told, said = teacher.detach().float() / temperature, student.float() / temperature
    yes = told.sigmoid() * (functional.logsigmoid(told) - functional.logsigmoid(said))
    no = (-told).sigmoid() * (functional.logsigmoid(-told) - functional.logsigmoid(-said))
    return temperature**2 * (yes + no).sum(-1)


def yes_no_divergence(teacher: torch.Tensor, student: torch.Tensor) -> torch.Tensor:
    """Return the Jensen–Shannon divergence by ln 2 of every yes or no, of the shape of the logits; no gradient."""
    with torch.no_grad():
        total = torch.zeros_like(student, dtype=torch.float32)
        for sign in (1.0, -1.0):
            left, right = functional.logsigmoid(sign * teacher.float()), functional.logsigmoid(sign * student.float())
            middle = torch.logaddexp(left, right) - math.log(2.0)
            total += 0.5 * (left.exp() * (left - middle) + right.exp() * (right - middle))
        return (total / math.log(2.0)).clamp(0.0, 1.0)


def hidden_loss(
    teacher: torch.Tensor,
    student: torch.Tensor,
    mask: torch.Tensor,
    distance: str,
    *,
    through: torch.Tensor | None = None,
    positions: str = "all",
) -> torch.Tensor:
    """Return the mean distance of hidden states over sub-words, shape ().

    Parameters
    ----------
    teacher, student
        Shape (batch, length, width); with a map the widths may differ.
    mask
        Shape (batch, length); where it is 0 nothing counts.
    distance
        ``mse``: squared error by element (TinyBERT, Jiao et al. 2020, equation 8).
        ``cosine``: 1 − cosine of the two vectors (DistilBERT, Sanh et al. 2019).
        ``normalised``: ‖s/‖s‖ − t/‖t‖‖², the sum over the width (PKD, Sun et al. 2019).
    through
        The map of shape (teacher's width, student's width) that the student's states go through.
    positions
        ``all``, or ``first``: the first sub-word of each text only, as in PKD.
    """
    counts = mask.bool()
    if positions == "first":
        counts = counts & (torch.arange(mask.shape[1], device=mask.device) == 0)
    left, right = teacher.detach()[counts].float(), student[counts].float()
    if through is not None:
        right = functional.linear(right, through)
    if distance == "cosine":
        return 1.0 - functional.cosine_similarity(left, right, dim=-1).mean()
    if distance == "normalised":
        apart = functional.normalize(right, dim=-1) - functional.normalize(left, dim=-1)
        return apart.square().sum(-1).mean()
    return functional.mse_loss(right, left)


def attention_loss(
    teacher: tuple[torch.Tensor, torch.Tensor],
    student: tuple[torch.Tensor, torch.Tensor],
    mask: torch.Tensor,
    heads: tuple[int, int],
) -> torch.Tensor:
    """Return the squared error of attention scores before the softmax (TinyBERT, Jiao et al. 2020), shape ().

    Parameters
    ----------
    teacher, student
        Queries and keys of a layer, each of shape (batch, length, width).
    mask
        Shape (batch, length); only pairs of two sub-words count.
    heads
        Heads of teacher and student, equally many.
    """
    counts = _pairs(mask, heads[0])
    left = _scores(teacher[0].detach(), teacher[1].detach(), heads[0])
    right = _scores(student[0], student[1], heads[1])
    return functional.mse_loss(right[counts], left[counts])


def relation_loss(
    teacher: tuple[torch.Tensor, ...], student: tuple[torch.Tensor, ...], mask: torch.Tensor, heads: int
) -> torch.Tensor:
    """Return the divergence of self-attention relations (MiniLMv2, Wang et al. 2021, equations 2 to 5), shape ().

    The relation of queries is softmax(Q Qᵀ / √d), and so for keys and values; KL(teacher ‖ student) is averaged over
    relation heads and sub-words and summed over the three. Widths may differ: no map is needed.

    Parameters
    ----------
    teacher, student
        Queries, keys and values of a layer, each of shape (batch, length, width).
    mask
        Shape (batch, length).
    heads
        Relation heads, which divide both widths.
    """
    keys = mask.bool()[:, None, None, :]
    rows = mask.bool()[:, None, :].expand(-1, heads, -1)
    total = mask.new_zeros((), dtype=torch.float32)
    for left, right in zip(teacher, student, strict=True):
        lowest = torch.finfo(torch.float32).min
        told = functional.log_softmax(_scores(left.detach(), left.detach(), heads).masked_fill(~keys, lowest), dim=-1)
        said = functional.log_softmax(_scores(right, right, heads).masked_fill(~keys, lowest), dim=-1)
        each = (told.exp() * (told - said)).masked_fill(~keys, 0.0).sum(-1)
        total = total + each[rows].mean()
    return total


def _scores(queries: torch.Tensor, keys: torch.Tensor, heads: int) -> torch.Tensor:
    """Return Q Kᵀ / √d of shape (batch, heads, length, length)."""
    batch, length, width = queries.shape
    size = width // heads

    def split(values: torch.Tensor) -> torch.Tensor:
        return values.float().view(batch, length, heads, size).transpose(1, 2)

    return split(queries) @ split(keys).transpose(-1, -2) / math.sqrt(size)


def _pairs(mask: torch.Tensor, heads: int) -> torch.Tensor:
    counts = mask.bool()
    return (counts[:, None, :, None] & counts[:, None, None, :]).expand(-1, heads, -1, -1)
