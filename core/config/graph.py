"""Configs of the graph explorer: corpus, word vectors, edges, probe and graph network; one config a kind of run.

Plain data like the plan's: the dashboard, the command line and the run's record share them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from core.config.base import Config
from core.config.plan import Backend, Columns, EncoderConfig

__all__ = [
    "EDGE_TYPES",
    "AttnEdges",
    "CoocEdges",
    "CorpusConfig",
    "DepEdges",
    "EdgeConfig",
    "EdgeType",
    "GraphConfig",
    "GraphRuntime",
    "LinkConfig",
    "ProbeConfig",
    "SimEdges",
    "VectorConfig",
]

EdgeType = Literal["dep", "sim", "cooc", "attn", "gnn"]
EDGE_TYPES: tuple[EdgeType, ...] = ("dep", "sim", "cooc", "attn", "gnn")
_ADVANCED: dict[str, Any] = {"advanced": True}


class CorpusConfig(Config):
    """Which sentences, and what counts as a word."""

    source: str = Field(
        "reviews", min_length=1,
        description="A bundled sample (reviews, plots, headlines, tweets, zh-reviews, zh-news), a file (text, CSV, "
        "TSV, JSON lines, Parquet, CoNLL-U), or hub:NAME.",
    )  # fmt: skip
    subset: str | None = Field(
        None, json_schema_extra=_ADVANCED, description="Hub only: the subset (configuration) name."
    )
    revision: str | None = Field(None, json_schema_extra=_ADVANCED, description="Hub only: branch, tag or commit.")
    split: str = Field("train", json_schema_extra=_ADVANCED, description="Hub only: the split to read.")
    encoding: str = Field("auto", json_schema_extra=_ADVANCED, description="Text encoding of the file; auto: detected.")
    columns: Columns = Field(default_factory=Columns, description="Column mapping; only the text (or tokens) is read.")
    language: str = Field(
        "auto", pattern=r"auto|[a-z]{2,3}", description="auto, or an ISO code: en is parsed, zh is segmented."
    )
    unit: Literal["word", "subword", "character"] = Field("word", description="What a node of the graph is.")
    lowercase: bool = Field(True, description="Take words that differ in case only for one word.")
    max_sentences: int = Field(
        2000, ge=1, le=200_000, description="Use at most this many sentences, drawn evenly from the whole corpus."
    )
    min_count: int | None = Field(
        None, ge=1, description="Leave out rarer words. Empty: 1 below 1,000 sentences, otherwise 3."
    )
    max_words: int = Field(
        30_000, ge=2, le=200_000, json_schema_extra=_ADVANCED, description="Keep the most frequent words only."
    )
    parts_of_speech: list[str] = Field(
        default_factory=list,
        description="Keep words of these universal parts of speech only (NOUN, VERB …). Empty: all.",
    )
    stop_words: bool = Field(True, description="Keep stop-words (the, of, 的 …) as nodes.")
    seed: int = Field(0, ge=0, json_schema_extra=_ADVANCED, description="Seed of the drawing of sentences.")


class VectorConfig(Config):
    """Word vectors: mean over contexts of the mean over sub-words, centred, main components removed, normalised."""

    mode: Literal["contexts", "vocabulary"] = Field(
        "contexts",
        description="contexts: from the corpus, at every layer. vocabulary: the encoder's own embedding table.",
    )
    contexts: int = Field(50, ge=1, le=1000, description="Most occurrences that a word's vector is the mean of.")
    remove_components: int = Field(
        2, ge=0, le=50, description="Principal components that are removed from the centred vectors."
    )
    whiten: bool = Field(False, json_schema_extra=_ADVANCED, description="Whiten the vectors instead.")


class DepEdges(Config):
    """Head and dependent, weighted by positive pointwise mutual information."""

    source: Literal["trees", "probe"] = Field(
        "trees", description="trees: the corpus' own (CoNLL-U) or the parser's; probe: those of a trained probe."
    )
    min_count: int = Field(1, ge=1, description="Leave out pairs that occur less often.")
    punctuation: bool = Field(False, json_schema_extra=_ADVANCED, description="Keep punctuation as dependents.")


class SimEdges(Config):
    """Mutual nearest neighbours by cosine, in every layer."""

    k: int = Field(10, ge=1, le=100, description="Neighbours a word; an edge stands where both name each other.")
    min_cosine: float = Field(0.0, ge=0, lt=1, description="Leave out pairs of lower cosine.")


class CoocEdges(Config):
    """Words that occur near each other, weighted by positive pointwise mutual information."""

    window: int = Field(5, ge=1, le=50, description="Words to either side that count as near.")
    smoothing: float = Field(
        0.75, gt=0, le=1, description="Exponent of the context counts (0.75 favours rare words less)."
    )
    min_count: int = Field(2, ge=1, description="Leave out pairs that occur less often.")


class AttnEdges(Config):
    """Mean attention from word to word, in every layer."""

    heads: list[int] = Field(default_factory=list, description="Heads to average, from 0. Empty: all.")
    k: int = Field(10, ge=1, le=100, description="Strongest edges that are kept a word.")
    min_count: int = Field(1, ge=1, description="Leave out pairs that stand together in fewer sentences.")


class EdgeConfig(Config):
    """Settings of the edge types."""

    dep: DepEdges = Field(default_factory=DepEdges, description="Dependencies.")
    sim: SimEdges = Field(default_factory=SimEdges, description="Similarity.")
    cooc: CoocEdges = Field(default_factory=CoocEdges, description="Co-occurrence.")
    attn: AttnEdges = Field(default_factory=AttnEdges, description="Attention.")


class GraphRuntime(Config):
    """Where the work executes."""

    backend: Backend = Field(
        "process", description="process: a worker process (default). thread: inside the dashboard's process."
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="Device.")
    threads: int | Literal["auto"] = Field("auto", description="torch threads on the CPU.")
    seed: int = Field(0, ge=0, description="Seed of everything that is drawn.")


class _Named(Config):
    version: Literal[1] = Field(1, description="Version of the format.")
    name: str = Field("graph", min_length=1, max_length=120, description="Name of the run.")
    tags: list[Annotated[str, Field(min_length=1, max_length=40)]] = Field(
        default_factory=list, description="Tags to find the run by."
    )
    runtime: GraphRuntime = Field(default_factory=GraphRuntime, description="Runtime.")


class GraphConfig(_Named):
    """A word graph: built from a corpus and an encoder (kind of run: ``graph``)."""

    kind: Literal["graph"] = Field("graph", description="Kind of run.")
    corpus: CorpusConfig = Field(default_factory=CorpusConfig, description="Corpus.")
    model: EncoderConfig = Field(default_factory=EncoderConfig, description="Encoder.")
    vectors: VectorConfig = Field(default_factory=VectorConfig, description="Word vectors.")
    layers: Literal["all"] | list[int] = Field("all", description="Layers, 0 = embeddings.")
    edges: list[EdgeType] = Field(default=["dep", "sim", "cooc"], description="Edge types to build.")
    settings: EdgeConfig = Field(default_factory=EdgeConfig, description="Settings of the edge types.")
    probe_run: str | None = Field(None, description="Run of kind probe whose trees are the dep edges (source: probe).")

    @model_validator(mode="after")
    def _consistent(self) -> GraphConfig:
        if not self.edges:
            raise ValueError("edges is empty: name at least one of dep, sim, cooc, attn")
        if "gnn" in self.edges:
            raise ValueError("gnn edges come from a trained graph network (kind link), not from building a graph")
        if len(set(self.edges)) != len(self.edges):
            raise ValueError(f"edges names a type twice: {self.edges}")
        if isinstance(self.layers, list) and (not self.layers or min(self.layers) < 0):
            raise ValueError("layers is a list of numbers from 0 (the embeddings), or all")
        if self.settings.dep.source == "probe" and "dep" in self.edges and not self.probe_run:
            raise ValueError("settings.dep.source is probe, but probe_run names no run of a probe")
        return self


class ProbeConfig(_Named):
    """A structural probe at every layer (kind of run: ``probe``; Hewitt & Manning 2019)."""

    kind: Literal["probe"] = Field("probe", description="Kind of run.")
    corpus: CorpusConfig = Field(default_factory=CorpusConfig, description="Corpus with trees.")
    model: EncoderConfig = Field(default_factory=EncoderConfig, description="Encoder.")
    layers: Literal["all"] | list[int] = Field("all", description="Layers, 0 = embeddings.")
    rank: int = Field(64, ge=1, le=1024, description="Rows of the projection B.")
    epochs: int = Field(10, ge=1, le=200, description="Most passes over the training sentences.")
    lr: float = Field(1e-3, gt=0, le=1, description="Learning rate (Adam), halved when the held-out loss stalls.")
    held_out: float = Field(0.2, gt=0, lt=1, description="Share of the sentences that is held out and scored.")
    random_encoder: bool = Field(True, description="Also probe the same encoder with random weights, as a baseline.")


class LinkConfig(_Named):
    """A graph network trained to predict links (kind of run: ``link``)."""

    kind: Literal["link"] = Field("link", description="Kind of run.")
    graph: str = Field("", description="Run of kind graph, or a graph file.")
    layer: int | None = Field(None, ge=0, description="Layer whose vectors are the features. Empty: the middle one.")
    network: Literal["sage", "gat"] = Field("sage", description="Layers: GraphSAGE or GAT, one relation an edge type.")
    hidden: int = Field(64, ge=4, le=1024, description="Width of the hidden layer.")
    epochs: int = Field(100, ge=1, le=5000, description="Passes over the training edges.")
    lr: float = Field(5e-3, gt=0, le=1, description="Learning rate (Adam).")
    dropout: float = Field(0.2, ge=0, lt=1, description="Dropout.")
    held_out: float = Field(0.2, gt=0, lt=1, description="Share of the sentences whose new edges are held out.")
    calibration: Literal["platt", "isotonic"] = Field("platt", description="How scores become probabilities.")
    min_probability: float = Field(0.5, ge=0, lt=1, description="gnn edges below this are left out.")
