"""Comparisons as short files, and ready strategies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from core.config.comparison import Comparison, Strategy
from core.config.comparison_usual import apart, usual_runtime, usual_stage

__all__ = ["comparison_yaml", "preset", "presets"]


#: What people change first of a stage: a file says it also where it is as usual.
_SHOWN = ("lr", "head_lr", "batch_size")


def comparison_yaml(config: Comparison) -> str:
    """Return a comparison as a short YAML file: what differs from the defaults, and what it is about."""
    kept: dict[str, Any] = {
        "kind": "compare", "name": config.name, **config.model_dump(mode="json", exclude_defaults=True),
        "seeds": config.seeds, "margin": config.margin, "budget": config.budget.model_dump(mode="json"),
    }  # fmt: skip
    stage = config.stage.model_dump(mode="json")
    shown = {name: stage[name] for name in _SHOWN}
    kept["stage"] = shown | apart(stage, usual_stage().model_dump(mode="json"))
    kept.pop("runtime", None)
    if runtime := apart(config.runtime.model_dump(mode="json"), usual_runtime().model_dump(mode="json")):
        kept["runtime"] = runtime
    for told, one in zip(kept["strategies"], config.strategies, strict=True):
        told.update(sharing=one.sharing, head=one.head, encoder=one.encoder)
    for told, task in zip(kept["tasks"], config.tasks, strict=True):
        told["task"] = {"kind": task.task.kind, **(told.get("task") or {})}
        told["data"] = {"source": task.data.source, **(told.get("data") or {})}
    return yaml.safe_dump(kept, sort_keys=False, allow_unicode=True, width=120)


def presets() -> Sequence[str]:
    """Return the names of ready strategies: sharing and head, with ``-frozen`` where only the head learns."""
    return list(_PRESETS)


def preset(name: str) -> Strategy:
    """Return a ready strategy.

    Raises
    ------
    KeyError
        If there is none of that name.
    """
    return Strategy.model_validate({"name": name, **_PRESETS[name]})


_WAYS: dict[str, dict[str, Any]] = {
    "single": {}, "joint": {"sharing": "joint"}, "pointer": {"head": "pointer"},
    "joint-pointer": {"sharing": "joint", "head": "pointer"},
}  # fmt: skip
#: A head alone bears a much larger rate than an encoder does.
_FROZEN: dict[str, Any] = {"encoder": "frozen", "stage": {"lr": 1e-2}}
_PRESETS: dict[str, dict[str, Any]] = {
    **_WAYS,
    **{f"{name}-frozen": {**way, **_FROZEN} for name, way in _WAYS.items()},
}
