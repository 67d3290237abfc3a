"""How a stage of kind ``distil`` learns from teachers. Plain data without torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from core.config.base import ADVANCED as _ADVANCED
from core.config.base import Config

__all__ = ["DistillationConfig", "SelectionConfig", "StateLoss", "TeacherConfig", "WeightSchedule"]


class TeacherConfig(Config):
    """A trained model that a student learns from."""

    source: str = Field(min_length=1, description="Folder of a trained or exported model, or hub:NAME.")
    weight: float = Field(1.0, gt=0, le=1000, description="Its weight among several teachers.")
    labels: dict[str, str] = Field(
        default_factory=dict, json_schema_extra=_ADVANCED,
        description="What its labels are called in the data, where the names differ: {its label: the data's}. Of tags "
        "the kind is enough.",
    )  # fmt: skip


class SelectionConfig(Config):
    """Learn from some of a batch's positions only."""

    by: Literal["entropy", "student_loss"] = Field(
        "entropy",
        description="entropy: where the student is least certain. student_loss: where it is furthest from the gold.",
    )
    share: float = Field(0.5, gt=0, le=1, description="Share of the positions that count.")


class WeightSchedule(Config):
    """How a weight changes over the stage: from the weight itself to another one."""

    name: Literal["constant", "linear", "cosine", "step"] = Field(
        "constant",
        description="constant: it stays. linear: evenly. cosine: slowly at both ends. step: at once, at `begin`.",
    )
    to: float = Field(0.0, ge=0, le=1000, description="Weight after the change.")
    begin: float = Field(0.0, ge=0, le=1, description="When the change begins: share of the stage's steps.")
    end: float = Field(1.0, ge=0, le=1, description="When it ends: share of the stage's steps. linear and cosine only.")

    @model_validator(mode="after")
    def _ordered(self) -> WeightSchedule:
        if self.name in ("linear", "cosine") and self.begin >= self.end:
            raise ValueError(f"begin must be below end, got {self.begin:g} and {self.end:g}")
        return self


class StateLoss(Config):
    """A loss between what a layer of the student and a layer of the teacher compute."""

    kind: Literal["hidden", "attention", "relation", "embedding"] = Field(
        description="hidden: what a layer gives (Sun et al. 2019, PKD). attention: the scores before softmax (Jiao et "
        "al. 2020, TinyBERT). relation: how queries, keys and values relate (Wang et al. 2021, MiniLMv2); needs no "
        "equal widths. embedding: what enters the first layer."
    )
    weight: float = Field(1.0, ge=0, le=1000, description="Weight of this loss.")
    schedule: WeightSchedule = Field(default_factory=WeightSchedule, description="How its weight changes.")
    distance: Literal["mse", "cosine", "normalised"] = Field(
        "mse",
        description="hidden and embedding: squared error by element, 1 − cosine, or squared distance of the vectors "
        "divided by their lengths (PKD).",
    )
    map: Literal["auto", "none", "linear"] = Field(
        "auto",
        description="hidden and embedding: a learned linear map from the student's width to the teacher's (TinyBERT). "
        "auto: where the widths differ.",
    )
    positions: Literal["all", "first"] = Field(
        "all", description="hidden and embedding: compare all sub-words, or the first one of each text only (PKD)."
    )
    layers: Literal["uniform", "skip", "last", "cka"] | list[tuple[int, int]] = Field(
        "uniform",
        description="uniform: the student's layers spread evenly over the teacher's. skip: the same without the last "
        "one (PKD-Skip). last: the last layers only. cka: those that are most alike before training (Kornblith et al. "
        "2019). Otherwise pairs [student, teacher], layers counted from 1. embedding has none.",
    )
    heads: int | None = Field(
        None, ge=1, le=1024, json_schema_extra=_ADVANCED,
        description="relation: heads that the widths are divided into on both sides. Empty: the student's layer's.",
    )  # fmt: skip

    @property
    def counts(self) -> bool:
        """Whether it has a weight at any time."""
        return _ever(self.weight, self.schedule)

    @field_validator("layers")
    @classmethod
    def _pairs(cls, value: object) -> object:
        if isinstance(value, list):
            if not value:
                raise ValueError("the list of layer pairs is empty")
            if any(min(pair) < 1 for pair in value):
                raise ValueError("layers are counted from 1")
            if len({tuple(pair) for pair in value}) < len(value):
                raise ValueError("a pair of layers is listed twice")
        return value


