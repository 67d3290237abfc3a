"""The students' desk of the facade: exports, measurements beside the teacher, and all students of one task together."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from core.errors import BertloomError, RunError
from core.models.onnx_folder import FORMATS
from core.runs import folder, speed
from core.runs.background import Background, Going
from core.runs.desk import RunDesk
from core.runs.distilled import complete
from core.runs.helper import Helper
from core.runs.joint_tasks import parted, single_of
from core.runs.models import run_and_task
from core.runs.records import RunRecord
from core.runs.store import Store
from core.runs.students import overview
from core.training.distil.places import taught_folder

__all__ = ["StudentDesk"]

_Dicts = list[dict[str, Any]]
_HOUR = 3600.0


class StudentDesk:
    """What is known of distilled runs beyond their scores. Long work goes on in the background, whoever looks at it.

    Parameters
    ----------
    store
        The store of the home.
    helper
        The helper process, which measures and exports.
    runs
        The runs' desk.
    """

    def __init__(self, store: Store, helper: Helper, runs: RunDesk) -> None:
        self._store = store
        self._helper = helper
        self._runs = runs
        self._background = Background()

    def close(self) -> None:
        """Ask work in the background to end."""
        self._background.close()

    # -- reading -----------------------------------------------------------------------------------------------------
    def report(self, run_id: str, baseline: str | None = None) -> dict[str, Any]:
        """Return what a distilled run came to, with parameters, and what was measured of everything in it.

        Parameters
        ----------
        run_id
            The run, here and below; of a joint one RUN/TASK.
        baseline
            See :meth:`core.runs.desk.RunDesk.distillation`.

        Returns
        -------
        dict
            As :meth:`core.runs.desk.RunDesk.distillation` has it; ``student``, ``alone`` and each of ``teachers`` also
            with ``parameters`` (None where the weights are gone) and ``bench`` (None where nothing was measured),
            ``exports``, and ``speed`` (``machine``, ``threads``, ``versions``, ``measured``), or None.
        """
        found = self._runs.distillation(run_id, baseline)
        return complete(found, self.speed(run_id), self.exports(run_id), self._parameters)

    def speed(self, run_id: str) -> dict[str, Any] | None:
        """Return what was measured last; see :func:`core.runs.speed.read_speed`."""
        return speed.read_speed(self._folder(run_id))

    def exports(self, run_id: str) -> _Dicts:
        """Return the exports of a run that are still there; see :func:`core.runs.speed.read_exports`."""
        run, task = parted(run_id)
        found = speed.read_exports(self._store.home.run(self._runs.get(run).id))
        return [one for one in found if one.get("task") == task] if task else found

    def overview(self, run_id: str) -> dict[str, Any]:
        """Return all students so far of a run's task, data and metric; see :func:`core.runs.students.overview`."""
        record, report = self._runs.student(run_id), self._runs.distillation(run_id)
        others = []
        for one in self._runs.list(status="finished"):
            if one.kind == "joint":
                others += [single_of(one, str(task["name"])) for task in one.plan.get("tasks") or []]
            elif one.kind == "train":
                others.append(one)
        return overview(record, others, report, lambda one: self.speed(one.id), lambda one: self._parameters(one.id))

    def _folder(self, run_id: str) -> Path:
        """Return where measurements of a run lie, of RUN/TASK those of the task."""
        run, task = parted(run_id)
        return taught_folder(self._store.home.run(self._runs.get(run).id), task)

    def _weights(self, record: RunRecord) -> str | None:
        if parted(record.id)[1]:
            try:
                return str(self._runs.model_folder(record.id))
            except BertloomError:
                return None
        return str(self._runs.model_folder(record.id)) if record.has_model else None

    def _parameters(self, run_id: str) -> int | None:
        from core.models import describe

        place = self._weights(self._runs.student(run_id))
        if place is None:
            return None
        try:
            return int(describe(place).parameters)
        except BertloomError:
            return None

    # -- measuring ---------------------------------------------------------------------------------------------------
    def measure(self, run_id: str, *, seconds: float = 0.5) -> Going:
        """Begin to measure a run's model, its teachers, itself without a teacher and its ONNX exports, in turns.

        What comes of it is kept in the run's folder. A measurement that is going on is returned instead.

        Parameters
        ----------
        run_id
            A distilled run.
        seconds
            Spent on each of them for each size of batch and text.

        Raises
        ------
        RunError
            If there is nothing to measure: the run has no results, or all weights are gone.
        """
        record = self._runs.student(run_id)
        wanted = self._wanted(record)
        work = functools.partial(self._measure, record.id, wanted, seconds)
        return self._background.start(f"speed:{record.id}", work)

    def measuring(self, run_id: str) -> Going | None:
        """Return the measurement of a run, going on or ended since this Studio was opened."""
        return self._background.get(f"speed:{run_id}")

    def measure_now(
        self, run_id: str, *, baseline: str | None = None, seconds: float = 0.5,
        tell: Callable[[float, str], None] = lambda share, doing: None,
    ) -> dict[str, Any]:  # fmt: skip
        """Measure as :meth:`measure` does, and wait for it; returns what was kept."""
        record = self._runs.student(run_id)
        return self._measure(record.id, self._wanted(record, baseline), seconds, Going(hear=tell))

    def _wanted(self, record: RunRecord, baseline: str | None = None) -> _Dicts:
        report = self._runs.distillation(record.id, baseline)
        other = report["alone"]
        twin = None
        if other is not None:
            found = self._runs.student(other["id"])
            place = self._weights(found)
            twin = None if place is None else (found, place)
        return speed.forms(record, self._weights(record), report["teachers"], twin, self.exports(record.id))

    def _measure(self, run_id: str, wanted: _Dicts, seconds: float, going: Going) -> dict[str, Any]:
        names = {str(at): one for at, one in enumerate(wanted)}
        arguments = {"sources": {key: one["source"] for key, one in names.items()}, "seconds": seconds}
        words = {key: f"{_FORMS[one['form']]} {one['name']}".strip() for key, one in names.items()}

        def tell(share: float, doing: str) -> None:
            head, _, key = doing.rpartition(" ")
            going.tell(share, f"{head} {words.get(key, key)}")

        hub = any(str(one["source"]).startswith("hub:") for one in wanted)
        found = self._helper.call(
            "bench", arguments, timeout=_HOUR, hub=hub, aside=True, cancel=going.cancel, tell=tell
        )  # fmt: skip
        result = speed.kept(wanted, found)
        run, task = parted(run_id)
        place = self._store.home.run(run)
        if place.is_dir():  # else the run was deleted meanwhile
            own = taught_folder(place, task)
            own.mkdir(parents=True, exist_ok=True)
            folder.write_text(own / speed.SPEED, json.dumps(result))
        return result

    # -- exporting ---------------------------------------------------------------------------------------------------
    def export(self, run_id: str, target: Path | None, *, format: str, overwrite: bool = False) -> Going:
        """Begin to export a run; ONNX takes up to a minute. The answer is the folder.

        Parameters
        ----------
        run_id
            The run, of a joint one RUN/TASK.
        target
            Folder to write; None takes one in the home's ``exports/``.
        format
            One of :data:`core.models.onnx_folder.FORMATS`.
        overwrite
            Whether an earlier export may be replaced.
        """
        record, task = run_and_task(self._store, run_id)
        if format not in FORMATS:
            raise RunError(f"There is no format {format!r}.", where="format", expected=", ".join(FORMATS))
        name = f"{record.id}/{task}" if task else record.id

        def work(going: Going) -> Path:
            return self._runs.export(name, target, overwrite, format=format, tell=going.tell, cancel=going.cancel)

        return self._background.start(f"export:{name}", work)

    def exporting(self, run_id: str) -> Going | None:
        """Return the export of a run, going on or ended since this Studio was opened."""
        return self._background.get(f"export:{run_id}")

    def forget_export(self, run_id: str) -> None:
        """Forget what the last export of a run in the background came to, if it has ended."""
        self._background.forget(f"export:{run_id}")


_FORMS: Mapping[str, str] = {
    "student": "the student", "teacher": "the teacher", "alone": "the student without a teacher",
    "export": "the export",
}  # fmt: skip
