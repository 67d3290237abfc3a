"""The runs' desk of a Studio in memory."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.config import Plan, RunConfig, config_from_dict
from core.errors import RunError, RunNotFound
from core.runs.alike import RunVerdicts, judge_runs
from core.runs.records import RunRecord, SeriesBatch, Status
from core.settings import Home


class FakeRuns:
    def __init__(self, home: Home) -> None:
        self.home = home
        self.records: dict[str, RunRecord] = {}
        self.points: dict[str, dict[str, tuple[list[int], list[float | None]]]] = {}
        self.requests: dict[str, str] = {}
        self.submitted: list[Plan] = []
        self.parents: list[str | None] = []
        self.estimates: list[dict[str, Any] | None] = []
        self.accuracy: dict[str, Any] = {"count": 0, "seconds_error": None, "memory_error": None, "runs": []}
        self.asked: list[tuple[str, ...]] = []
        self.series_reads = 0
        self.left: dict[str, dict[str, Any]] = {}
        self._number = itertools.count(1)

    def add(self, name: str, status: Status = Status.FINISHED, **values: Any) -> RunRecord:
        """Put a run into the store."""
        number = next(self._number)
        plan = values.pop("plan", None) or Plan(name=name)
        record = RunRecord(
            id=f"20261122-1415{number:02d}-a{number:03d}", kind=values.pop("kind", "train"), name=name, status=status,
            plan=plan.model_dump(mode="json"), tags=values.pop("tags", tuple(plan.tags)),
            created=time.time() - 60 * (100 - number), started=None, ended=None, seconds=values.pop("seconds", 42.0),
            position=values.pop("position", None), backend="process", pid=None, heartbeat=None, **values,
        )  # fmt: skip
        self.records[record.id] = record
        return record

    def submit(
        self, plan: Plan, *, request_id: str | None = None, now: bool = False, parent: str | None = None,
        estimate: dict[str, Any] | None = None, kind: str = "train", **_: Any,
    ) -> str:  # fmt: skip
        if request_id in self.requests:
            return self.requests[request_id]
        record = self.add(plan.name, Status.QUEUED, plan=plan, kind=kind)
        self.submitted.append(plan)
        self.parents.append(parent)
        self.estimates.append(estimate)
        if request_id:
            self.requests[request_id] = record.id
        return record.id

    def estimate_accuracy(self) -> dict[str, Any]:
        return self.accuracy

    def get(self, run_id: str) -> RunRecord:
        if run_id not in self.records:
            raise RunNotFound(f"There is no run {run_id!r}.")
        return self.records[run_id]

    find = get

    def list(
        self, status: Any = None, tag: str | None = None, search: str | None = None, limit: int = 500
    ) -> list[RunRecord]:
        kept = list(self.records.values())
        if status is not None:
            wanted = [str(item) for item in ([status] if isinstance(status, str) else status)]
            kept = [run for run in kept if str(run.status) in wanted]
        if tag:
            kept = [run for run in kept if tag in run.tags]
        if search:
            kept = [run for run in kept if search.lower() in f"{run.id} {run.name} {' '.join(run.tags)}".lower()]
        return sorted(kept, key=lambda run: -run.created)[:limit]

    def plan(self, run_id: str) -> Plan:
        return Plan.model_validate(self.get(run_id).plan)

    def config(self, run_id: str) -> RunConfig:
        record = self.get(run_id)
        return config_from_dict(record.kind, record.plan, where=run_id)

    def model_folder(self, run_id: str) -> Path:
        return self.home.run(self.get(run_id).id) / "best"

    def results(self, run_id: str) -> dict[str, Any] | None:
        return self.left.get(self.get(run_id).id)

    def verdicts(self, runs: Sequence[str], **wanted: Any) -> RunVerdicts:
        self.asked.append(("verdicts", *runs))
        return judge_runs([self.get(run_id) for run_id in runs], self.results, **wanted)

    def events(self, run_id: str, after: int = 0) -> Sequence[Any]:
        return []

    def series_names(self, run_id: str) -> list[str]:
        return sorted(self.points.get(run_id, {}))

    def series(
        self, run_id: str, after: int = 0, names: Sequence[str] | None = None, max_points: int = 1000
    ) -> SeriesBatch:
        self.series_reads += 1
        kept = {
            name: {"steps": steps, "values": values, "times": [1000.0 + step for step in steps]}
            for name, (steps, values) in self.points.get(run_id, {}).items()
            if names is None or name in names
        }
        return SeriesBatch(1, kept)

    def delete(self, run_id: str, *, keep_children: bool = False) -> None:
        if self.get(run_id).status.active:
            raise RunError("A worker belongs to this run.", advice="Cancel it first.")
        self.asked.append(("delete", run_id))
        del self.records[run_id]

    def move(self, run_id: str, where: str) -> None:
        self.asked.append(("move", run_id, where))

    def _set(self, run_id: str, what: str, status: Status) -> None:
        self.asked.append((what, run_id))
        self.records[run_id] = replace(self.get(run_id), status=status)

    def resume(self, run_id: str, *, now: bool = False) -> None:
        self._set(run_id, "resume", Status.QUEUED)

    def cancel(self, run_id: str) -> None:
        self._set(run_id, "cancel", Status.CANCELLED)

    def pause(self, run_id: str) -> None:
        self._set(run_id, "pause", Status.PAUSED)

    def set_tags(self, run_id: str, tags: Sequence[str]) -> None:
        self.records[run_id] = replace(self.get(run_id), tags=tuple(tags))

    def disk(self) -> dict[str, Any]:
        runs = [
            {"id": run.id, "name": run.name, "bytes": 360_000_000, "checkpoints": 270_000_000, "best": 90_000_000}
            for run in self.records.values()
        ]
        return {
            "runs": runs,
            "cache": 120_000_000,
            "total": 120_000_000 + 360_000_000 * len(runs),
            "free": 8_000_000_000,
        }

    def free_space(self, checkpoints: bool = True, cache: bool = True, models: bool = False) -> int:
        self.asked.append(("free", str(checkpoints), str(cache), str(models)))
        return 390_000_000
