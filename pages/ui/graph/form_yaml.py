"""The settings of a graph as a YAML file, and from one: the form, the file and `bertloom run` say the same."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st
from pydantic import ValidationError

from core.config import plan_to_yaml
from core.config.graph import GraphConfig
from core.errors import BertloomError, ConfigError
from pages.ui.components import error_box
from pages.ui.format import plain
from pages.ui.graph.form import Form, config_of_yaml, form, message_of

__all__ = ["yaml_part"]

_FILE = "graph_yaml_file"
_PROBLEM = "graph_yaml_problem"
_MOST_BYTES = 1_000_000


def yaml_part(now: Form, made: Callable[[], GraphConfig] | None, *, taken: Callable[[], None]) -> None:
    """Draw the content of the popover: a file that fills the form, and the form as a file.

    Parameters
    ----------
    now
        The form.
    made
        Gives the config that would be built; None while there is no corpus.
    taken
        Called in the callback after a file has filled the form.
    """
    st.file_uploader(
        "Fill the form from a YAML file", type=["yaml", "yml"], key=_FILE, on_change=_take, args=(now.name, taken),
        help="What “Settings as YAML” gives, also after a change by hand; keys that are left out are as usual.",
    )  # fmt: skip
    problem = st.session_state.get(_PROBLEM)
    if problem is not None:
        error_box(problem, title="The form stays as it was")
    if made is None:
        st.caption("The settings can be downloaded once a corpus is chosen.")
        return
    try:
        config = made()
    except ValidationError as error:
        st.caption(f":red[:material/error: {plain(message_of(error), 400)}]")
        return
    except BertloomError as error:
        error_box(error)
        return
    st.download_button(
        "Settings as YAML", plan_to_yaml(config), file_name="graph.yaml", mime="application/yaml",
        icon=":material/download:", key="graph_yaml", on_click="ignore",
        help="`bertloom run graph.yaml` builds exactly this graph.",
    )  # fmt: skip


def _take(name: str, taken: Callable[[], None]) -> None:
    st.session_state.pop(_PROBLEM, None)
    file = st.session_state.get(_FILE)
    if file is None:
        return
    try:
        if file.size > _MOST_BYTES:
            raise ConfigError("The file is larger than 1 MB.", where=file.name, expected="a YAML file of a few kB")
        try:
            text = file.getvalue().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise ConfigError("The file is not UTF-8 text.", where=file.name, expected="a YAML file") from error
        config = config_of_yaml(text, file.name)
    except BertloomError as error:
        st.session_state[_PROBLEM] = error
        return
    form(name, GraphConfig()).load(config, origin=file.name)
    taken()
