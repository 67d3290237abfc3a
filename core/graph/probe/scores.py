"""How near predicted distances come to a tree: UUAS and DSpr, as Hewitt & Manning (2019) count them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from core.graph.probe.trees import chain_distances, contract, edges_of, spanning_edges, tree_distances

__all__ = ["LENGTHS", "Scores", "chain_scores", "score", "sentence_uuas", "spearman_rows"]

#: Sentence lengths in tokens over which DSpr is averaged, both included.
LENGTHS = (5, 50)
#: Resamples of the sentences for an interval.
RESAMPLES = 1000


@dataclass(frozen=True)
class Scores:
    """Scores of one set of sentences; None where no sentence can tell.

    Parameters
    ----------
    uuas
        Share of the trees' edges that are found, direction and label aside, punctuation left out.
    uuas_low, uuas_high
        95 % interval by resampling sentences.
    dspr
        Mean Spearman correlation of predicted and true distances.
    dspr_low, dspr_high
        95 % interval by resampling sentences.
    edges
        Edges that `uuas` counts.
    sentences
        Sentences scored.
    dspr_sentences
        Sentences of 5 to 50 tokens, which `dspr` counts.
    """

    uuas: float | None
    uuas_low: float | None
    uuas_high: float | None
    dspr: float | None
    dspr_low: float | None
    dspr_high: float | None
    edges: int
    sentences: int
    dspr_sentences: int

    def as_dict(self) -> dict[str, float | int | None]:
        """Return the scores as plain data."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def spearman_rows(predicted: np.ndarray, gold: np.ndarray) -> np.ndarray:
    """Return Spearman's correlation of each row of one matrix with that of the other; ties share their mean rank.

    Parameters
    ----------
    predicted, gold
        Shape (tokens, tokens).

    Returns
    -------
    numpy.ndarray
        Shape (tokens,). Rows in which all values are equal tell nothing: 0.
    """
    one = rankdata(predicted, axis=1)
    other = rankdata(gold, axis=1)
    one -= one.mean(axis=1, keepdims=True)
    other -= other.mean(axis=1, keepdims=True)
    size = np.sqrt((one**2).sum(axis=1) * (other**2).sum(axis=1))
    return np.divide((one * other).sum(axis=1), size, out=np.zeros(len(one)), where=size > 0)


def sentence_uuas(predicted: np.ndarray, heads: np.ndarray, words: np.ndarray) -> tuple[int, int]:
    """Compare the minimum spanning tree of a sentence's words with its tree.

    As in the paper, punctuation takes no part: the predicted tree spans the words alone. Where punctuation is a head in
    the true tree, its children hang on the nearest word above it.

    Parameters
    ----------
    predicted
        Distances, shape (tokens, tokens).
    heads
        The true tree, -1 for the root; shape (tokens,).
    words
        False for punctuation; shape (tokens,).

    Returns
    -------
    (int, int)
        Edges found, and edges of the true tree.
    """
    gold = edges_of(contract(heads, words))
    found = spanning_edges(np.asarray(predicted)[np.ix_(words, words)])
    size = int(words.sum())
    return len(np.intersect1d(gold @ [size, 1], found @ [size, 1])), len(gold)


def score(
    predicted: Iterable[np.ndarray], heads: Sequence[np.ndarray], words: Sequence[np.ndarray], *, seed: int = 0
) -> Scores:
    """Score predicted distances against trees.

    UUAS counts edges over all sentences. DSpr follows the authors' published code: for every token the Spearman
    correlation of its row of distances, itself included; the mean over the tokens of all sentences of one length; then
    the mean over the lengths 5 to 50. Punctuation counts for DSpr.

    Parameters
    ----------
    predicted
        Distances of each sentence, shape (tokens, tokens).
    heads
        True trees; see :func:`sentence_uuas`.
    words
        False for punctuation; see :func:`~core.graph.probe.trees.word_mask`.
    seed
        Seed of the resampling.

    References
    ----------
    Hewitt and Manning, "A Structural Probe for Finding Syntax in Word Representations", NAACL 2019.
    """
    right, total, correlations, lengths = [], [], [], []
    for distances, tree, mask in zip(predicted, heads, words, strict=True):
        found, edges = sentence_uuas(distances, tree, mask)
        right.append(found)
        total.append(edges)
        lengths.append(len(tree))
        counts = LENGTHS[0] <= len(tree) <= LENGTHS[1]
        correlations.append(float(spearman_rows(distances, tree_distances(tree)).mean()) if counts else np.nan)
    rows = np.array([right, total, correlations, lengths], dtype=float).T
    return _summary(rows, seed)


def chain_scores(heads: Sequence[np.ndarray], words: Sequence[np.ndarray], *, seed: int = 0) -> Scores:
    """Score the linear chain, in which every word hangs on the next: the baseline that knows no language."""
    return score((chain_distances(len(tree)) for tree in heads), heads, words, seed=seed)


def _uuas(rows: np.ndarray) -> float | None:
    total = rows[:, 1].sum()
    return float(rows[:, 0].sum() / total) if total else None


def _dspr(rows: np.ndarray) -> float | None:
    # All sentences of one length have equally many tokens: the mean over their tokens is that over the sentences.
    rows = rows[~np.isnan(rows[:, 2])]
    if not len(rows):
        return None
    lengths = rows[:, 3].astype(np.int64)
    sentences = np.bincount(lengths)
    sums = np.bincount(lengths, rows[:, 2])
    return float((sums[sentences > 0] / sentences[sentences > 0]).mean())


def _summary(rows: np.ndarray, seed: int) -> Scores:
    rng = np.random.default_rng([0x50B3, seed])
    drawn: list[list[float]] = [[], []]
    for _ in range(RESAMPLES if len(rows) > 1 else 0):
        sample = rows[rng.integers(0, len(rows), len(rows))]
        for values, measure in zip(drawn, (_uuas, _dspr), strict=True):
            value = measure(sample)
            if value is not None:
                values.append(value)
    (uuas_low, uuas_high), (dspr_low, dspr_high) = (_bounds(values) for values in drawn)
    scored = int((~np.isnan(rows[:, 2])).sum())
    edges = int(rows[:, 1].sum())
    return Scores(
        _uuas(rows), uuas_low, uuas_high, _dspr(rows), dspr_low, dspr_high, edges, len(rows), scored
    )  # fmt: skip


def _bounds(values: list[float]) -> tuple[float | None, float | None]:
    if not values:
        return None, None
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)
