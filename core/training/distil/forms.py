"""How the answers of tasks whose positions say more than one label are kept, and held against a teacher's.

A text or a word that says one label needs none of this: see :mod:`core.training.distil.positions`. A new kind of answer
is a class of the shape of :class:`Form` and a line in :func:`form_of`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from core.data.tasks.base import Encoded, Rows, Task
from core.training.distil.parts import BARRED, Part
from core.training.distil.positions import units

if TYPE_CHECKING:
    from core.training.distil.teacher import Teacher

__all__ = ["Form", "asked", "form_of", "halves", "numbers_of"]


class Form(Protocol):
    """Answers of one kind of task. Numbers of a teacher lie one behind the other, in half precision."""

    task: Task
    #: Goes into the name of what is kept: another arrangement of the numbers has another name.
    name: str
    #: What :meth:`place` counts: ``answer`` (sub-word of a context) or ``position`` (word of a sentence).
    by: str

    def bounds(self, encoded: Encoded, rows: Rows) -> np.ndarray:
        """Return where the numbers of each item (a window, a row) begin, and where the last ones end."""
        ...

    def positions(self, feature: dict[str, Any]) -> np.ndarray:
        """Return the positions of a feature that count: those with a gold, or all where nobody knows the gold.

        Of words their places among the words that the feature shows; of a window a single 0.
        """
        ...

    def parts(self, logits: torch.Tensor, features: Sequence[dict[str, Any]]) -> list[Part]:
        """Return what the positions of features say, as :meth:`positions` lists them, one feature after the other.

        Parameters
        ----------
        logits
            As the task's loss takes them.
        features
            Of the batch.
        """
        ...

    def told(
        self, values: np.ndarray, bounds: np.ndarray, encoded: Encoded, indices: Sequence[int], width: int
    ) -> list[torch.Tensor]:
        """Return what a teacher says in each part, for features of the student; not a number where it is silent.

        Parameters
        ----------
        values, bounds
            The teacher's numbers, and where those of each item begin.
        encoded
            The rows as the student reads them.
        indices
            Which features.
        width
            Second dimension of the student's logits.
        """
        ...

    def read(self, teacher: Teacher, rows: Rows, encoded: Encoded) -> Encoded:
        """Return the rows as a teacher reads them to answer the student's features `encoded`.

        Raises
        ------
        ConfigError
            If it cannot answer them.
        """
        ...

    def put(self, values: np.ndarray, bounds: np.ndarray, own: Encoded, index: int, logits: np.ndarray) -> None:
        """Keep what a teacher says of a feature of `own`; of shape and order as the student's."""
        ...

    def order(self, task: Task, labels: Sequence[str]) -> np.ndarray:
        """Return for each output of the student's that has a name its place among a teacher's.

        Parameters
        ----------
        task
            The teacher's.
        labels
            Its labels as they are called in the student's data.
        """
        ...

    def ordered(self, logits: np.ndarray, order: np.ndarray) -> np.ndarray:
        """Return a feature's logits of a teacher in the student's order."""
        ...

    def stacked(self, logits: Sequence[np.ndarray], features: Sequence[dict[str, Any]]) -> torch.Tensor:
        """Return logits of features without padding as :meth:`parts` takes them."""
        ...

    def groups(self, features: Sequence[dict[str, Any]]) -> tuple[list[str], np.ndarray]:
        """Return names of kinds of gold, and which of them each position of features has."""
        ...

    def place(self, feature: dict[str, Any]) -> np.ndarray:
        """Return where each position of a feature stands, counted from 1; 0 where that has no meaning."""
        ...

    def say(self, feature: dict[str, Any], row: dict[str, Any], position: int, chosen: Sequence[Any]) -> str:
        """Return what is chosen at a position in words; one choice a judged part."""
        ...

    def strip(self, feature: dict[str, Any], row: dict[str, Any], window: int) -> tuple[list[list[str]], list[Any]]:
        """Return how the positions of a pinned feature are called, part by part, and the options of each part.

        Of options that exclude each other their names, in their order; of those that are each a yes or no the names of
        groups and the group of each option.
        """
        ...


def form_of(task: Task) -> Form | None:
    """Return how the answers of a task are kept and compared; None where each position says one label."""
    if task.kind == "question_answering":
        from core.training.distil.form_spans import SpanForm

        return SpanForm(task)
    if task.config.stretches:
        from core.data.tasks.tagging import Tagging
        from core.training.distil.form_stretches import StretchForm

        assert isinstance(task, Tagging)
        return StretchForm(task)
    if task.kind == "dependency" or (task.kind == "tagging" and task.config.head == "pointer"):
        from core.training.distil.form_words import PointerForm

        return PointerForm(task)
    return None


def halves(scores: np.ndarray) -> np.ndarray:
    """Return distributions in half precision, as :func:`core.training.distil.positions.halved` does.

    Parameters
    ----------
    scores
        Shape (distributions, options); options that cannot be are :data:`~core.training.distil.parts.BARRED` or less.
    """
    found = np.maximum(scores.astype(np.float32), BARRED)
    if found.shape[-1] < 2:
        return found.astype(np.float16)
    moved = found - found.max(axis=-1, keepdims=True)
    second = np.partition(moved, -2, axis=-1)[:, -2, None]
    return np.maximum(moved + (second.astype(np.float16) - second), BARRED).astype(np.float16)


def numbers_of(form: Form, encoded: Encoded, rows: Rows) -> int:
    """Return how many numbers a teacher's answers to the student's features are."""
    return int(form.bounds(encoded, rows)[-1])


def asked(task: Task, encoded: Encoded, rows: Rows) -> dict[str, int]:
    """Return what a teacher is asked about rows.

    Parameters
    ----------
    task
        The student's.
    encoded, rows
        The rows as the student reads them, and in standard columns.

    Returns
    -------
    dict
        ``units`` (texts, words, windows of questions), ``classes`` (numbers an answer has, in the mean where answers
        differ), and ``numbers``, all of them.
    """
    form = form_of(task)
    if form is None:
        count = units(encoded, rows)[1]
        return {"units": count, "classes": len(task.labels), "numbers": count * len(task.labels)}
    numbers = numbers_of(form, encoded, rows)
    count = sum(len(form.positions(feature)) for feature in encoded.features)
    return {"units": count, "classes": round(numbers / max(1, count)), "numbers": numbers}
