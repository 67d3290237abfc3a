"""Planner, first card: what is learnt, the columns that it reads, and what goes with a sample or a file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import streamlit as st

from core.api import Studio
from core.data.readers.squad import looks_like_squad
from core.data.span_rows import expected
from pages.ui.format import plain
from pages.ui.forms_relevant import relevant
from pages.ui.planner_draft import Draft, put
from pages.ui.planner_gazetteer import gazetteer_part
from pages.ui.planner_widgets import field

__all__ = ["column_names", "fits_kind", "forget_columns", "kind_of_file", "suit_kind", "suit_task", "task_fields"]

_COLUMNS: dict[str, tuple[str, ...]] = {
    "classification": ("text", "label", "text_pair"),
    "tagging": ("tokens", "tags"),
    "spans": ("tokens", "spans"),
    "characters": ("text", "spans"),
    "question_answering": ("question", "context", "answers", "start"),
    "dependency": ("tokens", "heads", "relations"),
}
#: Settings of a task that go back to what they were when other rows are chosen.
_SETTINGS: dict[str, Any] = {
    "no_answer": False, "no_answer_threshold": None, "answer_language": "en", "tree": True, "relations": True,
    "gold": "tags", "nested": "refuse",
    "head": "linear", "pointer.dictionary": "none", "pointer.gazetteer": None, "pointer.entries": None,
}  # fmt: skip
_POINTS = {
    "tagging": "Each word points to the first word of its entity, or to an empty slot",
    "question_answering": "Two learned queries point to start and end of the answer, or to an empty slot",
}
_HEAD = 4096


def task_fields(draft: Draft, studio: Studio) -> None:
    """Draw the settings that stand below the kind of task."""
    kind = draft.state.get("task.kind")
    if kind == "classification":
        field(draft, "task.multi_label")
    elif kind == "question_answering":
        row = st.columns(2, gap="medium")
        with row[0]:
            field(draft, "task.answer_language")
        with row[1]:
            st.space("small")
            field(draft, "task.no_answer")
    elif kind == "dependency":
        row = st.columns(2, gap="medium")
        for column, name in zip(row, ("tree", "relations"), strict=True):
            with column:
                st.space("small")
                field(draft, f"task.{name}")
        _parts(draft)
    elif kind == "tagging":
        _gold(draft)
    with st.container():
        if kind in ("tagging", "question_answering"):
            _head(draft, studio)


def _gold(draft: Draft) -> None:
    """Draw what the rows have beside their words: tags, or spans that may nest."""
    field(draft, "task.gold")
    with st.container():
        if draft.state.get("task.gold") != "spans":
            return
        field(draft, "data.span_offsets")
        offsets = str(draft.state.get("data.span_offsets") or "words")
        st.caption(f"Spans of a row: {plain(expected(offsets), 300)}.")
        if relevant("task.nested", draft.state):
            field(draft, "task.nested")


def _head(draft: Draft, studio: Studio) -> None:
    """Draw the choice of the head."""
    field(draft, "task.head")
    with st.container():
        if draft.state.get("task.head") != "pointer":
            return
        tags = draft.state.get("task.kind") == "tagging"
        if tags:
            field(draft, "task.pointer.kind", on_change=_suit_stretches)
        with st.container():
            _parts(draft)
        if tags and relevant("task.pointer.dictionary", draft.state):
            with st.container():
                _dictionary(draft, studio)
        what = _POINTS[str(draft.state.get("task.kind"))]
        if tags and draft.state.get("task.pointer.kind") == "global":
            what = "Every stretch of words has a score for each type, and is an entity where it is above zero"
        st.caption(
            f"{what}. What is answered and how it is scored stays the same. The model loads where "
            "Bertloom is installed, and is not written as ONNX."
        )


def _dictionary(draft: Draft, studio: Studio) -> None:
    """Draw what the first words of entities point to."""
    field(draft, "task.pointer.dictionary", on_change=_suit_dictionary)
    with st.container():
        chosen = draft.state.get("task.pointer.dictionary")
        if chosen == "gazetteer":
            gazetteer_part(draft, studio)
        elif chosen == "labels":
            st.caption(
                "The first word of an entity points to the name of its type, read by the same encoder: the label in "
                "lower case, unless Entries and their types (folded below) say another word."
            )


def _parts(draft: Draft) -> None:
    """Draw what a head that points can go without."""
    row = st.columns(2, gap="medium")
    for column, name in zip(row, ("memory", "relative"), strict=True):
        with column:
            if relevant(f"task.pointer.{name}", draft.state):
                field(draft, f"task.pointer.{name}")


def suit_kind() -> None:
    """Go back to the head that every task has when another task is chosen."""
    put("task.head", "linear")
    put("task.gold", "tags")
    put("task.pointer.dictionary", "none")
    _suit_dictionary()


def _suit_stretches() -> None:
    """Let go of the dictionary: stretches point to nothing."""
    put("task.pointer.dictionary", "none")
    _suit_dictionary()


def _suit_dictionary() -> None:
    """Let go of the entries of another dictionary."""
    put("task.pointer.gazetteer", None)
    put("task.pointer.entries", None)


def column_names(state: Mapping[str, Any]) -> tuple[str, ...]:
    """Return which columns the task of a form reads."""
    kind = str(state.get("task.kind"))
    if kind == "tagging" and state.get("task.gold") == "spans":
        kind = "characters" if state.get("data.span_offsets") == "characters" else "spans"
    return _COLUMNS.get(kind, ())


def forget_columns() -> None:
    """Let columns be found again: other rows have others."""
    for names in _COLUMNS.values():
        for name in names:
            put(f"data.columns.{name}", None)


def suit_task(draft: Draft, sample: Mapping[str, Any]) -> None:
    """Set what of the task goes with a sample's rows."""
    if draft.state["task.kind"] != "classification":
        put("task.multi_label", False)
    for name, value in {**_SETTINGS, **(sample.get("settings") or {})}.items():
        put(f"task.{name}", value)


def kind_of_file(path: Path) -> str | None:
    """Return the kind of task that a file most likely serves, by its name or its first characters; None if unknown.

    CoNLL-U serves dependency as well: :func:`fits_kind` tells.

    Parameters
    ----------
    path
        A file that was uploaded.
    """
    ending = path.suffix.lower()
    if ending in (".conll", ".conllu", ".bio", ".iob2"):
        return "tagging"
    if ending == ".json":
        try:
            with path.open(encoding="utf-8", errors="replace") as stream:
                head = stream.read(_HEAD)
        except OSError:
            return None
        return "question_answering" if looks_like_squad(head) else None
    return None


def fits_kind(path: Path, kind: str) -> bool:
    """Tell whether a file with words in columns can stay with the task that was chosen."""
    return kind == "dependency" and path.suffix.lower() in (".conll", ".conllu")
