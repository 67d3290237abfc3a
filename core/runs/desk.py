"""The runs' desk of the facade: everything that pages and the command line do with runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.config import Plan, RunConfig, config_from_dict, plan_from_dict
from core.models.atomic import remove_new_folder
from core.runs import distilled, estimates, folder, housekeeping, searches, speed, teaching
from core.runs.control import Control
from core.runs.decisions import decisions
from core.runs.findings.types import Finding
from core.runs.helper import Helper
from core.runs.models import export_target, find_model_folder, model_of
from core.runs.records import EventRecord, RunRecord, SeriesBatch, Status
from core.runs.store import Store

if TYPE_CHECKING:
    from core.runs.alike import RunVerdicts

__all__ = ["RunDesk"]

# inside a class with a method `list`, the name no longer means the type
_Records = list[RunRecord]
_Names = list[str]
_Events = list[EventRecord]
_Rows = list[dict[str, Any]]
_Dicts = list[dict[str, Any]]
_Findings = list[Finding]


class RunDesk:
    """Submit, watch, control, read and keep house of runs.

    Parameters
    ----------
    store
        The store of the home.
    helper
        The helper process, which exports.
    submitter
        Token of the manager in this process, if there is one: it starts the runs with the thread backend.
    """

    def __init__(self, store: Store, helper: Helper, submitter: str | None = None) -> None:
        self._store = store
        self._helper = helper
        self._submitter = submitter
        self._home = store.home
        self._control = Control(store)

    # -- starting ----------------------------------------------------------------------------------------------------
    def submit(
        self,
        plan: RunConfig,
        *,
        request_id: str | None = None,
        now: bool = False,
        parent: str | None = None,
        kind: str = "train",
        estimate: Mapping[str, Any] | None = None,
    ) -> str:
        """Queue a run and return its id.

        Parameters
        ----------
        plan
            The complete plan, or the config of another kind of run. Relative paths of files are made absolute.
        request_id
            The same request id always gives the same run, so that a repeated click is one run.
        now
            Start at once, beside whatever runs.
        parent
            Id of the run that this one was duplicated from.
        kind
            What the run does, see :mod:`core.runs.kinds`.
        estimate
            The answer of :meth:`core.api.Studio.estimate` that the person had before; it is kept beside the run and
            compared with what the run takes.
        """
        return self._control.submit(
            plan, kind=kind, request_id=request_id, now=now, parent=parent, submitter=self._submitter, estimate=estimate
        )

    # -- reading -----------------------------------------------------------------------------------------------------
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

    def estimate(self, run_id: str) -> dict[str, Any] | None:
        """Compare a run's estimate with what it took; ``None`` if there was none. See :mod:`core.runs.estimates`."""
        return estimates.compare(self._store, self.get(run_id).id)

    def estimate_accuracy(self) -> dict[str, Any]:
        """Say how good the last estimates on this machine were: ``count``, ``seconds_error``, ``memory_error`` …"""
        return estimates.accuracy(self._store)

    def searches(self, run_id: str) -> _Dicts:
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

    def range_tests(self, run_id: str) -> _Dicts:
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
            The run.
        baseline
            The run that trained the same student without a teacher; empty: the newest that did.
        """
        record = self.get(run_id)
        names = [name for name in self.series_names(record.id) if name.startswith("distil/")]
        found = self.series(record.id, names=names).series if names else {}
        points = {name: list(zip(one["steps"], one["values"], strict=True)) for name, one in found.items()}
        other = self.get(baseline) if baseline else self.without_teacher(record.id)
        results = None if other is None else self.results(other.id)
        pair = (other, results) if other is not None and results else None
        return distilled.report(record, self.results(record.id), points, pair)

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

    def data_report(self, run_id: str) -> dict[str, Any] | None:
        """Return the check of the data that the run made before training; ``None`` while there is none."""
        return folder.read_json(self._home.run(self.get(run_id).id) / "data_report.json")

    def findings(self, run_id: str) -> _Findings:
        """Return what happened in a training run and what to do about it, the gravest first; also while it runs."""
        from core.runs.findings import findings, read

        return findings(read(self, run_id))

    # -- control -----------------------------------------------------------------------------------------------------
    def pause(self, run_id: str) -> None:
        """Ask a run to write a checkpoint and stop; a queued run leaves the queue at once."""
        self._control.pause(run_id)

    def cancel(self, run_id: str) -> None:
        """Ask a run to write a checkpoint and end; a queued run is cancelled at once. It can be resumed later."""
        self._control.cancel(run_id)

    def save(self, run_id: str) -> None:
        """Ask a running run to write a checkpoint now."""
        self._control.save(run_id)

    def change(
        self,
        run_id: str,
        *,
        temperature: float | None = None,
        alpha: float | None = None,
        differences: float | None = None,
    ) -> dict[str, float]:
        """Change how a run that trains learns from its teacher, from its next step on; returns what will be set.

        Parameters
        ----------
        run_id
            The run.
        temperature
            T of both softmaxes, above 0.
        alpha
            Share of the teachers' answers, 0 to 1.
        differences
            λ, how much more a position counts where student and teacher differ, 0 to 1.

        Raises
        ------
        RunError
            If it does not train now, or its stage has no teacher.
        ConfigError
            If a value is out of range.
        """
        values = {"temperature": temperature, "alpha": alpha, "differences": differences}
        return self._control.change(run_id, values)

    # -- a student while it learns -----------------------------------------------------------------------------------
    def pins(self, run_id: str) -> _Dicts:
        """Return the sentences that were pinned: ``id``, ``text``, ``pair``, ``tokens``, ``gold``."""
        return teaching.pins(self._home.run(self.get(run_id).id))

    def pin(
        self,
        run_id: str,
        text: str,
        *,
        tokens: Sequence[str] | None = None,
        pair: str | None = None,
        gold: Any = None,
    ) -> str:
        """Pin a sentence, at which a run that learns from a teacher will look as it trains; returns the pin's id.

        Parameters
        ----------
        run_id
            The run; it may wait, train, or be resumed later.
        text
            The sentence (of a pair of texts the first one).
        tokens
            Tagging: its words; without them it is split as for a prediction.
        pair
            The second text of a pair.
        gold
            What is right, if that is known.
        """
        record = self.get(run_id)
        place = self._home.run(record.id)
        return teaching.pin(record, place, text, tokens=tokens, pair=pair, gold=gold).id

    def unpin(self, run_id: str, pin: str) -> None:
        """Take a pin away; it is no longer looked at."""
        teaching.unpin(self._home.run(self.get(run_id).id), pin)

    def watched(self, run_id: str, after: int = 0, name: str = "") -> dict[str, Any]:
        """Return what was seen of a student while it learnt; see :func:`core.training.distil.diary.read_diary`."""
        return teaching.watched(self._home.run(self.get(run_id).id), after, name)

    def answered(self, run_id: str) -> _Dicts:
        """Return how many training rows each teacher had answered before; see :func:`core.runs.teaching.answered`."""
        return teaching.answered(self.events(run_id))

    def resume(self, run_id: str, *, now: bool = False) -> None:
        """Put a stopped run back into the queue; it goes on from its last checkpoint, or from the start without one."""
        self._control.resume(run_id, now=now)

    def delete(self, run_id: str, *, keep_children: bool = False) -> None:
        """Delete a run with its metrics and folder; refused while a worker belongs to it.

        Its parts (trials of a search, say) go with it, or become runs of their own if they are to be kept.
        """
        self._control.delete(run_id, keep_children=keep_children)

    def move(self, run_id: str, where: str) -> None:
        """Move a queued run ``up``, ``down``, ``first`` or ``last``."""
        self._control.move(run_id, where)

    def rename(self, run_id: str, name: str) -> None:
        """Give a run another name."""
        self._control.rename(run_id, name)

    def set_tags(self, run_id: str, tags: Sequence[str]) -> None:
        """Replace a run's tags."""
        self._control.set_tags(run_id, tags)

    def wait(
        self, run_id: str, timeout: float | None = None, on_change: Callable[[RunRecord], None] | None = None
    ) -> RunRecord:
        """Wait until a run is neither queued nor active and return it; `on_change` is called for each change of it.

        Raises
        ------
        RunError
            If `timeout` seconds were not enough.
        """
        return self._control.wait(run_id, timeout, on_change)

    # -- keeping house -----------------------------------------------------------------------------------------------
    def model_folder(self, source: str) -> Path:
        """Return the model folder of a run (``best/``) or, for a path, the folder itself."""
        return find_model_folder(self._store, source)

    def export(
        self, run_id: str, target: Path | None = None, overwrite: bool = False, *, format: str = "safetensors",
        tell: Callable[[float, str], None] | None = None, cancel: threading.Event | None = None,
    ) -> Path:  # fmt: skip
        """Write a run's best weights as a model folder with card, plan and snippet, and note it down.

        Parameters
        ----------
        run_id
            The run.
        target
            The folder to write; ``None`` takes one in the home's ``exports/``, named after the run.
        overwrite
            Whether a folder that exists may be replaced.
        format
            ``safetensors``, ``onnx`` or ``onnx-int8``; ONNX is checked against the model, which takes up to a minute.
        tell
            Called with the share that is done (0 to 1) and what is being done.
        cancel
            An event that ends it; nothing of the folder stays.

        Returns
        -------
        Path
            The folder.
        """
        record = self.get(run_id)
        source, wanted = model_of(self._store, record), export_target(self._store, record, target, format)
        arguments = {"source": str(source), "target": str(wanted), "overwrite": overwrite, "format": format}
        there = wanted.exists()
        try:
            found = self._helper.call(
                "export", arguments, timeout=1800, aside=format != "safetensors", cancel=cancel, tell=tell
            )  # fmt: skip
        finally:
            if cancel is not None and cancel.is_set() and not there:
                remove_new_folder(wanted)  # the process was killed, perhaps while it wrote
        speed.note_export(self._home.run(record.id), Path(found), format, time.time())
        return Path(found)

    def disk(self) -> dict[str, Any]:
        """Return disk use: ``runs`` [{id, name, bytes, checkpoints, best}], ``cache``, ``total``, ``free`` (bytes)."""
        return housekeeping.disk(self._store)

    def free_space(self, checkpoints: bool = True, cache: bool = True, models: bool = False) -> int:
        """Delete what can be done without and return the bytes freed.

        Parameters
        ----------
        checkpoints
            Resume checkpoints of finished runs. Those of runs that can be resumed stay.
        cache
            Cached activations, unless a run is active.
        models
            The best weights of finished runs; their metrics stay.
        """
        return housekeeping.free_space(self._store, checkpoints=checkpoints, cache=cache, models=models)
