"""The context of a part of a study, which also keeps the points for the record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from core.config import RunConfig
from core.training.context import ChildContext, Request, Wish

__all__ = ["Watched"]


class Watched:
    """A part's context that also keeps the points.

    Parameters
    ----------
    child
        The part's context, which is told everything.
    """

    def __init__(self, child: ChildContext) -> None:
        self._child = child
        #: Series → (step, value) in the order in which they came.
        self.points: dict[str, list[tuple[int, float]]] = {}

    @property
    def folder(self) -> Path:
        """The part's folder."""
        return self._child.folder

    @property
    def cache(self) -> Path:
        """The home's cache folder."""
        return self._child.cache

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Keep values, and queue them."""
        for name, value in values.items():
            self.points.setdefault(name, []).append((int(step), float(value)))
        self._child.metrics(step, values)

    def event(self, kind: str, message: str, *, step: int | None = None, data: Mapping[str, Any] | None = None) -> None:
        """Queue an event."""
        self._child.event(kind, message, step=step, data=data)

    def progress(self, **values: Any) -> None:
        """Merge values into the progress."""
        self._child.progress(**values)

    def request(self) -> Request:
        """Return what was asked."""
        return self._child.request()

    def wishes(self) -> Sequence[Wish]:
        """Return what a person wants changed."""
        return self._child.wishes()

    def took(self, number: int) -> None:
        """Tell that a wish was written down."""
        self._child.took(number)

    def flush(self) -> None:
        """Write everything queued."""
        self._child.flush()

    def child(self, key: str, *, name: str, plan: RunConfig, tags: Any = ()) -> ChildContext:
        """Open a part of the part."""
        return self._child.child(key, name=name, plan=plan, tags=tags)
