"""The shape that a person is working on: it lives in the session and knows its widgets.

Widgets forget their value as soon as they are not drawn, so the truth is the state; widgets are filled from it and read
back at the start of every run. A layer's widgets are named after the number that it got when it came, not after its
place, so that it keeps them when it moves.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from core.config.shape import EncoderShape
from pages.ui.structure.editor_form import FIELDS, LAYER_FIELDS, Values, act, following, read, values_of

__all__ = ["Editor", "change_width", "choose_mode", "editor", "load", "put", "row_action", "starting_shape", "sync"]

_SLOT = "structure_editor"
#: Seconds within which an action that is told again is the same click.
SAME_CLICK = 0.6


@dataclass
class Editor:
    """What the editor keeps in the session.

    Parameters
    ----------
    values
        The form; may be invalid while a person types.
    good
        The last shape that fitted together: what is drawn meanwhile.
    order
        For each layer the number that its widgets are named after.
    parent
        Source of the parent that shapes are compared with and inherit from.
    share
        Budget, by the parent's parameters between embeddings and pooler.
    follow
        Whether heads and units follow a width that is changed.
    own_size
        Whether the heads' size has a field of its own.
    origin
        What the shape was loaded from.
    """

    values: Values
    good: EncoderShape
    order: list[int]
    parent: str = "bundled"
    share: float = 0.5
    follow: bool = True
    own_size: bool = False
    origin: str = ""
    generation: int = 0
    problems: dict[str, str] = field(default_factory=dict)
    given: dict[str, Any] = field(default_factory=dict)
    acted: tuple[str, float] = ("", 0.0)
    offered: str | None = None

    @property
    def shape(self) -> EncoderShape | None:
        """The shape, or None while the form does not fit together."""
        return None if self.problems else self.good

    def key(self, path: str) -> str:
        """Return the key of a field's widget. Tests and the browser find it by this name."""
        parts = path.split(".")
        if parts[0] == "layers" and len(parts) == 3:
            return f"layers{self.generation}_{self.order[int(parts[1])]}_{parts[2]}"
        return f"layers{self.generation}_{path}"

    def value(self, path: str) -> Any:
        """Return what the form holds for a field."""
        parts = path.split(".")
        return self.values["layers"][int(parts[1])][parts[2]] if parts[0] == "layers" else self.values[path]

    def first(self, path: str) -> Any:
        """Return what a field's widget starts with: told with every run, the same each time."""
        key = self.key(path)
        if key not in self.given or key not in st.session_state:
            self.given[key] = self.value(path)
        return self.given[key]

    @property
    def paths(self) -> list[str]:
        """All fields."""
        rows = [f"layers.{at}.{name}" for at in range(len(self.order)) for name in LAYER_FIELDS]
        return [*FIELDS, *rows]


def starting_shape() -> EncoderShape:
    """Return the shape that an untouched editor holds: the article's example."""
    return EncoderShape.of_widths([768, 1024], mode="stepped")


def editor() -> Editor:
    """Return the session's editor; the first time it holds the article's example."""
    found: Editor | None = st.session_state.get(_SLOT)
    if found is None:
        shape = starting_shape()
        found = st.session_state[_SLOT] = Editor(values_of(shape), shape, list(range(len(shape.layers))))
        found.origin = "the article's example"
    return found


def load(shape: EncoderShape, origin: str) -> None:
    """Take over a whole shape; its fields get new widgets."""
    now = editor()
    now.values, now.good, now.origin = values_of(shape), shape, origin
    now.order = list(range(len(shape.layers)))
    now.own_size = any(layer.head_size is not None for layer in shape.layers)
    now.generation += 1
    now.given, now.problems = {}, {}


def sync() -> Editor:
    """Read all widgets back and check the form. Call it before anything is drawn, and first in callbacks."""
    now = editor()
    for path in now.paths:
        key = now.key(path)
        if key in st.session_state:
            _store(now, path, st.session_state[key])
    _check(now)
    return now


def put(path: str, value: Any) -> None:
    """Change one field from a callback."""
    now = editor()
    _store(now, path, value)
    key = now.key(path)
    if key in st.session_state:
        st.session_state[key] = now.given[key] = value
    _check(now)


def change_width(number: int) -> None:
    """Let heads and units follow a width that a person has changed; from its callback."""
    now = editor()
    if number not in now.order:
        return
    at = now.order.index(number)
    before = dict(now.values["layers"][at])
    sync()
    width = now.values["layers"][at]["width"]
    if not now.follow or not isinstance(width, int):
        return
    for name, value in following(before, width).items():
        if value != now.values["layers"][at][name]:
            put(f"layers.{at}.{name}", value)


def choose_mode() -> None:
    """A stream that changes its width has no readout; from the mode's callback."""
    now = sync()
    if now.values["mode"] == "stepped" and now.values["readout"]:
        put("readout", False)


def row_action(action: str, number: int | None = None) -> None:
    """Add, duplicate, remove or move a layer, from a callback; a click that is told twice counts once."""
    now = sync()
    mark = f"{action} {number}"
    if now.acted[0] == mark and time.monotonic() - now.acted[1] < SAME_CLICK:
        return
    if number is not None and number not in now.order:
        return
    at = len(now.order) - 1 if number is None else now.order.index(number)
    now.values["layers"], now.order = act(action, at, now.values["layers"], now.order)
    now.acted = (mark, time.monotonic())
    _check(now)


def _store(now: Editor, path: str, value: Any) -> None:
    parts = path.split(".")
    if parts[0] == "layers":
        now.values["layers"][int(parts[1])][parts[2]] = value
    else:
        now.values[path] = value


def _check(now: Editor) -> None:
    shape, now.problems = read(now.values)
    if shape is not None:
        now.good = shape
