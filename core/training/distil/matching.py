"""Which layers likeness would pair if a distilled stage began now: before a run, nothing is trained or written."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from core.config import Plan
from core.errors import ConfigError
from core.training.distil.likeness import TOKENS, layer_likeness
from core.training.distil.opening import same_pieces, watches
from core.training.distil.pairs import match_layers
from core.training.distil.teacher import load_teacher
from core.training.engine import Engine
from core.training.prepare import prepare

__all__ = ["pairs_now"]


def pairs_now(
    plan: Plan, index: int, *, cache: Path, check: Callable[[], None] = lambda: None
) -> dict[str, Any]:  # fmt: skip
    """Match the layers of a stage's student and first teacher as the stage does before its first step.

    Parameters
    ----------
    plan
        The plan.
    index
        Which of the stages that are executed, from 0; it is of kind ``distil``. The student is the plan's model as it
        is now: stages before it, which would change it, are not trained.
    cache
        The home's cache folder.
    check
        Called between batches; may raise to stop.

    Returns
    -------
    dict
        ``pairs`` [[student's layer, teacher's layer]], from 1; ``likeness`` (linear CKA, a row a layer of the student,
        None where a layer gives the same for all sub-words); ``tokens`` (sub-words that were compared).

    Raises
    ------
    BertloomError
        If data or a model cannot be used, the teacher cannot teach this student, or their tokenisers differ.
    """
    config = plan.active[index].distil
    where = f"stages.{index}.distil"
    if config is None:
        raise ConfigError("This stage has no teacher.", where=where, expected="a stage of kind distil")
    prepared = prepare(plan, cache, check=check, index=index)
    one = config.teachers[0]
    teacher = load_teacher(one.source, prepared.task, where=f"{where}.teachers.0.source", names=one.labels)
    same_pieces(prepared.tokenizer, teacher.finished.tokenizer, where)
    teacher.finished.model.to(prepared.device)
    engine = Engine(prepared)
    engine.use_path("stock")
    found = layer_likeness(engine, teacher.finished.model, *watches(engine, teacher), check=check)
    lengths = np.asarray(prepared.encoded["train"].lengths)
    count = max(1, min(len(lengths), int(TOKENS / max(1.0, lengths.mean()))))
    chosen = np.unique(np.linspace(0, len(lengths) - 1, count).astype(int))
    return {
        "pairs": [list(pair) for pair in match_layers(found)],
        "likeness": [[None if math.isnan(one) else round(float(one), 4) for one in row] for row in found],
        "tokens": int(lengths[chosen].sum()),
    }  # fmt: skip
