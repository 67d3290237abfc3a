"""Scores of every stretch of words for every type: a head for entities that may lie inside each other."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from core.models.pointer.scorer import LOWEST, fresh_parameters

__all__ = ["SpanPointer", "rotated"]

_BASE = 10_000.0


class SpanPointer(nn.Module):
    """Scores of stretches, from their first and their last word.

    Parameters
    ----------
    width
        Size of the encoder's states.
    settings
        ``size`` (even), ``relative`` (whether distances count), ``types`` (how many), ``dropout``.

    Notes
    -----
    s_α(i, j) = (R_i q_i)ᵀ(R_j k_j) / √d + w_αᵀ[q_i; k_i] + v_αᵀ[q_j; k_j] for i ≤ j, with q = W_q h + b_q, k = W_k h +
    b_k and rotary positions R (Su et al. 2021): GlobalPointer in its efficient form (Su et al. 2022, arXiv 2208.03054,
    section 3.2), in which a type adds 4 d numbers. Rotations make the product a function of j − i.
    """

    def __init__(self, width: int, settings: Mapping[str, Any]):
        super().__init__()
        size, types = int(settings["size"]), int(settings["types"])
        self.size, self.relative = size, bool(settings["relative"])
        self.dropout = nn.Dropout(float(settings["dropout"]))
        self.query = nn.Linear(width, size)
        self.key = nn.Linear(width, size)
        self.first = nn.Linear(2 * size, types)
        self.last = nn.Linear(2 * size, types, bias=False)
        fresh_parameters(self)

    def forward(self, hidden: torch.Tensor, *, words: torch.Tensor | None = None) -> torch.Tensor:
        """Score all stretches.

        Parameters
        ----------
        hidden
            States of all sub-words, shape (batch, length, width).
        words
            Position of each word's first sub-word, -1 behind the last word; shape (batch, words). None: every sub-word
            is a word.

        Returns
        -------
        torch.Tensor
            Shape (batch, words, words · types), float32: by first word, then last word, then type. The lowest number
            where there is no word, or the last stands before the first.
        """
        if words is None:
            words = torch.arange(hidden.shape[1], device=hidden.device).expand(len(hidden), -1)
        valid = words >= 0
        places = words.clamp(min=0)[..., None].expand(-1, -1, hidden.shape[-1])
        states = self.dropout(hidden.gather(1, places))
        query, key = self.query(states), self.key(states)
        both = torch.cat([query, key], dim=-1)
        if self.relative:
            query, key = rotated(query), rotated(key)
        shared = torch.matmul(query * (1.0 / math.sqrt(self.size)), key.transpose(1, 2).to(query.dtype)).float()
        scores = shared[..., None] + self.first(both).float()[:, :, None] + self.last(both).float()[:, None]
        count = words.shape[1]
        order = torch.ones(count, count, dtype=torch.bool, device=hidden.device).triu()
        possible = valid[:, :, None] & valid[:, None] & order
        return scores.masked_fill(~possible[..., None], LOWEST).flatten(2)


def rotated(states: torch.Tensor) -> torch.Tensor:
    """Turn neighbouring pairs of numbers by an angle that grows with the place.

    Parameters
    ----------
    states
        Shape (batch, places, size), the size even.
    """
    places, size = states.shape[1], states.shape[2]
    steps = torch.arange(size // 2, device=states.device, dtype=torch.float32) * (-2.0 / size)
    angles = torch.arange(places, device=states.device, dtype=torch.float32)[:, None] * _BASE**steps
    turned = torch.view_as_complex(states.float().reshape(*states.shape[:2], size // 2, 2).contiguous())
    turned = turned * torch.polar(torch.ones_like(angles), angles)
    return torch.view_as_real(turned).flatten(2).to(states.dtype)
