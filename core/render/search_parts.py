"""What the figures of a search share: words, axes and colours of trials and their fields."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from core.render.look import safe_text

__all__ = ["faint", "field_axis", "hover", "last_value", "metric_words", "mixed", "parallel_axis", "spread", "way"]


def spread(trial: Mapping[str, Any], objective: int) -> float:
    """Return the standard deviation of an objective over a trial's seeds; 0 with one seed."""
    values = [one[objective] for one in trial["seeds"]]
    if len(values) < 2:
        return 0.0
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))


def last_value(trial: Mapping[str, Any]) -> float:
    """Return the last value that the pruner saw."""
    steps = {int(step): value for step, value in trial["steps"].items()}
    return float(steps[max(steps)])


def hover(trial: Mapping[str, Any], search: Mapping[str, Any]) -> str:
    """Return what is said of a trial when one points at it."""
    lines = [f"<b>trial {trial['number'] + 1}</b>"]
    if trial["repeats"] is not None:
        lines[0] += f" (as trial {trial['repeats'] + 1})"
    if trial["scores"] is not None:
        for at, one in enumerate(search["objectives"]):
            varies = spread(trial, at)
            shown = f"{safe_text(one['metric'])} {trial['scores'][at]:.4g}"
            lines.append(f"{shown} ± {varies:.2g}" if varies else shown)
    elif trial["steps"]:
        lines.append(f"ended early at {last_value(trial):.4g}")
    lines += [f"{safe_text(key, 32)} {safe_text(_value(value))}" for key, value in trial["values"].items()]
    return "<br>".join(lines)


def field_axis(field: Mapping[str, Any], values: Sequence[Any]) -> tuple[list[Any], dict[str, Any]]:
    """Return places on an axis and how the axis is drawn; lists of values stand at whole numbers in their order."""
    if field["kind"] != "choice":
        if field["log"]:
            wide = math.log10(field["high"] / field["low"]) >= 1.5
            return list(values), {"type": "log", "exponentformat": "power", "dtick": 1 if wide else None}
        return list(values), {}
    known = [repr(one) for one in field["choices"]]
    ticks = {"tickvals": list(range(len(known))), "ticktext": [safe_text(_value(one), 14) for one in field["choices"]],
             "range": [-0.5, len(known) - 0.5]}  # fmt: skip
    return [known.index(repr(value)) for value in values], ticks


def parallel_axis(field: Mapping[str, Any], values: Sequence[Any]) -> dict[str, Any]:
    """Return a field's axis among parallel ones, which know no logarithms and no words."""
    label = safe_text(field["key"], 24)
    if field["kind"] == "choice":
        places, ticks = field_axis(field, values)
        return {"label": label, "values": places, "tickvals": ticks["tickvals"], "ticktext": ticks["ticktext"],
                "range": [0, max(len(field["choices"]) - 1, 1)]}  # fmt: skip
    low, high = float(field["low"]), float(field["high"])
    if not field["log"]:
        return {"label": label, "values": list(values), "range": [low, high]}
    bottom, top = math.log10(low), math.log10(high)
    powers: list[float] = list(range(math.ceil(bottom - 1e-9), math.floor(top + 1e-9) + 1)) or [bottom, top]
    return {
        "label": label, "values": [math.log10(value) for value in values], "range": [bottom, top],
        "tickvals": powers, "ticktext": [f"{10.0**power:.0e}" for power in powers],
    }  # fmt: skip


def _value(value: Any) -> str:
    if value is None:
        return "empty"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def metric_words(metric: str) -> str:
    """Return a metric's name as a title begins with it."""
    text = metric.replace("_", " ")
    return text[:1].upper() + text[1:]


def way(objective: Mapping[str, str]) -> str:
    """Say which way an objective is better."""
    return "higher is better" if objective["direction"] == "maximize" else "lower is better"


def _parts(colour: str) -> tuple[int, int, int]:
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return red, green, blue


def faint(colour: str, alpha: float) -> str:
    """Return a colour ``#rrggbb`` with an opacity."""
    red, green, blue = _parts(colour)
    return f"rgba({red},{green},{blue},{alpha})"


def mixed(one: str, other: str) -> str:
    """Return the middle of two colours ``#rrggbb``."""
    return "rgb(" + ",".join(str((a + b) // 2) for a, b in zip(_parts(one), _parts(other), strict=True)) + ")"
