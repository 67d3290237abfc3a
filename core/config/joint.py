"""The config of joint training: one encoder that learns several tasks at once, each with data and a head of its own.

Plain data without torch: the dashboard imports it. The fields of :class:`JointTraining` are those of a stage.
"""

from __future__ import annotations

from copy import copy
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from core.config.base import ADVANCED as _ADVANCED
from core.config.base import Config
from core.config.distillation import DistillationConfig
from core.config.plan import DataConfig, ModelConfig, Plan, RuntimeConfig, TaskConfig
from core.config.stage_parts import EarlyStopping, GuardConfig, OptimizerConfig, ScheduleConfig
from core.config.stages import Stage

__all__ = ["COMBINED", "JointPlan", "JointTask", "JointTraining", "MixingConfig"]

#: Name of the gate metric that picks the best checkpoint: the combination of the tasks' own metrics.
COMBINED = "combined"
_STAGE = "joint"
#: Signs that a folder's name cannot have everywhere.
_FORBIDDEN = '/\\:*?"<>|'


def _as_in_stage(name: str) -> Any:
    """Return a field as a stage has it: default, limits and words."""
    return copy(Stage.model_fields[name])


class JointTask(Config):
    """One task of a joint run."""

    name: Annotated[str, Field(min_length=1, max_length=40)] = Field(description="What the task is called.")
    task: TaskConfig = Field(default_factory=TaskConfig, description="What is learnt.")
    data: DataConfig = Field(default_factory=DataConfig, description="Data.")
    max_length: int | None = Field(
        None, ge=8, le=8192, description="Sub-words a text (or window) may have. Empty: as the model says."
    )
    head_lr: float | None = Field(
        None, gt=0, le=10, description="Learning rate of this task's head. Empty: as the training says."
    )
    weight: float = Field(
        1.0, gt=0, le=1000, description="What this task's loss is multiplied by; with mixing.weights fixed only."
    )
    quota: int | None = Field(
        None, ge=1, le=10**9,
        description="Examples of this task that are trained on, repeated ones counted again; for all tasks or none. "
        "Takes the place of steps, epochs and sampling.",
    )  # fmt: skip
    metric: str | None = Field(
        None, json_schema_extra=_ADVANCED,
        description="Gate metric of this task that counts for the best checkpoint. Empty: the task's own.",
    )  # fmt: skip
    share: float = Field(
        1.0, ge=0, le=1000, json_schema_extra=_ADVANCED,
        description="How much this task's metric counts in their mean, which picks the best checkpoint. 0: not at all.",
    )  # fmt: skip
    class_weights: Literal["none", "balanced"] | dict[str, float] = _as_in_stage("class_weights")
    label_smoothing: float = _as_in_stage("label_smoothing")
    distil: DistillationConfig | None = Field(
        None, json_schema_extra=_ADVANCED,
        description="Teachers of this task, and how it learns from them. Empty: it learns from the gold labels alone.",
    )  # fmt: skip

    @field_validator("name")
    @classmethod
    def _folder(cls, value: str) -> str:
        if not value.isprintable() or value != value.strip() or value[0] == "." or set(value) & set(_FORBIDDEN):
            raise ValueError(
                f"a task's name is the name of a folder too: no slash, colon or quote, no dot in front and no space at "
                f"its ends, got {value!r}"
            )
        if value.lower() in (COMBINED, "loss"):
            raise ValueError(f"a task cannot be called {value!r}: a series has that name")
        return value

    @field_validator("metric")
    @classmethod
    def _larger(cls, value: str | None) -> str | None:
        if value is not None and value.endswith("loss"):
            raise ValueError(
                f"the metrics of all tasks are averaged, so each must be better when it is larger: {value}"
            )
        return value

    @model_validator(mode="before")
    @classmethod
    def _one_tokeniser(cls, data: Any) -> Any:
        own = [name for name in ("model", "tokenizer", "tokeniser") if isinstance(data, dict) and name in data]
        if own:
            raise ValueError(
                f"a task of a joint run has no {own[0]} of its own: one encoder reads all texts, so one tokeniser cuts "
                "them. Tasks over different tokenisers cannot be trained jointly; give the encoder once, as model"
            )
        return data


