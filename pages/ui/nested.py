"""A config as a form holds it, one entry for every dotted key, and back. Pure."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from core.config.reference import config_keys

__all__ = ["flat", "nested"]


def flat(config: BaseModel) -> dict[str, Any]:
    """Return a config's values by dotted key, as plain data."""
    data = config.model_dump(mode="json")
    found: dict[str, Any] = {}
    for path in config_keys(type(config)):
        value: Any = data
        for part in path.split("."):
            value = value[part]
        found[path] = copy.deepcopy(value)
    return found


def nested(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return values by dotted key as a mapping of mappings, as a config is made of.

    Examples
    --------
    >>> nested({"name": "a", "data.source": "b", "data.rows": 2})
    {'name': 'a', 'data': {'source': 'b', 'rows': 2}}
    """
    data: dict[str, Any] = {}
    for path, value in state.items():
        *parents, last = path.split(".")
        place = data
        for part in parents:
            place = place.setdefault(part, {})
        place[last] = copy.deepcopy(value)
    return data
