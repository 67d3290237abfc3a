"""What a plan will cost: time and memory from a few real steps."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core.config import Plan
from core.training.batches import BatchSettings, micro_batches, plan_epoch

if TYPE_CHECKING:
    from core.training.engine import Engine

__all__ = ["dry_run"]

#: Steps are timed on batches at these quantiles of size, so that their mean stands for all.
_QUANTILES = (0.1, 0.3, 0.5, 0.7, 0.9)
_REPEATS = 2


def dry_run(plan: Plan, *, cache: Path) -> dict[str, Any]:
    """Execute a few real steps of a plan, without keeping anything, and estimate the whole.

    Parameters
    ----------
    plan
        The plan.
    cache
        The home's cache folder.

    Returns
    -------
    dict
        ``steps``, ``steps_per_epoch``, ``epochs``, ``rows``, ``seconds`` with ``seconds_low`` and ``seconds_high``
        (from
        the fastest and slowest repeat of each timed step), ``memory_mb`` (resident set, on CUDA the allocated peak),
        ``parameters``, ``trainable_parameters``, ``choices``, ``lr`` (curve of each group), ``cut_share``, ``cache_mb``
        (size of the activation cache; 0 without one).

    Raises
    ------
    BertloomError
        If data, model or plan cannot be used, or memory does not suffice.
    """
    from core.training.choices import choose
    from core.training.curves import curve
    from core.training.device import exclusive, memory_mb, reading_errors
    from core.training.engine import Engine
    from core.training.prepare import prepare

    with reading_errors(), exclusive(deterministic=plan.runtime.deterministic):
        prepared = prepare(plan, cache)
        engine = Engine(prepared)
        try:
            choice, _ = choose(engine, steps=prepared.steps)
            engine.train_mode()
            cache_bytes = _pretend_cache(engine)
            timed, memory = _timed_steps(engine)
            scoring = _scoring_seconds(engine, cache_bytes > 0)
        finally:
            engine.close()
        low, high = (prepared.steps * float(np.mean([pick(one) for one in timed])) for pick in (min, max))
        middle = prepared.steps * float(np.mean([np.mean(one) for one in timed]))
        rows = prepared.rows
        hidden = 0 if rows is None else rows.base.numel() - rows.rows.numel()
        parameters = sum(parameter.numel() for parameter in prepared.model.parameters()) + hidden
        trained = (
            sum(parameter.numel() for parameter in prepared.model.parameters() if parameter.requires_grad) + hidden
        )
        train = prepared.encoded["train"]
        return {
            "steps": prepared.steps,
            "steps_per_epoch": prepared.steps_per_epoch,
            "epochs": round(prepared.steps / max(1, prepared.steps_per_epoch), 3),
            "rows": {role: len(getattr(prepared.roles, role)) for role in ("train", "gate", "test")},
            "seconds": round(middle + scoring, 1),
            "seconds_low": round(low + scoring, 1),
            "seconds_high": round(high + scoring, 1),
            "memory_mb": round(max(memory, memory_mb(prepared.device)), 1),
            "parameters": parameters,
            "trainable_parameters": trained,
            "choices": choice.as_dict(),
            "lr": curve(plan, prepared.steps, layers=len(prepared.layers)),
            "cut_share": train.cut / max(1, len(prepared.roles.train)),
            "cache_mb": round(cache_bytes / 1e6, 1),
        }


def _pretend_cache(engine: Engine) -> int:
    """Let training be fed from activations that are all zero, as large as the real ones; return their bytes."""
    from core.training.activations import zero_feeds

    return zero_feeds(engine)


def _timed_steps(engine: Engine) -> tuple[list[list[float]], float]:
    """Return the seconds of each repeat of each timed step, and the largest memory in MB."""
    import torch

    from core.training.device import memory_mb
    from core.training.optim import Optimiser

    prepared = engine.prepared
    stage, seed = prepared.stage, prepared.plan.runtime.seed
    optimiser = Optimiser(stage.optimizer, prepared.groups, prepared.parameters, prepared.device)
    optimiser.set_rates(dict.fromkeys(optimiser.base, 0.0))  # moments and memory as in training, weights as they were
    lengths, features = prepared.lengths, prepared.encoded["train"].features
    batches = sorted(
        plan_epoch(lengths, BatchSettings.of(stage), seed, 0), key=lambda batch: len(batch) * int(lengths[batch].max())
    )
    chosen = [batches[min(len(batches) - 1, int(quantile * len(batches)))] for quantile in _QUANTILES]
    largest = batches[-1]
    memory = 0.0
    seconds: list[list[float]] = [[] for _ in chosen]
    for repeat in range(_REPEATS + 1):
        for at, batch in enumerate([largest] if repeat == 0 else chosen):  # the largest first: memory and warm-up
            started = time.perf_counter()
            parts = micro_batches(batch, lengths, stage.accumulation)
            weights = []
            for part, indices in enumerate(parts):
                engine.seed(seed, 1, part)
                total, weight, _ = engine.loss([features[index] for index in indices], indices)
                total.backward()
                weights.append(weight)
            memory = max(memory, memory_mb(prepared.device))
            optimiser.step(torch.stack(weights).sum().clamp(min=1e-12), stage.clip_norm)
            optimiser.zero()
            if prepared.device.type == "cuda":
                torch.cuda.synchronize(prepared.device)
            if repeat:
                seconds[at].append(time.perf_counter() - started)
    return seconds, memory


def _scoring_seconds(engine: Engine, cached: bool) -> float:
    """Estimate all evaluations, and the pass that fills the activation cache, from one batch's forward pass."""
    import torch

    from core.training.batches import evaluation_batches
    from core.training.evaluation import EVALUATION_TOKENS

    prepared, stage = engine.prepared, engine.prepared.stage
    engine.feeds.clear()
    lengths = prepared.lengths
    batches = evaluation_batches(lengths, EVALUATION_TOKENS)
    batch = batches[len(batches) // 2][:64]
    features = [prepared.encoded["train"].features[index] for index in batch]
    with engine.scoring(), torch.inference_mode():
        engine.forward(features, batch, "train", precision="fp32")
        started = time.perf_counter()
        engine.forward(features, batch, "train", precision="fp32")
        per_token = (time.perf_counter() - started) / max(1, int(lengths[batch].sum()))
    tokens = {role: sum(encoded.lengths) for role, encoded in prepared.encoded.items()}
    every = stage.eval_every or prepared.steps_per_epoch
    evaluations = -(-prepared.steps // max(1, every))
    scored = tokens.get("gate", 0) * (2 if cached else evaluations + 1) + tokens.get("test", 0)
    filled = tokens["train"] if cached else 0
    return per_token * (scored + filled)
