"""Teachers: loaded, held against the student's task, and their answers kept on the disk."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from core.data.tasks.base import Encoded, Rows, Task
from core.data.tasks.heads import cut_logits, head_logits
from core.errors import ConfigError, StorageError
from core.models.folders import Finished, load_finished
from core.models.label_names import renamed_labels, suggested_names
from core.models.sources import BUNDLED, ResolvedModel, longest_input, resolve
from core.models.trained import OTHER_PIECES, task_difference
from core.training.batches import evaluation_batches
from core.training.distil.forms import Form, form_of
from core.training.distil.positions import answers_of, halved, units
from core.training.evaluation import EVALUATION_TOKENS
from core.training.files import FREE_FLOOR, free_bytes, write_json

__all__ = [
    "Answers", "Teacher", "answers_kept", "asked_of", "check_teacher", "keep_answers", "kept_of", "load_teacher",
    "teacher_folder",
]  # fmt: skip

_FILE, _DONE, _ABOUT = "answers.f16", "done.json", "about.json"
#: 1: logits as they are. 2: moved so that less is lost; see :func:`core.training.distil.positions.halved`.
_FORMAT = 2
#: Evaluation batches between two notes of how far a pass over the rows is.
_NOTE_EVERY = 16


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


def keep_answers(
    teacher: Teacher,
    rows: Rows,
    encoded: Encoded,
    cache: Path,
    *,
    limit_mb: int,
    keep: bool = True,
    check: Callable[[], None] = lambda: None,
    event: Callable[..., None] = lambda *_, **__: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Answers:
    """Compute a teacher's answers to rows once, or find them; what was begun is gone on with.

    Parameters
    ----------
    teacher
        The teacher.
    rows
        Training rows in standard columns.
    encoded
        The same rows as the student reads them.
    cache
        The home's cache folder; entries lie in ``teachers/``.
    limit_mb
        Largest size of an entry.
    keep
        Whether to write to the disk; otherwise the answers stay in memory, and are computed in every run.
    check
        Called between batches; may raise to stop.
    event
        Told the size before anything is written, and why answers are computed anew.
    progress
        Told batches done and all.

    Raises
    ------
    ConfigError
        If the answers would be larger than the limit.
    StorageError
        If the disk is too full.
    """
    own, places, shape = asked_of(teacher, rows, encoded)
    size = math.prod(shape) * 2
    if size > limit_mb * 1_000_000:
        raise ConfigError(
            f"The teacher's answers take {size / 1e6:.0f} MB.", where="distil.cache_limit_mb",
            expected=f"at most {limit_mb} MB", advice="Raise the limit, or train on fewer rows.",
        )  # fmt: skip
    about, folder = _entry(teacher, own, shape[0], cache)
    if not keep:
        count = shape[0] if teacher.form is None else len(rows)
        event("info", f"The teacher answers {count:,} questions in this run; its answers are not kept.")
        values = np.zeros(shape, dtype=np.float16)
        computed = _fill(teacher, own, rows, values, places, 0, check, progress, lambda done: None)
        return Answers(values, places, len(rows), computed)
    done = _done(folder)
    batches = len(evaluation_batches(np.asarray(own.lengths), EVALUATION_TOKENS))
    computed = 0
    if done >= batches and _whole(folder / _FILE, size):
        event("info", f"The teacher's answers are in the cache: {_size(size)}.", data={"bytes": size})
    else:
        event("info", _why(cache / "teachers", about, size, done), data={"bytes": size})
        computed = _write(teacher, own, rows, folder, about, places, shape, check, progress)
    values = np.memmap(folder / _FILE, dtype=np.float16, mode="r", shape=shape)
    return Answers(values, places, len(rows), computed)


def answers_kept(teacher: Teacher, rows: Rows, encoded: Encoded, cache: Path) -> bool:
    """Tell whether a teacher's answers lie in the cache, all of them.

    Parameters
    ----------
    teacher
        The teacher.
    rows, encoded
        Training rows in standard columns, and as the student reads them.
    cache
        The home's cache folder.
    """
    own, _, shape = asked_of(teacher, rows, encoded)
    _, folder = _entry(teacher, own, shape[0], cache)
    batches = len(evaluation_batches(np.asarray(own.lengths), EVALUATION_TOKENS))
    return _done(folder) >= batches and _whole(folder / _FILE, math.prod(shape) * 2)


def kept_of(teacher: Teacher, rows: Rows, encoded: Encoded, own: Encoded, logits: Sequence[np.ndarray]) -> np.ndarray:
    """Return a teacher's answers in its form, in memory: of shape (numbers,), half precision.

    Parameters
    ----------
    teacher
        A teacher with a form.
    rows, encoded
        In standard columns, and as the student reads them.
    own, logits
        The rows as the teacher read them to answer, and what it said of each feature.
    """
    form = teacher.form
    assert form is not None
    bounds = form.bounds(encoded, rows)
    values = np.full(int(bounds[-1]), np.nan, dtype=np.float16)
    for index, one in enumerate(logits):
        form.put(values, bounds, own, index, one)
    return values


def asked_of(teacher: Teacher, rows: Rows, encoded: Encoded) -> tuple[Encoded, Any, tuple[int, ...]]:
    """Return the rows as a teacher reads them, where its answers to them lie, and the shape of all answers."""
    if teacher.form is None:
        places, count = units(encoded, rows)
        return teacher.encode(rows), places, (count, len(teacher.order))
    bounds = teacher.form.bounds(encoded, rows)
    return teacher.form.read(teacher, rows, encoded), bounds, (int(bounds[-1]),)


def _entry(teacher: Teacher, own: Encoded, count: int, cache: Path) -> tuple[dict[str, Any], Path]:
    """Return what an entry of the cache belongs to, and its folder."""
    about = {
        "format": _FORMAT, "teacher": teacher.digest, "data": _data_digest(own), "order": teacher.order.tolist(),
        "max_length": teacher.finished.max_length, "units": count,
    }  # fmt: skip
    if teacher.form is not None:
        about["form"] = teacher.form.name
    key = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:40]
    return about, cache / "teachers" / key


def _write(
    teacher: Teacher, own: Encoded, rows: Rows, folder: Path, about: dict[str, Any], places: Any,
    shape: tuple[int, ...], check: Callable[[], None], progress: Callable[[int, int], None],
) -> int:  # fmt: skip
    size = math.prod(shape) * 2
    start = _done(folder) if _whole(folder / _FILE, size) else 0
    folder.mkdir(parents=True, exist_ok=True)
    if not start:
        if free_bytes(folder) < size + FREE_FLOOR:
            raise StorageError(
                f"The disk is nearly full: the teacher's answers take {size / 1e6:.0f} MB.", where=str(folder),
                expected=f"{(size + FREE_FLOOR) / 1e6:.0f} MB free",
                advice="Free some space, or set cache: false: the answers then stay in memory, for this run alone.",
            )  # fmt: skip
        write_json(folder / _DONE, {"batches": 0})
        write_json(folder / _ABOUT, about)
    values = np.memmap(folder / _FILE, dtype=np.float16, mode="r+" if start else "w+", shape=shape)

    def note(done: int) -> None:
        values.flush()
        write_json(folder / _DONE, {"batches": done})

    return _fill(teacher, own, rows, values, places, start, check, progress, note)


def _fill(
    teacher: Teacher, own: Encoded, rows: Rows, values: np.ndarray, bounds: Any, start: int,
    check: Callable[[], None], progress: Callable[[int, int], None], note: Callable[[int], None],
) -> int:  # fmt: skip
    """Let the teacher answer the batches from `start` on; returns how many rows these are."""
    form = teacher.form
    if form is None:
        places, _ = units(own, rows)
    elif not start:
        values[:] = np.nan  # where it stays silent nothing is learnt from it
    batches = evaluation_batches(np.asarray(own.lengths), EVALUATION_TOKENS)
    for number, batch in enumerate(batches):
        if number < start:
            continue
        check()
        found = teacher.logits([own.features[index] for index in batch])
        for index, logits in zip(batch, found, strict=True):
            if form is None:
                values[places[index]] = halved(teacher.finished.task, answers_of(logits, own.features[index]))
            else:
                form.put(values, bounds, own, int(index), logits)
        progress(number + 1, len(batches))
        if (number + 1) % _NOTE_EVERY == 0 or number + 1 == len(batches):
            note(number + 1)
    return len({own.owner[index] for batch in batches[start:] for index in batch})


def _why(entries: Path, about: dict[str, Any], size: int, done: int) -> str:
    """Say what is computed, and why an entry that is there does not do."""
    what = f"The teacher's answers take {_size(size)} and are computed once"
    if done:
        return f"{what}; {done} batches are there already."
    reason = f"{what}."
    for path in sorted(entries.glob(f"*/{_ABOUT}")) if entries.is_dir() else []:
        try:
            other = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if other.get("teacher") != about["teacher"]:
            continue
        if other.get("data") != about["data"]:
            reason = f"{what}: those in the cache belong to other rows, or to another tokeniser."
        elif other.get("format") != about["format"]:
            return f"{what}: those in the cache were written in an older, less exact form."
    return reason


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1_000_000 else f"{max(1, round(count / 1e3))} kB"


def _done(folder: Path) -> int:
    try:
        return int(json.loads((folder / _DONE).read_text(encoding="utf-8"))["batches"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def _whole(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except OSError:
        return False


def _data_digest(encoded: Encoded) -> str:
    found = hashlib.sha256()
    for feature, owner in zip(encoded.features, encoded.owner, strict=True):
        found.update(np.asarray([owner, len(feature["input_ids"])], dtype=np.int64).tobytes())
        for name in ("input_ids", "token_type_ids", "words", "first"):
            found.update(np.asarray(feature.get(name, ()), dtype=np.int64).tobytes())
    return found.hexdigest()
