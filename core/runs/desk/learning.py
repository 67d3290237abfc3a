"""A student while it learns: pinned sentences, and what was seen of it. A task of a joint run is named RUN/TASK."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.runs import teaching
from core.runs.desk.reading import Reading
from core.runs.joint_tasks import parted, single_of
from core.runs.records import RunRecord
from core.training.distil.places import taught_folder

__all__ = ["Learning"]


class Learning(Reading):
    """Pins sentences for runs that learn from a teacher, and reads what their students made of them."""

    def student(self, run_id: str) -> RunRecord:
        """Return a run, and for RUN/TASK that task of a joint run as a run of its own."""
        run, task = parted(run_id)
        record = self.get(run)
        return single_of(record, task) if task else record

    def pins(self, run_id: str) -> list[dict[str, Any]]:
        """Return the sentences that were pinned: ``id``, ``text``, ``pair``, ``tokens``, ``gold``."""
        return teaching.pins(self._taught(run_id))

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
        record = self.student(run_id)
        return teaching.pin(record, self._taught(run_id), text, tokens=tokens, pair=pair, gold=gold).id

    def unpin(self, run_id: str, pin: str) -> None:
        """Take a pin away; it is no longer looked at."""
        teaching.unpin(self._taught(run_id), pin)

    def watched(self, run_id: str, after: int = 0, name: str = "") -> dict[str, Any]:
        """Return what was seen of a student while it learnt; see :func:`core.training.diary.read_diary`."""
        return teaching.watched(self._taught(run_id), after, name)

    def answered(self, run_id: str) -> list[dict[str, Any]]:
        """Return how many training rows each teacher had answered before; see :func:`core.runs.teaching.answered`."""
        run, task = parted(run_id)
        return teaching.answered(self.events(run), task)

    def _taught(self, run_id: str) -> Path:
        """Return the folder of a run's student, of RUN/TASK that of the task."""
        record, task = self.student(run_id), parted(run_id)[1]
        return taught_folder(self._home.run(parted(record.id)[0]), task)
