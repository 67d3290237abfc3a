"""Search as a stage: proposals by Optuna, trials as runs of their own, a history that a search goes on from."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.config import Stage
    from core.training.kinds import StageOutcome
    from core.training.run import Run

__all__ = ["run_stage"]


def run_stage(run: Run, stage: Stage, index: int) -> StageOutcome:
    """Execute a stage of kind ``search``; see :func:`core.training.search.execute.run_stage`."""
    from core.training.search.execute import run_stage as execute

    return execute(run, stage, index)
