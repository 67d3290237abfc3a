"""A small memory of what was derived from a graph, for as long as the graph lives."""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any, TypeVar

from core.graph.types import WordGraph

__all__ = ["Memo"]

T = TypeVar("T")


class Memo:
    """Keep the latest results by graph and key.

    A graph is known by its identity and that of its edge sets, so a graph that got edges added is a new one here. What
    several threads ask for at once is made by the first of them.

    Parameters
    ----------
    most
        Sum of the sizes that are kept at most; the one that was asked for last always is.
    size
        Size of a result.
    """

    def __init__(self, most: float, size: Callable[[Any], float] = lambda _: 1.0):
        self.most, self.size = most, size
        self._kept: OrderedDict[Hashable, tuple[weakref.ref[WordGraph], Any]] = OrderedDict()
        self._made: dict[Hashable, Future[Any]] = {}
        self._lock = threading.Lock()

    def get(self, graph: WordGraph, key: Hashable, make: Callable[[], T]) -> T:
        """Return what is kept for a graph and key; make it if there is nothing."""
        full = (id(graph), tuple(id(one) for one in graph.edges), key)
        with self._lock:
            kept = self._kept.get(full)
            if kept is not None and kept[0]() is graph:
                self._kept.move_to_end(full)
                found: T = kept[1]
                return found
            waited = self._made.get(full)
            made = self._made[full] = waited or Future()
        if waited is not None:
            other: T = waited.result()
            return other
        try:
            result = make()
            self._keep(full, graph, result)
            made.set_result(result)
            return result
        except BaseException as error:
            made.set_exception(error)
            raise
        finally:
            with self._lock:
                self._made.pop(full, None)

    def _keep(self, full: Hashable, graph: WordGraph, made: Any) -> None:
        with self._lock:
            self._kept[full] = (weakref.ref(graph, lambda _: self._kept.pop(full, None)), made)
            total = sum(self.size(value) for _, value in self._kept.values())
            while total > self.most and len(self._kept) > 1:
                _, (_, dropped) = self._kept.popitem(last=False)
                total -= self.size(dropped)
