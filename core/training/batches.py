"""Which examples make up which optimiser step: a pure function of lengths, settings, seed and epoch.

Nothing here is state. A resumed run asks for the same epoch's plan and goes on at its index, so that exact resume
needs no
sampler state beyond two numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from core.config import Stage

__all__ = [
    "BatchSettings", "evaluation_batches", "iterate", "micro_batches", "plan_epoch", "stage_seed", "total_steps",
]  # fmt: skip

#: Batches whose examples are sorted together. More: less padding; fewer: more random.
CHUNK = 50
#: Random shift of lengths before sorting, in sub-words plus a share, so that batches differ from epoch to epoch.
JITTER_TOKENS = 1.0
JITTER_SHARE = 0.05


@dataclass(frozen=True)
class BatchSettings:
    """What batches depend on beside lengths and seed.

    Parameters
    ----------
    size
        Examples per optimiser step.
    tokens
        Sub-words per optimiser step, padding included; overrides `size`.
    bucketing
        Whether examples of similar length share a batch.
    """

    size: int
    tokens: int | None = None
    bucketing: bool = True

    @classmethod
    def of(cls, stage: Stage) -> BatchSettings:
        """Take the settings of a stage."""
        return cls(stage.batch_size, stage.batch_tokens, stage.bucketing)


def stage_seed(stage: Stage, index: int, seed: int) -> int:
    """Return the seed of a stage's order, dropout and re-initialisation.

    Parameters
    ----------
    stage
        The stage; its own seed is taken if it names one.
    index
        Its place among the stages that are executed, from 0. The first has the run's seed.
    seed
        The run's seed, from which later stages derive theirs.
    """
    if stage.seed is not None:
        return stage.seed
    return seed if index == 0 else int(np.random.SeedSequence([seed, index]).generate_state(1, np.uint32)[0])


def plan_epoch(lengths: Sequence[int] | np.ndarray, settings: BatchSettings, seed: int, epoch: int) -> list[np.ndarray]:
    """Divide one epoch into optimiser steps.

    Parameters
    ----------
    lengths
        Sub-words of each example.
    settings
        Size or token budget, and bucketing.
    seed, epoch
        What the order depends on.

    Returns
    -------
    list of numpy.ndarray
        For every optimiser step the indices of its examples; each example occurs exactly once. An example longer
        than the
        token budget makes up a step of its own.
    """
    sizes = np.asarray(lengths, dtype=np.int64)
    rng = np.random.default_rng([0xB17C, seed, epoch])
    order = rng.permutation(len(sizes))
    if settings.bucketing:
        noise = rng.random(len(sizes)) * (JITTER_TOKENS + JITTER_SHARE * sizes)
        if settings.tokens is None:
            per_step = settings.size
        else:
            per_step = max(1, int(settings.tokens / max(1.0, float(sizes.mean()) if len(sizes) else 1.0)))
        chunk = per_step * CHUNK
        keys = (sizes + noise)[order]
        order = np.concatenate(
            [
                order[at : at + chunk][np.argsort(keys[at : at + chunk], kind="stable")]
                for at in range(0, len(order), chunk)
            ]
            or [order]
        )
    batches = _by_tokens(order, sizes, settings.tokens) if settings.tokens else _by_size(order, settings.size)
    if settings.bucketing:
        batches = [batches[index] for index in rng.permutation(len(batches))]
    return batches


def _by_size(order: np.ndarray, size: int) -> list[np.ndarray]:
    return [order[at : at + size] for at in range(0, len(order), size)]


def _by_tokens(order: np.ndarray, sizes: np.ndarray, budget: int) -> list[np.ndarray]:
    batches: list[np.ndarray] = []
    start, longest = 0, 0
    for at, index in enumerate(order):
        grown = max(longest, int(sizes[index]))
        if at > start and grown * (at + 1 - start) > budget:
            batches.append(order[start:at])
            start, grown = at, int(sizes[index])
        longest = grown
    if start < len(order):
        batches.append(order[start:])
    return batches


def micro_batches(batch: np.ndarray, lengths: np.ndarray, parts: int) -> list[np.ndarray]:
    """Divide one optimiser step into at most `parts` micro-batches of near-equal size, sorted by length."""
    if parts <= 1 or len(batch) <= 1:
        return [batch]
    ordered = batch[np.argsort(lengths[batch], kind="stable")]
    return [part for part in np.array_split(ordered, min(parts, len(batch))) if len(part)]


def total_steps(lengths: Sequence[int] | np.ndarray, stage: Stage, seed: int) -> tuple[int, int]:
    """Return (optimiser steps of the whole stage, steps of the first epoch)."""
    settings = BatchSettings.of(stage)
    first = len(plan_epoch(lengths, settings, seed, 0))
    if stage.steps is not None:
        return stage.steps, first
    epochs = stage.epochs or 1.0
    whole = int(epochs)
    rest = epochs - whole
    if settings.tokens is None:  # every epoch has the same number of steps
        steps = whole * first
        last = first
    else:
        counts = [first] + [len(plan_epoch(lengths, settings, seed, epoch)) for epoch in range(1, whole)]
        steps = sum(counts[:whole])
        last = len(plan_epoch(lengths, settings, seed, whole)) if rest > 0 and whole else first
    if rest > 1e-9:
        steps += math.ceil(rest * last - 1e-9)
    return max(1, steps), first


def iterate(
    lengths: Sequence[int] | np.ndarray, stage: Stage, seed: int, *, epoch: int = 0, index: int = 0
) -> Iterator[tuple[int, int, int, np.ndarray]]:
    """Yield (epoch, index, steps of that epoch, examples) without end, from a position on."""
    settings = BatchSettings.of(stage)
    while True:
        batches = plan_epoch(lengths, settings, seed, epoch)
        if not batches:
            return
        for at in range(index, len(batches)):
            yield epoch, at, len(batches), batches[at]
        epoch, index = epoch + 1, 0


def evaluation_batches(lengths: Sequence[int] | np.ndarray, budget: int) -> list[np.ndarray]:
    """Sort by length, longest first (memory runs out at once or never), and cut at a token budget."""
    sizes = np.asarray(lengths, dtype=np.int64)
    return _by_tokens(np.argsort(-sizes, kind="stable"), sizes, budget) if len(sizes) else []
