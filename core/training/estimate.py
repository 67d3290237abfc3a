"""What a plan will cost: time and memory of every stage, from a few real steps of each."""

from __future__ import annotations

import ctypes
import gc
import math
import platform
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core.config import Plan, Stage
from core.training.batches import BatchSettings, plan_epoch
from core.training.bounds import evaluation_steps
from core.training.counting import count_stages
from core.training.taught import rehearsed, teacher_of_stage, teacher_of_whole

if TYPE_CHECKING:
    import torch

    from core.training.distil.rehearsal import Rehearsal
    from core.training.material import Material
    from core.training.session import Session

__all__ = ["dry_run"]

#: Steps are timed on batches at these quantiles of size, so that their mean stands for all.
_QUANTILES = (0.1, 0.3, 0.5, 0.7, 0.9)
_REPEATS = 2
#: The step that is timed: in the first one a distillation measures what it measures seldom.
_OWN_STEP = 2


@dataclass
class _Cost:
    """What was measured of a stage.

    Parameters
    ----------
    low, middle, high
        Seconds of an optimiser step: the mean over sizes of the fastest, the mean and the slowest repeat.
    memory
        Largest memory in MB.
    token
        Seconds of a forward pass a sub-word.
    cache_bytes
        Size of the cache of activations; 0 without one.
    trained
        Parameters that are trained.
    taught
        What the teachers of a distillation cost.
    """

    low: float
    middle: float
    high: float
    memory: float
    token: float
    cache_bytes: int
    trained: int
    taught: Rehearsal | None = None


def dry_run(plan: Plan, *, cache: Path) -> dict[str, Any]:
    """Execute a few real steps of every stage of a plan, without keeping anything, and estimate the whole.

    Stages that do the same work (the same frozen parts, batches and optimiser) are measured once.

    Parameters
    ----------
    plan
        The plan.
    cache
        The home's cache folder.

    Returns
    -------
    dict
        Of the whole: ``steps``, ``steps_per_epoch`` of the first stage, ``epochs``, ``rows``, ``seconds`` with
        ``seconds_low`` and ``seconds_high`` (from the fastest and slowest repeat of each timed step) and
        ``seconds_most`` (if every retry is used up), ``upper`` (whether a search may take less), ``memory_mb`` (the
        largest: resident set, on CUDA the allocated peak), ``parameters``, ``trainable_parameters`` (the largest),
        ``choices``, ``lr`` (curve of each group of the first stage), ``cut_share``, ``cache_mb`` (the largest cache of
        activations), ``machine`` {host, device}, ``teacher`` (None without one, else what is part of the seconds:
        ``answering_s``, in which its answers are computed once, ``scoring_s``, and ``every_step``, whether it also runs
        in every step). Of each stage under ``stages``: ``name``, ``kind``, ``steps``, ``seconds`` …, ``memory_mb``,
        ``trainable_parameters``, ``cache_mb``, ``attempts`` (at most), ``upper``, ``teacher``.

    Raises
    ------
    BertloomError
        If data, model or plan cannot be used, or memory does not suffice.
    """
    from core.training.curves import plan_curve
    from core.training.device import exclusive, reading_errors
    from core.training.material import load_material

    with reading_errors(), exclusive(deterministic=plan.runtime.deterministic):
        material = load_material(plan, cache)
        lengths = material.lengths
        counted = count_stages(plan, lengths)
        drawn = plan_curve(plan, counted, len(material.layers))
        measured: dict[Any, _Cost] = {}
        choice: dict[str, Any] = {}
        stages = []
        for index, (stage, one) in enumerate(zip(plan.active, counted, strict=True)):
            left = sum(each["steps"] for each in counted[index:])
            cost = _cost(material, stage, index, measured, choice, cache, steps=left)
            attempts = drawn["stages"][index]["attempts"]
            stages.append(_of_stage(stage, one, cost, material, attempts))
        train = material.encoded["train"]
        tested = max(cost.token for cost in measured.values()) * _tokens(material, "test")
        teacher = teacher_of_whole(
            stages, [cost.taught for cost in measured.values()], _tokens(material, "gate") + _tokens(material, "test")
        )
        tested += teacher["scoring_s"] - sum(stage["teacher"]["scoring_s"] for stage in stages if stage["teacher"])
        parameters = sum(parameter.numel() for parameter in material.model.parameters())
        seconds = {
            name: round(sum(stage[name] for stage in stages) + tested, 1)
            for name in ("seconds", "seconds_low", "seconds_high", "seconds_most")
        }
        return {
            "steps": sum(one["steps"] for one in counted),
            "steps_per_epoch": counted[0]["steps_per_epoch"],
            "epochs": round(sum(one["epochs"] for one in counted if one["kind"] in ("train", "distil")), 3),
            "rows": {role: len(getattr(material.roles, role)) for role in ("train", "gate", "test")},
            **seconds,
            "upper": any(one["upper"] for one in counted),
            "memory_mb": max(stage["memory_mb"] for stage in stages),
            "parameters": parameters,
            "trainable_parameters": max(stage["trainable_parameters"] for stage in stages),
            "choices": choice,
            "lr": _first(drawn),
            "cut_share": train.cut / max(1, len(material.roles.train)),
            "cache_mb": max(stage["cache_mb"] for stage in stages),
            "machine": {"host": platform.node(), "device": str(material.device)},
            "teacher": teacher if any(stage["teacher"] for stage in stages) else None,
            "stages": stages,
        }


