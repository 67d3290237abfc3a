"""Differences between two arms over documents: would other test rows have said the same?

The seeds are averaged first, then whole documents are drawn again (Efron 1979; paired, because both arms answered the
same documents) or swapped between the arms (permutation test).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

__all__ = [
    "Documents", "answered", "bootstrap_interval", "bootstrap_intervals", "permutation_p", "ratio_interval",
]  # fmt: skip

_RESAMPLES = 4999
#: Floating-point numbers that one batch of resamples may hold.
_BATCH = 4_000_000


@dataclass(frozen=True)
class Documents:
    """What both arms did with the same documents.

    Parameters
    ----------
    arm, reference
        Shape (seeds, documents, parts). ``mean``: one part, the score of a document (1 right, 0 wrong).
        ``f1``: three parts, true positives, predicted and gold spans of a document.
    score
        How documents make a score.
    """

    arm: np.ndarray
    reference: np.ndarray
    score: Literal["mean", "f1"] = "mean"

    def __post_init__(self) -> None:
        parts = 1 if self.score == "mean" else 3
        for values in (self.arm, self.reference):
            if values.ndim != 3 or values.shape[2] != parts or values.shape[0] == 0:
                raise ValueError(f"documents must have the shape (seeds, documents, {parts}), got {values.shape}")
        if self.arm.shape[1] != self.reference.shape[1]:
            raise ValueError(f"the arms answered {self.arm.shape[1]} and {self.reference.shape[1]} documents")

    @property
    def count(self) -> int:
        """Number of documents."""
        return int(self.arm.shape[1])

    def difference(self) -> float:
        """Return the seed-averaged score of the arm minus that of the reference."""
        return float(self._scored(self.arm.sum(axis=1)) - self._scored(self.reference.sum(axis=1)))

    def values(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the arm's and the reference's value of every document, shape (seeds, documents).

        Their mean over documents is the score. A document's part in an F1 is linear only around that F1: it is the F1
        plus the document's influence on it (infinitesimal jackknife, Efron 1982).
        """
        return self._values(self.arm), self._values(self.reference)

    def _values(self, answers: np.ndarray) -> np.ndarray:
        if self.score == "mean":
            return np.asarray(answers[..., 0], dtype=np.float64)
        spans = answers[..., 1] + answers[..., 2]
        whole = np.maximum(spans.sum(axis=1, keepdims=True), 1e-12)
        score = 2 * answers[..., 0].sum(axis=1, keepdims=True) / whole
        return np.asarray(score + self.count * (2 * answers[..., 0] - score * spans) / whole)

    def _scored(self, sums: np.ndarray) -> Any:
        """Return scores from sums over documents of shape (seeds, …, parts), averaged over seeds: shape (…)."""
        if self.score == "mean":
            return (sums[..., 0] / self.count).mean(axis=0)
        return (2 * sums[..., 0] / np.maximum(sums[..., 1] + sums[..., 2], 1e-12)).mean(axis=0)


def bootstrap_interval(documents: Documents, level: float = 0.95, *, seed: int = 0) -> tuple[float, float]:
    """Return the percentile interval of the seed-averaged difference, documents drawn again as pairs.

    Parameters
    ----------
    documents
        At least two documents; with fewer there is no interval and a :class:`ValueError`.
    level
        Level of confidence.
    seed
        Seed of the drawing, so that the same results give the same interval.
    """
    return bootstrap_intervals(documents, (level,), seed=seed)[0]


