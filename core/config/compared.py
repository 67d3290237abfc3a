"""From a comparison to the plans of its runs: budgets, stages, heads. Pure; the runs themselves are elsewhere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from core.config.comparison import Comparison, ComparisonTask, Strategy, changed_stage
from core.config.joint import JointPlan, JointTraining
from core.config.plan import Plan, TaskConfig
from core.config.stages import Stage

__all__ = ["can_point", "joint_plan", "shares_rows", "single_plan", "spent", "stage_of", "steps_of", "task_of"]

#: Evaluations on gate in one run: enough for a curve, few enough to cost little.
_EVALUATIONS = 12
#: Fields of a stage that a joint run has for each task, or that the comparison says itself.
_ELSEWHERE = {
    "name", "kind", "enabled", "start_from", "lr_from", "metric", "class_weights", "label_smoothing", "gate", "on_pass",
    "on_fail", "max_retries", "on_exhausted", "lr_factor", "lr_cap", "raise_if", "range_test", "search", "distil",
}  # fmt: skip


#: Settings of a head that points which only tagging has: tasks of other kinds go without.
_OF_TAGS = ("dictionary", "gazetteer", "entries")


def can_point(task: TaskConfig) -> bool:
    """Whether a task has a head that points; others keep the linear one."""
    return task.kind in ("tagging", "question_answering")


def task_of(strategy: Strategy, task: ComparisonTask) -> TaskConfig:
    """Return a task with the strategy's head."""
    values = task.task.model_dump(mode="json")
    for name, value in strategy.task.items():
        if name not in values:
            raise ValueError(f"a task has no field {name!r}")
        kept = values[name]
        if name == "pointer" and isinstance(value, dict) and task.task.kind != "tagging":
            value = {key: one for key, one in value.items() if key not in _OF_TAGS}
        values[name] = {**kept, **value} if isinstance(kept, dict) and isinstance(value, dict) else value
    if strategy.head == "pointer" and can_point(task.task):
        values["head"] = "pointer"
    return TaskConfig.model_validate(values)


def steps_of(config: Comparison, strategy: Strategy, task: ComparisonTask) -> int:
    """Return the optimiser steps that a strategy makes for a task.

    Rule *steps*: as the budget says, whatever a step holds. Rule *examples*: as many as the examples need, at so many
    examples a step; passes whose last step holds fewer need some more.
    """
    if config.budget.rule == "steps":
        return task.steps or config.budget.steps
    stage = changed_stage(config.stage, strategy.stage, "stage")
    return math.ceil(examples_of(config, task) / stage.batch_size)


def examples_of(config: Comparison, task: ComparisonTask) -> int:
    """Return the examples of a task that every strategy sees under the rule *examples*."""
    return task.examples or config.budget.examples


def spent(config: Comparison, strategy: Strategy) -> int:
    """Return the optimiser steps that a strategy makes with one seed, over all tasks."""
    return sum(steps_of(config, strategy, task) for task in config.tasks)


