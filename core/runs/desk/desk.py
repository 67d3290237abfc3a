"""The desk itself: models, exports and disk space, beside what its parts give."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.models.atomic import remove_new_folder
from core.runs import housekeeping, speed
from core.runs.desk.asking import Asking
from core.runs.desk.learning import Learning
from core.runs.desk.outcomes import Outcomes
from core.runs.models import export_target, find_model_folder, model_of, run_and_task
from core.runs.records import RunRecord

__all__ = ["RunDesk"]


class RunDesk(Outcomes, Asking, Learning):
    """Submit, watch, control, read and keep house of runs; see the parts for most methods.

    Parameters
    ----------
    store
        The store of the home.
    helper
        The helper process, which exports.
    submitter
        Token of the manager in this process, if there is one: it starts the runs with the thread backend.
    """

    def model_folder(self, source: str) -> Path:
        """Return the model folder of a run (``best/``) or, for a path, the folder itself."""
        return find_model_folder(self._store, source)

    def part(self, name: str) -> tuple[RunRecord, str]:
        """Return the run that a text names, and of RUN/TASK the task of a joint run; ``""`` without one."""
        return run_and_task(self._store, name)

    def export(
        self, run_id: str, target: Path | None = None, overwrite: bool = False, *, format: str = "safetensors",
        tell: Callable[[float, str], None] | None = None, cancel: threading.Event | None = None,
    ) -> Path:  # fmt: skip
        """Write a run's best weights as a model folder with card, plan and snippet, and note it down.

        Parameters
        ----------
        run_id
            The run, of a joint one RUN/TASK.
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
        record, task = run_and_task(self._store, run_id)
        source, wanted = model_of(self._store, record, task), export_target(self._store, record, target, format, task)
        arguments = {"source": str(source), "target": str(wanted), "overwrite": overwrite, "format": format}
        there = wanted.exists()
        try:
            found = self._helper.call(
                "export", arguments, timeout=1800, aside=format != "safetensors", cancel=cancel, tell=tell
            )  # fmt: skip
        finally:
            if cancel is not None and cancel.is_set() and not there:
                remove_new_folder(wanted)  # the process was killed, perhaps while it wrote
        speed.note_export(self._home.run(record.id), Path(found), format, time.time(), task)
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
