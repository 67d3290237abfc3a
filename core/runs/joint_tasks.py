"""A task of a joint run as a run of its own: RUN/TASK, with that task's plan, scores and teachers. Plain data."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from core.config.joint import JointPlan
from core.errors import RunNotFound
from core.runs.records import RunRecord
from core.training.distil.places import of_task

__all__ = ["named", "parted", "results_of", "series_of", "single_of", "taught_tasks"]


def parted(run_id: str) -> tuple[str, str]:
    """Return the run and the task of RUN/TASK; the task is empty where only a run is named."""
    run, _, task = run_id.partition("/")
    return run, task


def named(record: RunRecord, task: str) -> str:
    """Return what a run, or a task of a joint run, is called."""
    return f"{record.id}/{task}" if task else record.id


def taught_tasks(plan: Mapping[str, Any]) -> list[str]:
    """Return the names of the tasks of a joint plan, as plain data, that have teachers."""
    return [str(one.get("name")) for one in plan.get("tasks") or [] if isinstance(one, Mapping) and one.get("distil")]


def single_of(record: RunRecord, task: str) -> RunRecord:
    """Return a joint run as a run of one of its tasks.

    Raises
    ------
    RunNotFound
        If it is no joint run, or has no such task.
    """
    names = [str(one.get("name")) for one in record.plan.get("tasks") or []] if record.kind == "joint" else []
    if task not in names:
        raise RunNotFound(
            f"The run {record.name!r} has no task {task!r}.", where=f"run {record.id}",
            expected=" or ".join(f"{record.id}/{name}" for name in names) or "the id of a run alone",
        )  # fmt: skip
    plan = JointPlan.model_validate(record.plan).plan_of(names.index(task))
    metrics = {
        f"{role}/{rest.removeprefix(f'{task}/')}": value
        for role, _, rest, value in ((*key.partition("/"), value) for key, value in record.metrics.items())
        if rest.startswith(f"{task}/")
    }
    return dataclasses.replace(
        record, id=named(record, task), kind="train", plan=plan.model_dump(mode="json"), metrics=metrics
    )  # fmt: skip


def results_of(results: Mapping[str, Any] | None, task: str) -> dict[str, Any] | None:
    """Return what results.json of a joint run says of one task, as that of a run of this task alone says it."""
    if results is None:
        return None
    metrics = {}
    for key, value in (results.get("metrics") or {}).items():
        role, _, rest = str(key).partition("/")
        if rest.startswith(f"{task}/"):
            metrics[f"{role}/{rest.removeprefix(f'{task}/')}"] = value
    details = {role: parts[task] for role, parts in (results.get("details") or {}).items() if task in parts}
    teachers = [one for one in results.get("teachers") or [] if one.get("task") == task]
    return {**results, "metrics": metrics, "details": details, "teachers": teachers}


def series_of(series: Mapping[str, Any], task: str) -> dict[str, Any]:
    """Return the series of a distillation of one task, named as those of a run of this task alone."""
    start = of_task("distil/", task)
    return {f"distil/{name.removeprefix(start)}": one for name, one in series.items() if name.startswith(start)}
