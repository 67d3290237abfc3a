"""Fields of the form: drawn from the schema, filled from the draft, with their message beside them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import streamlit as st

from pages.ui.format import plain
from pages.ui.forms import place_problems
from pages.ui.forms_fields import (
    SECTIONS,
    control,
    field_widget,
    from_widget,
    relevant,
    shown_paths,
    thread_choices,
    to_widget,
    words_for,
)
from pages.ui.planner_draft import Draft, given, widget_key

__all__ = ["field", "fields", "folded", "loose_problems", "section"]


def field(
    draft: Draft,
    path: str,
    *,
    options: Sequence[Any] | None = None,
    placeholder: str | None = None,
    label_visible: bool = True,
) -> Any:
    """Draw one field and return its value.

    Parameters
    ----------
    draft
        The draft.
    path
        Dotted key of the plan.
    options
        Draw a select box with these words (column names); other words can be typed.
    placeholder
        Words inside an empty field, instead of its usual ones.
    label_visible
        Whether the label is shown (screen readers always hear it).
    """
    spec = control(path)
    key = widget_key(path)
    value = draft.state.get(path)
    widget = field_widget(path, value)
    first = given(key, to_widget(path, value))
    shared: dict[str, Any] = {
        "key": key,
        "help": spec.help,
        "label_visibility": "visible" if label_visible else "collapsed",
    }
    label = spec.label
    found: Any
    if options is not None:
        known = [*options]
        for one in (first, st.session_state.get(key)):
            if one and one not in known:
                known.append(one)
        found = st.selectbox(
            label, known, index=known.index(first) if first else None, placeholder=placeholder or spec.placeholder,
            accept_new_options=True, **shared,
        )  # fmt: skip
    elif widget == "choice":
        found = _choice(path, label, first, shared)
    elif widget == "toggle":
        found = st.toggle(label, value=first, **shared)
    elif widget == "integer":
        low, high = spec.key.minimum, spec.key.maximum
        found = st.number_input(
            label, min_value=None if low is None else int(low), max_value=None if high is None else int(high),
            value=first, step=int(spec.step or 1), placeholder=spec.placeholder, **shared,
        )  # fmt: skip
    elif widget == "number":
        low, high = spec.key.minimum, spec.key.maximum
        found = st.number_input(
            label, min_value=None if low is None else float(low), max_value=None if high is None else float(high),
            value=first, step=spec.step, format="%g", placeholder=spec.placeholder, **shared,
        )  # fmt: skip
    elif widget == "list":
        known = sorted({*first, *st.session_state.get(key, ())})
        found = st.multiselect(
            label, known, default=first, accept_new_options=True, placeholder="Type and press Enter", **shared
        )
    elif widget == "threads":
        known = thread_choices()
        known += [one for one in dict.fromkeys((first, st.session_state.get(key, first))) if one not in known]
        found = st.selectbox(label, known, index=known.index(first), accept_new_options=True, **shared)
    elif widget == "yaml":
        found = st.text_area(label, value=first, height=68, placeholder=spec.placeholder, **shared)
    else:
        found = st.text_input(label, value=first, placeholder=spec.placeholder, **shared)
    _message(draft, path)
    return from_widget(path, found)


def fields(draft: Draft, paths: Iterable[str], *, columns: int = 3) -> None:
    """Draw several fields in a grid; those without a meaning at the moment are left out."""
    shown = [path for path in paths if relevant(path, draft.state)]
    for start in range(0, len(shown), columns):
        row = st.columns(columns, gap="medium")
        for column, path in zip(row, shown[start : start + columns], strict=False):
            with column:
                if control(path).widget == "toggle":
                    st.space("small")
                field(draft, path)


def folded(draft: Draft, section_name: str, *, label: str = "Advanced") -> None:
    """Draw a section's advanced fields, folded away; open when one of them has a message."""
    paths = SECTIONS[section_name][1]
    messages = _beside(draft)
    wrong = [path for path in paths if path in messages]
    with st.expander(
        f"{label} · {len(wrong)} to mend" if wrong else label, expanded=bool(wrong), key=f"planner_more_{section_name}"
    ):
        fields(draft, paths)


def section(number: int, title: str, caption: str, *, key: str) -> Any:
    """Open one card of the form."""
    card = st.container(border=True, key=key)
    words = card.container(gap=None)
    words.subheader(f":primary[{number}]&ensp;{plain(title)}", anchor=False)
    words.caption(plain(caption))
    return card


def loose_problems(draft: Draft) -> list[str]:
    """Return the messages that no field can show."""
    return place_problems(draft.problems, shown_paths())[1]


def _choice(path: str, label: str, first: Any, shared: dict[str, Any]) -> Any:
    choices = control(path).key.choices
    if len(choices) <= 3:
        return st.segmented_control(
            label, choices, default=first, required=True, width="stretch",
            format_func=lambda choice: words_for(path, choice), **shared,
        )  # fmt: skip
    return st.selectbox(
        label, choices, index=choices.index(first), format_func=lambda choice: words_for(path, choice), **shared
    )


def _beside(draft: Draft) -> dict[str, str]:
    return place_problems(draft.problems, shown_paths())[0]


def _message(draft: Draft, path: str) -> None:
    message = _beside(draft).get(path)
    if message:
        st.caption(f":red[:material/error: {plain(message, 300)}]")