def stage_of(config: Comparison, strategy: Strategy, task: ComparisonTask) -> Stage:
    """Return the training stage of a strategy for one task."""
    steps = steps_of(config, strategy, task)
    stage = _trained(config, strategy, task.head_lr)
    every = stage.eval_every or max(1, steps // _EVALUATIONS)
    changes: dict[str, Any] = {"name": "train", "steps": steps, "epochs": None, "eval_every": every}
    return Stage.model_validate({**stage.model_dump(mode="json"), **changes})


def _trained(config: Comparison, strategy: Strategy, head_lr: float | None) -> Stage:
    """Return a strategy's stage before its length is known."""
    stage = changed_stage(config.stage, strategy.stage, "stage")
    own_head = "head_lr" in strategy.stage
    rate = stage.head_lr if own_head or head_lr is None else head_lr
    changes: dict[str, Any] = {"head_lr": rate}
    if strategy.encoder == "frozen":
        # Only the head is trained: a rate that the strategy names is the head's.
        lr = stage.lr if "lr" in strategy.stage and not own_head else rate or stage.lr
        changes = {"freeze_encoder": True, "lr": lr, "head_lr": None}
    return Stage.model_validate({**stage.model_dump(mode="json"), **changes})


def shares_rows(config: Comparison) -> bool:
    """Whether tasks are learnt together somewhere, so that texts one is judged on are left out of the others' rows."""
    return len(config.tasks) > 1 and any(strategy.sharing == "joint" for strategy in config.strategies)


def single_plan(
    config: Comparison, strategy: Strategy, task: ComparisonTask, runtime: dict[str, Any], name: str
) -> Plan:
    """Return the plan that learns one task alone, where no strategy learns tasks together.

    Parameters
    ----------
    config, strategy, task
        What is compared.
    runtime
        Runtime with the seed, as plain data.
    name
        Of the run.
    """
    model = config.model.model_dump(mode="json") | {"max_length": task.max_length or config.model.max_length}
    return Plan.model_validate(
        {
            "name": name[:120], "tags": list(config.tags), "task": task_of(strategy, task).model_dump(mode="json"),
            "data": task.data.model_dump(mode="json"), "model": model, "runtime": runtime,
            "stages": [stage_of(config, strategy, task).model_dump(mode="json")],
        }
    )  # fmt: skip


def joint_plan(
    config: Comparison, strategy: Strategy, tasks: Sequence[ComparisonTask], runtime: dict[str, Any], name: str
) -> JointPlan:
    """Return the plan that learns several tasks with one encoder.

    Rule *steps*: as many as the single runs make together. Rule *examples*: a quota for each task, so that exactly as
    many examples are seen as the budget says.

    Where any strategy learns tasks together, the runs of a single task name the others as *beside*: rows that joint
    runs leave out are then left out of them too.

    Raises
    ------
    ValueError
        If a field of the stage means nothing for several tasks.
    """
    stage = _trained(config, strategy, None)
    plain = Stage()
    odd = [
        field for field in Stage.model_fields
        if field not in JointTraining.model_fields and field not in _ELSEWHERE
        and getattr(stage, field) != getattr(plain, field)
    ]  # fmt: skip
    if odd:
        raise ValueError(f"stage.{odd[0]} means nothing where tasks are learnt together")
    steps = sum(steps_of(config, strategy, task) for task in tasks)
    every = stage.eval_every or max(1, steps // _EVALUATIONS)
    by_examples = config.budget.rule == "examples"
    length: dict[str, Any] = {"steps": None, "epochs": 1.0} if by_examples else {"steps": steps, "epochs": None}
    training = {**stage.model_dump(mode="json"), **length, "eval_every": every}
    return JointPlan.model_validate(
        {
            "name": name[:120], "tags": list(config.tags), "model": config.model.model_dump(mode="json"),
            "training": {key: training[key] for key in JointTraining.model_fields}, "mixing": strategy.mixing,
            "runtime": runtime,
            "tasks": [
                {
                    "name": task.name, "task": task_of(strategy, task).model_dump(mode="json"),
                    "data": task.data.model_dump(mode="json"), "max_length": task.max_length,
                    "head_lr": _head_lr(strategy, task), "class_weights": stage.class_weights,
                    "label_smoothing": stage.label_smoothing, "metric": stage.metric,
                    "quota": examples_of(config, task) if by_examples else None,
                }
                for task in tasks
            ],
            "beside": [
                {"name": task.name, "task": task_of(strategy, task).model_dump(mode="json"),
                 "data": task.data.model_dump(mode="json"), "max_length": task.max_length}
                for task in _others(config, tasks)
            ],
        }
    )  # fmt: skip


def _others(config: Comparison, tasks: Sequence[ComparisonTask]) -> list[ComparisonTask]:
    names = {task.name for task in tasks}
    return [task for task in config.tasks if task.name not in names and shares_rows(config)]


def _head_lr(strategy: Strategy, task: ComparisonTask) -> float | None:
    named = "head_lr" in strategy.stage or (strategy.encoder == "frozen" and "lr" in strategy.stage)
    return None if named else task.head_lr
