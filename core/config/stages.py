"""Stages of a plan: how the weights move, when a stage has done its work, and what happens when it has not.

``docs/stages.md`` says what each of them does. Plain data without torch: the dashboard imports it.
"""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

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
    "Stage",
    "check_stages",
]

_START = re.compile(r"^(pretrained|last|best:.+)$")


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


class Stage(Config):
    """One stage of training."""

    name: str = Field("train", min_length=1, max_length=60, description="Name of the stage.")
    kind: Literal["train", "range_test", "search"] = Field(
        "train",
        description="train: optimise. range_test: find a learning rate, weights stay as they were. "
        "search: try values of fields in trials and go on with the best one's weights.",
    )
    enabled: bool = Field(True, json_schema_extra=_ADVANCED, description="A stage that is switched off is skipped.")
    start_from: str = Field(
        "last",
        json_schema_extra=_ADVANCED,
        description="Weights to begin with: last (as the stage before left them; the first stage has the pretrained "
        "ones), pretrained, or best:NAME (the best evaluation of an earlier stage).",
    )
    lr_from: str | None = Field(
        None,
        json_schema_extra=_ADVANCED,
        description="Name of an earlier range test whose suggestion takes the place of lr (and of head_lr).",
    )
    seed: int | None = Field(
        None, ge=0, json_schema_extra=_ADVANCED, description="Seed of order and dropout. Empty: from the run's seed."
    )
    dropout: float | None = Field(
        None, ge=0, lt=1, json_schema_extra=_ADVANCED,
        description="Dropout of encoder and head during this stage. Empty: as the model has it.",
    )  # fmt: skip
    epochs: float | None = Field(1.0, gt=0, description="Passes over the training rows (used when steps is empty).")
    steps: int | None = Field(None, ge=1, description="Optimiser steps. Overrides epochs.")
    lr: float = Field(
        1e-4, gt=0, le=10, description="Learning rate of the encoder's top layer, and of all groups without their own."
    )
    head_lr: float | None = Field(None, gt=0, le=10, description="Learning rate of the head. Empty: as lr.")
    layer_decay: float = Field(
        1.0, gt=0, le=1, description="Each layer's rate is the next higher layer's times this. 1: off."
    )
    freeze_layers: int = Field(
        0,
        ge=0,
        description="Freeze the embeddings and this many lowest layers (their activations are cached). 0: none.",
    )
    freeze_encoder: bool = Field(False, description="Train the head only; the encoder's outputs are computed once.")
    groups: list[ParameterGroup] = Field(
        default_factory=list, json_schema_extra=_ADVANCED, description="Parameter groups by pattern."
    )
    weight_decay: float = Field(0.01, ge=0, description="Weight decay (not applied to biases and LayerNorm).")
    reinit_top_n: int = Field(
        0, ge=0, json_schema_extra=_ADVANCED, description="Re-initialise this many top layers first."
    )
    optimizer: OptimizerConfig = Field(
        default_factory=OptimizerConfig, json_schema_extra=_ADVANCED, description="Optimiser."
    )
    schedule: ScheduleConfig = Field(default_factory=ScheduleConfig, description="Learning-rate schedule.")
    batch_size: int = Field(
        32, ge=1, le=4096, description="Examples per optimiser step (used when batch_tokens is empty)."
    )
    batch_tokens: int | None = Field(
        None, ge=8, description="Sub-words per optimiser step, padding included. Overrides batch_size."
    )
    accumulation: int = Field(1, ge=1, json_schema_extra=_ADVANCED, description="Micro-batches per optimiser step.")
    bucketing: bool = Field(
        True, json_schema_extra=_ADVANCED, description="Group texts of similar length into a batch."
    )
    clip_norm: float | None = Field(1.0, gt=0, description="Clip the gradient's norm at this value. Empty: off.")
    label_smoothing: float = Field(0.0, ge=0, lt=1, json_schema_extra=_ADVANCED, description="Label smoothing.")
    class_weights: Literal["none", "balanced"] | dict[str, float] = Field(
        "none",
        json_schema_extra=_ADVANCED,
        description="none, balanced (inverse frequency), or a weight for each label.",
    )
    eval_every: int | None = Field(
        None, ge=1, description="Evaluate on gate every so many steps. Empty: at the end of each epoch."
    )
    metric: str | None = Field(
        None,
        json_schema_extra=_ADVANCED,
        description="Gate metric that picks the best checkpoint. Empty: the task's own.",
    )
    early_stopping: EarlyStopping = Field(
        default_factory=EarlyStopping, json_schema_extra=_ADVANCED, description="Early stopping."
    )
    guards: GuardConfig = Field(default_factory=GuardConfig, json_schema_extra=_ADVANCED, description="Guards.")
    gate: GateConfig | None = Field(
        None, json_schema_extra=_ADVANCED, description="What must be reached before the next stage. Empty: no gate."
    )
    on_pass: Literal["promote", "repeat", "stop"] = Field(
        "promote",
        json_schema_extra=_ADVANCED,
        description="When the gate passes. promote: the next stage begins. repeat: the stage again from there, with "
        "rates times lr_factor, up to lr_cap. stop: the run ends.",
    )
    on_fail: Literal["cut", "raise", "rollback", "continue", "stop"] = Field(
        "rollback",
        json_schema_extra=_ADVANCED,
        description="When the gate fails. cut, raise: back to the stage's start, again with rates divided or "
        "multiplied by lr_factor. rollback: back to the best weights, next stage. continue: next stage. stop: the run "
        "ends.",
    )
    max_retries: int = Field(
        0, ge=0, le=20, json_schema_extra=_ADVANCED,
        description="How often the stage may be begun again, after a gate or a guard. A guard rolls back to the best "
        "weights and cuts the rates; with 0 it fails the run.",
    )  # fmt: skip
    on_exhausted: Literal["rollback", "stop"] = Field(
        "rollback",
        json_schema_extra=_ADVANCED,
        description="When no retry is left. rollback: back to the best weights, next stage. stop: the run ends.",
    )
    lr_factor: float = Field(
        3.0, gt=1, le=1000, json_schema_extra=_ADVANCED, description="What rates are multiplied or divided by."
    )
    lr_cap: float | None = Field(
        None, gt=0, le=100, json_schema_extra=_ADVANCED, description="No raised rate goes beyond this. Empty: no cap."
    )
    raise_if: RaiseConfig | None = Field(
        None, json_schema_extra=_ADVANCED, description="Raise the rates within the stage. Empty: never."
    )
    budget_s: float | None = Field(
        None, gt=0, json_schema_extra=_ADVANCED, description="Seconds after which the stage ends. Empty: no limit."
    )
    range_test: RangeTestConfig | None = Field(
        None, json_schema_extra=_ADVANCED, description="Settings of a range test; only for that kind."
    )
    search: SearchConfig | None = Field(
        None, json_schema_extra=_ADVANCED, description="Settings of a search; only for that kind."
    )
    cache_activations: bool = Field(
        True, json_schema_extra=_ADVANCED, description="Compute a frozen lower part once and reuse its activations."
    )
    cache_limit_mb: int = Field(
        4096, ge=1, json_schema_extra=_ADVANCED, description="Largest size of that cache in MB."
    )

    @field_validator("start_from")
    @classmethod
    def _start(cls, value: str) -> str:
        if not _START.match(value):
            raise ValueError(f"start_from must be last, pretrained or best:NAME, got {value!r}")
        return value

    @model_validator(mode="after")
    def _length(self) -> Stage:
        if self.epochs is None and self.steps is None:
            raise ValueError("give epochs or steps; both are empty")
        return self

    @model_validator(mode="after")
    def _parts(self) -> Stage:
        for part, kind in (("range_test", "range_test"), ("search", "search")):
            if getattr(self, part) is not None and self.kind != kind:
                raise ValueError(f"{part} belongs to a stage of kind {kind}, this one is {self.kind}")
        if self.kind == "search" and self.search is None:
            raise ValueError("a stage of kind search needs search: what is to be searched")
        if self.kind != "train" and self.gate is not None:
            raise ValueError(f"a gate belongs to a stage of kind train, this one is {self.kind}")
        if self.on_pass == "repeat" and self.gate is not None and self.lr_cap is None and self.max_retries == 0:
            raise ValueError("on_pass repeat needs lr_cap or max_retries, or it would not repeat")
        if self.steps is not None and self.schedule.warmup >= 1 and self.schedule.warmup > self.steps:
            raise ValueError(
                f"schedule.warmup is {self.schedule.warmup:g} steps, longer than the stage's {self.steps} steps"
            )
        return self

    @model_validator(mode="after")
    def _searchable(self) -> Stage:
        from core.config.space import SpaceError, dimensions  # it walks the fields of this class

        try:
            dimensions(self)
        except SpaceError as error:
            place = ("search", "space", error.key) if error.key else ("search", "space")
            problem = PydanticCustomError("value_error", "{what}", {"what": error.what})
            listed = InitErrorDetails(type=problem, loc=place, input=None)
            raise ValidationError.from_exception_data("Stage", [listed]) from error
        return self


