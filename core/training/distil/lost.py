"""Rows on which a teacher is right and its student is not: those where the two lie furthest apart, as examples."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from core.data.tasks.base import Encoded, Rows, Task
from core.training.distil.differences import divergence, quadrants
from core.training.distil.positions import spread
from core.training.distil.sides import Sides, said

__all__ = ["MOST", "lost_answers", "lost_rows"]

#: Examples that are kept of a role, and how much is shown of each.
MOST = 30
_LETTERS = 1000
_WORDS = 20


def lost_rows(task: Task, rows: Rows, teacher: np.ndarray, student: np.ndarray) -> dict[str, Any]:
    """Return where a student lost what its teacher knows.

    Parameters
    ----------
    task
        The task.
    rows
        Labelled rows in standard columns.
    teacher, student
        Logits of every unit of the rows, of shape (units, classes); see
        :func:`core.training.distil.positions.unit_answers`.

    Returns
    -------
    dict
        ``rows`` (in which the teacher gives a right answer where the student's is wrong), ``answers`` (how many such
        there are: texts, words, or labels of texts), ``of`` (rows), ``examples``: at most :data:`MOST`, the largest
        divergence first, ties by the teacher's confidence. An example has ``row``, ``source``, ``text``, ``gold``,
        ``teacher`` and ``student`` (a label, or labels; for words ``words`` [{``word``, ``gold``, ``teacher``,
        ``student``}] instead), ``divergence`` (Jensen–Shannon by ln 2 of the answer that differs most), and
        ``teacher_confidence`` and ``student_confidence`` (their probabilities of what they answer there).
    """
    columns = rows[:] if len(rows) else {}
    tagging, several = task.kind == "tagging", task.config.multi_label and task.kind != "tagging"
    sizes = np.asarray([len(one) for one in columns.get("tokens", ())]) if tagging else np.ones(len(rows), dtype=int)
    owner = np.repeat(np.arange(len(rows)), sizes)
    gold = _gold(task, columns, len(rows))
    units = np.flatnonzero(np.isfinite(teacher).all(1) & np.isfinite(student).all(1))
    theirs = spread(task, torch.from_numpy(teacher[units].astype(np.float32)))
    own = spread(task, torch.from_numpy(student[units].astype(np.float32)))
    each = len(task.labels) if several else 1
    taught = quadrants(theirs, own, torch.from_numpy(gold[units].reshape(-1))).teachable.numpy().reshape(-1, each)
    apart = np.where(taught, divergence(theirs, own).numpy().reshape(-1, each), -1.0)
    sure = [one.softmax(-1).max(-1).values.numpy().reshape(-1, each) for one in (theirs, own)]
    best = apart.argmax(axis=1)
    at = np.arange(len(units))
    order = np.lexsort((-sure[0][at, best], -apart[at, best]))
    missed = np.asarray(taught.any(axis=1), dtype=bool)
    order = order[missed[order]]
    examples: list[dict[str, Any]] = []
    seen: set[int] = set()
    for unit in order:
        row = int(owner[units[unit]])
        if row in seen:
            continue
        if len(examples) == MOST:
            break
        seen.add(row)
        mine = np.flatnonzero(owner[units] == row)
        answers = [one.argmax(-1).numpy().reshape(-1, each)[mine] for one in (theirs, own)]
        examples.append(
            {
                **_shown(task, rows[row], gold[units[mine]], answers, units[mine] - int(sizes[:row].sum())),
                "divergence": round(float(apart[unit, best[unit]]), 5),
                "teacher_confidence": round(float(sure[0][unit, best[unit]]), 5),
                "student_confidence": round(float(sure[1][unit, best[unit]]), 5),
            }
        )
    lost = np.unique(owner[units[missed]])
    return {"rows": len(lost), "answers": int(taught.sum()), "of": len(rows), "examples": examples}


def lost_answers(sides: Sides, encoded: Encoded, rows: Rows) -> dict[str, Any]:
    """Return where a student lost what its teacher knows, of tasks whose positions say more than one label.

    Parameters
    ----------
    sides
        Both answers to labelled rows; see :func:`core.training.distil.sides.compare`.
    encoded, rows
        The rows as the student reads them, and in standard columns.

    Returns
    -------
    dict
        As :func:`lost_rows` does. Of questions an example has ``text`` (question and what stands around the answer),
        ``gold``, ``teacher`` and ``student`` of the window; of words ``words``.
    """
    lost = np.flatnonzero(sides.knows & ~sides.answers)
    order = lost[np.lexsort((lost, -sides.sure[0][lost], -sides.apart[lost]))]
    examples: list[dict[str, Any]] = []
    seen: set[int] = set()
    for at in order:
        row = int(sides.owner[at])
        if row in seen:
            continue
        if len(examples) == MOST:
            break
        seen.add(row)
        columns = rows[row]
        found: dict[str, Any] = {"row": columns.get("row"), "source": columns.get("source")}
        if "question" in columns:
            found["text"] = _cut(f"{columns['question']} | {columns['context']}")
            found |= {who: said(sides, encoded, columns, int(at), who) for who in ("gold", "teacher", "student")}
        else:
            tokens = columns["tokens"]
            mine = sorted(lost[sides.owner[lost] == row], key=lambda one: int(sides.place[one]))[:_WORDS]
            found["text"] = _cut(" ".join(tokens))
            found["words"] = [
                {
                    "word": str(tokens[int(sides.place[one]) - 1])[:100],
                    **{who: said(sides, encoded, columns, int(one), who) for who in ("gold", "teacher", "student")},
                }
                for one in mine
            ]  # fmt: skip
        examples.append(
            {
                **found, "divergence": round(float(sides.apart[at]), 5),
                "teacher_confidence": round(float(sides.sure[0][at]), 5),
                "student_confidence": round(float(sides.sure[1][at]), 5),
            }
        )  # fmt: skip
    return {
        "rows": len(np.unique(sides.owner[lost])), "answers": len(lost), "of": len(rows), "examples": examples
    }  # fmt: skip


def _gold(task: Task, columns: dict[str, Any], count: int) -> np.ndarray:
    """Return the gold: classes of shape (units,), with several labels 0 or 1 of shape (units, labels)."""
    if task.kind == "tagging":
        return np.asarray([tag for tags in columns.get("tags", ()) for tag in tags], dtype=np.int64)
    if not task.config.multi_label:
        return np.asarray(columns.get("label", ()), dtype=np.int64)
    gold = np.zeros((count, len(task.labels)), dtype=np.int64)
    for row, labels in enumerate(columns.get("labels", ())):
        gold[row, list(labels)] = 1
    return gold


def _shown(
    task: Task, row: dict[str, Any], gold: np.ndarray, answers: list[np.ndarray], words: np.ndarray
) -> dict[str, Any]:
    """Return a row as people read it; `words` are the places in it of what was answered."""
    found: dict[str, Any] = {"row": row.get("row"), "source": row.get("source")}
    names = task.labels
    if task.kind == "tagging":
        tokens = row["tokens"]
        found["text"] = _cut(" ".join(tokens))
        teacher, student = (one[:, 0] for one in answers)
        differing = np.flatnonzero((teacher == gold) & (student != gold))[:_WORDS]
        found["words"] = [
            {
                "word": str(tokens[words[at]])[:100], "gold": names[gold[at]], "teacher": names[teacher[at]],
                "student": names[student[at]],
            }
            for at in differing
        ]  # fmt: skip
        return found
    pair = row.get("text_pair")
    found["text"] = _cut(row["text"] if pair is None else f"{row['text']} | {pair}")
    if task.config.multi_label:
        sets = (gold[0], answers[0][0], answers[1][0])
        told: list[Any] = [[name for name, yes in zip(names, one, strict=True) if yes] for one in sets]
    else:
        told = [names[int(one)] for one in (gold[0], answers[0][0, 0], answers[1][0, 0])]
    return {**found, **dict(zip(("gold", "teacher", "student"), told, strict=True))}


def _cut(text: str) -> str:
    return text if len(text) <= _LETTERS else text[: _LETTERS - 1] + "…"
