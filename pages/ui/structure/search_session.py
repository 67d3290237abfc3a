"""What the form of a structure search keeps in the session, and how its widgets are read back."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from core.config.structure import StructureConfig
from pages.ui.structure.search_values import State, from_widget, read, state_of, to_widget

__all__ = ["PROBLEM", "SearchForm", "search_form"]

#: Where the session keeps an error until the form is drawn next.
PROBLEM = "structure_search_problem"
_SLOT = "structure_search_form"


@dataclass
class SearchForm:
    """What the form keeps in the session.

    Parameters
    ----------
    state
        Dotted key → value.
    origin
        What it was filled from.
    """

    state: State
    origin: str = ""
    generation: int = 0
    request: str = field(default_factory=lambda: uuid.uuid4().hex)
    problems: dict[str, str] = field(default_factory=dict)
    given: dict[str, Any] = field(default_factory=dict)
    config: StructureConfig | None = None
    #: Measurement, thresholds and budget that were taken over last.
    followed: list[Any] | None = None

    def key(self, path: str) -> str:
        """Return the key of a field's widget. Tests and the browser find it by this name."""
        return f"search{self.generation}_{path.replace('.', '_')}"

    def first(self, path: str) -> Any:
        """Return what a field's widget starts with, the same with every run."""
        key = self.key(path)
        if key not in self.given or key not in st.session_state:
            self.given[key] = to_widget(path, self.state[path])
        return self.given[key]

    def load(self, state: State, origin: str = "") -> None:
        """Take over other values; the fields get new widgets."""
        self.state, self.origin = state, origin
        self.generation += 1
        self.given, self.request = {}, uuid.uuid4().hex
        self.config, self.problems = read(state)


def search_form(parent: str = "bundled", budget: int = 50) -> SearchForm:
    """Return the session's form with its widgets read back; the first time it is a quick search."""
    now: SearchForm | None = st.session_state.get(_SLOT)
    if now is None:
        share = min(1.0, budget / 100)
        now = st.session_state[_SLOT] = SearchForm(
            {**state_of(StructureConfig.quick()), "model.source": parent, "budget.share": share}
        )
    for path in now.state:
        key = now.key(path)
        if path not in ("finetune",) and key in st.session_state:
            now.state[path] = from_widget(path, st.session_state[key])
    _read_finetune(now)
    now.config, now.problems = read(now.state)
    return now


def _read_finetune(now: SearchForm) -> None:
    part = now.state["finetune"]
    if part is None:
        return
    for name, place, field_ in (
        ("finetune_source", part["data"], "source"),
        ("finetune_steps", part, "steps"),
        ("finetune_rows", part["data"], "train_rows"),
    ):
        key = now.key(name)
        if key in st.session_state:
            place[field_] = st.session_state[key]
