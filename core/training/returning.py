"""Restore points of a stage: when they are written, and which of them a decision goes back to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from core.config import Stage
from core.training.attempt import Attempt
from core.training.checkpoints import restore_random_state
from core.training.gates import better
from core.training.judging import Judging
from core.training.kinds import StageOutcome
from core.training.session import Session

if TYPE_CHECKING:
    from core.training.run import Run

__all__ = ["Returning"]


class Returning(Judging):
    """Writes restore points where a decision, or a later stage, may ask for them, and goes back to them.

    Parameters
    ----------
    run, stage, index, session
        As for :class:`~core.training.judging.Judging`.
    """

    def __init__(self, run: Run, stage: Stage, index: int, session: Session):
        super().__init__(run, stage, index, session)
        self.attempt: Attempt
        #: Metrics, step and restore point of the stage's best evaluation.
        self.best: dict[str, Any] | None = None
        self.done: StageOutcome | None = None
        self._wrote_start = False
        self.points_best = self.has_gate_rows and (self.decided or run.is_named(stage.name))
        self.points_start = stage.max_retries > 0 or (
            stage.gate is not None and stage.on_fail not in ("continue", "stop")
        )

    def points(self) -> set[str]:
        """Return the names of the restore points that a decision may still go back to."""
        if self.done is not None:
            return set()
        written = self._wrote_start or self.attempt.own > 0 or self.attempt.number > 1
        found = {self.point("start")} if self.points_start and written else set()
        for best in (self.best, self.attempt.best):
            if best is not None and best.get("point"):
                found.add(best["point"])
        return found

    def point(self, what: str) -> str:
        """Return the name of one of the stage's restore points."""
        return f"{self.index:02d}-{what}"

    def _write_point(self, name: str, *, optimizer: bool = True) -> None:
        session = self.session
        self.run.points.write(
            name, self.run.step, session.trained(), session.optimiser.state_tensors() if optimizer else {},
            {"attempt": self.attempt.state_dict(), "row_decay": session.row_decay},
        )  # fmt: skip
        self.run.points.keep(self.run.needed_points())

    def restore(self, name: str, *, whole: bool) -> None:
        """Go back to a restore point: its weights, and with `whole` everything else, bit for bit."""
        point = self.run.points.load(name, self.session.prepared.device)
        self.session.put(point.tensors, point.state["row_decay"])
        if whole:
            self.session.optimiser.load_state_tensors(point.optimizer)
            self.attempt.load_state_dict(point.state["attempt"])
            restore_random_state(point.random, point.state["random"])

    def back(self) -> tuple[str | None, str]:
        """Return the restore point worth going back to, and its name in words.

        That is the stage's best evaluation, unless nothing had been learnt by then: it must be better than the start
        and than the majority.
        """
        best = self.best
        if best is not None and best.get("point"):
            value = best["value"]
            start = None if self.start is None else self.start[self.metric]
            if (start is None or better(value, start, self.metric)) and self.above_majority(value):
                return best["point"], f"its best weights (step {best['step']})"
        return (self.point("start") if self.points_start else None), "its start"

    def _keep_for_later(self) -> None:
        """Write the weights of the best evaluation as a point from which a later stage can begin."""
        now = {name: tensor.clone() for name, tensor in self.session.trained().items()}
        decay = self.session.row_decay
        if self.best is not None and self.best.get("point"):
            self.restore(self.best["point"], whole=False)
        else:
            self.run.event(
                "warning", f"No evaluation of {self.stage.name} gave a number: its last weights are kept for the "
                "stages that begin with its best ones.", step=self.run.step,
            )  # fmt: skip
        self.run.write_kept(self.stage.name, self.index)
        self.session.put(now, decay)
