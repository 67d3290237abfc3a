"""How a stage of kind ``distil`` learns from teachers. Plain data without torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from core.config.base import ADVANCED as _ADVANCED
from core.config.base import Config

__all__ = ["DistillationConfig", "SelectionConfig", "StateLoss", "TeacherConfig"]


class TeacherConfig(Config):
    """A trained model that a student learns from."""

    source: str = Field(min_length=1, description="Folder of a trained or exported model, or hub:NAME.")
    weight: float = Field(1.0, gt=0, le=1000, description="Its weight among several teachers.")


class SelectionConfig(Config):
    """Learn from some of a batch's positions only."""

    by: Literal["entropy", "student_loss"] = Field(
        "entropy",
        description="entropy: where the student is least certain. student_loss: where it is furthest from the gold.",
    )
    share: float = Field(0.5, gt=0, le=1, description="Share of the positions that count.")


class StateLoss(Config):
    """A loss between what a layer of the student and a layer of the teacher compute."""

    kind: Literal["hidden", "attention", "relation", "embedding"] = Field(
        description="hidden: what a layer gives (Sun et al. 2019, PKD). attention: the scores before softmax (Jiao et "
        "al. 2020, TinyBERT). relation: how queries, keys and values relate (Wang et al. 2021, MiniLMv2); needs no "
        "equal widths. embedding: what enters the first layer."
    )
    weight: float = Field(1.0, ge=0, le=1000, description="Weight of this loss.")
    distance: Literal["mse", "cosine"] = Field("mse", description="hidden and embedding: squared error, or 1 − cosine.")
    layers: Literal["uniform", "last"] | list[tuple[int, int]] = Field(
        "uniform",
        description="uniform: the student's layers spread evenly over the teacher's. last: the last layers only. "
        "Otherwise pairs [student, teacher], layers counted from 1. embedding has none.",
    )
    heads: int | None = Field(
        None, ge=1, le=1024, json_schema_extra=_ADVANCED,
        description="relation: heads that the widths are divided into on both sides. Empty: the student's.",
    )  # fmt: skip

    @field_validator("layers")
    @classmethod
    def _pairs(cls, value: object) -> object:
        if isinstance(value, list):
            if not value:
                raise ValueError("the list of layer pairs is empty")
            if any(min(pair) < 1 for pair in value):
                raise ValueError("layers are counted from 1")
        return value


class DistillationConfig(Config):
    """Learning from teachers: L = (1 − alpha) · gold + alpha · T² · KL(teacher ‖ student) + losses between layers."""

    teachers: list[TeacherConfig] = Field(min_length=1, max_length=5, description="One teacher or several.")
    temperature: float = Field(2.0, gt=0, le=100, description="Temperature T of both softmaxes.")
    alpha: float = Field(0.7, ge=0, le=1, description="Share of the teachers' answers; the rest is the gold labels'.")
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
    cache: bool = Field(
        True, json_schema_extra=_ADVANCED,
        description="Compute the teachers' answers once and keep them, in half precision.",
    )  # fmt: skip
    cache_limit_mb: int = Field(
        2048, ge=1, json_schema_extra=_ADVANCED, description="Largest size of those answers on the disk, in MB."
    )

    @model_validator(mode="after")
    def _something(self) -> DistillationConfig:
        if self.alpha == 0 and not any(one.weight > 0 for one in self.states):
            raise ValueError("nothing is learnt from the teacher: alpha is 0 and there is no loss between layers")
        if self.selection is not None and self.differences > 0:
            raise ValueError("give differences or selection, not both: each says which positions count")
        return self
