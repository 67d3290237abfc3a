"""The config of a comparison: strategies × tasks × seeds, all with the same budget, and a verdict on each pair.

Plain data without torch: the dashboard imports it. What each strategy trains stands in
:mod:`core.studies.comparing.plans`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from core.config.base import ADVANCED as _ADVANCED
from core.config.base import Config
from core.config.comparison_usual import over, usual_runtime, usual_stage
from core.config.plan import DataConfig, ModelConfig, RuntimeConfig, TaskConfig
from core.config.stages import Stage

__all__ = [
    "Budget",
    "Comparison",
    "ComparisonTask",
    "Strategy",
    "changed_stage",
]

#: More runs in one comparison are a mistake.
MOST_RUNS = 2000
#: Parts of a stage that would end it early or begin it again, with the value that leaves them off.
_UNEQUAL: dict[str, Any] = {
    "max_retries": 0, "gate": None, "budget_s": None, "raise_if": None, "lr_from": None, "start_from": "last",
    "kind": "train", "enabled": True,
}  # fmt: skip
#: What the comparison itself says of every stage.
_OWN = ("name", "steps", "epochs", "freeze_encoder", "seed")
_Name = Annotated[str, Field(min_length=1, max_length=40)]


def _named(value: str) -> str:
    if not value.isprintable() or "/" in value or value != value.strip():
        raise ValueError(f"a name has no slash, no line break and no space at its ends, got {value!r}")
    return value


class Strategy(Config):
    """One way to train: what tasks share, which head they have, and whether the encoder learns."""

    name: _Name = Field(description="What the strategy is called.")
    sharing: Literal["single", "joint"] = Field(
        "single",
        description="single: a copy of the encoder for each task. joint: one encoder that learns all tasks at once.",
    )
    head: Literal["linear", "pointer"] = Field(
        "linear",
        description="linear: one linear layer, as the task has it. pointer: words that point to words; tasks that "
        "cannot point keep the linear head.",
    )
    encoder: Literal["full", "frozen"] = Field(
        "full", description="full: a new head and the whole encoder are trained. frozen: the head only."
    )
    stage: dict[str, Any] = Field(
        default_factory=dict,
        description="Fields of the training stage that are different for this strategy, like lr: 0.01.",
    )

    task: dict[str, Any] = Field(
        default_factory=dict,
        description="Fields of the tasks that are different for this strategy, like pointer: {memory: false}.",
    )
    mixing: dict[str, Any] = Field(
        default_factory=dict,
        description="Only with joint sharing: how tasks share the steps, as in a joint plan (alpha, weights, pcgrad).",
    )

    _check_name = field_validator("name")(_named)

    @model_validator(mode="after")
    def _parts(self) -> Strategy:
        if self.mixing and self.sharing != "joint":
            raise ValueError("mixing belongs to joint sharing")
        own = [name for name in ("kind", "head") if name in self.task]
        if own:
            raise ValueError(f"task.{own[0]} is said elsewhere: the kind by the tasks, the head by the strategy")
        return self


class ComparisonTask(Config):
    """One task that every strategy learns."""

    name: _Name = Field(description="What the task is called.")
    task: TaskConfig = Field(default_factory=TaskConfig, description="What is learnt.")
    data: DataConfig = Field(
        default_factory=DataConfig, description="Data; the same rows for all strategies and seeds."
    )
    max_length: int | None = Field(
        None, ge=8, le=8192, description="Sub-words a text (or window) may have. Empty: as the model says."
    )
    head_lr: float | None = Field(
        None, gt=0, le=10, description="Learning rate of this task's head. Empty: as the stage says."
    )
    metric: str | None = Field(
        None,
        description="Score that strategies are compared by. Empty: accuracy, strict_f1 of entities (span_f1 "
        "where the rows have spans), or f1 of answers.",
    )
    steps: int | None = Field(
        None, ge=1, json_schema_extra=_ADVANCED, description="Optimiser steps of this task. Empty: as the budget says."
    )
    examples: int | None = Field(
        None, ge=1, json_schema_extra=_ADVANCED, description="Examples of this task. Empty: as the budget says."
    )

    _check_name = field_validator("name")(_named)

    @property
    def score(self) -> str:
        """Name of the score that strategies are compared by, without a role."""
        usual = {"tagging": "strict_f1", "question_answering": "f1"}
        if self.metric is None and self.task.kind == "dependency":
            names = ("las", "uas") if self.task.tree else ("labelled_accuracy", "pointer_accuracy")
            return names[0] if self.task.relations else names[1]
        if self.metric is None and self.task.gold == "spans":
            return "span_f1"
        return self.metric or usual.get(self.task.kind, "accuracy")


class Budget(Config):
    """What every strategy may spend."""

    rule: Literal["steps", "examples"] = Field(
        "steps",
        description="steps: every strategy makes the same number of optimiser steps, over all tasks. examples: every "
        "strategy sees the same number of examples of each task.",
    )
    steps: int = Field(300, ge=1, description="Rule steps: optimiser steps a task.")
    examples: int = Field(9600, ge=1, description="Rule examples: examples a task, repeated ones counted again.")


class Comparison(Config):
    """A comparison (kind of run: ``compare``): every strategy learns every task with every seed; all are judged."""

    version: Literal[1] = Field(1, description="Version of the format.")
    kind: Literal["compare"] = Field("compare", description="Kind of run.")
    name: str = Field("comparison", min_length=1, max_length=120, description="Name of the run.")
    tags: list[_Name] = Field(default_factory=list, description="Tags to find the run by.")
    strategies: list[Strategy] = Field(min_length=2, max_length=12, description="What is compared, two by two.")
    tasks: list[ComparisonTask] = Field(min_length=1, max_length=12, description="What each of them learns.")
    seeds: int = Field(5, ge=1, le=100, description="Seeds of each strategy. With fewer than 5 there is no verdict.")
    first_seed: int = Field(0, ge=0, json_schema_extra=_ADVANCED, description="The seeds count from here.")
    budget: Budget = Field(default_factory=Budget, description="What every strategy may spend.")
    stage: Stage = Field(default_factory=usual_stage, description="The training stage that all strategies share.")
    model: ModelConfig = Field(default_factory=ModelConfig, description="The encoder that all begin with.")
    margin: float = Field(
        0.01, gt=0, lt=1, description="Differences of scores below this do not matter. Set before the runs."
    )
    runtime: RuntimeConfig = Field(default_factory=usual_runtime, description="Runtime; its seed is not used.")
    continues: str | None = Field(
        None, max_length=100, json_schema_extra=_ADVANCED,
        description="Id of a comparison whose runs are taken over where nothing about them has changed.",
    )  # fmt: skip

    @model_validator(mode="before")
    @classmethod
    def _partly_given(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        usual = {"stage": usual_stage, "runtime": usual_runtime}
        filled = {
            name: over(make().model_dump(mode="json"), values[name])
            for name, make in usual.items()
            if isinstance(values.get(name), dict)
        }
        return {**values, **filled}

    @field_validator("strategies", "tasks")
    @classmethod
    def _once(cls, value: list[Any]) -> list[Any]:
        names = [one.name for one in value]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"{twice[0]!r} is named twice; each needs a name of its own")
        return value

    @model_validator(mode="after")
    def _equal_budgets(self) -> Comparison:
        _check_budget(self.stage, "stage")
        for at, one in enumerate(self.strategies):
            where = f"strategies.{at}.stage"
            own = [name for name in _OWN if name in one.stage]
            if own:
                raise ValueError(
                    f"{where}.{own[0]} is said by the comparison itself: by its budget, its seeds, and by encoder"
                )
            _check_budget(changed_stage(self.stage, one.stage, where), where)
        if self.budget.rule == "examples":
            stages = [("stage", self.stage)]
            stages += [
                (f"strategies.{at}.stage", changed_stage(self.stage, one.stage, ""))
                for at, one in enumerate(self.strategies)
            ]
            for where, stage in stages:
                if stage.batch_tokens is not None:
                    raise ValueError(
                        f"{where}.batch_tokens does not say how many examples a step has; with budget.rule examples "
                        "use batch_size"
                    )
        return self

    @model_validator(mode="after")
    def _judged(self) -> Comparison:
        for at, one in enumerate(self.tasks):
            for role in ("gate", "test"):
                if getattr(one.data, f"{role}_share") == 0 and getattr(one.data, f"{role}_source") is None:
                    why = "chosen on gate rows" if role == "gate" else "compared on test rows"
                    raise ValueError(
                        f"tasks.{at} ({one.name}) has no {role} rows, and runs are {why}: data.{role}_share is 0 and "
                        f"there is no {role}_source"
                    )
            if one.task.head != "linear":
                raise ValueError(f"tasks.{at} ({one.name}): the strategies say which head it has; leave task.head out")
        self._plans()
        runs = len(self.strategies) * len(self.tasks) * self.seeds
        if runs > MOST_RUNS:
            raise ValueError(f"these are {runs:,} runs; {MOST_RUNS:,} are the most in one comparison")
        return self

    def _plans(self) -> None:
        """Make every plan once, so that what does not fit is told here."""
        from core.config.compared import can_point, joint_plan, shares_rows, single_plan  # it builds on this module

        for at, strategy in enumerate(self.strategies):
            where = f"strategies.{at} ({strategy.name})"
            if strategy.head == "pointer" and not any(can_point(task.task) for task in self.tasks):
                raise ValueError(f"{where}: none of the tasks can point; tagging and question answering can")
            try:
                if strategy.sharing == "joint" or self.budget.rule == "examples" or shares_rows(self):
                    joint_plan(self, strategy, self.tasks, {}, "joint")
                else:
                    for task in self.tasks:
                        single_plan(self, strategy, task, {}, "single")
            except ValidationError as error:
                first = error.errors()[0]
                place = ".".join(str(part) for part in first["loc"])
                said = str(first["msg"]).removeprefix("Value error, ")
                raise ValueError(f"{where}: {f'{place}: ' if place else ''}{said}") from error
            except ValueError as error:
                raise ValueError(f"{where}: {error}") from error

    @property
    def seed_list(self) -> list[int]:
        """The seeds."""
        return list(range(self.first_seed, self.first_seed + self.seeds))


def changed_stage(stage: Stage, changes: dict[str, Any], where: str) -> Stage:
    """Return a stage with some fields changed; a part (``schedule: {warmup: 0}``) keeps the rest of its fields.

    Raises
    ------
    ValueError
        If a field does not exist or its value does not fit.
    """
    values = stage.model_dump(mode="json")
    for name in changes:
        if name not in values:
            raise ValueError(f"{where}.{name}: a stage has no field {name!r}")
    return Stage.model_validate(over(values, changes))


def _check_budget(stage: Stage, where: str) -> None:
    for name, off in _UNEQUAL.items():
        if getattr(stage, name) != off:
            raise ValueError(f"{where}.{name} would give strategies unequal budgets; leave it out")
    if stage.early_stopping.patience is not None:
        raise ValueError(f"{where}.early_stopping would give strategies unequal budgets; leave it out")
    if stage.schedule.warmup >= 1:
        raise ValueError(f"{where}.schedule.warmup is a share of the steps here (below 1): runs differ in their steps")
