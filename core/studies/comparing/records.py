"""What is kept of one run of a comparison: scores, reduced curves, answers and costs, task by task, as small JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from core.config.comparison import Comparison, ComparisonTask
from core.runs.compare.documents import answered
from core.studies.comparing.conflicts import kept_conflicts
from core.studies.comparing.plans import Job
from core.studies.parts import read_parts, write_part
from core.studies.records import reduced

__all__ = ["ChildRun", "TaskResult", "documents_of", "read_children", "record_of", "write_child"]

#: Scores that are known row by row, and how rows make them up.
_BY_ROWS = {
    "accuracy": "mean", "em": "mean",
    **dict.fromkeys(("strict_f1", "span_f1", "las", "uas", "labelled_accuracy", "pointer_accuracy"), "f1"),
}  # fmt: skip


@dataclass(frozen=True)
class TaskResult:
    """What one run reached on one task.

    Parameters
    ----------
    metric
        Name of the score that is compared, without a role.
    score, gate_score
        On test, and on gate with the weights that were chosen there.
    majority
        Score of a method that needs no model.
    metrics
        Every number on test, by name.
    curves
        Series of the task: {"steps": […], "values": […]}.
    documents
        How each test row was answered, see :func:`core.runs.compare.documents.answered`; with ``n``.
    classes
        [{"by", "value", "score", "support"}]: labels, entity types, or groups of questions, on test.
    rows
        Rows by role.
    examples
        Training examples that were seen; None where steps are filled with sub-words.
    fingerprint
        Of the rows.
    model
        Folder of the best weights for the task, from the comparison's folder on; empty where they are not kept.
    """

    metric: str
    score: float | None = None
    gate_score: float | None = None
    majority: float | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    curves: dict[str, dict[str, list[Any]]] = field(default_factory=dict)
    documents: dict[str, Any] = field(default_factory=dict)
    classes: list[dict[str, Any]] = field(default_factory=list)
    rows: dict[str, int] = field(default_factory=dict)
    examples: int | None = None
    fingerprint: str = ""
    model: str = ""


@dataclass(frozen=True)
class ChildRun:
    """One strategy trained with one seed, on one task or on all together.

    Parameters
    ----------
    key, strategy, seed
        Which run it is.
    tasks
        Task → what was reached on it.
    failed
        Why the run failed; empty if it did not.
    steps, seconds, memory_mb
        Optimiser steps, seconds of training and scoring, largest memory of the process meanwhile.
    parameters, encoder_parameters
        Of the trained model, and of those the encoder's.
    digest
        Of its plan, see :func:`core.studies.comparing.plans.digest_of`.
    run_id
        The run's id in the store, if it is there.
    environment
        Versions and machine.
    threads
        What the run executed with.
    conflicts
        How the gradients of tasks that were learnt together lay to one another, see
        :func:`core.studies.comparing.conflicts.kept_conflicts`.
    """

    key: str
    strategy: str
    seed: int
    tasks: dict[str, TaskResult]
    failed: str = ""
    steps: int = 0
    seconds: float = 0.0
    memory_mb: float | None = None
    parameters: int | None = None
    encoder_parameters: int | None = None
    digest: str = ""
    run_id: str = ""
    environment: dict[str, Any] = field(default_factory=dict)
    threads: int | None = None
    conflicts: list[dict[str, Any]] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ChildRun:
        """Return a record from plain data; keys that are not known any more are left out."""
        known = {key: values[key] for key in cls.__dataclass_fields__ if key in values}
        fields = TaskResult.__dataclass_fields__
        known["tasks"] = {
            str(name): TaskResult(**{key: one[key] for key in fields if key in one})
            for name, one in values["tasks"].items()
        }
        return cls(**known)


def record_of(
    config: Comparison,
    job: Job,
    points: Mapping[str, Sequence[tuple[int, float]]],
    results: Mapping[str, Any] | None,
    *,
    failed: str = "",
    seconds: float = 0.0,
    steps: int = 0,
    **known: Any,
) -> ChildRun:
    """Make the record of a run from its series and its ``results.json``.

    Parameters
    ----------
    config
        The comparison.
    job
        Which run it is.
    points
        Its series.
    results
        What its ``results.json`` holds; None where it failed.
    failed, seconds, steps
        As in the record.
    **known
        Further fields of :class:`ChildRun`.
    """
    results = results or {}
    memory = [value for _, value in points.get("train/memory_mb", ())]
    together = "shared_parameters" in results
    tasks = {
        task.name: _task_result(task, points, results, failed=bool(failed), prefix=f"{task.name}/" if together else "")
        for task in job.tasks
    }
    choices = results.get("choices") or {}
    return ChildRun(
        job.key, job.strategy.name, job.seed, tasks, failed=failed, steps=steps, seconds=round(seconds, 2),
        memory_mb=round(max(memory), 1) if memory else None, environment=results.get("environment") or {},
        threads=choices.get("threads"), conflicts=[] if failed else kept_conflicts(points, results), **known,
    )  # fmt: skip


def _task_result(
    task: ComparisonTask,
    points: Mapping[str, Sequence[tuple[int, float]]],
    results: Mapping[str, Any],
    *,
    failed: bool,
    prefix: str,
) -> TaskResult:
    """Return a task's result; in a joint run its numbers stand under its name."""
    metric = task.score
    metrics = results.get("metrics") or {}
    found = (results.get("details") or {}).get("test") or {}
    test = found.get(task.name) or {} if prefix else found
    documents = dict(test.get("documents") or {})
    if documents:
        documents["n"] = test.get("n", 0)
    baseline = test.get("baseline") or {}
    own = next((one for one in results.get("tasks") or () if one["name"] == task.name), None) if prefix else None
    curves = {}
    for role, name in (("train", "loss"), ("gate", "loss"), ("gate", metric)):
        series = points.get(f"{role}/{prefix}{name}")
        if series:
            curves[f"{role}/{name}"] = reduced(series)
    begin = f"test/{prefix}"
    return TaskResult(
        metric, score=None if failed else metrics.get(f"{begin}{metric}"),
        gate_score=None if failed else metrics.get(f"gate/{prefix}{metric}"),
        majority=baseline.get(metric, test.get("majority") if metric == "accuracy" else None),
        metrics={name.removeprefix(begin): value for name, value in metrics.items() if name.startswith(begin)},
        curves=curves, documents=documents, classes=_classes(test),
        rows=dict((own or results.get("training") or {}).get("rows") or {}),
        examples=own["examples"] if own else None,
    )  # fmt: skip


