"""What the runs of one comparison share within a worker: rows that were read, and rows that were tokenised.

Within :func:`shared` a plan's rows are read once for each data and task, and tokenised once for each of them, model and
length. What training makes of them stays the run's own: features are never changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from core.config import Plan

__all__ = ["Shelf", "encoded_once", "rows_once", "shared"]

_Value = TypeVar("_Value")


@dataclass
class Shelf:
    """What was made so far, and how often it was asked for again."""

    made: dict[Any, Any] = field(default_factory=dict)
    again: int = 0

    def get(self, key: Any, make: Callable[[], _Value]) -> _Value:
        """Return what stands there under a key; make it first if it is not there."""
        if key in self.made:
            self.again += 1
        else:
            self.made[key] = make()
        value: _Value = self.made[key]
        return value


_SHELF: ContextVar[Shelf | None] = ContextVar("shelf", default=None)


@contextmanager
def shared() -> Iterator[Shelf]:
    """Let the runs within the block share rows; an outer block's shelf is used on."""
    outer = _SHELF.get()
    if outer is not None:
        yield outer
        return
    token = _SHELF.set(Shelf())
    shelf = _SHELF.get()
    assert shelf is not None
    try:
        yield shelf
    finally:
        _SHELF.reset(token)


def rows_once(plan: Plan, cache: Path, make: Callable[[], _Value]) -> _Value:
    """Return the roles of a plan: those of an earlier run with the same data and task, where runs share."""
    shelf = _SHELF.get()
    if shelf is None:
        return make()
    return shelf.get(("rows", str(cache), plan.data.model_dump_json(), plan.task.model_dump_json()), make)


def encoded_once(plan: Plan, fingerprint: str, make: Callable[[], _Value]) -> _Value:
    """Return the tokenised roles of a plan: those of an earlier run with the same rows and model, where runs share.

    Parameters
    ----------
    plan
        The plan.
    fingerprint
        Of its rows; empty where it is not known, and then nothing is shared.
    make
        Tokenises them.
    """
    shelf = _SHELF.get()
    if shelf is None or not fingerprint:
        return make()
    model = (plan.model.source, plan.model.revision, plan.model.max_length)
    return shelf.get(("encoded", fingerprint, plan.task.model_dump_json(), model), make)
