"""What a learning-rate range test says (Smith 2017, "Cyclical Learning Rates for Training Neural Networks").

Pure functions of rates and losses. The rate grows geometrically from step to step and the loss is watched: it is flat
while the rate is too small, falls where it is right, and rises where it is too large. Plain numpy: figures use it too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from core.config import RangeTestConfig

__all__ = ["Finding", "Watch", "analyse", "rates", "smooth"]

#: A fall counts when it is so many times the noise that is left after smoothing (several places are looked at).
_SURE = 4.0
#: … and at least this share of the first loss.
_LEAST_FALL = 1e-3
#: Share of the steps over which the slope is fitted, and over which the loss at the start is averaged.
_WINDOW = 0.1


def rates(config: RangeTestConfig) -> list[float]:
    """Return the learning rate of every step: geometric, both ends included."""
    span = math.log(config.lr_max / config.lr_min)
    inner = [config.lr_min * math.exp(span * at / (config.steps - 1)) for at in range(1, config.steps - 1)]
    return [config.lr_min, *inner, config.lr_max]


def smooth(values: Sequence[float] | np.ndarray, past: float) -> np.ndarray:
    """Return the exponential mean of values, corrected for its start (Kingma & Ba 2015, section 3).

    Parameters
    ----------
    values
        Values of length n.
    past
        Weight of the past, in [0, 1); 0 changes nothing.

    Returns
    -------
    numpy.ndarray
        Shape (n,). Entry t is a weighted mean of the values up to t; the weights add up to 1.
    """
    mean, weight = 0.0, 0.0
    found = np.empty(len(values))
    for at, value in enumerate(values):
        mean = past * mean + (1 - past) * float(value)
        weight = past * weight + (1 - past)
        found[at] = mean / weight
    return found


@dataclass(frozen=True)
class Finding:
    """What one test says about one group of parameters.

    Parameters
    ----------
    group
        The group, or ``all``.
    lr
        The suggested rate; None where the loss did not fall.
    reason
        Why, in words.
    steepest
        Rate at which the smoothed loss falls most steeply against the logarithm of the rate.
    tenth
        A tenth of the rate at which the smoothed loss was lowest.
    lowest
        Rate at which it was lowest.
    diverged
        Rate from which on it stayed above the loss of the first steps, or was no number; None if it did not.
    first_loss, lowest_loss
        Mean loss of the first steps, and the lowest smoothed loss.
    noise
        Standard deviation of the loss from step to step, without its trend.
    steps
        Steps of the test that were taken.
    """

    group: str
    lr: float | None
    reason: str
    steepest: float | None = None
    tenth: float | None = None
    lowest: float | None = None
    diverged: float | None = None
    first_loss: float | None = None
    lowest_loss: float | None = None
    noise: float | None = None
    steps: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return asdict(self)


@dataclass
class Watch:
    """Follows the loss of a running test and says when it has gone far enough.

    A test ends when the loss is no number, or its smoothed value is `stop_factor` times its best *and* above where it
    began: a loss near zero may grow many-fold without saying anything.
    """

    config: RangeTestConfig
    losses: list[float] = field(default_factory=list)
    smoothed: float = math.nan
    #: Whether the test is to end here.
    ended: bool = False
    _mean: float = 0.0
    _weight: float = 0.0
    _best: float = math.inf
    _first: float = math.nan

    def observe(self, loss: float) -> float:
        """Take the loss of one step and return the smoothed loss."""
        past, start = self.config.smoothing, _start_steps(self.config.steps)
        self.losses.append(loss)
        if not math.isfinite(loss):
            self.smoothed, self.ended = math.nan, True
            return self.smoothed
        self._mean = past * self._mean + (1 - past) * loss
        self._weight = past * self._weight + (1 - past)
        self.smoothed = self._mean / self._weight
        if len(self.losses) == start:
            self._first = float(np.mean(self.losses))
        if len(self.losses) >= start:
            self._best = min(self._best, self.smoothed)
            self.ended = self.smoothed > self.config.stop_factor * self._best and self.smoothed > self._first
        return self.smoothed


def analyse(group: str, lrs: Sequence[float], losses: Sequence[float], config: RangeTestConfig) -> Finding:
    """Say which rate a test suggests, and why.

    An exponential mean speaks of values some steps back, which is a factor of three in the rate at the usual settings.
    So the logarithms of the rates are averaged with the same weights: the smoothed loss stands at the rate that it
    belongs to.

    Parameters
    ----------
    group
        Name of the group that was tested.
    lrs, losses
        Rate and loss of every step that was taken, of length n.
    config
        The test's settings.

    Raises
    ------
    ValueError
        If there is no step, or the lengths differ.
    """
    if not losses or len(lrs) != len(losses):
        raise ValueError(f"{len(lrs)} rates and {len(losses)} losses")
    steps = len(losses)
    bad = next((at for at, loss in enumerate(losses) if not math.isfinite(loss)), None)
    values = np.asarray(losses[:bad], dtype=np.float64)
    start = _start_steps(config.steps)
    if len(values) < start + 3:
        lost = lrs[bad] if bad is not None else None
        return Finding(
            group, None, f"The loss was no number at {lrs[bad]:.2g} already: begin the test at a smaller rate."
            if bad is not None else f"{len(values)} steps are too few to see a fall.", diverged=lost, steps=steps,
        )  # fmt: skip
    mean = smooth(values, config.smoothing)
    where = smooth(np.log(np.asarray(lrs[: len(values)], dtype=np.float64)).tolist(), config.smoothing)
    first = float(values[:start].mean())
    low = start + int(np.argmin(mean[start:]))
    noise = _noise(values[: low + 1])
    fall = first - float(mean[low])
    least = max(_SURE * noise * _spread(low + 1, start, config.smoothing), _LEAST_FALL * abs(first))
    beyond = _beyond(mean, low, first + least)
    # where the loss explodes its mean is made of the last steps: their own rate says where
    diverged = lrs[beyond] if beyond is not None else (lrs[bad] if bad is not None else None)
    parts: dict[str, Any] = {
        "diverged": diverged, "first_loss": first, "lowest_loss": float(mean[low]), "noise": noise, "steps": steps
    }  # fmt: skip
    if fall <= least:
        return Finding(group, None, _flat(first, float(mean[low]), least, lrs, diverged), **parts)
    lowest = math.exp(where[low])
    tenth = lowest / 10
    steepest = _steepest(where, mean, start, low)
    chosen = steepest if steepest is not None else tenth
    reason = _reason(steepest, tenth, lowest, first, float(mean[low]), diverged, at_end=low >= steps - 1)
    return Finding(group, chosen, reason, steepest, tenth, lowest, **parts)


def _start_steps(steps: int) -> int:
    return max(3, round(steps * _WINDOW))


def _beyond(mean: np.ndarray, low: int, limit: float) -> int | None:
    """Return where the smoothed loss rises above a limit after its lowest place, never to come back."""
    under = low + int(np.flatnonzero(mean[low:] <= limit)[-1])
    return under + 1 if under + 1 < len(mean) else None


def _noise(values: np.ndarray) -> float:
    """Return the standard deviation from step to step: median absolute deviation of differences, without the trend."""
    change = np.diff(values)
    if not len(change):
        return 0.0
    return float(np.median(np.abs(change - np.median(change))) / (0.6745 * math.sqrt(2)))


def _spread(at: int, start: int, past: float) -> float:
    """Return the standard deviation of first mean minus smoothed value, for independent noise of deviation 1.

    The variance of an exponential mean over t values is (1 − β)(1 + βᵗ) / ((1 + β)(1 − βᵗ)).
    """
    power = past**at
    return math.sqrt(1 / start + (1 - past) * (1 + power) / ((1 + past) * (1 - power)))


def _steepest(where: np.ndarray, mean: np.ndarray, start: int, low: int) -> float | None:
    """Return the rate in the middle of the window whose fitted line falls most steeply, up to the lowest place."""
    width = max(5, round(len(mean) * _WINDOW)) | 1
    first, last = start - 1, min(low + width // 2 + 1, len(mean))
    if last - first < width:
        width = last - first
    if width < 3:
        return None
    x = np.lib.stride_tricks.sliding_window_view(where[first:last], width)
    y = np.lib.stride_tricks.sliding_window_view(mean[first:last], width)
    centred = x - x.mean(axis=1, keepdims=True)
    slopes = (centred * y).sum(axis=1) / (centred**2).sum(axis=1)
    at = int(np.argmin(slopes))
    return float(math.exp(x[at].mean())) if slopes[at] < 0 else None


def _flat(first: float, lowest: float, least: float, lrs: Sequence[float], diverged: float | None) -> str:
    words = (
        f"The loss did not fall: it began at {first:.4g}, and {lowest:.4g} was the lowest smoothed value between rates "
        f"of {lrs[0]:.2g} and {lrs[-1]:.2g}. A fall by more than {least:.2g} would stand out from its noise."
    )
    return words if diverged is None else f"{words} It diverged at {diverged:.2g}."


def _reason(
    steepest: float | None, tenth: float, lowest: float, first: float, least: float, diverged: float | None, *,
    at_end: bool,
) -> str:  # fmt: skip
    parts = []
    if steepest is not None:
        parts.append(f"The smoothed loss falls most steeply at {steepest:.2g}.")
    parts.append(
        f"It is lowest at {lowest:.2g} ({first:.4g} → {least:.4g}); a tenth of that is {tenth:.2g}"
        + (", which is taken: there is no clear slope before." if steepest is None else ".")
    )
    if diverged is not None:
        parts.append(f"It diverges at {diverged:.2g}.")
    elif at_end:
        parts.append("It still fell when the test ended: a larger lr_max may show more.")
    return " ".join(parts)
