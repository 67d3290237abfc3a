"""A look at the first rows of a source for the form: cheap, only its head is read."""

from __future__ import annotations

import json
from typing import Any

from core.config import DataConfig, TaskConfig
from core.data.readers.base import UnusableData, shown
from core.data.readers.open import open_source
from core.data.rows import Dropped
from core.data.table import prepare, told_of

__all__ = ["preview"]

_CELL = 500
_WORDS = 60


def preview(data: DataConfig, task: TaskConfig, rows: int = 20, role: str = "train") -> dict[str, Any]:
    """Look at the head of a role's source.

    Parameters
    ----------
    data, task
        As in the plan; columns that are not named are guessed.
    rows
        How many rows to show.
    role
        train, gate or test.

    Returns
    -------
    dict
        ``name``, ``format``, ``encoding``, ``details``, ``columns``, ``rows`` (cells as text, or lists of text, by
        column; the first ones, of a bundled sample some from all over it), ``numbers`` (number of each row in the
        source), ``mapping`` (empty if a column is missing) and ``problems`` (messages about the source, the mapping
        and rows that would be dropped). All of it is plain text.

    Raises
    ------
    DataError
        If the source cannot be read as a table.
    HubError
        If a hub source cannot be reached.
    """
    source = open_source(data, task, role)
    problems = [note["message"] for note in source.notes]
    mapping: dict[str, str] = {}
    details = dict(source.details)
    try:
        normaliser, head = prepare(source, data, task)
    except UnusableData as error:
        problems.insert(0, error.message())
        head = [row for _, row in zip(range(max(rows, 1)), source.rows(), strict=False)]
    else:
        mapping = normaliser.mapping
        details |= told_of(normaliser)
        lost = 0
        for raw in head:
            try:
                row = normaliser(raw)
                word = next(iter(row.illegal), None)
                trouble = f"illegal tag: {word[1]} (word {word[0] + 1})" if word else None
                if row.mended:
                    trouble = f"{'span' if row.spans else 'answer'}: {row.mended[0][1]}"
            except Dropped as error:
                trouble = f"left out: {error.detail}"
            if trouble:
                lost += 1
                if lost <= 10:
                    line = f" (line {raw.line})" if raw.line else ""
                    problems.append(f"Row {raw.number}{line}: {shown(trouble, 300)}.")
        if lost > 10:
            problems.append(f"{lost - 10} more of the first {len(head)} rows have such problems.")
    visible = [row for row in head if row.values is not None][:rows]
    if source.format == "sample":
        # Samples are sorted by label and small: their first rows would all say the same.
        whole = [row for row in open_source(data, task, role).rows() if row.values is not None]
        visible = whole[:: max(1, len(whole) // max(rows, 1))][:rows]
    return {
        "name": source.name,
        "format": source.format,
        "encoding": source.encoding,
        "details": details,
        "columns": source.columns,
        "rows": [
            {column: _cell(row.values.get(column)) for column in source.columns}
            for row in visible
            if row.values is not None
        ],
        "numbers": [row.number for row in visible],
        "mapping": mapping,
        "problems": problems,
    }


def _spelled(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _cell(value: Any) -> Any:
    """Return a cell as text or a list of text, short enough for a page, without bytes that no JSON takes."""
    if value is None:
        return ""
    if isinstance(value, list):
        cells = [str(_cell(_spelled(one) if isinstance(one, list) else one)) for one in value[:_WORDS]]
        return cells + (["…"] if len(value) > _WORDS else [])
    if isinstance(value, dict) and "text" in value and "end" not in value:  # the answers of a question
        return _cell(value["text"])
    if isinstance(value, dict):  # a span
        value = _spelled(value)
    text = str(value).encode("utf-8", "replace").decode("utf-8")
    return text if len(text) <= _CELL else text[: _CELL - 1] + "…"
