"""The plan: one config that the form shows, the YAML file holds, and the command line runs.

Plain data without torch: the dashboard imports it. Units stand in the descriptions, which the forms show as help texts.
`Field(json_schema_extra={"advanced": True})` folds a field away in the form.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

__all__ = [
    "Backend",
    "Columns",
    "DataConfig",
    "EarlyStopping",
    "GuardConfig",
    "ModelConfig",
    "OptimizerConfig",
    "ParameterGroup",
    "Plan",
    "RuntimeConfig",
    "ScheduleConfig",
    "Stage",
    "TaskConfig",
]

Backend = Literal["process", "thread"]
_ADVANCED: dict[str, Any] = {"advanced": True}


class Config(BaseModel):
    """Base of all configs: unknown keys are refused, values are checked on assignment too."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True, protected_namespaces=())


class TaskConfig(Config):
    """What is learnt."""

    kind: Literal["classification", "tagging"] = Field(
        "classification", description="classification: one label (or several) a text; tagging: a label a word."
    )
    multi_label: bool = Field(False, description="Classification only: a text may have several labels or none.")
    threshold: float = Field(
        0.5, gt=0, lt=1, json_schema_extra=_ADVANCED,
        description="Multi-label only: a label is predicted when its probability reaches this value.",
    )  # fmt: skip
    stride: int = Field(
        32, ge=0, json_schema_extra=_ADVANCED,
        description="Tagging only: sub-words that neighbouring windows of a long text share.",
    )  # fmt: skip


class Columns(Config):
    """Which column of the data holds what. Empty: the usual names are tried, then the first fitting column."""

    text: str | None = Field(None, description="Column with the text (classification).")
    text_pair: str | None = Field(None, description="Column with a second text, for pairs of texts.")
    label: str | None = Field(None, description="Column with the label, or with the list of labels.")
    tokens: str | None = Field(None, description="Column with the list of words (tagging), or column number in CoNLL.")
    tags: str | None = Field(None, description="Column with the list of tags (tagging), or column number in CoNLL.")


