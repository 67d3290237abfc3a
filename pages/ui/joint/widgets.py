"""Fields that stand outside of the planner's drafts: drawn from the schema, with their message below."""

from __future__ import annotations

from typing import Any

import streamlit as st

from pages.ui.format import plain
from pages.ui.joint.held import Joint, key_of, problem_key, schema_of
from pages.ui.joint.words import CHOICES, LABELS, PLACEHOLDERS, STEPS

__all__ = ["own_field"]


def own_field(now: Joint, path: str, *, hint: str = "", label: str = "") -> None:
    """Draw one field.

    Parameters
    ----------
    now
        The joint plan.
    path
        Number of the task and name of its key (``3_quota``), or ``mixing_alpha``.
    hint
        What a check found about it, if it did.
    label
        In place of the usual one.
    """
    owner, _, name = path.partition("_")
    key, spec = key_of(now, path), schema_of(path)
    value = (now.mixing if owner == "mixing" else now.own[int(owner)])[name]
    if key not in now.given or key not in st.session_state:
        now.given[key] = value
    _draw(name, spec, label or LABELS[name], now.given[key], {"key": key, "help": spec.description})
    words = now.problems.get(problem_key(now, path), "")
    with st.container():
        if words:
            st.caption(f":red[:material/error: {plain(words, 300)}]")
        elif hint:
            st.caption(f":orange[:material/warning: {plain(hint, 300)}]")


def _draw(name: str, spec: Any, label: str, first: Any, shared: dict[str, Any]) -> None:
    if spec.kind == "toggle":
        st.toggle(label, value=bool(first), **shared)
    elif spec.kind == "choice":
        st.segmented_control(
            label, spec.choices, default=first, required=True, width="stretch",
            format_func=lambda one: CHOICES.get(one, one), **shared,
        )  # fmt: skip
    elif spec.kind == "text":
        st.text_input(label, value=first, **shared)
    else:
        whole = spec.kind == "integer"
        kind: Any = int if whole else float
        low, high = (None if bound is None else kind(bound) for bound in (spec.minimum, spec.maximum))
        number: Any = {
            "min_value": low, "max_value": high, "value": None if first is None else kind(first),
            "step": kind(STEPS.get(name, 1)), "placeholder": PLACEHOLDERS.get(name), "format": None if whole else "%g",
        }  # fmt: skip
        st.number_input(label, **number, **shared)
