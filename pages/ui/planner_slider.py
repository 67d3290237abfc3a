"""A number on a slider, with an entry beside it for exact values and for those beyond the slider's range."""

from __future__ import annotations

import streamlit as st

from pages.ui.forms_stages import dig
from pages.ui.forms_values import control
from pages.ui.planner_draft import Draft, given, living, put, widget_key
from pages.ui.planner_widgets import field, message

__all__ = ["CSS", "range_of", "slider_field"]

#: Ranges of sliders of weights: largest value, step.
_RANGES = ((2.0, 0.01), (20.0, 0.1), (200.0, 1.0), (1000.0, 5.0))
CSS = """
[class*="st-key-slider_row_"] { flex-wrap: nowrap; align-items: flex-end; }
[class*="st-key-slider_row_"] > div { min-width: 0; }
@media (max-width: 640px) { [class*="st-key-slider_row_"] [data-testid^="stNumberInputStep"] { display: none; } }
"""


def range_of(value: object, bounds: tuple[float, float, float] | None) -> tuple[float, float, float]:
    """Return lowest, highest and step of a slider that can show a value.

    Parameters
    ----------
    value
        What it shows; anything that is no number counts as 0.
    bounds
        Fixed bounds, or None for a weight, whose slider grows with it.
    """
    if bounds is not None:
        return bounds
    number = _number(value)
    most, step = next(((most, step) for most, step in _RANGES if number <= most), _RANGES[-1])
    return 0.0, most, step


def slider_field(
    draft: Draft, path: str, *, bounds: tuple[float, float, float] | None = None, label: str | None = None
) -> None:
    """Draw a number of the plan as a slider with an entry beside it.

    Parameters
    ----------
    draft
        The draft.
    path
        Dotted key.
    bounds
        Lowest, highest and step of the slider; None for a weight.
    label
        Instead of the usual one.
    """
    spec = control(path)
    value = dig(draft.state, path)
    low, high, step = range_of(value, bounds)
    shown = min(max(_number(value), low), high)
    key = f"{widget_key(path)}_slider_{high:g}"

    def slid() -> None:
        put(path, float(st.session_state[key]))

    # The entry may have changed the number since the slider was moved.
    if key in st.session_state and st.session_state[key] != shown:
        st.session_state[key] = draft.given[key] = shown
    row = st.container(horizontal=True, gap="small", key=f"slider_row_{widget_key(path)}")
    row.container(width="stretch").slider(
        label or spec.label, min_value=low, max_value=high, value=given(key, shown), step=step, key=key,
        on_change=living(path, f"_slider_{high:g}", slid), help=spec.help, format="%g",
    )  # fmt: skip
    with row.container(width=116):
        field(draft, path, label_visible=False, told=False)
    message(draft, path)


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0.0