def _first(drawn: dict[str, Any]) -> dict[str, dict[str, list[float]]]:
    groups = drawn["stages"][0]["groups"]
    return {name: {"steps": part["steps"], "lr": part["lr"]} for name, part in groups.items()}


def _tokens(material: Material, role: str) -> int:
    return int(sum(material.encoded[role].lengths)) if role in material.encoded else 0


def _alike(session: Session) -> Any:
    """Return what the cost of a stage's steps depends on."""
    prepared, stage = session.prepared, session.stage
    return (
        tuple(prepared.frozen), len(prepared.groups), stage.batch_size if stage.batch_tokens is None else None,
        stage.batch_tokens, stage.bucketing, stage.accumulation, stage.optimizer.name, stage.clip_norm is None,
        stage.cache_activations, stage.cache_limit_mb, prepared.rows is None, stage.dropout == 0,
        None if stage.distil is None else stage.distil.model_dump_json(),
    )  # fmt: skip


def _cost(
    material: Material, stage: Stage, index: int, measured: dict[Any, _Cost], choice: dict[str, Any], cache: Path, *,
    steps: int,
) -> _Cost:  # fmt: skip
    """Measure a stage, or find the measure of one that does the same work."""
    from core.training.activations import zero_feeds
    from core.training.choices import Choice, choose
    from core.training.device import memory_mb, set_threads
    from core.training.session import Session

    _give_back(material.device)
    kind = "distil" if stage.kind == "distil" else "train"
    plain = stage.model_copy(update={"kind": kind, "search": None, "range_test": None})
    session = Session(material, plain, index)
    try:
        key = _alike(session)
        if key in measured:
            return measured[key]
        engine = session.engine
        if not choice:
            choice.update(choose(engine, steps=steps)[0].as_dict())
        else:
            chosen = Choice(choice["threads"], choice["precision"], choice["path"])
            set_threads(chosen.threads)
            engine.precision = chosen.precision
            engine.use_path(chosen.path)
        engine.train_mode()
        # Fed from activations that are all zero, as large as the real ones.
        cache_bytes = zero_feeds(engine)
        taught = rehearsed(session, material.where(index), cache)
        cache_bytes = cache_bytes if engine.feeds else 0
        timed, memory = _timed_steps(session)
        token = _token_seconds(session)
        memory = max(memory, memory_mb(material.device))
        low, middle, high = (float(np.mean([pick(one) for one in timed])) for pick in (min, np.mean, max))
        measured[key] = _Cost(low, middle, high, memory, token, cache_bytes, session.parameters, taught)
        return measured[key]
    finally:
        session.close()


