"""Sentences for training, for stopping and for scoring; and the links that each part shows first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from core.graph.edges.pairs import count_keys
from core.graph.link.negatives import contains
from core.graph.types import Corpus, Sentence

__all__ = ["FOLDS", "TEST", "VALIDATION", "first_seen", "part_of_corpus", "seen_pairs", "split_sentences"]

#: Parts of the sentences that are not held out: one for stopping and calibration, the others for training.
FOLDS = 5
VALIDATION = 0
TEST = -1
_PUNCTUATION = "punct"
#: Sentences whose pairs are counted in one go: bounds the memory.
_BLOCK = 5000


def split_sentences(texts: Sequence[str], held_out: float, seed: int) -> np.ndarray:
    """Give every sentence a part; sentences that read the same share one.

    Parameters
    ----------
    texts
        The sentences.
    held_out
        Share of the sentences for scoring.
    seed
        Seed of the drawing.

    Returns
    -------
    numpy.ndarray
        :data:`TEST`, :data:`VALIDATION`, or a fold of training from 1; int64 of shape (sentences,).
    """
    _, same = np.unique(np.asarray(texts, dtype=object).astype(str), return_inverse=True)
    distinct = int(same.max()) + 1 if len(same) else 0
    order = np.random.default_rng([0x5917, seed]).permutation(distinct)
    test = round(held_out * distinct)
    part = np.empty(distinct, dtype=np.int64)
    part[order[:test]] = TEST
    part[order[test:]] = np.arange(distinct - test) % FOLDS
    return part[same]


def part_of_corpus(corpus: Corpus, chosen: np.ndarray) -> Corpus:
    """Return a corpus of some of the sentences, counted anew; the nodes keep their numbers.

    Parameters
    ----------
    corpus
        The whole corpus.
    chosen
        Booleans of shape (sentences,).
    """
    sentences = [sentence for sentence, take in zip(corpus.sentences, chosen.tolist(), strict=True) if take]
    nodes = np.concatenate([np.empty(0, dtype=np.int64), *(sentence.nodes for sentence in sentences)]).astype(np.int64)
    counts = np.bincount(nodes[nodes >= 0], minlength=len(corpus.words))
    return replace(corpus, sentences=sentences, counts=counts)


def seen_pairs(
    sentences: Sequence[Sentence], nodes: int, *, window: int | None, punctuation: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Collect the pairs that sentences show, whatever their weight as edges would be.

    Parameters
    ----------
    sentences
        The sentences.
    nodes
        Number of words.
    window
        Both directions of the words at most so many places apart (cooc); None: head and dependent (dep).
    punctuation
        Keep the relation ``punct`` (dep only).

    Returns
    -------
    (numpy.ndarray, numpy.ndarray)
        Keys (source · nodes + target), ascending, no loops; and how often each occurs.
    """
    blocks = (sentences[at : at + _BLOCK] for at in range(0, len(sentences), _BLOCK))
    found = count_keys(_keys(block, nodes, window, punctuation) for block in blocks)
    return found.keys, found.counts


def _keys(sentences: Sequence[Sentence], nodes: int, window: int | None, punctuation: bool) -> np.ndarray:
    keys: list[np.ndarray] = [np.empty(0, dtype=np.int64)]
    for sentence in sentences:
        words = np.asarray(sentence.nodes, dtype=np.int64)
        if window is not None:
            for step in range(1, min(window, len(words) - 1) + 1):
                one, other = words[:-step], words[step:]
                kept = (one >= 0) & (other >= 0) & (one != other)
                keys += [one[kept] * nodes + other[kept], other[kept] * nodes + one[kept]]
        elif sentence.heads is not None:
            place = np.asarray(sentence.heads, dtype=np.int64)
            heads = np.where(place >= 0, words[np.maximum(place, 0)], -1)
            kept = (heads >= 0) & (words >= 0) & (heads != words)
            if not punctuation and sentence.relations:
                kept &= np.array([name != _PUNCTUATION for name in sentence.relations], dtype=bool)
            keys.append(heads[kept] * nodes + words[kept])
    return np.concatenate(keys)


def first_seen(
    later: tuple[np.ndarray, np.ndarray], before: np.ndarray, known: np.ndarray, *, min_count: int = 1
) -> np.ndarray:
    """Return the pairs that later sentences show and earlier ones do not, between words that the earlier ones know.

    Parameters
    ----------
    later
        Keys and counts of the later sentences' pairs; see :func:`seen_pairs`.
    before
        Keys of the earlier sentences' pairs, however rare, ascending.
    known
        Words of the earlier sentences; booleans of shape (nodes,).
    min_count
        Leave out pairs that occur less often in the later sentences.

    Returns
    -------
    numpy.ndarray
        Source and target, int64 of shape (pairs, 2).
    """
    keys, counts = later
    sources, targets = np.divmod(keys, max(1, len(known)))
    kept = (counts >= min_count) & ~contains(before, keys) & known[sources] & known[targets]
    return np.stack([sources[kept], targets[kept]], axis=1)
