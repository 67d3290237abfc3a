"""What studies share of the runs that they consist of: one is trained, and what is known of it afterwards is kept."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from core.config import RunConfig
from core.errors import DeviceError, StorageError, TrainingDiverged
from core.studies.watched import Watched
from core.training.context import ChildContext, Outcome

__all__ = ["Trained", "Trainer", "read_parts", "train_part", "write_part"]

Trainer = Callable[..., Outcome]
_Record = TypeVar("_Record")


@dataclass(frozen=True)
class Trained:
    """How the training of a part went.

    Parameters
    ----------
    outcome
        Finished (also where it failed by its own doing), paused or cancelled.
    points
        Series → (step, value) in the order in which they came.
    seconds
        How long it took.
    failed
        Why it failed; empty if it did not.
    """

    outcome: Outcome
    points: Mapping[str, Sequence[tuple[int, float]]]
    seconds: float
    failed: str = ""


def train_part(child: ChildContext, plan: RunConfig, trainer: Trainer) -> Trained:
    """Train a part of a study; the caller records how a finished one ended.

    A run that diverges, or needs more memory than there is, is a result. Any other error is told to the part and
    raised; a part that a person stopped is left.

    Parameters
    ----------
    child
        The part's context.
    plan
        Its plan.
    trainer
        What trains it.
    """
    watched = Watched(child)
    started = time.monotonic()
    try:
        outcome = trainer(plan, watched, resume=False)
    except (TrainingDiverged, DeviceError) as error:
        child.finish("failed", error=error)
        if isinstance(error, DeviceError) and error.where != "memory":
            raise
        return Trained(Outcome.FINISHED, watched.points, time.monotonic() - started, error.what)
    except BaseException as error:
        child.finish("failed", error=error)
        raise
    if outcome is not Outcome.FINISHED:
        child.leave()
    return Trained(outcome, watched.points, time.monotonic() - started)


def write_part(folder: Path, key: str, values: Mapping[str, Any]) -> None:
    """Write what is known of a part into a folder: whole or not at all.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    target = folder / f"{key}.json"
    part = target.with_suffix(".part")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps(values, separators=(",", ":")) + "\n", encoding="utf-8")
        part.replace(target)
    except OSError as error:
        raise StorageError(f"A result cannot be written: {error.strerror}.", where=str(target)) from error


def read_parts(folder: Path, make: Callable[[Mapping[str, Any]], _Record]) -> list[_Record]:
    """Return what a folder holds; files that are no records (cut short by a crash) are left out, to be made again."""
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            found.append(make(json.loads(path.read_text(encoding="utf-8"))))
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            continue
    return found