def _give_back(device: torch.device) -> None:
    """Free what the stage before used, so that the next one's memory is its own."""
    import torch

    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    elif sys.platform.startswith("linux"):
        try:
            ctypes.CDLL(None).malloc_trim(0)
        except (OSError, AttributeError):  # another C library: the memory is then that of the largest stage so far
            return


def _timed_steps(session: Session) -> tuple[list[list[float]], float]:
    """Return the seconds of each repeat of each timed step, and the largest memory in MB."""
    import torch

    from core.training.device import memory_mb

    prepared, stage = session.prepared, session.stage
    lengths = prepared.lengths
    batches = sorted(
        plan_epoch(lengths, BatchSettings.of(stage), prepared.seed, 0),
        key=lambda batch: len(batch) * int(lengths[batch].max()),
    )
    chosen = [batches[min(len(batches) - 1, int(quantile * len(batches)))] for quantile in _QUANTILES]
    still = dict.fromkeys(session.optimiser.base, 0.0)  # moments and memory as in training, weights as they were
    memory = 0.0
    seconds: list[list[float]] = [[] for _ in chosen]
    for repeat in range(_REPEATS + 1):
        for at, batch in enumerate([batches[-1]] if repeat == 0 else chosen):  # the largest first: memory and warm-up
            started = time.perf_counter()
            session.step(batch, _OWN_STEP, still)
            if prepared.device.type == "cuda":
                torch.cuda.synchronize(prepared.device)
            memory = max(memory, memory_mb(prepared.device))
            if repeat:
                seconds[at].append(time.perf_counter() - started)
    return seconds, memory


def _token_seconds(session: Session) -> float:
    """Return the seconds of a forward pass of the whole model a sub-word, from one batch."""
    import torch

    from core.training.batches import evaluation_batches
    from core.training.evaluation import EVALUATION_TOKENS

    prepared, engine = session.prepared, session.engine
    engine.feeds.clear()
    lengths = prepared.lengths
    batches = evaluation_batches(lengths, EVALUATION_TOKENS)
    batch = batches[len(batches) // 2][:64]
    features = [prepared.encoded["train"].features[index] for index in batch]
    with engine.scoring(), torch.inference_mode():
        engine.forward(features, batch, "train", precision="fp32")
        started = time.perf_counter()
        engine.forward(features, batch, "train", precision="fp32")
        return (time.perf_counter() - started) / max(1, int(lengths[batch].sum()))


def _of_stage(stage: Stage, counted: dict[str, Any], cost: _Cost, material: Material, attempts: int) -> dict[str, Any]:
    """Return the estimate of one stage: its steps, its evaluations, and the pass that fills the cache."""
    cached = cost.cache_bytes > 0
    steps = int(counted["steps"])
    gate = _tokens(material, "gate")
    filled = cost.token * (_tokens(material, "train") + gate) if cached else 0.0
    whole = counted.get("trial_steps") or steps
    ends = counted["epoch_ends"] or list(range(counted["steps_per_epoch"], whole + 1, counted["steps_per_epoch"]))
    evaluations = 0 if stage.kind == "range_test" else len(evaluation_steps(stage, whole, ends))
    if stage.kind == "search":
        evaluations = math.ceil(evaluations * steps / max(1, whole))
    if stage.gate is not None or stage.max_retries:
        evaluations += 1  # before the first step
    # Activations of gate rows are cached too: evaluations then cost next to nothing.
    scored = 0.0 if cached else cost.token * gate * evaluations
    taught = teacher_of_stage(cost.taught, gate)
    if taught is not None:
        filled += taught["answering_s"] + taught["scoring_s"]
    found = {
        name: round(steps * each + scored + filled, 2)
        for name, each in (("seconds", cost.middle), ("seconds_low", cost.low), ("seconds_high", cost.high))
    }
    return {
        "name": stage.name, "kind": stage.kind, "index": counted["index"], "steps": steps, **found,
        "seconds_most": round(attempts * (steps * cost.high + scored) + filled, 2), "attempts": attempts,
        "memory_mb": round(cost.memory, 1), "trainable_parameters": cost.trained,
        "cache_mb": round(cost.cache_bytes / 1e6, 3), "upper": bool(counted["upper"]), "teacher": taught,
    }  # fmt: skip
