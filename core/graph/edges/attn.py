"""Attention edges: how much a word attends to another on average, layer by layer.

Only workers import this module: it needs torch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from core.config.graph import AttnEdges
from core.graph.states import ATTENTION_LENGTH, Encoder
from core.graph.types import EXAMPLES, Corpus, EdgeSet

__all__ = ["MOST_NUMBERS", "attn_edges"]

#: Sums that are kept, pairs of words times layers: 4 bytes each. Beyond that sentences are drawn.
MOST_NUMBERS = 60_000_000


def attn_edges(
    corpus: Corpus,
    encoder: Encoder,
    settings: AttnEdges,
    layers: Any = "all",
    *,
    check: Callable[[], None] = lambda: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    notices: list[str] | None = None,
    most_numbers: int = MOST_NUMBERS,
) -> list[EdgeSet]:
    """Average attention from word to word over heads and over all places where both stand in one sentence.

    The attention from a word to another in a sentence is the sum over the other's sub-words, averaged over its own.
    What goes to special pieces (``[CLS]``, ``[SEP]``) is left out and the rest is **not** scaled up to 1, so that a
    word that mostly attends to them has weak edges. A word's attention to itself is left out too.

    Parameters
    ----------
    corpus, encoder
        Sentences; and the encoder, loaded with ``eager=True``.
    settings
        Heads, edges kept a word, and the fewest sentences of a pair.
    layers
        ``all``, or layers from 1 on. Layer 0, the embeddings, has no attention and is passed over.
    check, progress
        Called between batches; with sentences done and sentences in all.
    notices
        A list that is told what was drawn or cut.
    most_numbers
        Bound of the memory: most (pairs of words × layers). A larger corpus gives as many sentences, drawn evenly, as
        stay below.

    Returns
    -------
    list of EdgeSet
        One a layer: each word's `settings.k` strongest edges to others. `counts` are the sentences that hold the pair,
        `examples` the first three of them.

    Raises
    ------
    ModelError
        If the encoder gives no attention weights.
    ConfigError
        If it has no such layer or head.
    """
    chosen = [layer for layer in encoder.pick_layers(layers) if layer]
    if not chosen:
        return []
    encoder.pick_heads(chosen, settings.heads)
    longest = min(encoder.max_length, ATTENTION_LENGTH)
    aligned = encoder.align([one.tokens for one in corpus.sentences], unit=corpus.unit, max_length=longest, check=check)
    nodes = [
        np.where(aligned.found[low:high], np.asarray(sentence.nodes, dtype=np.int64), -1)
        for sentence, low, high in zip(corpus.sentences, aligned.tokens[:-1], aligned.tokens[1:], strict=True)
    ]
    usable = np.flatnonzero([len(np.unique(one[one >= 0])) > 1 for one in nodes])
    run = _draw(nodes, usable, most_numbers // len(chosen))
    if notices is not None and len(run) < len(usable):
        notices.append(f"Attention is averaged over {len(run):,} of {len(usable):,} sentences, drawn evenly.")
    if notices is not None and aligned.cut:
        notices.append(f"For attention {aligned.cut:,} sentences were cut at {longest} sub-words.")
    keys, holders = _pairs(nodes, run, len(corpus.words), check)
    pairs, counts = np.unique(keys, return_counts=True)
    pairs, counts = pairs[counts >= settings.min_count], counts[counts >= settings.min_count]
    sums = {layer: np.zeros(len(pairs), dtype=np.float32) for layer in chosen}
    times = np.zeros(len(pairs), dtype=np.int32)
    if len(pairs):
        batches = encoder.states(
            aligned, [], attentions=chosen, heads=settings.heads, only=run, check=check, progress=progress
        )
        for batch in batches:
            _add(sums, times, pairs, batch.attentions, [nodes[one] for one in batch.sentences], len(corpus.words))
    examples = _examples(keys, holders, pairs)
    return [
        _strongest(pairs, sums[layer] / np.maximum(times, 1), settings.k, len(corpus.words), counts, examples, layer)
        for layer in chosen
    ]


def _draw(nodes: list[np.ndarray], usable: np.ndarray, most_pairs: int) -> np.ndarray:
    """Return the sentences that are used: all, or as many, drawn evenly, as have about `most_pairs` pairs of tokens."""
    total = sum(int((nodes[index] >= 0).sum()) ** 2 for index in usable)
    if total <= most_pairs:
        return usable
    count = max(1, int(len(usable) * most_pairs / total))
    return usable[np.arange(count) * len(usable) // count]


def _pairs(
    nodes: list[np.ndarray], run: np.ndarray, words: int, check: Callable[[], None]
) -> tuple[np.ndarray, np.ndarray]:
    """Return for every sentence the pairs of different words in it (as source · words + target), and the sentence."""
    keys, holders = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int32)]
    for count, index in enumerate(run):
        if count % 1000 == 0:
            check()
        inside = np.unique(nodes[index][nodes[index] >= 0])
        table = inside[:, None] * words + inside
        found = table[~np.eye(len(inside), dtype=bool)]
        keys.append(found)
        holders.append(np.full(len(found), index, dtype=np.int32))
    return np.concatenate(keys), np.concatenate(holders)


def _add(
    sums: dict[int, np.ndarray],
    times: np.ndarray,
    pairs: np.ndarray,
    attentions: dict[int, list[np.ndarray]],
    nodes: list[np.ndarray],
    words: int,
) -> None:
    """Add a batch's attention to the sums of its pairs, in place."""
    places, masks = [], []
    for of in nodes:
        keys = of[:, None] * words + of
        place = np.minimum(np.searchsorted(pairs, keys), len(pairs) - 1)
        mask = (of[:, None] >= 0) & (of >= 0) & (pairs[place] == keys) & (of[:, None] != of)
        places.append(place[mask])
        masks.append(mask)
    where = np.concatenate(places)
    np.add.at(times, where, 1)
    for layer, matrices in attentions.items():
        values = np.concatenate([matrix[mask] for matrix, mask in zip(matrices, masks, strict=True)])
        np.add.at(sums[layer], where, values)


def _examples(keys: np.ndarray, holders: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Return the first sentences of each pair, int32 of shape (pairs, 3), -1 where there are fewer."""
    found = np.full((len(pairs), EXAMPLES), -1, dtype=np.int32)
    if not len(pairs):
        return found
    place = np.minimum(np.searchsorted(pairs, keys), len(pairs) - 1)
    kept = np.flatnonzero(pairs[place] == keys)
    order = kept[np.argsort(place[kept], kind="stable")]  # sentences ascend within a pair
    of = place[order]
    rank = np.arange(len(of)) - np.searchsorted(of, of)
    early = rank < EXAMPLES
    found[of[early], rank[early]] = holders[order[early]]
    return found


def _strongest(
    pairs: np.ndarray,
    weights: np.ndarray,
    k: int,
    words: int,
    counts: np.ndarray,
    examples: np.ndarray,
    layer: int,
) -> EdgeSet:
    """Keep the k heaviest edges of every word; of equal ones those to the more frequent word."""
    sources, targets = np.divmod(pairs, words)
    order = np.lexsort((targets, -weights, sources))
    order = order[weights[order] > 0]
    rank = np.arange(len(order)) - np.searchsorted(sources[order], sources[order])
    kept = order[rank < k]
    return EdgeSet.of(
        "attn",
        sources[kept],
        targets[kept],
        weights[kept],
        layer=layer,
        counts=counts[kept],
        examples=examples[kept],
    )
