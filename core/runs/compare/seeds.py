"""Differences between two arms over seeds: t-intervals, paired or after Welch, and how many seeds would be enough."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["SeedDifference", "paired_difference", "seeds_needed", "welch_difference"]

#: More seeds than this nobody will run: then the answer is that seeds do not help.
MOST_SEEDS = 1000


@dataclass(frozen=True)
class SeedDifference:
    """The mean difference of two arms over seeds, and what its interval is made of.

    Parameters
    ----------
    difference
        Mean of the arm minus mean of the reference.
    sd
        Standard deviation of the differences (paired), or of the difference of two single runs (Welch).
    error
        Standard error of the mean difference.
    df
        Degrees of freedom of Student's t.
    seeds
        Pairs; for Welch the smaller of the two numbers of runs.
    p
        Two-sided p-value of "there is no difference".
    paired
        Whether runs of one seed were paired.
    """

    difference: float
    sd: float
    error: float
    df: float
    seeds: int
    p: float
    paired: bool

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Return the t-interval of the mean difference at a level of confidence."""
        from scipy.stats import t

        half = float(t.ppf(0.5 + level / 2, self.df)) * self.error
        return self.difference - half, self.difference + half


def paired_difference(arm: Sequence[float], reference: Sequence[float], *, resolution: float = 0.0) -> SeedDifference:
    """Compare two arms whose runs share seeds, pair by pair.

    Parameters
    ----------
    arm, reference
        One value a seed, in the same order of seeds.
    resolution
        Width of the grid on which values were observed (steps between two evaluations, say). Two values on a grid
        of width w differ by an error of variance w²/6 at least, however equal they look; without this floor, seeds
        that agree by the coarseness of the grid would give an interval of no width.

    Raises
    ------
    ValueError
        With fewer than two pairs, or where the numbers of values differ.
    """
    if len(arm) != len(reference) or len(arm) < 2:
        raise ValueError(f"pairs need two values each and at least two pairs, got {len(arm)} and {len(reference)}")
    differences = np.asarray(arm, dtype=np.float64) - np.asarray(reference, dtype=np.float64)
    count = len(differences)
    sd = max(float(differences.std(ddof=1)), resolution / math.sqrt(6))
    return _difference(float(differences.mean()), sd, sd / math.sqrt(count), count - 1, count, paired=True)


def welch_difference(arm: Sequence[float], reference: Sequence[float]) -> SeedDifference:
    """Compare two arms whose runs have nothing in common (other data order, other initial weights): Welch (1947).

    Raises
    ------
    ValueError
        With fewer than two values on a side.
    """
    if min(len(arm), len(reference)) < 2:
        raise ValueError(f"at least two values a side are needed, got {len(arm)} and {len(reference)}")
    left, right = np.asarray(arm, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    parts = [float(values.var(ddof=1)) / len(values) for values in (left, right)]
    error = math.sqrt(sum(parts))
    # Welch–Satterthwaite; without any spread the smaller sample's degrees stand in.
    below = sum(part**2 / (len(values) - 1) for part, values in zip(parts, (left, right), strict=True))
    smaller = min(len(left), len(right))
    df = sum(parts) ** 2 / below if below > 0 else smaller - 1
    sd = math.sqrt(float(left.var(ddof=1)) + float(right.var(ddof=1)))
    return _difference(float(left.mean() - right.mean()), sd, error, df, smaller, paired=False)


def seeds_needed(sd: float, delta: float, *, alpha: float = 0.05, power: float = 0.8) -> int | None:
    """Return the smallest number n of seeds with n ≥ ((t(1 − α/2) + t(power)) · sd / delta)², t with n − 1 degrees.

    That many would find a true difference of `delta` with the given power. ``None`` above 1,000.

    Parameters
    ----------
    sd
        Standard deviation of the differences between pairs.
    delta
        The margin: the smallest difference that matters.
    """
    from scipy.stats import t

    if not (math.isfinite(sd) and delta > 0):
        return None
    numbers = np.arange(2, MOST_SEEDS + 1)
    needed = ((t.ppf(1 - alpha / 2, numbers - 1) + t.ppf(power, numbers - 1)) * sd / delta) ** 2
    enough = np.flatnonzero(numbers >= needed)
    return int(numbers[enough[0]]) if len(enough) else None


def _difference(mean: float, sd: float, error: float, df: float, seeds: int, *, paired: bool) -> SeedDifference:
    from scipy.stats import t

    certain = 1.0 if mean == 0 else 0.0  # no spread at all: either equal or not
    p = float(2 * t.sf(abs(mean) / error, df)) if error > 0 else certain
    return SeedDifference(mean, sd, error, df, seeds, p, paired)
