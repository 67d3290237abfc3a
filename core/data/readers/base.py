"""What every reader gives: a head that tells the columns, and a stream of raw rows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from core.errors import DataError

__all__ = ["MAX_CELL", "MAX_LINE", "RawRow", "Source", "UnusableData", "shown"]

#: Characters a cell may have; a row with a longer one is dropped and named.
MAX_CELL = 1_000_000
#: Characters a line (or a quoted CSV field) may have before reading stops with an error: bounds the memory.
MAX_LINE = 64_000_000

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]")


class UnusableData(DataError):
    """The source can be read as a table, but not used for the task: a column is missing, no row is usable."""


class RawRow(NamedTuple):
    """One row as the source has it.

    Parameters
    ----------
    number
        Number of the row in its source, from 1 (a CSV header is not counted; a sentence in CoNLL).
    line
        Line of the file on which it starts, from 1; 0 where lines have no meaning.
    values
        Cell by column name; None if the row cannot be used.
    problem
        Why it cannot be used.
    lines
        CoNLL-U: line of each word.
    skipped
        CoNLL-U: how many ranges (``1-2``) and empty nodes (``1.1``) were passed over.
    """

    number: int
    line: int
    values: dict[str, Any] | None
    problem: str | None = None
    lines: Sequence[int] = ()
    skipped: tuple[int, int] = (0, 0)


@dataclass
class Source:
    """An opened source of rows.

    Parameters
    ----------
    name
        What messages call it (a file name, ``sample reviews``, ``hub:NAME [split]``).
    format
        csv, tsv, jsonl, parquet, conll, conllu, sample or hub.
    encoding
        Text encoding; empty where it has no meaning.
    columns
        Column names in order.
    rows
        Starts reading from the first row, as often as it is called.
    details
        What else was detected (``delimiter``, ``compression`` …), for the report.
    notes
        Findings about the source as a whole.
    class_names
        Label names of columns that hold numbers (from the file's or the hub's own description).
    key
        Changes when the content changes; names the cache of the source.
    """

    name: str
    format: str
    encoding: str
    columns: list[str]
    rows: Callable[[], Iterator[RawRow]]
    details: dict[str, Any] = field(default_factory=dict)
    notes: list[dict[str, Any]] = field(default_factory=list)
    class_names: dict[str, list[str]] = field(default_factory=dict)
    key: str = ""


def shown(text: object, limit: int = 120) -> str:
    """Return a name or cell for a message: control and direction characters escaped, cut at `limit` characters."""
    plain = _CONTROL.sub(lambda match: ascii(match[0])[1:-1], str(text))
    # Undecodable bytes of file names arrive as lone surrogates, which no terminal or JSON takes.
    plain = plain.encode("utf-8", "backslashreplace").decode("utf-8")
    return plain if len(plain) <= limit else plain[: limit - 1] + "…"
