"""How many optimiser steps a plan has: from the lengths of its texts alone, without weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from core.config import Plan, RangeTestConfig, Stage
from core.training.batches import BatchSettings, plan_epoch, stage_seed, total_steps
from core.training.bounds import corners

__all__ = ["count_stages", "count_steps", "epoch_ends"]

#: Epochs whose batches are counted one by one where every epoch has its own number of them.
_MOST_EPOCHS = 300
#: Fields of a stage on which the number of its steps depends.
_STEP_FIELDS = ("steps", "epochs", "batch_size", "batch_tokens")


def count_steps(plan: Plan, *, cache: Path) -> dict[str, Any]:
    """Count a plan's optimiser steps without loading weights.

    Parameters
    ----------
    plan
        The plan.
    cache
        The home's cache folder.

    Returns
    -------
    dict
        ``steps`` of all stages that are switched on, ``stages`` (see :func:`count_stages`), ``upper`` (whether the sum
        is a limit only, because a search may take fewer), ``steps_per_epoch`` of the first stage, ``epochs`` (all steps
        that train by steps of an epoch), ``rows`` {role: rows}, ``cut_share`` (share of training texts that are cut at
        the maximum length), ``tokens`` (sub-words of the training rows), ``labels`` (how many there are),
        ``label_names``, and ``answers``: what a teacher is asked about the training rows, see
        :func:`core.training.distil.forms.asked`.

    Raises
    ------
    BertloomError
        If data or model cannot be used.
    """
    from core.data.roles import load_roles
    from core.data.tasks import task_for
    from core.models import load_tokenizer, resolve
    from core.training.distil.forms import asked

    roles = load_roles(plan.data, plan.task, cache=cache)
    words = plan.task.kind in ("tagging", "dependency")
    tokenizer = load_tokenizer(resolve(plan.model.source, plan.model.revision), words=words)
    task = task_for(plan.task, roles.labels, entries=roles.entries)
    encoded = task.encode(roles.train, tokenizer, plan.model.max_length)
    stages = count_stages(plan, encoded.lengths)
    return {
        "steps": sum(stage["steps"] for stage in stages),
        "stages": stages,
        "upper": any(stage["upper"] for stage in stages),
        "steps_per_epoch": stages[0]["steps_per_epoch"],
        "epochs": round(sum(stage["epochs"] for stage in stages if stage["kind"] in ("train", "distil")), 3),
        "rows": {role: len(getattr(roles, role)) for role in ("train", "gate", "test")},
        "cut_share": encoded.cut / max(1, len(roles.train)),
        "tokens": int(sum(encoded.lengths)),
        "labels": len(roles.labels),
        "label_names": list(roles.labels),
        "answers": asked(task, encoded, roles.train),
    }


def count_stages(plan: Plan, lengths: Sequence[int] | np.ndarray) -> list[dict[str, Any]]:
    """Count the optimiser steps of every stage that is switched on.

    Parameters
    ----------
    plan
        The plan.
    lengths
        Sub-words of each training feature.

    Returns
    -------
    list of dict
        One a stage: ``name``, ``kind``, ``index`` (place in the plan), ``steps`` of one attempt, ``steps_per_epoch``,
        ``epochs``, ``epoch_ends`` (own steps at which its epochs end), ``upper`` (whether it may take fewer steps:
        tests that stop when the loss rises, searches that prune). A range test counts its test steps, once a
        trained group where each is tested alone (``groups``); a search the steps of all its trials (``trials``, with
        several seeds each as often), of ``trial_steps`` at most.
    """
    found = []
    places = [place for place, stage in enumerate(plan.stages) if stage.enabled]
    for number, (index, stage) in enumerate(zip(places, plan.active, strict=True)):
        seed = stage_seed(stage, number, plan.runtime.seed)
        steps, per_epoch = total_steps(lengths, stage, seed)
        one: dict[str, Any] = {
            "name": stage.name, "kind": stage.kind, "index": index, "steps": steps, "steps_per_epoch": per_epoch,
            "epochs": round(steps / max(1, per_epoch), 3), "epoch_ends": [], "upper": False,
        }  # fmt: skip
        if stage.trains:
            one["epoch_ends"] = epoch_ends(lengths, stage, seed, steps)
        elif stage.kind == "range_test":
            config = stage.range_test or RangeTestConfig()
            one["groups"] = _tested_groups(plan, stage) if config.per_group else 1
            one |= {"steps": config.steps * one["groups"], "upper": True}
        elif stage.search is not None:
            longest = max([total_steps(lengths, way, seed)[0] for way in corners(stage, _STEP_FIELDS)], default=steps)
            trials = stage.search.trials * stage.search.seeds
            one |= {"steps": longest * trials, "trials": trials, "trial_steps": steps, "upper": True}
            one["longest_trial"] = longest
        found.append(one)
    return found


def epoch_ends(lengths: Sequence[int] | np.ndarray, stage: Stage, seed: int, steps: int) -> list[int]:
    """Return the steps of a stage, up to `steps`, at which its epochs end.

    With a budget of sub-words every epoch has its own number of batches. Beyond the first few hundred epochs the
    mean of those stands for the rest.
    """
    settings = BatchSettings.of(stage)
    if settings.tokens is None:
        per_epoch = max(1, len(plan_epoch(lengths, settings, seed, 0)))
        return list(range(per_epoch, steps + 1, per_epoch))
    found: list[int] = []
    at = epoch = 0
    while epoch < _MOST_EPOCHS:
        at += max(1, len(plan_epoch(lengths, settings, seed, epoch)))
        if at > steps:
            return found
        found.append(at)
        epoch += 1
    mean = at / epoch
    return found + [at + math.floor(mean * more) for more in range(1, int((steps - at) / mean) + 1)]


def _tested_groups(plan: Plan, stage: Stage) -> int:
    from core.training.curves import layers_of
    from core.training.groups import base_rates

    return len(base_rates(stage, layers_of(plan)))
