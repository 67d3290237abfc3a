"""Planner: the teachers of a distillation, each with what its folder says and whether it can teach this plan."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import streamlit as st

from core.api import Studio
from core.errors import BertloomError
from core.models.label_names import suggested_names
from pages.ui.components import error_box
from pages.ui.format import count, metric_name, metric_value, plain
from pages.ui.planner_distil_facts import teacher_problem
from pages.ui.planner_distil_known import (
    described,
    fitting_teachers,
    is_asked,
    labels_of,
    look_at,
    settings_of,
    task_of,
)
from pages.ui.planner_draft import Draft, add_row, once, put, row_action, widget_key
from pages.ui.planner_slider import slider_field
from pages.ui.planner_widgets import field, message

__all__ = ["MOST_TEACHERS", "teacher_title", "teacher_words", "teachers_part", "weak_words"]

MOST_TEACHERS = 5
#: Labels that the facts name, at most.
_NAMED = 8


def teachers_part(draft: Draft, studio: Studio, index: int) -> None:
    """Draw the rows of teachers, and what can be added."""
    path = f"stages.{index}.distil.teachers"
    rows = settings_of(draft, index).get("teachers") or []
    offered = {str(one["source"]): one for one in fitting_teachers(draft, studio)}
    st.markdown("**Teacher**" if len(rows) < 2 else "**Teachers**")
    for number, row in enumerate(rows):
        one = f"{path}.{number}"
        source = str(row.get("source") or "")
        with st.container(border=len(rows) > 1, gap="small", key=f"distil_teacher_{draft.order[index]}_{number}"):
            line = st.container(horizontal=True, gap="small", vertical_alignment="bottom")
            with line.container(width="stretch"):
                field(
                    draft, f"{one}.source", options=list(offered), format_func=partial(teacher_title, offered),
                    placeholder="Choose a run, or type a folder or hub:NAME",
                )  # fmt: skip
            if len(rows) > 1:
                line.button(
                    "", icon=":material/close:", key=f"{widget_key(one + '.x')}_remove", type="tertiary",
                    help="Remove this teacher", on_click=once(f"remove {path}", row_action),
                    args=(path, partial(_without, number)),
                )  # fmt: skip
            with st.container():
                _facts(draft, studio, source, row.get("labels"), wrong=f"{one}.source" in draft.beside)
                _names(draft, studio, one, row)
                words = weak_words(offered.get(source), studio)
                if words:
                    st.caption(f":orange[:material/warning: {plain(words)}]")
            if len(rows) > 1:
                slider_field(draft, f"{one}.weight")
            message(draft, one)
    message(draft, path)
    if len(rows) < MOST_TEACHERS:
        st.button(
            "Add another teacher", icon=":material/add:", key=f"{widget_key(path)}_add", type="tertiary",
            on_click=once(f"add {path}", add_row), args=(path,),
            help="Their answers are mixed by weight; losses between layers look at the first.",
        )  # fmt: skip


def teacher_title(offered: Mapping[str, Mapping[str, Any]], source: str) -> str:
    """Return what a teacher is called in the list: the run with its score, or the end of a folder's name."""
    one = offered.get(source)
    if one is None:
        return source
    score = one.get("score")
    if not score:
        return str(one["title"])[:80]
    value = metric_value(score["metric"], score["value"])
    return f"{str(one['title'])[:60]} · {value} {metric_name(score['metric']).lower()} on {score['role']}"


def weak_words(offered: Mapping[str, Any] | None, studio: Studio) -> str:
    """Say that a run is no better than a method without a model; nothing where it is, or where nobody knows."""
    score, run = (offered or {}).get("score"), (offered or {}).get("run")
    if not score or not run:
        return ""
    try:
        details = ((studio.runs.results(run) or {}).get("details") or {}).get(score["role"]) or {}
    except BertloomError:
        return ""
    without = (details.get("baseline") or {}).get(score["metric"])
    if without is None and score["metric"] in ("accuracy", "micro_f1"):
        without = details.get("majority")
    if without is None or score["value"] > without:
        return ""
    return (
        f"It is no better than a method without a model ({metric_value(score['metric'], without)}): there is little to "
        "learn from it."
    )


