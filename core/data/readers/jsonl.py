"""JSON lines: one JSON object a line."""

from __future__ import annotations

import json
from collections.abc import Iterator

from core.data.readers.base import RawRow, Source, shown
from core.data.readers.text import TextFile, open_text
from core.errors import DataError

__all__ = ["open_jsonl"]

_HEAD_ROWS = 200


def open_jsonl(file: TextFile) -> Source:
    """Open a JSON lines file; its columns are the keys of its first 200 objects.

    Raises
    ------
    DataError
        If no line of the head is a JSON object.
    """
    name = shown(file.path.name)
    columns: dict[str, None] = {}
    seen = 0
    for line in file.head.split("\n")[:_HEAD_ROWS]:
        record = _parse(line)
        if isinstance(record, dict):
            seen += 1
            columns.update(dict.fromkeys(record))
    if not seen:
        start = file.head.lstrip()[:1]
        raise DataError(
            "This is one JSON list, not JSON lines." if start == "[" else "No line is a JSON object.",
            where=f"{name}, line 1",
            expected='one object a line, like {"text": "…", "label": "…"}',
            advice="Write each object of the list on a line of its own." if start == "[" else None,
        )
    return Source(name, "jsonl", file.encoding, list(columns), lambda: _rows(file))


def _parse(line: str) -> object:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _rows(file: TextFile) -> Iterator[RawRow]:
    number = 0
    with open_text(file) as lines:
        for at, line in enumerate(lines, 1):
            if not line.strip():
                continue
            number += 1
            try:
                record = json.loads(line)
            except (ValueError, RecursionError) as error:
                reason = (
                    error.msg if isinstance(error, json.JSONDecodeError) else "nested too deeply or a number too long"
                )
                yield RawRow(number, at, None, f"the line is not JSON ({reason})")
                continue
            if isinstance(record, dict):
                yield RawRow(number, at, record)
            else:
                yield RawRow(number, at, None, f"the line holds a {type(record).__name__} instead of an object")
