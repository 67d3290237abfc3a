"""Before a stage of kind ``distil`` trains: teachers are loaded, scored and asked, and layers found to read."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from core.errors import ConfigError
from core.training.distil.answers import keep_answers
from core.training.distil.likeness import layer_likeness
from core.training.distil.objective import Objective
from core.training.distil.pairs import Pairs, match_layers
from core.training.distil.positions import halved, unit_answers
from core.training.distil.scores import form_answers, scoring_task, teacher_logits
from core.training.distil.sizes import sizes_of
from core.training.distil.states import Watch, check_states, state_pairs
from core.training.distil.teacher import Answers, Teacher, check_teacher, load_teacher
from core.training.gates import better
from core.training.intervals import majority_score

if TYPE_CHECKING:
    from core.training.engine import Engine

__all__ = ["open_objective", "same_pieces", "watches"]


def open_objective(
    engine: Engine,
    cache: Path,
    *,
    where: str,
    maps: Mapping[str, torch.Tensor] | None = None,
    alike: Pairs | None = None,
    check: Callable[[], None] = lambda: None,
    event: Callable[..., None] = lambda *_, **__: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Objective:
    """Load the teachers of a stage, compute or find their answers, and make its objective.

    Parameters
    ----------
    engine
        Of the stage.
    cache
        The home's cache folder.
    where
        The stage's path in the plan.
    maps
        Learned maps of the stage; see :mod:`core.training.distil.maps`.
    alike
        Pairs of layers that were found by likeness when the stage began, where it is resumed.
    check
        Called between batches; may raise to stop.
    event
        Told what is noteworthy.
    progress
        Told batches done and all of a pass.

    Raises
    ------
    BertloomError
        If a teacher cannot teach this student, or its answers do not fit on the disk.
    """
    prepared = engine.prepared
    config = prepared.stage.distil
    assert config is not None
    place = f"{where}.distil"
    teachers = [
        load_teacher(one.source, prepared.task, where=f"{place}.teachers.{number}.source", names=one.labels)
        for number, one in enumerate(config.teachers)
    ]
    size = sum(one.numel() for one in prepared.model.parameters())
    answers, on_gate = [], []
    for teacher in teachers:
        check_teacher(teacher, prepared.tokenizer, prepared.plan.model.max_length)
        gate = _tell_score(engine, teacher, check, event)
        if gate is not None:
            on_gate.append(gate)
        other = sum(one.numel() for one in teacher.finished.model.parameters())
        if size > other:
            event(
                "warning", f"The student has {size / 1e6:.1f} M parameters, more than its teacher {teacher.name} with "
                f"{other / 1e6:.1f} M: nothing becomes smaller.",
            )  # fmt: skip
        teacher.finished.model.to(prepared.device)
        for parameter in teacher.finished.model.parameters():
            parameter.requires_grad_(False)
        answers.append(
            keep_answers(
                teacher, prepared.roles.train, prepared.encoded["train"], cache, limit_mb=config.cache_limit_mb,
                keep=config.cache, check=check, event=event, progress=progress,
            )
        )  # fmt: skip
        _tell_found(teacher, answers[-1], event)
    if not config.states:
        for teacher in teachers:  # its answers are all that is needed of it
            teacher.finished.model.to("cpu")
        found = Objective(config, teachers, answers, steps=prepared.steps)
        found.gate = on_gate
        return found
    own, other_watch = watches(engine, teachers[0])
    same_pieces(prepared.tokenizer, teachers[0].finished.tokenizer, place)
    if engine.feeds:
        engine.feeds.clear()
        event("decision", "Losses between layers read all layers, so frozen ones are computed anew in every step.")
    if engine.path != "stock":
        engine.use_path("stock")
        event("decision", "Losses between layers are read on the stock path.")
    if alike is None and any(one.layers == "cka" and one.kind != "embedding" for one in config.states):
        alike = _match(engine, teachers[0], own, other_watch, check, event)
    pairs = state_pairs(config.states, len(own.layers), len(other_watch.layers), alike, where=place)
    check_states(config.states, pairs, own, other_watch, where=place)
    found = Objective(config, teachers, answers, own, other_watch, pairs=pairs, maps=maps, steps=prepared.steps)
    found.alike, found.gate = alike, on_gate
    return found


def _tell_found(teacher: Teacher, answers: Answers, event: Callable[..., None]) -> None:
    """Say how many training rows the teacher had answered before."""
    found = answers.rows - answers.computed
    event(
        "info", f"Of {answers.rows:,} training rows {found:,} are answered from the cache, {answers.computed:,} were "
        f"computed by {teacher.name} now.",
        data={"answered": {"teacher": teacher.name, "rows": answers.rows, "computed": answers.computed}},
    )  # fmt: skip


def _match(
    engine: Engine, teacher: Teacher, own: Watch, other: Watch, check: Callable[[], None], event: Callable[..., None]
) -> Pairs:
    """Match the student's layers with the teacher's by their likeness as they are now, and say which."""
    likeness = layer_likeness(engine, teacher.finished.model, own, other, check=check)
    found = match_layers(likeness)
    words = ", ".join(f"{one} from {two} ({likeness[one - 1, two - 1]:.2f})" for one, two in found)
    event(
        "decision", f"Layers matched by linear CKA, student from teacher: {words}.",
        data={
            "pairs": found,
            "likeness": [[None if math.isnan(one) else round(float(one), 4) for one in row] for row in likeness],
        },
    )  # fmt: skip
    return found


def _tell_score(
    engine: Engine, teacher: Teacher, check: Callable[[], None], event: Callable[..., None]
) -> np.ndarray | None:
    """Say what the teacher itself scores on gate, and warn if it is no better than the majority; returns its answers.

    They are half as precise as they were computed: shape (units, classes), or in the form of tasks whose positions say
    more than a label. None without gate rows.
    """
    prepared = engine.prepared
    if "gate" not in prepared.encoded:
        return None
    metric, rows = prepared.stage.metric or prepared.task.primary_metric, prepared.roles.gate
    encoded, logits = teacher_logits(teacher, prepared.task, rows, check=check)
    value = float(scoring_task(teacher, prepared.task).evaluate(logits, encoded, rows).metrics[metric])
    majority = majority_score(prepared.task, metric, prepared.roles, prepared.encoded["gate"])
    event(
        "info", f"The teacher {teacher.name} scores gate/{metric} {value:.4f}.",
        data={"teacher": teacher.name, "metric": f"gate/{metric}", "value": value, "majority": majority},
    )  # fmt: skip
    if majority is not None and not better(value, majority, metric):
        event(
            "warning", f"The teacher {teacher.name} is no better than a method without a model ({majority:.4f}): there "
            "is little to learn from it.",
        )  # fmt: skip
    if teacher.form is not None:
        return form_answers(teacher, rows, prepared.encoded["gate"], encoded, logits, check=check)
    return halved(prepared.task, unit_answers(logits, encoded, rows, len(teacher.order)))


def watches(engine: Engine, teacher: Teacher) -> tuple[Watch, Watch]:
    """Return what reads the layers of a stage's student, and of a teacher."""
    from core.models import structure

    own, others = engine.prepared.layers, list(structure(teacher.finished.model).layers)
    return (
        Watch(own, sizes_of(engine.prepared.model.config, len(own))),
        Watch(others, sizes_of(teacher.finished.model.config, len(others))),
    )


def same_pieces(student: Any, teacher: Any, place: str) -> None:
    """Refuse losses between layers of encoders with different tokenisers.

    Raises
    ------
    ConfigError
        If their vocabularies differ.
    """
    if student.get_vocab() != teacher.get_vocab():
        raise ConfigError(
            "Student and teacher have different tokenisers, so their layers see different sub-words.",
            where=f"{place}.states", expected="one tokeniser for losses between layers",
            advice="Leave `states` empty: answers are aligned by texts and words, whatever the tokenisers.",
        )  # fmt: skip
