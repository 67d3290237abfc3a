"""Learning-rate schedules as pure functions, without torch.

The curve that a form draws before the start and the rates that the loop uses come from the same
:func:`rate_function`. Names, options and values are those of ``transformers.get_scheduler``.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from core.config import ScheduleConfig, Stage
from core.errors import ConfigError

__all__ = [
    "Plateau", "curve_points", "drawn_steps", "multiplier", "options_of", "rate_function", "warmup_steps",
]  # fmt: skip

#: Schedules that take no warm-up, as in transformers.
_WITHOUT_WARMUP = ("constant", "reduce_lr_on_plateau")


def warmup_steps(config: ScheduleConfig, total: int) -> int:
    """Return the warm-up in steps: a share of `total` (rounded up) below 1, a number of steps from 1."""
    if config.name in _WITHOUT_WARMUP:
        return 0
    return math.ceil(total * config.warmup) if config.warmup < 1 else int(config.warmup)


def _rise(step: float, warmup: int) -> float:
    return float(step) / float(max(1, warmup))


def _progress(step: int, warmup: int, total: int) -> float:
    return float(step - warmup) / float(max(1, total - warmup))


def _linear(step: int, *, warmup: int, total: int, lr: float) -> float:
    if step < warmup:
        return _rise(step, warmup)
    return max(0.0, float(total - step) / float(max(1, total - warmup)))


def _cosine(step: int, *, warmup: int, total: int, lr: float, num_cycles: float = 0.5) -> float:
    if step < warmup:
        return _rise(step, warmup)
    return max(0.0, 0.5 * (1.0 + math.cos(math.pi * float(num_cycles) * 2.0 * _progress(step, warmup, total))))


def _cosine_with_restarts(step: int, *, warmup: int, total: int, lr: float, num_cycles: int = 1) -> float:
    if step < warmup:
        return _rise(step, warmup)
    progress = _progress(step, warmup, total)
    if progress >= 1.0:
        return 0.0
    return max(0.0, 0.5 * (1.0 + math.cos(math.pi * ((float(num_cycles) * progress) % 1.0))))


def _polynomial(step: int, *, warmup: int, total: int, lr: float, lr_end: float = 1e-7, power: float = 1.0) -> float:
    if not lr > lr_end:
        raise ConfigError(
            f"The polynomial schedule ends at lr_end = {lr_end}, which is not below the learning rate {lr}.",
            where="schedule.options.lr_end",
        )
    if step < warmup:
        return _rise(step, warmup)
    if step > total:
        return lr_end / lr
    remaining = 1 - (step - warmup) / max(1, total - warmup)
    return ((lr - lr_end) * remaining**power + lr_end) / lr


def _constant(step: int, *, warmup: int, total: int, lr: float) -> float:
    return 1.0


def _constant_with_warmup(step: int, *, warmup: int, total: int, lr: float) -> float:
    return float(step) / float(max(1.0, warmup)) if step < warmup else 1.0


def _inverse_sqrt(step: int, *, warmup: int, total: int, lr: float, timescale: int | None = None) -> float:
    scale = timescale if timescale is not None else (warmup or 10_000)
    if step < warmup:
        return _rise(step, warmup)
    return 1.0 / math.sqrt((step + scale - warmup) / scale)


def _floor(lr: float, min_lr: float | None, min_lr_rate: float | None) -> float:
    if (min_lr is None) == (min_lr_rate is None):
        raise ConfigError(
            "The schedule needs one of min_lr and min_lr_rate.",
            where="schedule.options",
            expected="min_lr (a learning rate) or min_lr_rate (a share of the learning rate), not both",
        )
    return min_lr / lr if min_lr is not None else float(min_lr_rate or 0.0)


def _cosine_with_min_lr(
    step: int, *, warmup: int, total: int, lr: float,
    num_cycles: float = 0.5, min_lr: float | None = None, min_lr_rate: float | None = None,
) -> float:  # fmt: skip
    floor = _floor(lr, min_lr, min_lr_rate)
    if step < warmup:
        return _rise(step, warmup)
    factor = 0.5 * (1.0 + math.cos(math.pi * float(num_cycles) * 2.0 * _progress(step, warmup, total)))
    return max(0.0, factor * (1 - floor) + floor)


def _cosine_warmup_with_min_lr(
    step: int, *, warmup: int, total: int, lr: float,
    num_cycles: float = 0.5, min_lr: float | None = None, min_lr_rate: float | None = None,
    warmup_lr_rate: float | None = None,
) -> float:  # fmt: skip
    floor = _floor(lr, min_lr, min_lr_rate)
    if step < warmup:
        if warmup_lr_rate is None:
            return (step + 1.0) / max(1.0, float(warmup))
        return warmup_lr_rate + (1.0 - warmup_lr_rate) * float(step) / max(1, warmup - 1)
    progress = (step - warmup + 1.0) / max(1.0, float(total - warmup))
    factor = 0.5 * (1.0 + math.cos(math.pi * num_cycles * 2.0 * progress))
    return max(0.0, factor * (1 - floor) + floor)


def _warmup_stable_decay(
    step: int, *, warmup: int, total: int, lr: float,
    num_decay_steps: float = 0.1, num_stable_steps: float | None = None, warmup_type: str = "linear",
    decay_type: str = "cosine", min_lr_ratio: float = 0.0, num_cycles: float = 0.5,
) -> float:  # fmt: skip
    shapes: dict[str, Callable[[float], float]] = {
        "linear": lambda p: p,
        "cosine": lambda p: 0.5 * (1.0 - math.cos(math.pi * p)),
        "1-sqrt": lambda p: 1.0 - math.sqrt(1.0 - p),
    }
    for key, value in (("warmup_type", warmup_type), ("decay_type", decay_type)):
        if value not in shapes:
            raise ConfigError(
                f"The schedule has no {key} {value!r}.",
                where=f"schedule.options.{key}",
                expected="linear, cosine or 1-sqrt",
            )
    decay = math.ceil(total * num_decay_steps) if num_decay_steps < 1 else int(num_decay_steps)
    if num_stable_steps is None:
        stable = total - warmup - decay
    else:
        stable = math.ceil(total * num_stable_steps) if num_stable_steps < 1 else int(num_stable_steps)
    if step < warmup:
        factor = shapes[warmup_type](_rise(step, warmup))
    elif step < warmup + stable:
        return 1.0
    elif step < warmup + stable + decay:
        progress = float(step - warmup - stable) / float(max(1, decay))
        if decay_type == "linear":
            factor = 1.0 - progress
        elif decay_type == "cosine":
            factor = 0.5 * (1.0 + math.cos(math.pi * float(num_cycles) * 2.0 * progress))
        else:
            factor = 1.0 - math.sqrt(progress)
    else:
        return min_lr_ratio
    return max(0.0, factor * (1.0 - min_lr_ratio) + min_lr_ratio)


_SCHEDULES: dict[str, Callable[..., float]] = {
    "linear": _linear,
    "cosine": _cosine,
    "cosine_with_restarts": _cosine_with_restarts,
    "polynomial": _polynomial,
    "constant": _constant,
    "constant_with_warmup": _constant_with_warmup,
    "inverse_sqrt": _inverse_sqrt,
    "reduce_lr_on_plateau": _constant,
    "cosine_with_min_lr": _cosine_with_min_lr,
    "cosine_warmup_with_min_lr": _cosine_warmup_with_min_lr,
    "warmup_stable_decay": _warmup_stable_decay,
}
_PLATEAU_OPTIONS: dict[str, Any] = {
    "factor": 0.1, "patience": 10, "threshold": 1e-4, "threshold_mode": "rel", "cooldown": 0, "min_lr": 0.0,
    "eps": 1e-8,
}  # fmt: skip


def options_of(name: str) -> dict[str, Any]:
    """Return the options that a schedule takes, with their defaults."""
    if name == "reduce_lr_on_plateau":
        return dict(_PLATEAU_OPTIONS)
    parameters = inspect.signature(_SCHEDULES[name]).parameters
    return {key: item.default for key, item in parameters.items() if item.default is not inspect.Parameter.empty}


def _checked(config: ScheduleConfig) -> dict[str, Any]:
    known = options_of(config.name)
    for key, value in config.options.items():
        if key not in known:
            raise ConfigError(
                f"The schedule {config.name} has no option {key!r}.",
                where=f"schedule.options.{key}",
                expected=", ".join(known) or "no options",
            )
        text = key.endswith(("_type", "_mode"))
        if isinstance(value, bool) or isinstance(value, str) != text:
            raise ConfigError(
                f"The schedule's option {key} cannot be {value!r}.",
                where=f"schedule.options.{key}",
                expected="a word" if text else "a number",
            )
    return dict(config.options)


def rate_function(config: ScheduleConfig, total: int, lr: float) -> Callable[[int], float]:
    """Return the function from an optimiser step (from 1) to the factor of the learning rate at that step.

    Parameters
    ----------
    config
        Name, warm-up and options.
    total
        Number of optimiser steps of the stage.
    lr
        The stage's learning rate, to which absolute options (``min_lr``, ``lr_end``) refer.

    Returns
    -------
    Callable
        step → factor. For ``reduce_lr_on_plateau`` the factor is 1: see :class:`Plateau`.

    Raises
    ------
    ConfigError
        If an option is unknown, of the wrong type, or out of range.
    """
    function = _SCHEDULES[config.name]
    options = {} if config.name == "reduce_lr_on_plateau" else _checked(config)
    if config.name == "reduce_lr_on_plateau":
        Plateau.from_config(config, maximise=True)
    warmup = warmup_steps(config, total)

    def rate(step: int) -> float:
        try:
            return function(step - 1, warmup=warmup, total=total, lr=lr, **options)
        except (ValueError, ZeroDivisionError, OverflowError) as error:
            raise ConfigError(
                f"The schedule {config.name} cannot be computed with its options: {error}.", where="schedule.options"
            ) from error

    rate(1)  # wrong options are found now, not in the middle of a run
    return rate


def multiplier(config: ScheduleConfig, step: int, total: int, lr: float) -> float:
    """Return the factor of the learning rate at optimiser step `step` (from 1) of `total`."""
    return rate_function(config, total, lr)(step)


def drawn_steps(total: int, corners: Iterable[int] = (), *, points: int | None = 400) -> list[int]:
    """Return the steps (from 1) at which a curve of `total` steps is drawn: all, or evenly chosen ones and corners.

    Parameters
    ----------
    total
        Number of steps.
    corners
        Steps that may not be left out.
    points
        Largest number of steps beside the corners; None: every step.
    """
    if points is None or total <= points:
        return list(range(1, total + 1))
    even = {1 + round(index * (total - 1) / (points - 1)) for index in range(points)}
    return sorted(even | {step for step in corners if 1 <= step <= total})


def curve_points(
    stage: Stage, rates: dict[str, float], total: int, *, points: int | None = 400
) -> dict[str, dict[str, list[float]]]:
    """Return what the learning rate of each group will be.

    Parameters
    ----------
    stage
        The stage.
    rates
        Base learning rate of each group.
    total
        Number of optimiser steps.
    points
        Largest number of points of a curve, beside its corners; None: every step.

    Returns
    -------
    dict
        group → ``{"steps": [...], "lr": [...]}``.
    """
    rate = rate_function(stage.schedule, total, stage.lr)
    warmup = warmup_steps(stage.schedule, total)
    steps = drawn_steps(total, (warmup, warmup + 1, warmup + 2), points=points)
    factors = [rate(step) for step in steps]
    return {name: {"steps": [*steps], "lr": [base * factor for factor in factors]} for name, base in rates.items()}


@dataclass
class Plateau:
    """Lower the rates when the gate metric stops improving: ``torch.optim.lr_scheduler.ReduceLROnPlateau`` as plain
    state.

    Parameters
    ----------
    maximise
        Whether a larger metric is better.
    factor, patience, threshold, threshold_mode, cooldown, min_lr, eps
        As in torch.
    """

    maximise: bool
    factor: float = 0.1
    patience: int = 10
    threshold: float = 1e-4
    threshold_mode: str = "rel"
    cooldown: int = 0
    min_lr: float = 0.0
    eps: float = 1e-8
    state: dict[str, float] = field(default_factory=dict)

    @classmethod
    def from_config(cls, config: ScheduleConfig, *, maximise: bool) -> Plateau:
        """Build it from the schedule's options.

        Raises
        ------
        ConfigError
            If an option is unknown or out of range.
        """
        options: dict[str, Any] = {**_PLATEAU_OPTIONS, **_checked(config)}
        if not 0 < options["factor"] < 1:
            raise ConfigError(
                f"The plateau factor must lie between 0 and 1, got {options['factor']}.",
                where="schedule.options.factor",
            )
        if options["threshold_mode"] not in ("rel", "abs"):
            raise ConfigError(
                f"The threshold mode {options['threshold_mode']!r} does not exist.",
                where="schedule.options.threshold_mode",
                expected="rel or abs",
            )
        return cls(maximise, **options)

    def _better(self, value: float, best: float) -> bool:
        sign = 1.0 if self.maximise else -1.0
        if self.threshold_mode == "rel":
            return sign * value > sign * best * (1.0 + sign * self.threshold)
        return sign * value > sign * best + self.threshold

    def observe(self, value: float, rates: dict[str, float]) -> dict[str, float]:
        """Take one evaluation's metric and return the rates that hold from now on."""
        best = self.state.get("best")
        if best is None or self._better(value, best):
            self.state["best"], self.state["bad"] = value, 0
        else:
            self.state["bad"] = self.state.get("bad", 0) + 1
        if self.state.get("cooldown", 0) > 0:
            self.state["cooldown"] -= 1
            self.state["bad"] = 0
        if self.state["bad"] <= self.patience:
            return dict(rates)
        self.state["cooldown"], self.state["bad"] = self.cooldown, 0
        lowered = {}
        for name, rate in rates.items():
            new = max(rate * self.factor, self.min_lr)
            lowered[name] = new if rate - new > self.eps else rate
        return lowered
