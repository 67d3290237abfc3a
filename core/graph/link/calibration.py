"""From scores to probabilities, fitted on links that the network did not learn from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

__all__ = ["Calibration", "fit", "reliability"]

BINS = 10


@dataclass(frozen=True)
class Calibration:
    """A monotone map from scores to probabilities.

    Parameters
    ----------
    method
        ``platt`` or ``isotonic``.
    slope, intercept
        Platt: probability = 1 / (1 + exp(−(slope · score + intercept))).
    scores, probabilities
        Isotonic: corners of the map, ascending; straight in between.
    """

    method: Literal["platt", "isotonic"]
    slope: float = 1.0
    intercept: float = 0.0
    scores: list[float] = field(default_factory=list)
    probabilities: list[float] = field(default_factory=list)

    def apply(self, scores: np.ndarray) -> np.ndarray:
        """Return probabilities, float64 of the shape of `scores`."""
        scores = np.asarray(scores, dtype=np.float64)
        if self.method == "isotonic":
            return np.interp(scores, self.scores, self.probabilities)
        return 0.5 * (1 + np.tanh(0.5 * (self.slope * scores + self.intercept)))  # the logistic function, no overflow

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def fit(method: Literal["platt", "isotonic"], scores: np.ndarray, labels: np.ndarray) -> Calibration:
    """Fit a map on scores of links (1) and of others (0).

    Parameters
    ----------
    method
        ``platt``: a logistic curve, with the targets drawn in as Platt does, which needs few examples; ``isotonic``:
        any rising curve, for many.
    scores, labels
        Shape (pairs,); both labels occur.

    References
    ----------
    Platt, "Probabilistic outputs for support vector machines", 1999; Zadrozny and Elkan, KDD 2002.
    """
    scores, labels = np.asarray(scores, dtype=np.float64), np.asarray(labels).astype(bool)
    if method == "isotonic":
        from sklearn.isotonic import IsotonicRegression

        found = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(scores, labels.astype(float))
        return Calibration("isotonic", scores=found.X_thresholds_.tolist(), probabilities=found.y_thresholds_.tolist())
    from sklearn.linear_model import LogisticRegression

    good, bad = int(labels.sum()), int((~labels).sum())
    target = np.where(labels, (good + 1) / (good + 2), 1 / (bad + 2))
    # A soft target is one example of either label, weighted.
    twice = np.concatenate([scores, scores])[:, None]
    model = LogisticRegression(C=1e6).fit(
        twice, np.repeat([1, 0], len(scores)), sample_weight=np.concatenate([target, 1 - target])
    )
    # A curve that falls would turn the order of scores round: then they tell nothing, and all are equal.
    slope = float(model.coef_[0, 0])
    if slope <= 0:
        share = good / (good + bad)
        return Calibration("platt", 0.0, float(np.log(share / (1 - share))))
    return Calibration("platt", slope, float(model.intercept_[0]))


def reliability(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """Compare probabilities with what was the case.

    Returns
    -------
    dict
        ``brier`` (mean squared error), ``ece`` (expected calibration error over ten bins of equal width), and ``bins``:
        mean probability, share of links and number of pairs of each bin that is not empty.
    """
    probabilities, labels = np.asarray(probabilities, dtype=np.float64), np.asarray(labels, dtype=np.float64)
    if not len(labels):
        return {"brier": None, "ece": None, "bins": []}
    place = np.minimum((probabilities * BINS).astype(int), BINS - 1)
    counts = np.bincount(place, minlength=BINS)
    there = counts > 0
    mean = np.bincount(place, probabilities, BINS)[there] / counts[there]
    share = np.bincount(place, labels, BINS)[there] / counts[there]
    ece = float((np.abs(mean - share) * counts[there]).sum() / len(labels))
    columns = zip(mean.tolist(), share.tolist(), counts[there].tolist(), strict=True)
    bins = [{"probability": one, "share": two, "pairs": three} for one, two, three in columns]
    return {"brier": float(((probabilities - labels) ** 2).mean()), "ece": ece, "bins": bins}
