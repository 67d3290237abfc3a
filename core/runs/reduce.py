"""Series with fewer points: minima, maxima, both ends and gaps stay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Curve", "coarsen", "reduce"]


@dataclass
class Curve:
    """One series, ordered by step: arrays of one length (int64, float64, float64 seconds since the epoch)."""

    steps: np.ndarray
    values: np.ndarray
    times: np.ndarray

    def __len__(self) -> int:
        return len(self.steps)

    def take(self, index: np.ndarray) -> Curve:
        """Return the points at these positions."""
        return Curve(self.steps[index], self.values[index], self.times[index])

    def lists(self) -> dict[str, list[Any]]:
        """Return ``steps``, ``values`` (``None`` for what is not finite) and ``times`` as plain lists."""
        finite = np.isfinite(self.values)
        values: list[Any] = self.values.tolist()
        if not finite.all():
            values = [value if good else None for value, good in zip(values, finite.tolist(), strict=True)]
        return {"steps": self.steps.tolist(), "values": values, "times": self.times.tolist()}

    def to_bytes(self) -> bytes:
        """Pack the arrays, one after the other, little-endian."""
        return b"".join(
            np.ascontiguousarray(array, dtype).tobytes()
            for array, dtype in ((self.steps, "<i8"), (self.values, "<f8"), (self.times, "<f8"))
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Curve:
        """Unpack what :meth:`to_bytes` packed."""
        count = len(data) // 24
        return cls(
            np.frombuffer(data, "<i8", count),
            np.frombuffer(data, "<f8", count, 8 * count),
            np.frombuffer(data, "<f8", count, 16 * count),
        )

    @classmethod
    def of(cls, steps: Any, values: Any, times: Any) -> Curve:
        """Make a curve of sequences in any order of steps; of equal steps the last stays."""
        made = cls(np.asarray(steps, np.int64), np.asarray(values, np.float64), np.asarray(times, np.float64))
        if len(made) > 1 and not (np.diff(made.steps) > 0).all():
            made = made.take(np.argsort(made.steps, kind="stable"))
            made = made.take(np.append(np.diff(made.steps) > 0, True).nonzero()[0])
        return made

    def join(self, later: Curve) -> Curve:
        """Return both; where a step is in both, the other's point counts."""
        return Curve.of(
            np.concatenate([self.steps, later.steps]),
            np.concatenate([self.values, later.values]),
            np.concatenate([self.times, later.times]),
        )


def reduce(curve: Curve, points: int) -> Curve:
    """Reduce to at most `points` points (at least 8) by min–max and largest triangles, as a line looks the same.

    The lowest and highest value stay for certain, and points that are not finite stay where they stand (thinned
    evenly if they are more than a tenth of all that may stay).
    """
    from tsdownsample import MinMaxLTTBDownsampler

    return _thin(curve, max(points, 8), MinMaxLTTBDownsampler())


def coarsen(curve: Curve, points: int) -> Curve:
    """Reduce by minimum and maximum of even stretches; coarsening a coarse curve again keeps every larger peak."""
    from tsdownsample import MinMaxDownsampler

    return _thin(curve, max(points, 8), MinMaxDownsampler())


def _thin(curve: Curve, points: int, sampler: Any) -> Curve:
    if len(curve) <= points:
        return curve
    finite = np.isfinite(curve.values)
    gaps = np.flatnonzero(~finite)
    room = points // 10
    if len(gaps) > room:
        gaps = gaps[np.linspace(0, len(gaps) - 1, room).round().astype(np.int64)]
    solid = np.flatnonzero(finite)
    room = (points - len(gaps) - 4) // 2 * 2  # both ends, lowest and highest are added
    if len(solid) > room:
        x = np.ascontiguousarray(curve.steps[solid])
        y = np.ascontiguousarray(curve.values[solid])
        chosen = np.asarray(sampler.downsample(x, y, n_out=room), np.int64)
        extremes = np.array([0, len(y) - 1, int(y.argmin()), int(y.argmax())])
        solid = solid[np.union1d(chosen, extremes)]
    return curve.take(np.union1d(solid, gaps))
