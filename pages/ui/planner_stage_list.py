"""Planner, third card: the stages of the plan, one after the other."""

from __future__ import annotations

from functools import partial
from typing import Any

import streamlit as st

from pages.ui.format import plain
from pages.ui.forms import stage_from_values
from pages.ui.forms_stages import Values, stage_count, stage_values, unused_name
from pages.ui.planner_distil_known import first_teacher
from pages.ui.planner_draft import Draft, once, replace_stages, sync, turn_card
from pages.ui.planner_gallery import OPEN, gallery, open_gallery
from pages.ui.planner_map import Cell, Parameters, cells
from pages.ui.planner_map_view import freeze_map
from pages.ui.planner_stage_card import card_body
from pages.ui.planner_stage_words import READY, new_stage, ready_stage, summary
from pages.ui.planner_widgets import section
from pages.ui.studio import studio

__all__ = ["CSS", "stages_section"]

_KIND_LOOKS = {
    "train": "",
    "range_test": ":violet-badge[:material/query_stats: Range test]",
    "search": ":violet-badge[:material/manage_search: Search]",
    "distil": ":violet-badge[:material/school: Distil]",
}
_ADD = {
    "train": ":material/model_training: **Train**",
    "range_test": ":material/query_stats: **Range test**",
    "search": ":material/manage_search: **Search**",
    "distil": ":material/school: **Distil**",
}
_ACTIONS = {
    "duplicate": ":material/content_copy: Duplicate",
    "up": ":material/arrow_upward: Move up",
    "down": ":material/arrow_downward: Move down",
    "off": ":material/toggle_off: Switch off",
    "on": ":material/toggle_on: Switch on",
    "remove": ":material/delete: Remove",
}
CSS = """
[class*="st-key-stage_card_"]:has(> div > [class*="st-key-stage_head_"]) { padding-block: 0.45rem; }
[class*="st-key-stage_head_"] { min-height: 2.5rem; flex-wrap: nowrap; }
@media (max-width: 640px) { [class*="st-key-stage_head_"] { flex-wrap: wrap; } }
[class*="st-key-stage_open_"] button { padding: 0; min-height: 1.9rem; text-align: left; }
[class*="st-key-stage_open_"] button p { font-weight: 600; overflow-wrap: anywhere; }
[class*="st-key-stage_part_"] {
  border-left: 2px solid color-mix(in srgb, currentColor 18%, transparent);
  padding-left: 1rem;
}
"""


def stages_section(draft: Draft, *, layers: int, parameters: Parameters | None) -> None:
    """Draw the card with all stages and what can be added.

    Parameters
    ----------
    draft
        The draft.
    layers
        Number of the encoder's layers.
    parameters
        The model's parameters, as soon as they are known.
    """
    count = stage_count(draft.state)
    stages = [stage_values(draft.state, index) for index in range(count)]
    rows = [_row(values, layers, parameters) for values in stages]
    several = count > 1
    title = "Stages" if several else "Stage"
    words = (
        "They run in this order; a gate says what must be reached before the next one begins."
        if several
        else "How the encoder and its head are trained."
    )
    with section(3, title, words, key="planner_stage"):
        if several:
            freeze_map(draft, stages, rows, layers)
            for index, values in enumerate(stages):
                _card(draft, index, values, rows[index], parameters, layers)
        else:
            with st.container(key=f"stage_card_{draft.order[0]}"):
                draw_map = partial(freeze_map, draft, stages, rows, layers)
                card_body(draft, 0, several=False, parameters=parameters, layers=layers, between=draw_map)
        _adding(layers)


def _row(values: Values, layers: int, parameters: Parameters | None) -> list[Cell] | None:
    stage = stage_from_values(values)
    return cells(stage, layers, parameters) if stage is not None else None


