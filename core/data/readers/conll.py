"""CoNLL: a word a line in columns, a blank line between sentences; and CoNLL-U."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from core.data.readers.base import MAX_CELL, RawRow, Source, shown
from core.data.readers.text import TextFile, open_text
from core.errors import DataError

__all__ = ["CONLLU_COLUMNS", "SILVER", "looks_like_conll", "looks_like_conllu", "open_conll", "open_conllu"]

CONLLU_COLUMNS = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")
#: How the first line of a file begins whose trees a parser made; what follows says which.
SILVER = "# silver trees:"
_HEAD_LINES = 4000
#: A "sentence" of more words than this is a file without blank lines.
_MAX_WORDS = 50_000
_TAG = re.compile(r"O|[BIESLUM][-_].+")
_NAME_KEYS = re.compile(r"(?i)^(ner|ne|entity|entities|named_?entity|bio|iob|name)$")


def _cells(line: str, separator: str | None) -> list[str]:
    line = line.rstrip("\r\n")
    return [cell.strip() for cell in line.split("\t")] if separator == "\t" else line.split()


def _shape(head: str) -> tuple[str | None, int]:
    """Return the separator (tab, or None for any white space) and the usual number of columns."""
    lines = [line for line in head.split("\n")[:_HEAD_LINES] if line.strip() and not line.startswith("-DOCSTART-")]
    tabs = sum("\t" in line.strip() for line in lines)
    separator = "\t" if tabs * 2 > len(lines) else None
    widths = Counter(len(_cells(line, separator)) for line in lines)
    return separator, widths.most_common(1)[0][0] if widths else 0


def looks_like_conllu(head: str) -> bool:
    """Whether the first line that is no comment is a CoNLL-U word line."""
    for line in head.split("\n")[:_HEAD_LINES]:
        if line.strip() and not line.startswith("#"):
            cells = line.split("\t")
            return len(cells) == 10 and re.fullmatch(r"\d+([-.]\d+)?", cells[0]) is not None
    return False


def looks_like_conll(head: str) -> bool:
    """Whether the head has columns of one width, blank lines or -DOCSTART-, and tags in one of its columns."""
    separator, width = _shape(head)
    lines = head.split("\n")[:_HEAD_LINES]
    if width < 2 or not (any(not line.strip() for line in lines[:-1]) or lines[0].startswith("-DOCSTART-")):
        return False
    rows = [cells for cells in (_cells(line, separator) for line in lines) if len(cells) == width]
    filled = sum(bool(line.strip()) for line in lines)
    return len(rows) > 0.8 * filled and any(
        sum(_TAG.fullmatch(cells[column]) is not None for cells in rows) > 0.9 * len(rows) for column in range(1, width)
    )


def open_conll(file: TextFile) -> Source:
    """Open a file with one word a line; its columns are named 1, 2, … and hold one list a sentence.

    Raises
    ------
    DataError
        If its lines do not have at least two columns.
    """
    name = shown(file.path.name)
    separator, width = _shape(file.head)
    if width < 2:
        raise DataError(
            "This is not a CoNLL file: its lines have fewer than two columns.",
            where=name,
            expected="a word and a tag a line, separated by a tab or spaces; a blank line between sentences",
        )
    columns = [str(index) for index in range(1, width + 1)]
    details = {"separator": "tab" if separator else "spaces"}
    return Source(name, "conll", file.encoding, columns, lambda: _conll_rows(file, separator, columns), details)


def _comment(cells: list[str], line: str, width: int) -> bool:
    # In tweets "#" and "#tag" are words: only a line of another shape, or one without a tag, is a comment.
    return line.startswith("#") and (len(cells) != width or (cells[0] == "#" and "=" in cells[1:-1]))


def _conll_rows(file: TextFile, separator: str | None, columns: list[str]) -> Iterator[RawRow]:
    width = len(columns)
    number = start = size = 0
    problem: str | None = None
    rows: list[list[str]] = []

    def finish() -> RawRow:
        values = {column: list(cells) for column, cells in zip(columns, zip(*rows, strict=True), strict=True)}
        return RawRow(number, start, None, problem) if problem else RawRow(number, start, values)

    with open_text(file) as lines:
        for at, line in enumerate(lines, 1):
            if not line.strip():
                if rows or problem:
                    yield finish()
                rows, problem, size = [], None, 0
                continue
            cells = _cells(line, separator)
            if cells[0] == "-DOCSTART-" or _comment(cells, line, width):
                continue
            if not rows and problem is None:
                number, start = number + 1, at
            if len(cells) != width:
                problem = problem or f"line {at} has {len(cells)} columns instead of {width}"
                continue
            size += len(line)
            if len(rows) >= _MAX_WORDS or size > MAX_CELL:
                problem = (
                    problem
                    or f"the sentence has more than {_MAX_WORDS} words (is a blank line missing between sentences?)"
                )
                continue
            rows.append(cells)
        if rows or problem:
            yield finish()


def open_conllu(file: TextFile) -> Source:
    """Open a CoNLL-U file: syntactic words; ranges (1-2) and empty nodes (1.1) are skipped.

    Columns are CoNLL-U's own names and ``misc:KEY`` for each key in the head's MISC column.

    Raises
    ------
    DataError
        If it is no CoNLL-U.
    """
    name = shown(file.path.name)
    if not looks_like_conllu(file.head):
        raise DataError("This is not a CoNLL-U file.", where=name, expected="ten columns a line, separated by tabs")
    keys: dict[str, None] = {}
    for line in file.head.split("\n")[:_HEAD_LINES]:
        cells = line.split("\t")
        if len(cells) == 10 and "=" in cells[9]:
            keys.update((part.partition("=")[0], None) for part in cells[9].split("|") if "=" in part)
    columns = [*CONLLU_COLUMNS, *(f"misc:{key}" for key in keys)]
    first = file.head.split("\n", 1)[0].strip()
    notes = [_silver(name, first)] if first.startswith(SILVER) else []
    return Source(
        name,
        "conllu",
        file.encoding,
        columns,
        lambda: _conllu_rows(file, list(keys)),
        {"names": next((f"misc:{key}" for key in keys if _NAME_KEYS.match(key)), None)},
        notes,
    )


def _silver(name: str, first: str) -> dict[str, str]:
    return {
        "level": "note", "code": "silver_trees", "where": name,
        "message": f"The trees are silver: a parser made them ({shown(first.removeprefix(SILVER).strip())}).",
        "advice": "Scores tell how well its answers are learnt, errors included.",
    }  # fmt: skip


def _conllu_rows(file: TextFile, keys: list[str]) -> Iterator[RawRow]:
    number = start = size = ranges = nodes = 0
    problem: str | None = None
    rows: list[list[str]] = []
    places: list[int] = []

    def finish() -> RawRow:
        values: dict[str, list[str]] = {
            column: [cells[index] for cells in rows] for index, column in enumerate(CONLLU_COLUMNS)
        }
        for key in keys:
            values[f"misc:{key}"] = [
                next((part[len(key) + 1 :] for part in cells[9].split("|") if part.startswith(f"{key}=")), "O")
                for cells in rows
            ]
        if problem:
            return RawRow(number, start, None, problem)
        return RawRow(number, start, values, None, places, (ranges, nodes))

    with open_text(file) as lines:
        for at, line in enumerate(lines, 1):
            line = line.rstrip("\r\n")
            if not line.strip():
                if rows or problem:
                    yield finish()
                rows, places, problem, size, ranges, nodes = [], [], None, 0, 0, 0
                continue
            if line.startswith("#"):
                continue
            cells = line.split("\t")
            if size == 0 and problem is None:
                number, start = number + 1, at
            if len(cells) != 10:
                problem = problem or f"line {at} has {len(cells)} columns instead of 10"
                continue
            size += len(line)
            if len(rows) >= _MAX_WORDS or size > MAX_CELL:
                problem = problem or f"the sentence has more than {_MAX_WORDS} words"
                continue
            if "-" in cells[0]:
                ranges += 1
            elif "." in cells[0]:
                nodes += 1
            else:
                rows.append(cells)
                places.append(at)
        if rows or problem:
            yield finish()
