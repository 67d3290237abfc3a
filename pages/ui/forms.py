"""Form ↔ plan, as pure functions.

The state of a form is a flat dictionary with one entry for *every* value key of the plan (``data.source``) and of each
of its stages (``stages.1.lr``), whether the form shows it or not, so that nothing is lost between YAML, form and run.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from core.config import Plan, Stage, problems
from core.config.reference import plan_keys
from pages.ui.forms_stages import (
    Values,
    search_from_rows,
    search_to_rows,
    split,
    stage_count,
    stage_names,
    stage_paths,
    with_stages,
)

__all__ = [
    "State",
    "changed_paths",
    "fingerprint",
    "fix_state",
    "place_problems",
    "plan_from_state",
    "read_state",
    "stage_from_values",
    "state_from_plan",
    "subset",
    "values_of_stage",
]

State = dict[str, Any]


def state_from_plan(plan: Plan) -> State:
    """Return the form's state for a plan: plain values by dotted key, every key of the schema and of every stage.

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
    state = {path: copy.deepcopy(_dig(data, path)) for path in plan_keys() if split(path) is None}
    return with_stages(state, [values_of_stage(stage) for stage in plan.stages])


def values_of_stage(stage: Stage) -> Values:
    """Return a stage as a form holds it: plain values by the names of its keys."""
    data = stage.model_dump(mode="json")
    values = {name: copy.deepcopy(_dig(data, name)) for name in stage_paths()}
    values["search"] = search_to_rows(values["search"])
    return values


def stage_from_values(values: Values) -> Stage | None:
    """Return the stage that a form's values describe, or ``None`` while they are not usable."""
    data: dict[str, Any] = {}
    for name, value in values.items():
        _place(data, name, search_from_rows(copy.deepcopy(value)) if name == "search" else copy.deepcopy(value))
    try:
        return Stage.model_validate(data)
    except ValidationError:
        return None


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
        _place(data, path, search_from_rows(copy.deepcopy(value)) if path.endswith(".search") else copy.deepcopy(value))
    if isinstance(data.get("stages"), dict):
        data["stages"] = [data["stages"][key] for key in sorted(data["stages"], key=int)]
    return Plan.model_validate(data)


def read_state(state: Mapping[str, Any]) -> tuple[Plan | None, dict[str, str]]:
    """Return the plan, or ``None`` and the messages by field.

    Returns
    -------
    tuple
        The plan if the state is valid, and the messages by dotted key. A message that concerns several fields stands
        under the key of the part that holds them (``data``), or under ``""``.
    """
    own = {**_same_names(state), **_space_problems(state), **_teacher_problems(state)}
    try:
        plan = plan_from_state(state)
    except ValidationError as error:
        found = {_space_row(state, key): message for key, message in problems(error).items()}
        if own:
            # What the plan itself says of two stages of one name, or of a nameless field, is said already.
            found = {key: message for key, message in found.items() if key}
        return None, {**found, **own}
    return (None, own) if own else (plan, {})


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
        home = key if key in fields else _mentioned(key, message, fields) or _holder(key, fields)
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
    usual = values_of_stage(Stage())
    for _ in range(4):
        plan, found = read_state(fixed)
        if plan is not None:
            return fixed
        for key in found:
            holder = _holder(key, list(fixed))
            paths = [holder] if holder else [path for path in fixed if not key or path.startswith(f"{key}.")]
            for path in paths:
                place = split(path)
                # A stage that the fallback does not have takes the schema's value.
                other = fallback.get(path, usual.get(place[1]) if place else None)
                fixed[path] = copy.deepcopy(other)
    return dict(fallback)


def changed_paths(state: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Return the dotted keys whose values differ, in the order of the schema, those of the stages last."""
    both = {**state, **other}
    order = {path: place for place, path in enumerate(plan_keys())}
    differ = [path for path in both if state.get(path) != other.get(path)]

    def rank(path: str) -> tuple[int, int]:
        place = split(path)
        return (-1, order[path]) if place is None else (place[0], order[f"stages.0.{place[1]}"])

    return sorted(differ, key=rank)


def subset(state: Mapping[str, Any], *prefixes: str) -> State:
    """Return the part of a state whose keys start with one of the prefixes."""
    return {path: value for path, value in state.items() if path.startswith(prefixes)}


def fingerprint(value: Any) -> str:
    """Return a short text that changes when the value (plain data) changes."""
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _same_names(state: Mapping[str, Any]) -> dict[str, str]:
    """Return a message for every stage that bears the name of one before it."""
    names = stage_names(state)
    return {
        f"stages.{index}.name": f"another stage is called {name!r} already; each needs a name of its own"
        for index, name in enumerate(names)
        if name and name in names[:index]
    }


def _space_problems(state: Mapping[str, Any]) -> dict[str, str]:
    """Return messages of rows of a search's space without a field, or with the field of a row before."""
    found: dict[str, str] = {}
    for index, rows in _spaces(state):
        fields = [str(row.get("field") or "") for row in rows]
        for number, name in enumerate(fields):
            if not name:
                found[f"stages.{index}.search.space.{number}.field"] = "choose the field that is searched"
            elif name in fields[:number]:
                found[f"stages.{index}.search.space.{number}.field"] = f"{name} is searched in a row above already"
    return found


def _space_row(state: Mapping[str, Any], key: str) -> str:
    """Return the key of a message about a searched field with the number of its row instead of its name."""
    for index, rows in _spaces(state):
        prefix = f"stages.{index}.search.space."
        if not key.startswith(prefix):
            continue
        rest = key.removeprefix(prefix)
        for number, row in enumerate(rows):
            name = str(row.get("field") or "")
            if rest == name or rest.startswith(f"{name}."):
                return f"{prefix}{number}{rest[len(name) :]}"
    return key


def _teacher_problems(state: Mapping[str, Any]) -> dict[str, str]:
    """Return a message for every row of a distillation's teachers in which nobody is chosen yet."""
    found = {}
    for index in range(stage_count(state)):
        distil = state.get(f"stages.{index}.distil")
        for number, row in enumerate((distil.get("teachers") if isinstance(distil, Mapping) else None) or ()):
            if not row.get("source"):
                found[f"stages.{index}.distil.teachers.{number}.source"] = (
                    "choose the teacher: a run or a folder that was trained for this task"
                )
    return found


def _spaces(state: Mapping[str, Any]) -> list[tuple[int, list[Any]]]:
    """Return (position of the stage, rows) of every search's space."""
    found = []
    for index in range(stage_count(state)):
        search = state.get(f"stages.{index}.search")
        rows = search.get("space") if isinstance(search, Mapping) else None
        if isinstance(rows, list):
            found.append((index, rows))
    return found


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
    said = message.replace(",", " ").replace(":", " ").replace(";", " ").split()
    inside = [path for path in fields if not key or path.startswith(f"{key}.")]
    whole = {path.removeprefix(f"{key}.") if key else path: path for path in inside}
    named = [word for word in said if word in whole]
    if named:
        return whole[named[0]]
    if not key and any(word.startswith("stages.") for word in said):
        return None
    return next((path for path in inside if path.rpartition(".")[2] in said), None)
