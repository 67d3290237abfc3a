"""The decision log: what a run decided, by which rule, on which evidence. Plain data, without torch."""

from __future__ import annotations

import math
from typing import Any

from core.config import Stage
from core.training.gates import Decision

__all__ = ["ACTIONS", "RULES", "decision", "gate_words", "guard_words", "number_words"]

RULES = (
    "choice", "gate", "guard", "raise_if", "plateau", "early_stopping", "budget", "range_test", "search", "retries",
    "person",
)  # fmt: skip
ACTIONS = (
    "train", "promote", "repeat", "cut", "raise", "rollback", "continue", "stop", "fail", "suggest", "lower",
    "change",
)  # fmt: skip


def decision(
    number: int,
    stage: Stage,
    index: int,
    *,
    attempt: int,
    rule: str,
    action: str,
    evidence: dict[str, Any],
    lr_scale: float,
    step: int,
) -> dict[str, Any]:
    """Return the data of one decision; docs/stages.md lists it.

    Raises
    ------
    ValueError
        If rule or action is none of :data:`RULES` and :data:`ACTIONS`.
    """
    if rule not in RULES or action not in ACTIONS:
        raise ValueError(f"no decision {rule} → {action}")
    return {
        "number": number, "stage": stage.name, "index": index, "attempt": attempt, "rule": rule, "action": action,
        "evidence": _finite(evidence), "lr_scale": lr_scale, "step": step,
    }  # fmt: skip


def _finite(value: Any) -> Any:
    """JSON has no numbers that are not finite: they become null."""
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def number_words(value: float | None) -> str:
    """Return a number as it is read."""
    return "no number" if value is None or math.isnan(value) else f"{value:.4g}"


def _follows(made: Decision, stage: Stage, back: str) -> str:
    scale = f"rates × {number_words(made.scale)}"
    if made.action == "promote":
        return "its best weights go on to the next stage"
    if made.action == "repeat":
        return f"it runs again from its best weights with {scale}"
    if made.action in ("cut", "raise"):
        return f"back to its start, again with {scale}"
    if made.action == "continue":
        return "the next stage begins with the weights as they are"
    if made.action == "stop":
        return "the run ends with what it has"
    if made.action == "fail":
        return "the run fails"
    if made.then == "again":
        return f"back to {back}, on with {scale}"
    return f"back to {back}, then the next stage"


def gate_words(made: Decision, stage: Stage, evidence: dict[str, Any], back: str) -> str:
    """Say in one sentence what a gate saw and what follows."""
    metric, reference = evidence["metric"], number_words(evidence["reference"])
    seen = number_words(evidence["value"])
    if evidence["rule"] == "lower":
        ends = " to ".join(number_words(evidence[name]) for name in ("low", "high"))
        seen += f" ({ends})"
    verb = "passes" if evidence["passed"] else "does not pass"
    beyond = f" by more than {number_words(evidence['min_delta'])}" if evidence["min_delta"] else ""
    words = f"Gate of {stage.name}: {metric} {seen} {verb} {reference}{beyond}"
    spent = " and no retry is left" if made.rule == "retries" else ""
    return f"{words}{spent}; {_follows(made, stage, back)}."


def guard_words(made: Decision, stage: Stage, what: str, back: str) -> str:
    """Say in one sentence what follows from a guard."""
    spent = " No retry is left." if made.rule == "retries" else ""
    return f"{what}{spent} Stage {stage.name}: {_follows(made, stage, back)}."