def bootstrap_intervals(documents: Documents, levels: Sequence[float], *, seed: int = 0) -> list[tuple[float, float]]:
    """Return the intervals of :func:`bootstrap_interval` at several levels; documents are drawn once for all."""
    from scipy.stats import bootstrap

    if documents.count < 2:
        raise ValueError("an interval over documents needs at least two of them")

    def f1(index: np.ndarray, axis: int = -1) -> Any:
        del axis  # always the last one
        sums = [values[:, index].sum(axis=-2) for values in (documents.arm, documents.reference)]
        return documents._scored(sums[0]) - documents._scored(sums[1])

    if documents.score == "mean":  # linear, so seeds can be averaged before anything is drawn
        data, size = (documents.arm.mean(axis=0) - documents.reference.mean(axis=0))[:, 0], documents.count
    else:
        data, size = np.arange(documents.count), documents.arm.size + documents.reference.size
    statistic: Any = np.mean if documents.score == "mean" else f1
    found = bootstrap(
        (data,), statistic, confidence_level=levels[0], n_resamples=_RESAMPLES, vectorized=True, method="percentile",
        batch=max(1, _BATCH // size), rng=np.random.default_rng(seed),
    )  # fmt: skip
    shares = [[50 * (1 - level), 50 * (1 + level)] for level in levels]
    return [(float(low), float(high)) for low, high in np.percentile(found.bootstrap_distribution, shares)]


def ratio_interval(
    arm: np.ndarray, reference: np.ndarray, score: str = "mean", level: float = 0.95, *, seed: int = 0
) -> tuple[float, float]:
    """Return the percentile interval of the arm's score by the reference's, documents drawn again as pairs.

    Parameters
    ----------
    arm, reference
        Answers of one run each, shape (documents, parts) as :class:`Documents` has them.
    score
        ``mean`` or ``f1``.
    level
        Level of confidence.
    seed
        Seed of the drawing.
    """
    from scipy.stats import bootstrap

    def scored(sums: np.ndarray) -> Any:
        if score == "mean":
            return sums[..., 0]
        return 2 * sums[..., 0] / np.maximum(sums[..., 1] + sums[..., 2], 1e-12)

    def ratio(index: np.ndarray, axis: int = -1) -> Any:
        del axis  # always the last one
        top, bottom = (scored(values[index].sum(axis=-2)) for values in (arm, reference))
        return top / np.maximum(bottom, 1e-12)

    found = bootstrap(
        (np.arange(len(arm)),), ratio, confidence_level=level, n_resamples=_RESAMPLES, vectorized=True,
        method="percentile", batch=max(1, _BATCH // (2 * arm.size)), rng=np.random.default_rng(seed),
    )  # fmt: skip
    return float(found.confidence_interval.low), float(found.confidence_interval.high)


def answered(found: Mapping[str, Any], count: int) -> tuple[str, np.ndarray] | None:
    """Return how a run answered its rows, from what an evaluation says of ``documents``; None where it says nothing.

    Parameters
    ----------
    found
        ``score``, and ``bits`` or ``counts``.
    count
        Number of rows.

    Returns
    -------
    (str, numpy.ndarray)
        ``mean`` with shape (rows, 1) of 0 and 1, or ``f1`` with (rows, 3) of true positives, predicted and gold spans.
    """
    if found.get("score") == "mean" and found.get("bits"):
        bits = np.unpackbits(np.frombuffer(bytes.fromhex(found["bits"]), dtype=np.uint8))[:count]
        return "mean", bits.astype(np.float64)[:, None]
    if found.get("score") == "f1" and found.get("counts"):
        return "f1", np.asarray(found["counts"], dtype=np.float64)
    return None


def permutation_p(documents: Documents, *, seed: int = 0) -> float:
    """Return the two-sided p-value of a permutation test: each document's answers change arms with a chance of ½.

    The observed assignment counts as one of the permutations, so the value is never 0 (Phipson and Smyth 2010).
    """
    generator = np.random.default_rng(seed)
    observed = abs(documents.difference())
    tolerance = 1e-12 + 1e-9 * observed
    extreme, done = 1, 0
    block = max(1, _BATCH // documents.count)
    while done < _RESAMPLES:
        size = min(block, _RESAMPLES - done)
        swapped = generator.integers(0, 2, size=(size, documents.count), dtype=np.int8).astype(np.float64)
        found = _swapped(documents, swapped)
        extreme += int((np.abs(found) >= observed - tolerance).sum())
        done += size
    return extreme / (_RESAMPLES + 1)


def _swapped(documents: Documents, swapped: np.ndarray) -> np.ndarray:
    """Return the differences after swapping, shape (permutations,)."""
    if documents.score == "mean":  # linear: a swapped document changes the difference by twice what it gave
        apart = (documents.reference.mean(axis=0) - documents.arm.mean(axis=0))[:, 0]
        return np.asarray(documents.difference() + 2 * (swapped @ apart) / documents.count)
    sums = []
    for one, other in ((documents.arm, documents.reference), (documents.reference, documents.arm)):
        moved = np.einsum("pd,sdk->spk", swapped, other - one, optimize=True)
        sums.append(one.sum(axis=1)[:, None, :] + moved)
    return np.asarray(documents._scored(sums[0]) - documents._scored(sums[1]))
