"""The config of a student that is trained towards its parent: a shape that inherits weights, then hidden states.

Plain data without torch: the dashboard imports it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from core.config.base import ADVANCED as _ADVANCED
from core.config.base import Config
from core.config.graph import CorpusConfig, GraphRuntime
from core.config.plan import EncoderConfig
from core.config.shape import EncoderShape

__all__ = ["DistilConfig", "DistilRuntime"]


class DistilRuntime(GraphRuntime):
    """Where the work executes, and how often what it has done is kept. Training is on the CPU, in fp32."""

    device: Literal["auto", "cpu"] = Field("auto", description="Device: states are distilled on the CPU.")
    checkpoint_every_s: float = Field(
        60.0, ge=0, json_schema_extra=_ADVANCED, description="Seconds between resume checkpoints. 0: after every step."
    )
    checkpoint_every_steps: int | None = Field(
        None, ge=1, json_schema_extra=_ADVANCED, description="Steps between resume checkpoints. Empty: by time only."
    )
    keep: Literal["best", "all"] = Field(
        "best", json_schema_extra=_ADVANCED, description="What a finished run keeps: its weights, or checkpoints too."
    )


def _corpus() -> CorpusConfig:
    return CorpusConfig(max_sentences=2000)


class DistilConfig(Config):
    """A parent's hidden states are distilled into a student (kind of run: ``distil``)."""

    version: Literal[1] = Field(1, description="Version of the format.")
    kind: Literal["distil"] = Field("distil", description="Kind of run.")
    name: str = Field("distilled", min_length=1, max_length=120, description="Name of the run.")
    tags: list[Annotated[str, Field(min_length=1, max_length=40)]] = Field(
        default_factory=list, description="Tags to find the run by."
    )
    model: EncoderConfig = Field(default_factory=EncoderConfig, description="Parent: a plain BERT without a head.")
    shape: EncoderShape | None = Field(
        None, description="Shape of the student, which inherits weights. Its embeddings are as wide as the parent's."
    )
    student: str | None = Field(
        None, min_length=1,
        description="Instead of a shape: folder of a student that has its weights; its embeddings are the parent's.",
    )  # fmt: skip
    segments: list[tuple[int, int]] | None = Field(
        None, json_schema_extra=_ADVANCED,
        description="For each layer the parent's layer that gives weights, and the one whose output it shall give; "
        "from 0. Empty: evenly.",
    )  # fmt: skip
    refit: bool = Field(True, description="Fit inherited maps and norms to texts before training.")
    corpus: CorpusConfig = Field(default_factory=_corpus, description="Texts.")
    steps: int = Field(300, ge=0, le=1_000_000, description="Optimiser steps. 0: weights are inherited, not trained.")
    lr: float = Field(5e-4, gt=0, le=1, description="Highest learning rate (AdamW); warm-up, then linear to nothing.")
    warmup: float = Field(0.1, ge=0, lt=1, json_schema_extra=_ADVANCED, description="Share of the steps.")
    batch_tokens: int = Field(1024, ge=64, le=65_536, description="Sub-words of an optimiser step, at most.")
    evaluate_every: int = Field(50, ge=1, le=100_000, description="Steps between measurements on held-out texts.")
    runtime: DistilRuntime = Field(default_factory=DistilRuntime, description="Runtime.")

    @model_validator(mode="after")
    def _one_student(self) -> DistilConfig:
        if (self.shape is None) == (self.student is None):
            given = "both are given" if self.shape is not None else "neither is given"
            raise ValueError(f"give shape (which inherits weights) or student (a folder that has them); {given}")
        if self.segments is not None and self.shape is not None and len(self.segments) != len(self.shape.layers):
            raise ValueError(f"segments has {len(self.segments)} entries, the shape {len(self.shape.layers)} layers")
        return self

    def relevant(self) -> dict[str, Any]:
        """Return everything that the result depends on."""
        data = self.model_dump(mode="json", exclude={"name", "tags"})
        data["runtime"] = {"seed": self.runtime.seed}
        return data
