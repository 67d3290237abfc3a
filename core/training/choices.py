"""Precision, threads and path chosen by a short timing on real batches.

Each candidate does a forward and a backward pass on the same batch of typical length; no weight changes. The order
is by what
is usually fastest, and a budget in seconds ends the search: a short run must not pay more for choosing than it gains.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from core.training.batches import BatchSettings, micro_batches, plan_epoch
from core.training.device import set_threads
from core.training.engine import Engine

__all__ = ["Choice", "choose", "typical_batch", "usable_cores"]

#: Timed passes of a candidate, after one that is not timed.
REPEATS = 2
#: A candidate that is this much slower at its first timed pass is dropped.
HOPELESS = 1.3
#: Something must be this much faster than the plainer choice to be taken: timings on shared machines are noisy.
MARGIN = 0.97


@dataclass(frozen=True)
class Choice:
    """One way to execute.

    Parameters
    ----------
    threads
        torch threads.
    precision
        ``fp32`` or ``bf16``.
    path
        ``stock`` or ``packed``.
    """

    threads: int
    precision: str
    path: str

    def as_dict(self) -> dict[str, Any]:
        """Return it for the record."""
        return asdict(self)


def usable_cores() -> int:
    """Return the cores that this process may use."""
    import os

    try:
        return max(1, len(os.sched_getaffinity(0)))
    except AttributeError:  # not on every system
        return max(1, os.cpu_count() or 1)


def _fast_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    if device.type == "cpu":
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return False


def typical_batch(engine: Engine) -> np.ndarray:
    """Return the batch of the first epoch whose number of sub-words is the median."""
    prepared = engine.prepared
    lengths = prepared.lengths
    batches = plan_epoch(lengths, BatchSettings.of(prepared.stage), prepared.plan.runtime.seed, 0)
    return sorted(batches, key=lambda batch: int(lengths[batch].sum()))[len(batches) // 2]


def one_pass(engine: Engine, batch: np.ndarray, seed: int) -> float:
    """Run forward and backward on one step's examples, drop the gradients, and return the seconds."""
    prepared = engine.prepared
    features = prepared.encoded["train"].features
    started = time.perf_counter()
    for part, indices in enumerate(micro_batches(batch, prepared.lengths, prepared.stage.accumulation)):
        engine.seed(seed, 0, part)
        total, weight, _ = engine.loss([features[index] for index in indices], indices)
        (total / weight.clamp(min=1e-12)).backward()
    if prepared.device.type == "cuda":
        torch.cuda.synchronize(prepared.device)
    elapsed = time.perf_counter() - started
    prepared.model.zero_grad(set_to_none=True)
    return elapsed


def _candidates(engine: Engine) -> tuple[list[int], list[str], list[str]]:
    prepared = engine.prepared
    runtime = prepared.plan.runtime
    cores = usable_cores()
    if runtime.threads != "auto":
        threads = [runtime.threads]
    elif prepared.device.type == "cpu" and cores > 1:
        # All first: waiting threads soon sleep (see the process backend), so they cost little on a busy machine.
        threads = [cores, 1]
    else:
        threads = [min(cores, 4) if prepared.device.type != "cpu" else 1]
    if runtime.precision != "auto":
        precisions: list[str] = [runtime.precision]
    elif _fast_bf16(prepared.device):
        precisions = ["bf16", "fp32"]
    else:
        precisions = ["fp32"]
    paths = list(reversed(engine.paths()))
    if runtime.threads != "auto" and runtime.precision != "auto":
        # Whoever fixes both wants two runs of one plan to agree bit for bit: nothing is left to timing.
        paths = paths[:1]
    return threads, precisions, paths


def choose(
    engine: Engine,
    *,
    steps: int,
    check: Callable[[], None] = lambda: None,
    share: float = 0.04,
    least_s: float = 0.5,
    most_s: float = 10.0,
) -> tuple[Choice, list[dict[str, Any]]]:
    """Time candidates and leave the engine at the best.

    Parameters
    ----------
    engine
        The engine; its precision, path and the thread count are set.
    steps
        Optimiser steps that will be run: the budget is `share` of their estimated time, at least `least_s`, at most
        `most_s`
        seconds.
    check
        Called between passes; may raise to stop.

    Returns
    -------
    Choice
        The best.
    list of dict
        Every candidate with its median seconds, for the record.
    """
    threads, precisions, paths = _candidates(engine)
    seed = engine.prepared.plan.runtime.seed
    best = Choice(threads[0], precisions[0], paths[0])
    timings: list[dict[str, Any]] = []
    if len(threads) == len(precisions) == len(paths) == 1:
        _apply(engine, best)
        return best, timings
    batch = typical_batch(engine)
    started = time.perf_counter()
    budget = least_s
    engine.train_mode()

    def measure(choice: Choice, to_beat: float | None) -> float:
        _apply(engine, choice)
        check()
        seconds = [
            one_pass(engine, batch, seed)
        ]  # the first pass also sets things up: it counts only when it is hopeless
        if to_beat is None or seconds[0] < 2 * HOPELESS * to_beat:
            seconds.clear()
        while len(seconds) < REPEATS and (not seconds or to_beat is None or seconds[0] <= HOPELESS * to_beat):
            check()
            seconds.append(one_pass(engine, batch, seed))
        timings.append(
            {**choice.as_dict(), "seconds": round(min(seconds), 5), "spread": round(max(seconds) - min(seconds), 5)}
        )
        return statistics.median(seconds)

    fastest = measure(best, None)
    budget = min(most_s, max(least_s, share * steps * fastest))
    tries = [
        *(("threads", value) for value in threads[1:]),
        *(("precision", value) for value in precisions[1:]),
        *(("path", value) for value in paths[1:]),
    ]
    for key, value in tries:
        if time.perf_counter() - started > budget:
            break
        other = Choice(**{**best.as_dict(), key: value})
        seconds = measure(other, fastest)
        if seconds < MARGIN * fastest:
            best, fastest = other, seconds
    _apply(engine, best)
    return best, timings


def _apply(engine: Engine, choice: Choice) -> None:
    set_threads(choice.threads)
    engine.precision = choice.precision
    engine.use_path(choice.path)
