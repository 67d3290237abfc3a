"""Lists of word pairs with people's scores of similarity: where they lie, how they are read."""

from __future__ import annotations

import csv
import math
import os
from pathlib import Path

from core.errors import DataError

__all__ = ["BENCH_DATA", "MOST_BYTES", "parse_similarity", "read_similarity", "similarity_lists"]

#: Names the folder with data sets that are not part of Bertloom; lists of similar words are looked for in it.
BENCH_DATA = "BERTLOOM_BENCH_DATA"
#: Longer files are not looked at.
MOST_BYTES = 4_000_000
_MOST_PAIRS = 20_000


def similarity_lists(folder: Path | str | None = None) -> list[Path]:
    """Return the similarity lists of a folder, or of :data:`BENCH_DATA`: the .txt files of ``word_similarity_*``."""
    root = folder or os.environ.get(BENCH_DATA)
    return sorted(Path(root).glob("word_similarity_*/*.txt")) if root else []


def read_similarity(path: Path | str) -> list[tuple[str, str, float]]:
    """Read a list in the style of WordSim-353 from a file; see :func:`parse_similarity`.

    Raises
    ------
    DataError
        If it cannot be read or a line is something else; the line is named.
    """
    path = Path(path)
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise _too_long(path.name)
        content = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"The list of similar words cannot be read: {error.strerror or error}.", where=str(path),
            expected="a UTF-8 text file",
        ) from error  # fmt: skip
    return parse_similarity(content, path.name)


def parse_similarity(content: bytes, name: str) -> list[tuple[str, str, float]]:
    """Read a list in the style of WordSim-353 (Finkelstein et al. 2002): two words and a score a line.

    Cells are separated by tabs, semicolons, commas or blanks, as the first line is. The score is the first number after
    the two words, so that lists with a column in between (a part of speech, say) are read too. Lines that are empty or
    begin with ``#`` are skipped, as is a heading.

    Parameters
    ----------
    content
        UTF-8 text.
    name
        What messages call it.

    Raises
    ------
    DataError
        If a line is something else, or there are no pairs or too many; the line is named.
    """
    if len(content) > MOST_BYTES:
        raise _too_long(name)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        broken = content[: error.start].count(b"\n") + 1
        raise DataError(
            "The list of similar words is not UTF-8 text.", where=f"{name}, line {broken}", expected="UTF-8",
            advice="Save it as CSV or TSV in UTF-8.",
        ) from error  # fmt: skip
    found: list[tuple[str, str, float]] = []
    separator, column, heading = "", None, False
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        separator = separator or _separator(line)
        cells = _cells(line, separator)
        if column is None:
            column = next((at for at in range(2, len(cells)) if _number(cells[at]) is not None), None)
        if column is None and not heading and len(cells) >= 3:
            heading = True
            continue
        score = _number(cells[column]) if column is not None and column < len(cells) else None
        if score is None or not cells[0] or not cells[1]:
            names = {"\t": "tabs", ";": "semicolons", ",": "commas", " ": "blanks"}
            raise DataError(
                "This line is no pair with a score.", where=f"{name}, line {number}",
                expected=f"word, word and a number, separated by {names[separator]}",
            )  # fmt: skip
        found.append((cells[0], cells[1], score))
        if len(found) > _MOST_PAIRS:
            raise _too_long(name)
    if not found:
        raise DataError("The list of similar words is empty.", where=name, expected="word, word and a number a line")
    return found


def _separator(line: str) -> str:
    return next((mark for mark in "\t;," if line.count(mark) >= 2), " ")


def _cells(line: str, separator: str) -> list[str]:
    if separator == " ":
        return line.split()
    try:
        cells = next(csv.reader([line], delimiter=separator, skipinitialspace=True), [])
    except csv.Error:  # a field without end
        cells = line.split(separator)
    return [cell.strip() for cell in cells]


def _number(cell: str) -> float | None:
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _too_long(name: str) -> DataError:
    return DataError(
        "The list of similar words is too long.", where=name,
        expected=f"at most {_MOST_PAIRS:,} pairs and {MOST_BYTES // 1_000_000} MB",
    )  # fmt: skip
