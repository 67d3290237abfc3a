"""Trained models as teachers see them: task, labels, vocabulary and size, from their folders alone, without torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.config import TaskConfig
from core.data.tasks.pointer_dictionary import key_of
from core.errors import ModelError
from core.models.folders import described, guessed, read_side_file
from core.models.info import describe_resolved
from core.models.sources import BUNDLED, read_config, resolve

__all__ = ["OTHER_PIECES", "describe_trained", "task_difference", "vocabulary_digest"]

#: Why a teacher with another tokeniser cannot answer questions.
OTHER_PIECES = (
    "Student and teacher have different tokenisers: starts and ends of answers are places among sub-words, which both "
    "must cut alike."
)

_LARGEST_TOKENIZER = 40_000_000
#: Labels that a message names, at most.
_NAMED = 8


def describe_trained(source: str, revision: str | None = None) -> dict[str, Any]:
    """Describe a trained model by what stands in its folder.

    Parameters
    ----------
    source
        A folder that was trained or exported (or a run's, which holds it as ``best``), or ``hub:NAME``.
    revision
        Hub only.

    Returns
    -------
    dict
        What :class:`core.models.info.ModelInfo` holds, with ``labels`` in the head's order, and ``folder``, ``task``
        (a :class:`core.config.TaskConfig` as plain data), ``reads`` (sub-words that it reads) and ``vocabulary`` (see
        :func:`vocabulary_digest`).

    Raises
    ------
    ModelError
        If there is no such folder, it is refused, or it has no trained head.
    """
    if source.strip() == BUNDLED:
        raise ModelError(
            "The bundled encoder has no trained head, so it cannot teach labels.",
            expected="a model that was fine-tuned for this task",
            advice="Train it first; the run is then the teacher.",
        )
    resolved = resolve(source, revision)
    side = read_side_file(resolved.folder)
    task, length = described(side, resolved.folder) if side else guessed(read_config(resolved.folder), resolved.folder)
    return {
        **describe_resolved(resolved).as_dict(), "folder": str(resolved.folder),
        "task": task.config.model_dump(mode="json"), "labels": list(task.labels), "reads": length,
        "vocabulary": vocabulary_digest(resolved.folder),
    }  # fmt: skip


def task_difference(
    other: TaskConfig, labels: Sequence[str], task: TaskConfig, wanted: Sequence[str] | None
) -> str | None:
    """Say how a trained model's task differs from the one that is learnt; None where a student can learn from it.

    Parameters
    ----------
    other, labels
        Task and labels of the trained model.
    task, wanted
        Task and labels of the student; None while nobody has read the labels. Their order does not matter.
    """
    if other.kind != task.kind or other.multi_label != task.multi_label:
        words = [f"{one.kind}{' with several labels' if one.multi_label else ''}" for one in (other, task)]
        return f"The teacher was trained for {words[0]}, the student learns {words[1]}."
    if task.kind == "question_answering":  # start and end are distributions over the same places with either head
        return None
    problem = _head_difference(other, task)
    if problem is not None or wanted is None:
        return problem
    if task.head == "pointer":  # a head that points names types, not tags
        labels, wanted = (sorted({name[2:] for name in names if name != "O"}) for names in (labels, wanted))
    sides = (
        ("only in the data", [name for name in wanted if name not in labels]),
        ("only the teacher's", [name for name in labels if name not in wanted]),
    )
    parts = [f"{words}: {_listed(names)}" for words, names in sides if names]
    return f"The teacher's labels are not those of the data ({'; '.join(parts)})." if parts else None


def _head_difference(other: TaskConfig, task: TaskConfig) -> str | None:
    """Say how a trained model's answers differ from the student's in kind; None where they can be compared."""
    said = [_ANSWERS[one.stretches, one.head] for one in (other, task)]
    if said[0] != said[1]:
        return f"The teacher {said[0]}, and the student {said[1]}: such answers cannot be compared."
    entered = [one.entered for one in (other, task)]
    if entered[0] != entered[1]:
        whose, others = ("teacher", "student") if entered[0] else ("student", "teacher")
        return f"Words of the {whose} may point to a dictionary (task.pointer.dictionary), those of the {others} not."
    if entered[0] and not _same_dictionary(other, task):
        return (
            "Teacher and student have different dictionaries (task.pointer.dictionary): what one points to the other "
            "cannot point to."
        )
    contains = [one.head == "pointer" and bool(one.pointer.sentence_weight) for one in (other, task)]
    if contains[1] and not contains[0] and not task.stretches:
        return (
            "The student learns what a sentence contains (task.pointer.sentence_weight), and the teacher does not say "
            "it."
        )
    if task.kind == "dependency":
        for name, words in (("tree", "forms trees"), ("relations", "names relations")):
            sides = [getattr(one, name) for one in (other, task)]
            if sides[0] != sides[1]:
                does, lacks = ("teacher", "student") if sides[0] else ("student", "teacher")
                return f"The {does} {words} (task.{name}), and the {lacks} does not."
    return None


def _same_dictionary(other: TaskConfig, task: TaskConfig) -> bool:
    """Tell whether words of two tasks have the same entries; a student's file that nobody has read yet may be so."""
    if other.pointer.dictionary != task.pointer.dictionary:
        return False
    if task.pointer.dictionary == "labels" or task.pointer.gazetteer is not None:
        return True  # one entry a type, whatever it is called
    sides = [sorted((key_of(text), kind) for text, kind in one.pointer.entries or ()) for one in (other, task)]
    return sides[0] == sides[1]


#: Whether stretches are scored, head → what is answered of words.
_ANSWERS = {
    (False, "linear"): "says a label of each word or text", (False, "pointer"): "points from word to word",
    (True, "pointer"): "scores stretches of words",
}  # fmt: skip


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (" …" if len(names) > _NAMED else "")


def vocabulary_digest(folder: Path) -> str | None:
    """Return a text that two folders share if their tokenisers have one vocabulary; None for one that is too large.

    Parameters
    ----------
    folder
        A vetted model folder.
    """
    file = folder / "tokenizer.json"
    try:
        if file.stat().st_size > _LARGEST_TOKENIZER:
            return None
        data = json.loads(file.read_text(encoding="utf-8"))
        listed = data["model"]["vocab"]
        pieces = dict(listed) if isinstance(listed, dict) else {str(one[0]): at for at, one in enumerate(listed)}
        pieces |= {str(one["content"]): one["id"] for one in data.get("added_tokens") or []}
    except (OSError, ValueError, KeyError, TypeError, IndexError, RecursionError):
        return None
    text = json.dumps(sorted((str(piece), str(number)) for piece, number in pieces.items()))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
