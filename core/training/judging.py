"""What a stage is judged by: its metrics, what its gate compares with, what an evaluation says of both."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from core.config import Stage
from core.training.gates import better, passes
from core.training.intervals import score_of
from core.training.session import Scored, Session

if TYPE_CHECKING:
    from core.training.run import Run

__all__ = ["Judging"]

#: With fewer gate rows a gate decides on noise, which is told.
_FEW_ROWS = 100


class Judging:
    """Scores the weights of a stage and sees what its gate says of them.

    Parameters
    ----------
    run
        The run, or a trial.
    stage
        The stage, with the values that it is executed with.
    index
        Its place among the stages that are executed, from 0.
    session
        The stage as it was built on the model.
    """

    def __init__(self, run: Run, stage: Stage, index: int, session: Session):
        self.run, self.stage, self.index, self.session = run, stage, index, session
        task = session.prepared.task
        self.metric = stage.metric or task.primary_metric
        self.gate_metric = self.metric if stage.gate is None else stage.gate.metric or self.metric
        self.has_gate_rows = "gate" in session.prepared.encoded
        #: Whether anything is decided after an attempt.
        self.decided = stage.gate is not None or stage.max_retries > 0
        #: Metrics before the first step, and before the attempt that the gate now judges.
        self.start: dict[str, float] | None = None
        self.began_with: dict[str, float] | None = None
        self.gate_seconds = 0.0

    def score_start(self) -> None:
        """Score the weights that the stage begins with."""
        self._warn_of_few_rows()
        self.run.phase("evaluating")
        scored = self.score()
        self.start = {name: float(value) for name, value in scored.evaluation.metrics.items()}
        self.began_with = self.start
        words = f"gate/{self.metric} {self.start[self.metric]:.4f} before stage {self.stage.name}."
        self.run.event("eval", words, step=self.run.step, data={**self.start, "before": self.stage.name})

    def _warn_of_few_rows(self) -> None:
        rows = len(self.session.prepared.roles.gate)
        if self.stage.gate is not None and rows < _FEW_ROWS:
            self.run.event(
                "warning", f"The gate of {self.stage.name} decides on {rows} rows only: a share of one half has a 95 % "
                f"interval of ± {100 * 0.98 / math.sqrt(rows):.0f} points.", step=self.run.step, data={"rows": rows},
            )  # fmt: skip

    def score(self) -> Scored:
        """Evaluate the weights as they are on the gate rows, with intervals where the gate needs them."""
        gate = self.stage.gate
        details = gate is not None and gate.rule == "lower" and self.gate_metric != "accuracy"
        scored = self.session.score(details=details, check=self.run.check)
        self.gate_seconds += scored.seconds
        return scored

    def gate_seen(self, scored: Scored) -> dict[str, Any] | None:
        """Return the gate's evidence on an evaluation, with ``passed``; None without a gate."""
        gate = self.stage.gate
        if gate is None:
            return None
        score = score_of(scored.evaluation, self.gate_metric, len(self.session.prepared.roles.gate))
        reference = self.reference()
        return {
            "metric": f"gate/{self.gate_metric}", **score.as_dict(), "reference": reference,
            "against": gate.reference if isinstance(gate.reference, str) else "number", "min_delta": gate.min_delta,
            "rule": gate.rule, "rows": score.rows, "step": self.run.step,
            "passed": passes(gate, score, reference, self.gate_metric),
        }  # fmt: skip

    def reference(self) -> float | None:
        """Return what the gate compares with."""
        gate = self.stage.gate
        assert gate is not None
        if gate.reference == "start":
            return None if self.began_with is None else self.began_with[self.gate_metric]
        return self.majority(self.gate_metric) if gate.reference == "majority" else float(gate.reference)

    def majority(self, metric: str) -> float | None:
        """Return what a method without a model scores on the gate rows."""
        known = self.run.majorities
        if metric not in known:
            known[metric] = self.session.majority(metric)
        return known[metric]

    def above_majority(self, value: float, metric: str | None = None) -> bool:
        """Return whether a value of the stage's metric is better than the majority's; True where that has none."""
        metric = metric or self.metric
        other = self.majority(metric)
        return other is None or better(value, other, metric)
