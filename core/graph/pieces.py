"""Tokens of a corpus as an encoder's sub-words: flat arrays that say which sub-words make up which token."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Aligned", "align"]

_CHUNK = 2000


@dataclass
class Aligned:
    """Sentences as sub-words, without special pieces.

    Parameters
    ----------
    ids
        Sub-words of all sentences one after another, cut to the longest input; shape (sub-words,).
    words
        For each sub-word the token of its sentence that it belongs to, counted from 0; -1: of none.
    starts
        Sub-words of sentence i: ``starts[i]`` up to ``starts[i + 1]``; shape (sentences + 1,).
    tokens
        Tokens of sentence i: ``tokens[i]`` up to ``tokens[i + 1]``; shape (sentences + 1,).
    found
        Whether a token has sub-words and all of them fit into the longest input; shape (tokens,).
    unknown
        Whether all sub-words of a token are the piece for unknown text; shape (tokens,).
    cut
        Sentences that were cut.
    prefix, suffix
        Special pieces before and behind every sentence.
    """

    ids: np.ndarray
    words: np.ndarray
    starts: np.ndarray
    tokens: np.ndarray
    found: np.ndarray
    unknown: np.ndarray
    cut: int
    prefix: tuple[int, ...]
    suffix: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def sizes(self) -> np.ndarray:
        """Sub-words of each sentence, shape (sentences,)."""
        return np.diff(self.starts)

    def batch(
        self, sentences: np.ndarray, padding: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return padded input and how its positions map to tokens.

        Returns
        -------
        ids, mask
            int64 of shape (sentences, length).
        places
            Positions in the flattened input that hold sub-words of found tokens, ascending; shape (used,).
        rows
            For each of them its token, counted over all tokens of these sentences; shape (used,).
        starts
            First token of each sentence in that count, and the end; shape (sentences + 1,).
        """
        ahead = len(self.prefix)
        sizes = self.sizes[sentences]
        length = int(sizes.max()) + ahead + len(self.suffix)
        ids = np.full((len(sentences), length), padding, dtype=np.int64)
        mask = np.zeros((len(sentences), length), dtype=np.int64)
        starts = np.concatenate([[0], np.cumsum(self.tokens[sentences + 1] - self.tokens[sentences])]).astype(np.int64)
        places, rows = [], []
        ids[:, :ahead] = self.prefix
        for index, one in enumerate(sentences):
            low, high = self.starts[one], self.starts[one + 1]
            end = ahead + high - low
            ids[index, ahead:end] = self.ids[low:high]
            ids[index, end : end + len(self.suffix)] = self.suffix
            mask[index, : end + len(self.suffix)] = 1
            words = self.words[low:high]
            known = np.flatnonzero((words >= 0) & self.found[self.tokens[one] + np.maximum(words, 0)])
            places.append(index * length + ahead + known)
            rows.append(starts[index] + words[known])
        return ids, mask, np.concatenate(places), np.concatenate(rows).astype(np.int64), starts


def align(
    tokenizer: Any,
    sentences: Sequence[list[str]],
    *,
    unit: str,
    max_length: int,
    check: Callable[[], None] = lambda: None,
) -> Aligned:
    """Cut the tokens of sentences into an encoder's sub-words.

    Parameters
    ----------
    tokenizer
        A fast tokenizer that takes texts split into words (``load_tokenizer(…, words=True)``).
    sentences
        Tokens of each sentence. One that reads like a special piece (``[SEP]``) is taken as ordinary text.
    unit
        ``subword``: tokens are pieces of the tokenizer's own vocabulary and stand for themselves. Otherwise each token
        is cut into sub-words on its own.
    max_length
        Sub-words of a sentence, special pieces included; what lies beyond is cut. A token that is cut in the middle
        counts as not found.
    check
        Called now and then; may raise to stop.
    """
    prefix, suffix = _special(tokenizer)
    capacity = max(1, max_length - len(prefix) - len(suffix))
    counts = np.fromiter((len(tokens) for tokens in sentences), dtype=np.int64, count=len(sentences))
    bounds = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    found = np.zeros(int(bounds[-1]), dtype=bool)
    known = np.zeros(int(bounds[-1]), dtype=bool)
    ids, words, sizes, cut = [], [], [], 0
    unknown = -1 if tokenizer.unk_token_id is None else int(tokenizer.unk_token_id)
    for index, (pieces, owners) in enumerate(_pieces(tokenizer, sentences, unit)):
        if index % _CHUNK == 0:
            check()
        here = bounds[index]
        found[here + owners[owners >= 0]] = True
        known[here + owners[(owners >= 0) & (pieces != unknown)]] = True
        if len(pieces) > capacity:
            cut += 1
            lost = owners[capacity:]
            found[here + lost[lost >= 0]] = False
            pieces, owners = pieces[:capacity], owners[:capacity]
        ids.append(pieces)
        words.append(owners)
        sizes.append(len(pieces))
    flat = [np.concatenate(one).astype(np.int32) if one else np.zeros(0, dtype=np.int32) for one in (ids, words)]
    starts = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]).astype(np.int64)
    return Aligned(flat[0], flat[1], starts, bounds, found, found & ~known, cut, prefix, suffix)


def _pieces(tokenizer: Any, sentences: Sequence[list[str]], unit: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield sub-words and, for each of them, its token, sentence by sentence; -1: of no token."""
    if unit == "subword":
        for tokens in sentences:
            pieces = np.asarray(
                tokenizer.convert_tokens_to_ids([_whole(token) for token in tokens]), dtype=np.int32
            ).reshape(-1)
            yield pieces, np.arange(len(pieces), dtype=np.int32)
        return
    backend = tokenizer.backend_tokenizer
    before = backend.encode_special_tokens
    for start in range(0, len(sentences), _CHUNK):
        chunk = [[_whole(token) for token in tokens] for tokens in sentences[start : start + _CHUNK]]
        try:
            # Whoever writes "[SEP]" in a text means these five characters.
            backend.encode_special_tokens = True
            encodings = backend.encode_batch(chunk, is_pretokenized=True, add_special_tokens=False)
        finally:
            backend.encode_special_tokens = before
        for encoding in encodings:
            owners = [-1 if word is None else word for word in encoding.word_ids]
            yield np.asarray(encoding.ids, dtype=np.int32), np.asarray(owners, dtype=np.int32)


def _whole(token: str) -> str:
    """Replace halves of surrogate pairs, which JSON can smuggle in and tokenizers refuse, by the replacement sign."""
    return token if token.isascii() else token.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _special(tokenizer: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the special pieces that the tokenizer puts before and behind a text."""
    encoding = tokenizer.backend_tokenizer.encode("a")
    inner = [index for index, special in enumerate(encoding.special_tokens_mask) if not special]
    if not inner:
        return (), ()
    return tuple(encoding.ids[: inner[0]]), tuple(encoding.ids[inner[-1] + 1 :])
