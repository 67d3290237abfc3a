"""The form of a structure search: presets, budget, texts, and everything else folded away."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from core.api import Studio
from core.config import plan_to_yaml
from core.errors import BertloomError, ConfigError
from pages.ui.components import error_box
from pages.ui.format import plain
from pages.ui.structure.place import Place
from pages.ui.structure.search_fields import MORE, choose, draw_field, folded_problem, grid, message, relevant
from pages.ui.structure.search_outlook import outlook
from pages.ui.structure.search_session import PROBLEM, SearchForm, search_form
from pages.ui.structure.search_values import SIZES, config_of_yaml, from_statistics, sized, state_of, with_finetune

__all__ = ["start_form"]

_MOST_BYTES = 1_000_000


def start_form(studio: Studio, place: Place, *, parent: str, statistics: Mapping[str, Any] | None) -> None:
    """Draw the form.

    Parameters
    ----------
    studio
        The facade.
    place
        Where the person is on the page.
    parent
        The parent that the page is about.
    statistics
        What was measured of it, if it was: its texts and settings are taken over with one click.
    """
    now = search_form(parent, place.asked.budget)
    _follow(studio, place, now, statistics)
    _bar(studio, now, statistics)
    problem = st.session_state.pop(PROBLEM, None)
    with st.container():  # the columns below keep their place whether or not something stands here
        if problem is not None:
            error_box(problem, title="The form stays as it was")
    left, right = st.columns([3, 2], gap="large")
    with left, st.container(border=True, gap="small", key="search_form"):
        _main(studio, now)
        with st.container():
            _finetune(studio, now)
        with st.expander("More settings", icon=":material/tune:", key="search_more", expanded=folded_problem(now)):
            for title, paths in MORE.items():
                st.markdown(f"**{title}**")
                grid(now, [path for path in paths if relevant(path, now)])
    with right:
        outlook(studio, place, now)


def _follow(studio: Studio, place: Place, now: SearchForm, statistics: Mapping[str, Any] | None) -> None:
    """Take over the open measurement, its thresholds and the budget, as often as these are others than before."""
    if not statistics:
        return
    mark = [statistics["run"], statistics["thresholds"], place.asked.budget]
    if now.followed == mark:
        return
    now.followed = mark
    _as_measured(studio, str(statistics["run"]), statistics, min(1.0, place.asked.budget / 100))


def _bar(studio: Studio, now: SearchForm, statistics: Mapping[str, Any] | None) -> None:
    row = st.container(horizontal=True, gap="small", vertical_alignment="center", key="search_bar")
    for size, words in (("quick", "Quick"), ("thorough", "Thorough")):
        made = SIZES[size]()
        row.button(
            words, key=f"search_size_{size}", icon=":material/bolt:" if size == "quick" else ":material/hourglass_top:",
            on_click=_resize, args=(size,),
            help=f"{made.candidates} candidates; {made.halving.enter} of them are trained in rungs of "
            f"{', '.join(map(str, made.halving.rungs))} steps.",
        )  # fmt: skip
    run = str((statistics or {}).get("run") or "")
    if run:
        row.button(
            "As measured", icon=":material/straighten:", key="search_as_measured", on_click=_as_measured,
            args=(studio, run, statistics),
            help="Parent, texts and thresholds of the open measurement: nothing is measured again.",
        )  # fmt: skip
    with row.popover("Settings file", icon=":material/description:", key="search_file_box"):
        st.file_uploader(
            "Fill the form from a YAML file", type=["yaml", "yml"], key="search_file", on_change=_take_file
        )
        if now.config is not None:
            st.download_button(
                "Settings as YAML", plan_to_yaml(now.config), file_name="search.yaml", mime="application/yaml",
                icon=":material/download:", key="search_yaml", on_click="ignore",
                help="`bertloom search run search.yaml` runs exactly this search.",
            )  # fmt: skip
    if now.origin:
        row.caption(f":material/subdirectory_arrow_right: from {plain(now.origin, 80)}", width="stretch")


def _main(studio: Studio, now: SearchForm) -> None:
    row = st.columns(2, gap="medium")
    with row[0]:
        encoders = {str(one["source"]): str(one.get("title") or one["source"]) for one in studio.models.list()}
        choose(now, "model.source", "Parent", encoders)
    with row[1]:
        choose(now, "corpus.source", "Texts", _texts(studio))
    grid(now, ["budget.share", "budget.parameters", "budget.latency_ms"])
    row = st.columns(2, gap="medium")
    with row[0]:
        draw_field(now, "name")
    with row[1]:
        st.space("small")
        draw_field(now, "random")
    message(now, "")


def _texts(studio: Studio) -> dict[str, str]:
    known = [one for one in studio.data.samples() if not one.get("derived")]
    samples = {str(one["name"]): f"{one['title']} ({one['language']})" for one in known}
    return {**samples, **{str(one["path"]): str(one["name"]) for one in studio.data.uploads()}}


# -- fine-tuning -------------------------------------------------------------------------------------------------------
def _finetune(studio: Studio, now: SearchForm) -> None:
    on = now.state["finetune"] is not None
    st.toggle(
        "Fine-tune those that are left", value=on, key=now.key("finetune_on"), on_change=_switch_finetune,
        help="On labelled rows: the front then weighs their scores too.",
    )  # fmt: skip
    if not on:
        return
    part = now.state["finetune"]
    labelled = {
        str(one["name"]): str(one["title"]) for one in studio.data.samples() if "classification" in one["tasks"]
    }
    uploads = {str(one["path"]): str(one["name"]) for one in studio.data.uploads()}
    words = {**labelled, **uploads}
    source: str = part["data"]["source"]
    row = st.columns([2, 1, 1], gap="medium")
    options = list(dict.fromkeys([*words, source]))
    row[0].selectbox(
        "Labelled rows", options, index=options.index(source), key=now.key("finetune_source"), accept_new_options=True,
        format_func=lambda one: str(words.get(one, one))[:60],
    )  # fmt: skip
    row[1].number_input("Steps", value=part["steps"], step=10, key=now.key("finetune_steps"))
    row[2].number_input("Rows to train on", value=part["data"]["train_rows"], step=100, key=now.key("finetune_rows"))
    message(now, "finetune")


def _switch_finetune() -> None:
    now = search_form()
    on = bool(st.session_state[now.key("finetune_on")])
    now.load(with_finetune(now.state, on), now.origin)


# -- filling the form --------------------------------------------------------------------------------------------------
def _resize(size: str) -> None:
    now = search_form()
    usual = {made().name for made in SIZES.values()}
    state = sized(now.state, size)
    if state["name"] in usual:
        state["name"] = SIZES[size]().name
    now.load(state, now.origin)


def _as_measured(studio: Studio, run_id: str, statistics: Mapping[str, Any], share: float | None = None) -> None:
    now = search_form()
    try:
        record = studio.runs.get(run_id)
    except BertloomError as error:
        st.session_state[PROBLEM] = error
        return
    state = from_statistics(now.state, record.plan, statistics)
    if share is not None:
        state |= {"budget.share": share, "budget.parameters": None}
    now.load(state, f"the measurement {record.name}")


def _take_file() -> None:
    file = st.session_state.get("search_file")
    if file is None:
        return
    try:
        if file.size > _MOST_BYTES:
            raise ConfigError("The file is larger than 1 MB.", where=file.name, expected="a YAML file of a few kB")
        try:
            text = file.getvalue().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise ConfigError("The file is not UTF-8 text.", where=file.name, expected="a YAML file") from error
        search_form().load(state_of(config_of_yaml(text, file.name)), file.name)
    except BertloomError as error:
        st.session_state[PROBLEM] = error
