"""The editor's form as plain values: form ↔ shape ↔ YAML without loss, messages beside their fields, rows that move."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from core.config import plan_to_yaml, problems
from core.config.files import line_of, mapping_from_yaml
from core.config.shape import MOST_LAYERS, EncoderShape, LayerShape
from core.errors import ConfigError

__all__ = [
    "FIELDS", "LAYER_FIELDS", "Values", "act", "following", "json_of", "near_heads", "read", "shape_of_yaml",
    "values_of", "yaml_of",
]  # fmt: skip

#: What the form holds: the fields of :class:`~core.config.shape.EncoderShape`, ``layers`` a list of mappings.
Values = dict[str, Any]

LAYER_FIELDS = ("width", "heads", "intermediate", "head_size")
FIELDS = ("mode", "embedding", "readout", "vocabulary", "positions", "types", "pooler")
#: Words for what pydantic says of a number that is missing or is none.
_EMPTY = "give a whole number"


def values_of(shape: EncoderShape) -> Values:
    """Return a shape as the form holds it."""
    return shape.model_dump(mode="json")


def read(values: Mapping[str, Any]) -> tuple[EncoderShape | None, dict[str, str]]:
    """Return the shape, or what is wrong by the field that it stands beside.

    Parameters
    ----------
    values
        What the form holds.

    Returns
    -------
    (EncoderShape or None, dict)
        Messages by dotted key: ``embedding``, ``layers.2.heads``, ``layers``, ``readout`` …
    """
    try:
        return EncoderShape.model_validate(copy.deepcopy(dict(values))), {}
    except ValidationError as error:
        found = {}
        for key, message in problems(error).items():
            parts = key.split(".")
            place = key
            if len(parts) == 2 and parts[0] == "layers":
                place = f"{key}.heads"  # a layer as a whole is only ever at odds with its heads
            elif not key:
                place = "readout"
            found[place] = _EMPTY if message.endswith("got 'None'") else message
        return None, found


def near_heads(width: int, heads: int, number: int = 3) -> list[int]:
    """Return the numbers of heads that divide a width, nearest to the wanted one first, at most `number`."""
    divisors = [one for one in range(1, min(width, 1024) + 1) if width % one == 0]
    return sorted(divisors, key=lambda one: (abs(one - heads), one))[:number]


def following(before: Mapping[str, Any], width: int) -> Values:
    """Return a layer of another width whose heads keep their size and whose units keep their ratio to the width.

    Parameters
    ----------
    before
        The layer as it was.
    width
        Its new width.
    """
    old, heads, units = (before.get(name) for name in ("width", "heads", "intermediate"))
    layer = {**before, "width": width}
    if width < 1 or not (old and heads and units):
        return layer
    layer["intermediate"] = max(1, round(units * width / old))
    if before.get("head_size") is None:
        layer["heads"] = near_heads(width, max(1, round(heads * width / old)), 1)[0]
    return layer


def act(
    action: str, at: int, layers: Sequence[Mapping[str, Any]], order: Sequence[int]
) -> tuple[list[Values], list[int]]:
    """Return the layers, and the numbers that their widgets have, after an action on one of them.

    Parameters
    ----------
    action
        ``add`` (a copy of the last behind it), ``duplicate``, ``remove``, ``up`` or ``down``: towards the output or
        the input.
    at
        The layer, from 0.
    layers, order
        As they are. A layer keeps its number when it moves; a new one gets one that was never used.
    """
    rows, numbers = [dict(one) for one in layers], list(order)
    fresh = max(numbers, default=-1) + 1
    if action in ("add", "duplicate"):
        if len(rows) < MOST_LAYERS:
            place = len(rows) - 1 if action == "add" else at
            rows.insert(place + 1, dict(rows[place]))
            numbers.insert(place + 1, fresh)
    elif action == "remove":
        if len(rows) > 1:
            del rows[at], numbers[at]
    elif action in ("up", "down"):
        to = at + (1 if action == "up" else -1)
        if 0 <= to < len(rows):
            rows[at], rows[to] = rows[to], rows[at]
            numbers[at], numbers[to] = numbers[to], numbers[at]
    return rows, numbers


def yaml_of(shape: EncoderShape) -> str:
    """Return a shape as YAML, every field included."""
    return plan_to_yaml(shape)


def json_of(shape: EncoderShape) -> str:
    """Return a shape as JSON, every field included."""
    return json.dumps(shape.model_dump(mode="json"), indent=2) + "\n"


def shape_of_yaml(text: str, where: str) -> EncoderShape:
    """Read a shape from YAML (JSON is YAML too).

    Raises
    ------
    ConfigError
        If it is no YAML or no shape; keys and lines are named.
    """
    data, lines = mapping_from_yaml(text, where)
    try:
        return EncoderShape.model_validate(data)
    except ValidationError as error:
        told = []
        for key, message in problems(error).items():
            line = line_of(key, lines)
            told.append(f"{key or 'the whole'}{f' (line {line})' if line else ''}: {message}")
        known = ", ".join([*FIELDS, f"layers (each with {', '.join(LayerShape.model_fields)})"])
        raise ConfigError(
            "The shape is not valid: " + "; ".join(told) + ".", where=where, expected=known,
            advice="“Shape as YAML” gives a complete file to start from.",
        ) from error  # fmt: skip
