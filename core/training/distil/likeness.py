"""How alike the layers of student and teacher are before training: linear CKA over sub-words of training rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from core.models.cka import CkaAccumulator
from core.training.distil.states import Watch, teacher_inputs

if TYPE_CHECKING:
    from core.training.engine import Engine

__all__ = ["TOKENS", "layer_likeness"]

#: Sub-words that are compared, at most: several times as many as usual states are wide would take minutes.
TOKENS = 4096
_BATCH = 32


def layer_likeness(
    engine: Engine, teacher: Any, student: Watch, other: Watch, *, role: str = "train", tokens: int = TOKENS,
    told: dict[int, list[np.ndarray]] | None = None, check: Callable[[], None] = lambda: None,
) -> np.ndarray:  # fmt: skip
    """Return the linear CKA (Kornblith et al. 2019) of each layer of the student with each of the teacher.

    Parameters
    ----------
    engine
        Of the student's stage. Dropout is off meanwhile; the states of random generators stay.
    teacher
        The teacher's model, which reads the same sub-words.
    student, other
        Read the layers of both.
    role
        Whose rows are read.
    tokens
        Sub-words that are compared, at most.
    told
        Filled with the teacher's states by batch, and read where it holds them: a teacher never changes.
    check
        Called between batches; may raise to stop.

    Returns
    -------
    numpy.ndarray
        Shape (student's layers, teacher's layers), not a number where a layer gives the same for all sub-words.
        The rows are taken from an even spread.
    """
    prepared = engine.prepared
    features, lengths = prepared.encoded[role].features, np.asarray(prepared.encoded[role].lengths)
    count = max(1, min(len(features), int(tokens / max(1.0, lengths.mean()))))
    chosen = np.unique(np.linspace(0, len(features) - 1, count).astype(int))
    chosen = chosen[np.argsort(lengths[chosen], kind="stable")]  # little padding
    own, others = len(student.layers), len(other.layers)
    sums = CkaAccumulator(own + others, split=own, dtype=np.float32)
    with engine.scoring(), torch.inference_mode():
        for start in range(0, len(chosen), _BATCH):
            check()
            indices = chosen[start : start + _BATCH]
            with student.reading(set(range(1, own + 1)), set()):
                _, batch = engine.forward([features[index] for index in indices], indices, role, precision="fp32")
            here = batch["attention_mask"].bool()
            theirs = None if told is None else told.get(start)
            if theirs is None:
                inputs = teacher_inputs(teacher, batch)
                with other.reading(set(range(1, others + 1)), set()):
                    teacher(**inputs)
                theirs = _read(other, here)
                if told is not None:
                    told[start] = theirs
            sums.add([*_read(student, here), *theirs])
    student.clear()
    other.clear()
    return sums.matrix()[:own, own:]


def _read(watch: Watch, here: torch.Tensor) -> list[np.ndarray]:
    """Return what every layer gave for the sub-words, each of shape (sub-words, width)."""
    return [watch.hidden[at][here].float().cpu().numpy() for at in range(1, len(watch.layers) + 1)]
