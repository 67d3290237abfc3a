"""What is measured of a parent's layers before shapes are proposed."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from core.config.base import ADVANCED as _ADVANCED
from core.config.base import Config
from core.config.graph import CorpusConfig, GraphRuntime
from core.config.plan import EncoderConfig

__all__ = ["StatisticsConfig"]


def _corpus() -> CorpusConfig:
    return CorpusConfig(max_sentences=2000)


class StatisticsConfig(Config):
    """Statistics of every layer of an encoder (kind of run: ``stats``; ``bertloom search stats``)."""

    kind: Literal["stats"] = Field("stats", description="Kind of run.")
    version: Literal[1] = Field(1, description="Version of the format.")
    name: str = Field("statistics", min_length=1, max_length=120, description="Name of the run.")
    tags: list[Annotated[str, Field(min_length=1, max_length=40)]] = Field(
        default_factory=list, description="Tags to find the run by."
    )
    corpus: CorpusConfig = Field(default_factory=_corpus, description="Corpus.")
    model: EncoderConfig = Field(default_factory=EncoderConfig, description="Parent encoder.")
    words: int = Field(2500, ge=200, le=20_000, description="Most frequent words whose graphs are compared.")
    contexts: int = Field(50, ge=1, le=1000, json_schema_extra=_ADVANCED, description="Contexts a word, at most.")
    neighbours: int = Field(10, ge=2, le=100, description="Neighbours of a word in the mutual graph.")
    remove_components: int = Field(
        2, ge=0, le=20, json_schema_extra=_ADVANCED, description="Main directions removed from word vectors."
    )
    rho: float = Field(0.95, gt=0, le=1, description="Least correlation of path lengths for a width to suffice.")
    overlap: float = Field(0.8, gt=0, le=1, description="Least share of common neighbours for a width to suffice.")
    draws: int = Field(100, ge=0, le=2000, json_schema_extra=_ADVANCED, description="Bootstrap draws over words.")
    share: float = Field(
        0.1, gt=0, lt=1, json_schema_extra=_ADVANCED,
        description="Cost of the proposed segments by that of one segment of all layers, at most.",
    )  # fmt: skip
    probe: bool = Field(True, description="Train structural probes (English, or a corpus with trees).")
    rank: int = Field(64, ge=1, le=1024, json_schema_extra=_ADVANCED, description="Rank of the probes.")
    runtime: GraphRuntime = Field(default_factory=GraphRuntime, description="Runtime.")

    def relevant(self) -> dict[str, Any]:
        """Return everything that the result depends on."""
        data = self.model_dump(mode="json", exclude={"name", "tags"})
        data["runtime"] = {"seed": self.runtime.seed}
        return data

    def measured(self) -> dict[str, Any]:
        """Return what the curves depend on: everything relevant but the thresholds, which are applied to them."""
        return {key: value for key, value in self.relevant().items() if key not in ("rho", "overlap", "share")}
