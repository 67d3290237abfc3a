"""Rows become questions: :mod:`core.data.derived` asks them, here each keeps the row that it comes from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from core.data.derive.rows import Item, Loss, text_of
from core.data.derived import cloze_questions, entity_questions
from core.data.readers.base import RawRow

__all__ = ["cloze", "entity"]


def entity(items: Sequence[Item], language: str, asking: Mapping[str, str] | None) -> tuple[list[Item], list[Loss]]:
    """Ask for the names in tagged sentences; see :func:`core.data.derived.entity_questions`.

    Returns
    -------
    questions, losses
        The questions, and sentences without a name that is asked for.
    """
    rows = ((at, item.values["tokens"], item.values["tags"]) for at, item in enumerate(items))
    made = entity_questions(rows, language, joint="" if language == "zh" else " ", asking=asking)
    return _made(items, made, "no_name", "no name of a type that is asked for")


def cloze(items: Sequence[Item]) -> tuple[list[Item], list[Loss]]:
    """Leave names out of sentences; see :func:`core.data.derived.cloze_questions`."""
    made = cloze_questions((at, text_of(item)) for at, item in enumerate(items))
    return _made(items, made, "no_gap", "no name stands in a sentence and in the rest of the text")


def _made(items: Sequence[Item], rows: Iterable[RawRow], reason: str, detail: str) -> tuple[list[Item], list[Loss]]:
    """Give each question its row: its id begins with the row's place in `items`."""
    found: list[Item] = []
    asked: set[int] = set()
    for row in rows:
        values = dict(row.values or {})
        place, _, rest = str(values["id"]).partition("-")
        item = items[int(place)]
        asked.add(int(place))
        values["id"] = f"{item.number}-{rest}"
        found.append(Item(item.number, item.line, item.hashes, values, item.raw))
    losses = [Loss(item.number, item.line, reason, detail) for at, item in enumerate(items) if at not in asked]
    return found, losses
