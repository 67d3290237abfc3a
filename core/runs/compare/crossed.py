"""Differences between two arms over seeds *and* documents: would other seeds on other test rows have said the same?

Neither interval alone answers that. The one over seeds holds the documents fixed, the one over documents the seeds; the
mean difference d of S seeds on N documents varies with both. With d(s, i) = seed + document + rest, each independent,

    Var(d) = σ²_seed / S + σ²_document / N + σ²_rest / (S·N),

of which the spread over seeds holds the first and the last part, the spread over documents the last two (expected mean
squares of a crossed layout: Cornfield and Tukey 1956; the same sum for readers and cases: Gallas et al. 2009; why
drawing one of the factors again is not enough: Owen 2007). The degrees of freedom are Satterthwaite's (1946).

Cornfield, J. and Tukey, J. W.: Average values of mean squares in factorials. Annals of Mathematical Statistics 27.
Gallas, B. D. et al.: A framework for random-effects ROC analysis. Communications in Statistics 38.
Owen, A. B.: The pigeonhole bootstrap. Annals of Applied Statistics 1.
Satterthwaite, F. E.: An approximate distribution of estimates of variance components. Biometrics Bulletin 2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.runs.compare.documents import Documents
from core.runs.compare.seeds import SeedDifference

__all__ = ["CrossedDifference", "crossed_difference"]


@dataclass(frozen=True)
class CrossedDifference:
    """The mean difference of two arms, with the error of both its seeds and its documents.

    Parameters
    ----------
    difference
        Mean of the arm minus mean of the reference.
    error
        Standard error from both sources.
    documents_error
        The part of it that more seeds would not lower.
    df
        Degrees of freedom of Student's t (Satterthwaite).
    p
        Two-sided p-value of "there is no difference".
    """

    difference: float
    error: float
    documents_error: float
    df: float
    p: float

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Return the t-interval of the mean difference at a level of confidence."""
        from scipy.stats import t

        half = float(t.ppf(0.5 + level / 2, self.df)) * self.error
        return self.difference - half, self.difference + half


def crossed_difference(seeds: SeedDifference, documents: Documents) -> CrossedDifference:
    """Add the error of documents to that of seeds, without counting twice what both hold.

    Parameters
    ----------
    seeds
        The difference over seeds, paired or after Welch.
    documents
        How each document was answered; at least two.

    Raises
    ------
    ValueError
        With fewer than two documents.
    """
    from scipy.stats import t

    if documents.count < 2:
        raise ValueError("an error over documents needs at least two of them")
    arm, reference = documents.values()
    if seeds.paired and arm.shape == reference.shape:
        spread, rest, rest_df = _spread(arm - reference)
    else:
        both = [_spread(side) for side in (arm, reference)]
        apart = arm.mean(axis=0) - reference.mean(axis=0)
        spread = float(apart.var(ddof=1)) / documents.count
        rest, rest_df = sum(one[1] for one in both), min(one[2] for one in both)
    own = seeds.error**2
    # An estimate of a variance below 0 is none: then documents add nothing that seeds do not show.
    more = max(0.0, spread - rest)
    variance = own + more
    below = own**2 / seeds.df
    if more > 0:
        below += spread**2 / (documents.count - 1) + (rest**2 / rest_df if rest_df else 0.0)
    error = float(np.sqrt(variance))
    df = variance**2 / below if below > 0 else seeds.df
    certain = 1.0 if seeds.difference == 0 else 0.0
    p = float(2 * t.sf(abs(seeds.difference) / error, df)) if error > 0 else certain
    return CrossedDifference(seeds.difference, error, float(np.sqrt(more)), df, p)


def _spread(values: np.ndarray) -> tuple[float, float, int]:
    """Return the variance of the mean from the documents' means, the rest's part in it, and its degrees of freedom.

    With one seed the rest cannot be told from the documents and counts as theirs.
    """
    seeds, count = values.shape
    spread = float(values.mean(axis=0).var(ddof=1)) / count
    df = (seeds - 1) * (count - 1)
    if not df:
        return spread, 0.0, 0
    rest = values - values.mean(axis=1, keepdims=True) - values.mean(axis=0, keepdims=True) + values.mean()
    return spread, float((rest**2).sum()) / df / (seeds * count), df
