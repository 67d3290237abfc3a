"""A run's decision log: what was decided, by which rule, on which evidence, in words that a table can show."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from core.runs.records import EventRecord

__all__ = ["COLUMNS", "action_words", "decisions", "decisions_csv", "evidence_words", "rule_words"]

_RULES = {
    "choice": "choice by timing", "gate": "gate", "guard": "guard", "raise_if": "steady loss", "plateau": "plateau",
    "early_stopping": "early stopping", "budget": "budget", "range_test": "range test", "search": "search",
    "retries": "no retry left", "person": "a person",
}  # fmt: skip
_ACTIONS = {
    "train": "train", "promote": "promote", "repeat": "repeat at higher rates", "cut": "cut the rates",
    "raise": "raise the rates", "rollback": "roll back", "continue": "go on", "stop": "stop", "fail": "fail",
    "suggest": "suggest a rate", "lower": "lower the rates", "change": "change",
}  # fmt: skip
#: Columns of the table and of the CSV file.
COLUMNS = ("when", "step", "stage", "attempt", "rule", "evidence", "action", "lr_scale", "message")
#: Entries of evidence that say nothing to people, or that another entry says already.
_SILENT = frozenset({"rule", "timings", "trained_rows"})


def decisions(events: Iterable[EventRecord]) -> list[dict[str, Any]]:
    """Return the decisions among a run's events, in order.

    Returns
    -------
    list of dict
        ``time`` (seconds since the epoch), ``step`` (of the run), ``stage`` (name, or None where it concerns the run),
        ``index`` (of the stage among those that are executed), ``attempt``, ``rule``, ``action``, ``evidence`` (plain
        data), ``words`` (the evidence in words), ``lr_scale`` (what the stage's rates are multiplied by afterwards) and
        ``message``.
    """
    return [_decision(event) for event in events if event.kind == "decision"]


def _decision(event: EventRecord) -> dict[str, Any]:
    data = event.data
    if "rule" not in data:  # choices of the cache, and whatever runs of earlier versions decided
        lowered = event.message.startswith("No improvement")
        data = {"rule": "plateau" if lowered else "choice", "action": "lower" if lowered else "train", "evidence": data}
    evidence = data.get("evidence") or {}
    step = data.get("step")
    return {
        "time": event.time, "step": event.step if event.step is not None else step, "stage": data.get("stage"),
        "index": data.get("index"), "attempt": data.get("attempt"), "rule": str(data["rule"]),
        "action": str(data.get("action", "")), "evidence": evidence,
        "words": evidence_words(str(data["rule"]), evidence), "lr_scale": data.get("lr_scale"),
        "message": event.message,
    }  # fmt: skip


def rule_words(rule: str) -> str:
    """Return what people call a rule."""
    return _RULES.get(rule, rule.replace("_", " "))


def action_words(action: str) -> str:
    """Return what people call an action."""
    return _ACTIONS.get(action, action.replace("_", " "))


def evidence_words(rule: str, evidence: Mapping[str, Any]) -> str:
    """Return the numbers that a decision was made of, in words."""
    if rule in ("gate", "retries") and {"metric", "value", "reference"} <= set(evidence):
        return _gate(evidence)
    if rule == "raise_if" and {"loss", "previous", "variation"} <= set(evidence):
        return (
            f"mean loss {_value(evidence['loss'])} after {_value(evidence['previous'])}, gradient norm varies by "
            f"{_value(evidence['variation'])} of its mean"
        )
    if rule == "person" and {"before", "after"} <= set(evidence):
        before = evidence["before"]
        return ", ".join(
            f"{name} {_value(before.get(name))} → {_value(one)}" for name, one in evidence["after"].items()
        )
    return "; ".join(f"{name.replace('_', ' ')} {_value(value)}" for name, value in evidence.items()
                     if name not in _SILENT and value not in (None, {}, []))  # fmt: skip


def _gate(evidence: Mapping[str, Any]) -> str:
    low, high = evidence.get("low"), evidence.get("high")
    words = f"{str(evidence['metric']).removeprefix('gate/')} {_value(evidence['value'])}"
    if low is not None:
        words += f" ({_value(low)} to {_value(high)})" if high is not None else f" (from {_value(low)})"
    words += f" against {_value(evidence['reference'])}"
    if evidence.get("min_delta"):
        words += f", by more than {_value(evidence['min_delta'])}"
    return words + (", lower end of the interval" if evidence.get("rule") == "lower" else "")


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_value(part)}" for name, part in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_value(part) for part in value)
    return "–" if value is None else str(value)


def decisions_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return decisions as CSV with the columns :data:`COLUMNS`; a cell that a spreadsheet would compute is quoted."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for row in rows:
        when = datetime.fromtimestamp(row["time"], UTC).isoformat(timespec="milliseconds")
        cells = (
            when, row["step"], row["stage"], row["attempt"], row["rule"], row["words"], row["action"], row["lr_scale"],
            row["message"],
        )  # fmt: skip
        writer.writerow([_cell(cell) for cell in cells])
    return out.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return f"'{value}"
    return "" if value is None else value
