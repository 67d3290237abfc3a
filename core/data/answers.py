"""Gold answers of questions: in whatever shape a cell holds them, and where in the context they stand."""

from __future__ import annotations

import ast
import json
from dataclasses import dataclass
from typing import Any

from core.data.readers.base import shown

__all__ = ["Place", "given_answers", "place_answer", "truth"]

_SHOWN = 60


@dataclass(frozen=True)
class Place:
    """Where an answer stands.

    Parameters
    ----------
    text
        The answer without white space at its ends.
    start
        Its first character in the context; -1 if it has no place.
    state
        ``right``; ``repaired`` (its start was wrong, and the text stands in one place only); ``several`` (no start was
        given and the text stands several times: the first is taken); ``ambiguous`` (a wrong start, and several places);
        ``missing`` (the context does not hold it).
    detail
        What a person is told; empty where all is right.
    """

    text: str
    start: int
    state: str = "right"
    detail: str = ""


def given_answers(cell: Any, starts: Any = None) -> list[tuple[str, int | None]]:
    """Return the answers that a cell holds, with the starts that go with them.

    Parameters
    ----------
    cell
        A text; a list of texts; ``{"text": …, "answer_start": …}`` with a value or lists; a list of such; or any of
        these spelled as JSON or Python in a text. Empty texts are no answers.
    starts
        A number, a list of numbers, or one of these spelled; where `cell` does not hold the starts itself.

    Raises
    ------
    ValueError
        If the cell has another shape, or a start is no whole number; the message says what stands there.
    """
    cell = _parsed(cell)
    if cell is None:
        return []
    if isinstance(cell, dict):
        return _of_mapping(cell)
    if isinstance(cell, list) and any(isinstance(one, dict) for one in cell):
        found: list[tuple[str, int | None]] = []
        for one in cell:
            if not isinstance(one, dict):
                raise ValueError(f"the answers hold {shown(one, _SHOWN)!r} beside objects")
            found += _of_mapping(one)
        return found
    return _paired(cell if isinstance(cell, list) else [cell], _parsed(starts))


def _parsed(cell: Any) -> Any:
    if not isinstance(cell, str):
        return cell
    text = cell.strip()
    if text[:1] not in ("[", "{") or text[-1:] not in ("]", "}"):
        return cell
    for parse in (json.loads, ast.literal_eval):
        try:
            value = parse(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            continue
        if isinstance(value, list | dict):
            return value
    return cell


def _of_mapping(cell: dict[str, Any]) -> list[tuple[str, int | None]]:
    if "text" not in cell:
        raise ValueError(f"the answers are an object without 'text': {shown(cell, _SHOWN)}")
    texts = cell["text"]
    starts = cell.get("answer_start", cell.get("start"))
    return _paired(list(texts) if isinstance(texts, list) else [texts], starts)


def _paired(texts: list[Any], starts: Any) -> list[tuple[str, int | None]]:
    listed = list(starts) if isinstance(starts, list) else [starts]
    if len(listed) == 1 and len(texts) != 1:
        # One start for several answers would be that of the first; without any, each is looked for.
        listed += [None] * (len(texts) - 1)
    if len(listed) != len(texts) and texts:
        raise ValueError(f"there are {len(texts)} answers and {len(listed)} starts")
    found = []
    for text, start in zip(texts, listed, strict=False):
        if text is None or (isinstance(text, float) and text != text):
            continue
        if isinstance(text, list | dict | bytes):
            raise ValueError(f"an answer is a {type(text).__name__}, not a text")
        if str(text).strip():
            found.append((str(text), _number(start)))
    return found


def _number(start: Any) -> int | None:
    if start is None or (isinstance(start, str) and not start.strip()) or start != start:
        return None
    try:
        number = float(start)
        if isinstance(start, bool) or not number.is_integer():
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"the start {shown(start, _SHOWN)!r} is no whole number") from None
    return int(number)


def truth(cell: Any) -> bool:
    """Tell whether a cell says yes: true, 1, "True", "yes"."""
    if isinstance(cell, str):
        return cell.strip().lower() in ("true", "1", "yes", "y", "t")
    return bool(cell) and cell == cell


def place_answer(context: str, text: str, start: int | None) -> Place:
    """Find where an answer stands.

    Parameters
    ----------
    context
        The text that is asked about.
    text
        The answer.
    start
        Its first character as the data says it, counted from 0; None if it says nothing.

    Returns
    -------
    Place
        A wrong start is repaired only if the text stands in one place; a start that is not given is looked for.
    """
    bare = text.strip()
    if start is not None:
        begin = start + len(text) - len(text.lstrip())
        if begin >= 0 and context.startswith(bare, begin):
            return Place(bare, begin)
    first = context.find(bare)
    again = context.find(bare, first + 1) if first >= 0 else -1
    told = shown(bare, _SHOWN)
    if start is None:
        if first < 0:
            return Place(bare, -1, "missing", f"{told!r} is not in the context")
        if again < 0:
            return Place(bare, first)
        return Place(bare, first, "several", f"{told!r} stands several times and has no start; the first, {first}")
    stands = _stands(context, start, len(text))
    if first < 0:
        return Place(bare, -1, "missing", f"{told!r} is not in the context; {stands}")
    if again < 0:
        return Place(bare, first, "repaired", f"{stands}, not {told!r}, which stands at {first}")
    return Place(bare, -1, "ambiguous", f"{stands}, not {told!r}, which stands at {first}, at {again} …")


def _stands(context: str, start: int, size: int) -> str:
    if not 0 <= start < len(context):
        return f"its start is {start}, and the context has {len(context):,} characters"
    return f"at {start} stands {shown(context[start : start + size], _SHOWN)!r}"
