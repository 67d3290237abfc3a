"""What teachers themselves score, on the rows that the student is scored on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from core.data.tasks.base import Encoded, Evaluation, Rows, Task
from core.training.batches import evaluation_batches
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


def teacher_results(material: Material, *, check: Callable[[], None] = lambda: None) -> list[dict[str, Any]]:
    """Return what results.json says of the teachers of a run's stages, each once.

    Returns
    -------
    list of dict
        ``source``, ``name``, ``parameters``, ``metrics`` {role/metric: value}, ``details`` {role: see
        :class:`core.data.tasks.base.Evaluation`}.
    """
    found: dict[str, dict[str, Any]] = {}
    for index, stage in enumerate(material.plan.active):
        for number, one in enumerate(stage.distil.teachers if stage.distil is not None else ()):
            if one.source not in found:
                where = f"{material.where(index)}.distil.teachers.{number}.source"
                found[one.source] = _scored(load_teacher(one.source, material.task, where=where), material, check)
    return [{"source": source, **scores} for source, scores in found.items()]


def _scored(
    teacher: Teacher, material: Material, check: Callable[[], None], roles: Sequence[str] = ("gate", "test")
) -> dict[str, Any]:
    metrics: dict[str, float] = {}
    details: dict[str, Any] = {}
    for role in roles:
        if role in material.encoded:
            scored = score_teacher(teacher, material.task, getattr(material.roles, role), details=True, check=check)
            metrics.update({f"{role}/{name}": float(value) for name, value in scored.metrics.items()})
            details[role] = scored.details
    size = sum(one.numel() for one in teacher.finished.model.parameters())
    return {"name": teacher.name, "parameters": size, "metrics": metrics, "details": details}
