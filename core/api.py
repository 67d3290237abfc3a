"""Studio: the one facade that pages, the command line and tests use.

Everything here is cheap to import: torch, transformers and datasets are loaded only by the worker and by the helper
process
(and by a run whose backend is ``thread``). All methods raise :class:`~core.errors.BertloomError` subclasses with a
message that can be shown as it stands.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from core.config import DataConfig, ModelConfig, Plan, TaskConfig, plan_from_dict
from core.runs import folder, housekeeping
from core.runs.control import Control
from core.runs.helper import Helper
from core.runs.manager import Manager
from core.runs.models import export_target, find_model_folder, list_models, model_of
from core.runs.plain import plain
from core.runs.presets import Presets
from core.runs.records import EventRecord, RunRecord, SeriesBatch, Status
from core.runs.sources import absolute_data, absolute_sources, data_uses_hub, list_uploads, save_upload, stamp, uses_hub
from core.runs.store import Store
from core.settings import Home
from core.settings import home as default_home

__all__ = ["DataDesk", "ModelDesk", "RunDesk", "Studio"]

# inside a class with a method `list`, the name no longer means the type
_Records = list[RunRecord]
_Names = list[str]
_Events = list[EventRecord]


class Studio:
    """Gathers data, models, runs and presets of one home folder.

    Parameters
    ----------
    home
        The home folder; ``None`` takes the one that the environment names. It is created where it is missing.
    watch
        Whether this process claims and watches runs (background threads). Without it runs can be queued and read, and
        another process that watches the same home executes them.
    warm
        Whether a worker process is kept ready while nothing runs, so that the next run starts at once.

    Raises
    ------
    StorageError
        If the home folder or the run store in it cannot be opened.
    """

    def __init__(self, home: Home | None = None, *, watch: bool = True, warm: bool = True) -> None:
        self.home: Home = (home or default_home()).ensure()
        self._store = Store(self.home)
        self._helper = Helper(self.home)
        self._manager = Manager(self._store, warm=warm) if watch else None
        self._closed = threading.Lock()
        self._open = True
        self.data = DataDesk(self)
        self.models = ModelDesk(self)
        self.runs = RunDesk(self)
        self.presets = Presets(self.home)
        if self._manager is not None:
            self._manager.start()

    @property
    def problem(self) -> str | None:
        """What keeps the background threads from working now (a full disk, say), or ``None``."""
        return self._manager.problem if self._manager else None

    def close(self, timeout: float = 5.0) -> None:
        """Stop the background threads and the helper.

        Worker processes go on; runs in threads write a checkpoint and stop.

        Parameters
        ----------
        timeout
            Seconds to wait for the threads.
        """
        with self._closed:
            if not self._open:
                return
            self._open = False
        if self._manager is not None:
            self._manager.close(timeout)
        self._helper.close()
        self._store.close()

    def __enter__(self) -> Studio:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def predict(self, source: str, texts: Sequence[str] | Sequence[list[str]]) -> list[dict[str, Any]]:
        """Predict texts with a run's best weights or with an exported model folder, in the helper process.

        Parameters
        ----------
        source
            A run (id, unique prefix or unique name) or a model folder.
        texts
            Texts; pairs of texts as lists of two; for tagging also lists of words.

        Returns
        -------
        list of dict
            One a text: ``text``, ``label``, ``scores``, and for tagging ``words`` and ``entities``.
        """
        folder = self.runs.model_folder(source)
        return list(self._helper.call("predict", {"source": str(folder), "texts": list(texts)}, timeout=600))

    def estimate(self, plan: Plan) -> dict[str, Any]:
        """Estimate time and memory by a dry run of a few steps in the helper process.

        Returns
        -------
        dict
            ``steps``, ``epochs``, ``rows`` {train, gate, test}, ``seconds`` (with ``seconds_low``, ``seconds_high``),
            ``memory_mb``, ``parameters``, ``trainable_parameters``, ``choices``, ``lr`` {group: {steps, lr}},
            ``cut_share``.
        """
        plan = absolute_sources(plan)
        return dict(
            self._helper.call("estimate", {"plan": plan.model_dump(mode="json")}, timeout=900, hub=uses_hub(plan))
        )

    def steps(self, plan: Plan) -> dict[str, Any]:
        """Return ``steps`` and ``rows`` of a plan, from the data's lengths alone (helper process, remembered)."""
        plan = absolute_sources(plan)
        relevant = plan.model_copy(update={"name": "steps", "tags": []})
        arguments = {"plan": relevant.model_dump(mode="json")}
        return dict(self._helper.call("steps", arguments, timeout=600, hub=uses_hub(plan), remember=stamp(plan.data)))

    def curve(self, plan: Plan, steps: int) -> dict[str, Any]:
        """Return the learning-rate curve {group: {"steps": […], "lr": […]}} for a number of optimiser steps."""
        from core.training import curve

        return dict(curve(plan, steps))