def check_stages(stages: list[Stage]) -> None:
    """Check what concerns several stages: names, and that each refers to earlier ones only.

    Raises
    ------
    ValueError
        If two stages have one name, all are switched off, or one refers to a stage that is not executed before it.
    """
    names = [stage.name for stage in stages]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"two stages are called {name!r}; each needs a name of its own")
    if not any(stage.enabled for stage in stages):
        raise ValueError("every stage is switched off; at least one must be executed")
    before: dict[str, Stage] = {}
    for index, stage in enumerate(stages):
        if not stage.enabled:
            continue
        if stage.start_from.startswith("best:"):
            _earlier(f"stages.{index}.start_from", stage.start_from[5:], before, ("train", "search"), names)
        if stage.lr_from is not None:
            _earlier(f"stages.{index}.lr_from", stage.lr_from, before, ("range_test",), names)
        before[stage.name] = stage


def _earlier(where: str, name: str, before: dict[str, Stage], kinds: tuple[str, ...], names: list[str]) -> None:
    found = before.get(name)
    if found is None:
        why = "is not executed before this one" if name in names else "does not exist"
        known = ", ".join(before) or "none"
        raise ValueError(f"{where} names the stage {name!r}, which {why}; stages before: {known}")
    if found.kind not in kinds:
        raise ValueError(f"{where} names the stage {name!r} of kind {found.kind}; it must be {' or '.join(kinds)}")
