"""Findings that curves tell: divergence, plateau, overfitting, rates too low, warm-up too short, clipping.

Thresholds are chosen so that an ordinary run stays silent; each function says what it looks for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from core.runs.findings import remedies
from core.runs.findings.types import Evidence, Finding, Points, Remedy, Segment

__all__ = ["clipped", "diverged", "overfitting", "plateau", "rate_too_low", "warm_up_too_short"]

_STEP = re.compile(r"step (\d+)")
#: Rates up to which a head alone, and a whole encoder, hardly move (docs/claims.md measures it).
_LOW_HEAD, _LOW_ENCODER = 5e-4, 1e-5
#: Rates from which on they may collapse at once.
_HIGH_HEAD, _HIGH_ENCODER = 0.3, 5e-4


def number(value: float) -> str:
    """Return a number as a person reads it."""
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def rolling(points: Points, window: int) -> np.ndarray:
    """Return the mean over the last points up to each one, shape (points,)."""
    sums = np.concatenate([[0.0], np.cumsum(points.values)])
    ends = np.arange(1, len(points) + 1)
    starts = np.maximum(0, ends - window)
    return np.asarray((sums[ends] - sums[starts]) / (ends - starts))


def rates_between(segment: Segment) -> tuple[float, float]:
    """Return the rate up to which hardly anything moves in a stage, and the one from which on weights may collapse."""
    return (_LOW_HEAD, _HIGH_HEAD) if segment.head_only else (_LOW_ENCODER, _HIGH_ENCODER)


def _window(points: Points) -> int:
    return int(np.clip(len(points) // 10, 1, 50))


def diverged(segment: Segment) -> Iterator[Finding]:
    """The loss is no number, a guard held, or the smoothed loss ended far above where it began."""
    loss = segment.run.points("train/loss").between(segment.first, segment.last)
    broken = loss.steps[~np.isfinite(loss.values)]
    finite = loss.finite()
    error = segment.run.error or {}
    last_attempt = segment.last >= segment.run.last_step
    guarded = last_attempt and "TrainingDiverged" in (error.get("type"), error.get("error"))
    step, how = None, ""
    if len(broken):
        step, how = int(broken[0]), "the loss was no number any more"
    elif guarded:
        named = _STEP.search(str(error.get("where") or ""))
        step = int(named[1]) if named else segment.last
        how = f"a guard held: {str(error.get('what') or error.get('message') or '').rstrip('.')}"
    elif len(finite) >= 20:
        smooth = rolling(finite, _window(finite))
        begin, lowest, end = float(finite.values[:3].mean()), float(smooth.min()), float(smooth[-1])
        if end > 1.5 * begin and end > 3 * max(lowest, 0.05):
            step = int(finite.steps[int(np.argmax(smooth > 1.5 * begin))])
            how = f"the smoothed loss went from {number(begin)} to {number(end)}"
    if step is None:
        return
    rate = segment.highest_rate()
    at = f", at a learning rate of up to {rate[1]:.3g}" if rate else ""
    yield Finding(
        "diverged", "problem", f"The training diverged at step {step}{segment.where}: {how}{at}.",
        "Cut the learning rate, or find one by a range test; a longer warm-up helps when it happens early.",
        Evidence(("train/loss", "train/grad_norm"), max(segment.first, step - 20), step),
        (
            Remedy("A tenth of the learning rate", remedies.cut_rates(segment.index, 0.1)),
            Remedy("Find the rate by a range test", remedies.add_range_test(segment.index)),
            Remedy("Warm up over a fifth of the steps", remedies.warm_up(segment.index, 0.2)),
        ),
    )  # fmt: skip


def plateau(segment: Segment) -> Iterator[Finding]:
    """The gate metric gained nothing in the last third or more (three evaluations at least) and the losses stood still.

    A gain is half a point, for losses one per cent.
    """
    gate, gate_loss = segment.points(f"gate/{segment.metric}"), segment.points("gate/loss")
    loss = segment.points("train/loss")
    if len(gate) < 5 or len(gate_loss) != len(gate) or len(loss) < 20:
        return
    values = -gate.values if segment.metric.endswith("loss") else gate.values
    least = 0.005 if not segment.metric.endswith("loss") else 0.01 * abs(float(values[0]))
    at = 0
    for index in range(1, len(values)):
        if values[index] > values[at] + least:
            at = index
    since, last = int(gate.steps[at]), int(gate.steps[-1])
    if len(values) - 1 - at < 3 or last - since < (segment.last - segment.first + 1) / 3:
        return
    tail = loss.between(since + 1, last)
    if len(tail) < 8:
        return
    half = len(tail) // 2
    before, after = float(tail.values[:half].mean()), float(tail.values[half:].mean())
    noise = float(tail.values.std()) / max(1, half) ** 0.5
    moves = before - after > max(0.03 * before, 2 * noise)
    gate_before, gate_after = float(gate_loss.values[at]), float(gate_loss.values[at + 1 :].mean())
    if moves or abs(gate_after - gate_before) > 0.03 * gate_before:
        return
    gained = max(0.0, float(values[at:].max() - values[at]))
    gain = f"{100 * gained:.1f} points" if not segment.metric.endswith("loss") else number(gained)
    yield Finding(
        "plateau", "note",
        f"Plateau since step {since}{segment.where}: in {last - since} steps gate/{segment.metric} gained {gain} over "
        f"{number(float(gate.values[at]))}, and train/loss went from {number(before)} to {number(after)}.",
        "Stop there next time, or try a higher rate, which may leave the plateau.",
        Evidence((f"gate/{segment.metric}", "train/loss"), since, last),
        (
            Remedy("Stop after three evaluations without a gain", remedies.stop_early(segment.index, 3)),
            Remedy("Three times the learning rate", remedies.cut_rates(segment.index, 3.0)),
        ),
    )  # fmt: skip


def overfitting(segment: Segment) -> Iterator[Finding]:
    """Since its lowest evaluation the gate loss rose by 5 % or more while the train loss fell by 5 % or more."""
    gate, loss = segment.points("gate/loss"), segment.points("train/loss")
    if len(gate) < 3 or len(loss) < 10:
        return
    at = int(np.argmin(gate.values))
    later = gate.values[at + 1 :]
    lowest, end = float(gate.values[at]), float(gate.values[-1])
    if len(later) < 2 or end < 1.05 * lowest or float(later.mean()) < 1.03 * lowest:
        return
    since = int(gate.steps[at])
    window = max(3, min(len(loss) // 10, 50))
    smooth = rolling(loss, window)
    before = float(smooth[int(np.searchsorted(loss.steps, since, side="right")) - 1])
    after = float(smooth[-1])
    if after > 0.95 * before:
        return
    own = since - segment.first + 1
    yield Finding(
        "overfitting", "warning",
        f"Overfitting since step {since}{segment.where}: gate/loss rose from {number(lowest)} to {number(end)} while "
        f"train/loss fell from {number(before)} to {number(after)}.",
        "The best evaluation was kept, so nothing is lost but time; what helps beyond that is more data, more dropout, "
        "or fewer trained layers.",
        Evidence(("gate/loss", "train/loss"), since, int(gate.steps[-1])),
        (
            Remedy("Stop when gate/loss no longer falls", remedies.stop_early(segment.index, 2, metric="loss")),
            Remedy(f"Train {own} steps only", remedies.set_stage(segment.index, steps=own)),
            Remedy("Dropout of 0.3", remedies.set_stage(segment.index, dropout=0.3)),
        ),
    )  # fmt: skip


def rate_too_low(segment: Segment) -> Iterator[Finding]:
    """The smoothed train loss fell by less than 4 %, although it was not small, at a rate that suits nothing trained.

    A head alone needs rates far above those of a whole encoder.
    """
    loss, rate = segment.points("train/loss"), segment.highest_rate()
    if len(loss) < 20 or rate is None or not segment.complete:
        return
    size = max(5, len(loss) // 8)
    before, after = float(loss.values[:size].mean()), float(loss.values[-size:].mean())
    low, _ = rates_between(segment)
    if before < 0.2 or not -0.02 * before < before - after < 0.04 * before or rate[1] > low:
        return
    what = "only the head was trained" if segment.head_only else "the encoder was trained"
    steps = segment.last - segment.first + 1
    better = 1e-2 if segment.head_only else 1e-4
    cures = (
        Remedy(f"Train the head at {better:g}", remedies.head_rate(segment.index, better))
        if segment.head_only
        else Remedy(f"A rate of {better:g}", remedies.set_stage(segment.index, lr=better)),
        Remedy("Find the rate by a range test", remedies.add_range_test(segment.index)),
    )
    yield Finding(
        "rate_too_low", "problem",
        f"The loss hardly moved{segment.where}: from {number(before)} to {number(after)} in {steps} steps; {what}, "
        f"at a learning rate of up to {rate[1]:.2g}.",
        "A head alone learns at 1e-3 to 1e-1; rates such as 2e-5 are for whole encoders." if segment.head_only
        else "Whole encoders usually learn at 2e-5 to 3e-4.",
        Evidence(("train/loss", f"lr/{rate[0]}"), segment.first, segment.last), cures,
    )  # fmt: skip


def warm_up_too_short(segment: Segment) -> Iterator[Finding]:
    """Early in the stage the loss jumped by half or more and came back: the rate rose too fast."""
    loss = segment.points("train/loss")
    if len(loss) < 30:
        return
    early = loss.between(segment.first, segment.first + max(10, (segment.last - segment.first) // 4))
    smooth = rolling(early, 3)
    begin, top = float(early.values[:3].mean()), int(np.argmax(smooth))
    end = float(loss.values[-max(5, len(loss) // 10) :].mean())
    tail = np.diff(loss.values[len(loss) // 2 :])
    noise = float(tail.std()) / 2**0.5
    if smooth[top] < 1.5 * begin + 3 * noise or end > smooth[top] / 1.2:
        return
    step = int(early.steps[top])
    rate = segment.highest_rate()
    reached = ""
    if rate:
        values = segment.points(f"lr/{rate[0]}")
        full = values.steps[values.values >= 0.999 * rate[1]]
        reached = f"; the rate reached {rate[1]:.3g} at step {int(full[0])}" if len(full) else ""
        if len(full) and int(full[0]) - segment.first > 0.2 * (segment.last - segment.first):
            return  # the warm-up is long; the rate itself is too high
    yield Finding(
        "warm_up_too_short", "warning",
        f"The loss jumped from {number(begin)} to {number(float(smooth[top]))} by step {step}{segment.where} and came "
        f"back to {number(end)}{reached}.",
        "A longer warm-up lets the optimiser's moments settle before the rate is high.",
        Evidence(("train/loss",), segment.first, step),
        (
            Remedy("Warm up over a fifth of the steps", remedies.warm_up(segment.index, 0.2)),
            Remedy("Half the learning rate", remedies.cut_rates(segment.index, 0.5)),
        ),
    )  # fmt: skip


def clipped(segment: Segment) -> Iterator[Finding]:
    """The gradient was cut in more than four of five steps, and typically to less than half."""
    limit, norms = segment.stage.clip_norm, segment.points("train/grad_norm")
    if limit is None or len(norms) < 20:
        return
    share, middle = float((norms.values > limit).mean()), float(np.median(norms.values))
    if share < 0.8 or middle < 2 * limit:
        return
    wanted = float(f"{np.quantile(norms.values, 0.9):.2g}")
    adaptive = segment.stage.optimizer.name in ("adamw", "adam", "rmsprop", "adafactor")
    told = f"{100 * share:.0f} % of {len(norms)} logged steps"
    if segment.run.reduced:  # half of the points are the lowest of many: more steps are above the limit than points
        told = f"{100 * share:.0f} % or more of the logged steps"
    yield Finding(
        "clipped", "note",
        f"The gradient was clipped in {told}{segment.where}: its norm is typically {number(middle)}, the limit "
        f"{limit:g}.",
        "With this optimiser clipping changes the steps' relative sizes only; a limit that nearly always holds no "
        "longer tells outliers." if adaptive else "With SGD this divides the learning rate: the steps are smaller "
        "than the rate says.",
        Evidence(("train/grad_norm",), segment.first, segment.last),
        (Remedy(f"Clip at {wanted:g}", remedies.clip_at(segment.index, wanted)),),
    )  # fmt: skip
