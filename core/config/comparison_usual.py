"""What a comparison's stage and runtime are where nothing is said, and values of which only some are given."""

from __future__ import annotations

from typing import Any

from core.config.plan import RuntimeConfig
from core.config.stage_parts import GuardConfig, ScheduleConfig
from core.config.stages import Stage

__all__ = ["apart", "over", "usual_runtime", "usual_stage"]


def usual_stage() -> Stage:
    """Return the stage that strategies share where a comparison says nothing."""
    # A loss that explodes but is a number is a result; without numbers there is nothing to go on with.
    return Stage(
        lr=3e-4, head_lr=1e-3, batch_size=32, schedule=ScheduleConfig(name="linear", warmup=0.1),
        guards=GuardConfig(nan=True, explode_factor=None),
    )  # fmt: skip


def usual_runtime() -> RuntimeConfig:
    """Return the runtime of runs that are compared."""
    # One precision for all runs: a timing must not decide which strategy wins.
    return RuntimeConfig(precision="fp32")


def over(values: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return values with some changed; of a part (``schedule``) the fields that are not given stay."""
    changed = dict(values)
    for name, value in changes.items():
        kept = values.get(name)
        changed[name] = {**kept, **value} if isinstance(kept, dict) and isinstance(value, dict) else value
    return changed


def apart(values: dict[str, Any], usual: dict[str, Any]) -> dict[str, Any]:
    """Return what :func:`over` needs to make values of the usual ones."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        kept = usual.get(name)
        if isinstance(kept, dict) and isinstance(value, dict):
            value = {key: one for key, one in value.items() if key not in kept or kept[key] != one}
            if value:
                found[name] = value
        elif value != kept:
            found[name] = value
    return found
