"""What came of runs: estimates beside what they took, searches, students, verdicts, findings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from core.errors import RunError
from core.runs import distilled, estimates, searches
from core.runs.desk.reading import Reading
from core.runs.findings.types import Finding
from core.runs.joint_tasks import parted, results_of, series_of, single_of, taught_tasks
from core.runs.records import RunRecord

if TYPE_CHECKING:
    from core.runs.alike import RunVerdicts

__all__ = ["Outcomes"]


class Outcomes(Reading):
    """Derives from what is kept of runs what a person wants to know of them."""

    def estimate(self, run_id: str) -> dict[str, Any] | None:
        """Compare a run's estimate with what it took; ``None`` if there was none. See :mod:`core.runs.estimates`."""
        return estimates.compare(self._store, self.get(run_id).id)

    def estimate_accuracy(self) -> dict[str, Any]:
        """Say how good the last estimates on this machine were: ``count``, ``seconds_error``, ``memory_error`` …"""
        return estimates.accuracy(self._store)

    def searches(self, run_id: str) -> list[dict[str, Any]]:
        """Return what the searches of a run have tried so far, one entry a stage that is executed.

        Returns
        -------
        list of dict
            ``stage``, ``index``, ``begun``, ``objectives`` [{metric, direction}], ``space`` [{key, kind, low, high,
            step, log, choices, fixed}], ``sampler``, ``pruner``, ``seeds``, ``wanted``, ``trials`` [{number, values,
            state (finished, pruned, failed), scores, seeds, steps, runs, seconds, repeats, error}], ``best`` (number
            of a trial), ``front`` (numbers), ``importance`` {metric: {field: share}}, ``ended``.
        """
        record = self.get(run_id)
        return searches.searches(self._store, record.id, self.plan(run_id)) if record.plan.get("stages") else []

    def range_tests(self, run_id: str) -> list[dict[str, Any]]:
        """Return what the range tests of a run have measured so far, one entry a stage.

        Returns
        -------
        list of dict
            ``stage``, ``index``, ``done``, ``suggestion`` {lr, head_lr} or None, ``groups`` [{group, lr (suggested),
            reason, steepest, tenth, lowest, diverged, and the curve: rates, losses, smoothed, at}]; `at` are the rates
            that the smoothed losses belong to.
        """
        record = self.get(run_id)
        return searches.range_tests(self._store, record.id, self.plan(run_id)) if record.plan.get("stages") else []

    def distillation(self, run_id: str, baseline: str | None = None) -> dict[str, Any]:
        """Return what a distilled run came to; see :func:`core.runs.distilled.report`.

        Parameters
        ----------
        run_id
            The run, of a joint one RUN/TASK.
        baseline
            The run that trained the same student without a teacher; empty: the newest that did.

        Raises
        ------
        RunError
            If the run has no teacher or no results, or is a joint one and no task is named.
        """
        run, task = parted(run_id)
        record = self.get(run)
        if record.kind == "joint" and not task:
            raise RunError(
                f"The run {record.name!r} learnt several tasks, each with teachers of its own.", where=f"run {run}",
                expected=" or ".join(f"{run}/{name}" for name in taught_tasks(record.plan)) or "a run with a teacher",
            )  # fmt: skip
        names = [name for name in self.series_names(run) if name.startswith("distil/")]
        found = self.series(run, names=names).series if names else {}
        other = self.get(baseline) if baseline else self.without_teacher(run)
        results, own = None if other is None else self.results(other.id), self.results(run)
        if task:
            record, own, found = single_of(record, task), results_of(own, task), series_of(found, task)
            other, results = other and single_of(other, task), results_of(results, task)
        points = {name: list(zip(one["steps"], one["values"], strict=True)) for name, one in found.items()}
        pair = (other, results) if other is not None and results else None
        return distilled.report(record, own, points, pair)

    def without_teacher(self, run_id: str) -> RunRecord | None:
        """Return the newest finished run that trained a distilled run's student on the gold labels alone."""
        return distilled.without_teacher(self.get(run_id).plan, self.list(status="finished"))

    def verdicts(self, runs: Sequence[str], *, metric: str | None = None, margin: float = 0.01) -> RunVerdicts:
        """Compare runs whose plans differ: those of one plan with several seeds are one strategy.

        Parameters
        ----------
        runs
            Ids.
        metric
            Score, like ``test/accuracy``; without it, one that is known row by row.
        margin
            Differences below it do not matter.

        Returns
        -------
        RunVerdicts
            See :func:`core.runs.alike.judge_runs`.
        """
        from core.runs.alike import judge_runs

        return judge_runs([self.get(run_id) for run_id in runs], self.results, metric=metric, margin=margin)

    def findings(self, run_id: str) -> list[Finding]:
        """Return what happened in a training run and what to do about it, the gravest first; also while it runs."""
        from core.runs.findings import findings, read

        return findings(read(self, run_id))
