"""Settings of a head that points (see :mod:`core.models.pointer`)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from core.config.base import ADVANCED as _ADVANCED
from core.config.base import Config

__all__ = ["LONGEST_ENTRY", "MOST_ENTRIES", "PointerConfig"]

#: Entries that a dictionary may have (each is encoded in every step), and characters that one may have.
MOST_ENTRIES = 500
LONGEST_ENTRY = 100


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

    dictionary: Literal["none", "labels", "gazetteer"] = Field(
        "none",
        description="Tagging by words only: what the first word of an entity points to. none: itself. labels: the name "
        "of the entity's type, an entry of a dictionary that the same encoder reads. gazetteer: the entity in a list "
        "of known ones, itself where it is not listed.",
    )
    gazetteer: str | None = Field(
        None, max_length=4096,
        description=f"With dictionary gazetteer: CSV, TSV or JSON lines with the columns entry and type, of at most "
        f"{MOST_ENTRIES} rows. It is read at the start; a trained model holds its entries.",
    )  # fmt: skip
    entries: list[tuple[Annotated[str, Field(min_length=1)], Annotated[str, Field(min_length=1)]]] | None = Field(
        None, json_schema_extra=_ADVANCED,
        description="Pairs of entry and type, like [[New York, LOC]]. With dictionary gazetteer they stand in place of "
        "a file; with labels they say what a type is called, like [[person, PER]].",
    )  # fmt: skip

    @model_validator(mode="after")
    def _listed(self) -> PointerConfig:
        given = [name for name in ("gazetteer", "entries") if getattr(self, name) is not None]
        if self.dictionary == "gazetteer" and len(given) != 1:
            both = ", not both" if given else ""
            raise ValueError(
                f"a gazetteer needs a file (task.pointer.gazetteer) or entries in the plan (task.pointer.entries){both}"
            )
        if self.gazetteer is not None and self.dictionary != "gazetteer":
            raise ValueError("task.pointer.gazetteer needs task.pointer.dictionary gazetteer")
        if self.entries is not None and self.dictionary == "none":
            raise ValueError("task.pointer.entries needs task.pointer.dictionary labels or gazetteer")
        if self.dictionary != "none" and self.kind == "global":
            raise ValueError(
                "task.pointer.dictionary is for kind words: stretches are scored by type, and point to nothing"
            )
        return self

    @model_validator(mode="after")
    def _even(self) -> PointerConfig:
        if self.kind == "global" and self.size % 2:
            raise ValueError(f"task.pointer.size must be even with kind global (pairs are turned), got {self.size}")
        return self
