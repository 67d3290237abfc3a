"""Whether a finetuning set fits the original one: equal label sets, and how far labels and lengths are shifted.

A shift is the Jensen-Shannon divergence with base 2 (Lin 1991): 0 for equal distributions, 1 for those without anything
in common. Pure functions of counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Level", "Shift", "divergence", "length_bins", "level_of", "patterns", "shift"]

Level = Literal["fits", "warned", "refused"]
#: Resamples behind an interval.
RESAMPLES = 1000
#: Bins of lengths: tenths of the original set.
BINS = 10


@dataclass(frozen=True)
class Shift:
    """How far a distribution of the finetuning set lies from that of the original set.

    Parameters
    ----------
    divergence
        Jensen-Shannon divergence, 0 to 1.
    low, high
        Its 95 % interval, by resampling the rows of both sets.
    original, finetuning
        Shares of the classes, shape (classes,); of sum 1.
    rows
        Rows of the original and of the finetuning set.
    """

    divergence: float
    low: float
    high: float
    original: list[float]
    finetuning: list[float]
    rows: tuple[int, int]

    def as_dict(self) -> dict[str, Any]:
        """Return it ready for JSON."""
        return {
            "divergence": self.divergence, "low": self.low, "high": self.high, "original": self.original,
            "finetuning": self.finetuning, "rows": list(self.rows),
        }  # fmt: skip


def divergence(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the Jensen-Shannon divergence with base 2 of distributions.

    Parameters
    ----------
    one, other
        Counts or shares, shape (…, classes); none of sum 0.

    Returns
    -------
    numpy.ndarray
        Shape (…,), from 0 to 1: the square of scipy's distance.
    """
    import numpy as np
    from scipy.spatial.distance import jensenshannon

    found = np.asarray(jensenshannon(one, other, base=2, axis=-1), dtype=np.float64)
    # A root of rounding errors below 0 is no number, and the sum of shares may lie a hair above 1.
    return np.clip(np.nan_to_num(found, nan=0.0) ** 2, 0.0, 1.0)


def patterns(rows: Sequence[Sequence[int]], classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the different rows as counts of their classes, and how often each occurs.

    Returns
    -------
    counts, often
        Of shape (patterns, classes) and (patterns,).
    """
    import numpy as np

    met = Counter(tuple(sorted(row)) for row in rows)
    counts = np.zeros((len(met), classes), dtype=np.int64)
    for at, row in enumerate(met):
        np.add.at(counts[at], list(row), 1)
    return counts, np.array(list(met.values()), dtype=np.int64)


def shift(
    original: tuple[np.ndarray, np.ndarray], finetuning: tuple[np.ndarray, np.ndarray], *, seed: int = 0
) -> Shift | None:
    """Compare two sets of rows by the classes that they hold.

    Parameters
    ----------
    original, finetuning
        What :func:`patterns` returns: a row may hold several classes, or none.
    seed
        Of the resamples.

    Returns
    -------
    Shift or None
        None where a set holds nothing of any class.

    Notes
    -----
    The divergence of two samples lies above that of what they were drawn from, the more so the smaller they are, and
    that of resamples lies above it again by about as much. The interval is therefore turned over (the basic bootstrap,
    Davison and Hinkley 1997, section 5.2): from 2 d - q(97.5 %) to 2 d - q(2.5 %), cut at 0 and 1.
    """
    import numpy as np

    totals = [often @ counts for counts, often in (original, finetuning)]
    if any(total.sum() == 0 for total in totals):
        return None
    found = float(divergence(totals[0], totals[1]))
    random = np.random.default_rng(seed)
    drawn = []
    for counts, often in (original, finetuning):
        rows = int(often.sum())
        drawn.append(random.multinomial(rows, often / rows, size=RESAMPLES) @ counts)
    # A resample may by chance hold rows without any class only.
    whole = (drawn[0].sum(axis=1) > 0) & (drawn[1].sum(axis=1) > 0)
    resampled = divergence(drawn[0][whole], drawn[1][whole])
    upper, lower = np.quantile(resampled, [0.975, 0.025])
    return Shift(
        found,
        float(np.clip(2 * found - upper, 0, found)),
        float(np.clip(2 * found - lower, found, 1)),
        (totals[0] / totals[0].sum()).tolist(),
        (totals[1] / totals[1].sum()).tolist(),
        (int(original[1].sum()), int(finetuning[1].sum())),
    )


def length_bins(original: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return in which tenth of the original set each length lies: below its first edge 0, above its last the highest.

    Parameters
    ----------
    original
        Lengths of the original set, shape (rows,).
    lengths
        Those to be sorted in, shape (others,).

    Returns
    -------
    numpy.ndarray
        Shape (others,); edges that coincide count once.
    """
    import numpy as np

    edges = np.unique(np.quantile(original, np.linspace(0, 1, BINS + 1)[1:-1]))
    return np.searchsorted(edges, lengths, side="right")


def level_of(found: Shift | None, warn: float, refuse: float | None) -> Level:
    """Tell what a shift leads to: a threshold counts as passed when the whole interval lies above it."""
    if found is None:
        return "fits"
    if refuse is not None and found.low > refuse:
        return "refused"
    return "warned" if found.low > warn else "fits"
