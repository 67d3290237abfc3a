"""Studio: the one facade that pages, the command line and tests use.

Everything here is cheap to import: torch, transformers and datasets are loaded only by workers and by the helper
process, and by a run whose backend is ``thread``. All methods raise subclasses of
:class:`~core.errors.BertloomError` with a message that can be shown as it stands.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from core.config import DataConfig, ModelConfig, Plan, TaskConfig
from core.config.shape import EncoderShape
from core.models.atomic import remove_new_folder
from core.runs.desk import RunDesk
from core.runs.graphs import GraphDesk
from core.runs.helper import Helper
from core.runs.manager import Manager
from core.runs.models import list_models
from core.runs.plain import plain
from core.runs.presets import Presets
from core.runs.sources import (
    absolute_data,
    absolute_model,
    absolute_sources,
    data_uses_hub,
    list_uploads,
    save_upload,
    stamp,
    uses_hub,
)
from core.runs.store import Store
from core.runs.structures import StructureDesk
from core.runs.student_desk import StudentDesk
from core.runs.teachers import list_teachers
from core.settings import Home
from core.settings import home as default_home
from core.studies.comparing.desk import ComparisonDesk
from core.studies.desk import ClaimDesk

_Dicts = list[dict[str, Any]]  # classes below have a method of the name list

__all__ = [
    "ClaimDesk", "ComparisonDesk", "DataDesk", "GraphDesk", "ModelDesk", "RunDesk", "StructureDesk", "StudentDesk",
    "Studio",
]  # fmt: skip


class Studio:
    """Gathers data, models, runs, graphs and presets of one home folder.

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
        submitter = self._manager.token if self._manager else None
        self.runs = RunDesk(self._store, self._helper, submitter)
        self.graphs = GraphDesk(self._store, self._helper, submitter)
        self.claims = ClaimDesk(self._store, self.runs, self.estimate)
        self.comparisons = ComparisonDesk(self._store, self.runs, self.estimate, self.predict)
        self.structures = StructureDesk(self._store, self.runs)
        self.students = StudentDesk(self._store, self._helper, self.runs)
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
        self.students.close()
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
            Texts; pairs of texts, and questions with their contexts, as lists of two; for tagging also lists of words.

        Returns
        -------
        list of dict
            One a text: ``text``, ``label``, ``scores``, for tagging ``words`` and ``entities``, for questions
            ``answers`` and ``context``.
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
        plan = absolute_sources(plan, self.home)
        return dict(
            self._helper.call("estimate", {"plan": plan.model_dump(mode="json")}, timeout=900, hub=uses_hub(plan))
        )

    def steps(self, plan: Plan) -> dict[str, Any]:
        """Return the optimiser steps of a plan, from the data's lengths alone (helper process, remembered).

        Returns
        -------
        dict
            ``steps`` and ``stages`` [{"name", "kind", "steps", "steps_per_epoch", …}] of those that are switched on,
            ``upper``, ``epochs``, ``rows`` …; see :func:`core.training.counting.count_steps`.
        """
        plan = absolute_sources(plan, self.home)
        relevant = plan.model_copy(update={"name": "steps", "tags": []})
        arguments = {"plan": relevant.model_dump(mode="json")}
        return dict(self._helper.call("steps", arguments, timeout=600, hub=uses_hub(plan), remember=stamp(plan.data)))

    def check_plan(self, plan: Plan) -> dict[str, Any]:
        """Check a plan against its rows and its model without training (helper process, remembered).

        Returns
        -------
        dict
            ``findings`` [{"level", "key", "message", "advice"}], ``steps``, ``stages``, ``rows``; see
            :func:`core.training.plan_check.check_plan`.
        """
        plan = absolute_sources(plan, self.home)
        arguments = {"plan": plan.model_dump(mode="json")}
        return dict(
            self._helper.call("check_plan", arguments, timeout=600, hub=uses_hub(plan), remember=stamp(plan.data))
        )

    def curve(self, plan: Plan, steps: int) -> dict[str, Any]:
        """Return the first stage's learning rates {group: {"steps": […], "lr": […]}} for a number of steps."""
        from core.training import curve

        return dict(curve(plan, steps))

    def plan_curve(
        self, plan: Plan, steps: dict[str, Any] | Sequence[dict[str, Any]], *, points: int | None = 400
    ) -> dict[str, Any]:
        """Return the learning rates of all stages, one after the other, and what of them depends on results.

        Parameters
        ----------
        plan
            The plan.
        steps
            The answer of :meth:`steps`, or its ``stages``.
        points
            Largest number of points of one curve; None: every step.

        Returns
        -------
        dict
            ``steps``, ``certain``, ``names``, ``groups`` {group: {"steps", "lr", "low", "high"}}, ``gates`` and
            ``stages``; see :func:`core.training.curves.plan_curve`.
        """
        from core.training import plan_curve

        return plan_curve(plan, steps, points=points)


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

    def prune(
        self, source: str, out: Path, *, data: DataConfig, task: TaskConfig | None = None,
        cancel: threading.Event | None = None, tell: Callable[[float, str], None] | None = None, **wanted: Any,
    ) -> dict[str, Any]:  # fmt: skip
        """Write a copy of a model with fewer heads and FFN units (a helper process of its own).

        Parameters
        ----------
        source
            ``bundled``, a folder, or ``hub:NAME``.
        out
            Folder to write; new or empty.
        data, task
            Texts to measure on, and how they are read.
        cancel
            An event that ends it; nothing of the folder stays.
        tell
            Called with the share that is done (0 to 1) and what is being done.
        **wanted
            ``heads``, ``units``, ``spread``, ``measure``, ``rows``, ``max_length``, ``test_rows``: see
            :class:`core.training.pruning.Pruning`.

        Returns
        -------
        dict
            What it cost and gained, see :func:`core.training.pruning.prune_folder`.
        """
        data = absolute_data(data)
        arguments = {
            "source": source, "out": str(out), "data": data.model_dump(mode="json"), "wanted": wanted,
            "task": None if task is None else task.model_dump(mode="json"),
        }  # fmt: skip
        hub = data_uses_hub(data) or source.startswith("hub:")
        there = out.exists()
        try:
            answer = self._studio._helper.call(
                "prune", arguments, timeout=1800, hub=hub, aside=True, cancel=cancel, tell=tell
            )
        finally:
            if cancel is not None and cancel.is_set() and not there:
                remove_new_folder(out)  # the process was killed, perhaps while it wrote
        return dict(answer)

    def shape(self, source: str) -> dict[str, Any]:
        """Return what a local model's layers are made of, from its config alone.

        Returns
        -------
        dict
            ``mode``, ``parameters``, ``layers`` [{width, heads, intermediate, head_size, parameters}] …; see
            :func:`core.models.shaped.files.describe_shape`.

        Raises
        ------
        ModelError
            If there is no such model, or its family's heads and units cannot be told apart.
        """
        from core.models.shaped.files import describe_shape

        return describe_shape(source)

    def origin(self, source: str) -> tuple[str, dict[str, Any]] | None:
        """Return how a model folder was made (``pruned``, ``random``) and the report of it, if it says so."""
        from core.models.origin import read_origin

        return None if source == "bundled" or source.startswith("hub:") else read_origin(Path(source).expanduser())

    def new(self, shape: EncoderShape, out: Path, *, tokenizer: str = "bundled", seed: int = 0) -> Path:
        """Write an encoder of a shape with random weights (helper process).

        Parameters
        ----------
        shape
            The shape; its vocabulary is taken from the tokenizer.
        out
            Folder to write; new or empty.
        tokenizer
            Model whose tokenizer it takes.
        seed
            Seed of the weights.
        """
        arguments = {"shape": shape.model_dump(mode="json"), "out": str(out), "tokenizer": tokenizer, "seed": seed}
        hub = tokenizer.startswith("hub:")
        return Path(self._studio._helper.call("new_encoder", arguments, timeout=300, hub=hub))

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

    def trained(self, source: str, revision: str | None = None) -> dict[str, Any]:
        """Describe a trained model as :meth:`describe` does, and its task, its labels and its vocabulary.

        Returns
        -------
        dict
            See :func:`core.models.trained.describe_trained`.

        Raises
        ------
        ModelError
            If there is no such model, it cannot be used, or it has no trained head.
        """
        from core.models.trained import describe_trained

        return dict(plain(describe_trained(absolute_model(source, self._studio.home) or source, revision)))

    def alike_layers(
        self, source: str, keep: int, data: DataConfig, task: TaskConfig, max_length: int
    ) -> dict[str, Any]:
        """Choose layers that a student may begin as, by likeness on training rows (helper process, remembered).

        Returns
        -------
        dict
            ``keep`` (numbers from 1), ``segments`` (first and last layer that each stands for), ``likeness`` …; see
            :func:`core.search.keeping.layers_to_keep`.
        """
        data = absolute_data(data)
        arguments = {
            "source": absolute_model(source, self._studio.home), "keep": keep, "data": data.model_dump(mode="json"),
            "task": task.model_dump(mode="json"), "max_length": max_length,
        }  # fmt: skip
        hub = data_uses_hub(data) or source.startswith("hub:")
        return dict(self._studio._helper.call("alike_layers", arguments, timeout=600, hub=hub, remember=stamp(data)))

    def match_layers(self, plan: Plan, index: int) -> dict[str, Any]:
        """Say which layers of student and teacher likeness would pair now (helper process, remembered).

        Returns
        -------
        dict
            ``pairs``, ``likeness``, ``tokens``; see :func:`core.training.distil.matching.pairs_now`.
        """
        plan = absolute_sources(plan, self._studio.home).model_copy(update={"name": "pairs", "tags": []})
        arguments = {"plan": plan.model_dump(mode="json"), "index": index}
        call = self._studio._helper.call
        return dict(call("match_layers", arguments, timeout=600, hub=uses_hub(plan), remember=stamp(plan.data)))

    def vocabulary(self, source: str) -> str | None:
        """Return a text that two local models share if their tokenisers have one vocabulary; None if nobody can tell.

        Raises
        ------
        ModelError
            If there is no such model.
        """
        from core.models import resolve
        from core.models.trained import vocabulary_digest

        return vocabulary_digest(resolve(absolute_model(source, self._studio.home) or source).folder)

    def teachers(self, task: TaskConfig) -> _Dicts:
        """Return finished runs and exported models that were trained for a task, runs with their scores.

        Returns
        -------
        list of dict
            See :func:`core.runs.teachers.list_teachers`.
        """
        return list_teachers(self._studio._store, task)

    def parameters(
        self, source: str, revision: str | None, task: TaskConfig, labels: int,
        keep_layers: int | Sequence[int] | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        """List the parameters of a model with a task's head, without reading a weight (helper process, remembered).

        Returns
        -------
        dict
            ``layers``, and for each parameter ``names``, ``units``, ``sizes``, ``dimensions``; see
            :func:`core.training.parameters.model_parameters`.
        """
        plan = absolute_sources(Plan(model=ModelConfig(source=source, revision=revision), task=task), self._studio.home)
        arguments = {
            "source": plan.model.source, "revision": revision, "task": task.model_dump(mode="json"), "labels": labels,
            "keep_layers": keep_layers,
        }  # fmt: skip
        config = Path(plan.model.source) / "config.json"
        written = config.stat().st_mtime_ns if config.is_file() else 0
        hub = source.startswith("hub:")
        return dict(self._studio._helper.call("parameters", arguments, timeout=300, hub=hub, remember=(written,)))
