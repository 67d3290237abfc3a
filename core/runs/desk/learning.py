"""A student while it learns: pinned sentences, and what was seen of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from core.runs import teaching
from core.runs.desk.reading import Reading

__all__ = ["Learning"]


class Learning(Reading):
    """Pins sentences for runs that learn from a teacher, and reads what their students made of them."""

    def pins(self, run_id: str) -> list[dict[str, Any]]:
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
        """Return what was seen of a student while it learnt; see :func:`core.training.diary.read_diary`."""
        return teaching.watched(self._home.run(self.get(run_id).id), after, name)

    def answered(self, run_id: str) -> list[dict[str, Any]]:
        """Return how many training rows each teacher had answered before; see :func:`core.runs.teaching.answered`."""
        return teaching.answered(self.events(run_id))
