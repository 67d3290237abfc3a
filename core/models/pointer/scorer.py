"""Scores of pointers over the words of a sentence and an empty slot, and the memory that is read through them.

Both parts know nothing of a task: what the empty slot means ("no entity", "no answer", the root of a tree) and how
scores become answers is the business of whoever builds on them.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional

__all__ = [
    "DEVIATION", "LOWEST", "NULL", "PointerMemory", "PointerScorer", "PointerTargets", "distance_scores",
    "fresh_parameters", "pointer_shares",
]  # fmt: skip

#: Where the empty slot stands among what can be pointed to; word i stands at 1 + i.
NULL = 0
#: Standard deviation of fresh weights, as in BERT.
DEVIATION = 0.02
#: Score of what cannot be pointed to: its share is exactly 0, and no infinity gets into a gradient.
LOWEST = torch.finfo(torch.float32).min


class PointerTargets(nn.Module):
    """What can be pointed to: the words of a sentence by their keys, and the empty slot by a learned one.

    Parameters
    ----------
    width
        Size of the words' states.
    size
        Dimension d of queries and keys.
    entries
        Whether entries of a dictionary can be pointed to as well; the module then has one parameter more, what an entry
        has over a word.
    """

    def __init__(self, width: int, size: int, *, entries: bool = False):
        super().__init__()
        self.size = size
        self.key = nn.Linear(width, size, bias=False)
        self.bias = nn.Linear(width, 1)
        self.null = nn.Parameter(torch.empty(size))
        self.offset = nn.Parameter(torch.empty(1)) if entries else None
        fresh_parameters(self)

    def reset(self, deviation: float = DEVIATION) -> None:
        """Initialise anew from the ambient random state; distances and biases begin at zero."""
        fresh_parameters(self, deviation)

    def compare(
        self, queries: torch.Tensor, states: torch.Tensor, valid: torch.Tensor, near: torch.Tensor | None = None,
        entries: torch.Tensor | None = None,
    ) -> torch.Tensor:  # fmt: skip
        """Score queries of shape (batch, queries, size) against words; see :meth:`PointerScorer.forward`.

        `near` is added to the scores of words: of a shape that broadcasts to (batch, queries, words).
        """
        keys = self.key(states)
        null = self.null.to(keys.dtype).expand(len(keys), 1, -1)
        scaled = (queries * (1.0 / math.sqrt(self.size))).to(keys.dtype)
        scores = torch.matmul(scaled, torch.cat([null, keys], dim=1).transpose(1, 2)).float()
        scores = scores + functional.pad(self.bias(states).squeeze(-1).float(), (1, 0))[:, None, :]
        if near is not None:
            scores = scores + functional.pad(near, (1, 0))
        scores = scores.masked_fill(functional.pad(~valid, (1, 0), value=False)[:, None, :], LOWEST)
        if entries is None or self.offset is None:
            return scores
        named = torch.matmul(scaled, self.key(entries).to(scaled.dtype).T).float()
        named = named + self.bias(entries).squeeze(-1).float() + self.offset.float()
        return torch.cat([scores, named], dim=-1)


class PointerScorer(PointerTargets):
    """Scores of every word for pointing to every word, or to the empty slot.

    Parameters
    ----------
    width
        Size of the words' states.
    size
        Dimension d of queries and keys.
    reach
        Distance from which on all distances count as one. None: without a score of the distance, and the module then
        has no parameter for it.
    entries
        See :class:`PointerTargets`.

    Notes
    -----
    s_{t,i} = (W_q h_t)ᵀ(W_k h_i) / √d + r(clip(i − t, −reach, reach)) + uᵀh_i + b, and for the empty slot
    s_{t,0} = (W_q h_t)ᵀk₀ / √d with a learned key k₀. Additive attention over the input is the pointer of Vinyals et
    al. (2015, Pointer Networks); scores of clipped distances are those of Shaw et al. (2018) as one number a distance
    (Raffel et al. 2020); uᵀh_i, how likely a word is to be pointed to by any other, is the second term of Dozat &
    Manning (2017), equation 6. b alone would change nothing among words: it is what a word has over the empty slot. An
    entry e of a dictionary stands nowhere, so it has no distance: s_{t,e} = (W_q h_t)ᵀ(W_k v_e)/√d + uᵀv_e + b + c.

    Examples
    --------
    >>> scorer = PointerScorer(8, 4, reach=2)
    >>> scores = scorer(torch.zeros(1, 3, 8), torch.tensor([[True, True, False]]))
    >>> scores.shape, pointer_shares(scores)[0, 0].tolist()[3]
    (torch.Size([1, 3, 4]), 0.0)
    """

    def __init__(self, width: int, size: int, *, reach: int | None = None, entries: bool = False):
        super().__init__(width, size, entries=entries)
        self.reach = reach
        self.query = nn.Linear(width, size, bias=False)
        self.distance = None if reach is None else nn.Parameter(torch.empty(2 * reach + 1))
        fresh_parameters(self)

    def forward(self, states: torch.Tensor, valid: torch.Tensor, entries: torch.Tensor | None = None) -> torch.Tensor:
        """Score the words of a batch of sentences.

        Parameters
        ----------
        states
            The words' states, shape (batch, words, width); what stands at places that are not valid does not count,
            as long as it is finite.
        valid
            True where a word stands; shape (batch, words).
        entries
            Vectors of the dictionary's entries, the same for all sentences; shape (entries, width).

        Returns
        -------
        torch.Tensor
            Shape (batch, words, 1 + words + entries), float32: the empty slot, the words, then the entries. Places that
            are not valid have the lowest finite number, so that their share is exactly 0; the empty slot and entries
            are always valid.
        """
        near = None
        if self.distance is not None and self.reach is not None:
            near = distance_scores(self.distance, self.reach, states.shape[1])
        return self.compare(self.query(states), states, valid, near, entries)


def distance_scores(distance: torch.Tensor, reach: int, words: int) -> torch.Tensor:
    """Return the score of the clipped distance i − t, shape (words, words), from one number a distance."""
    places = torch.arange(1 - words, words, device=distance.device).clamp(-reach, reach)
    line = distance[places + reach]
    # Row t is the line from words - 1 - t on: all rows are views of it.
    return line.unfold(0, words, 1).flip(0)


def fresh_parameters(module: nn.Module, deviation: float = DEVIATION) -> None:
    """Initialise a pointing module anew from the ambient random state: biases and distances at zero."""
    for part in module.modules():
        for name, parameter in part.named_parameters(recurse=False):
            if name in ("bias", "distance", "offset"):
                nn.init.zeros_(parameter)
            else:
                nn.init.normal_(parameter, std=deviation)


def pointer_shares(scores: torch.Tensor) -> torch.Tensor:
    """Return A: the softmax over what can be pointed to, of the shape of the scores, in float32."""
    return functional.softmax(scores.float(), dim=-1)


class PointerMemory(nn.Module):
    """What a pointer reads: m_t = A_{t,0} v₀ + Σ_i A_{t,i} W_v h_i, with a learned v₀ for the empty slot.

    Entries of a dictionary are read as words are, by their vectors in place of h.

    Parameters
    ----------
    width
        Size of the words' states.
    size
        Size of the memory.
    """

    def __init__(self, width: int, size: int):
        super().__init__()
        self.size = size
        self.value = nn.Linear(width, size, bias=False)
        self.null = nn.Parameter(torch.empty(size))
        fresh_parameters(self)

    def reset(self, deviation: float = DEVIATION) -> None:
        """Initialise anew from the ambient random state."""
        fresh_parameters(self, deviation)

    def forward(self, shares: torch.Tensor, states: torch.Tensor, entries: torch.Tensor | None = None) -> torch.Tensor:
        """Read the words' states.

        Parameters
        ----------
        shares
            A of shape (batch, queries, 1 + words + entries), the empty slot first; see :func:`pointer_shares`.
        states
            Shape (batch, words, width); finite also where no word stands.
        entries
            Shape (entries, width).

        Returns
        -------
        torch.Tensor
            Shape (batch, queries, size), in the precision of the values.
        """
        values = self.value(states)
        null = self.null.to(values.dtype).expand(len(values), 1, -1)
        parts = shares.to(values.dtype)
        if entries is None:
            return torch.matmul(parts, torch.cat([null, values], dim=1))
        words = 1 + states.shape[1]
        read = torch.matmul(parts[..., :words], torch.cat([null, values], dim=1))
        return read + torch.matmul(parts[..., words:], self.value(entries))
