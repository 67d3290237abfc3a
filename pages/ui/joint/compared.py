"""How often a joint run compares its tasks' gradients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from core.config.joint import JointPlan

__all__ = ["compared_every"]


def compared_every(plan: Mapping[str, Any]) -> int | None:
    """Return the steps from one comparison to the next, 0 for never; None where the plan is of another version."""
    try:
        return JointPlan.model_validate(dict(plan)).monitored
    except ValidationError:
        return None
