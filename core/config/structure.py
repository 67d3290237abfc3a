"""The config of a structure search: a parent, a budget, how many candidates there are and how they are thinned out.

Plain data without torch: the dashboard imports it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from core.config.base import ADVANCED as _ADVANCED
from core.config.base import Config
from core.config.graph import CorpusConfig, GraphRuntime
from core.config.plan import DataConfig, EncoderConfig, TaskConfig
from core.config.statistics import StatisticsConfig

__all__ = [
    "TOLERANCE", "BudgetConfig", "FinetuneConfig", "HalvingConfig", "ObjectiveName", "StatisticsPart",
    "StructureConfig",
]  # fmt: skip

#: How far from the budget of parameters a candidate may be.
TOLERANCE = 0.03

ObjectiveName = Literal["parameters", "flops", "latency", "loss", "score"]
Width = Annotated[int, Field(ge=1, le=16_384)]
Depth = Annotated[int, Field(ge=1, le=96)]


class BudgetConfig(Config):
    """What a candidate may cost."""

    parameters: int | None = Field(
        None, ge=1, le=10**11,
        description="Parameters between embeddings and pooler. Empty: the share below of the parent's.",
    )  # fmt: skip
    share: float = Field(
        0.5, gt=0, le=1, description="Share of the parent's parameters between embeddings and pooler, if none is given."
    )
    latency_ms: float | None = Field(
        None, gt=0, le=1e6,
        description="Median milliseconds of one text of 64 sub-words on this machine, at most. Empty: no limit.",
    )  # fmt: skip


class StatisticsPart(Config):
    """What is measured of the parent's layers first; see ``search stats``. Equal statistics are measured once."""

    words: int = Field(2500, ge=200, le=20_000, description="Most frequent words whose graphs are compared.")
    neighbours: int = Field(10, ge=2, le=100, json_schema_extra=_ADVANCED, description="Neighbours in the graph.")
    rho: float = Field(0.95, gt=0, le=1, description="Least correlation of path lengths for a width to suffice.")
    overlap: float = Field(0.8, gt=0, le=1, description="Least share of common neighbours for a width to suffice.")
    share: float = Field(
        0.1, gt=0, lt=1, json_schema_extra=_ADVANCED,
        description="Cost of the proposed segments by that of one segment of all layers, at most.",
    )  # fmt: skip
    draws: int = Field(100, ge=0, le=2000, json_schema_extra=_ADVANCED, description="Bootstrap draws over words.")
    probe: bool = Field(True, description="Train structural probes (English, or a corpus with trees).")


class HalvingConfig(Config):
    """Successive halving (Jamieson & Talwalkar 2016): all that enter are trained a little, the best of them more."""

    enter: int = Field(
        9, ge=1, le=200,
        description="Candidates that are trained, taken evenly from all depths; the best even shapes come on top.",
    )  # fmt: skip
    rungs: list[Annotated[int, Field(ge=1, le=1_000_000)]] = Field(
        default=[60, 120, 240], min_length=1, max_length=10,
        description="Steps that each rung adds; training goes on from the rung before.",
    )  # fmt: skip
    keep: float = Field(1 / 3, gt=0, lt=1, description="Share of a rung's candidates that go on to the next.")
    lr: float = Field(5e-4, gt=0, le=1, description="Learning rate (AdamW), warmed up and lowered within each rung.")
    batch_tokens: int = Field(1024, ge=64, le=65_536, description="Sub-words per step, padding included.")
    sentences: int = Field(
        6000, ge=100, le=200_000, json_schema_extra=_ADVANCED,
        description="Sentences of the corpus, at most, that candidates are fitted to, measured on and trained with.",
    )  # fmt: skip


def _data() -> DataConfig:
    return DataConfig(source="reviews", train_rows=1000, gate_rows=500, test_rows=1000)


class FinetuneConfig(Config):
    """Labelled rows that those which are left are fine-tuned on."""

    data: DataConfig = Field(default_factory=_data, description="Data.")
    task: TaskConfig = Field(default_factory=TaskConfig, description="What is learnt.")
    steps: int = Field(60, ge=1, le=1_000_000, description="Optimiser steps a candidate.")
    lr: float = Field(2e-4, gt=0, le=1, description="Learning rate.")
    batch_size: int = Field(32, ge=1, le=4096, description="Examples per optimiser step.")


def _corpus() -> CorpusConfig:
    return CorpusConfig(max_sentences=2000)


