"""What is kept of one run of one arm: a small JSON with its scores, its reduced curves and its answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from core.config import Plan
from core.config.claims import Part
from core.runs.compare.documents import answered
from core.studies.parts import read_parts, write_part

__all__ = ["ArmRun", "answers", "read_records", "reduced"]

#: Points of a curve that are kept.
_POINTS = 60


@dataclass(frozen=True)
class ArmRun:
    """One arm trained with one seed.

    Parameters
    ----------
    part, arm, seed
        Which run it is.
    metric
        Name of the score, without a role.
    score, gate_score
        On test, and the best one on gate; ``None`` where the run failed or there are no such rows.
    majority
        Score of a method that needs no model: the most frequent label's share on test, or for tagging the strict F1
        of each word's most frequent tag.
    failed
        Why the run failed; empty if it did not.
    steps, seconds
        Optimiser steps, and seconds of training and scoring.
    memory_mb
        Largest memory of the process while it trained.
    curves
        ``train/loss``, ``gate/loss`` and ``gate/<metric>``: {"steps": […], "values": […]}.
    documents
        How each test row was answered, see :func:`answers`; empty where unknown.
    rows
        Rows by role.
    run_id
        The run's id in the store, if it is there.
    """

    part: Part
    arm: str
    seed: int
    metric: str
    score: float | None = None
    gate_score: float | None = None
    majority: float | None = None
    failed: str = ""
    steps: int = 0
    seconds: float = 0.0
    memory_mb: float | None = None
    curves: dict[str, dict[str, list[Any]]] = field(default_factory=dict)
    documents: dict[str, Any] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    run_id: str = ""

    @property
    def key(self) -> str:
        """A name for files."""
        return key_of(self.part, self.arm, self.seed)

    def as_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ArmRun:
        """Return a record from plain data; keys that are not known any more are left out."""
        return cls(**{key: values[key] for key in cls.__dataclass_fields__ if key in values})


def key_of(part: Part, arm: str, seed: int) -> str:
    """Return the name of a run for files."""
    return f"{part}_{arm}_{seed}"


def metric_of(plan: Plan) -> str:
    """Return the score by which arms are compared: one that documents can be counted for."""
    if plan.task.kind == "tagging":
        return "span_f1" if plan.task.gold == "spans" else "strict_f1"
    return "accuracy"


def record_of(
    part: Part,
    arm: str,
    seed: int,
    plan: Plan,
    points: Mapping[str, Sequence[tuple[int, float]]],
    results: Mapping[str, Any] | None,
    *,
    failed: str = "",
    seconds: float = 0.0,
    run_id: str = "",
) -> ArmRun:
    """Make the record of a run from its series and its ``results.json``."""
    metric = metric_of(plan)
    results = results or {}
    metrics, details = results.get("metrics") or {}, results.get("details") or {}
    test = details.get("test") or {}
    baseline = test.get("majority") if metric == "accuracy" else (test.get("baseline") or {}).get(metric)
    memory = [value for _, value in points.get("train/memory_mb", ())]
    gate = [value for _, value in points.get(f"gate/{metric}", ())]
    curves = {name: reduced(points[name]) for name in ("train/loss", "gate/loss", f"gate/{metric}") if points.get(name)}
    documents = dict(test.get("documents") or {})
    if documents:
        documents["n"] = test.get("n", 0)
    return ArmRun(
        part, arm, seed, metric,
        score=None if failed else metrics.get(f"test/{metric}"),
        gate_score=None if failed or not gate else max(gate), majority=baseline, failed=failed,
        steps=max((step for step, _ in points.get("train/loss", ())), default=0), seconds=round(seconds, 2),
        memory_mb=round(max(memory), 1) if memory else None, curves=curves, documents=documents,
        rows={role: int((details.get(role) or {}).get("n", 0)) for role in ("gate", "test")}
        | ({"train": plan.data.train_rows} if plan.data.train_rows else {}), run_id=run_id,
    )  # fmt: skip


def reduced(points: Sequence[tuple[int, float]]) -> dict[str, list[Any]]:
    """Return a curve with at most sixty points: means over equal numbers of steps, at each group's last step."""
    groups = np.array_split(np.arange(len(points)), min(_POINTS, len(points)))
    steps = [int(points[group[-1]][0]) for group in groups if len(group)]
    values = [float(np.mean([points[at][1] for at in group])) for group in groups if len(group)]
    return {"steps": steps, "values": [round(value, 5) if np.isfinite(value) else None for value in values]}


def answers(record: ArmRun) -> np.ndarray | None:
    """Return how a run answered the test rows; ``None`` where that is not known.

    Returns
    -------
    numpy.ndarray
        Shape (documents, 1) of 0 and 1 for accuracy; (documents, 3) of true positives, predicted and gold for F1.
    """
    found = answered(record.documents, int(record.documents.get("n") or 0))
    return None if found is None else found[1]


def write_record(folder: Path, record: ArmRun) -> None:
    """Write a record into a folder: whole or not at all.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    write_part(folder, record.key, record.as_dict())


def read_records(folder: Path) -> list[ArmRun]:
    """Return the records of a folder, by part, arm and seed; files that are no records are left out."""
    return sorted(read_parts(folder, ArmRun.from_dict), key=lambda record: (record.part, record.arm, record.seed))
