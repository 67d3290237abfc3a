"""What a person sees of, and says to, a run that learns from a teacher: changed values, pins, what was seen of it.

Plain files in the run's folder, without torch: ``pins.json`` is written here and read by the worker; ``watched.jsonl``
is written by the worker and read here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.config.distillation import DistillationConfig
from core.errors import RunError
from core.runs.records import RunRecord

__all__ = ["learns", "trains_now"]


def learns(plan: Mapping[str, Any]) -> bool:
    """Whether a stage of a plan that is executed learns from a teacher."""
    return any(one.get("kind") == "distil" and one.get("enabled", True) for one in plan.get("stages") or [])


def trains_now(record: RunRecord) -> tuple[int, DistillationConfig]:
    """Return the stage that trains now, and how it learns from its teacher.

    Returns
    -------
    (int, DistillationConfig)
        Its place among the stages that are executed, from 0, and its config.

    Raises
    ------
    RunError
        If no stage of the run has a teacher, none trains yet, or the one that does has none.
    """
    where = f"run {record.id}"
    if record.kind != "train" or not learns(record.plan):
        raise RunError(
            f"The run {record.name!r} learns from no teacher: it has no temperature, alpha or lambda.", where=where,
            expected="a plan with a stage of kind distil",
        )  # fmt: skip
    active = [one for one in record.plan["stages"] if one.get("enabled", True)]
    index = record.progress.get("stage")
    if not isinstance(index, int) or index >= len(active):
        raise RunError(
            f"The run {record.name!r} has not begun to train.", where=where, expected="a stage with a teacher that "
            "trains", advice="Wait for its first step, or change the plan and start it again.",
        )  # fmt: skip
    stage = active[index]
    if stage.get("kind") != "distil":
        raise RunError(
            f"The stage {stage.get('name')!r} that trains now has no teacher.", where=where,
            expected="a stage of kind distil", advice="Wait until such a stage trains.",
        )  # fmt: skip
    return index, DistillationConfig.model_validate(stage["distil"])
