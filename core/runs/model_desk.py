"""The models' desk of the facade: what there is, what is known of it, and encoders that are made."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from core.config import DataConfig, ModelConfig, Plan, TaskConfig
from core.config.shape import EncoderShape
from core.models.atomic import remove_new_folder
from core.runs.helper import Helper
from core.runs.models import list_models
from core.runs.plain import plain
from core.runs.sources import absolute_data, absolute_model, absolute_sources, data_uses_hub, stamp, uses_hub
from core.runs.store import Store
from core.runs.teachers import list_teachers

__all__ = ["ModelDesk"]

_Dicts = list[dict[str, Any]]  # the class has a method of the name list


class ModelDesk:
    """Models that a plan can start from or that can predict.

    Parameters
    ----------
    store
        The store of the home, which knows the runs' models.
    helper
        The helper process, which needs torch.
    """

    def __init__(self, store: Store, helper: Helper) -> None:
        self._store = store
        self._helper = helper
        self._home = store.home

    def list(self) -> list[dict[str, Any]]:
        """Return the bundled encoder, the exported models and the runs' models, each as :meth:`describe` gives it.

        A folder that cannot be described is left out.
        """
        from core.models import describe

        return list_models(self._store, describe)

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
            answer = self._helper.call("prune", arguments, timeout=1800, hub=hub, aside=True, cancel=cancel, tell=tell)
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
        return Path(self._helper.call("new_encoder", arguments, timeout=300, hub=hub))

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

        return dict(plain(describe_trained(absolute_model(source, self._home) or source, revision)))

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
            "source": absolute_model(source, self._home), "keep": keep, "data": data.model_dump(mode="json"),
            "task": task.model_dump(mode="json"), "max_length": max_length,
        }  # fmt: skip
        hub = data_uses_hub(data) or source.startswith("hub:")
        return dict(self._helper.call("alike_layers", arguments, timeout=600, hub=hub, remember=stamp(data)))

    def match_layers(self, plan: Plan, index: int) -> dict[str, Any]:
        """Say which layers of student and teacher likeness would pair now (helper process, remembered).

        Returns
        -------
        dict
            ``pairs``, ``likeness``, ``tokens``; see :func:`core.training.distil.matching.pairs_now`.
        """
        plan = absolute_sources(plan, self._home).model_copy(update={"name": "pairs", "tags": []})
        arguments = {"plan": plan.model_dump(mode="json"), "index": index}
        call = self._helper.call
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

        return vocabulary_digest(resolve(absolute_model(source, self._home) or source).folder)

    def teachers(self, task: TaskConfig) -> _Dicts:
        """Return finished runs and exported models that were trained for a task, runs with their scores.

        Returns
        -------
        list of dict
            See :func:`core.runs.teachers.list_teachers`.
        """
        return list_teachers(self._store, task)

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
        plan = absolute_sources(Plan(model=ModelConfig(source=source, revision=revision), task=task), self._home)
        arguments = {
            "source": plan.model.source, "revision": revision, "task": task.model_dump(mode="json"), "labels": labels,
            "keep_layers": keep_layers,
        }  # fmt: skip
        config = Path(plan.model.source) / "config.json"
        written = config.stat().st_mtime_ns if config.is_file() else 0
        hub = source.startswith("hub:")
        return dict(self._helper.call("parameters", arguments, timeout=300, hub=hub, remember=(written,)))
