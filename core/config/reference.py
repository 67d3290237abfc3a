"""Every key of the plan, read from the schema: for forms, and as the page ``docs/plan.md``.

``python -m core.config.reference`` prints the page; a test compares it with the file.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from core.config.distillation import DistillationConfig, SelectionConfig, StateLoss, TeacherConfig
from core.config.plan import Plan
from core.config.stage_parts import (
    Distribution,
    GateConfig,
    Objective,
    ParameterGroup,
    RaiseConfig,
    RangeTestConfig,
    SearchConfig,
)

__all__ = ["Key", "config_keys", "markdown", "part_keys", "plan_keys"]

_HEADER = """# Every key of a plan

A plan is one YAML file: the form shows it, `bertloom run PLAN.yaml` runs it, every run stores its own complete copy.
A key that is left out has the default given here. `bertloom plan new` writes a plan to start from, `--set key=value`
changes one key (`--set stages.0.lr=3e-5`), and ready plans stand in [`docs/plans/`](plans/).

This page is written by `python -m core.config.reference > docs/plan.md` from the schema in `core/config/plan.py` and
`core/config/stages.py`, `stage_parts.py`.
"""

_WORDS = {
    "text": "text",
    "integer": "whole number",
    "number": "number",
    "toggle": "`true` · `false`",
    "list": "list of texts",
}

_TITLES = {
    "": "The plan",
    "task": "`task`: what is learnt",
    "data": "`data`: rows and roles",
    "task.pointer": "`task.pointer`: a head that points",
    "data.columns": "`data.columns`: which column holds what",
    "model": "`model`: the encoder",
    "stages.0": "`stages`: a list of stages, in order ([stages.md](stages.md) says what they do)",
    "stages.0.groups.0": "`stages.0.groups`: a list of parameter groups",
    "stages.0.optimizer": "`stages.0.optimizer`",
    "stages.0.schedule": "`stages.0.schedule`: the learning rate from step to step",
    "stages.0.early_stopping": "`stages.0.early_stopping`",
    "stages.0.guards": "`stages.0.guards`: what stops a run that has gone wrong",
    "stages.0.gate": "`stages.0.gate`: what must be reached before the next stage",
    "stages.0.raise_if": "`stages.0.raise_if`: raising the learning rate within a stage",
    "stages.0.range_test": "`stages.0.range_test`: finding a learning rate",
    "stages.0.search": "`stages.0.search`: trials with other values",
    "stages.0.search.space.FIELD": "`stages.0.search.space.FIELD`: what may be chosen for a field of the stage",
    "stages.0.search.objectives.0": "`stages.0.search.objectives`: a list of objectives",
    "stages.0.distil": "`stages.0.distil`: learning from teachers ([distillation.md](distillation.md))",
    "stages.0.distil.teachers.0": "`stages.0.distil.teachers`: a list of teachers",
    "stages.0.distil.alpha_schedule": "`stages.0.distil.alpha_schedule`: how alpha changes over the stage",
    "stages.0.distil.answers_schedule": "`stages.0.distil.answers_schedule`: how the answers' weight changes",
    "stages.0.distil.states.0.schedule": "`stages.0.distil.states.0.schedule`: how a loss's weight changes",
    "stages.0.distil.selection": "`stages.0.distil.selection`: learning from some positions only",
    "stages.0.distil.states.0": "`stages.0.distil.states`: a list of losses between layers",
    "runtime": "`runtime`: where and how",
}

#: Lists of configs that count as one value, and what they are called.
_LISTS = {
    "groups": "list of parameter groups", "objectives": "list of objectives", "teachers": "list of teachers",
    "states": "list of losses between layers", "entries": "list of pairs",
}  # fmt: skip

#: Values that are configs themselves and may be empty or repeated: key → (its place in the page, the config).
_PARTS: dict[str, list[tuple[str, type[BaseModel]]]] = {
    "stages.0.groups": [("stages.0.groups.0", ParameterGroup)],
    "stages.0.gate": [("stages.0.gate", GateConfig)],
    "stages.0.raise_if": [("stages.0.raise_if", RaiseConfig)],
    "stages.0.range_test": [("stages.0.range_test", RangeTestConfig)],
    "stages.0.search": [
        ("stages.0.search", SearchConfig),
        ("stages.0.search.space.FIELD", Distribution),
        ("stages.0.search.objectives.0", Objective),
    ],
    "stages.0.distil": [
        ("stages.0.distil", DistillationConfig),
        ("stages.0.distil.teachers.0", TeacherConfig),
        ("stages.0.distil.selection", SelectionConfig),
        ("stages.0.distil.states.0", StateLoss),
    ],
}


@dataclass(frozen=True)
class Key:
    """One key of the plan that holds a value (not a nested config).

    Parameters
    ----------
    path
        Dotted key; ``stages.0`` stands for every stage.
    owner
        Dotted key of the config it belongs to, ``""`` for the plan itself.
    description
        One sentence with the unit.
    default
        Default value as plain data, ``None`` if the key is optional and empty.
    required
        Whether there is no default.
    kind
        ``text``, ``integer``, ``number``, ``choice``, ``toggle``, ``list`` (of texts) or ``value`` (anything that YAML
        can hold).
    optional
        Whether it may be empty (null).
    choices
        Allowed words, for ``choice``.
    minimum, maximum
        Bounds, if there are any; `above` and `below` tell whether the bound itself is excluded.
    advanced
        Whether a form folds it away.
    """

    path: str
    owner: str
    description: str
    default: Any
    required: bool
    kind: Literal["text", "integer", "number", "choice", "toggle", "list", "value"]
    optional: bool
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    above: bool = False
    below: bool = False
    advanced: bool = False
    type_text: str = field(default="", compare=False)


@cache
def plan_keys() -> dict[str, Key]:
    """Return every value key of a plan by dotted path, in the order of the schema.

    Lists of configs (``stages.0.groups``) and parts that may be empty (``stages.0.gate``) count as one value;
    ``stages.0`` stands for every stage.
    """
    return {key.path: key for key in _walk(Plan, "", advanced=False)}


@cache
def part_keys() -> dict[str, Key]:
    """Return the keys inside those values: ``stages.0.gate.metric``, ``stages.0.groups.0.lr`` and so on.

    A row of a list stands as number 0, a searched field as ``FIELD``.
    """
    found = (key for parts in _PARTS.values() for path, model in parts for key in _walk(model, path, advanced=True))
    return {key.path: key for key in found}


@cache
def config_keys(model: type[BaseModel]) -> dict[str, Key]:
    """Return every value key of any config by dotted path, in the order of the schema."""
    return {key.path: key for key in _walk(model, "", advanced=False)}


def markdown() -> str:
    """Return the page ``docs/plan.md``."""
    sections: dict[str, list[Key]] = {}
    for key in plan_keys().values():
        sections.setdefault(key.owner, []).append(key)
        if key.path in _PARTS:
            for path, model in _PARTS[key.path]:
                for one in _walk(model, path, advanced=True):
                    sections.setdefault(one.owner, []).append(one)
    parts = [_HEADER]
    for owner, keys in sections.items():
        parts.append(f"## {_TITLES[owner]}\n")
        parts.append("| key | value | default | meaning |\n|---|---|---|---|")
        parts.extend(
            f"| `{key.path}` | {_escape(key.type_text)} | {_default(key)} | {_escape(key.description)} |"
            for key in keys
        )
        parts.append("")
    return "\n".join(parts)


def _walk(model: type[BaseModel], prefix: str, *, advanced: bool) -> Iterator[Key]:
    for name, info in model.model_fields.items():
        path = f"{prefix}.{name}" if prefix else name
        extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
        folded = advanced or bool(extra.get("advanced"))
        nested = _nested(info.annotation)
        if nested is not None and name not in _LISTS:
            yield from _walk(nested, f"{path}.0" if name == "stages" else path, advanced=folded)
        else:
            yield _key(path, prefix, info, folded)


def _nested(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) is list:
        return _nested(get_args(annotation)[0])
    return None


def _key(path: str, owner: str, info: FieldInfo, advanced: bool) -> Key:
    annotation = info.annotation
    options = [annotation]
    if get_origin(annotation) in (Union, types.UnionType):
        options = list(get_args(annotation))
    optional = type(None) in options
    options = [option for option in options if option is not type(None)]
    kind, choices = _kind(options)
    bounds: dict[str, Any] = {}
    for item in info.metadata:
        for mark in ("ge", "gt", "le", "lt"):
            if (value := getattr(item, mark, None)) is not None:
                bounds[mark] = value
    default = info.get_default(call_default_factory=True)
    required = default is PydanticUndefined
    if isinstance(default, tuple):
        default = list(default)
    key = Key(
        path=path, owner=owner, description=info.description or "", default=None if required else default,
        required=required, kind=kind, optional=optional, choices=choices,
        minimum=bounds.get("ge", bounds.get("gt")), maximum=bounds.get("le", bounds.get("lt")),
        above="gt" in bounds, below="lt" in bounds, advanced=advanced,
    )  # fmt: skip
    return Key(**{**key.__dict__, "type_text": _type_text(key, options)})


def _kind(options: list[Any]) -> tuple[Any, tuple[str, ...]]:
    if len(options) > 1:
        return "value", ()
    option = options[0]
    if get_origin(option) is Literal:
        words = get_args(option)
        return ("choice", words) if all(isinstance(word, str) for word in words) else ("value", ())
    if option is bool:
        return "toggle", ()
    if option is int:
        return "integer", ()
    if option is float:
        return "number", ()
    if option is str:
        return "text", ()
    if get_origin(option) is list and _nested(option) is None and get_origin(get_args(option)[0]) is not tuple:
        return "list", ()
    return "value", ()


def _type_text(key: Key, options: list[Any]) -> str:
    if key.kind == "choice":
        return " · ".join(f"`{word}`" for word in key.choices)
    text = _WORDS.get(key.kind) or " or ".join(_type_name(option, key.path.rpartition(".")[2]) for option in options)
    if key.minimum is not None and key.maximum is not None:
        low, high = (">" if key.above else "≥"), ("<" if key.below else "≤")
        text += f", {low} {key.minimum:g} and {high} {key.maximum:g}"
    elif key.minimum is not None:
        text += f", {'>' if key.above else '≥'} {key.minimum:g}"
    elif key.maximum is not None:
        text += f", {'<' if key.below else '≤'} {key.maximum:g}"
    return text + (", or empty" if key.optional else "")


def _type_name(option: Any, name: str) -> str:
    if get_origin(option) is Literal:
        return " · ".join(f"`{word}`" for word in get_args(option))
    if get_origin(option) is list:
        return _LISTS.get(name, "list of values")
    if _nested(option) is not None:
        return "mapping, see below"
    if get_origin(option) is tuple:
        return "two numbers"
    if get_origin(option) is dict:
        return "mapping"
    return {int: "whole number", float: "number", str: "text"}.get(option, str(option))


def _default(key: Key) -> str:
    if key.required:
        return "required"
    if key.default is None:
        return "empty"
    if isinstance(key.default, bool):
        return f"`{str(key.default).lower()}`"
    if isinstance(key.default, float):
        return f"`{key.default:g}`"
    return f"`{key.default}`"


def _escape(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    sys.stdout.write(markdown())
