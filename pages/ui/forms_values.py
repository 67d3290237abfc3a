"""How a key of the plan is drawn, and its value on the way into a field and back. Limits come from the schema."""

from __future__ import annotations

import dataclasses
import math
import os
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import yaml

from core.config.reference import Key, part_keys, plan_keys
from pages.ui.forms_labels import LABELS
from pages.ui.forms_stages import schema_path
from pages.ui.forms_words import PLACEHOLDERS, STEPS, WORDS

__all__ = [
    "Control",
    "control",
    "field_widget",
    "from_widget",
    "thread_choices",
    "to_widget",
    "words_for",
]

Widget = Literal["text", "integer", "number", "choice", "toggle", "list", "threads", "yaml", "reference"]

_ROW_FIELD = "stages.0.search.space.FIELD.field"


@dataclass(frozen=True)
class Control:
    """How one key is drawn.

    Parameters
    ----------
    key
        The key of the plan.
    label, help, placeholder
        Words beside, behind and inside the field.
    widget
        Which kind of field.
    step
        What one click on the arrows changes, for numbers.
    """

    key: Key
    label: str
    help: str
    placeholder: str | None
    widget: Widget
    step: float | None


def control(path: str) -> Control:
    """Return how a key of the plan is drawn, also one inside a part or a row of a stage."""
    return _control(schema_path(path).replace("search.space.0.", "search.space.FIELD."))


@cache
def _control(path: str) -> Control:
    key = _key(path)
    widget: Widget = "yaml" if key.kind == "value" else key.kind
    if path == "runtime.threads":
        widget = "threads"
    elif path == "stages.0.gate.reference":
        widget = "reference"
    elif path.endswith(".choices"):
        widget = "yaml"
    step: float | None = None
    if widget == "integer":
        step = int(STEPS.get(path, 1))
    elif widget in ("number", "reference"):
        step = STEPS.get(path, 0.1)
    default = "" if key.default in (None, "", [], {}) or key.kind == "toggle" else f" Default: {key.default}."
    return Control(key, LABELS[path], key.description + default, PLACEHOLDERS.get(path), widget, step)


def _key(path: str) -> Key:
    if path == _ROW_FIELD:
        words = "Field of the stage whose value is searched."
        return Key(path, "stages.0.search.space", words, None, required=True, kind="text", optional=False)
    key = plan_keys().get(path) or part_keys()[path]
    # An empty direction, for example, is a choice too; select boxes show it as their placeholder.
    return dataclasses.replace(key)


def words_for(path: str, choice: Any) -> str:
    """Return the words for one choice of a key."""
    word = WORDS.get(schema_path(path), {}).get(choice)
    return word or str(choice).replace("_", " ")


def to_widget(path: str, value: Any) -> Any:
    """Return what the field holds for a value of the state."""
    spec = control(path)
    widget = spec.widget
    if _as_text(widget, value):
        # An empty field stands for nothing, so a list or mapping that is empty has to be seen.
        return _yaml(value) if value not in ([], {}) or _empty(spec.key) == value else str(value)
    if widget == "text" or (widget == "choice" and value is None):
        return "" if value is None else str(value)
    if widget in ("number", "reference") and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if widget == "threads":
        return str(value)
    if widget == "list":
        return list(value) if isinstance(value, list | tuple) else []
    if widget == "toggle":
        return bool(value)
    return value


def from_widget(path: str, value: Any) -> Any:
    """Return the state's value for what the field holds."""
    spec = control(path)
    if spec.widget == "text":
        text = value if isinstance(value, str) else ""
        return text or (None if spec.key.optional else "")
    if spec.widget == "choice" and spec.key.optional:
        return value or None
    if spec.widget == "threads":
        text = str(value).strip()
        return int(text) if text.isdecimal() else text
    if spec.widget == "yaml" or (spec.widget in ("number", "integer") and isinstance(value, str)):
        return _parsed(path, value, spec.key)
    if spec.widget == "list":
        return [str(item).strip() for item in value or [] if str(item).strip()]
    return value


def field_widget(path: str, value: Any) -> Widget:
    """Return the kind of field that can hold the value: numbers that a browser cannot hold become text."""
    widget = control(path).widget
    return "yaml" if _as_text(widget, value) else widget


def thread_choices() -> list[str]:
    """Return the thread counts that make sense on this machine."""
    return ["auto", *(str(count) for count in range(1, (os.cpu_count() or 1) + 1))]


def _parsed(path: str, value: Any, key: Key) -> Any:
    """Return what stands in a field of text that holds any value."""
    if not isinstance(value, str):
        return value
    try:
        parsed = yaml.safe_load(value) if value else None
        if path.endswith(".choices") and parsed is not None and not isinstance(parsed, list):
            # "16, 32" is a list too.
            parsed = yaml.safe_load(f"[{value}]") if isinstance(parsed, str) else [parsed]
    except (yaml.YAMLError, RecursionError):
        return value
    if path.endswith((".choices", ".fixed")):
        parsed = _numbers(parsed)
    return _empty(key) if parsed is None else parsed


def _numbers(value: Any) -> Any:
    """Return a value with texts such as 3e-5 as the numbers that they are: YAML 1.1 takes them for texts."""
    if isinstance(value, list):
        return [_numbers(one) for one in value]
    if isinstance(value, str) and value[:1] in "+-.0123456789":
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _as_text(widget: Widget, value: Any) -> bool:
    if widget == "yaml":
        return True
    if widget not in ("number", "integer", "reference") or value is None:
        return False
    if isinstance(value, bool) or not isinstance(value, int | float):
        return widget != "reference"
    return not math.isfinite(value) or abs(value) >= 2**53


def _yaml(value: Any) -> str:
    if value in (None, [], {}):
        return ""
    flat = isinstance(value, str | int | float) or (
        isinstance(value, list) and not any(isinstance(one, list | dict) for one in value)
    )
    text = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, default_flow_style=flat, width=10_000)
    return text.removesuffix("\n...\n").rstrip("\n") if not isinstance(value, list | dict) else text.rstrip("\n")


def _empty(key: Key) -> Any:
    return [] if isinstance(key.default, list) else {} if isinstance(key.default, dict) else None
