"""Weights of the tasks' losses: all 1, given, or learnt as uncertainties."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from core.config.joint import JointPlan
from core.training.groups import GroupSpec

__all__ = ["GROUP", "PREFIX", "LossWeights"]

#: Name of the learnt weights' parameter group, and what the names of all of them begin with.
GROUP, PREFIX = "loss weights", "joint.log_variance."


class LossWeights:
    """What each task's loss is multiplied by.

    With uncertainty task i has a learnt s_i = log σ_i², at first 0, and a step on its loss L minimises
    exp(−s_i) · L + s_i / 2. That is equation 10 of Kendall et al. for a likelihood of classes: its gradient with
    respect to s_i, ½ − exp(−s_i) · L, is 0 where the weight is 1 / (2 L), so a task of high loss counts for less.

    Parameters
    ----------
    plan
        The plan.
    device
        Where learnt weights shall be.

    References
    ----------
    Kendall, Gal & Cipolla (2018), Multi-Task Learning Using Uncertainty to Weigh Losses, CVPR.
    """

    def __init__(self, plan: JointPlan, device: torch.device):
        self._rate = plan.mixing.weights_lr
        self._fixed: Sequence[float] = [
            one.weight if plan.mixing.weights == "fixed" else 1.0 for one in plan.tasks
        ]  # fmt: skip
        self.learnt: dict[str, torch.nn.Parameter] = {}
        if plan.mixing.weights == "uncertainty":
            self.learnt = {
                f"{PREFIX}{index}": torch.nn.Parameter(torch.zeros((), device=device))
                for index in range(len(plan.tasks))
            }
        self._device = device

    def group(self) -> list[GroupSpec]:
        """Return the parameter group of learnt weights, without weight decay; none where nothing is learnt."""
        return [GroupSpec(GROUP, self._rate, 0.0, list(self.learnt))] if self.learnt else []

    def scale(self, task: int) -> torch.Tensor | None:
        """Return a task's weight, shape (), through which a gradient flows where it is learnt; None for 1."""
        if self.learnt:
            return torch.exp(-self.learnt[f"{PREFIX}{task}"])
        return None if self._fixed[task] == 1.0 else torch.tensor(self._fixed[task], device=self._device)

    def price(self, task: int, times: torch.Tensor | None) -> None:
        """Add the gradient of s / 2, times a number of shape () where one is given, by which it is divided later."""
        if self.learnt:
            half = self.learnt[f"{PREFIX}{task}"] / 2
            (half if times is None else half * times).backward()

    def weighted(self, task: int, loss: torch.Tensor) -> torch.Tensor:
        """Return what a step minimises of a task's loss, shape (), without a gradient."""
        with torch.no_grad():
            scale = self.scale(task)
            if scale is None:
                return loss
            return scale * loss + (self.learnt[f"{PREFIX}{task}"] / 2 if self.learnt else 0.0)

    def values(self, count: int) -> list[float]:
        """Return the weights as they are, of so many tasks."""
        with torch.no_grad():
            found = [self.scale(task) for task in range(count)]
        return [1.0 if one is None else float(one) for one in found]
