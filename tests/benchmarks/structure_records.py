"""What is kept of one arm and seed of the structure experiment: a small JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from core.studies.records import ArmRun
from core.training.files import write_json

__all__ = ["ShapeRun", "key_of", "read_runs", "write_run"]


@dataclass(frozen=True)
class ShapeRun:
    """One arm with one seed.

    Parameters
    ----------
    arm, seed
        Which run it is.
    ranked
        The shapes that were ranked: ``widths``, ``units`` (FFN units a layer), ``parameters`` (between embeddings and
        pooler), ``flops`` (of a text of 64 sub-words) and ``loss`` (held out, after inheritance).
    chosen
        Which of them was trained.
    needed
        The widths that the shapes follow, where they come from the graphs: d*, or d* permuted.
    before, after
        Held-out distillation loss of the trained shape before and after training.
    last
        The part of ``after`` that is due to what comes out.
    curve
        (step, held-out loss).
    steps
        Of distillation.
    task
        The fine-tuned student.
    seconds
        By part: ``calibrate`` (shared by the arms of a seed), ``rank``, ``distil``, ``task``; and ``cpu``, the
        seconds that one core alone would have worked for the last three.
    """

    arm: str
    seed: int
    ranked: list[dict[str, Any]]
    chosen: int
    needed: list[int] | None
    before: float
    after: float
    last: float
    curve: list[list[float]]
    steps: int
    task: ArmRun
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Its name for files."""
        return key_of(self.arm, self.seed)

    @property
    def shape(self) -> dict[str, Any]:
        """The shape that was trained, as in `ranked`."""
        return self.ranked[self.chosen]

    def as_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ShapeRun:
        """Return a run from plain data; keys that are not known any more are left out."""
        known = {key: values[key] for key in cls.__dataclass_fields__ if key in values}
        return cls(**{**known, "task": ArmRun.from_dict(values["task"])})


def key_of(arm: str, seed: int) -> str:
    """Return the name of a run for files."""
    return f"{arm}_{seed}"


def write_run(folder: Path, run: ShapeRun) -> None:
    """Write a run into a folder: whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / f"{run.key}.json", run.as_dict())


def read_runs(folder: Path) -> list[ShapeRun]:
    """Return the runs of a folder by arm and seed; files that are no runs are left out."""
    found = []
    for path in sorted(folder.glob("*_*.json")):
        try:
            found.append(ShapeRun.from_dict(json.loads(path.read_text(encoding="utf-8"))))
        except (OSError, ValueError, TypeError, KeyError):  # cut short by a crash: the run is made again
            continue
    return sorted(found, key=lambda run: (run.arm, run.seed))
