"""What watches a run: divergence guards, early stopping, the best evaluation. Plain state, no torch."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from core.config import EarlyStopping, GuardConfig
from core.errors import TrainingDiverged

__all__ = ["BestKeeper", "LossGuard", "SingleClassGuard", "judge_entropy"]


@dataclass
class LossGuard:
    """Stop when the loss is not a number, or its smoothed value grows far beyond the best it had.

    The smoothed loss is an exponential mean over about 20 steps, corrected for its start. Explosion is judged from
    the 20th
    step on: first losses say little.
    """

    config: GuardConfig
    mean: float = 0.0
    seen: int = 0
    best: float | None = None

    _DECAY = 0.95
    _START = 20

    def observe(self, step: int, loss: float, grad_norm: float | None = None) -> None:
        """Take one step's loss and gradient norm.

        Raises
        ------
        TrainingDiverged
            If a guard holds.
        """
        for what, value in (("loss", loss), ("gradient norm", grad_norm)):
            if value is not None and not math.isfinite(value):
                if self.config.nan:
                    raise TrainingDiverged(
                        f"The {what} is {value} at step {step}.",
                        where=f"step {step}",
                        expected="a finite number",
                        advice="Lower the learning rate, lengthen the warm-up, or train in fp32.",
                    )
                return
        self.mean = self._DECAY * self.mean + (1 - self._DECAY) * loss
        self.seen += 1
        smoothed = self.mean / (1 - self._DECAY**self.seen)
        if self.seen < self._START:
            return
        if self.best is None or smoothed < self.best:
            self.best = smoothed
        factor = self.config.explode_factor
        # Losses near zero may grow many-fold and mean nothing: the best is taken to be at least 0.05.
        if factor is not None and smoothed > factor * max(self.best, 0.05):
            raise TrainingDiverged(
                f"The smoothed loss rose to {smoothed:.4g} at step {step}; its best was {self.best:.4g}.",
                where=f"step {step}",
                expected=f"less than {factor:g} times the best",
                advice="Lower the learning rate, lengthen the warm-up, or clip the gradient at a smaller norm.",
            )

    def state_dict(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        return {"mean": self.mean, "seen": self.seen, "best": self.best}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take the state of a checkpoint."""
        self.mean, self.seen, self.best = state["mean"], state["seen"], state["best"]


@dataclass
class SingleClassGuard:
    """Count evaluations in a row that predicted one class only."""

    limit: int | None
    count: int = 0

    def observe(self, step: int, distinct: int, what: str) -> str | None:
        """Take the number of distinct predictions of one evaluation; return a warning or None.

        Raises
        ------
        TrainingDiverged
            If it happened `limit` times in a row.
        """
        if distinct > 1:
            self.count = 0
            return None
        self.count += 1
        times = "1 evaluation" if self.count == 1 else f"{self.count} evaluations in a row"
        message = f"All {what} of the gate rows are predicted as one class ({times})."
        if self.limit is not None and self.count >= self.limit:
            raise TrainingDiverged(
                message,
                where=f"step {step}",
                expected="at least two predicted classes",
                advice="Lower the learning rate, weight the classes, or train longer before judging.",
            )
        return message

    def state_dict(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        return {"count": self.count}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take the state of a checkpoint."""
        self.count = state["count"]


def judge_entropy(config: GuardConfig, step: int, share: float, *, better: bool) -> None:
    """Look at the mean entropy of the predictions: certain of everything and right about nothing is a collapse.

    Parameters
    ----------
    config
        The guards.
    step
        Step of the evaluation.
    share
        Mean entropy of the predictions as a share of its maximum.
    better
        Whether the score is above the majority's.

    Raises
    ------
    TrainingDiverged
        If the guard holds.
    """
    if config.entropy is not None and share < config.entropy and not better:
        raise TrainingDiverged(
            f"The predictions' mean entropy is {share:.2g} of its maximum, and the score is not above the majority's.",
            where=f"step {step}",
            expected=f"at least {config.entropy:g}, or a score above the majority's",
            advice="Lower the learning rate, lengthen the warm-up, or smooth the labels.",
        )


@dataclass
class BestKeeper:
    """Remember the best evaluation and decide when to stop.

    Parameters
    ----------
    metric
        Name of the gate metric.
    config
        Patience and smallest change.
    """

    metric: str
    config: EarlyStopping
    value: float | None = None
    step: int | None = None
    #: What patience compares with: the last value that counted as an improvement.
    reference: float | None = None
    waited: int = 0

    @property
    def maximise(self) -> bool:
        """Whether a larger value is better: all metrics but the loss."""
        return not self.metric.endswith("loss")

    def observe(self, step: int, value: float) -> bool:
        """Take one evaluation; return whether it is the best so far. The first of equals stays."""
        sign = 1.0 if self.maximise else -1.0
        if math.isnan(value):
            self.waited += 1
            return False
        better = self.value is None or sign * value > sign * self.value
        if better:
            self.value, self.step = value, step
        if self.reference is None or sign * value > sign * self.reference + self.config.min_delta:
            self.reference, self.waited = value, 0
        else:
            self.waited += 1
        return better

    @property
    def stop(self) -> bool:
        """Whether patience has run out."""
        return self.config.patience is not None and self.waited >= self.config.patience

    def as_dict(self) -> dict[str, Any] | None:
        """Return metric, value and step for the progress record."""
        return None if self.step is None else {"metric": f"gate/{self.metric}", "value": self.value, "step": self.step}

    def state_dict(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        state = asdict(self)
        return {key: state[key] for key in ("value", "step", "reference", "waited")}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take the state of a checkpoint."""
        self.value, self.step, self.reference, self.waited = (
            state[key] for key in ("value", "step", "reference", "waited")
        )
