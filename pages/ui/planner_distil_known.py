"""Planner: what is known of a distillation's teachers and student, and what keeps it from being started."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import streamlit as st
from pydantic import ValidationError

from core.api import Studio
from core.config import TaskConfig
from core.errors import BertloomError
from pages.ui.format import bytes_text
from pages.ui.forms import fingerprint, plan_from_state, subset
from pages.ui.forms_stages import dig, stage_count
from pages.ui.planner_describe import describe
from pages.ui.planner_distil_facts import (
    Side,
    answer_bytes,
    pieces_problem,
    state_problems,
    student_side,
    teacher_problem,
    teacher_side,
)
from pages.ui.planner_draft import Draft
from pages.ui.planner_jobs import ask, peek
from pages.ui.planner_side import steps_question

__all__ = [
    "counted", "described", "distil_objections", "distil_places", "first_teacher", "fitting_teachers", "is_asked",
    "labels_of", "look_at", "remember", "settings_of", "student_of", "task_of", "teacher_jobs", "teachers_of",
]  # fmt: skip

_COUNTED = "planner_counted"


def distil_places(draft: Draft) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield the position and the settings of each stage of kind ``distil`` that is switched on."""
    for index in range(stage_count(draft.state)):
        prefix = f"stages.{index}"
        settings = draft.state.get(f"{prefix}.distil")
        on = draft.state.get(f"{prefix}.kind") == "distil" and draft.state.get(f"{prefix}.enabled")
        if on and isinstance(settings, Mapping):
            yield index, settings


def teachers_of(settings: Mapping[str, Any]) -> list[str]:
    """Return the sources of a distillation's teachers, empty where none is chosen yet."""
    return [str(one.get("source") or "") for one in settings.get("teachers") or []]


def teacher_jobs(draft: Draft) -> list[str]:
    """Return the kinds of the questions about hub teachers, for :func:`pages.ui.planner_jobs.watch`."""
    return [_kind(source) for _, settings in distil_places(draft) for source in teachers_of(settings)]


def task_of(draft: Draft) -> TaskConfig | None:
    """Return the plan's task; None while it is not valid."""
    try:
        return plan_from_state(subset(draft.state, "task.")).task
    except ValidationError:
        return None


def described(source: str, studio: Studio) -> dict[str, Any] | BertloomError | None:
    """Return what a teacher's folder says, why it cannot teach, or None while nobody has asked the hub."""
    if not source:
        return None
    if source.startswith("hub:"):
        job = peek(_kind(source), source)
        if job is None or job.state == "running":
            return None
        return job.error if job.state == "failed" else dict(job.answer)
    try:
        return _trained(source, str(studio.home.root), studio)
    except BertloomError as error:
        return error


def is_asked(source: str) -> bool:
    """Tell whether the hub is being asked for a teacher."""
    job = peek(_kind(source), source)
    return job is not None and job.state == "running"


def look_at(source: str, studio: Studio) -> None:
    """Ask the hub for a teacher, from a callback."""
    ask(_kind(source), source, partial(studio.models.trained, source))


def fitting_teachers(draft: Draft, studio: Studio) -> list[dict[str, Any]]:
    """Return the runs and exports that were trained for the plan's task, those with its labels first."""
    task = task_of(draft)
    if task is None:
        return []
    try:
        found = _teachers(task.model_dump_json(), str(studio.home.root), studio)
    except BertloomError:
        return []
    labels = labels_of(draft)
    return sorted(found, key=lambda one: labels is not None and set(one["labels"]) != set(labels))


def counted(draft: Draft) -> dict[str, Any] | None:
    """Return what was last counted of these rows; None as long as nobody has read them.

    Labels and answers depend on data and task alone, so they stay known while a person changes stages.
    """
    job = peek("steps", steps_question(draft))
    rows = fingerprint(subset(draft.state, "data.", "task."))
    if job is not None and job.state == "done":
        st.session_state[_COUNTED] = (rows, dict(job.answer))
    mark, answer = st.session_state.get(_COUNTED) or ("", None)
    return answer if mark == rows else None


def remember(draft: Draft, answer: dict[str, Any]) -> None:
    """Take what something else has counted of these rows; see :func:`counted`."""
    st.session_state[_COUNTED] = (fingerprint(subset(draft.state, "data.", "task.")), answer)


