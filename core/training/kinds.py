"""Kinds of stages: one line each, a name and the function that executes it; docs/stages.md says what it is given."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from core.config import Stage
from core.errors import ConfigError

if TYPE_CHECKING:
    from core.training.run import Run

__all__ = ["KINDS", "StageOutcome", "check_kind", "executor"]

KINDS: dict[str, str] = {
    "train": "core.training.stage:run_stage",
    "range_test": "core.training.range_stage:run_stage",
    "search": "core.training.search:run_stage",
    "distil": "core.training.stage:run_stage",
}


@dataclass
class StageOutcome:
    """What a stage leaves.

    Parameters
    ----------
    outcome
        ``promoted``, ``rolled back``, ``continued``, ``stopped``, ``suggested``, ``searched`` or ``finished``.
    entry
        What results.json says of the stage beside name, kind, index and outcome.
    suggestion
        A range test's: ``lr``, and ``head_lr`` where the head was tested alone.
    metrics
        Gate metrics of the weights that the stage leaves, where they may be the run's best.
    stop
        Whether the run ends with this stage.
    """

    outcome: str
    entry: dict[str, Any] = field(default_factory=dict)
    suggestion: dict[str, Any] | None = None
    metrics: dict[str, float] | None = None
    stop: bool = False


def check_kind(kind: str, where: str) -> None:
    """Refuse a kind whose module is not there.

    Raises
    ------
    ConfigError
        If this build of Bertloom cannot execute it.
    """
    module, _, _ = KINDS[kind].partition(":")
    if importlib.util.find_spec(module) is None:
        raise ConfigError(
            f"Stages of kind {kind} cannot be executed by this version.",
            where=f"{where}.kind",
            expected=", ".join(name for name, path in KINDS.items() if importlib.util.find_spec(path.split(":")[0])),
        )


def executor(kind: str) -> Callable[[Run, Stage, int], StageOutcome]:
    """Import the function that executes a kind of stage."""
    module, _, function = KINDS[kind].partition(":")
    found: Callable[[Run, Stage, int], StageOutcome] = getattr(importlib.import_module(module), function)
    return found
