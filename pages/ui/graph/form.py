"""A form for a config of the graph room: one entry for every key of the config, so that nothing is lost between YAML,
form and run.

The state is the truth: widgets are filled from it and read back at the start of every run of the page, since a widget
forgets its value as soon as it is not drawn.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import streamlit as st
from pydantic import ValidationError

from core.config import GraphConfig, LinkConfig, ProbeConfig, problems
from core.config.files import mapping_from_yaml
from core.config.kinds import title_of_kind
from core.config.reference import Key, config_keys
from core.config.statistics import StatisticsConfig
from core.errors import ConfigError
from pages.ui.graph.values import from_widget, to_widget
from pages.ui.nested import flat, nested

__all__ = ["AnyConfig", "Form", "config_of", "config_of_yaml", "form", "message_of", "state_of"]

AnyConfig = GraphConfig | ProbeConfig | LinkConfig | StatisticsConfig
_SLOT = "graph_forms"


@dataclass
class Form:
    """The values that a person is choosing for one config.

    Parameters
    ----------
    name
        Part of the keys of its widgets.
    model
        The config's class.
    state
        Dotted key → plain value, for every key of the config; may be invalid while a person types.
    generation
        Part of the keys too: loaded values get new widgets.
    origin
        What it was loaded from, for people.
    automatic
        Edge types that were chosen for the corpus; None once a person has chosen, or loaded, some.
    """

    name: str
    model: type[AnyConfig]
    state: dict[str, Any]
    generation: int = 0
    origin: str = ""
    automatic: list[str] | None = None
    given: dict[str, Any] = field(default_factory=dict)

    @property
    def keys(self) -> Mapping[str, Key]:
        """The config's keys."""
        return config_keys(self.model)

    def widget(self, path: str) -> str:
        """Return the key of a field's widget. Tests and the browser find it by this name."""
        return f"{self.name}{self.generation}_{path.replace('.', '_')}"

    def first(self, path: str) -> Any:
        """Return what a field's widget starts with: told with every run of the page, the same each time."""
        key = self.widget(path)
        if key not in self.given or key not in st.session_state:
            self.given[key] = to_widget(self.keys[path], self.state[path])
        return self.given[key]

    def sync(self) -> None:
        """Read all widgets back into the state. Call it before anything is drawn."""
        for path, key in self.keys.items():
            widget = self.widget(path)
            if widget in st.session_state:
                self.state[path] = from_widget(key, st.session_state[widget])

    def put(self, path: str, value: Any) -> None:
        """Change one field from code, before its widget is drawn."""
        self.state[path] = copy.deepcopy(value)
        widget = self.widget(path)
        if widget in st.session_state:
            st.session_state[widget] = self.given[widget] = to_widget(self.keys[path], value)

    def load(self, config: AnyConfig, *, origin: str = "") -> None:
        """Take over a whole config."""
        self.state = state_of(config)
        self.generation += 1
        self.given = {}
        self.origin, self.automatic = origin, None

    def config(self, **changes: Any) -> Any:
        """Return the config.

        Parameters
        ----------
        **changes
            Values by dotted key, with ``__`` for the dot, that take the place of the form's.

        Raises
        ------
        pydantic.ValidationError
            If a value is not usable.
        """
        return config_of(self.model, self.state | {path.replace("__", "."): value for path, value in changes.items()})


def form(name: str, start: AnyConfig) -> Form:
    """Return the session's form of a name; the first time it holds `start`. Its widgets are read back."""
    forms: dict[str, Form] = st.session_state.setdefault(_SLOT, {})
    if name not in forms:
        automatic: list[str] | None = list(start.edges) if isinstance(start, GraphConfig) else None
        forms[name] = Form(name, type(start), state_of(start), automatic=automatic)
    forms[name].sync()
    return forms[name]


def state_of(config: AnyConfig) -> dict[str, Any]:
    """Return a config's values by dotted key, as plain data."""
    return flat(config)


def config_of(model: type[AnyConfig], state: Mapping[str, Any]) -> AnyConfig:
    """Return the config with these values.

    Raises
    ------
    pydantic.ValidationError
        If a value is not usable.
    """
    return model.model_validate(nested(state))


def config_of_yaml(text: str, where: str) -> GraphConfig:
    """Read the config of a graph from YAML.

    Raises
    ------
    ConfigError
        If it is not YAML, the config of something else, or not valid; keys and lines are named.
    """
    data, lines = mapping_from_yaml(text, where)
    kind = str(data.get("kind", "graph" if "stages" not in data else "train"))
    if kind != "graph":
        raise ConfigError(
            f"This file is for a run of another kind: {title_of_kind(kind)[:60].lower()}.", where=where,
            expected="the settings of a word graph (kind: graph)", advice=f"`bertloom run {where}` starts it.",
        )  # fmt: skip
    try:
        return GraphConfig.model_validate(data)
    except ValidationError as error:
        raise ConfigError(
            "The settings are not valid: " + "; ".join(_lined(problems(error), lines)) + ".", where=where,
            advice="“Settings as YAML” gives a complete file to start from.",
        ) from error  # fmt: skip


def _lined(found: Mapping[str, str], lines: Mapping[str, int]) -> list[str]:
    words = []
    for path, message in found.items():
        at = path
        while at and at not in lines:
            at = at.rpartition(".")[0]
        words.append(f"{path or 'the whole'}{f' (line {lines[at]})' if at else ''}: {message}")
    return words


def message_of(error: ValidationError) -> str:
    """Return what is wrong with a form, in one line."""
    return " · ".join(f"{where}: {message}" if where else message for where, message in problems(error).items())
