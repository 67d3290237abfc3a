"""Parts of a stage: optimiser, schedule, groups, gate, guards, range test, search. Plain data without torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from core.config.base import ADVANCED as _ADVANCED
from core.config.base import Config

__all__ = [
    "Distribution",
    "EarlyStopping",
    "GateConfig",
    "GuardConfig",
    "Objective",
    "OptimizerConfig",
    "ParameterGroup",
    "RaiseConfig",
    "RangeTestConfig",
    "ScheduleConfig",
    "SearchConfig",
]


class OptimizerConfig(Config):
    """The optimiser."""

    name: Literal["adamw", "adam", "sgd", "adafactor", "rmsprop"] = Field("adamw", description="Optimiser.")
    betas: tuple[float, float] = Field((0.9, 0.999), description="Adam's decay rates of the two moments.")
    eps: float = Field(1e-8, gt=0, description="Adam's epsilon.")
    momentum: float = Field(0.9, ge=0, lt=1, description="SGD and RMSprop only.")

    @field_validator("betas")
    @classmethod
    def _betas(cls, value: tuple[float, float]) -> tuple[float, float]:
        if not all(0 <= beta < 1 for beta in value):
            raise ValueError(f"betas must lie in [0, 1), got {value}")
        return value


class ScheduleConfig(Config):
    """How the learning rate changes from step to step (names as in transformers)."""

    name: Literal[
        "linear", "cosine", "cosine_with_restarts", "polynomial", "constant", "constant_with_warmup",
        "inverse_sqrt", "reduce_lr_on_plateau", "cosine_with_min_lr", "cosine_warmup_with_min_lr",
        "warmup_stable_decay",
    ] = Field("linear", description="Schedule after the warm-up.")  # fmt: skip
    warmup: float = Field(0.06, ge=0, description="Below 1: share of all steps. From 1: number of steps.")
    options: dict[str, float | int | str | bool] = Field(
        default_factory=dict, json_schema_extra=_ADVANCED,
        description="Further arguments of the schedule, e.g. num_cycles, power, min_lr, num_decay_steps.",
    )  # fmt: skip


class ParameterGroup(Config):
    """Settings for the parameters whose names match a pattern. The first matching group wins."""

    pattern: str = Field(
        min_length=1,
        description="Regular expression searched in the name, or head, embeddings, encoder, layer:0-3, all.",
    )
    lr: float | None = Field(None, ge=0, description="Learning rate. Empty: the stage's.")
    weight_decay: float | None = Field(None, ge=0, description="Weight decay. Empty: the stage's.")
    frozen: bool = Field(False, description="These parameters are not trained.")


class EarlyStopping(Config):
    """Stop when the gate metric no longer improves."""

    patience: int | None = Field(
        None, ge=1, description="Evaluations without improvement before stopping. Empty: never."
    )
    min_delta: float = Field(0.0, ge=0, description="Smallest change of the metric that counts as an improvement.")


class GuardConfig(Config):
    """What stops a run that has gone wrong."""

    nan: bool = Field(True, description="Stop when the loss or the gradient norm is not a number.")
    explode_factor: float | None = Field(
        10.0,
        gt=1,
        description="Stop when the smoothed loss exceeds the best smoothed loss by this factor. Empty: never.",
    )
    single_class: int | None = Field(
        None,
        ge=1,
        description="Stop after this many evaluations in a row that predict one class only. Empty: warn only.",
    )
    entropy: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Stop when the predictions' mean entropy on gate falls below this share of its maximum while the "
        "score is no better than the majority's. Empty: never.",
    )


class GateConfig(Config):
    """What a stage must have reached before the next one begins."""

    metric: str | None = Field(None, description="Metric on the gate rows. Empty: the stage's.")
    rule: Literal["point", "lower"] = Field(
        "point",
        description="point: the metric itself must pass. lower: the lower end of its 95 % interval over the gate rows.",
    )
    reference: Literal["start", "majority"] | float = Field(
        "start",
        description="What must be passed: start (the score before the stage), majority (the baseline), or a number.",
    )
    min_delta: float = Field(0.0, ge=0, description="By how much it must be passed.")
    decide: Literal["end", "first"] = Field(
        "end", description="end: at the stage's end. first: at the first evaluation that passes; the rest is skipped."
    )
    patience: int | None = Field(
        None,
        ge=1,
        description="The stage ends after this many evaluations in a row that do not pass. Empty: at its end.",
    )


class RaiseConfig(Config):
    """When the learning rate is raised within a stage: only while the loss falls and the gradient is steady."""

    factor: float = Field(2.0, gt=1, le=100, description="What the rates are multiplied by.")
    every: int = Field(20, ge=4, description="Steps between two looks.")
    max_variation: float = Field(
        0.5, gt=0, description="Largest variation (standard deviation by mean) of the gradient's norm over those steps."
    )
    min_fall: float = Field(
        0.0, ge=0, lt=1, description="Share by which the mean loss must have fallen against the steps before."
    )


class RangeTestConfig(Config):
    """A learning-rate range test (Smith 2017): the rate grows from step to step and the loss is watched."""

    lr_min: float = Field(1e-6, gt=0, description="First learning rate.")
    lr_max: float = Field(1.0, gt=0, le=100, description="Last learning rate.")
    steps: int = Field(100, ge=10, le=10_000, description="Optimiser steps of one test.")
    smoothing: float = Field(0.9, ge=0, lt=1, description="Weight of the past in the exponential mean of the loss.")
    stop_factor: float = Field(
        4.0, gt=1, description="End the test when the smoothed loss is this many times its best."
    )
    per_group: bool = Field(
        False, description="One test for each trained group, the others held still. Otherwise all rates grow together."
    )

    @model_validator(mode="after")
    def _ordered(self) -> RangeTestConfig:
        if self.lr_min >= self.lr_max:
            raise ValueError(f"lr_min must be below lr_max, got {self.lr_min:g} and {self.lr_max:g}")
        return self


class Distribution(Config):
    """What a search may choose for one field: a range, or a list."""

    low: float | None = Field(None, description="Lowest value of a range.")
    high: float | None = Field(None, description="Highest value of a range.")
    log: bool = Field(False, description="Sample the range logarithmically.")
    step: float | None = Field(None, gt=0, description="Only multiples of this above low.")
    choices: list[float | int | str | bool | None] | None = Field(None, description="A list instead of a range.")
    fixed: float | int | str | bool | None = Field(
        None, description="Hold the field at this value: it stays part of the search space but does not move."
    )

    @model_validator(mode="after")
    def _one_kind(self) -> Distribution:
        ranged = self.low is not None or self.high is not None
        if ranged == (self.choices is not None):
            raise ValueError("give low and high, or choices")
        if self.choices is not None:
            if not self.choices:
                raise ValueError("choices is empty")
            if len({repr(one) for one in self.choices}) < len(self.choices):
                raise ValueError("choices holds a value twice")
            if self.log or self.step is not None:
                raise ValueError("log and step belong to a range, not to choices")
            return self
        if self.low is None or self.high is None:
            raise ValueError("a range needs low and high")
        if self.low >= self.high:
            raise ValueError(f"the range is upside down: low {self.low:g} must be below high {self.high:g}")
        if self.log and self.low <= 0:
            raise ValueError(f"a logarithmic range must begin above 0, got low {self.low:g}")
        if self.log and self.step is not None:
            raise ValueError("a logarithmic range takes no step")
        return self


class Objective(Config):
    """What a search makes as good as it can."""

    metric: str = Field(
        min_length=1, description="A gate metric, or seconds (of training) or parameters (that are trained)."
    )
    direction: Literal["maximize", "minimize"] | None = Field(
        None, description="Empty: losses, seconds and parameters are minimised, everything else is maximised."
    )

    @property
    def way(self) -> Literal["maximize", "minimize"]:
        """The direction, also where it was left empty."""
        if self.direction is not None:
            return self.direction
        small = self.metric in ("seconds", "parameters") or self.metric.endswith("loss")
        return "minimize" if small else "maximize"


class SearchConfig(Config):
    """A search over fields of the stage: each trial is the stage with other values, from the same weights."""

    space: dict[str, Distribution] = Field(
        default_factory=dict,
        description="Field of the stage (lr, batch_size, schedule.warmup …) → range or list of values.",
    )
    trials: int = Field(20, ge=1, le=10_000, description="Trials, at most.")
    timeout_s: float | None = Field(None, gt=0, description="Begin no further trial after this many seconds.")
    seeds: int = Field(1, ge=1, le=50, description="Seeds of a trial; it is judged by their mean.")
    sampler: Literal["tpe", "gp", "cmaes", "qmc", "random"] = Field(
        "tpe", description="How values are proposed (Optuna's samplers)."
    )
    startup_trials: int = Field(5, ge=0, description="Random trials before the sampler begins to learn.")
    pruner: Literal["none", "median", "hyperband", "patient", "wilcoxon"] = Field(
        "none", description="How hopeless trials are ended early (Optuna's pruners). wilcoxon needs 5 seeds or more."
    )
    objectives: list[Objective] = Field(
        default_factory=list, max_length=3, description="One to three objectives. Empty: the stage's metric."
    )

    @model_validator(mode="after")
    def _possible(self) -> SearchConfig:
        if not any(one.fixed is None for one in self.space.values()):
            raise ValueError("there is nothing to search: space needs a field that is not fixed")
        if self.pruner == "wilcoxon" and self.seeds < 5:
            # with four seeds the smallest p is 1/16, after the last of them
            raise ValueError("the pruner wilcoxon compares seeds: with fewer than 5 it never ends a trial early")
        if len(self.objectives) > 1 and self.pruner != "none":
            raise ValueError("a search with several objectives has no pruner")
        if len(self.objectives) > 1 and self.sampler == "cmaes":
            raise ValueError("the sampler cmaes has one objective")
        if self.pruner != "none" and any(one.metric in ("seconds", "parameters") for one in self.objectives):
            raise ValueError("a pruner judges by a gate metric, not by seconds or parameters")
        if self.sampler == "cmaes" and not any(
            one.fixed is None and one.choices is None for one in self.space.values()
        ):
            raise ValueError("the sampler cmaes needs a range: from lists it would only draw at random")
        if len({one.metric for one in self.objectives}) < len(self.objectives):
            raise ValueError("two objectives have one metric")
        return self
