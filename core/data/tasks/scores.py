"""Scores of label lists from counts, and seeded bootstrap intervals of any score that is a function of counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

__all__ = ["bootstrap_counts", "bootstrap_mean", "f1_parts", "interval", "matrix_scores", "micro_f1", "softmax"]

#: Resamples of a bootstrap interval and its seed: the interval of the same predictions is always the same.
RESAMPLES = 1000
SEED = 20_261
_CHUNK = 4_000_000


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return probabilities over the last axis, in double precision."""
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    powers = np.exp(shifted)
    return powers / powers.sum(axis=-1, keepdims=True)


def f1_parts(hits: np.ndarray, predicted: np.ndarray, gold: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return precision, recall and F1 of counts of any equal shape; 0 where one is not defined."""
    precision = np.divide(hits, predicted, out=np.zeros(hits.shape), where=predicted > 0)
    recall = np.divide(hits, gold, out=np.zeros(hits.shape), where=gold > 0)
    total = predicted + gold
    f1 = np.divide(2.0 * hits, total, out=np.zeros(hits.shape), where=total > 0)
    return precision, recall, f1


def micro_f1(hits: np.ndarray, predicted: np.ndarray, gold: np.ndarray) -> np.ndarray:
    """Return F1 of counts summed over the last axis (the labels)."""
    return f1_parts(hits.sum(-1), predicted.sum(-1), gold.sum(-1))[2]


def matrix_scores(hits: np.ndarray, predicted: np.ndarray, gold: np.ndarray) -> dict[str, np.ndarray]:
    """Return accuracy, macro F1 and Matthews' correlation of single-label predictions.

    Parameters
    ----------
    hits, predicted, gold
        Rows of each label that were right, predicted, gold; shape (…, labels).

    Notes
    -----
    Macro F1 is the mean over the labels that occur as gold or prediction. The multi-class correlation is R_K of
    Gorodkin (2004); it is 0 where gold or prediction are constant.
    """
    rows = gold.sum(-1).astype(np.float64)
    right = hits.sum(-1).astype(np.float64)
    accuracy = np.divide(right, rows, out=np.zeros(right.shape), where=rows > 0)
    f1 = f1_parts(hits, predicted, gold)[2]
    present = (predicted + gold) > 0
    macro = np.divide(f1.sum(-1), present.sum(-1), out=np.zeros(right.shape), where=present.any(-1))
    predicted, gold = predicted.astype(np.float64), gold.astype(np.float64)
    spread = (rows**2 - (predicted**2).sum(-1)) * (rows**2 - (gold**2).sum(-1))
    covariance = right * rows - (predicted * gold).sum(-1)
    mcc = np.divide(covariance, np.sqrt(np.maximum(spread, 0)), out=np.zeros(right.shape), where=spread > 0)
    return {"accuracy": accuracy, "macro_f1": macro, "mcc": mcc}


def interval(values: np.ndarray) -> list[float]:
    """Return the 2.5 % and 97.5 % points of resampled values, shape (resamples,)."""
    low, high = np.percentile(values, [2.5, 97.5])
    return [float(low), float(high)]


def bootstrap_counts(
    groups: np.ndarray,
    sizes: np.ndarray,
    statistic: Callable[[np.ndarray], Mapping[str, np.ndarray]],
    *,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> dict[str, np.ndarray]:
    """Resample rows with replacement and return the statistics of every resample.

    Parameters
    ----------
    groups, sizes
        Rows that add the same counts form a group: what a row of it adds, shape (groups, columns), and how many rows
        it has, shape (groups,). How often a group is drawn is multinomial, so this is the same distribution as drawing
        rows, and many times as fast.
    statistic
        Maps summed counts of shape (resamples, columns) to arrays whose first axis is the resamples.
    resamples, seed
        Number of resamples and seed of the draw.

    References
    ----------
    Efron & Tibshirani (1993), An Introduction to the Bootstrap, chapter 13 (percentile interval).
    """
    rows = int(sizes.sum())
    rng = np.random.default_rng(seed)
    found: dict[str, list[np.ndarray]] = {}
    step = max(1, _CHUNK // max(1, len(groups)))
    for start in range(0, resamples, step):
        drawn = rng.multinomial(rows, sizes / rows, size=min(step, resamples - start))
        # Exact in double precision: counts stay far below 2^53. Integer matrix products would not use BLAS.
        sums = np.rint(drawn.astype(np.float64) @ groups.astype(np.float64)).astype(np.int64)
        for name, values in statistic(sums).items():
            found.setdefault(name, []).append(np.asarray(values))
    return {name: np.concatenate(parts) for name, parts in found.items()}


def bootstrap_mean(
    values: np.ndarray, weights: np.ndarray | None = None, *, resamples: int = RESAMPLES, seed: int = SEED
) -> np.ndarray:
    """Resample rows and return Σ values / Σ weights of each resample (weights: 1); shape (resamples,)."""
    rng = np.random.default_rng(seed)
    count = len(values)
    step = max(1, _CHUNK // max(1, count))
    means = []
    for start in range(0, resamples, step):
        drawn = rng.integers(0, count, size=(min(step, resamples - start), count))
        total = float(count) if weights is None else weights[drawn].sum(axis=1)
        means.append(values[drawn].sum(axis=1) / total)
    return np.concatenate(means)