class DataConfig(Config):
    """Where the rows come from and how they are divided into train, gate and test."""

    source: str = Field(
        "reviews", min_length=1,
        description="A bundled sample (reviews, plots, headlines, tweets, zh-reviews, zh-news), a file, or hub:NAME.",
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
    format: Literal["auto", "csv", "tsv", "jsonl", "parquet", "conll", "conllu"] = Field(
        "auto", description="File format; auto: by the file's name and first lines."
    )
    scheme: Literal["auto", "BIO", "IOB2", "BIOES", "I"] = Field(
        "auto", json_schema_extra=_ADVANCED, description="Tag scheme of the file. Tags are stored as IOB2."
    )
    encoding: str = Field("auto", json_schema_extra=_ADVANCED, description="Text encoding of the file; auto: detected.")
    columns: Columns = Field(default_factory=Columns, description="Column mapping.")
    train_rows: int | None = Field(None, ge=1, description="Use at most this many training rows (sampled, stratified).")
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
    def _shares(self) -> DataConfig:
        if self.gate_share + self.test_share >= 1:
            raise ValueError(
                f"gate_share + test_share must be below 1, got {self.gate_share} + {self.test_share}: "
                "no row is left to train on"
            )
        return self


class ModelConfig(Config):
    """The encoder that training starts from."""

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


class OptimizerConfig(Config):
    """The optimiser."""

    name: Literal["adamw", "adam", "sgd", "adafactor", "rmsprop"] = Field("adamw", description="Optimiser.")
    betas: tuple[float, float] = Field((0.9, 0.999), description="Adam's decay rates of the two moments.")
    eps: float = Field(1e-8, gt=0, description="Adam's epsilon.")
    momentum: float = Field(0.9, ge=0, lt=1, description="SGD and RMSprop only.")

    @field_validator("betas")
    @classmethod
    def _betas(cls, value: tuple[float, float]) -> tuple[float, float]:
        if not all(0 <= beta < 1 for beta in value):
            raise ValueError(f"betas must lie in [0, 1), got {value}")
        return value


class ScheduleConfig(Config):
    """How the learning rate changes from step to step (names as in transformers)."""

    name: Literal[
        "linear", "cosine", "cosine_with_restarts", "polynomial", "constant", "constant_with_warmup",
        "inverse_sqrt", "reduce_lr_on_plateau", "cosine_with_min_lr", "cosine_warmup_with_min_lr",
        "warmup_stable_decay",
    ] = Field("linear", description="Schedule after the warm-up.")  # fmt: skip
    warmup: float = Field(0.06, ge=0, description="Below 1: share of all steps. From 1: number of steps.")
    options: dict[str, float | int | str | bool] = Field(
        default_factory=dict, json_schema_extra=_ADVANCED,
        description="Further arguments of the schedule, e.g. num_cycles, power, min_lr, num_decay_steps.",
    )  # fmt: skip


class ParameterGroup(Config):
    """Settings for the parameters whose names match a pattern. The first matching group wins."""

    pattern: str = Field(
        min_length=1,
        description="Regular expression searched in the name, or head, embeddings, encoder, layer:0-3, all.",
    )
    lr: float | None = Field(None, ge=0, description="Learning rate. Empty: the stage's.")
    weight_decay: float | None = Field(None, ge=0, description="Weight decay. Empty: the stage's.")
    frozen: bool = Field(False, description="These parameters are not trained.")


class EarlyStopping(Config):
    """Stop when the gate metric no longer improves."""

    patience: int | None = Field(
        None, ge=1, description="Evaluations without improvement before stopping. Empty: never."
    )
    min_delta: float = Field(0.0, ge=0, description="Smallest change of the metric that counts as an improvement.")


class GuardConfig(Config):
    """What stops a run that has gone wrong."""

    nan: bool = Field(True, description="Stop when the loss or the gradient norm is not a number.")
    explode_factor: float | None = Field(
        10.0,
        gt=1,
        description="Stop when the smoothed loss exceeds the best smoothed loss by this factor. Empty: never.",
    )
    single_class: int | None = Field(
        None,
        ge=1,
        description="Stop after this many evaluations in a row that predict one class only. Empty: warn only.",
    )


class Stage(Config):
    """One stage of training."""

    name: str = Field("train", min_length=1, max_length=60, description="Name of the stage.")
    kind: Literal["train"] = Field("train", description="Kind of stage.")
    epochs: float | None = Field(1.0, gt=0, description="Passes over the training rows (used when steps is empty).")
    steps: int | None = Field(None, ge=1, description="Optimiser steps. Overrides epochs.")
    lr: float = Field(
        1e-4, gt=0, le=10, description="Learning rate of the encoder's top layer, and of all groups without their own."
    )
    head_lr: float | None = Field(None, gt=0, le=10, description="Learning rate of the head. Empty: as lr.")
    layer_decay: float = Field(
        1.0, gt=0, le=1, description="Each layer's rate is the next higher layer's times this. 1: off."
    )
    freeze_layers: int = Field(
        0,
        ge=0,
        description="Freeze the embeddings and this many lowest layers (their activations are cached). 0: none.",
    )
    freeze_encoder: bool = Field(False, description="Train the head only; the encoder's outputs are computed once.")
    groups: list[ParameterGroup] = Field(
        default_factory=list, json_schema_extra=_ADVANCED, description="Parameter groups by pattern."
    )
    weight_decay: float = Field(0.01, ge=0, description="Weight decay (not applied to biases and LayerNorm).")
    reinit_top_n: int = Field(
        0, ge=0, json_schema_extra=_ADVANCED, description="Re-initialise this many top layers first."
    )
    optimizer: OptimizerConfig = Field(
        default_factory=OptimizerConfig, json_schema_extra=_ADVANCED, description="Optimiser."
    )
    schedule: ScheduleConfig = Field(default_factory=ScheduleConfig, description="Learning-rate schedule.")
    batch_size: int = Field(
        32, ge=1, le=4096, description="Examples per optimiser step (used when batch_tokens is empty)."
    )
    batch_tokens: int | None = Field(
        None, ge=8, description="Sub-words per optimiser step, padding included. Overrides batch_size."
    )
    accumulation: int = Field(1, ge=1, json_schema_extra=_ADVANCED, description="Micro-batches per optimiser step.")
    bucketing: bool = Field(
        True, json_schema_extra=_ADVANCED, description="Group texts of similar length into a batch."
    )
    clip_norm: float | None = Field(1.0, gt=0, description="Clip the gradient's norm at this value. Empty: off.")
    label_smoothing: float = Field(0.0, ge=0, lt=1, json_schema_extra=_ADVANCED, description="Label smoothing.")
    class_weights: Literal["none", "balanced"] | dict[str, float] = Field(
        "none",
        json_schema_extra=_ADVANCED,
        description="none, balanced (inverse frequency), or a weight for each label.",
    )
    eval_every: int | None = Field(
        None, ge=1, description="Evaluate on gate every so many steps. Empty: at the end of each epoch."
    )
    metric: str | None = Field(
        None,
        json_schema_extra=_ADVANCED,
        description="Gate metric that picks the best checkpoint. Empty: the task's own.",
    )
    early_stopping: EarlyStopping = Field(
        default_factory=EarlyStopping, json_schema_extra=_ADVANCED, description="Early stopping."
    )
    guards: GuardConfig = Field(default_factory=GuardConfig, json_schema_extra=_ADVANCED, description="Guards.")
    cache_activations: bool = Field(
        True, json_schema_extra=_ADVANCED, description="Compute a frozen lower part once and reuse its activations."
    )
    cache_limit_mb: int = Field(
        4096, ge=1, json_schema_extra=_ADVANCED, description="Largest size of that cache in MB."
    )

    @model_validator(mode="after")
    def _length(self) -> Stage:
        if self.epochs is None and self.steps is None:
            raise ValueError("give epochs or steps; both are empty")
        return self


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
        default_factory=lambda: [Stage()], min_length=1, max_length=1, description="Stages, in order."
    )
    runtime: RuntimeConfig = Field(default_factory=RuntimeConfig, description="Runtime.")

    @model_validator(mode="after")
    def _consistent(self) -> Plan:
        if self.task.kind == "tagging" and self.task.multi_label:
            raise ValueError("task.multi_label is for classification only")
        if self.task.kind == "tagging" and self.task.stride >= self.model.max_length - 2:
            raise ValueError(
                f"task.stride must be below model.max_length - 2 = {self.model.max_length - 2}, got {self.task.stride}"
            )
        return self