def _classes(test: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = [("label", one["label"], one["f1"], one["support"]) for one in test.get("per_label") or ()]
    found += [("entity type", one["type"], one["f1"], one["support"]) for one in test.get("entities") or ()]
    found += [(one["by"], one["value"], one["f1"], one["support"]) for one in test.get("breakdown") or ()]
    found += [(one["by"], one["value"], one["f1"], one["support"]) for one in test.get("stretches") or ()]
    for one in test.get("arcs") or ():
        score = one["heads"] if one["labelled"] is None else one["labelled"]
        found.append((one["by"], one["value"], score, one["support"]))
    return [{"by": by, "value": str(value), "score": score, "support": support} for by, value, score, support in found]


def documents_of(result: TaskResult) -> np.ndarray | None:
    """Return how a run answered the test rows, if that makes up the score that is compared.

    Returns
    -------
    numpy.ndarray
        Shape (documents, 1) of scores whose mean is the score, or (documents, 3) of true positives, predicted and gold
        for a strict F1. None where the score is not known row by row.
    """
    told = result.documents
    if result.metric == "f1" and isinstance(told.get("f1"), list):
        found = np.asarray(told["f1"], dtype=np.float64)[:, None]
    else:
        each = answered(told, int(told.get("n") or 0))
        if each is None or _BY_ROWS.get(result.metric) != each[0]:
            return None
        found = each[1]
    return found if result.score is not None and abs(_score(found) - result.score) < 1e-4 else None


def _score(found: np.ndarray) -> float:
    if found.shape[1] == 1:
        return float(found.mean()) if len(found) else float("nan")
    hits, predicted, gold = found.sum(axis=0)
    return float(2 * hits / max(predicted + gold, 1))


def write_child(folder: Path, record: ChildRun) -> None:
    """Write a record into a folder: whole or not at all.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    write_part(folder, record.key, record.as_dict())


def read_children(folder: Path) -> list[ChildRun]:
    """Return the records of a folder; files that are no records are left out: those runs are made again."""
    return sorted(read_parts(folder, ChildRun.from_dict), key=lambda one: (one.seed, one.key))
