"""Planner: which layers likeness would pair now, asked in the background beside a loss that pairs them so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import streamlit as st

from core.api import Studio
from core.config import Plan
from pages.ui.components import error_box
from pages.ui.format import count, duration
from pages.ui.planner_distil_known import settings_of, teachers_of
from pages.ui.planner_draft import Draft
from pages.ui.planner_jobs import Job, ask, peek

__all__ = ["PAIRS", "Found", "found_pairs", "pairs_part", "pairs_words"]

#: Kind of the question, for :func:`pages.ui.planner_jobs.watch`.
PAIRS = "pairs"


@dataclass(frozen=True)
class Found:
    """What likeness pairs now.

    Parameters
    ----------
    pairs
        (layer of the student, layer of the teacher), from 1.
    likeness
        Linear CKA of each pair; None where one of the layers gives the same for all sub-words.
    tokens
        Sub-words that were compared.
    """

    pairs: tuple[tuple[int, int], ...]
    likeness: tuple[float | None, ...]
    tokens: int


def found_pairs(draft: Draft, index: int) -> Found | None:
    """Return the answer for the stage as it is in the form now; None where nobody has asked, or there is none yet."""
    job = _job(draft, index)
    return _found(job.answer) if job is not None and job.state == "done" else None


def pairs_part(draft: Draft, studio: Studio, index: int, *, key: str) -> None:
    """Offer to find the pairs, or show them.

    Parameters
    ----------
    draft
        The draft.
    studio
        The facade.
    index
        Position of the stage.
    key
        Key of the button.
    """
    if not _possible(draft, index):
        return
    job = _job(draft, index)
    if job is None:
        st.button(
            "Find the pairs", icon=":material/join_inner:", key=key, type="tertiary", on_click=_ask,
            args=(draft.nearest(), studio, index),
            help="Measures now how alike the layers of student and teacher are on training rows (linear CKA), and "
            "draws the pairs. The run finds them again before the first step of the stage.",
        )  # fmt: skip
    elif job.state == "running":
        st.caption(f":material/hourglass_top: Comparing the layers on training rows … {duration(int(job.seconds))}")
    elif job.state == "failed":
        error_box(job.error, title="The layers could not be compared")
    else:
        st.caption(pairs_words(_found(job.answer)))


def pairs_words(found: Found) -> str:
    """Say which layers are paired, how alike they are, and what that is worth."""
    told = ", ".join(
        f"{own} from {other}" + ("" if alike is None else f" ({alike:.2f})")
        for (own, other), alike in zip(found.pairs, found.likeness, strict=True)
    )
    return f"{told}: as measured now on {count(found.tokens)} sub-words; found again before the first step."


def _found(answer: Mapping[str, Any]) -> Found:
    pairs = tuple((int(own), int(other)) for own, other in answer["pairs"])
    likeness = tuple(answer["likeness"][own - 1][other - 1] for own, other in pairs)
    return Found(pairs, likeness, int(answer["tokens"]))


def _possible(draft: Draft, index: int) -> bool:
    """Whether rows, student and teacher are known, and both lie on this machine."""
    sources = [str(draft.state.get("model.source") or ""), *teachers_of(settings_of(draft, index))[:1]]
    parts = ("data.", "task.", "model.", f"stages.{index}.distil.teachers.0")
    wrong = any(path.startswith(parts) for path in (*draft.problems, *draft.objections))
    on = draft.state.get(f"stages.{index}.enabled")
    return bool(on) and len(sources) == 2 and all(sources) and not wrong and not _hub(sources)


def _hub(sources: list[str]) -> bool:
    return any(one.startswith("hub:") for one in sources)


def _job(draft: Draft, index: int) -> Job | None:
    return peek(PAIRS, _question(draft.nearest(), index)) if _possible(draft, index) else None


def _question(plan: Plan, index: int) -> list[Any]:
    distil = plan.stages[index].distil
    teacher = None if distil is None else distil.teachers[0].model_dump(mode="json")
    return [teacher, *(one.model_dump(mode="json") for one in (plan.data, plan.task, plan.model))]


def _ask(plan: Plan, studio: Studio, index: int) -> None:
    active = sum(stage.enabled for stage in plan.stages[:index])
    ask(PAIRS, _question(plan, index), partial(studio.models.match_layers, plan, active))
