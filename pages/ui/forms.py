"""Form ↔ plan, as pure functions.

The state of a form is a flat dictionary with one entry for *every* value key of the plan (``data.source``,
``stages.0.lr``), whether the form shows it or not, so that nothing is lost between YAML, form and run.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from core.config import Plan, problems
from core.config.reference import plan_keys

__all__ = [
    "State",
    "changed_paths",
    "fingerprint",
    "fix_state",
    "place_problems",
    "plan_from_state",
    "read_state",
    "state_from_plan",
    "subset",
]

State = dict[str, Any]


def state_from_plan(plan: Plan) -> State:
    """Return the form's state for a plan: plain values by dotted key, every key of the schema.

    Parameters
    ----------
    plan
        A valid plan.

    Returns
    -------
    dict
        Dotted key → value as plain data (lists and dictionaries are copies).
    """
    data = plan.model_dump(mode="json")
    return {path: copy.deepcopy(_dig(data, path)) for path in plan_keys()}


def plan_from_state(state: Mapping[str, Any]) -> Plan:
    """Return the plan that a form's state describes.

    Parameters
    ----------
    state
        Dotted key → value; keys that are missing take the schema's default.

    Raises
    ------
    pydantic.ValidationError
        If a value is not usable; :func:`core.config.problems` names the field.
    """
    data: dict[str, Any] = {}
    for path, value in state.items():
        _place(data, path, copy.deepcopy(value))
    if isinstance(data.get("stages"), dict):
        data["stages"] = [data["stages"][key] for key in sorted(data["stages"])]
    return Plan.model_validate(data)


def read_state(state: Mapping[str, Any]) -> tuple[Plan | None, dict[str, str]]:
    """Return the plan, or ``None`` and the messages by field.

    Returns
    -------
    tuple
        The plan if the state is valid, and the messages by dotted key. A message that concerns several fields stands
        under the key of the part that holds them (``data``), or under ``""``.
    """
    try:
        return plan_from_state(state), {}
    except ValidationError as error:
        return None, problems(error)


def place_problems(found: Mapping[str, str], shown: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    """Divide messages into those that stand beside a field that is shown and those that need a place of their own.

    A message of a nested value (``stages.0.groups.1.lr``) stands beside the field that holds it. One about several
    fields stands beside the first shown field whose name it mentions.

    Returns
    -------
    tuple
        Message by shown dotted key, and the messages without such a key (with the key in front).
    """
    fields = list(shown)
    beside: dict[str, str] = {}
    rest: list[str] = []
    for key, message in found.items():
        home = _holder(key, fields) or _mentioned(key, message, fields)
        if home is None:
            rest.append(f"{key}: {message}" if key else message)
        else:
            beside[home] = f"{beside[home]}; {message}" if home in beside else message
    return beside, rest


def fix_state(state: Mapping[str, Any], fallback: Mapping[str, Any]) -> State:
    """Return the state with every field that is not usable replaced by the fallback's value.

    For parts of a page that need some valid plan while a person is still typing.
    """
    fixed = dict(state)
    for _ in range(4):
        plan, found = read_state(fixed)
        if plan is not None:
            return fixed
        for key in found:
            holder = _holder(key, list(fixed))
            paths = [holder] if holder else [path for path in fixed if not key or path.startswith(f"{key}.")]
            for path in paths:
                fixed[path] = copy.deepcopy(fallback.get(path))
    return dict(fallback)


def changed_paths(state: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Return the dotted keys whose values differ, in the order of the schema."""
    return [path for path in plan_keys() if state.get(path) != other.get(path)]


def subset(state: Mapping[str, Any], *prefixes: str) -> State:
    """Return the part of a state whose keys start with one of the prefixes."""
    return {path: value for path, value in state.items() if path.startswith(prefixes)}


def fingerprint(value: Any) -> str:
    """Return a short text that changes when the value (plain data) changes."""
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _dig(data: Any, path: str) -> Any:
    for part in path.split("."):
        data = data[int(part)] if isinstance(data, list) else data[part]
    return data


def _place(data: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split(".")
    for part in parents:
        data = data.setdefault(part, {})
    data[last] = value


def _holder(key: str, fields: list[str]) -> str | None:
    while key:
        if key in fields:
            return key
        key = key.rpartition(".")[0]
    return None


def _mentioned(key: str, message: str, fields: list[str]) -> str | None:
    words = set(message.replace(",", " ").replace(":", " ").split())
    for path in fields:
        if (not key or path.startswith(f"{key}.")) and (path in words or path.rpartition(".")[2] in words):
            return path
    return None
