"""Where a student's pins, changes and diary lie, and what its series are called: of a joint run for each task."""

from __future__ import annotations

from pathlib import Path

__all__ = ["TAUGHT", "of_task", "taught_folder"]

#: Folder of a joint run that has one for each task with teachers.
TAUGHT = "taught"
_PREFIX = "distil/"


def taught_folder(run: Path, task: str = "") -> Path:
    """Return the folder of a run's student, of a joint run that of one task."""
    return run / TAUGHT / task if task else run


def of_task(series: str, task: str) -> str:
    """Return what a series ``distil/…`` is called of one task of a joint run: ``distil/TASK/…``."""
    return f"{_PREFIX}{task}/{series.removeprefix(_PREFIX)}" if task else series
