"""The loss guard of several tasks: losses of different height are watched apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from core.training.guards import LossGuard

__all__ = ["TaskLossGuard"]


@dataclass
class TaskLossGuard(LossGuard):
    """A :class:`core.training.guards.LossGuard` for every task, and one for steps of all.

    Parameters
    ----------
    config
        The guards.
    tasks_at
        Which tasks a step, from 1, has.
    """

    tasks_at: Callable[[int], tuple[int, ...]] = lambda step: (0,)
    _guards: dict[str, LossGuard] = field(default_factory=dict)

    def observe(self, step: int, loss: float, grad_norm: float | None = None) -> None:
        """Take one step's loss and gradient norm.

        Raises
        ------
        TrainingDiverged
            If a guard holds.
        """
        self._guard(",".join(map(str, self.tasks_at(step)))).observe(step, loss, grad_norm)

    def _guard(self, key: str) -> LossGuard:
        return self._guards.setdefault(key, LossGuard(self.config))

    def state_dict(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        return {key: guard.state_dict() for key, guard in self._guards.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take the state of a checkpoint."""
        self._guards = {}
        for key, one in state.items():
            self._guard(key).load_state_dict(one)
