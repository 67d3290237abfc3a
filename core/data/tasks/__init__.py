"""Tasks: one module each with format, collation, head, loss, decoding and metrics.

Adding a task is one module with a class of the shape of :class:`~core.data.tasks.base.Task` and one line in
:data:`REGISTRY` (see docs/tasks.md). Importing this package imports neither torch nor any task.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from core.config import TaskConfig
from core.data.tasks.base import Encoded, Evaluation, Prediction, Rows, Task
from core.errors import ConfigError

__all__ = ["REGISTRY", "Encoded", "Evaluation", "Prediction", "Rows", "Task", "example_labels", "task_for"]

#: Kind of task → module and class.
REGISTRY: dict[str, tuple[str, str]] = {
    "classification": ("core.data.tasks.classification", "Classification"),
    "tagging": ("core.data.tasks.tagging", "Tagging"),
    "question_answering": ("core.data.tasks.question_answering", "QuestionAnswering"),
    "dependency": ("core.data.tasks.dependency", "Dependency"),
}
#: The same for heads that point.
POINTERS: dict[str, tuple[str, str]] = {
    "tagging": ("core.data.tasks.pointer_tagging", "PointerTagging"),
    "question_answering": ("core.data.tasks.pointer_questions", "PointerQuestions"),
}
#: And for a head that scores stretches of words.
STRETCHES = ("core.data.tasks.pointer_global", "GlobalTagging")


def example_labels(kind: str, count: int = 2, *, relations: bool = True) -> list[str]:
    """Return labels that a task of a kind could have, where nobody has read the data: as many as `count`, about."""
    if kind == "dependency" and not relations:
        return ["none", "word"]
    if kind == "question_answering":
        return ["start", "end"]
    if kind == "tagging":
        return ["O", *(f"{mark}-{number}" for number in range(max(1, count // 2)) for mark in "BI")]
    return [f"label {number}" for number in range(max(2, count))]


def task_for(config: TaskConfig, labels: Sequence[str], *, entries: Sequence[tuple[str, str]] = ()) -> Task:
    """Return the task of a config, with its label list.

    Parameters
    ----------
    config
        What is learnt.
    labels
        Label names in the order of their indices; tagging: IOB2 tags, ``O`` first; questions: ``start``, ``end``;
        dependency: relations, or ``none`` and ``word`` without them.
    entries
        What the file of a gazetteer holds (see :mod:`core.data.gazetteer`); the task has them in place of the file.

    Raises
    ------
    ConfigError
        If the kind is not registered.
    DataError
        If the labels do not fit the task (fewer than two classes, a tag that is not IOB2, repeated names).
    """
    if entries:
        pointer = config.pointer.model_copy(update={"entries": list(entries), "gazetteer": None})
        config = config.model_copy(update={"pointer": pointer})
    try:
        listed = POINTERS if config.head == "pointer" else REGISTRY
        module, name = STRETCHES if config.stretches else listed[config.kind]
    except KeyError:
        raise ConfigError(
            f"There is no task of kind {config.kind!r}.", where="task.kind", expected=f"one of {', '.join(REGISTRY)}"
        ) from None
    task: Task = getattr(import_module(module), name)(config, list(labels))
    return task
