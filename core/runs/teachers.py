"""What can teach a student: finished runs of its task with their scores, and exported models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from core.config import Plan, TaskConfig
from core.config.joint import JointPlan
from core.config.recipes import recipes
from core.errors import BertloomError
from core.models.folders import described, guessed, read_side_file
from core.models.layers import SEPARABLE
from core.models.onnx_folder import is_onnx
from core.models.sources import read_config
from core.models.trained import task_difference
from core.runs.distilled import MAIN_METRICS
from core.runs.records import RunRecord, Status
from core.runs.store import Store

__all__ = ["joint_student_plan", "list_teachers", "score_of", "student_plan"]

#: Runs that are offered, newest first.
_NEWEST = 100


def list_teachers(store: Store, task: TaskConfig) -> list[dict[str, Any]]:
    """Return what was trained for a task, runs first, newest first; what cannot be read is left out.

    Of a joint run each task's model is one.

    Parameters
    ----------
    store
        The home's store.
    task
        The student's: only answers of its kind can be compared (see :func:`core.models.trained.task_difference`).

    Returns
    -------
    list of dict
        ``source`` (folder), ``title``, ``run`` (id, None for an export), ``labels``, ``score`` (see :func:`score_of`;
        None for an export).
    """
    found = []
    for folder, title, record, part in _candidates(store):
        if is_onnx(folder):  # it answers, but has no layers to learn from
            continue
        try:
            side = read_side_file(folder)
            other, _ = described(side, folder) if side else guessed(read_config(folder), folder)
        except BertloomError:
            continue
        if task_difference(other.config, list(other.labels), task, None) is None:
            found.append(
                {
                    "source": str(folder), "title": title, "run": None if record is None else record.id,
                    "labels": list(other.labels), "score": None if record is None else score_of(record, part),
                }
            )  # fmt: skip
    return found


def score_of(record: RunRecord, part: str = "") -> dict[str, Any] | None:
    """Return what a finished run scored: ``role`` (test, else gate), ``metric``, ``value``; None if it says nothing.

    Parameters
    ----------
    record
        The run.
    part
        Of a joint run the name of the task.
    """
    within = f"{part}/" if part else ""
    stages = [stage.get("metric") for stage in record.plan.get("stages") or [] if stage.get("metric")]
    for role in ("test", "gate"):
        for name in (*stages, *MAIN_METRICS):
            value = record.metrics.get(f"{role}/{within}{name}")
            if value is not None:
                return {"role": role, "metric": name, "value": float(value)}
    return None


def student_plan(plan: Plan, trained: Mapping[str, Any]) -> Plan:
    """Return a plan for a student of a run: the same rows, seeds and lengths, and our own recipe.

    The student begins as half of the run's layers, with its head, where layers can be taken away one by one; otherwise
    as all of them, and another encoder has to be chosen.

    Parameters
    ----------
    plan
        The run's.
    trained
        What :func:`core.models.trained.describe_trained` says of its model.
    """
    ours, folder = recipes()[0], str(trained["folder"])
    layers, width = trained.get("layers"), trained.get("hidden_size")
    made = ours.plan(
        plan.data, plan.task, teacher=folder, layers=layers, width=width, name=f"{plan.name[:100]}, student"
    )
    model = {
        **made.model.model_dump(), "max_length": plan.model.max_length, "dropout": plan.model.dropout,
        **({} if layers and layers > 1 and trained.get("family") in SEPARABLE else {"keep_layers": None}),
    }  # fmt: skip
    return Plan.model_validate({**made.model_dump(), "model": model, "runtime": plan.runtime.model_dump()})


def joint_student_plan(plan: JointPlan, folders: Mapping[str, str], trained: Mapping[str, Any]) -> JointPlan:
    """Return a joint plan for a student of a joint run: the same tasks and training, each task taught by its model.

    The student begins as half of the run's layers with the heads of all tasks, where layers can be taken away one by
    one; otherwise as all of them, and another encoder has to be chosen.

    Parameters
    ----------
    plan
        The run's.
    folders
        Task → folder of the run's model; a task that is missing learns from the gold labels alone.
    trained
        What :func:`core.models.trained.describe_trained` says of the first of them.
    """
    layers = trained.get("layers")
    half = layers // 2 if layers and layers > 1 and trained.get("family") in SEPARABLE else None
    source = str(trained["folder"])
    tasks = []
    for task in plan.tasks:
        distil = None
        if task.name in folders:
            made = recipes()[0].plan(task.data, task.task, teacher=folders[task.name], layers=layers)
            distil = made.stages[0].distil
        tasks.append(task.model_copy(update={"distil": distil}))
    model = plan.model.model_copy(update={"source": source, "revision": None, "keep_layers": half})
    data = plan.model_copy(update={"name": f"{plan.name[:100]}, student", "tasks": tasks, "model": model})
    return JointPlan.model_validate(data.model_dump(mode="json"))


def _candidates(store: Store) -> Iterator[tuple[Path, str, RunRecord | None, str]]:
    finished = store.runs.list(status=Status.FINISHED)
    made = [one for one in finished if one.kind == "joint" or (one.kind == "train" and one.has_model)]
    for record in made[:_NEWEST]:
        best = store.home.run(record.id) / "best"
        if record.kind == "train":
            yield best, record.name, record, ""
            continue
        for task in record.plan.get("tasks") or []:
            name = str(task.get("name"))
            if (best / name / "config.json").is_file():
                yield best / name, f"{record.name} · {name}", record, name
    exports = store.home.exports
    for path in sorted(exports.iterdir()) if exports.is_dir() else ():
        if (path / "config.json").is_file():
            yield path, f"{path.name} (exported)", None, ""
