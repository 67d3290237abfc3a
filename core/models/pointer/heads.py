"""Heads that point, one a task, on the states of an encoder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from core.models.pointer.scorer import (
    NULL,
    PointerMemory,
    PointerScorer,
    PointerTargets,
    distance_scores,
    fresh_parameters,
    pointer_shares,
)

__all__ = ["EMPTY", "QuestionPointer", "WordPointer"]

#: How ``context`` marks what a question can point to: sub-words of the context, and the place of the empty slot.
EMPTY = 2


class WordPointer(nn.Module):
    """Points from each word to the first word of its entity, and names the entity's type.

    Parameters
    ----------
    width
        Size of the encoder's states.
    settings
        ``size``, ``reach`` (None: no scores of distances), ``memory``, ``types`` (how many), ``sentence`` (whether the
        types that the sentence contains are scored too), ``dropout``, and ``dictionary`` (pairs of entry and type, to
        which words can point as well; missing without one).

    Notes
    -----
    o_t = [h_t; m_t] gives the type; what a sentence contains is read off the largest value of each part of o over its
    words.
    """

    def __init__(self, width: int, settings: Mapping[str, Any]):
        super().__init__()
        size = int(settings["size"])
        self.dropout = nn.Dropout(float(settings["dropout"]))
        self.scorer = PointerScorer(width, size, reach=settings["reach"], entries="dictionary" in settings)
        self.memory = PointerMemory(width, size) if settings["memory"] else None
        known = width + (size if settings["memory"] else 0)
        self.types = nn.Linear(known, int(settings["types"]))
        self.sentence = nn.Linear(known, int(settings["types"])) if settings.get("sentence") else None
        fresh_parameters(self.types)
        if self.sentence is not None:
            fresh_parameters(self.sentence)

    def forward(
        self, hidden: torch.Tensor, *, words: torch.Tensor | None = None, entries: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Score pointers and types of words.

        Parameters
        ----------
        hidden
            States of all sub-words, shape (batch, length, width).
        words
            Position of each word's first sub-word, -1 behind the last word; shape (batch, words). None: every sub-word
            is a word.
        entries
            Vectors of the dictionary's entries, shape (entries, width); None without a dictionary.

        Returns
        -------
        torch.Tensor
            Shape (batch, words, 1 + words + entries + types), float32: scores of the empty slot, of the words, of the
            entries, of the types; then as many of what the sentence contains, the same for all of its words, where that
            is scored.
        """
        if words is None:
            words = torch.arange(hidden.shape[1], device=hidden.device).expand(len(hidden), -1)
        valid = words >= 0
        places = words.clamp(min=0)[..., None].expand(-1, -1, hidden.shape[-1])
        states = self.dropout(hidden.gather(1, places))
        named = None if entries is None else self.dropout(entries.to(states.dtype))
        scores = self.scorer(states, valid, named)
        seen = states
        if self.memory is not None:
            read = self.memory(pointer_shares(scores), states, named)
            seen = torch.cat([states, read.to(states.dtype)], dim=-1)
        parts = [scores, self.types(seen).float()]
        if self.sentence is not None:
            pooled = seen.masked_fill(~valid[..., None], torch.finfo(seen.dtype).min).amax(dim=1)
            parts.append(self.sentence(pooled).float()[:, None].expand(-1, words.shape[1], -1))
        return torch.cat(parts, dim=-1)


class QuestionPointer(PointerTargets):
    """Points from two learned queries to the first and the last sub-word of an answer, or to the empty slot.

    Parameters
    ----------
    width
        Size of the encoder's states.
    settings
        ``size``, ``reach``, ``memory``, ``dropout``.

    Notes
    -----
    What the start's pointer reads goes into the end's query, q_end + U m_start (Wang & Jiang 2017, Machine
    comprehension using Match-LSTM and answer pointer, section 2.3, without their recurrence). A distance counts from
    the start: the end's score of place i has Σ_j A_start,j r(i − j), which the empty slot has no part in.
    """

    def __init__(self, width: int, settings: Mapping[str, Any]):
        size, reach = int(settings["size"]), settings["reach"]
        super().__init__(width, size)
        self.dropout = nn.Dropout(float(settings["dropout"]))
        self.reach = reach
        self.queries = nn.Parameter(torch.empty(2, size))
        self.distance = None if reach is None else nn.Parameter(torch.empty(2 * reach + 1))
        self.memory = PointerMemory(width, size) if settings["memory"] else None
        self.onward = nn.Linear(size, size, bias=False) if settings["memory"] else None
        fresh_parameters(self)

    def forward(self, hidden: torch.Tensor, *, context: torch.Tensor | None = None) -> torch.Tensor:
        """Score starts and ends.

        Parameters
        ----------
        hidden
            States of all sub-words, shape (batch, length, width).
        context
            1 where a sub-word of the context stands, 2 at the one place whose output is the empty slot's, else 0;
            shape (batch, length). None: all is context but the first place.

        Returns
        -------
        torch.Tensor
            Shape (batch, length, 2), float32; the lowest number where nothing can be pointed to.
        """
        if context is None:
            context = torch.ones(hidden.shape[:2], dtype=torch.long, device=hidden.device)
            context[:, 0] = EMPTY
        valid = context == 1
        states = self.dropout(hidden)
        first, last = self.queries[:1].expand(len(states), 1, -1), self.queries[1:].expand(len(states), 1, -1)
        starts = self.compare(first, states, valid)
        shares = pointer_shares(starts)
        if self.memory is not None and self.onward is not None:
            last = last + self.onward(self.memory(shares, states))
        near = None
        if self.distance is not None and self.reach is not None:
            near = shares[..., 1:] @ distance_scores(self.distance, self.reach, states.shape[1])
        ends = self.compare(last, states, valid, near)
        both = torch.cat([starts, ends], dim=1).transpose(1, 2)
        return torch.where((context == EMPTY)[..., None], both[:, NULL, None], both[:, 1:])
