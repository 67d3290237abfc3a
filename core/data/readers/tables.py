"""CSV and TSV, row by row, with the row and line of whatever is wrong."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from core.data.readers.base import MAX_LINE, RawRow, Source, shown
from core.data.readers.text import TextFile, open_text
from core.errors import DataError

__all__ = ["Dialect", "open_table", "sniff_table"]

_CANDIDATES = {"csv": ",;\t|", "tsv": "\t"}
_HEAD_ROWS = 200
_MAX_COLUMNS = 4096


@dataclass(frozen=True)
class Dialect:
    """How a table is written; `fit` is the share of the head's rows that have as many cells as the first."""

    delimiter: str
    quoting: Literal[0, 3]  # csv.QUOTE_MINIMAL or csv.QUOTE_NONE
    columns: int
    fit: float


def sniff_table(head: str, kind: str = "csv") -> Dialect:
    """Find the delimiter and quoting that give most rows of the head the same number (at least two) of cells."""
    found = []
    for order, delimiter in enumerate(_CANDIDATES[kind]):
        # A tab-separated file with unpaired quotes was written without quoting.
        quotings: tuple[Literal[0, 3], ...] = (csv.QUOTE_MINIMAL, csv.QUOTE_NONE) if delimiter == "\t" else (0,)
        for quoting in quotings:
            lines = [line + "\n" for line in head.split("\n")[: _HEAD_ROWS * 3]]
            try:
                rows = [
                    row for row in islice(csv.reader(lines, delimiter=delimiter, quoting=quoting), _HEAD_ROWS) if row
                ]
            except csv.Error:
                continue
            if not rows:
                continue
            width = len(rows[0])
            fit = sum(len(row) == width for row in rows) / len(rows)
            # More rows speak for a dialect: a wrong one swallows lines into a quoted cell.
            score = (width > 1, round(fit, 2), len(rows) if delimiter == "\t" else 0, -order, -quoting)
            found.append((score, Dialect(delimiter, quoting, width, fit)))
    return (
        max(found, key=lambda pair: pair[0])[1] if found else Dialect(_CANDIDATES[kind][0], csv.QUOTE_MINIMAL, 1, 1.0)
    )


def open_table(file: TextFile, kind: str, *, numbered: bool = False) -> Source:
    """Open a CSV or TSV file.

    Parameters
    ----------
    file
        What :func:`~core.data.readers.text.inspect_file` returned.
    kind
        csv or tsv.
    numbered
        The file has no header: columns are named 1, 2, 3 …

    Raises
    ------
    DataError
        If it has no header or looks like no table.
    """
    name = shown(file.path.name)
    dialect = sniff_table(file.head, kind)
    csv.field_size_limit(MAX_LINE)
    first = next(
        (
            row
            for row in csv.reader(
                [line + "\n" for line in file.head.split("\n")], delimiter=dialect.delimiter, quoting=dialect.quoting
            )
            if row
        ),
        None,
    )
    if first is None:
        raise DataError("The file is empty.", where=name, expected="a header and rows")
    if not numbered and not any(cell.strip() for cell in first):
        raise DataError("The header is empty.", where=f"{name}, line 1", expected="column names in the first line")
    if len(first) > _MAX_COLUMNS or (file.head.lstrip()[:1] == "<" and "</" in file.head):
        raise DataError(
            "This is not a table.", where=name, expected="a header with column names, then rows with as many cells"
        )
    columns = [str(index) for index in range(1, len(first) + 1)] if numbered else _unique(first)
    notes = []
    if dialect.fit < 0.5:
        notes.append(
            {
                "level": "error",
                "code": "not_a_table",
                "where": name,
                "message": f"Only {dialect.fit:.0%} of the first rows have {len(columns)} cells like the header.",
                "advice": "Check the delimiter and the quotes, or choose the format.",
            }
        )
    details = {"delimiter": dialect.delimiter, "quoting": dialect.quoting == csv.QUOTE_MINIMAL, "header": not numbered}
    return Source(
        name,
        kind,
        file.encoding,
        columns,
        lambda: _rows(file, dialect, columns, numbered, name),
        details,
        notes,
    )


def _unique(header: list[str]) -> list[str]:
    cleaned = [cell.strip().lstrip("\ufeff") for cell in header]
    names: list[str] = []
    for index, cell in enumerate(cleaned, 1):
        name = cell or f"column {index}"
        names.append(name if name not in names else f"{name} ({index})")
    return names


def _rows(file: TextFile, dialect: Dialect, columns: list[str], numbered: bool, name: str) -> Iterator[RawRow]:
    csv.field_size_limit(MAX_LINE)
    width = len(columns)
    with open_text(file, newline="") as lines:
        reader = csv.reader(lines, delimiter=dialect.delimiter, quoting=dialect.quoting)
        number, line = 0, 1
        if not numbered:
            header = next((record for record in reader if record), None)
            line = reader.line_num + 1
            if header is None:
                return
        try:
            for record in reader:
                start, line = line, reader.line_num + 1
                if not record:
                    continue
                number += 1
                if len(record) == width:
                    yield RawRow(number, start, dict(zip(columns, record, strict=True)))
                    continue
                problem = f"it has {len(record)} cell{'s' * (len(record) != 1)} instead of {width}"
                if line - start > 1:
                    problem += f" and spans {line - start} lines (a quote may not be closed)"
                yield RawRow(number, start, None, problem)
        except csv.Error as error:
            raise DataError(
                f"The table cannot be read further: {error}.",
                where=f"{name}, row {number + 1}, line {line}",
                expected=f"cells of at most {MAX_LINE // 1_000_000} million characters",
                advice="A quote that is opened there may not be closed.",
            ) from error


def fitting(head: str) -> bool:
    """Whether a head looks like a delimited table of at least two columns."""
    dialect = sniff_table(head)
    widths = Counter(line.count(dialect.delimiter) for line in head.split("\n") if line)
    return dialect.columns > 1 and dialect.fit >= 0.8 and len(widths) > 0
