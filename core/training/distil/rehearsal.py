"""A distilled stage before it begins: what its teachers cost, and what keeps them from teaching. Nothing is written."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from core.config import Stage
from core.data.tasks.base import Encoded, Rows, Task
from core.errors import BertloomError
from core.training.batches import evaluation_batches
from core.training.distil.answers import answers_kept, asked_of
from core.training.distil.forms import asked
from core.training.distil.objective import Objective
from core.training.distil.opening import same_pieces, watches
from core.training.distil.pairs import layer_pairs
from core.training.distil.sizes import sizes_of
from core.training.distil.states import Watch, check_states, state_pairs
from core.training.distil.teacher import Answers, Teacher, check_teacher, load_teacher
from core.training.evaluation import EVALUATION_TOKENS
from core.training.files import FREE_FLOOR, free_bytes

if TYPE_CHECKING:
    from core.training.engine import Engine

__all__ = ["Rehearsal", "rehearse", "teacher_findings"]

#: Texts of the batch on which a teacher is timed, at most.
_TIMED = 64


@dataclass(frozen=True)
class Rehearsal:
    """What the teachers of a stage cost.

    Parameters
    ----------
    answering
        Seconds in which all answers are computed before the first step; 0 where the cache has them.
    scoring
        Seconds a sub-word of the student's, to score all teachers on rows.
    every_step
        Whether the first teacher runs in every step too.
    """

    answering: float
    scoring: float
    every_step: bool


def rehearse(engine: Engine, cache: Path, *, where: str, maps: Mapping[str, torch.Tensor]) -> Rehearsal:
    """Give a stage's engine its objective, with answers of zero, and time its teachers on one batch each.

    Parameters
    ----------
    engine
        Of the stage; its steps then cost what those of the run will.
    cache
        The home's cache folder, in which answers may lie already.
    where
        The stage's path in the plan.
    maps
        Learned maps of the stage.

    Raises
    ------
    BertloomError
        If a teacher cannot teach this student.
    """
    prepared = engine.prepared
    config = prepared.stage.distil
    assert config is not None
    place, rows, encoded = f"{where}.distil", prepared.roles.train, prepared.encoded["train"]
    teachers, answers, answering, scoring = [], [], 0.0, 0.0
    for number, one in enumerate(config.teachers):
        teacher = load_teacher(one.source, prepared.task, where=f"{place}.teachers.{number}.source", names=one.labels)
        check_teacher(teacher, prepared.tokenizer, prepared.plan.model.max_length)
        teacher.finished.model.to(prepared.device)
        own, places, shape = asked_of(teacher, rows, encoded)
        token = _token_seconds(teacher, own)
        whole = token * float(sum(own.lengths))
        scoring += whole / max(1, sum(encoded.lengths))
        answering += 0.0 if config.cache and answers_kept(teacher, rows, encoded, cache) else whole
        teachers.append(teacher)
        answers.append(Answers(np.zeros(shape, dtype=np.float16), places))
    if not config.states:
        engine.objective = Objective(config, teachers, answers, steps=prepared.steps)
        return Rehearsal(answering, scoring, every_step=False)
    own_watch, other = watches(engine, teachers[0])
    same_pieces(prepared.tokenizer, teachers[0].finished.tokenizer, place)
    engine.feeds.clear()
    engine.use_path("stock")
    # Which layers are most alike is found later; how many are compared is known.
    alike = layer_pairs("uniform", len(own_watch.layers), len(other.layers))
    pairs = state_pairs(config.states, len(own_watch.layers), len(other.layers), alike, where=place)
    check_states(config.states, pairs, own_watch, other, where=place)
    engine.objective = Objective(
        config, teachers, answers, own_watch, other, pairs=pairs, maps=maps, steps=prepared.steps
    )
    return Rehearsal(answering, scoring, every_step=True)


def _token_seconds(teacher: Teacher, own: Encoded) -> float:
    """Return the seconds that a teacher takes for a sub-word, from one batch."""
    lengths = np.asarray(own.lengths)
    batches = evaluation_batches(lengths, EVALUATION_TOKENS)
    batch = batches[len(batches) // 2][:_TIMED]
    features = [own.features[int(index)] for index in batch]
    teacher.logits(features)
    started = time.perf_counter()
    teacher.logits(features)
    return (time.perf_counter() - started) / max(1, int(lengths[batch].sum()))


def teacher_findings(
    stage: Stage, where: str, task: Task, student: Any, tokenizer: Any, layers: list[torch.nn.Module],
    max_length: int, rows: Rows, encoded: Encoded, cache: Path,
) -> Iterator[tuple[str, str, BertloomError | str]]:  # fmt: skip
    """Yield what is wrong or strange about the teachers of a stage: level, place in the plan, error or words.

    Parameters
    ----------
    stage
        A stage of kind ``distil``.
    where
        Its path in the plan.
    task
        The student's.
    student, tokenizer, layers
        The student's model, its tokeniser, and its layers.
    max_length
        Sub-words that a text or window of the student's may have.
    rows, encoded
        Training rows in standard columns, and as the student reads them.
    cache
        The home's cache folder.
    """
    config = stage.distil
    assert config is not None
    place = f"{where}.distil"
    own = sum(one.numel() for one in student.parameters())
    first: Teacher | None = None
    for number, one in enumerate(config.teachers):
        source = f"{place}.teachers.{number}.source"
        try:
            teacher = load_teacher(one.source, task, where=source, names=one.labels)
            check_teacher(teacher, tokenizer, max_length)
            if teacher.form is not None:
                teacher.form.read(teacher, rows, encoded)
        except BertloomError as error:
            yield "error", source, error
            continue
        first = teacher if number == 0 else first
        other = sum(one.numel() for one in teacher.finished.model.parameters())
        if own >= other:
            yield (
                "warning", source, f"The student has {own / 1e6:.1f} M parameters, not fewer than its teacher with "
                f"{other / 1e6:.1f} M: nothing becomes smaller.",
            )  # fmt: skip
    size = 2 * asked(task, encoded, rows)["numbers"]
    yield from _room(config.cache, config.cache_limit_mb, len(config.teachers), size, cache, place)
    if first is None or not config.states:
        return
    from core.models import structure

    others = list(structure(first.finished.model).layers)
    watch = Watch(layers, sizes_of(student.config, len(layers)))
    seen = Watch(others, sizes_of(first.finished.model.config, len(others)))
    try:
        same_pieces(tokenizer, first.finished.tokenizer, place)
        alike = layer_pairs("uniform", len(layers), len(others))
        pairs = state_pairs(config.states, len(layers), len(others), alike, where=place)
        check_states(config.states, pairs, watch, seen, where=place)
    except BertloomError as error:
        yield "error", place, error


def _room(
    keep: bool, limit_mb: int, teachers: int, size: int, cache: Path, place: str
) -> Iterator[tuple[str, str, str]]:
    """Say what the answers take, and where there is no room for them."""
    if not keep:
        return
    words = (
        f"The answers of {'a teacher' if teachers == 1 else f'each of {teachers} teachers'} take {size / 1e6:.2f} MB"
    )
    free = free_bytes(cache)
    if size > limit_mb * 1_000_000:
        yield "error", f"{place}.cache_limit_mb", f"{words}, more than the limit of {limit_mb} MB."
    elif free < teachers * size + FREE_FLOOR:
        yield (
            "error", f"{place}.cache", f"{words}, and the disk has {free / 1e6:.0f} MB free, of which "
            f"{FREE_FLOOR / 1e6:.0f} MB stay free.",
        )  # fmt: skip
