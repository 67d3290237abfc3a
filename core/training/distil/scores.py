"""What teachers themselves score, on the rows that the student is scored on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from core.data.tasks.base import Encoded, Evaluation, Rows, Task
from core.training.batches import evaluation_batches
from core.training.distil.lost import lost_rows
from core.training.distil.positions import unit_answers
from core.training.distil.teacher import Teacher, load_teacher
from core.training.evaluation import EVALUATION_TOKENS
from core.training.material import Material

__all__ = ["score_teacher", "teacher_logits", "teacher_results"]


def score_teacher(
    teacher: Teacher, task: Task, rows: Rows, *, details: bool = False, check: Callable[[], None] = lambda: None
) -> Evaluation:
    """Score a teacher on labelled rows, read by its own tokeniser.

    Parameters
    ----------
    teacher
        The teacher.
    task
        The student's, which knows the labels of the rows.
    rows
        In standard columns.
    details
        With intervals and tables.
    check
        Called between batches; may raise to stop.
    """
    encoded, found = teacher_logits(teacher, task, rows, check=check)
    return task.evaluate(found, encoded, rows, details=details)


def teacher_logits(
    teacher: Teacher, task: Task, rows: Rows, *, check: Callable[[], None] = lambda: None
) -> tuple[Encoded, list[np.ndarray]]:
    """Return labelled rows as a teacher reads them, and its logits of every feature, without padding."""
    encoded = task.encode(rows, teacher.finished.tokenizer, teacher.finished.max_length)
    found: list[np.ndarray] = [np.empty(0)] * len(encoded.features)
    for batch in evaluation_batches(np.asarray(encoded.lengths), EVALUATION_TOKENS):
        check()
        for index, logits in zip(batch, teacher.logits([encoded.features[at] for at in batch]), strict=True):
            found[int(index)] = logits
    return encoded, found


def teacher_results(
    material: Material, student: Mapping[str, Sequence[np.ndarray]], *, check: Callable[[], None] = lambda: None
) -> list[dict[str, Any]]:
    """Return what results.json says of the teachers of a run's stages, each once.

    Parameters
    ----------
    material
        The run's rows.
    student
        The student's logits of every feature, by role.
    check
        Called between batches; may raise to stop.

    Returns
    -------
    list of dict
        ``source``, ``name``, ``parameters``, ``metrics`` {role/metric: value}, ``details`` {role: see
        :class:`core.data.tasks.base.Evaluation`}, ``lost`` {role: see
        :func:`core.training.distil.lost.lost_rows`}.
    """
    found: dict[str, dict[str, Any]] = {}
    for index, stage in enumerate(material.plan.active):
        for number, one in enumerate(stage.distil.teachers if stage.distil is not None else ()):
            if one.source not in found:
                where = f"{material.where(index)}.distil.teachers.{number}.source"
                teacher = load_teacher(one.source, material.task, where=where, names=one.labels)
                found[one.source] = _scored(teacher, material, student, check)
    return [{"source": source, **scores} for source, scores in found.items()]


def _scored(
    teacher: Teacher, material: Material, student: Mapping[str, Sequence[np.ndarray]], check: Callable[[], None]
) -> dict[str, Any]:
    metrics: dict[str, float] = {}
    details: dict[str, Any] = {}
    lost: dict[str, Any] = {}
    task = material.task
    for role in ("gate", "test"):
        if role not in material.encoded:
            continue
        rows = getattr(material.roles, role)
        encoded, logits = teacher_logits(teacher, task, rows, check=check)
        scored = task.evaluate(logits, encoded, rows, details=True)
        metrics.update({f"{role}/{name}": float(value) for name, value in scored.metrics.items()})
        details[role] = scored.details
        if role in student:
            theirs = unit_answers(logits, encoded, rows, len(task.labels))
            own = unit_answers(student[role], material.encoded[role], rows, len(task.labels))
            lost[role] = lost_rows(task, rows, theirs, own)
    size = sum(one.numel() for one in teacher.finished.model.parameters())
    return {"name": teacher.name, "parameters": size, "metrics": metrics, "details": details, "lost": lost}
