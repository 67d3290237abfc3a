"""What every stage of a plan demands of task, rows and model: checked before the first stage begins."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any

from core.config import Plan, Stage
from core.data.tasks.base import Task
from core.errors import ConfigError
from core.training.groups import resolve
from core.training.kinds import check_kind
from core.training.schedules import rate_function, warmup_steps

__all__ = ["check_labels", "check_length", "check_metrics", "check_model", "located"]


@contextlib.contextmanager
def located(where: str) -> Iterator[None]:
    """Let errors about a schedule name the stage that it belongs to."""
    try:
        yield
    except ConfigError as error:
        if error.where is None or not error.where.startswith("schedule"):
            raise
        raise ConfigError(
            error.what, where=f"{where}.{error.where}", expected=error.expected, advice=error.advice
        ) from error


def _active(plan: Plan) -> Iterator[tuple[str, Stage]]:
    for place, stage in enumerate(plan.stages):
        if stage.enabled:
            yield f"stages.{place}", stage


def check_metrics(plan: Plan, task: Task, *, gate_rows: int) -> None:
    """Check that the task has the metrics that stages name, and that gates have rows to decide on.

    Raises
    ------
    ConfigError
        If not.
    """
    known = tuple(dict.fromkeys((*task.metric_names, "loss")))
    kept = {stage.start_from[5:] for _, stage in _active(plan) if stage.start_from.startswith("best:")}
    for where, stage in _active(plan):
        check_kind(stage.kind, where)
        named = [(f"{where}.metric", stage.metric)]
        if stage.gate is not None:
            named.append((f"{where}.gate.metric", stage.gate.metric))
        if stage.search is not None:
            named += [
                (f"{where}.search.objectives.{place}.metric", objective.metric)
                for place, objective in enumerate(stage.search.objectives)
                if objective.metric not in ("seconds", "parameters")
            ]
        for place_of, metric in named:
            if metric is not None and metric not in known:
                raise ConfigError(f"The task has no metric {metric!r}.", where=place_of, expected=", ".join(known))
        needs = _needs_gate(stage, stage.name in kept)
        if needs is not None and gate_rows == 0:
            raise ConfigError(
                f"The stage {stage.name!r} has {needs}, but there are no gate rows to look at.",
                where=f"{where}.gate" if stage.gate is not None else where,
                expected="data.gate_share above 0, or data.gate_source",
                advice="Carve out some gate rows, or remove what needs them.",
            )


def _needs_gate(stage: Stage, kept: bool) -> str | None:
    """Return what of a stage cannot be decided without gate rows, in words; None if nothing."""
    if stage.gate is not None:
        return "a gate"
    if stage.kind == "search":
        return "a search"
    if kept:
        return "a best evaluation that a later stage begins with"
    return None


def check_model(plan: Plan, model: Any, units: dict[str, str], layers: int, *, labels: list[str]) -> None:
    """Check patterns, freezing, class weights and schedules of every stage against the model.

    Raises
    ------
    ConfigError
        If a stage cannot be built.
    """
    shapes = [(name, parameter.ndim) for name, parameter in model.named_parameters()]
    for where, stage in _active(plan):
        resolve(shapes, units, layers, stage, where=where)
        check_labels(stage, labels, where)
        with located(where):
            rate_function(stage.schedule, stage.steps or 1000, stage.lr)


def check_length(stage: Stage, steps: int, where: str) -> None:
    """Check that the warm-up ends within the stage.

    Raises
    ------
    ConfigError
        If it does not.
    """
    warmup = warmup_steps(stage.schedule, steps)
    if warmup > steps:
        raise ConfigError(
            f"The warm-up of {warmup} steps is longer than the stage {stage.name!r}, which has {steps}.",
            where=f"{where}.schedule.warmup",
            expected=f"at most {steps}, or a share below 1",
        )


def check_labels(stage: Stage, labels: list[str], where: str) -> None:
    """Check the names and values of class weights.

    Raises
    ------
    ConfigError
        If a weight is given for a label that does not exist, or is negative or not finite.
    """
    if not isinstance(stage.class_weights, dict):
        return
    for name, value in stage.class_weights.items():
        if name not in labels:
            raise ConfigError(
                f"A class weight is given for {name!r}, which is no label.",
                where=f"{where}.class_weights.{name}",
                expected=", ".join(labels[:20]),
            )
        if not (math.isfinite(value) and value >= 0):
            raise ConfigError(
                f"The class weight of {name!r} is {value}.",
                where=f"{where}.class_weights.{name}",
                expected="a number from 0 on",
            )
