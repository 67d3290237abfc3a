"""The learning-rate curve of a plan before it starts: instant, without torch."""

from __future__ import annotations

import functools

from core.config import Plan
from core.errors import BertloomError
from core.training.groups import base_rates
from core.training.schedules import curve_points

__all__ = ["curve", "layer_count"]

_USUAL = 12


@functools.lru_cache(maxsize=64)
def layer_count(source: str, revision: str | None = None) -> int | None:
    """Return the number of layers of a model source from its config, or None if it is not at hand."""
    try:
        from core.models import describe

        return describe(source, revision).layers
    except (BertloomError, OSError):
        return None


def curve(plan: Plan, steps: int, *, layers: int | None = None) -> dict[str, dict[str, list[float]]]:
    """Return what the learning rate of each group will be.

    Parameters
    ----------
    plan
        The plan.
    steps
        Number of optimiser steps.
    layers
        Number of the encoder's layers; None: from the model's config, and 12 if that is not at hand.

    Returns
    -------
    dict
        group → ``{"steps": [...], "lr": [...]}``. The names are those of the series ``lr/<group>``.

    Raises
    ------
    ConfigError
        If the schedule's options or the freezing do not fit.
    """
    stage = plan.stages[0]
    count = layers or layer_count(plan.model.source, plan.model.revision) or _USUAL
    return curve_points(stage, base_rates(stage, count), max(1, steps))