def teacher_words(trained: Mapping[str, Any]) -> str:
    """Return a teacher's facts in one line."""
    labels = [str(one) for one in trained["labels"]]
    shown = ", ".join(labels[:_NAMED]) + (f" … ({len(labels)})" if len(labels) > _NAMED else "")
    config = trained["task"]
    task = str(config["kind"]).replace("_", " ") + (", several labels a text" if config.get("multi_label") else "")
    task += ", a head that points" if config.get("head") == "pointer" else ""
    named = config["kind"] != "question_answering" and (config["kind"] != "dependency" or config.get("relations", True))
    facts = [
        f"{count(trained['layers'])} layers" if trained.get("layers") else "",
        f"{count(trained['hidden_size'])} wide" if trained.get("hidden_size") else "",
        f"{trained['parameters'] / 1e6:.1f} M parameters" if trained.get("parameters") else "",
        f"{task}: {shown}" if named else task,
    ]
    return " · ".join(fact for fact in facts if fact)


def _names(draft: Draft, studio: Studio, path: str, row: Mapping[str, Any]) -> None:
    """Draw what the teacher's labels are called in the data, where they differ and nothing else does."""
    about = described(str(row.get("source") or ""), studio) if row.get("source") else None
    task, labels, given = task_of(draft), labels_of(draft), row.get("labels")
    offered: dict[str, str] = {}
    if isinstance(about, Mapping) and task is not None and labels is not None:
        alike = teacher_problem(about, task, None) is None
        if not given and (not alike or teacher_problem(about, task, labels) is None):
            return
        offered = suggested_names(about["labels"], labels) if alike else {}
    elif not given:
        return
    field(draft, f"{path}.labels")
    if offered and offered != given:
        listed = ", ".join(f"{one} = {other}" for one, other in list(offered.items())[:_NAMED])
        st.button(
            f"Take {plain(listed)}", icon=":material/match_word:", key=f"{widget_key(path + '.labels')}_take",
            type="tertiary", on_click=once(f"take {path}", _take), args=(f"{path}.labels", offered),
            help="Take these names for the same labels",
        )  # fmt: skip


def _take(path: str, names: dict[str, str]) -> None:
    put(path, names)


def _facts(draft: Draft, studio: Studio, source: str, names: object, *, wrong: bool) -> None:
    if not source:
        return
    about = described(source, studio)
    if about is None and is_asked(source):
        st.caption(":material/hourglass_top: Looking at this teacher …")
        return
    if about is None:
        row = st.container(horizontal=True, gap="small", vertical_alignment="center")
        row.caption("Looking at this teacher asks the hub for it.")
        row.button(
            "Look at the teacher", icon=":material/cloud_download:", key=f"look_at_{source}", on_click=look_at,
            args=(source, studio),
        )  # fmt: skip
        return
    if isinstance(about, BertloomError):
        if wrong:  # what is wrong stands beside the field
            usual = "Choose a finished run, or name the folder of a trained or exported model, or hub:NAME."
            st.caption(plain(about.advice or usual, 400))
        else:
            error_box(about, title="This cannot teach")
        return
    st.caption(plain(teacher_words(about)))
    task, labels = task_of(draft), labels_of(draft)
    if task is None or wrong:
        return
    if task.kind == "question_answering":
        st.caption(":green[:material/check_circle: It answers questions too.]")
    elif labels is None:
        st.caption(":material/hourglass_top: Its labels are compared as soon as the rows have been read.")
    elif teacher_problem(about, task, labels, names) is None:
        st.caption(f":green[:material/check_circle: Its task and its {len(labels)} labels are those of the rows.]")


def _without(number: int, rows: list[Any]) -> list[Any]:
    return rows[:number] + rows[number + 1 :]