class MixingConfig(Config):
    """How tasks share the steps and the encoder."""

    alpha: float = Field(
        0.5, ge=0, le=1,
        description="A step's task is drawn with a chance in proportion to its number of examples to this power. "
        "1: as large as they are; 0: all alike.",
    )  # fmt: skip
    alpha_end: float | None = Field(
        None,
        ge=0,
        le=1,
        description="The power at the last step; it goes there evenly (annealed sampling). Empty: as at the beginning.",
    )
    weights: Literal["equal", "fixed", "uncertainty"] = Field(
        "equal",
        description="Weights of the tasks' losses. equal: all 1. fixed: each task's weight. uncertainty: learnt "
        "(Kendall et al. 2018).",
    )
    weights_lr: float = Field(
        0.01, gt=0, le=10, json_schema_extra=_ADVANCED, description="Learning rate of learnt weights."
    )
    pcgrad: bool = Field(
        False,
        description="Each step takes one batch of every task, and where the gradients of two conflict, each loses what "
        "goes against the other (PCGrad, Yu et al. 2020). Sampling does not apply then.",
    )
    monitor_every: int | None = Field(
        None, ge=0,
        description="Compare the tasks' gradients every so many steps. Empty: 30 for each task beside the first, which "
        "takes about 4 % more time. 0: never.",
    )  # fmt: skip


class JointTraining(Config):
    """How the encoder and the heads are trained: a stage's fields, as far as they mean something for several tasks."""

    seed: int | None = _as_in_stage("seed")
    dropout: float | None = _as_in_stage("dropout")
    epochs: float | None = Field(
        1.0, gt=0, description="Steps of that many passes over each task's rows, added up (used when steps is empty)."
    )
    steps: int | None = _as_in_stage("steps")
    lr: float = _as_in_stage("lr")
    head_lr: float | None = _as_in_stage("head_lr")
    layer_decay: float = _as_in_stage("layer_decay")
    freeze_layers: int = _as_in_stage("freeze_layers")
    freeze_encoder: bool = _as_in_stage("freeze_encoder")
    weight_decay: float = _as_in_stage("weight_decay")
    optimizer: OptimizerConfig = _as_in_stage("optimizer")
    schedule: ScheduleConfig = _as_in_stage("schedule")
    batch_size: int = _as_in_stage("batch_size")
    batch_tokens: int | None = _as_in_stage("batch_tokens")
    accumulation: int = _as_in_stage("accumulation")
    bucketing: bool = _as_in_stage("bucketing")
    clip_norm: float | None = _as_in_stage("clip_norm")
    eval_every: int | None = Field(
        None, ge=1, description="Evaluate on gate every so many steps. Empty: after as many as all tasks' epochs have."
    )
    early_stopping: EarlyStopping = _as_in_stage("early_stopping")
    guards: GuardConfig = _as_in_stage("guards")
    budget_s: float | None = _as_in_stage("budget_s")
    cache_activations: bool = _as_in_stage("cache_activations")
    cache_limit_mb: int = _as_in_stage("cache_limit_mb")

    @classmethod
    def of(cls, stage: Stage) -> JointTraining:
        """Take what a stage says, as far as it means something here; class weights and smoothing are the tasks'."""
        data = stage.model_dump(mode="json")
        return cls.model_validate({name: data[name] for name in cls.model_fields})

    @model_validator(mode="after")
    def _as_a_stage(self) -> JointTraining:
        Stage.model_validate(self.model_dump(mode="json"))
        return self


