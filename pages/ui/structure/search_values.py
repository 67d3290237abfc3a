"""The search's form as plain values: one entry for every key of the config, and what a widget holds for it. Pure."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from core.config import problems
from core.config.files import line_of, mapping_from_yaml
from core.config.reference import config_keys
from core.config.structure import FinetuneConfig, StructureConfig
from core.errors import ConfigError
from pages.ui.nested import flat, nested

__all__ = [
    "SIZES", "State", "config_of_yaml", "from_statistics", "from_widget", "read", "sized", "state_of", "to_widget",
    "with_finetune",
]  # fmt: skip

#: Dotted key → plain value; ``finetune`` is None or a mapping.
State = dict[str, Any]

#: Keys that hold whole numbers in a row, written as text.
_ROWS = ("depths", "halving.rungs")
#: What the sizes change; everything else stays as a person chose it.
_SIZED = ("candidates", "hand_made", "halving.enter", "halving.rungs", "halving.keep", "halving.sentences")
SIZES = {"quick": StructureConfig.quick, "thorough": StructureConfig.thorough}
_SHARED = ("words", "neighbours", "rho", "overlap", "share", "draws", "probe")


def state_of(config: StructureConfig) -> State:
    """Return a config's values by dotted key, as plain data."""
    return flat(config)


def read(state: Mapping[str, Any]) -> tuple[StructureConfig | None, dict[str, str]]:
    """Return the config, or what is wrong by dotted key; ``""`` stands for the whole."""
    try:
        return StructureConfig.model_validate(nested(state)), {}
    except ValidationError as error:
        found: dict[str, str] = {}
        for key, message in problems(error).items():
            place_ = next((path for path in state if key == path or key.startswith(f"{path}.")), "")
            said = f"{key}: {message}" if place_ == "finetune" else message
            found[place_] = f"{found[place_]} · {said}" if place_ in found else said
        return None, found


def sized(state: Mapping[str, Any], size: str) -> State:
    """Return the values with those of ``quick`` or ``thorough`` for candidates and training."""
    wanted = state_of(SIZES[size]())
    return {**state, **{path: wanted[path] for path in _SIZED}}


def from_statistics(state: Mapping[str, Any], plan: Mapping[str, Any], found: Mapping[str, Any] | None) -> State:
    """Return the values with parent, texts and statistics of a measurement, so that nothing is measured again.

    Parameters
    ----------
    state
        The values.
    plan
        The measurement's config, as plain data.
    found
        The statistics, at the thresholds that the page shows.
    """
    parts = {f"{part}.{name}": value for part in ("model", "corpus") for name, value in _flat(plan.get(part) or {})}
    changed = {path: value for path, value in parts.items() if path in state}
    changed |= {f"statistics.{name}": plan[name] for name in _SHARED if name in plan}
    thresholds = (found or {}).get("thresholds") or {}
    changed |= {f"statistics.{name}": thresholds[name] for name in ("rho", "overlap", "share") if name in thresholds}
    if "runtime" in plan:
        changed["runtime.seed"] = plan["runtime"]["seed"]
    return {**state, **copy.deepcopy(changed)}


def with_finetune(state: Mapping[str, Any], on: bool) -> State:
    """Return the values with fine-tuning switched on or off, and the score among the objectives or not."""
    objectives = [one for one in state["objectives"] if one != "score"]
    if not on:
        return {**state, "finetune": None, "objectives": objectives}
    part = state.get("finetune") or FinetuneConfig().model_dump(mode="json")
    return {**state, "finetune": part, "objectives": [*objectives, "score"][-4:]}


def to_widget(path: str, value: Any) -> Any:
    """Return what a field holds for a value."""
    if path in _ROWS:
        return "" if value is None else ", ".join(map(str, value))
    if path == "given":
        return "\n".join(", ".join(map(str, one)) for one in value)
    if value is None and config_keys(StructureConfig)[path].kind == "text":
        return ""
    if config_keys(StructureConfig)[path].kind == "number":
        return None if value is None else float(value)
    return value


def from_widget(path: str, value: Any) -> Any:
    """Return the value for what a field holds; what cannot be read stays, and the config refuses it."""
    key = config_keys(StructureConfig)[path]
    if path in _ROWS:
        row = _row(value)
        return None if path == "depths" and not row else row
    if path == "given":
        return [_row(line) for line in str(value or "").splitlines() if line.strip()]
    if key.kind == "text":
        text = str(value or "").strip()
        return text or (None if key.optional else key.default)
    return value


def config_of_yaml(text: str, where: str) -> StructureConfig:
    """Read a search from YAML.

    Raises
    ------
    ConfigError
        If it is no YAML, of another kind, or not valid; keys and lines are named.
    """
    data, lines = mapping_from_yaml(text, where)
    kind = data.get("kind", "structure")
    if kind != "structure":
        raise ConfigError(
            f"This file is for a run of another kind: {str(kind)[:60]}.", where=where,
            expected="the settings of a structure search (kind: structure)",
        )  # fmt: skip
    try:
        return StructureConfig.model_validate(data)
    except ValidationError as error:
        told = []
        for key, message in problems(error).items():
            line = line_of(key, lines)
            told.append(f"{key or 'the whole'}{f' (line {line})' if line else ''}: {message}")
        raise ConfigError("The settings are not valid: " + "; ".join(told) + ".", where=where) from error


def _row(text: Any) -> list[Any]:
    parts = str(text or "").replace(",", " ").replace(";", " ").split()
    return [int(part) if part.isascii() and part.isdecimal() else part for part in parts]


def _flat(data: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in data.items():
        if isinstance(value, Mapping):
            found += _flat(value, f"{prefix}{name}.")
        else:
            found.append((f"{prefix}{name}", value))
    return found
