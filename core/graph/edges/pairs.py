"""Counting pairs of nodes without a loop over pairs: a pair is one integer, counted by sorting, block by block."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from core.graph.types import EXAMPLES, Sentence

__all__ = ["PairCounts", "blocks", "count_keys", "examples"]

#: Tokens that are looked at in one go: bounds the memory.
BLOCK = 100_000


class PairCounts(NamedTuple):
    """Pairs as keys (source · nodes + target), ascending, and how often each occurs; both int64 of shape (pairs,)."""

    keys: np.ndarray
    counts: np.ndarray


def blocks(sentences: list[Sentence], order: Iterable[int], size: int = BLOCK) -> Iterator[list[int]]:
    """Yield the indices in `order` in blocks of about `size` tokens, at least one sentence each."""
    block: list[int] = []
    tokens = 0
    for index in order:
        block.append(index)
        tokens += len(sentences[index].nodes)
        if tokens >= size:
            yield block
            block, tokens = [], 0
    if block:
        yield block


def count_keys(parts: Iterable[np.ndarray]) -> PairCounts:
    """Count keys that come in parts; each part is counted by itself and merged, so only distinct keys are kept."""
    total = PairCounts(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))
    pending: list[PairCounts] = []
    waiting = 0
    for part in parts:
        counted = PairCounts(*np.unique(np.asarray(part, dtype=np.int64), return_counts=True))
        pending.append(counted)
        waiting += len(counted.keys)
        # Merging only when as much waits as is there already keeps the work at n log n.
        if waiting > len(total.keys):
            total, pending, waiting = _merge([total, *pending]), [], 0
    return _merge([total, *pending]) if pending else total


def _merge(counted: list[PairCounts]) -> PairCounts:
    keys = np.concatenate([one.keys for one in counted])
    counts = np.concatenate([one.counts for one in counted])
    if not len(keys):
        return PairCounts(keys, counts)
    order = np.argsort(keys, kind="stable")
    keys, counts = keys[order], counts[order]
    starts = np.flatnonzero(np.diff(keys, prepend=keys[0] - 1))
    return PairCounts(keys[starts], np.add.reduceat(counts, starts))


def examples(wanted: np.ndarray, parts: Iterable[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Find the first sentences that hold each pair.

    Parameters
    ----------
    wanted
        Keys of the pairs, ascending, shape (pairs,).
    parts
        Keys that occur and the sentence of each, part by part. What comes first is taken first; the keys of one
        sentence come together.

    Returns
    -------
    np.ndarray
        Sentences, int32 of shape (pairs, 3), -1 where there are fewer.
    """
    found = np.full((len(wanted), EXAMPLES), -1, dtype=np.int32)
    filled = np.zeros(len(wanted), dtype=np.int64)
    for keys, sentences in parts if len(wanted) else ():
        at = np.minimum(np.searchsorted(wanted, keys), len(wanted) - 1)
        hit = (wanted[at] == keys) & (filled[at] < EXAMPLES)
        pair, sentence = at[hit], sentences[hit]
        order = np.argsort(pair, kind="stable")
        pair, sentence = pair[order], sentence[order]
        # The same pair twice in one sentence is one example.
        distinct = (np.diff(pair, prepend=-1) != 0) | (np.diff(sentence, prepend=-1) != 0)
        pair, sentence = pair[distinct], sentence[distinct]
        starts = np.flatnonzero(np.diff(pair, prepend=-1))
        lengths = np.diff(starts, append=len(pair))
        slot = filled[pair] + np.arange(len(pair)) - np.repeat(starts, lengths)
        room = slot < EXAMPLES
        found[pair[room], slot[room]] = sentence[room]
        filled[pair[starts]] += lengths
    return found
