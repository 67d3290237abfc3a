"""What teachers themselves score, on the rows that the student is scored on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from core.data.tasks.base import Encoded, Evaluation, Rows, Task
from core.training.batches import evaluation_batches
from core.training.distil.answers import kept_of
from core.training.distil.lost import lost_answers, lost_rows
from core.training.distil.positions import unit_answers
from core.training.distil.sides import compare
from core.training.distil.teacher import Teacher, check_teacher, load_teacher
from core.training.evaluation import EVALUATION_TOKENS
from core.training.material import Material

__all__ = ["form_answers", "score_teacher", "scoring_task", "teacher_logits", "teacher_results"]


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
    return scoring_task(teacher, task).evaluate(found, encoded, rows, details=details)


def scoring_task(teacher: Teacher, task: Task) -> Task:
    """Return the task by which a teacher is scored: the student's, with what the teacher chose on its own gate rows."""
    if task.kind != "question_answering":
        return task
    threshold = teacher.finished.task.config.no_answer_threshold
    return type(task)(task.config.model_copy(update={"no_answer_threshold": threshold}), task.labels)


def teacher_logits(
    teacher: Teacher, task: Task, rows: Rows, *, check: Callable[[], None] = lambda: None
) -> tuple[Encoded, list[np.ndarray]]:
    """Return labelled rows as a teacher reads them, and its logits of every feature, without padding."""
    encoded = task.encode(rows, teacher.finished.tokenizer, teacher.finished.max_length)
    return encoded, _answered(teacher, encoded, check)


def form_answers(
    teacher: Teacher, rows: Rows, encoded: Encoded, own: Encoded, logits: Sequence[np.ndarray], *,
    check: Callable[[], None] = lambda: None,
) -> np.ndarray:  # fmt: skip
    """Return a teacher's answers to the student's features in its form; see :mod:`core.training.distil.forms`.

    Parameters
    ----------
    teacher
        A teacher with a form.
    rows, encoded
        In standard columns, and as the student reads them.
    own, logits
        The rows as the teacher reads them by itself, and what it says of them: asked anew only where that does not do.
    check
        Called between batches; may raise to stop.
    """
    assert teacher.form is not None
    asked = teacher.form.read(teacher, rows, encoded)
    same = [one["input_ids"] for one in asked.features] == [one["input_ids"] for one in own.features]
    return kept_of(teacher, rows, encoded, asked, logits if same else _answered(teacher, asked, check))


def _answered(teacher: Teacher, encoded: Encoded, check: Callable[[], None]) -> list[np.ndarray]:
    """Return a teacher's logits of every feature, without padding."""
    found: list[np.ndarray] = [np.empty(0)] * len(encoded.features)
    for batch in evaluation_batches(np.asarray(encoded.lengths), EVALUATION_TOKENS):
        check()
        for index, logits in zip(batch, teacher.logits([encoded.features[at] for at in batch]), strict=True):
            found[int(index)] = logits
    return found


def teacher_results(
    material: Material, student: Mapping[str, Sequence[np.ndarray]], *, where: str | None = None,
    check: Callable[[], None] = lambda: None,
) -> list[dict[str, Any]]:  # fmt: skip
    """Return what results.json says of the teachers of a run's stages, each once.

    Parameters
    ----------
    material
        The run's rows.
    student
        The student's logits of every feature, by role.
    where
        Path in the plan of what has the teachers, if it is not the stage's.
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
                place = f"{where or material.where(index)}.distil.teachers.{number}.source"
                teacher = load_teacher(one.source, material.task, where=place, names=one.labels)
                check_teacher(teacher, material.tokenizer, material.plan.model.max_length)
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
        scored = scoring_task(teacher, task).evaluate(logits, encoded, rows, details=True)
        metrics.update({f"{role}/{name}": float(value) for name, value in scored.metrics.items()})
        details[role] = scored.details
        if role in student and teacher.form is not None:
            read = material.encoded[role]
            told = form_answers(teacher, rows, read, encoded, logits, check=check)
            lost[role] = lost_answers(compare(teacher.form, [1.0], student[role], [told], read, rows), read, rows)
        elif role in student:
            theirs = unit_answers(logits, encoded, rows, len(task.labels))
            own = unit_answers(student[role], material.encoded[role], rows, len(task.labels))
            lost[role] = lost_rows(task, rows, theirs, own)
    size = sum(one.numel() for one in teacher.finished.model.parameters())
    return {"name": teacher.name, "parameters": size, "metrics": metrics, "details": details, "lost": lost}
