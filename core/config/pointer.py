"""Settings of a head that points (see :mod:`core.models.pointer`)."""

from __future__ import annotations

from pydantic import Field

from core.config.base import ADVANCED as _ADVANCED
from core.config.base import Config

__all__ = ["PointerConfig"]


class PointerConfig(Config):
    """A head that points to a word or to an empty slot, and what it reads there."""

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
