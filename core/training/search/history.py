"""What a search has tried so far: plain data in ``search/<stage>.json`` of the run's folder.

It is all that a search needs to go on after a stop, and all that pages and the command line show. Nothing of it is
pickled: Optuna's own storages would keep the state of CMA-ES that way.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from core.config import Stage
from core.config.space import Dimension, Value
from core.errors import StorageError
from core.training.files import write_json

__all__ = ["FORMAT", "History", "Tried", "path_of"]

FORMAT = 1

State = Literal["finished", "pruned", "failed"]


@dataclass
class Tried:
    """One trial that has ended.

    Parameters
    ----------
    number
        From 0, in the order of proposal.
    values
        Field → value.
    state
        ``finished``, ``pruned`` (ended early) or ``failed`` (diverged).
    scores
        One number an objective: means over the seeds. None where it failed.
    seeds
        The scores of each seed, one list a seed that was run.
    steps
        Evaluation → value of the first objective, as the pruner saw it.
    runs
        Ids of the runs that were made of it, one a seed.
    seconds
        Seconds it took.
    repeats
        Number of the earlier trial with the same values, whose results were taken instead of running it again.
    error
        Why it failed.
    rungs
        What successive halving noted about it.
    """

    number: int
    values: dict[str, Value]
    state: State
    scores: list[float] | None = None
    seeds: list[list[float]] = field(default_factory=list)
    steps: dict[int, float] = field(default_factory=dict)
    runs: list[str] = field(default_factory=list)
    seconds: float = 0.0
    repeats: int | None = None
    error: str | None = None
    rungs: dict[str, float] = field(default_factory=dict)

    def spread(self, objective: int = 0) -> float | None:
        """Return the standard deviation of an objective over the seeds; None with one seed."""
        values = [one[objective] for one in self.seeds]
        if len(values) < 2:
            return None
        mean = math.fsum(values) / len(values)
        return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))


@dataclass
class History:
    """A search: what it looks for, where, and what it has tried.

    Parameters
    ----------
    stage, index
        Name of the stage and its place in the plan.
    objectives
        ``{"metric", "direction"}`` each.
    space
        The dimensions as plain data.
    sampler, pruner, seeds, wanted
        How, with how many seeds a trial, and how many trials at most.
    key
        Fingerprint of everything that its trials depend on.
    trials
        In order.
    best
        Number of the best trial; with several objectives the best by the first one among `front`.
    front
        Numbers of the trials that no other beats in all objectives.
    importance
        Objective → {field: share of the variation that it explains}; None while too little was tried.
    ended
        Why it ended, or None while it goes on.
    """

    stage: str
    index: int
    objectives: list[dict[str, str]]
    space: list[dict[str, Any]]
    sampler: str
    pruner: str
    seeds: int
    wanted: int
    key: str
    trials: list[Tried] = field(default_factory=list)
    best: int | None = None
    front: list[int] = field(default_factory=list)
    importance: dict[str, dict[str, float]] | None = None
    ended: str | None = None

    @classmethod
    def new(
        cls, stage: Stage, index: int, space: Sequence[Dimension], objectives: Sequence[Mapping[str, str]], key: str
    ) -> History:
        """Begin the history of a stage's search."""
        search = stage.search
        assert search is not None
        return cls(
            stage.name, index, [dict(one) for one in objectives], [_plain(one) for one in space], search.sampler,
            search.pruner, search.seeds, search.trials, key,
        )  # fmt: skip

    def trial(self, number: int | None) -> Tried | None:
        """Return the trial of a number."""
        return next((one for one in self.trials if one.number == number), None)

    def same(self, values: Mapping[str, Value]) -> Tried | None:
        """Return the earliest trial with these values."""
        return next((one for one in self.trials if one.values == dict(values) and one.repeats is None), None)

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return {"format": FORMAT, **asdict(self)}

    def write(self, folder: Path) -> None:
        """Write it, complete or not at all.

        Raises
        ------
        StorageError
            If the disk takes nothing.
        """
        path = path_of(folder, self.index)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"The search's history cannot be written: {error}.", where=str(path)) from error
        write_json(path, self.as_dict())

    @classmethod
    def read(cls, folder: Path, index: int) -> History | None:
        """Read the history of a stage; None if there is none.

        Raises
        ------
        StorageError
            If the file is there and cannot be understood.
        """
        path = path_of(folder, index)
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise StorageError(f"The search's history cannot be read: {error}.", where=str(path)) from error
        if not isinstance(data, dict) or data.pop("format", None) != FORMAT:
            raise StorageError(
                "The search's history has an unknown format.", where=str(path), expected=f"format {FORMAT}",
                advice="Move the file away to begin the search again.",
            )  # fmt: skip
        trials = [Tried(**{**one, "steps": {int(k): v for k, v in one["steps"].items()}}) for one in data.pop("trials")]
        return cls(trials=trials, **data)


def _plain(one: Dimension) -> dict[str, Any]:
    return {**asdict(one), "choices": list(one.choices)}


def path_of(folder: Path, index: int) -> Path:
    """Return the file of a stage's search in a run's folder."""
    return folder / "search" / f"{index}.json"
