"""Precision, threads and path, chosen by timing.

First a matrix product of the encoder's own size is timed for every precision and thread count: milliseconds, and on
most machines the answer is clear (bf16 products take half the time of fp32 on some processors and twice the time on
others). What the products leave open is decided by whole passes, forward and backward on one typical batch without
changing a weight, if the run is long enough to win that time back.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from core.training.batches import BatchSettings, micro_batches, plan_epoch
from core.training.device import set_threads
from core.training.engine import Engine

__all__ = ["Choice", "choose", "typical_batch", "usable_cores"]

#: Timed passes of a candidate, after one that is not timed.
REPEATS = 2
#: A candidate whose product, or whose first timed pass, is this much slower than the best one's is dropped.
HOPELESS = 1.3
#: Timed products of a candidate, after one that is not timed, and the most rows in them.
PRODUCTS = 5
PRODUCT_ROWS = 512
#: Largest share of a run's steps that may be spent on passes.
SHARE = 0.02
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
    batches = plan_epoch(lengths, BatchSettings.of(prepared.stage), prepared.seed, 0)
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


def product_seconds(device: torch.device, threads: int, precision: str, shape: tuple[int, int, int]) -> float:
    """Time one linear layer's product, the fastest of a few.

    Parameters
    ----------
    device
        Where.
    threads
        torch threads; stay set.
    precision
        ``fp32`` or ``bf16``.
    shape
        (rows, inputs, outputs).

    Returns
    -------
    float
        Seconds.
    """
    set_threads(threads)
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    rows, inputs, outputs = shape
    # Ones, not random numbers: the run's generators stay untouched, and a product takes as long with any values.
    states = torch.ones(rows, inputs, dtype=kind, device=device)
    weight = torch.ones(outputs, inputs, dtype=kind, device=device)
    seconds = []
    with torch.inference_mode():
        for _ in range(PRODUCTS + 1):
            started = time.perf_counter()
            functional.linear(states, weight)
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            seconds.append(time.perf_counter() - started)
    return min(seconds[1:])


def _product_shape(engine: Engine, batch: np.ndarray) -> tuple[int, int, int]:
    config = engine.prepared.model.config
    width = int(getattr(config, "hidden_size", None) or 768)
    inner = int(getattr(config, "intermediate_size", None) or getattr(config, "hidden_dim", None) or 4 * width)
    return min(PRODUCT_ROWS, max(1, int(engine.prepared.lengths[batch].sum()))), width, inner


def choose(
    engine: Engine,
    *,
    steps: int,
    check: Callable[[], None] = lambda: None,
    most_s: float = 10.0,
) -> tuple[Choice, list[dict[str, Any]]]:
    """Time candidates and leave the engine at the best.

    Parameters
    ----------
    engine
        The engine; its precision, path and the thread count are set.
    steps
        Optimiser steps whose time counts: at most :data:`SHARE` of them are spent on passes.
    check
        Called between passes; may raise to stop.
    most_s
        No further pass is begun after this many seconds.

    Returns
    -------
    Choice
        The best.
    list of dict
        Every candidate with its ``product_ms`` or its median ``seconds`` a pass, for the record.
    """
    threads, precisions, paths = _candidates(engine)
    if len(threads) == len(precisions) == len(paths) == 1:
        best = Choice(threads[0], precisions[0], paths[0])
        _apply(engine, best)
        return best, []
    batch = typical_batch(engine)
    started = time.perf_counter()
    timings: list[dict[str, Any]] = []
    left = [Choice(count, precision, paths[0]) for count, precision in product(threads, precisions)]
    if len(left) > 1:
        shape = _product_shape(engine, batch)
        found = {one: product_seconds(engine.prepared.device, one.threads, one.precision, shape) for one in left}
        timings += [
            {"threads": one.threads, "precision": one.precision, "product_ms": round(1000 * seconds, 3)}
            for one, seconds in found.items()
        ]
        left = [one for one in sorted(found, key=found.__getitem__) if found[one] <= HOPELESS * min(found.values())]
    best = left[0]
    _apply(engine, best)
    affordable = int(SHARE * steps) // (REPEATS + 1)
    if affordable < 2:
        return best, timings
    engine.train_mode()
    seed = engine.prepared.seed

    def measure(choice: Choice, to_beat: float | None) -> float:
        _apply(engine, choice)
        check()
        one_pass(engine, batch, seed)  # the first pass also sets things up
        seconds: list[float] = []
        while len(seconds) < REPEATS and (not seconds or to_beat is None or seconds[0] <= HOPELESS * to_beat):
            check()
            seconds.append(one_pass(engine, batch, seed))
        timings.append(
            {**choice.as_dict(), "seconds": round(min(seconds), 5), "spread": round(max(seconds) - min(seconds), 5)}
        )
        return statistics.median(seconds)

    others: list[dict[str, Any]] = [{"threads": one.threads, "precision": one.precision} for one in left[1:]]
    others += [{"path": path} for path in paths[1:]]
    if others:
        fastest = measure(best, None)
        for changed in others[: affordable - 1]:
            if time.perf_counter() - started > most_s:
                break
            other = Choice(**{**best.as_dict(), **changed})
            seconds = measure(other, fastest)
            if seconds < MARGIN * fastest:
                best, fastest = other, seconds
    _apply(engine, best)
    return best, timings


def _apply(engine: Engine, choice: Choice) -> None:
    set_threads(choice.threads)
    engine.precision = choice.precision
    engine.use_path(choice.path)
