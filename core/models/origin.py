"""How a model folder was made, where that is no training: a side file that the planner and the check read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["DISTILLED", "ORIGIN", "read_origin", "write_origin"]

#: Name of the side file.
ORIGIN = "origin.json"
#: How a student was made that took over weights or hidden states of a parent.
DISTILLED = "distilled"
_FORMAT = 1
_LARGEST = 4_000_000


def write_origin(folder: Path, made: str, report: dict[str, Any]) -> None:
    """Note down how a folder was made.

    Parameters
    ----------
    folder
        The model folder.
    made
        ``pruned``, ``distilled``, or ``random`` for weights that nothing has trained.
    report
        Plain data about it.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    data = {"format": _FORMAT, "made": made, "report": report}
    (folder / ORIGIN).write_text(json.dumps(data, indent=1), encoding="utf-8")


def read_origin(folder: str | Path) -> tuple[str, dict[str, Any]] | None:
    """Return how a folder was made, and the report of it; ``None`` where it does not say so in a form known here."""
    file = Path(folder) / ORIGIN
    try:
        if file.stat().st_size > _LARGEST:
            return None
        data = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(data, dict) or data.get("format") != _FORMAT:
        return None
    made, report = data.get("made"), data.get("report")
    return (made, report) if isinstance(made, str) and isinstance(report, dict) else None
