"""From a raw row to a sentence with its heads and relations, or the reason why it is dropped: a word and its line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from core.config import TaskConfig
from core.data.readers.base import RawRow, shown
from core.data.rows import Dropped, StandardRow

__all__ = ["MOST_WORDS", "POINTS", "circle", "standard_tree"]

#: What words are counted by where relations are not learnt: whether they point to a word or to none.
POINTS = ["none", "word"]
#: Words of a sentence: a tree of more is a text, and its scores would take the square of it.
MOST_WORDS = 500


def standard_tree(
    raw: RawRow, mapping: dict[str, str], words: Callable[[dict[str, Any]], list[str]],
    listed: Callable[[dict[str, Any], str], list[Any]], task: TaskConfig,
) -> StandardRow:  # fmt: skip
    """Return a sentence as a standard row.

    Parameters
    ----------
    raw
        The row.
    mapping
        Column by what it holds.
    words, listed
        Read the words, and a column that must hold a list, by what it holds.
    task
        ``tree`` and ``relations`` count here.

    Raises
    ------
    Dropped
        If a list is missing or of another length, a head is no number or no word of the sentence, a relation is
        empty, or the heads are no tree where they must be one.
    """
    values = raw.values or {}
    tokens = words(values)
    if len(tokens) > MOST_WORDS:
        raise Dropped("many_words", f"it has {len(tokens):,} words; {MOST_WORDS:,} is the most")

    def line(index: int) -> str:
        place = f"line {raw.lines[index]}: " if index < len(raw.lines) else ""
        return f"{place}word {index + 1} ({shown(tokens[index], 40)!r})"

    if raw.lines:
        _check_numbers(values.get("id") or [], line)
    cells = listed(values, "heads")
    if len(cells) != len(tokens):
        raise Dropped("length", f"it has {len(tokens)} words but {len(cells)} heads")
    if all(cell == "_" for cell in cells):
        raise Dropped("no_tree", "its heads are all '_'")
    heads = [_head(cell, len(tokens), partial(line, index)) for index, cell in enumerate(cells)]
    if task.tree:
        check_tree(heads, line)
    row = StandardRow(tokens=tokens, heads=heads)
    if task.relations:
        row.labels = _relations(listed(values, "relations"), line, len(tokens))
    else:
        row.labels = [POINTS[head > 0] for head in heads]
    return row


def _check_numbers(numbers: Sequence[str], line: Callable[[int], str]) -> None:
    """Words of CoNLL-U are numbered 1, 2, 3 …: heads name them by these numbers."""
    for index, number in enumerate(numbers):
        if number != str(index + 1):
            raise Dropped("numbering", f"{line(index)} has the number {shown(number, 40)!r} instead of {index + 1}")


def _head(cell: Any, words: int, line: Callable[[], str]) -> int:
    number = -1
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    text = "" if cell is None or isinstance(cell, bool) else str(cell).strip()
    if text.isascii() and text.isdecimal() and len(text) < 10:
        number = int(text)
    else:
        raise Dropped("bad_head", f"{line()} has the head {shown(cell, 40)!r}, which is no number from 0")
    if number > words:
        raise Dropped("bad_head", f"{line()} has the head {number}, and the sentence has {words} words")
    return number


def _relations(cells: list[Any], line: Callable[[int], str], words: int) -> list[str]:
    if len(cells) != words:
        raise Dropped("length", f"it has {words} words but {len(cells)} relations")
    names = ["" if cell is None else str(cell).strip() for cell in cells]
    for index, name in enumerate(names):
        if name in ("", "_"):
            raise Dropped("no_relation", f"{line(index)} has no relation")
        if len(name) > 200:
            raise Dropped(
                "label_too_long", f"{line(index)} has a relation of {len(name):,} characters; 200 is the most"
            )
    return names


def check_tree(heads: Sequence[int], line: Callable[[int], str]) -> None:
    """Refuse heads that are no tree with one root.

    Parameters
    ----------
    heads
        Head of each word, counted from 1; 0 for the root.
    line
        Names a word by its index, with its line where it has one.

    Raises
    ------
    Dropped
        If a word is its own head, there is no root or a second one, or heads go in a circle; the word is named.
    """
    roots = [index for index, head in enumerate(heads) if head == 0]
    own = next((index for index, head in enumerate(heads) if head == index + 1), None)
    if own is not None:
        raise Dropped("circle", f"{line(own)} is its own head")
    if len(roots) > 1:
        raise Dropped("two_roots", f"{line(roots[1])} is a second root, after word {roots[0] + 1}")
    if not roots:
        raise Dropped("no_root", f"no word has the head 0; {line(0)} has the head {heads[0]}")
    found = circle(heads)
    if found:
        way = " → ".join(str(index + 1) for index in [*found[:8], *(found[:1] if len(found) <= 8 else [])])
        raise Dropped("circle", f"{line(min(found))} is its own ancestor: the heads go in a circle ({way})")


def circle(heads: Sequence[int]) -> list[int]:
    """Return the words of the first circle of heads, from its first word on; empty where there is none.

    Parameters
    ----------
    heads
        Head of each word, counted from 1; 0 for none.
    """
    settled = [False] * len(heads)
    for index in range(len(heads)):
        way: dict[int, int] = {}
        at = index
        while at >= 0 and not settled[at]:
            if at in way:
                return list(way)[way[at] :]
            way[at] = len(way)
            at = heads[at] - 1
        for passed in way:
            settled[passed] = True
    return []
