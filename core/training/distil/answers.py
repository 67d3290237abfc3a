"""Teachers' answers to training rows: computed once, kept on the disk, and found again."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from core.data.tasks.base import Encoded, Rows
from core.errors import ConfigError, StorageError
from core.training.batches import evaluation_batches
from core.training.distil.positions import answers_of, halved, units
from core.training.distil.teacher import Answers, Teacher
from core.training.evaluation import EVALUATION_TOKENS
from core.training.files import FREE_FLOOR, free_bytes, write_json

__all__ = ["answers_kept", "asked_of", "keep_answers", "kept_of"]

_FILE, _DONE, _ABOUT = "answers.f16", "done.json", "about.json"
#: 1: logits as they are. 2: moved so that less is lost; see :func:`core.training.distil.positions.halved`.
_FORMAT = 2
#: Evaluation batches between two notes of how far a pass over the rows is.
_NOTE_EVERY = 16


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
