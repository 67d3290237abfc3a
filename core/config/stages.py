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
from core.config.distillation import DistillationConfig
from core.config.stage_parts import (
    EarlyStopping,
    GateConfig,
    GuardConfig,
    OptimizerConfig,
    ParameterGroup,
    RaiseConfig,
    RangeTestConfig,
    ScheduleConfig,
    SearchConfig,
)

__all__ = ["Stage", "check_stages"]

_START = re.compile(r"^(pretrained|last|best:.+)$")


class Stage(Config):
    """One stage of training."""

    name: str = Field("train", min_length=1, max_length=60, description="Name of the stage.")
    kind: Literal["train", "range_test", "search", "distil"] = Field(
        "train",
        description="train: optimise. range_test: find a learning rate, weights stay as they were. "
        "search: try values of fields in trials and go on with the best one's weights. distil: optimise, and learn "
        "from teachers beside the gold labels.",
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
    distil: DistillationConfig | None = Field(
        None, json_schema_extra=_ADVANCED, description="Teachers and losses of a distillation; only for that kind."
    )
    cache_activations: bool = Field(
        True, json_schema_extra=_ADVANCED, description="Compute a frozen lower part once and reuse its activations."
    )
    cache_limit_mb: int = Field(
        4096, ge=1, json_schema_extra=_ADVANCED, description="Largest size of that cache in MB."
    )

    @property
    def trains(self) -> bool:
        """Whether it is steps and evaluations of its own weights: kinds train and distil."""
        return self.kind in ("train", "distil")

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
        for part, kind in (("range_test", "range_test"), ("search", "search"), ("distil", "distil")):
            if getattr(self, part) is not None and self.kind != kind:
                raise ValueError(f"{part} belongs to a stage of kind {kind}, this one is {self.kind}")
        if self.kind == "search" and self.search is None:
            raise ValueError("a stage of kind search needs search: what is to be searched")
        if self.kind == "distil" and self.distil is None:
            raise ValueError("a stage of kind distil needs distil: its teachers")
        if not self.trains and self.gate is not None:
            raise ValueError(f"a gate belongs to a stage of kind train or distil, this one is {self.kind}")
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
            _earlier(f"stages.{index}.start_from", stage.start_from[5:], before, ("train", "search", "distil"), names)
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