def labels_of(draft: Draft) -> list[str] | None:
    """Return the labels of the plan's rows; None as long as nobody has read them."""
    found = (counted(draft) or {}).get("label_names")
    return list(found) if found else None


def student_of(draft: Draft, studio: Studio) -> Side | None:
    """Return the student: the plan's encoder with the layers that are kept; None where nobody can describe it."""
    about = describe(draft, studio)
    if not isinstance(about, Mapping):
        return None
    vocabulary = None
    source = str(draft.state.get("model.source") or "")
    if not source.startswith("hub:"):
        with contextlib.suppress(BertloomError):  # the folder was removed a moment ago
            vocabulary = _vocabulary(source, str(studio.home.root), studio)
    return student_side({**about, "vocabulary": vocabulary}, draft.state.get("model.keep_layers"))


def distil_objections(draft: Draft, studio: Studio) -> dict[str, str]:
    """Return what keeps stages of kind ``distil`` from being executed, by the field that it concerns."""
    counted(draft)  # remembered for when the plan is not valid and nothing is counted
    found: dict[str, str] = {}
    task, labels, student = task_of(draft), labels_of(draft), None
    for index, settings in distil_places(draft):
        prefix = f"stages.{index}.distil"
        about = [described(source, studio) for source in teachers_of(settings)]
        rows = settings.get("teachers") or []
        for number, one in enumerate(about):
            problem = one.what if isinstance(one, BertloomError) else None
            if isinstance(one, dict) and task is not None:
                problem = teacher_problem(one, task, labels, rows[number].get("labels"))
                if problem is None and task.kind == "question_answering":
                    student = student or student_of(draft, studio)
                    problem = pieces_problem(one, student)
            if problem:
                found[f"{prefix}.teachers.{number}.source"] = problem
        found |= {f"{prefix}.{name}": words for name, words in _limits(draft, settings).items()}
        states = settings.get("states") or []
        teacher = teacher_side(about[0]) if about and isinstance(about[0], dict) else None
        if not states or teacher is None:
            continue
        student = student or student_of(draft, studio)
        if student is None:
            continue
        if student.vocabulary and teacher.vocabulary and student.vocabulary != teacher.vocabulary:
            found[f"{prefix}.states"] = (
                "student and teacher have different tokenisers, so their layers see different sub-words; without "
                "losses between layers the teacher's answers can still be learnt"
            )
        problems = state_problems(states, student, teacher)
        found |= {f"{prefix}.states.{name}": words for name, words in problems.items()}
    return found


def _limits(draft: Draft, settings: Mapping[str, Any]) -> dict[str, str]:
    size, limit = answer_bytes(counted(draft)), settings.get("cache_limit_mb")
    if size is None or not settings.get("cache") or not isinstance(limit, int) or size[2] <= limit * 1_000_000:
        return {}
    return {"cache_limit_mb": f"a teacher's answers to these rows take {bytes_text(size[2])}: raise the limit"}


def _kind(source: str) -> str:
    return f"teacher {source}"


@st.cache_data(ttl=20, max_entries=50, show_spinner=False)
def _trained(source: str, home: str, _studio: Studio) -> dict[str, Any]:
    """Describe a trained folder; one that changes is seen again after some seconds."""
    return _studio.models.trained(source)


@st.cache_data(ttl=10, max_entries=8, show_spinner=False)
def _teachers(task: str, home: str, _studio: Studio) -> list[dict[str, Any]]:
    return _studio.models.teachers(TaskConfig.model_validate_json(task))


@st.cache_data(ttl=60, max_entries=50, show_spinner=False)
def _vocabulary(source: str, home: str, _studio: Studio) -> str | None:
    return _studio.models.vocabulary(source)


def first_teacher(draft: Draft, studio: Studio) -> str:
    """Return the folder of the teacher that is offered first, or nothing where there is none."""
    found = fitting_teachers(draft, studio)
    labels = labels_of(draft)
    known = [one for one in found if labels is None or set(one["labels"]) == set(labels)]
    return str(known[0]["source"]) if known else ""


def settings_of(draft: Draft, index: int) -> Mapping[str, Any]:
    """Return the settings of a distillation as the form holds them."""
    found = dig(draft.state, f"stages.{index}.distil")
    return found if isinstance(found, Mapping) else {}
