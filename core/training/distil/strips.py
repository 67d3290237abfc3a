"""What student and teacher say of pinned sentences, step by step: each position's divergence and distributions."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from core.data.tasks.base import Encoded
from core.data.tasks.heads import cut_logits
from core.models.prediction import ListRows
from core.training.diary import Diary
from core.training.distil.differences import consensus, divergence
from core.training.distil.form_strips import FormRead
from core.training.distil.forms import form_of
from core.training.distil.pins import Pin
from core.training.distil.positions import spread, unit_answers

if TYPE_CHECKING:
    from core.training.distil.objective import Objective
    from core.training.engine import Engine

__all__ = ["TOP", "Strips"]

#: Classes of a distribution that are kept: the most probable ones.
TOP = 3


class Strips:
    """Looks at pins with the weights as they are, and writes what it sees into a run's diary.

    A position is a word, a text, (several labels) a label's yes or no, or of other tasks each thing that is said of a
    word or a window: its pointer, its start. A pin's first line (kind ``pin``) holds
    ``parts`` (what its positions are), ``classes`` and what the ``teacher`` says; the others (kind ``strip``) hold the
    divergence ``d`` of each position, by ln 2, and what the ``student`` says: [[class, share in thousandths], …].

    Parameters
    ----------
    engine
        Of the stage. It scores in fp32 and without dropout; no state of a random generator changes.
    objective
        Knows the teachers.
    diary
        Where it is written to.
    stage
        Place of the stage among those that are executed, from 0.
    """

    def __init__(self, engine: Engine, objective: Objective, diary: Diary, stage: int):
        self._engine, self._objective, self._diary, self._stage = engine, objective, diary, stage
        self._read: dict[str, _Read] = {}

    def look(self, pins: list[Pin], step: int) -> None:
        """Look at pins after a step of the run."""
        reads = []
        for pin in pins:
            if pin.id not in self._read:
                self._read[pin.id] = self._ask(pin)
            if len(self._read[pin.id].units):
                reads.append((pin, self._read[pin.id]))
        if not reads:
            return
        for (pin, read), logits in zip(reads, self._student([one for _, one in reads]), strict=True):
            task = self._engine.prepared.task
            if read.form is not None:
                self._note(pin, read.form, logits, step)
                continue
            own = unit_answers(logits, read.encoded, ListRows(pin.rows(task.kind)), read.classes)[read.units]
            student = spread(task, torch.from_numpy(own))
            if not self._diary.has("pin", pin.id):
                self._diary.write(
                    "pin", step, pin.id, stage=self._stage, parts=read.parts, classes=read.names,
                    teacher=_top(read.teacher),
                )  # fmt: skip
            found = [round(float(one), 4) for one in divergence(read.teacher, student)]
            self._diary.write("strip", step, pin.id, stage=self._stage, d=found, student=_top(student))

    def _note(self, pin: Pin, read: FormRead, logits: list[np.ndarray], step: int) -> None:
        """Write what is said of a pin whose positions say more than one label."""
        found, student = read.look(logits)
        if not self._diary.has("pin", pin.id):
            self._diary.write(
                "pin", step, pin.id, stage=self._stage, parts=read.lines, classes=read.names, teacher=read.teacher
            )
        self._diary.write("strip", step, pin.id, stage=self._stage, d=found, student=student)

    def _ask(self, pin: Pin) -> _Read:
        """Read a pin as the student does, and ask the teachers once."""
        prepared = self._engine.prepared
        task = prepared.task
        form, rows = form_of(task), ListRows(pin.rows(task.kind))
        classes = len(task.labels)
        encoded = task.encode(rows, prepared.tokenizer, prepared.plan.model.max_length, labelled=False)
        used = None if prepared.rows is None else set(prepared.rows.ids.tolist())
        foreign = used is not None and any(not used.issuperset(one["input_ids"]) for one in encoded.features)
        if form is not None:
            read = FormRead(form, self._objective, encoded, rows, TOP) if encoded.features else None
            here = np.arange(len(encoded.features))
            return _Read(encoded, here, torch.empty(0), [], [], classes, foreign, read)
        told = []
        for teacher in self._objective.teachers:
            own = teacher.encode(rows)
            told.append(unit_answers(teacher.logits(own.features), own, rows, classes) if own.features else None)
        answered = np.zeros(len(pin.tokens) if pin.tokens is not None else 1, dtype=bool)
        for feature in encoded.features:
            answered[feature.get("words", 0)] = True
        for one in told:
            answered &= False if one is None else np.isfinite(one).all(1)
        units = np.flatnonzero(answered)
        logits = [spread(task, torch.from_numpy(one[units])) for one in told if one is not None]
        together = consensus(self._objective.shares, logits) if len(units) else torch.empty(0, classes)
        several = task.config.multi_label
        parts = [pin.tokens[at] for at in units] if pin.tokens is not None else list(task.labels) if several else [""]
        return _Read(encoded, units, together, parts, ["no", "yes"] if several else list(task.labels), classes, foreign)

    def _student(self, reads: list[_Read]) -> list[list[np.ndarray]]:
        """Return the student's logits of each feature of each pin, without padding."""
        engine = self._engine
        features = [feature for read in reads for feature in read.encoded.features]
        lengths = [length for read in reads for length in read.encoded.lengths]
        # Words that the data does not hold stand in the whole embedding only.
        foreign = any(read.foreign for read in reads)
        embedding = engine.prepared.whole() if foreign else contextlib.nullcontext()
        with embedding, engine.scoring(), torch.inference_mode():
            logits, _ = engine.forward(features, np.arange(len(features)), "pins", precision="fp32")
        values = logits.float().cpu().numpy()
        each = [cut_logits(*three) for three in zip(values, features, lengths, strict=True)]
        found, start = [], 0
        for read in reads:
            found.append(each[start : start + len(read.encoded.features)])
            start += len(read.encoded.features)
        return found


class _Read:
    """A pin as the student reads it, and what the teachers say of it."""

    def __init__(
        self, encoded: Encoded, units: np.ndarray, teacher: torch.Tensor, parts: list[str], names: list[str],
        classes: int, foreign: bool, form: FormRead | None = None,
    ):  # fmt: skip
        self.encoded, self.units, self.teacher, self.parts, self.names = encoded, units, teacher, parts, names
        self.classes, self.foreign, self.form = classes, foreign, form


def _top(logits: torch.Tensor) -> list[list[list[int]]]:
    """Return the most probable classes of each position with their shares in thousandths."""
    shares = functional.softmax(logits.float(), dim=-1)
    found = torch.topk(shares, min(TOP, shares.shape[-1]), dim=-1)
    rows = zip(found.indices.tolist(), found.values.tolist(), strict=True)
    return [[[one, round(1000 * share)] for one, share in zip(*row, strict=True)] for row in rows]
