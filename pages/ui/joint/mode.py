"""Whether the planner's form holds one task or several together."""

from __future__ import annotations

import streamlit as st

__all__ = ["choose_mode", "mode_switch", "together"]

_SLOT = "planner_mode"
_SWITCH = "planner_mode_switch"
#: What the switch was told when it was new, or by code: the same with every run of the page.
_FIRST = "planner_mode_first"
_WORDS = {"one": ":material/looks_one: One task", "together": ":material/join: Several tasks together"}


def together() -> bool:
    """Tell whether the form holds several tasks."""
    return bool(st.session_state.get(_SLOT) == "together")


def choose_mode(several: bool) -> None:
    """Show the other form, from a callback or before the switch is drawn."""
    st.session_state[_SLOT] = "together" if several else "one"
    if _SWITCH in st.session_state:
        st.session_state[_SWITCH] = st.session_state[_FIRST] = st.session_state[_SLOT]


def mode_switch() -> None:
    """Draw the switch."""
    if _SWITCH not in st.session_state:
        st.session_state[_FIRST] = "together" if together() else "one"
    st.segmented_control(
        "Plan for", list(_WORDS), format_func=lambda one: _WORDS[one], required=True, key=_SWITCH,
        default=st.session_state[_FIRST], label_visibility="collapsed", on_change=_switched,
    )  # fmt: skip


def _switched() -> None:
    st.session_state[_SLOT] = st.session_state[_SWITCH] or "one"