def _card(
    draft: Draft, index: int, values: Values, row: list[Cell] | None, parameters: Parameters | None, layers: int
) -> None:
    number = draft.order[index]
    wrong = sum(path.startswith(f"stages.{index}.") for path in draft.beside)
    wrong += sum(words.startswith(f"stages.{index}") for words in draft.loose)
    is_open = number in draft.open or bool(wrong)
    with st.container(border=True, gap="small", key=f"stage_card_{number}"):
        head = st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"stage_head_{number}")
        head.button(
            f"{index + 1}&ensp;{plain(values['name'], 60)}",
            icon=":material/expand_more:" if is_open else ":material/chevron_right:",
            key=f"stage_open_{number}", type="tertiary", on_click=once(f"open {number}", turn_card), args=(number,),
            disabled=bool(wrong),
            help="Some fields need mending: the card stays open." if wrong else None,
        )  # fmt: skip
        badges = [_KIND_LOOKS.get(str(values["kind"]), "")]
        if values.get("gate"):
            badges.append(":blue-badge[:material/flag: Gate]")
        if not values["enabled"]:
            badges.append(":gray-badge[:material/toggle_off: Off]")
        if wrong:
            badges.append(f":red-badge[:material/error: {wrong} to mend]")
        elif any(path.startswith(f"stages.{index}.") for path in draft.hints):
            badges.append(":orange-badge[:material/warning: Hint]")
        line = [badge for badge in badges if badge]
        if not is_open:
            line.append(f":small[:gray[{plain(summary(values, row))}]]")
        head.container(width="stretch", gap=None).markdown("&ensp;".join(line) or "&nbsp;")
        with head:
            _menu(draft, index, number, enabled=bool(values["enabled"]))
        if is_open:
            card_body(draft, index, several=True, parameters=parameters, layers=layers)


def _menu(draft: Draft, index: int, number: int, *, enabled: bool) -> None:
    count = stage_count(draft.state)
    options = ["duplicate", *(["up"] if index else []), *(["down"] if index < count - 1 else [])]
    options += ["off" if enabled else "on", "remove"]
    key = f"stage_menu_{number}"

    def chosen() -> None:
        what = st.session_state[key]
        once(f"{key} {what}", _act)(what, number)

    st.menu_button(
        "Actions", options, key=key, on_click=chosen, format_func=lambda name: _ACTIONS[name], icon=":material/tune:",
        type="tertiary",
    )  # fmt: skip


def _act(what: str, number: int) -> None:
    """Carry out an action of a card's menu."""
    now = sync()
    if number not in now.order:
        return
    at = now.order.index(number)
    stages = [stage_values(now.state, index) for index in range(len(now.order))]
    order: list[int | None] = list(now.order)
    if what == "duplicate":
        copied = {**stages[at], "name": unused_name(str(stages[at]["name"]), [str(one["name"]) for one in stages])}
        stages.insert(at + 1, copied)
        order.insert(at + 1, None)
        now.open.add(replace_stages(stages, order)[at + 1])
        return
    if what == "remove":
        del stages[at], order[at]
    elif what in ("off", "on"):
        stages[at]["enabled"] = what == "on"
    else:
        other = at - 1 if what == "up" else at + 1
        if not 0 <= other < len(stages):
            return
        stages[at], stages[other] = stages[other], stages[at]
        order[at], order[other] = order[other], order[at]
    replace_stages(stages, order)


def _adding(layers: int) -> None:
    row = st.container(horizontal=True, gap="small", vertical_alignment="center", key="planner_adding")
    key = "planner_add_stage"

    def chosen() -> None:
        name = st.session_state[key]
        once(f"{key} {name}", _add)(name, layers)

    def words(name: str) -> str:
        return _ADD.get(name) or f":material/bolt: {READY[name].title}"

    row.menu_button(
        "Add a stage", [*_ADD, *READY], key=key, icon=":material/add:", on_click=chosen, format_func=words,
        help="After the last one: a plain stage of training, a range test, a search, a distillation, or one that is "
        "ready.",
    )  # fmt: skip
    row.button(
        "Ready plans", icon=":material/auto_awesome_motion:", key="planner_gallery", on_click=open_gallery,
        help="Ways of tuning that people have published, with their stages filled in, and recipes of distillation.",
    )  # fmt: skip
    if st.session_state.get(OPEN):
        gallery(layers)


def _add(name: str, layers: int) -> None:
    now = sync()
    stages: list[Values] = [stage_values(now.state, index) for index in range(len(now.order))]
    taken = [str(stage["name"]) for stage in stages]
    teacher = first_teacher(now, studio()) if name == "distil" else ""
    added: dict[str, Any] = ready_stage(name, taken, layers) if name in READY else new_stage(name, taken, teacher)
    numbers = replace_stages([*stages, added], [*now.order, None])
    now.open = {numbers[-1]}
