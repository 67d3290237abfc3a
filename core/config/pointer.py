"""Settings of a head that points (see :mod:`core.models.pointer`)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from core.config.base import ADVANCED as _ADVANCED
from core.config.base import Config

__all__ = ["PointerConfig"]


class PointerConfig(Config):
    """A head that points to a word or to an empty slot, and what it reads there."""

    kind: Literal["words", "global"] = Field(
        "words",
        description="Tagging only. words: each word points to the first word of its entity. global: every stretch of "
        "words is scored for every type (GlobalPointer), so that entities may lie inside each other.",
    )
    size: int = Field(
        64, ge=1, le=4096, json_schema_extra=_ADVANCED, description="Dimension of queries, keys and memory."
    )
    memory: bool = Field(
        True,
        description="What the pointer reads goes into the type (tagging), into the relation (dependency), or from the "
        "start into the end (questions). Off: the head has no parameters for it.",
    )
    relative: bool = Field(
        True,
        description="Distances between words have learned scores (questions: between start and end). Off: the head has "
        "no parameters for them.",
    )
    reach: int = Field(
        16, ge=1, le=4096, json_schema_extra=_ADVANCED,
        description="Distance, in words (questions: sub-words), from which on all distances count as one.",
    )  # fmt: skip
    type_weight: float = Field(
        1.0, gt=0, le=1000, json_schema_extra=_ADVANCED,
        description="Tagging and dependency: weight μ of the loss of types (relations) beside that of pointers.",
    )  # fmt: skip
    sentence_weight: float = Field(
        0.0, ge=0, le=1000, json_schema_extra=_ADVANCED,
        description="Tagging only: weight λ of the loss of a sentence label that is derived from the tags: which types "
        "of entities the sentence contains. 0: it is not learnt, and the head has no parameters for it.",
    )  # fmt: skip

    @model_validator(mode="after")
    def _even(self) -> PointerConfig:
        if self.kind == "global" and self.size % 2:
            raise ValueError(f"task.pointer.size must be even with kind global (pairs are turned), got {self.size}")
        return self
