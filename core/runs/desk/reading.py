"""Runs as the store and their folders have them: records, series, events, configs, logs, results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from core.config import Plan, RunConfig, config_from_dict, plan_from_dict
from core.runs import folder
from core.runs.decisions import decisions
from core.runs.helper import Helper
from core.runs.records import EventRecord, RunRecord, SeriesBatch, Status
from core.runs.store import Store

__all__ = ["Reading"]

# inside a class with a method `list`, the name no longer means the type
_Records = list[RunRecord]
_Names = list[str]
_Events = list[EventRecord]
_Rows = list[dict[str, Any]]


class Reading:
    """Reads what is kept of runs."""

    def __init__(self, store: Store, helper: Helper, submitter: str | None = None) -> None:
        self._store = store
        self._helper = helper
        self._submitter = submitter
        self._home = store.home

    def get(self, run_id: str) -> RunRecord:
        """Return a run by its id; raises :class:`~core.errors.RunNotFound`."""
        return self._store.runs.get(run_id)

    def find(self, text: str) -> RunRecord:
        """Return a run by id, unique beginning of an id, or unique name."""
        return self._store.runs.find(text)

    def list(
        self,
        status: Status | str | Sequence[str] | None = None,
        tag: str | None = None,
        search: str | None = None,
        limit: int = 500,
        part_of: str | None = None,
    ) -> _Records:
        """Return runs, newest first. Parts of runs (trials of a search, say) are left out unless they are asked for.

        Parameters
        ----------
        status
            One status or several; ``"active"`` stands for all in which a worker belongs to the run.
        tag
            Only runs with this tag.
        search
            Only runs whose id, name, tags, data or model hold this text.
        limit
            At most this many.
        part_of
            Only the parts of the run with this id.
        """
        return self._store.runs.list(status=status, tag=tag, search=search, limit=limit, part_of=part_of)

    def series(
        self, run_id: str, after: int = 0, names: Sequence[str] | None = None, max_points: int | None = 1000
    ) -> SeriesBatch:
        """Return the points written after a cursor.

        Parameters
        ----------
        run_id
            The run.
        after
            Cursor of the last batch; 0 reads from the start.
        names
            Only these series.
        max_points
            Each series is reduced to at most this many points (peaks stay); ``None`` or 0 returns every point.
        """
        return self._store.points.series(run_id, after=after, names=names, max_points=max_points or None)

    def series_names(self, run_id: str) -> _Names:
        """Return the names of a run's series, sorted."""
        return self._store.points.names(run_id)

    def events(self, run_id: str, after: int = 0) -> _Events:
        """Return what happened in a run after an event's ``seq``, in order."""
        return self._store.events.list(run_id, after=after)

    def decisions(self, run_id: str) -> _Rows:
        """Return a run's decision log: when, stage, attempt, rule, evidence, action; see :mod:`core.runs.decisions`."""
        return decisions(self.events(run_id))

    def plan(self, run_id: str) -> Plan:
        """Return the plan of a training run."""
        return plan_from_dict(self.get(run_id).plan, where=f"run {run_id}")

    def config(self, run_id: str) -> RunConfig:
        """Return the config of a run of any kind."""
        record = self.get(run_id)
        return config_from_dict(record.kind, record.plan, where=f"run {run_id}")

    def log(self, run_id: str, tail: int = 200) -> str:
        """Return the last lines that the run's worker printed."""
        return folder.read_log(self._home.run(self.get(run_id).id), tail)

    def results(self, run_id: str) -> dict[str, Any] | None:
        """Return ``results.json`` of a run: metrics, details, choices, environment; ``None`` while there is none."""
        return folder.read_json(self._home.run(self.get(run_id).id) / "results.json")

    def data_report(self, run_id: str) -> dict[str, Any] | None:
        """Return the check of the data that the run made before training; ``None`` while there is none."""
        return folder.read_json(self._home.run(self.get(run_id).id) / "data_report.json")
