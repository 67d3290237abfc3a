"""From a raw row to a question with its context and gold answers, or the reason why the row is dropped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from core.data.answers import given_answers, place_answer, truth
from core.data.readers.base import RawRow, shown
from core.data.rows import Dropped, StandardRow

__all__ = ["ANSWERED", "UNANSWERED", "standard_question"]

#: What rows of questions are counted by, and divided by into roles.
ANSWERED, UNANSWERED = "answer", "no answer"


def standard_question(
    raw: RawRow, mapping: dict[str, str], text: Callable[[dict[str, Any], str], str], *, no_answer: bool
) -> StandardRow:
    """Return a question as a standard row.

    Parameters
    ----------
    raw
        The row.
    mapping
        Column by what it holds.
    text
        Reads a column that must hold text, by what it holds.
    no_answer
        Whether a question may have no answer.

    Raises
    ------
    Dropped
        If a text is missing, there is no answer where one must be, or none of the answers has a place in the context.

    Notes
    -----
    The first answer that has a place is the one that is learnt. Gold answers without a place stay for scoring as long
    as another one has a place; each wrong start is told.
    """
    values = raw.values or {}
    question, context = text(values, "question"), text(values, "context")
    name = str(values.get(mapping.get("id", "")) or "").strip() or str(raw.number)
    row = StandardRow(text=question, text_pair=context, name=name)
    if "impossible" in mapping and truth(values.get(mapping["impossible"])):
        given = []
    else:
        cell = values.get(mapping["answers"])
        try:
            given = given_answers(cell, values.get(mapping.get("start", "")))
        except ValueError as error:
            raise Dropped("bad_answer", f"id {shown(name, 60)}: {error}") from error
        if no_answer and not given and _says_possible(values.get(mapping.get("impossible", ""))):
            raise Dropped("no_answer", f"id {shown(name, 60)}: it is said to have an answer, and there is none")
    if not given:
        if not no_answer:
            raise Dropped("no_answer", f"id {shown(name, 60)}: column {shown(mapping['answers'])!r} holds no answer")
        row.labels = [UNANSWERED]
        return row
    places = [place_answer(context, answer, start) for answer, start in given]
    told = [(place.state, f"id {shown(name, 60)}: {place.detail}") for place in places if place.detail]
    usable = [place for place in places if place.start >= 0]
    if not usable:
        worst = next((place for place in places if place.state == "ambiguous"), places[0])
        raise Dropped(
            "wrong_start" if worst.state == "ambiguous" else "not_in_context",
            next(detail for state, detail in told if state == worst.state),
        )
    rest = [place for place in places if place.start < 0]
    row.answers = [(place.text, place.start) for place in (*usable, *rest)]
    row.mended = told
    row.labels = [ANSWERED]
    return row


def _says_possible(cell: Any) -> bool:
    """Tell whether a cell says that there is an answer: false, 0, "no"; an empty one says nothing."""
    return cell is not None and str(cell).strip() != "" and cell == cell and not truth(cell)
