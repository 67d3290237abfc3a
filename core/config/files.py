"""Plans as YAML: reading with the key and line of what is wrong, writing, and ``--set key=value`` changes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from core.config.plan import Config, Plan
from core.errors import ConfigError

__all__ = [
    "apply_sets", "line_of", "load_plan", "mapping_from_yaml", "plan_from_dict", "plan_from_yaml", "plan_to_yaml",
    "problems", "read_text", "validated",
]  # fmt: skip

_Config = TypeVar("_Config", bound=Config)

_MAX_BYTES = 1_000_000
_MOST_NODES = 100_000


def plan_to_yaml(plan: Config) -> str:
    """Return a plan (or another run's config) as YAML, every field included, in the order of the schema."""
    return yaml.safe_dump(plan.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=120)


def load_plan(path: str | Path, sets: Iterable[str] = ()) -> Plan:
    """Read a plan from a YAML file.

    Parameters
    ----------
    path
        The file.
    sets
        Changes of the form ``key.path=value`` (``stages.0.lr=3e-5``), applied before validation.

    Raises
    ------
    ConfigError
        If the file cannot be read or is not a valid plan; the key and its line are named.
    """
    return plan_from_yaml(read_text(path), where=str(path), sets=sets)


def read_text(path: str | Path) -> str:
    """Read a config file.

    Raises
    ------
    ConfigError
        If it is not there, too large, or not UTF-8.
    """
    file = Path(path)
    try:
        if file.stat().st_size > _MAX_BYTES:
            raise ConfigError("The plan file is larger than 1 MB.", where=str(file), expected="a YAML plan of a few kB")
        return file.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ConfigError(
            "The plan file does not exist.", where=str(file), advice="`bertloom plan new` writes one."
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The plan file cannot be read: {error}.", where=str(file), expected="UTF-8 text") from error


def plan_from_yaml(text: str, *, where: str = "plan", sets: Iterable[str] = ()) -> Plan:
    """Parse and validate a plan; see :func:`load_plan`."""
    data, lines = mapping_from_yaml(text, where)
    return plan_from_dict(apply_sets(data, sets), where=where, lines=lines)


def mapping_from_yaml(text: str, where: str) -> tuple[dict[str, Any], dict[str, int]]:
    """Parse YAML and return its mapping with the line of every key.

    Raises
    ------
    ConfigError
        If it is not YAML, not a mapping, or unfolds without end.
    """
    try:
        _refuse_explosion(text, where)
        data = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{where}, line {mark.line + 1}, column {mark.column + 1}" if mark else where
        raise ConfigError(
            f"This is not valid YAML: {getattr(error, 'problem', None) or error}.",
            where=place,
            expected="a YAML mapping",
        ) from error
    if not isinstance(data, dict):
        raise ConfigError("The plan is not a YAML mapping.", where=where, expected="keys such as data, model, stages")
    return data, _lines(text)


def plan_from_dict(data: dict[str, Any], *, where: str = "plan", lines: dict[str, int] | None = None) -> Plan:
    """Validate a plan given as nested dictionaries."""
    return validated(Plan, data, where=where, lines=lines)


def validated(
    model: type[_Config], data: dict[str, Any], *, where: str = "plan", lines: dict[str, int] | None = None
) -> _Config:
    """Validate a config given as nested dictionaries.

    Raises
    ------
    ConfigError
        If it is not valid; keys, lines (where they are known) and what is wrong are named.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        found = problems(error)
        texts = []
        for key, message in found.items():
            line = line_of(key, lines or {})
            texts.append(f"{key or 'plan'}{f' (line {line})' if line else ''}: {message}")
        if model is not Plan:
            raise ConfigError(
                "These settings are not valid: " + "; ".join(texts) + ".",
                where=where,
                expected="keys among " + ", ".join(model.model_fields),
            ) from error
        raise ConfigError(
            "The plan is not valid: " + "; ".join(texts) + ".",
            where=where,
            advice="`bertloom plan new` writes a complete plan to start from; docs/plan.md lists every key.",
        ) from error


def problems(error: ValidationError) -> dict[str, str]:
    """Return the messages of a validation error by dotted key, in words that a form can show beside the field."""
    found: dict[str, str] = {}
    for item in error.errors(include_url=False):
        key = ".".join(str(part) for part in item["loc"])
        if item["type"] == "extra_forbidden":
            message = "unknown key"
        else:
            message = item["msg"].removeprefix("Value error, ")
            if item["type"] not in ("missing", "value_error"):
                message += f", got {str(item['input'])[:80]!r}"
        found[key] = message
    return found


def apply_sets(data: dict[str, Any], sets: Iterable[str]) -> dict[str, Any]:
    """Apply ``key.path=value`` changes to nested dictionaries and lists; values are read as YAML."""
    for item in sets:
        key, separator, value = item.partition("=")
        if not separator or not key:
            raise ConfigError(
                f"The change {item!r} is not of the form key=value.", expected="for example stages.0.lr=3e-5"
            )
        try:
            parsed = yaml.safe_load(value)
            if isinstance(parsed, str):  # YAML 1.1 takes 3e-5 for a string
                with contextlib.suppress(ValueError):
                    parsed = float(parsed)
        except yaml.YAMLError as error:
            raise ConfigError(f"The value of {key!r} is not valid YAML: {value!r}.", where=key) from error
        _set(data, key, parsed)
    return data


def _set(data: dict[str, Any], key: str, value: Any) -> None:
    target: Any = data
    parts = key.split(".")
    for position, part in enumerate(parts):
        last = position == len(parts) - 1
        try:
            if isinstance(target, list):
                index = int(part)
                if last:
                    target[index] = value
                else:
                    target = target[index]
            elif last:
                target[part] = value
            else:
                if target.get(part) is None:
                    target[part] = [{}] if parts[position + 1] == "0" else {}
                target = target[part]
        except (ValueError, IndexError, TypeError, AttributeError) as error:
            raise ConfigError(
                f"The key {key!r} does not lead to a field.",
                where=key,
                expected="for example stages.0.lr or data.source",
            ) from error


def _refuse_explosion(text: str, where: str) -> None:
    """Refuse a plan whose aliases repeat each other: a few lines could unfold to more than any memory holds."""
    sizes: dict[int, int] = {}

    def size(node: yaml.Node | None) -> int:
        if isinstance(node, yaml.MappingNode):
            children = [child for pair in node.value for child in pair]
        elif isinstance(node, yaml.SequenceNode):
            children = node.value
        else:
            return 1
        if id(node) not in sizes:
            sizes[id(node)] = _MOST_NODES + 1  # for a node that holds itself
            sizes[id(node)] = 1 + sum(size(child) for child in children)
        return sizes[id(node)]

    if size(yaml.compose(text, Loader=yaml.SafeLoader)) > _MOST_NODES:
        raise ConfigError(
            "The plan is too large, or its aliases repeat one another.",
            where=where,
            expected=f"at most {_MOST_NODES:,} values",
        )


def _lines(text: str) -> dict[str, int]:
    """Return the line (from 1) of every dotted key of a YAML text."""
    found: dict[str, int] = {}

    def walk(node: yaml.Node | None, prefix: str) -> None:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                name = f"{prefix}.{key.value}" if prefix else str(key.value)
                found[name] = key.start_mark.line + 1
                walk(value, name)
        elif isinstance(node, yaml.SequenceNode):
            for index, value in enumerate(node.value):
                found[f"{prefix}.{index}"] = value.start_mark.line + 1
                walk(value, f"{prefix}.{index}")

    walk(yaml.compose(text, Loader=yaml.SafeLoader), "")
    return found


def line_of(key: str, lines: dict[str, int]) -> int | None:
    """Return the line of a dotted key, or of the nearest key that holds it; None if there is none."""
    while key:
        if key in lines:
            return lines[key]
        key = key.rpartition(".")[0]
    return None
