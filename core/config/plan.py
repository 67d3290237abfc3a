"""The plan: one config that the form shows, the YAML file holds, and the command line runs.

Plain data without torch: the dashboard imports it. Units stand in the descriptions, which the forms show as help texts.
`Field(json_schema_extra={"advanced": True})` folds a field away in the form.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from core.config.base import ADVANCED as _ADVANCED
from core.config.base import Config
from core.config.pointer import PointerConfig
from core.config.stages import Stage, check_stages

__all__ = [
    "Backend",
    "Columns",
    "DataConfig",
    "EncoderConfig",
    "ModelConfig",
    "Plan",
    "RuntimeConfig",
    "TaskConfig",
]

Backend = Literal["process", "thread"]
#: A plan of more stages is a mistake, and its picture could not be read.
MOST_STAGES = 40


class TaskConfig(Config):
    """What is learnt."""

    kind: Literal["classification", "tagging", "question_answering", "dependency"] = Field(
        "classification",
        description="classification: one label (or several) a text; tagging: a label a word; question_answering: the "
        "words of a context that answer a question; dependency: the head of each word, and its relation to it.",
    )
    multi_label: bool = Field(False, description="Classification only: a text may have several labels or none.")
    threshold: float = Field(
        0.5, gt=0, lt=1, json_schema_extra=_ADVANCED,
        description="Multi-label only: a label is predicted when its probability reaches this value.",
    )  # fmt: skip
    stride: int = Field(
        32, ge=0, json_schema_extra=_ADVANCED,
        description="Tagging, questions and dependency: sub-words that neighbouring windows of a long text share (of "
        "a context at most half a window).",
    )  # fmt: skip
    tree: bool = Field(
        True,
        description="Dependency only: the heads of a sentence form a tree with one root, and are decoded as one. Off: "
        "each word points to any word or to none, and the best one is taken.",
    )
    relations: bool = Field(
        True, description="Dependency only: the relation of each word to its head is learnt too. Off: heads alone."
    )
    score_punctuation: bool = Field(
        True, json_schema_extra=_ADVANCED,
        description="Dependency only: words of nothing but punctuation count in the scores (as in CoNLL 2018).",
    )  # fmt: skip
    no_answer: bool = Field(
        False, description="Questions only: the context may hold no answer, and the model may say so (as in SQuAD 2.0)."
    )
    no_answer_threshold: float | None = Field(
        None, json_schema_extra=_ADVANCED,
        description="Questions without an answer: 'no answer' is said when its score lies above the best answer's by "
        "more than this. Empty: chosen on the gate rows, and kept with the model.",
    )  # fmt: skip
    answer_language: Literal["en", "zh"] = Field(
        "en",
        description="Questions only: how answers are compared. en: by words, as in SQuAD; zh: by characters (Chinese).",
    )
    longest_answer: int = Field(
        30, ge=1, json_schema_extra=_ADVANCED, description="Questions only: sub-words that an answer may have."
    )
    longest_question: int = Field(
        64, ge=1, json_schema_extra=_ADVANCED,
        description="Questions only: sub-words that a question may have, and half of a window at most; longer ones are "
        "cut.",
    )  # fmt: skip
    best_answers: int = Field(
        5, ge=1, le=100, json_schema_extra=_ADVANCED, description="Questions only: answers that a prediction lists."
    )
    gold: Literal["tags", "spans"] = Field(
        "tags",
        description="Tagging only: what the rows have beside their words. tags: a tag a word. spans: a list of spans, "
        "which may lie inside each other; scores are then those of spans.",
    )
    nested: Literal["refuse", "outermost"] = Field(
        "refuse",
        description="Tagging with spans, and a head whose entities cannot overlap (linear, or words that point): what "
        "spans that overlap mean. refuse: nothing starts, and the rows are named. outermost: the longest of them is "
        "learnt, and all count in the scores.",
    )
    head: Literal["linear", "pointer"] = Field(
        "linear",
        description="Tagging and questions only. linear: stock transformers' head. pointer: each word points to the "
        "first word of its entity (a question to start and end of its answer), or to an empty slot.",
    )
    pointer: PointerConfig = Field(default_factory=PointerConfig, description="Head pointer, and dependency.")

    @property
    def stretches(self) -> bool:
        """Whether entities are found as stretches of words, by a head that points."""
        return self.kind == "tagging" and self.head == "pointer" and self.pointer.kind == "global"

    @property
    def entered(self) -> bool:
        """Whether words may point to the entries of a dictionary."""
        points = self.kind == "tagging" and self.head == "pointer" and self.pointer.kind == "words"
        return points and self.pointer.dictionary != "none"

    @model_validator(mode="after")
    def _points(self) -> TaskConfig:
        if self.gold == "spans" and self.kind != "tagging":
            raise ValueError(f"task.gold spans is for tagging, not for {self.kind}")
        if self.head == "pointer" and self.kind not in ("tagging", "question_answering"):
            raise ValueError(f"task.head pointer is for tagging and question_answering, not for {self.kind}")
        if self.pointer.dictionary != "none" and self.kind != "tagging":
            raise ValueError(f"task.pointer.dictionary is for tagging, not for {self.kind}")
        return self


class Columns(Config):
    """Which column of the data holds what. Empty: the usual names are tried, then the first fitting column."""

    text: str | None = Field(None, description="Column with the text (classification).")
    text_pair: str | None = Field(None, description="Column with a second text, for pairs of texts.")
    label: str | None = Field(None, description="Column with the label, or with the list of labels.")
    tokens: str | None = Field(
        None, description="Column with the list of words (tagging, dependency), or column number in CoNLL."
    )
    tags: str | None = Field(None, description="Column with the list of tags (tagging), or column number in CoNLL.")
    spans: str | None = Field(None, description="Column with the list of spans (tagging with task.gold spans).")
    heads: str | None = Field(
        None, description="Column with the list of heads (dependency): numbers of words from 1, 0 for the root or none."
    )
    relations: str | None = Field(None, description="Column with the list of relations to the heads (dependency).")
    question: str | None = Field(None, description="Column with the question (question answering).")
    context: str | None = Field(None, description="Column with the text that holds the answer (question answering).")
    answers: str | None = Field(None, description="Column with the answer, or with the list of right answers.")
    start: str | None = Field(
        None, description="Column with the answer's first character in the context, counted from 0."
    )


class DataConfig(Config):
    """Where the rows come from and how they are divided into train, gate and test."""

    source: str = Field(
        "reviews", min_length=1,
        description="A bundled sample (reviews, tweets, tweet-questions …), a file, or hub:NAME.",
    )  # fmt: skip
    subset: str | None = Field(
        None, json_schema_extra=_ADVANCED, description="Hub only: the subset (configuration) name."
    )
    revision: str | None = Field(None, json_schema_extra=_ADVANCED, description="Hub only: branch, tag or commit.")
    split: str = Field(
        "train", json_schema_extra=_ADVANCED, description="Hub only: the split to read as training rows."
    )
    gate_source: str | None = Field(
        None, description="A file (or hub split) with the gate rows. Empty: they are carved out of the training rows."
    )
    test_source: str | None = Field(
        None, description="A file (or hub split) with the test rows. Empty: they are carved out of the training rows."
    )
    finetuning_source: str | None = Field(
        None,
        description="A second set of training rows, the finetuning set: a file (`bertloom data derive` makes one), a "
        "sample, or hub:NAME. The rows of data.source are then the original set.",
    )
    training: Literal["original", "finetuning", "together"] = Field(
        "original",
        description="What is learnt from. original: the original set. finetuning: the finetuning set. together: both. "
        "Gate and test stay the same.",
    )
    fit_warn: float = Field(
        0.1, ge=0, le=1, json_schema_extra=_ADVANCED,
        description="Warn when labels or lengths of the finetuning set are shifted by more than this (Jensen-Shannon "
        "divergence, 0 to 1; its whole interval lies above).",
    )  # fmt: skip
    fit_refuse: float | None = Field(
        0.5, ge=0, le=1, json_schema_extra=_ADVANCED,
        description="Refuse to train on a finetuning set that is shifted by more than this. Empty: never.",
    )  # fmt: skip
    fit_labels: Literal["equal", "within"] = Field(
        "equal", json_schema_extra=_ADVANCED,
        description="equal: both sets must have the same labels. within: labels may be missing in the finetuning set.",
    )  # fmt: skip
    format: Literal["auto", "csv", "tsv", "jsonl", "parquet", "conll", "conllu", "squad"] = Field(
        "auto", description="File format; auto: by the file's name and first lines."
    )
    scheme: Literal["auto", "BIO", "IOB2", "BIOES", "I"] = Field(
        "auto", json_schema_extra=_ADVANCED, description="Tag scheme of the file. Tags are stored as IOB2."
    )
    span_offsets: Literal["words", "words_inclusive", "characters"] = Field(
        "words", json_schema_extra=_ADVANCED,
        description="Tagging with spans: what start and end count, from 0. words: the end stands behind the last word. "
        "words_inclusive: the end is the last word. characters: of the text column, the end behind the last one.",
    )  # fmt: skip
    encoding: str = Field("auto", json_schema_extra=_ADVANCED, description="Text encoding of the file; auto: detected.")
    columns: Columns = Field(default_factory=Columns, description="Column mapping.")
    train_rows: int | None = Field(
        None, ge=1,
        description="Use at most this many training rows (sampled, stratified); of a finetuning set all are used.",
    )  # fmt: skip
    gate_share: float = Field(0.1, ge=0, lt=1, description="Share of the rows carved out as gate, if none is given.")
    test_share: float = Field(0.1, ge=0, lt=1, description="Share of the rows carved out as test, if none is given.")
    gate_rows: int | None = Field(
        None, ge=1, json_schema_extra=_ADVANCED, description="Use at most this many gate rows."
    )
    test_rows: int | None = Field(
        None, ge=1, json_schema_extra=_ADVANCED, description="Use at most this many test rows."
    )
    split_seed: int = Field(0, ge=0, json_schema_extra=_ADVANCED, description="Seed of the carving and sampling.")
    drop_duplicates: bool = Field(
        False, description="Drop repeated texts (the first stays) instead of refusing texts that occur in two roles."
    )

    @model_validator(mode="after")
    def _sets(self) -> DataConfig:
        if self.training != "original" and not self.finetuning_source:
            raise ValueError(f"training is {self.training}, and there is no finetuning_source")
        return self

    @model_validator(mode="after")
    def _shares(self) -> DataConfig:
        if self.gate_share + self.test_share >= 1:
            raise ValueError(
                f"gate_share + test_share must be below 1, got {self.gate_share} + {self.test_share}: "
                "no row is left to train on"
            )
        return self


class EncoderConfig(Config):
    """A whole encoder."""

    source: str = Field("bundled", min_length=1, description="bundled, a local model folder, or hub:NAME.")
    revision: str | None = Field(None, json_schema_extra=_ADVANCED, description="Hub only: branch, tag or commit.")
    max_length: int = Field(
        128, ge=8, le=8192, description="Sub-words a text (or window) may have; longer ones are cut."
    )
    dropout: float | None = Field(
        None,
        ge=0,
        lt=1,
        description="Overrides every dropout of the encoder and head. Empty: as the model's config says.",
    )


class ModelConfig(EncoderConfig):
    """The encoder that training starts from."""

    keep_layers: int | list[int] | None = Field(
        None,
        json_schema_extra=_ADVANCED,
        description="Keep only some of the encoder's layers, for a smaller student: how many (spread evenly, the last "
        "one among them), or a list of which, counted from 1. Empty: all.",
    )

    @field_validator("keep_layers")
    @classmethod
    def _some(cls, value: int | list[int] | None) -> int | list[int] | None:
        chosen = [value] if isinstance(value, int) else value
        if chosen is not None and (not chosen or min(chosen) < 1):
            raise ValueError("keep_layers is a number from 1, or a list of layers counted from 1")
        if isinstance(value, list) and sorted(set(value)) != value:
            raise ValueError(f"keep_layers must name each layer once, lowest first, got {value}")
        return value


class RuntimeConfig(Config):
    """Where and how the run executes. Choices made by 'auto' are stored with the run and restored on resume."""

    backend: Backend = Field(
        "process", description="process: a worker process (default). thread: inside the dashboard's process."
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="Device.")
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto", description="auto: fp32 and bf16 are timed at the start, the faster stays."
    )
    threads: int | Literal["auto"] = Field("auto", description="torch threads on the CPU; auto: timed at the start.")
    deterministic: bool = Field(True, json_schema_extra=_ADVANCED, description="Use deterministic algorithms only.")
    seed: int = Field(0, ge=0, description="Seed of initialisation, order and dropout.")
    log_every: int = Field(
        1, ge=1, json_schema_extra=_ADVANCED, description="Record training metrics every so many steps."
    )
    checkpoint_every_s: float = Field(
        60.0, ge=0, json_schema_extra=_ADVANCED, description="Seconds between resume checkpoints. 0: after every step."
    )
    checkpoint_every_steps: int | None = Field(
        None, ge=1, json_schema_extra=_ADVANCED, description="Steps between resume checkpoints. Empty: by time only."
    )
    keep: Literal["best", "all", "metrics"] = Field(
        "best", json_schema_extra=_ADVANCED,
        description="What a finished run keeps: its best weights, also its resume checkpoint (all), or metrics only.",
    )  # fmt: skip

    @field_validator("threads")
    @classmethod
    def _threads(cls, value: int | str) -> int | str:
        if isinstance(value, int) and not 1 <= value <= 512:
            raise ValueError(f"threads must be 'auto' or between 1 and 512, got {value}")
        return value


class Plan(Config):
    """Everything that a training run needs; the stored plan of a run is complete."""

    version: Literal[1] = Field(1, description="Version of the plan format.")
    name: str = Field("run", min_length=1, max_length=120, description="Name of the run.")
    tags: list[Annotated[str, Field(min_length=1, max_length=40)]] = Field(
        default_factory=list, description="Tags to find the run by."
    )
    task: TaskConfig = Field(default_factory=TaskConfig, description="What is learnt.")
    data: DataConfig = Field(default_factory=DataConfig, description="Data.")
    model: ModelConfig = Field(default_factory=ModelConfig, description="Model.")
    stages: list[Stage] = Field(
        default_factory=lambda: [Stage()], min_length=1, max_length=MOST_STAGES, description="Stages, in order."
    )
    runtime: RuntimeConfig = Field(default_factory=RuntimeConfig, description="Runtime.")

    @property
    def active(self) -> list[Stage]:
        """The stages that are executed: those that are not switched off, in order."""
        return [stage for stage in self.stages if stage.enabled]

    @model_validator(mode="after")
    def _stages(self) -> Plan:
        check_stages(self.stages)
        return self

    @model_validator(mode="after")
    def _consistent(self) -> Plan:
        task, room = self.task, self.model.max_length - 2
        if task.kind != "classification" and task.multi_label:
            raise ValueError("task.multi_label is for classification only")
        if task.kind in ("tagging", "dependency") and task.stride >= room:
            raise ValueError(f"task.stride must be below model.max_length - 2 = {room}, got {task.stride}")
        if task.kind == "question_answering" and task.no_answer_threshold is not None and not task.no_answer:
            raise ValueError("task.no_answer_threshold needs task.no_answer")
        if task.stretches:
            smooth = next((stage.name for stage in self.active if stage.label_smoothing), None)
            if smooth is not None:
                raise ValueError(
                    f"the stage {smooth} smooths labels, and scores of stretches (task.pointer.kind global) have none "
                    "that are spread: set label_smoothing to 0"
                )
        return self
