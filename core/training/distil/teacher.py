"""Teachers: loaded, and held against the student's task."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from core.data.tasks.base import Encoded, Rows, Task
from core.data.tasks.heads import cut_logits, head_logits
from core.errors import ConfigError
from core.models.folders import Finished, load_finished
from core.models.label_names import renamed_labels, suggested_names
from core.models.sources import BUNDLED, ResolvedModel, longest_input, resolve
from core.models.trained import OTHER_PIECES, task_difference
from core.training.distil.forms import Form, form_of

__all__ = ["Answers", "Teacher", "check_teacher", "load_teacher", "teacher_folder"]


@dataclass
class Teacher:
    """A teacher that speaks of the student's labels.

    Parameters
    ----------
    finished
        The loaded model.
    order
        For each of the student's labels (or other outputs that have names) its place among the teacher's.
    digest
        SHA-256 of config, weights and tokeniser.
    form
        How its answers are kept and compared; None where each position says one label.
    where
        Its path in the plan, for messages.
    """

    finished: Finished
    order: np.ndarray
    digest: str
    form: Form | None = None
    where: str = "distil.teachers"

    @property
    def name(self) -> str:
        """Where it was loaded from, in short."""
        folder = self.finished.folder
        return "" if folder is None else (folder.parent.name if folder.name == "best" else folder.name)

    def encode(self, rows: Rows) -> Encoded:
        """Tokenise rows as this teacher reads them; their gold is not looked at."""
        task, tokenizer = self.finished.task, self.finished.tokenizer
        return task.encode(rows, tokenizer, self.finished.max_length, labelled=False)

    def logits(self, features: list[dict[str, Any]]) -> list[np.ndarray]:
        """Return the logits of features without padding, in the order of the student's labels."""
        task = self.finished.task
        device = next(self.finished.model.parameters()).device
        if self.form is not None:  # its own task may have another gold
            features = [{name: value for name, value in one.items() if name != "labels"} for one in features]
        batch = task.collate(features, self.finished.tokenizer)
        inputs = {name: tensor.to(device) for name, tensor in batch.items() if name != "labels"}
        with torch.inference_mode():
            found = head_logits(self.finished.model(**inputs)).float().cpu().numpy()
        sizes = [len(feature["input_ids"]) for feature in features]
        if self.form is not None:
            cut = [cut_logits(*three) for three in zip(found, features, sizes, strict=True)]
            return [self.form.ordered(one, self.order) for one in cut]
        return [(one[:size] if one.ndim == 2 else one)[..., self.order] for one, size in zip(found, sizes, strict=True)]


@dataclass(frozen=True)
class Answers:
    """A teacher's answers to every unit of the training rows, and which of them each feature of the student asks.

    Parameters
    ----------
    values
        Logits of shape (units, classes) up to a number a unit, half precision, memory-mapped or in memory; where
        positions say more than one label (see :mod:`core.training.distil.forms`) of shape (numbers,).
    places
        For each of the student's features the units of its positions, in their order; of shape (items + 1,) where the
        numbers of each item begin, if there are forms.
    rows
        Rows that they answer.
    computed
        How many of these were computed now; the others were found.
    """

    values: np.ndarray
    places: Sequence[np.ndarray]
    rows: int = 0
    computed: int = 0

    def of(self, indices: np.ndarray) -> torch.Tensor:
        """Return the answers to the positions of these features, one feature after the other, in fp32."""
        wanted = np.concatenate([self.places[int(index)] for index in indices])
        return torch.from_numpy(np.asarray(self.values[wanted], dtype=np.float32))


