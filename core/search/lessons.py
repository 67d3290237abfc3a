"""What students are trained on: texts in fixed batches of like length, and the parent's hidden states of each batch.

A batch always holds the same texts, whatever the seed and the epoch; only the order of batches is drawn. So the states
are a pure function of the batch: they are computed once for all students that one calibration serves, and a run that
was stopped computes them again bit for bit. They are kept in half precision (its rounding adds about 1e-7 to the loss)
and rounded the same way where they do not fit and are computed each time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from core.errors import DataError
from core.training.batches import evaluation_batches

__all__ = ["LEAST_TOKENS", "MEMORY", "Lesson", "Lessons", "attention_bias", "token_variances"]

#: Bytes of hidden states that are kept, at most.
MEMORY = 1 << 30
#: Fewer training sub-words teach nothing that the fit does not know.
LEAST_TOKENS = 256


@dataclass(frozen=True)
class Lesson:
    """One batch with what the parent makes of it.

    Parameters
    ----------
    mask
        (texts, sub-words), bool; None where all texts are equally long.
    bias
        The mask as attention takes it, (texts, 1, sub-words, sub-words); None likewise.
    stream
        The parent's embeddings, which are the student's too: (texts, sub-words, width).
    states
        The parent's hidden states after each layer, valid positions only: (tokens, width).
    """

    mask: torch.Tensor | None
    bias: torch.Tensor | None
    stream: torch.Tensor
    states: tuple[torch.Tensor, ...]

    def flat(self, stream: torch.Tensor) -> torch.Tensor:
        """Return the valid positions of a stream: (tokens, width)."""
        return stream.flatten(0, 1) if self.mask is None else stream[self.mask]


class Lessons:
    """All batches of one size.

    Parameters
    ----------
    encoder
        The parent, in evaluation mode.
    texts
        Sub-words of each text, with the special ones.
    tokens
        Sub-words of a batch, padding included, at most; a longer text is a batch of its own.
    padding
        The sub-word that fills short texts.
    memory
        Bytes of states that are kept, at most.

    Raises
    ------
    DataError
        If there are too few sub-words.
    """

    def __init__(
        self, encoder: Any, texts: Sequence[Sequence[int]], tokens: int, *, padding: int = 0, memory: int = MEMORY
    ):  # fmt: skip
        total = sum(len(text) for text in texts)
        if total < LEAST_TOKENS:
            raise DataError(
                f"The corpus leaves only {total} sub-words to train on.", expected=f"at least {LEAST_TOKENS}",
                advice="Give more or longer texts.",
            )  # fmt: skip
        self.encoder, self.texts, self.padding, self.tokens = encoder, texts, padding, total
        self.batches = evaluation_batches([len(text) for text in texts], tokens)
        self._left = memory
        self._kept: dict[int, list[torch.Tensor]] = {}

    def __len__(self) -> int:
        return len(self.batches)

    def number(self, seed: int, step: int) -> int:
        """Return which batch a step takes, a pure function of seed and step (from 0): each once an epoch."""
        epoch, at = divmod(step, len(self.batches))
        return int(np.random.default_rng([0xD157, seed, epoch]).permutation(len(self.batches))[at])

    def lesson(self, number: int) -> Lesson:
        """Return a batch with the parent's states; computed, or as they were kept."""
        rows = [self.texts[at] for at in self.batches[number]]
        sizes = torch.tensor([len(row) for row in rows])
        longest = int(sizes.max())
        mask = torch.arange(longest)[None] < sizes[:, None]
        whole = bool(mask.all())
        bias = None if whole else attention_bias(mask)
        halves = self._kept.get(number)
        if halves is None:
            halves = self._compute(rows, longest, bias)
            size = sum(one.numel() * one.element_size() for one in halves)
            if size <= self._left:
                self._left -= size
                self._kept[number] = halves
        stream, *states = [one.float() for one in halves]
        flat = [one.flatten(0, 1) if whole else one[mask] for one in states]
        return Lesson(None if whole else mask, bias, stream, tuple(flat))

    def _compute(self, rows: list[Sequence[int]], longest: int, bias: torch.Tensor | None) -> list[torch.Tensor]:
        ids = torch.full((len(rows), longest), self.padding, dtype=torch.long)
        for at, row in enumerate(rows):
            ids[at, : len(row)] = torch.as_tensor(row)
        with torch.no_grad():
            stream = self.encoder.embeddings(input_ids=ids)
            found = [stream.half()]
            for layer in self.encoder.encoder.layer:
                stream = layer(stream, bias)
                found.append(stream.half())
        return found


def attention_bias(mask: torch.Tensor) -> torch.Tensor:
    """Return a mask of shape (texts, sub-words) as attention adds it, (texts, 1, sub-words, sub-words)."""
    bias = torch.zeros(mask.shape).masked_fill(~mask, torch.finfo(torch.float32).min)[:, None, None, :]
    return bias.expand(-1, 1, mask.shape[1], -1).contiguous()


def token_variances(states: Sequence[torch.Tensor], mask: torch.Tensor) -> list[float]:
    """Return the variance of a token's state at each level, summed over coordinates: what the mean's error would be.

    Parameters
    ----------
    states
        Each of shape (texts, sub-words, width).
    mask
        Valid positions, (texts, sub-words).
    """
    found = []
    for state in states:
        flat = state[mask].double()
        found.append(max(float((flat - flat.mean(0)).square().sum() / len(flat)), 1e-30))
    return found
