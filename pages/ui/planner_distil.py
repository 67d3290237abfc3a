"""Planner: what a stage of kind ``distil`` learns from whom, as a form. It is the plan's ``distil``, key by key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from core.api import Studio
from core.training.files import FREE_FLOOR, free_bytes
from pages.ui.format import bytes_text, count, plain
from pages.ui.forms_stages import dig
from pages.ui.forms_values import control
from pages.ui.planner_distil_facts import Side, answer_bytes, teacher_side
from pages.ui.planner_distil_known import (
    counted,
    described,
    distil_places,
    settings_of,
    student_of,
    teachers_of,
)
from pages.ui.planner_distil_losses import CSS as LOSSES_CSS
from pages.ui.planner_distil_losses import losses_part
from pages.ui.planner_distil_pairs import found_pairs
from pages.ui.planner_distil_teachers import teachers_part
from pages.ui.planner_distil_towers import towers_part
from pages.ui.planner_draft import Draft, given, living, switch_part, widget_key
from pages.ui.planner_slider import CSS as SLIDER_CSS
from pages.ui.planner_slider import slider_field
from pages.ui.planner_widgets import field, fields, message

__all__ = ["CSS", "cache_words", "distil_part", "teacher_outlook"]

CSS = SLIDER_CSS + LOSSES_CSS
#: Fields that are folded away, under their heading.
_MORE: dict[str, tuple[str, ...]] = {
    "α over time": ("alpha_schedule.name", "alpha_schedule.to", "alpha_schedule.begin", "alpha_schedule.end"),
    "Weight of the answers": (
        "answers_schedule.name", "answers_schedule.to", "answers_schedule.begin", "answers_schedule.end",
    ),
}  # fmt: skip


def distil_part(draft: Draft, studio: Studio, index: int) -> None:
    """Draw the form of one distillation.

    Parameters
    ----------
    draft
        The draft; the stage's ``distil`` must not be empty.
    studio
        The facade.
    index
        Position of the stage.
    """
    path = f"stages.{index}.distil"
    settings = settings_of(draft, index)
    sources = teachers_of(settings)
    about = described(sources[0], studio) if sources else None
    teacher = teacher_side(about) if isinstance(about, dict) else None
    student = student_of(draft, studio) if teacher is not None else None
    with st.container(border=True, key=f"distil_part_{draft.order[index]}"):
        message(draft, path)
        teachers_part(draft, studio, index)
        st.divider()
        _answers(draft, path)
        st.divider()
        losses_part(draft, studio, index, student, teacher)
        with st.container():
            if student is not None and teacher is not None:
                _towers(draft, index, settings, student, teacher)
        st.divider()
        _cache(draft, studio, path, settings)


def _answers(draft: Draft, path: str) -> None:
    st.markdown("**What is learnt from its answers**")
    row = st.columns(2, gap="medium")
    with row[0]:
        slider_field(draft, f"{path}.temperature", bounds=(0.5, 20.0, 0.5))
        slider_field(draft, f"{path}.alpha", bounds=(0.0, 1.0, 0.01))
    with row[1]:
        slider_field(draft, f"{path}.differences", bounds=(0.0, 1.0, 0.01))
        if _value(draft, path, "differences"):
            slider_field(draft, f"{path}.sharpness", bounds=(0.1, 10.0, 0.1))
        field(draft, f"{path}.harmful")
    _selection(draft, path)
    paths = [f"{path}.{name}" for names in _MORE.values() for name in names]
    wrong = sum(one in draft.beside for one in (*paths, f"{path}.answers"))
    moved = any(_value(draft, path, name, "name") != "constant" for name in ("alpha_schedule", "answers_schedule"))
    with st.expander(
        f"Weights over time · {wrong} to mend" if wrong else "Weights over time", expanded=bool(wrong) or moved,
        key=f"distil_more_{widget_key(path)}",
    ):  # fmt: skip
        for title, names in _MORE.items():
            st.markdown(f"**{title}**")
            if title == "Weight of the answers":
                slider_field(draft, f"{path}.answers")
            fields(draft, [f"{path}.{name}" for name in names], columns=2)


def _value(draft: Draft, path: str, *names: str) -> Any:
    """Return a value within a distillation."""
    return dig(draft.state, ".".join((path, *names)))


def _selection(draft: Draft, path: str) -> None:
    """Draw whether only some positions count, and which."""
    part = f"{path}.selection"
    key = f"{widget_key(part)}_on"
    on = _value(draft, path, "selection") is not None

    def turned() -> None:
        switch_part(part, bool(st.session_state[key]))

    given(key, on)
    st.toggle(
        "Learn from some positions only", value=on, key=key, on_change=living(part, "_on", turned),
        help=control(part).key.description,
    )  # fmt: skip
    message(draft, part)
    if on:
        with st.container(key=f"stage_part_selection_{widget_key(path)}"):
            row = st.columns(2, gap="medium")
            with row[0]:
                field(draft, f"{part}.by")
            with row[1]:
                slider_field(draft, f"{part}.share", bounds=(0.01, 1.0, 0.01))


def _towers(draft: Draft, index: int, settings: Mapping[str, Any], student: Side, teacher: Side) -> None:
    number = draft.order[index]
    with st.container(key=f"distil_towers_{number}"):
        found = found_pairs(draft, index)
        towers_part(settings, student, teacher, key=f"distil_drawing_{number}", found=found)


def _cache(draft: Draft, studio: Studio, path: str, settings: Mapping[str, Any]) -> None:
    st.markdown("**The teacher's answers on the disk**")
    row = st.columns(2, gap="medium", vertical_alignment="bottom")
    with row[0]:
        field(draft, f"{path}.cache")
    if settings.get("cache"):
        with row[1]:
            field(draft, f"{path}.cache_limit_mb")
    words, bad = cache_words(settings, answer_bytes(counted(draft)), free_bytes(studio.home.cache))
    st.caption(f":orange[:material/warning: {plain(words)}]" if bad else plain(words))


def teacher_outlook(draft: Draft, studio: Studio) -> None:
    """Say what the plan's teachers will do before its first step and in every step."""
    free = free_bytes(studio.home.cache)
    for index, settings in distil_places(draft):
        words, bad = cache_words(settings, answer_bytes(counted(draft)), free)
        often = "in every step, for the losses between layers" if settings.get("states") else "once, for its answers"
        name = plain(draft.state.get(f"stages.{index}.name"), 40)
        st.caption(f":material/school: **{name}**: the teacher runs {often}. {plain(words)}")
        if bad:
            st.caption(":orange[:material/warning: There is no room for its answers on this disk.]")