class JointPlan(Config):
    """Joint training (kind of run: ``joint``): one encoder, one optimiser, any number and mixture of tasks."""

    version: Literal[1] = Field(1, description="Version of the format.")
    kind: Literal["joint"] = Field("joint", description="Kind of run.")
    name: str = Field("joint", min_length=1, max_length=120, description="Name of the run.")
    tags: list[Annotated[str, Field(min_length=1, max_length=40)]] = Field(
        default_factory=list, description="Tags to find the run by."
    )
    tasks: list[JointTask] = Field(min_length=1, max_length=12, description="What is learnt together.")
    beside: list[JointTask] = Field(
        default_factory=list, max_length=11, json_schema_extra=_ADVANCED,
        description="Tasks that are not learnt here, but in runs that this one is compared with: rows are left out as "
        "if they were learnt too, so that all runs train on the same rows. A comparison fills it.",
    )  # fmt: skip
    model: ModelConfig = Field(default_factory=ModelConfig, description="The encoder that all tasks share.")
    training: JointTraining = Field(default_factory=JointTraining, description="Training.")
    mixing: MixingConfig = Field(default_factory=MixingConfig, description="How tasks share steps and encoder.")
    runtime: RuntimeConfig = Field(default_factory=RuntimeConfig, description="Runtime.")

    @model_validator(mode="after")
    def _once(self) -> JointPlan:
        names = [one.name.casefold() for one in (*self.tasks, *self.beside)]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"{twice[0]!r} is named twice (capitals do not tell names apart); each needs its own name")
        return self

    @model_validator(mode="after")
    def _consistent(self) -> JointPlan:
        given = [one.name for one in self.tasks if one.quota is not None]
        if given and len(given) < len(self.tasks):
            missing = next(one.name for one in self.tasks if one.quota is None)
            raise ValueError(f"give a quota to every task or to none: {given[0]} has one, {missing} has none")
        if given and self.training.steps is not None:
            raise ValueError("quotas say how many steps there are: leave training.steps empty")
        if self.mixing.weights != "fixed" and any(one.weight != 1.0 for one in self.tasks):
            heavy = next(one.name for one in self.tasks if one.weight != 1.0)
            raise ValueError(f"the weight of {heavy} would not count: set mixing.weights to fixed")
        if all(one.share == 0 for one in self.tasks):
            raise ValueError("the share of every task is 0: at least one must count for the best checkpoint")
        idle = next((one.name for one in self.beside if one.distil is not None), None)
        if idle is not None:
            raise ValueError(f"{idle} is not learnt here (beside), so it has no teachers: leave its distil empty")
        for one in (*self.tasks, *self.beside):
            try:
                self.plan_for(one)
            except ValidationError as error:
                said = str(error.errors()[0]["msg"]).removeprefix("Value error, ")
                raise ValueError(f"task {one.name}: {said}") from error
        return self

    @property
    def taught(self) -> list[str]:
        """Names of the tasks that have teachers."""
        return [one.name for one in self.tasks if one.distil is not None]

    @property
    def monitored(self) -> int:
        """Steps from one look at the tasks' gradients to the next; 0 for never."""
        if len(self.tasks) < 2 or self.training.freeze_encoder:
            return 0
        every = self.mixing.monitor_every
        return 30 * (len(self.tasks) - 1) if every is None else every

    def stage(self) -> Stage:
        """Return the training as a stage."""
        data = self.training.model_dump(mode="json")
        return Stage.model_validate({**data, "name": _STAGE, "metric": COMBINED})

    def plan_of(self, index: int) -> Plan:
        """Return the plan that trains one of the tasks alone: the same rows, encoder and settings."""
        return self.plan_for(self.tasks[index])

    def plan_for(self, task: JointTask) -> Plan:
        """Return the plan that trains a task alone with this run's encoder and training.

        Raises
        ------
        ValueError
            If there is no such plan: the task's settings do not fit each other.
        """
        data = {**self.training.model_dump(mode="json"), "name": _STAGE, "metric": task.metric}
        data.update(class_weights=task.class_weights, label_smoothing=task.label_smoothing)
        if task.distil is not None:
            data.update(kind="distil", distil=task.distil.model_dump(mode="json"))
        if task.head_lr is not None:
            data["head_lr"] = task.head_lr
        model = self.model
        if task.max_length is not None:
            model = model.model_copy(update={"max_length": task.max_length})
        name = f"{self.name[:70]} · {task.name}"
        return Plan.model_validate(
            {"name": name, "tags": list(self.tags), "task": task.task.model_dump(mode="json"),
             "data": task.data.model_dump(mode="json"), "model": model.model_dump(mode="json"), "stages": [data],
             "runtime": self.runtime.model_dump(mode="json")}
        )  # fmt: skip
