"""Stages inside a form's state: their keys, values inside optional parts, and what can be done to the list.

A stage's keys are ``stages.<position>.<name>``; the schema knows them as ``stages.0.<name>``. Optional parts (``gate``,
``raise_if``, ``range_test``, ``search``, ``distil``) and lists (``groups``) are one value each, so that nothing is lost
of a plan; ``stages.1.gate.metric`` or ``stages.1.groups.0.lr`` lead into them. A search's space is a list of rows here,
each with its ``field``, because two rows may bear one name, or none, while a person types.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from core.config import Distribution, GateConfig, Objective, ParameterGroup, RaiseConfig, RangeTestConfig, SearchConfig
from core.config.distillation import DistillationConfig, SelectionConfig, StateLoss, TeacherConfig
from core.config.reference import plan_keys

__all__ = [
    "LISTS",
    "PARTS",
    "Values",
    "dig",
    "fresh_part",
    "fresh_row",
    "schema_path",
    "search_from_rows",
    "search_to_rows",
    "split",
    "stage_count",
    "stage_names",
    "stage_paths",
    "stage_values",
    "store",
    "unused_name",
    "with_stages",
]

#: A stage: name of each of its keys (``lr``, ``schedule.name``, ``gate``) → plain value.
Values = dict[str, Any]

_STAGE = re.compile(r"^stages\.(\d+)\.(.+)$")
_ROW = re.compile(r"^(groups|search\.space|search\.objectives|distil\.teachers|distil\.states)\.\d+(\.|$)")
#: A row of teachers before anybody has chosen one.
_NOBODY: dict[str, Any] = {**TeacherConfig(source="?").model_dump(mode="json"), "source": ""}

#: Optional parts of a stage, as they are when they are first switched on.
PARTS: dict[str, dict[str, Any]] = {
    "gate": GateConfig().model_dump(mode="json"),
    "raise_if": RaiseConfig().model_dump(mode="json"),
    "range_test": RangeTestConfig().model_dump(mode="json"),
    "search": SearchConfig(space={"lr": Distribution(low=1e-5, high=1e-3, log=True)}).model_dump(mode="json"),
    "distil": {
        **DistillationConfig(teachers=[TeacherConfig(source="?")]).model_dump(mode="json"), "teachers": [_NOBODY],
    },
    "distil.selection": SelectionConfig().model_dump(mode="json"),
}  # fmt: skip
#: Lists of a stage, with the row that is added to them.
LISTS: dict[str, dict[str, Any]] = {
    "groups": ParameterGroup(pattern="head").model_dump(mode="json"),
    "search.space": {"field": "", **Distribution(low=0.0, high=1.0).model_dump(mode="json")},
    "search.objectives": Objective(metric="seconds").model_dump(mode="json"),
    "distil.teachers": _NOBODY,
    "distil.states": StateLoss(kind="relation", layers="last").model_dump(mode="json"),
}


@cache
def stage_paths() -> tuple[str, ...]:
    """Return the names of a stage's keys, in the order of the schema."""
    return tuple(path.removeprefix("stages.0.") for path in plan_keys() if path.startswith("stages.0."))


def split(path: str) -> tuple[int, str] | None:
    """Return a stage's position and the name of its key, or ``None`` for a key outside of the stages."""
    found = _STAGE.match(path)
    return (int(found[1]), found[2]) if found else None


def schema_path(path: str) -> str:
    """Return the key under which the schema knows a field: positions become 0."""
    found = split(path)
    if found is None:
        return path
    return "stages.0." + _ROW.sub(r"\g<1>.0\g<2>", found[1])


def stage_count(state: Mapping[str, Any]) -> int:
    """Return how many stages a state holds."""
    positions = [found[0] for path in state if (found := split(path)) is not None]
    return max(positions, default=-1) + 1


def stage_values(state: Mapping[str, Any], index: int) -> Values:
    """Return a copy of one stage of a state."""
    prefix = f"stages.{index}."
    return {path.removeprefix(prefix): copy.deepcopy(value) for path, value in state.items() if path.startswith(prefix)}


def with_stages(state: Mapping[str, Any], stages: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return a state with other stages; everything else stays as it is."""
    changed = {path: value for path, value in state.items() if split(path) is None}
    for index, values in enumerate(stages):
        changed.update({f"stages.{index}.{name}": copy.deepcopy(value) for name, value in values.items()})
    return changed


def stage_names(state: Mapping[str, Any]) -> list[str]:
    """Return the names of all stages, in order."""
    return [str(state.get(f"stages.{index}.name") or "") for index in range(stage_count(state))]


def unused_name(wanted: str, taken: Sequence[str]) -> str:
    """Return a name that no stage bears yet: the wanted one, or with a number behind it."""
    base = re.sub(r" \d+$", "", wanted)[:50] or "stage"
    number, name = 2, wanted
    while name in taken:
        name, number = f"{base} {number}", number + 1
    return name


def dig(state: Mapping[str, Any], path: str) -> Any:
    """Return the value of a key, also inside a part or a list; ``None`` where that is not there."""
    value, inside = _owner(state, path)
    for name in inside:
        try:
            value = value[int(name)] if isinstance(value, list) else value[name]
        except (KeyError, IndexError, ValueError, TypeError):
            return None
    return value


def store(state: dict[str, Any], path: str, value: Any) -> None:
    """Change the value of a key, also inside a part or a list; without that nothing happens.

    A part is copied before it is changed: other states may hold it too.
    """
    target, inside = _owner(state, path)
    if not inside:
        state[path] = copy.deepcopy(value)
        return
    held = dig(state, path)
    if target is None or (held == value and type(held) is type(value)):
        return
    key = path.removesuffix("." + ".".join(inside))
    state[key] = target = copy.deepcopy(target)
    for name in inside[:-1]:
        try:
            target = target[int(name)] if isinstance(target, list) else target[name]
        except (KeyError, IndexError, ValueError, TypeError):
            return
    if isinstance(target, list) and inside[-1].isdecimal() and int(inside[-1]) < len(target):
        target[int(inside[-1])] = copy.deepcopy(value)
    elif isinstance(target, dict):
        target[inside[-1]] = copy.deepcopy(value)


def fresh_part(name: str) -> dict[str, Any]:
    """Return an optional part as it is when it is switched on."""
    part = copy.deepcopy(PARTS[name])
    return search_to_rows(part) if name == "search" else part


def fresh_row(name: str) -> dict[str, Any]:
    """Return a new row of a list."""
    return copy.deepcopy(LISTS[name])


def search_to_rows(search: Mapping[str, Any] | None) -> Any:
    """Return a search with its space as rows."""
    if search is None or not isinstance(search.get("space"), Mapping):
        return search
    rows = [{"field": name, **dict(values)} for name, values in search["space"].items()]
    return {**search, "space": rows}


def search_from_rows(search: Any) -> Any:
    """Return a search with its space as the plan holds it: field → what may be chosen for it."""
    if not isinstance(search, Mapping) or not isinstance(search.get("space"), list):
        return search
    space = {
        str(row.get("field") or ""): {name: value for name, value in row.items() if name != "field"}
        for row in search["space"]
    }
    return {**search, "space": space}


def _owner(state: Mapping[str, Any], path: str) -> tuple[Any, list[str]]:
    """Return the value of the key of the state that a path begins with, and the rest of the path."""
    key = path
    inside: list[str] = []
    while key not in state:
        if "." not in key:
            return None, [*path.split(".")]
        key, _, last = key.rpartition(".")
        inside.insert(0, last)
    return state[key], inside
