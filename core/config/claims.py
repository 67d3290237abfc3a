"""The config of a claim: a sentence about training, and the runs that are to test it on a person's own data.

Plain data without torch: the dashboard imports it. What each claim trains and compares stands in
:mod:`core.studies.shelf`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from core.config.base import ADVANCED as _ADVANCED
from core.config.base import Config
from core.config.comparison_usual import over
from core.config.plan import DataConfig, ModelConfig, RuntimeConfig, TaskConfig

__all__ = ["ClaimConfig", "Part"]

#: What is trained: the head on a frozen encoder, or everything.
Part = Literal["head", "full"]


def _both() -> list[Part]:
    return ["head", "full"]


def _data() -> DataConfig:
    return DataConfig(source="reviews", train_rows=1000, gate_rows=300, test_rows=1000)


def _runtime() -> RuntimeConfig:
    # One precision for all runs: a timing must not decide which arm wins.
    return RuntimeConfig(precision="fp32", keep="metrics")


class ClaimConfig(Config):
    """A claim to test (kind of run: ``claim``): every arm is trained with every seed, then compared."""

    version: Literal[1] = Field(1, description="Version of the format.")
    kind: Literal["claim"] = Field("claim", description="Kind of run.")
    name: str = Field("claim", min_length=1, max_length=120, description="Name of the run.")
    tags: list[Annotated[str, Field(min_length=1, max_length=40)]] = Field(
        default_factory=list, description="Tags to find the run by."
    )
    claim: str = Field("lower-is-faster", min_length=1, max_length=60, description="Name of a claim on the shelf.")
    parts: list[Part] = Field(default_factory=_both, min_length=1, description="What is trained: head, full, or both.")
    seeds: int = Field(5, ge=1, le=100, description="Seeds of each arm. With fewer than 5 there is no verdict.")
    first_seed: int = Field(0, ge=0, json_schema_extra=_ADVANCED, description="The seeds count from here.")
    steps: int | None = Field(None, ge=10, description="Optimiser steps of each run. Empty: as the claim says.")
    batch_size: int = Field(32, ge=1, le=4096, description="Examples per optimiser step.")
    delta: float = Field(
        0.01, gt=0, lt=1, description="Margin: differences of scores below this do not matter. Set before the runs."
    )
    task: TaskConfig = Field(default_factory=TaskConfig, description="What is learnt.")
    data: DataConfig = Field(default_factory=_data, description="Data.")
    model: ModelConfig = Field(default_factory=ModelConfig, description="Model.")
    runtime: RuntimeConfig = Field(default_factory=_runtime, description="Runtime; its seed is not used.")

    @model_validator(mode="before")
    @classmethod
    def _partly_given(cls, values: Any) -> Any:
        if isinstance(values, dict) and isinstance(values.get("runtime"), dict):
            return {**values, "runtime": over(_runtime().model_dump(mode="json"), values["runtime"])}
        return values

    @field_validator("parts")
    @classmethod
    def _once(cls, value: list[Part]) -> list[Part]:
        if len(set(value)) < len(value):
            raise ValueError(f"parts names one twice: {value}")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> ClaimConfig:
        if self.task.kind == "tagging" and self.task.multi_label:
            raise ValueError("task.multi_label is for classification only")
        if self.task.kind in ("question_answering", "dependency"):
            raise ValueError("claims are about labels of texts and words: task.kind is classification or tagging")
        if self.data.gate_share == 0 and self.data.gate_source is None:
            raise ValueError("steps are judged on gate rows: data.gate_share is 0 and there is no gate_source")
        if self.data.test_share == 0 and self.data.test_source is None:
            raise ValueError("scores are judged on test rows: data.test_share is 0 and there is no test_source")
        return self

    @property
    def seed_list(self) -> list[int]:
        """The seeds."""
        return list(range(self.first_seed, self.first_seed + self.seeds))
