"""Sub-words of texts and of words, straight from the tokenizer's backend, in batches, and their padding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from core.data.tasks.base import Rows
from core.errors import ModelError

if TYPE_CHECKING:
    import torch

__all__ = ["Frame", "backend_of", "batches", "frame_of", "pad", "piece_texts", "piece_words"]

_BATCH = 1000


@dataclass(frozen=True)
class Frame:
    """Special pieces that the tokenizer puts before and behind a text, e.g. ``[CLS]`` … ``[SEP]``."""

    before: tuple[int, ...]
    behind: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of special pieces."""
        return len(self.before) + len(self.behind)


def batches(rows: Rows, size: int = _BATCH) -> Iterator[dict[str, list[Any]]]:
    """Yield columns of `size` rows at a time, so that a large memory-mapped data set is never held as lists."""
    for start in range(0, len(rows), size):
        yield rows[start : min(start + size, len(rows))]


@contextmanager
def backend_of(tokenizer: Any, max_length: int | None = None) -> Iterator[Any]:
    """Give the fast backend without padding and with the truncation asked for, and restore its state afterwards.

    A ``tokenizer.json`` may carry truncation and padding of its own (sentence encoders do); they must not leak in.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise ModelError(
            "The model's tokenizer is not a fast one.",
            expected="a tokenizer that can be written as tokenizer.json",
            advice="Save it with `AutoTokenizer.from_pretrained(…).save_pretrained(folder)` in a recent transformers.",
        )
    truncation, padding = backend.truncation, backend.padding
    backend.no_padding()
    if max_length is None:
        backend.no_truncation()
    else:
        backend.enable_truncation(max_length, strategy="longest_first")
    try:
        yield backend
    finally:
        if truncation is None:
            backend.no_truncation()
        else:
            backend.enable_truncation(**truncation)
        if padding is not None:
            backend.enable_padding(**padding)


def frame_of(tokenizer: Any) -> Frame:
    """Return the special pieces around a single text."""
    with backend_of(tokenizer) as backend:
        encoding = backend.encode("a")
    special = encoding.special_tokens_mask
    first = next((index for index, flag in enumerate(special) if not flag), len(special))
    last = next((index for index in range(len(special) - 1, -1, -1) if not special[index]), first - 1)
    return Frame(tuple(encoding.ids[:first]), tuple(encoding.ids[last + 1 :]))


def piece_texts(
    tokenizer: Any, texts: Sequence[str], pairs: Sequence[str] | None, max_length: int
) -> Iterator[tuple[list[int], list[int] | None, bool]]:
    """Yield (ids, types, cut) of each text, special pieces included, cut at `max_length` from the longer of a pair.

    ``types`` is given for pairs only, and only where the
    tokenizer says that its model reads them.
    """
    typed = pairs is not None and "token_type_ids" in tokenizer.model_input_names
    inputs: list[Any] = list(texts) if pairs is None else list(zip(texts, pairs, strict=True))
    with backend_of(tokenizer, max_length) as backend:
        encodings = backend.encode_batch_fast(inputs)
    for encoding in encodings:
        yield encoding.ids, encoding.type_ids if typed else None, bool(encoding.overflowing)


def piece_words(tokenizer: Any, sentences: Sequence[Sequence[str]]) -> Iterator[tuple[list[int], np.ndarray]]:
    """Yield (ids, words) of each sentence given as words, without special pieces; ``words`` is each piece's word.

    A byte-level tokenizer takes a word's leading space for a part of it, so every word gets one, as inside a text.
    """
    with backend_of(tokenizer) as backend:
        if b"ByteLevel" in backend.pre_tokenizer.__getstate__() if backend.pre_tokenizer is not None else False:
            sentences = [[word if word[:1].isspace() else f" {word}" for word in words] for words in sentences]
        # encode_batch_fast would be faster, but it does not keep which word a piece belongs to.
        encodings = backend.encode_batch(
            [list(words) for words in sentences], is_pretokenized=True, add_special_tokens=False
        )
    for encoding in encodings:
        yield encoding.ids, np.asarray(encoding.word_ids, dtype=np.int32)


def pad(features: Sequence[dict[str, Any]], tokenizer: Any, pad_to: int | None = None) -> dict[str, torch.Tensor]:
    """Pad ``input_ids`` (and ``token_type_ids``) on the right.

    Parameters
    ----------
    features
        Features without padding.
    tokenizer
        Gives the padding index.
    pad_to
        Length to pad to; the longest feature's where it is None or shorter.

    Returns
    -------
    dict of torch.Tensor
        int64 tensors ``input_ids`` and ``attention_mask``, and ``token_type_ids`` if any feature has them; shape
        (batch, length).
    """
    import torch

    lengths = np.fromiter((len(feature["input_ids"]) for feature in features), dtype=np.int64, count=len(features))
    width = max(int(lengths.max(initial=0)), pad_to or 0)
    filled = np.arange(width) < lengths[:, None]
    ids = np.full((len(features), width), tokenizer.pad_token_id or 0, dtype=np.int64)
    pieces = chain.from_iterable(feature["input_ids"] for feature in features)
    ids[filled] = np.fromiter(pieces, dtype=np.int64, count=int(lengths.sum()))
    batch = {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(filled.astype(np.int64))}
    if any("token_type_ids" in feature for feature in features):
        types = np.zeros_like(ids)
        for row, feature in enumerate(features):
            if "token_type_ids" in feature:
                types[row, : lengths[row]] = feature["token_type_ids"]
        batch["token_type_ids"] = torch.from_numpy(types)
    return batch
