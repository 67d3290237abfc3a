"""Changes of a plan, each a function from a plan to a plan."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from core.config import Plan

__all__ = [
    "accumulate", "add_range_test", "changes", "clip_at", "cut_rates", "evaluate_every", "head_rate", "keep_all_rows",
    "longer", "max_length", "set_data", "set_stage", "stop_early", "warm_up", "weigh_classes",
]  # fmt: skip

_Change = Callable[[Plan], Plan]
#: Not settings that a remedy changes.
_NAMES = ("name", "tags", "version")


def changes(before: Plan, after: Plan) -> dict[str, Any]:
    """Return the keys whose values differ, with the new value; a list of another length as a whole."""
    found: dict[str, Any] = {}

    def walk(old: Any, new: Any, key: str) -> None:
        if isinstance(old, dict) and isinstance(new, dict):
            for name in new:
                walk(old.get(name), new[name], f"{key}.{name}" if key else name)
        elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
            for at, (one, other) in enumerate(zip(old, new, strict=True)):
                walk(one, other, f"{key}.{at}")
        elif old != new:
            found[key] = new

    walk(before.model_dump(mode="json"), after.model_dump(mode="json"), "")
    return {key: value for key, value in found.items() if key not in _NAMES}


def set_stage(index: int, **values: Any) -> _Change:
    """Change fields of one stage."""

    def change(plan: Plan) -> Plan:
        data = plan.model_dump(mode="json")
        data["stages"][index].update(values)
        return Plan.model_validate(data)

    return change


def set_data(**values: Any) -> _Change:
    """Change fields of the data."""

    def change(plan: Plan) -> Plan:
        data = plan.model_dump(mode="json")
        data["data"].update(values)
        return Plan.model_validate(data)

    return change


def cut_rates(index: int, factor: float) -> _Change:
    """Multiply all learning rates of a stage, those of groups too; also raises them."""

    def change(plan: Plan) -> Plan:
        data = plan.model_dump(mode="json")
        stage = data["stages"][index]
        for holder in (stage, *stage["groups"]):
            for key in ("lr", "head_lr"):
                if holder.get(key) is not None:
                    holder[key] = float(f"{min(holder[key] * factor, 10.0):.3g}")
        stage["lr_from"] = None
        return Plan.model_validate(data)

    return change


def head_rate(index: int, rate: float) -> _Change:
    """Give the head a rate of its own."""
    return set_stage(index, head_lr=rate)


def add_range_test(index: int) -> _Change:
    """Put a range test in front of a stage, which takes its suggestion."""

    def change(plan: Plan) -> Plan:
        data = plan.model_dump(mode="json")
        taken = {stage["name"] for stage in data["stages"]}
        name = next(name for name in ("find rate", *(f"find rate {at}" for at in range(2, 99))) if name not in taken)
        stage = data["stages"][index]
        test = {**stage, "name": name, "kind": "range_test", "gate": None, "head_lr": None, "lr_from": None}
        stage["lr_from"] = name
        data["stages"].insert(index, test)
        return Plan.model_validate(data)

    return change


def warm_up(index: int, share: float) -> _Change:
    """Lengthen the warm-up to a share of the steps."""

    def change(plan: Plan) -> Plan:
        data = plan.model_dump(mode="json")
        schedule = data["stages"][index]["schedule"]
        schedule["warmup"] = share
        if schedule["name"] == "constant":
            schedule["name"] = "constant_with_warmup"
        return Plan.model_validate(data)

    return change


def stop_early(index: int, patience: int, *, metric: str | None = None) -> _Change:
    """Stop after some evaluations without improvement; with a metric, judge by it."""

    def change(plan: Plan) -> Plan:
        data = plan.model_dump(mode="json")
        data["stages"][index]["early_stopping"]["patience"] = patience
        if metric is not None:
            data["stages"][index]["metric"] = metric
        return Plan.model_validate(data)

    return change


def longer(index: int, factor: float) -> _Change:
    """Train a stage longer."""

    def change(plan: Plan) -> Plan:
        stage = plan.stages[index]
        if stage.steps is not None:
            return set_stage(index, steps=max(1, round(stage.steps * factor)))(plan)
        return set_stage(index, epochs=round((stage.epochs or 1.0) * factor, 3))(plan)

    return change


def weigh_classes(index: int) -> _Change:
    """Weight the classes against their frequency."""
    return set_stage(index, class_weights="balanced")


def clip_at(index: int, norm: float) -> _Change:
    """Clip the gradient at another norm."""
    return set_stage(index, clip_norm=norm)


def evaluate_every(index: int, steps: int) -> _Change:
    """Evaluate every so many steps."""
    return set_stage(index, eval_every=steps)


def accumulate(index: int, times: int) -> _Change:
    """Make a step of several micro-batches: the same batch in less memory."""

    def change(plan: Plan) -> Plan:
        return set_stage(index, accumulation=plan.stages[index].accumulation * times)(plan)

    return change


def max_length(length: int) -> _Change:
    """Let texts be longer before they are cut."""

    def change(plan: Plan) -> Plan:
        data = plan.model_dump(mode="json")
        data["model"]["max_length"] = length
        return Plan.model_validate(data)

    return change


def keep_all_rows() -> _Change:
    """Use all training rows."""
    return set_data(train_rows=None)
