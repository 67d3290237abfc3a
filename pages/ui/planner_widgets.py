"""Fields of the form: drawn from the schema, filled from the draft, with their message beside them.

The browser knows columns by how many things stand before them: when one more comes in above, they are built anew, and
what a person was typing there is gone. What comes and goes is therefore drawn in a container that is always there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import streamlit as st

from pages.ui.format import plain
from pages.ui.forms_fields import SECTIONS
from pages.ui.forms_relevant import relevant
from pages.ui.forms_stages import dig, split
from pages.ui.forms_values import control, field_widget, from_widget, thread_choices, to_widget, words_for
from pages.ui.planner_draft import Draft, draft, given, living, put, widget_key

__all__ = ["choose_reference", "field", "fields", "folded", "message", "section"]

#: Choices that stand in a narrow column although there are few of them.
_NARROW = (
    ".kind", ".on_pass", ".rule", ".decide", ".on_exhausted", ".harmful", ".by", ".distance", ".positions", ".map",
)  # fmt: skip
#: What a gate's number is until a person gives one: half of the rows right.
_FIRST_NUMBER = 0.5
_REFERENCES = {"start": "Score at its start", "majority": "Majority's score", "number": "A number"}


def field(
    draft: Draft,
    path: str,
    *,
    options: Sequence[Any] | None = None,
    placeholder: str | None = None,
    label_visible: bool = True,
    format_func: Callable[[Any], str] = str,
    free: bool = True,
    on_change: Callable[[], None] | None = None,
    told: bool = True,
    label: str | None = None,
) -> Any:
    """Draw one field and return its value.

    Parameters
    ----------
    draft
        The draft.
    path
        Dotted key of the plan.
    options
        Draw a select box with these words (column names); other words can be typed unless `free` is false.
    placeholder
        Words inside an empty field, instead of its usual ones.
    label_visible
        Whether the label is shown (screen readers always hear it).
    format_func
        How options are shown.
    free
        Whether other words than the options can be typed.
    on_change
        Called when a person changed the field.
    told
        Whether its message stands below it; otherwise the caller draws it.
    label
        In place of the usual one.
    """
    spec = control(path)
    key = widget_key(path)
    value = dig(draft.state, path)
    widget = field_widget(path, value)
    first = given(key, to_widget(path, value))
    shared: dict[str, Any] = {
        "key": key,
        "help": spec.help,
        "label_visibility": "visible" if label_visible else "collapsed",
    }
    if on_change is not None:
        shared["on_change"] = living(path, "", on_change)
    label = label or spec.label
    found: Any
    if options is not None:
        # A select box that begins with a value cannot be emptied: where nothing may be chosen, that is an option.
        nothing = [""] if spec.key.optional and not free else []
        if not nothing and st.session_state.get(key) == "":
            # Emptied by code. As a value, "" would be told by its words, and come back as a choice of these words.
            st.session_state[key] = None
        known = [*nothing, *options]
        for one in (first, st.session_state.get(key)):
            if one and one not in known:
                known.append(one)
        empty = placeholder or spec.placeholder or "none"
        found = st.selectbox(
            label, known, index=known.index(first) if first or nothing else None,
            placeholder=placeholder or spec.placeholder, accept_new_options=free,
            format_func=lambda one: format_func(one) if one else empty, **shared,
        )  # fmt: skip
    elif widget == "reference":
        found = _reference(path, label, value, shared)
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
        draw = st.text_input if _one_line(path) else partial(st.text_area, height=68)
        found = draw(label, value=first, placeholder=spec.placeholder, **shared)
    else:
        found = st.text_input(label, value=first, placeholder=spec.placeholder, **shared)
    if told:
        message(draft, path)
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
    """Draw a section's advanced fields, folded away, if any has a meaning; open when one of them has a message."""
    paths = [path for path in SECTIONS[section_name][1] if relevant(path, draft.state)]
    if not paths:
        return
    wrong = [path for path in paths if path in draft.beside]
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


def message(draft: Draft, path: str) -> None:
    """Draw what is wrong with a field, if anything is, or what a check of the plan found about it."""
    words = draft.beside.get(path)
    with st.container():
        if words:
            st.caption(f":red[:material/error: {plain(words, 300)}]")
        elif path in draft.hints:
            st.caption(f":orange[:material/warning: {plain(draft.hints[path], 300)}]")


def _choice(path: str, label: str, first: Any, shared: dict[str, Any]) -> Any:
    spec = control(path)
    choices = spec.key.choices
    if spec.key.optional:
        empty = spec.placeholder or "none"
        return st.selectbox(
            label, ["", *choices], index=["", *choices].index(first),
            format_func=lambda choice: words_for(path, choice) if choice else empty, **shared,
        )  # fmt: skip
    if len(choices) <= 3 and not (path.startswith("stages.") and path.endswith(_NARROW)):
        return st.segmented_control(
            label, choices, default=first, required=True, width="stretch",
            format_func=lambda choice: words_for(path, choice), **shared,
        )  # fmt: skip
    return st.selectbox(
        label, choices, index=choices.index(first) if first in choices else None, placeholder=spec.placeholder,
        format_func=lambda choice: words_for(path, choice), **shared,
    )  # fmt: skip


def _reference(path: str, label: str, value: Any, shared: dict[str, Any]) -> Any:
    """Draw what a gate compares with: a name, or a number that is given beside it."""
    typed = _is_number(value)
    key = f"{shared['key']}_kind"

    def chosen() -> None:
        choose_reference(path, st.session_state[key])

    first = given(key, "number" if typed else str(value))
    st.selectbox(
        label, list(_REFERENCES), index=list(_REFERENCES).index(first) if first in _REFERENCES else None, key=key,
        on_change=living(path, "_kind", chosen), format_func=lambda name: _REFERENCES[name], help=shared["help"],
    )  # fmt: skip
    if not typed:
        return value
    return st.number_input(
        "Number to be passed", value=given(shared["key"], float(value)), step=control(path).step, format="%g",
        key=shared["key"],
    )  # fmt: skip


def choose_reference(path: str, kind: str) -> None:
    """Let a gate compare with something else, from a callback; a number that was given comes back with its kind.

    Streamlit now and then calls a callback again when other runs of the page come close upon the choice: a number that
    was typed in between must outlive that.

    Parameters
    ----------
    path
        The gate's reference, e.g. ``stages.0.gate.reference``.
    kind
        ``number``, or a name of what is compared with.
    """
    now = draft()
    held = dig(now.state, path)
    shown = st.session_state.get(widget_key(path), held)
    place = split(path)
    slot = (now.order[place[0]], place[1]) if place is not None else (-1, path)
    if _is_number(held) and _is_number(shown):
        now.shelf[slot] = shown
    if kind == "number" and not _is_number(held):
        put(path, now.shelf.get(slot, _FIRST_NUMBER))
    elif kind != "number" and kind != held:
        put(path, kind)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _one_line(path: str) -> bool:
    return path.endswith((".choices", ".fixed", ".betas"))
