"""Which strategies of a comparison have heads that point, for which tasks."""

from __future__ import annotations

from core.config.compared import task_of
from core.config.comparison import Comparison
from core.data.tasks.pointer_view import points

__all__ = ["pointing_strategies"]


def pointing_strategies(config: Comparison) -> dict[str, list[str]]:
    """Return the tasks of each strategy whose heads point; strategies without any are left out.

    Parameters
    ----------
    config
        The comparison.
    """
    found: dict[str, list[str]] = {}
    for strategy in config.strategies:
        for task in config.tasks:
            if points(task_of(strategy, task)):
                found.setdefault(strategy.name, []).append(task.name)
    return found
