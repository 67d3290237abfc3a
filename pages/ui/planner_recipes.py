"""Planner, in the dialog of ready plans: recipes that learn from a teacher, each named by its paper."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import streamlit as st

from core.config import Plan
from core.config.recipes import Recipe, recipes
from core.errors import BertloomError
from pages.ui.components import error_box, notice
from pages.ui.format import plain
from pages.ui.forms import values_of_stage
from pages.ui.planner_describe import describe
from pages.ui.planner_distil_known import described, fitting_teachers, student_of
from pages.ui.planner_distil_teachers import teacher_title
from pages.ui.planner_draft import Draft, once, replace_stages, sync
from pages.ui.planner_map import cells
from pages.ui.planner_stage_words import summary
from pages.ui.planner_student import half_of, take_layers
from pages.ui.studio import studio

__all__ = ["recipe_plan", "recipes_part", "use_recipe"]

#: Recipes train all layers, however many: any number says so.
_LAYERS = 2
_STUDENTS = {"teacher": "Half of the teacher's layers", "own": "The plan's encoder"}


def recipes_part(now: Draft, close: Callable[[], None]) -> None:
    """Draw what a recipe needs, a teacher and a student, and the recipes; `close` is called when one was taken."""
    st.caption(
        "A recipe takes the place of the stages, and half of the teacher's layers that of the model. Data and runtime "
        "stay as they are."
    )
    offered = {str(one["source"]): one for one in fitting_teachers(now, studio())}
    row = st.columns([3, 2], gap="medium", vertical_alignment="bottom")
    with row[0]:
        teacher = st.selectbox(
            "Teacher", list(offered), index=0 if offered else None, key="recipe_teacher", accept_new_options=True,
            format_func=partial(teacher_title, offered), placeholder="Type a folder or hub:NAME",
            help="A run or a folder that was trained for the plan's task.",
        )  # fmt: skip
    with row[1]:
        student = st.segmented_control(
            "Student", list(_STUDENTS), default="teacher", required=True, key="recipe_student",
            format_func=_STUDENTS.__getitem__, width="stretch",
        ) or "teacher"  # fmt: skip
    if not offered and not teacher:
        st.caption("No run of this task has finished yet: train one first, or name a folder.")
    for recipe in recipes():
        with st.container(border=True, gap="small", key=f"recipe_{recipe.name}"):
            line = st.container(horizontal=True, vertical_alignment="center", gap="small")
            line.container(width="stretch").markdown(f"**{plain(recipe.title)}**")
            try:
                plan = recipe_plan(now, recipe, teacher, own=student == "own") if teacher else None
            except BertloomError as error:
                error_box(error)
                continue
            if line.button(
                "Use", key=f"recipe_use_{recipe.name}", disabled=plan is None,
                help=f"Use {recipe.title}" if plan is not None else "Choose a teacher first",
                on_click=once(f"use {recipe.name}", use_recipe), args=(recipe, teacher, student == "own"),
            ):  # fmt: skip
                close()
                st.rerun()
            st.markdown(plain(recipe.about))
            if plan is not None:
                lines = [
                    f"{place}. **{plain(stage.name)}**&ensp;"
                    f":gray[{plain(summary(values_of_stage(stage), cells(stage, _LAYERS)))}]"
                    for place, stage in enumerate(plan.stages, 1)
                ]
                st.markdown("\n".join(lines))
            st.caption(plain(recipe.source))


def recipe_plan(now: Draft, recipe: Recipe, teacher: str, *, own: bool) -> Plan:
    """Return a recipe for the plan's rows.

    Parameters
    ----------
    now
        The draft.
    recipe
        The recipe.
    teacher
        Source of the teacher.
    own
        Whether the plan's encoder is the student; otherwise half of the teacher's layers are.

    Raises
    ------
    ConfigError
        If the recipe does not fit the teacher or the student.
    """
    nearest = now.nearest()
    about = described(teacher, studio())
    sizes: dict[str, Any] = {}
    if isinstance(about, dict):
        sizes = {"layers": about.get("layers"), "width": about.get("hidden_size")}
    if own:
        side, told = student_of(now, studio()), describe(now, studio())
        width = told.get("hidden_size") if isinstance(told, dict) else None
        sizes |= {"model": nearest.model, "student": (side.layers, width) if side is not None and width else None}
    return recipe.plan(nearest.data, nearest.task, teacher=teacher, **sizes)


def use_recipe(recipe: Recipe, teacher: str, own: bool) -> None:
    """Put a recipe's stages, and its student, into the draft; from a callback.

    Raises
    ------
    ConfigError
        If the recipe does not fit the teacher or the student.
    """
    now = sync()
    plan = recipe_plan(now, recipe, teacher, own=own)
    replace_stages([values_of_stage(stage) for stage in plan.stages], [None] * len(plan.stages))
    about = described(teacher, studio())
    if not own:
        fits = not isinstance(about, dict) or half_of(about) is not None
        take_layers(teacher, plan.model.keep_layers if fits else None)
    now.origin = f"ready plan: {recipe.title}"
    notice(f"The stages are those of: {recipe.title}.")
