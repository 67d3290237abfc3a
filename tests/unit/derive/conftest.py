"""Small files to derive from."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

Rows = Sequence[dict[str, Any]]


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    folder = tmp_path / "cache"
    folder.mkdir()
    return folder


@pytest.fixture
def lines(tmp_path: Path) -> Callable[..., str]:
    """Write rows as JSON lines and return the file's name."""

    def _lines(rows: Rows, name: str = "rows.jsonl") -> str:
        file = tmp_path / name
        file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
        return str(file)

    return _lines


TAGGED: Rows = [
    {"tokens": ["Anna", "Berg", "left", "Oslo", "."], "tags": ["B-person", "I-person", "O", "B-geo-loc", "O"]},
    {"tokens": ["Nobody", "came", "."], "tags": ["O", "O", "O"]},
    {"tokens": ["Rain", "fell", ".", "Paul", "ran", "."], "tags": ["O", "O", "O", "B-person", "O", "O"]},
    {"tokens": ["In", "Rome", ",", "too"], "tags": ["O", "B-geo-loc", "O", "O"]},
]


def labelled(count: int, first: int = 0) -> Rows:
    """Return rows with distinct texts, every second one good."""
    return [
        {"text": f"film number {at} was {'dull' if at % 2 else 'fine'}", "label": "bad" if at % 2 else "good"}
        for at in range(first, first + count)
    ]