class DataDesk:
    """Samples, uploads, preview and check of data."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    def samples(self) -> list[dict[str, Any]]:
        """Return the bundled samples: name, title, language, tasks, rows, licence, about, available."""
        from core.data.samples import samples

        return [sample.as_dict() for sample in samples()]

    def preview(self, data: DataConfig, task: TaskConfig, rows: int = 20) -> dict[str, Any]:
        """Return the first rows as they stand in the source and as they were understood (helper process).

        Returns
        -------
        dict
            ``columns``, ``rows`` (list of dict), ``format``, ``encoding``, ``mapping`` {text, label, tokens, tags …},
            ``problems`` (list of str).
        """
        data = absolute_data(data)
        arguments = {"data": data.model_dump(mode="json"), "task": task.model_dump(mode="json"), "rows": rows}
        return dict(
            self._studio._helper.call("preview", arguments, timeout=120, hub=data_uses_hub(data), remember=stamp(data))
        )

    def check(self, data: DataConfig, task: TaskConfig, model: ModelConfig) -> dict[str, Any]:
        """Return the data report: what a run would read, drop, cut and refuse (helper process, remembered)."""
        data = absolute_data(data)
        arguments = {
            name: part.model_dump(mode="json") for name, part in (("data", data), ("task", task), ("model", model))
        }
        hub = data_uses_hub(data) or model.source.startswith("hub:")
        return dict(self._studio._helper.call("check", arguments, timeout=900, hub=hub, remember=stamp(data)))

    def save_upload(self, name: str, content: bytes) -> Path:
        """Keep an uploaded file in the home folder and return its path.

        A file of the same name and content is used again; one of other content gets a number.

        Raises
        ------
        PathRefused
            If the name cannot be a file name.
        StorageError
            If the file cannot be written.
        """
        return save_upload(self._studio.home, name, content)

    def uploads(self) -> list[dict[str, Any]]:
        """Return the uploaded files, newest first: ``name``, ``path``, ``bytes``, ``time``."""
        return list_uploads(self._studio.home)


class ModelDesk:
    """Models that a plan can start from or that can predict."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    def list(self) -> list[dict[str, Any]]:
        """Return the bundled encoder, the exported models and the runs' models, each as :meth:`describe` gives it.

        A folder that cannot be described is left out.
        """
        from core.models import describe

        return list_models(self._studio._store, describe)

    def describe(self, source: str, revision: str | None = None) -> dict[str, Any]:
        """Describe a model from its config and the header of its weights, without loading it.

        Returns
        -------
        dict
            ``source``, ``title``, ``family``, ``layers``, ``hidden_size``, ``heads``, ``intermediate_size``,
            ``vocab_size``, ``parameters``, ``max_length``, ``bytes``, ``language_hint``, ``warnings``.

        Raises
        ------
        ModelError
            If there is no such model or it cannot be used.
        """
        from core.models import describe

        return dict(plain(describe(source, revision)))


class RunDesk:
    """Submit, watch, control, read and keep house of runs."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._store = studio._store
        self._home = studio.home
        self._control = Control(studio._store)

    # -- starting ----------------------------------------------------------------------------------------------------
    def submit(
        self,
        plan: Plan,
        *,
        request_id: str | None = None,
        now: bool = False,
        parent: str | None = None,
        kind: str = "train",
    ) -> str:
        """Queue a run and return its id.

        Parameters
        ----------
        plan
            The complete plan. Relative paths of files are made absolute.
        request_id
            The same request id always gives the same run, so that a repeated click is one run.
        now
            Start at once, beside whatever runs.
        parent
            Id of the run that this one was duplicated from.
        kind
            What the run does, see :mod:`core.runs.kinds`.
        """
        manager = self._studio._manager
        return self._control.submit(
            plan, kind=kind, request_id=request_id, now=now, parent=parent, submitter=manager.token if manager else None
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
    ) -> _Records:
        """Return runs, newest first.

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
        """
        return self._store.runs.list(status=status, tag=tag, search=search, limit=limit)

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

    def plan(self, run_id: str) -> Plan:
        """Return the run's plan."""
        return plan_from_dict(self.get(run_id).plan, where=f"run {run_id}")

    def log(self, run_id: str, tail: int = 200) -> str:
        """Return the last lines that the run's worker printed."""
        return folder.read_log(self._home.run(self.get(run_id).id), tail)

    def results(self, run_id: str) -> dict[str, Any] | None:
        """Return ``results.json`` of a run: metrics, details, choices, environment; ``None`` while there is none."""
        return folder.read_json(self._home.run(self.get(run_id).id) / "results.json")

    def data_report(self, run_id: str) -> dict[str, Any] | None:
        """Return the check of the data that the run made before training; ``None`` while there is none."""
        return folder.read_json(self._home.run(self.get(run_id).id) / "data_report.json")

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

    def resume(self, run_id: str, *, now: bool = False) -> None:
        """Put a stopped run back into the queue; it goes on from its last checkpoint, or from the start without one."""
        self._control.resume(run_id, now=now)

    def delete(self, run_id: str) -> None:
        """Delete a run with its metrics and folder; refused while a worker belongs to it."""
        self._control.delete(run_id)

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

    def export(self, run_id: str, target: Path | None = None, overwrite: bool = False) -> Path:
        """Write a run's best weights as a model folder with card, plan and snippet.

        Parameters
        ----------
        run_id
            The run.
        target
            The folder to write; ``None`` takes one in the home's ``exports/``, named after the run.
        overwrite
            Whether a folder that exists may be replaced.

        Returns
        -------
        Path
            The folder.
        """
        record = self.get(run_id)
        source, wanted = model_of(self._store, record), export_target(self._store, record, target)
        arguments = {"source": str(source), "target": str(wanted), "overwrite": overwrite}
        return Path(self._studio._helper.call("export", arguments, timeout=600))

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