def teacher_folder(source: str, *, where: str) -> ResolvedModel:
    """Find the folder of a teacher: that of its model, where a run's folder is named.

    Raises
    ------
    ConfigError
        If it is the bundled encoder, or a run of several tasks.
    ModelError
        If there is none, or it is refused.
    """
    if source.strip() == BUNDLED:
        raise ConfigError(
            "The bundled encoder has no trained head, so it cannot teach labels.", where=where,
            expected="a model that was fine-tuned for this task",
            advice="Train it first; the run's folder is then the teacher.",
        )  # fmt: skip
    place = Path(source).expanduser()
    if not source.startswith("hub:") and (place / "best").is_dir():
        source = str(place / "best")
        parts = sorted(one.parent.name for one in (place / "best").glob("*/config.json"))
        if parts and not (place / "best" / "config.json").is_file():
            raise ConfigError(
                "This run learnt several tasks at once, and each has a model.", where=where,
                expected=f"the folder of one of them: {place / 'best' / parts[0]}",
                advice=f"Its tasks are {', '.join(parts)}.",
            )  # fmt: skip
    return resolve(source)


def load_teacher(source: str, task: Task, *, where: str, names: Mapping[str, str] | None = None) -> Teacher:
    """Load a trained model and hold its labels against the student's.

    Parameters
    ----------
    source
        A folder that was trained or exported (or a run's, which holds it as ``best``), or ``hub:NAME``.
    task
        The student's.
    where
        Path in the plan, for messages.
    names
        Its labels by the data's names, where they differ: see :func:`core.models.label_names.renamed_labels`.

    Raises
    ------
    ConfigError
        If it is of another task or has other labels.
    ModelError
        If it cannot be loaded, or has no trained head.
    """
    resolved = teacher_folder(source, where=where)
    finished = load_finished(resolved.folder)
    other = finished.task
    labels = renamed_labels(list(other.labels), names or {}, where=f"{where.removesuffix('.source')}.labels")
    problem = task_difference(other.config, labels, task.config, list(task.labels))
    if problem is not None:
        alike = other.kind == task.kind and other.config.multi_label == task.config.multi_label
        alike = alike and task_difference(other.config, labels, task.config, None) is None
        raise ConfigError(
            problem, where=where,
            expected=f"the labels {', '.join(task.labels[:12])}" if alike else "a teacher of the student's task",
            advice=_advice(suggested_names(labels, list(task.labels))) if alike else None,
        )  # fmt: skip
    form = form_of(task)
    order = np.asarray([labels.index(name) for name in task.labels]) if form is None else form.order(other, labels)
    return Teacher(finished, order, _digest(resolved.folder), form, where)


def check_teacher(teacher: Teacher, tokenizer: Any, max_length: int) -> None:
    """Refuse a teacher that cannot answer a student's windows, where its answers are places in them.

    Parameters
    ----------
    teacher
        The teacher.
    tokenizer
        The student's.
    max_length
        Sub-words that a window of the student's may have.

    Raises
    ------
    ConfigError
        If both have to cut texts alike, and do not, or windows may be longer than the teacher reads.
    """
    if teacher.form is None or teacher.form.by != "answer":
        return
    if tokenizer.get_vocab() != teacher.finished.tokenizer.get_vocab():
        raise ConfigError(
            OTHER_PIECES, where=teacher.where, expected="one tokeniser for student and teacher",
            advice="Take a student with the teacher's tokeniser, for instance some of its layers (model.keep_layers).",
        )  # fmt: skip
    most = longest_input(teacher.finished.model.config.to_dict())
    if most is not None and max_length > most:
        raise ConfigError(
            f"The student's windows may have {max_length} sub-words, and the teacher reads {most}.",
            where=teacher.where, expected="windows that both can read", advice=f"Set model.max_length to {most}.",
        )  # fmt: skip


def _advice(names: Mapping[str, str]) -> str:
    """Say what can be done about labels of other names, with a mapping where it is plain."""
    listed = ", ".join(f"{one}: {other}" for one, other in names.items()) or "ITS LABEL: THE DATA'S"
    return f"Take a teacher of these labels, or say what its own are called in the data: labels: {{{listed}}}."


def _digest(folder: Path) -> str:
    found = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.suffix == ".safetensors" or path.name in ("config.json", "tokenizer.json"):
            found.update(path.name.encode())
            with path.open("rb") as file:
                found.update(hashlib.file_digest(file, "sha256").digest())
    return found.hexdigest()
