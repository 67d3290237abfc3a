"""The steps since the last logged one: kept as tensors, turned into numbers in one transfer."""

from __future__ import annotations

import math
from typing import Any

import torch

__all__ = ["Window"]


class Window:
    """What is known of the steps that were not logged yet."""

    def __init__(self) -> None:
        self.steps: list[dict[str, Any]] = []

    def add(
        self,
        loss: torch.Tensor,
        norm: torch.Tensor,
        *,
        step: int,
        examples: int,
        tokens: int,
        rates: dict[str, float],
        seconds: float,
        told: dict[str, torch.Tensor] | None = None,
    ) -> None:
        """Note one step: mean loss and gradient norm of shape (), sizes, rates by group, seconds, further series."""
        self.steps.append(
            {
                "step": step, "loss": loss, "norm": norm, "examples": examples, "tokens": tokens, "rates": rates,
                "seconds": seconds, "judged": False, "told": told or {},
            }
        )  # fmt: skip

    def settle(self) -> None:
        """Turn tensors into numbers: one transfer, not one a step."""
        pending = [item for item in self.steps if isinstance(item["loss"], torch.Tensor)]
        if not pending:
            return
        rows = [torch.stack([item["loss"], item["norm"], *item["told"].values()]).float() for item in pending]
        values = torch.cat(rows).tolist()
        for item in pending:
            size = 2 + len(item["told"])
            item["loss"], item["norm"], *told = values[:size]
            item["told"] = dict(zip(item["told"], told, strict=True))
            del values[:size]

    def unjudged(self) -> list[dict[str, Any]]:
        """Return the steps, as numbers, that no guard has seen yet, and mark them as seen."""
        self.settle()
        found = [item for item in self.steps if not item["judged"]]
        for item in found:
            item["judged"] = True
        return found

    def close(self) -> dict[str, float]:
        """Return the means over the window by series name, and begin a new one."""
        self.settle()
        steps, self.steps = self.steps, []
        seconds = max(sum(item["seconds"] for item in steps), 1e-9)
        return {
            "train/loss": math.fsum(item["loss"] for item in steps) / len(steps),
            "train/grad_norm": math.fsum(item["norm"] for item in steps) / len(steps),
            "train/examples_per_s": sum(item["examples"] for item in steps) / seconds,
            "train/tokens_per_s": sum(item["tokens"] for item in steps) / seconds,
            **{f"lr/{name}": rate for name, rate in steps[-1]["rates"].items()},
            **{
                name: _mean(steps, name)
                for name in dict.fromkeys(name for one in steps for name in one.get("told", ()))
            },
        }


def _mean(steps: list[dict[str, Any]], name: str) -> float:
    found = [step["told"][name] for step in steps if name in step.get("told", ())]
    return math.fsum(found) / len(found)
