"""What the pictures of a plan's learning rates share: colours of groups, the axis, names of stages, words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from core.render.look import Look

__all__ = [
    "drawn_rates", "group_colours", "has_range", "plan_words", "rate_axis", "stage_label", "stage_words", "ticks",
]  # fmt: skip

#: A range may stretch the axis to so many times the largest planned rate, linear and logarithmic; more is cut off.
_STRETCH = {False: 4.0, True: 300.0}
#: Decades of a logarithmic axis, at most.
_MOST_DECADES = 8


def group_colours(names: Sequence[str], look: Look) -> dict[str, str]:
    """Return a colour for each group: it stays the same in all stages.

    Few groups get the categorical colours; many (a rate for each layer) get shades from the lowest to the highest.
    """
    if len(names) <= len(look.colours):
        return {name: look.colour(index) for index, name in enumerate(names)}
    low, high = look.colour(7), look.colour(1)
    return {name: _between(low, high, index / (len(names) - 1)) for index, name in enumerate(names)}


def _between(low: str, high: str, share: float) -> str:
    ends = [[int(colour[at : at + 2], 16) for at in (1, 3, 5)] for colour in (low, high)]
    return "#" + "".join(f"{round(a + (b - a) * share):02X}" for a, b in zip(*ends, strict=True))


def rate_axis(curve: Mapping[str, Any], *, log_y: bool) -> tuple[float, float]:
    """Return the lowest and highest rate that a picture shows; ranges beyond it are cut off."""
    planned = [rate for part in curve["groups"].values() for rate in part["lr"]]
    wide = [rate for part in curve["groups"].values() for rate in part["high"]]
    peak = max(planned, default=0.0) or 1e-4
    top = min(max([peak, *wide]), peak * _STRETCH[log_y])
    if not log_y:
        return 0.0, 1.15 * top
    lows = [rate for part in curve["groups"].values() for rate in (*part["lr"], *part["low"]) if rate > 0]
    bottom = max(min(lows, default=peak / 10), top / 10**_MOST_DECADES)
    return bottom / 1.5, 2.5 * top


def drawn_rates(rates: Sequence[float], axis: tuple[float, float], *, log_y: bool) -> list[float]:
    """Return the rates as they are drawn: inside the axis, so that 0 stands at the bottom of a logarithmic one."""
    low, high = axis
    return [min(max(rate, low if log_y else 0.0), high) for rate in rates]


def has_range(part: Mapping[str, Sequence[float]]) -> bool:
    """Whether the rates of a group depend on results."""
    return any(low < high for low, high in zip(part["low"], part["high"], strict=True))


def stage_label(stage: Mapping[str, Any], number: int, characters: int) -> str:
    """Return a stage's name, cut to what fits over its part of the axis, or its number where nothing fits."""
    name = f"{number} {stage['name']}"
    if len(name) <= characters:
        return name
    return f"{name[: characters - 1]}…" if characters >= 6 else str(number)


def stage_words(stage: Mapping[str, Any]) -> list[str]:
    """Return what there is to say about a stage, one text a line."""
    first, last = stage["first_step"], stage["last_step"]
    lines = [f"{stage['name']} ({str(stage['kind']).replace('_', ' ')}): steps {first:,} to {last:,}"]
    if stage["start_low"] != stage["start_high"]:
        lines.append(f"may begin between the run's steps {stage['start_low']:,} and {stage['start_high']:,}")
    elif stage["run_first_step"] != first and stage["kind"] == "train":
        lines.append(f"begins at the run's step {stage['run_first_step']:,}, which does not count tests and trials")
    if stage["may_be_skipped"]:
        lines.append("is left out if the run ends before")
    return lines + [str(reason) for reason in stage["reasons"]]


def plan_words(curve: Mapping[str, Any]) -> str:
    """Return the picture in words, for those who do not see it."""
    stages = curve["stages"]
    parts = [f"Learning rate by optimiser step: {len(stages)} stage{'s' if len(stages) != 1 else ''}, ",
             f"{curve['steps']:,} steps."]  # fmt: skip
    for stage in stages:
        peaks = sorted({max(part["lr"], default=0.0) for part in stage["groups"].values()})
        top = f"{peaks[-1]:.2g}" if peaks else "none"
        count = len(stage["groups"])
        groups = ", ".join(stage["groups"]) if count <= 3 else f"{count} groups"
        span = f"from {peaks[0]:.2g} to {top}" if len(peaks) > 1 else f"up to {top}"
        parts.append(f" {stage['name']}: {stage['steps']:,} steps, {groups}, {span}.")
        if not stage["certain"]:
            parts.append(" It depends on results.")
    return "".join(parts)


def ticks(low: float, high: float, *, log: bool, most: int = 6) -> list[float]:
    """Return round values between two bounds, for an axis."""
    if log:
        first, last = math.ceil(math.log10(low)), math.floor(math.log10(high))
        every = max(1, -(-(last - first + 1) // most))
        return [10.0**power for power in range(first, last + 1, every)]
    raw = (high - low) / most or 1.0
    size = 10 ** math.floor(math.log10(raw))
    step = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= raw * 0.999)
    return [step * index for index in range(math.ceil(low / step), math.floor(high / step + 1e-9) + 1)]
