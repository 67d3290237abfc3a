"""Training: the loop and what surrounds it. Importing this package imports no torch; calling its functions does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.training.context import MemoryContext, Outcome, Request, RunContext

if TYPE_CHECKING:
    from core.config import Plan

__all__ = [
    "MemoryContext",
    "Outcome",
    "Request",
    "RunContext",
    "count_steps",
    "curve",
    "dry_run",
    "plan_curve",
    "train",
]


def train(plan: Plan, context: RunContext, *, resume: bool = True) -> Outcome:
    """Execute a plan; see :func:`core.training.loop.train`."""
    from core.training.loop import train as run

    return run(plan, context, resume=resume)


def dry_run(plan: Plan, *, cache: Path) -> dict[str, Any]:
    """Estimate time and memory of a plan by a few real steps; see :func:`core.training.estimate.dry_run`."""
    from core.training.estimate import dry_run as run

    return run(plan, cache=cache)


def count_steps(plan: Plan, *, cache: Path) -> dict[str, Any]:
    """Count a plan's optimiser steps without its weights; see :func:`core.training.counting.count_steps`."""
    from core.training.counting import count_steps as run

    return run(plan, cache=cache)


def curve(plan: Plan, steps: int, *, layers: int | None = None) -> dict[str, dict[str, list[float]]]:
    """Return the learning rate of each group in the first stage; see :func:`core.training.curves.curve`."""
    from core.training.curves import curve as run

    return run(plan, steps, layers=layers)


def plan_curve(plan: Plan, stage_steps: Any, layers: int | None = None, *, points: int | None = 400) -> dict[str, Any]:
    """Return the learning rates of all stages with their bounds; see :func:`core.training.curves.plan_curve`."""
    from core.training.curves import plan_curve as run

    return run(plan, stage_steps, layers, points=points)
