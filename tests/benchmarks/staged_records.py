"""What is kept of one run of the staged experiment or of a ready plan: a small JSON with scores, steps and stages."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from core.studies.records import ArmRun

__all__ = ["Result", "chosen", "read_results", "stages_of", "write_result"]


@dataclass(frozen=True)
class Result:
    """One run.

    Parameters
    ----------
    name
        Name of the arm, or task and name of a ready plan.
    seed
        The run's seed.
    run
        Scores, curves and answers as the claims keep them.
    planned
        Optimiser steps that the plan may take at most: all attempts, trials and steps of range tests.
    spent
        Those that it took.
    stages
        What became of each stage, see :func:`stages_of`.
    trials
        Number, values, score and seconds of each trial of a search.
    """

    name: str
    seed: int
    run: ArmRun
    planned: int
    spent: int
    stages: list[dict[str, Any]] = field(default_factory=list)
    trials: list[dict[str, Any]] = field(default_factory=list)

    @property
    def key(self) -> str:
        """A name for files."""
        return f"{self.name}_{self.seed}"

    @property
    def score(self) -> float | None:
        """The score on test; ``None`` where the run failed."""
        return self.run.score

    @property
    def gate(self) -> float | None:
        """The best score on gate, which belongs to the weights that are tested."""
        return self.run.gate_score


def chosen(results: Iterable[Result]) -> Result | None:
    """Return the run with the best score on gate; of equal ones the shorter, then the first. Failed runs never win."""
    done = [one for one in results if one.gate is not None and not one.run.failed]
    return min(done, key=lambda one: (-float(one.gate or 0.0), one.planned), default=None)


def stages_of(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return name, outcome, number of attempts and, where there is one, suggestion or trial of each stage."""
    found = []
    for entry in results.get("stages") or []:
        one: dict[str, Any] = {"name": entry["name"], "outcome": entry["outcome"]}
        if entry.get("attempts"):
            one["attempts"] = len(entry["attempts"])
        if entry.get("suggestion"):
            one["suggestion"] = {name: round(value, 8) for name, value in entry["suggestion"].items()}
        if entry.get("search"):
            one["trial"] = {"number": entry["search"]["best"], "values": entry["search"]["values"]}
        found.append(one)
    return found


def write_result(folder: Path, result: Result) -> None:
    """Write a result into a folder: whole or not at all."""
    target = folder / f"{result.key}.json"
    part = target.with_suffix(".part")
    folder.mkdir(parents=True, exist_ok=True)
    part.write_text(json.dumps(asdict(result), separators=(",", ":")) + "\n", encoding="utf-8")
    part.replace(target)


def read_results(folder: Path) -> list[Result]:
    """Return the results of a folder by name and seed."""
    found: Sequence[dict[str, Any]] = [
        json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))
    ]
    results = [Result(**{**one, "run": ArmRun.from_dict(one["run"])}) for one in found]
    return sorted(results, key=lambda one: (one.name, one.seed))