class DistillationConfig(Config):
    """Learning from teachers.

    L = answers · ((1 − alpha) · gold + alpha · T² · KL(teacher ‖ student)) + losses between layers.
    """

    teachers: list[TeacherConfig] = Field(min_length=1, max_length=5, description="One teacher or several.")
    temperature: float = Field(2.0, gt=0, le=100, description="Temperature T of both softmaxes.")
    alpha: float = Field(0.7, ge=0, le=1, description="Share of the teachers' answers; the rest is the gold labels'.")
    alpha_schedule: WeightSchedule = Field(
        default_factory=WeightSchedule, json_schema_extra=_ADVANCED, description="How alpha changes."
    )
    answers: float = Field(
        1.0, ge=0, le=1000, json_schema_extra=_ADVANCED,
        description="Weight of gold and teachers' answers together, beside the losses between layers. 0: the layers "
        "alone, as in the first stage of TinyBERT and MiniLMv2; the head then stays as it is.",
    )  # fmt: skip
    answers_schedule: WeightSchedule = Field(
        default_factory=WeightSchedule, json_schema_extra=_ADVANCED, description="How that weight changes."
    )
    differences: float = Field(
        0.0, ge=0, le=1,
        description="λ: how much more a position counts where student and teacher differ. 0: plain distillation.",
    )  # fmt: skip
    sharpness: float = Field(
        1.0, gt=0, le=10, json_schema_extra=_ADVANCED, description="γ: exponent of the difference in those weights."
    )
    harmful: Literal["keep", "drop"] = Field(
        "keep", description="drop: positions at which the teacher is wrong and the student right do not count."
    )
    selection: SelectionConfig | None = Field(
        None, json_schema_extra=_ADVANCED, description="Learn from some positions only. Empty: from all."
    )
    states: list[StateLoss] = Field(
        default_factory=list, max_length=8, description="Losses between layers. The first teacher's layers are taken."
    )
    maps_lr: float | None = Field(
        None, gt=0, le=10, json_schema_extra=_ADVANCED,
        description="Learning rate of learned maps. Empty: the head's. They have no weight decay.",
    )  # fmt: skip
    cache: bool = Field(
        True, json_schema_extra=_ADVANCED,
        description="Compute the teachers' answers once and keep them, in half precision.",
    )  # fmt: skip
    cache_limit_mb: int = Field(
        2048, ge=1, json_schema_extra=_ADVANCED, description="Largest size of those answers on the disk, in MB."
    )

    @model_validator(mode="after")
    def _something(self) -> DistillationConfig:
        layers = any(one.counts for one in self.states)
        if not layers and not _ever(self.answers, self.answers_schedule):
            raise ValueError("nothing is learnt at all: answers is 0 and there is no loss between layers")
        if not layers and not _ever(self.alpha, self.alpha_schedule):
            raise ValueError("nothing is learnt from the teacher: alpha is 0 and there is no loss between layers")
        if self.alpha_schedule.name != "constant" and self.alpha_schedule.to > 1:
            raise ValueError(f"alpha is a share: alpha_schedule.to must be at most 1, got {self.alpha_schedule.to:g}")
        if self.selection is not None and self.differences > 0:
            raise ValueError("give differences or selection, not both: each says which positions count")
        return self


def _ever(weight: float, schedule: WeightSchedule) -> bool:
    """Tell whether a weight is above 0 at any time."""
    return weight > 0 or (schedule.name != "constant" and schedule.to > 0)