def cache_words(settings: Mapping[str, Any], size: tuple[int, int, int] | None, free: int) -> tuple[str, bool]:
    """Say what a teacher's answers take before they are written; the second value says whether there is room.

    Parameters
    ----------
    settings
        Of the distillation.
    size
        See :func:`pages.ui.planner_distil_facts.answer_bytes`; None while nobody has counted.
    free
        Free bytes of the disk that holds the cache.
    """
    if size is None:
        return "Their size is known as soon as the rows have been read.", False
    units, classes, each = size
    teachers = max(1, len(settings.get("teachers") or []))
    total = each * teachers
    times = f"{count(teachers)} teachers × " if teachers > 1 else ""
    words = f"{times}{count(units)} answers × {count(classes)} classes × 2 bytes = {bytes_text(total)}"
    if each != 2 * units * classes:  # places that can be pointed to are not equally many everywhere
        words = (
            f"{times}{count(units)} answers of {count(classes)} numbers in the mean, 2 bytes each = {bytes_text(total)}"
        )
    if not settings.get("cache"):
        return f"{words} in memory: they are computed anew in every run.", False
    if free < total + FREE_FLOOR:
        return f"{words}; the disk has {bytes_text(free)} free, of which {bytes_text(FREE_FLOOR)} stay free.", True
    return f"{words}, at most; the disk has {bytes_text(free)} free. Later runs find them there.", False