class StructureConfig(Config):
    """A search for an encoder's shape (kind of run: ``structure``)."""

    version: Literal[1] = Field(1, description="Version of the format.")
    kind: Literal["structure"] = Field("structure", description="Kind of run.")
    name: str = Field("structure search", min_length=1, max_length=120, description="Name of the run.")
    tags: list[Annotated[str, Field(min_length=1, max_length=40)]] = Field(
        default_factory=list, description="Tags to find the run by."
    )
    model: EncoderConfig = Field(default_factory=EncoderConfig, description="Parent: a plain BERT.")
    corpus: CorpusConfig = Field(default_factory=_corpus, description="Texts, for statistics, fitting and training.")
    statistics: StatisticsPart = Field(default_factory=StatisticsPart, description="Statistics of the parent.")
    budget: BudgetConfig = Field(default_factory=BudgetConfig, description="Budget.")
    mode: Literal["bus", "stepped"] = Field(
        "bus", description="bus: one residual stream, layers read and write it. stepped: the stream changes its width."
    )
    readout: bool = Field(
        True,
        description="A map of full width after the last layer; with mode bus only. Without it the last layer is "
        "full-width.",
    )
    depths: list[Depth] | None = Field(
        None, description="Numbers of layers that are tried. Empty: those that the statistics propose."
    )
    candidates: int = Field(
        40, ge=1, le=5000, description="Candidates that inherit weights and are ranked, even shapes included."
    )
    sampler: Literal["prior", "tpe"] = Field(
        "prior",
        description="prior: widths around those that the statistics say are needed. tpe: Optuna proposes widths by the "
        "losses of earlier candidates (Bergstra et al. 2011).",
    )
    prior_share: float = Field(
        0.7, ge=0, le=1, description="Share of the candidates from the prior; the others are drawn evenly."
    )
    deviation: float = Field(
        0.5, gt=0, le=3, json_schema_extra=_ADVANCED, description="Standard deviation of the prior, in doublings."
    )
    random: bool = Field(
        False, description="Random search instead: all candidates are drawn evenly. It costs exactly the same."
    )
    hand_made: bool = Field(
        False, description="Also try, at each depth, widths that fall, that rise, and that are widest in the middle."
    )
    given: list[list[Width]] = Field(
        default_factory=list, max_length=100, description="Further candidates: lists of widths, lowest layer first."
    )
    halving: HalvingConfig = Field(default_factory=HalvingConfig, description="Successive halving.")
    finetune: FinetuneConfig | None = Field(
        None, description="Fine-tune those that are left on labelled rows. Empty: they are not."
    )
    objectives: list[ObjectiveName] = Field(
        default=["parameters", "latency", "loss"],
        description="What the Pareto front weighs: parameters, flops or latency, loss (held-out, to the parent), "
        "score (after fine-tuning).",
    )
    runtime: GraphRuntime = Field(default_factory=GraphRuntime, description="Runtime.")

    @field_validator("depths")
    @classmethod
    def _depths(cls, value: list[int] | None) -> list[int] | None:
        if value is not None:
            if not value:
                raise ValueError("depths is an empty list; leave it out to try what the statistics propose")
            if len(set(value)) < len(value):
                raise ValueError(f"depths names one twice: {value}")
        return value

    @field_validator("objectives")
    @classmethod
    def _objectives(cls, value: list[ObjectiveName]) -> list[ObjectiveName]:
        if len(set(value)) < len(value):
            raise ValueError(f"objectives names one twice: {value}")
        if not 2 <= len(value) <= 4:
            raise ValueError("a front needs two to four objectives")
        if not {"loss", "score"} & set(value):
            raise ValueError("objectives needs loss or score: without them the smallest would always win")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> StructureConfig:
        if self.random and self.sampler == "tpe":
            raise ValueError("random and sampler tpe exclude each other: choose one")
        if "score" in self.objectives and self.finetune is None:
            raise ValueError("the objective score needs finetune: rows that candidates are fine-tuned on")
        for widths in self.given:
            if not widths:
                raise ValueError("given holds an empty list of widths")
        return self

    @property
    def shares(self) -> tuple[float, float]:
        """Shares of the candidates that are drawn from the prior, and evenly."""
        prior = 0.0 if self.random or self.sampler == "tpe" else self.prior_share
        return prior, 1.0 - prior

    @property
    def with_readout(self) -> bool:
        """Whether shapes have a readout."""
        return self.readout and self.mode == "bus"

    def statistics_config(self) -> StatisticsConfig:
        """Return what is measured of the parent first."""
        return StatisticsConfig(
            corpus=self.corpus, model=self.model, runtime=self.runtime, **self.statistics.model_dump(mode="json")
        )

    def texts(self) -> CorpusConfig:
        """Return the texts that candidates are fitted to, measured on and trained with."""
        return self.corpus.model_copy(update={"max_sentences": self.halving.sentences})

    def relevant(self) -> dict[str, Any]:
        """Return everything that the candidates and their training depend on."""
        data = self.model_dump(mode="json", exclude={"name", "tags", "kind", "version"})
        data["runtime"] = {key: data["runtime"][key] for key in ("seed", "device", "threads")}
        return data

    @classmethod
    def quick(cls, **changes: Any) -> StructureConfig:
        """Return a search of about a quarter of an hour with the bundled encoder on two cores."""
        halving = HalvingConfig(enter=6, rungs=[40, 60, 80], keep=0.4, sentences=4000)
        return cls.model_validate({"name": "quick search", "candidates": 40, "halving": halving, **changes})

    @classmethod
    def thorough(cls, **changes: Any) -> StructureConfig:
        """Return a search of hours: 300 candidates, long rungs, more texts."""
        halving = HalvingConfig(enter=27, rungs=[200, 600, 1800], keep=1 / 3, sentences=20_000)
        return cls.model_validate(
            {"name": "thorough search", "candidates": 300, "hand_made": True, "halving": halving, **changes}
        )
