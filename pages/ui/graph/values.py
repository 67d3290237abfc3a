"""What a widget holds for a value of a config, and back. Pure."""

from __future__ import annotations

from typing import Any

from core.config.reference import Key

__all__ = ["NUMBERS", "from_widget", "to_widget"]

#: Keys that hold a list of numbers; an empty one stands for all.
NUMBERS = {"layers", "settings.attn.heads"}


def to_widget(key: Key, value: Any) -> Any:
    """Return what the field of a key holds for a value."""
    if key.path in NUMBERS:
        return [str(item) for item in value] if isinstance(value, list) else []
    if key.kind == "list":
        return [str(item) for item in value or []]
    if key.kind == "toggle":
        return bool(value)
    if key.kind == "number":
        return None if value is None else float(value)
    if key.path == "name" and value == key.default:
        return ""  # called after the corpus
    if key.kind in ("text", "value"):
        return "" if value is None else str(value)
    return value


def from_widget(key: Key, value: Any) -> Any:
    """Return the value of a key for what its field holds; what cannot be read stays, and the config refuses it."""
    if key.path in NUMBERS:
        found = [_whole(item) for item in value or []]
        return found if found or key.kind == "list" else "all"
    if key.kind == "list":
        return [str(item).strip() for item in value or [] if str(item).strip()]
    if key.kind == "value":
        return _whole(value)
    if key.kind == "text":
        text = value.strip() if isinstance(value, str) else ""
        return text or (None if key.optional else key.default)
    if key.kind in ("integer", "number", "choice") and value is None and not key.optional:
        return key.default
    return value


def _whole(value: Any) -> Any:
    text = str(value).strip()
    return int(text) if text.isascii() and text.isdecimal() else text
