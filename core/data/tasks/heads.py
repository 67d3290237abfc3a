"""What a head says, in one form for all heads of stock transformers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch

__all__ = ["cut_logits", "head_logits"]


def head_logits(output: Any) -> torch.Tensor:
    """Return the logits of a model's output.

    Parameters
    ----------
    output
        What a model of a task's transformers class returned.

    Returns
    -------
    torch.Tensor
        Shape (batch, classes) or (batch, length, classes). Scores of starts and ends, which transformers gives apart,
        are the two classes of every position.
    """
    found = getattr(output, "logits", None)
    if found is None:
        import torch

        found = torch.stack([output.start_logits, output.end_logits], dim=-1)
    logits: torch.Tensor = found
    return logits


def cut_logits(values: np.ndarray, feature: Mapping[str, Any], length: int) -> np.ndarray:
    """Return a feature's logits without padding.

    Parameters
    ----------
    values
        Its part of a batch's logits: shape (classes,), (length of the batch, classes), or of a head that points from
        words to words (words of the batch, 1 + words of the batch + others), or of one that scores stretches (words of
        the batch, words of the batch · types).
    feature
        The feature; one with words that are pointed to has their ``places``, one with stretches also ``spans``: how
        many types there are.
    length
        Its sub-words.
    """
    if values.ndim == 1:
        return values
    if "places" not in feature:
        return values[:length]
    words, padded = len(feature["places"]), len(values)
    if "spans" in feature:
        return values[:words, : words * feature["spans"]]
    return np.concatenate([values[:words, : 1 + words], values[:words, 1 + padded :]], axis=1)
