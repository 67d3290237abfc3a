"""Graphs by run or file; the latest few stay open."""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import DataError, RunError, RunNotFound
from core.runs.helper import Helper
from core.runs.records import Status
from core.runs.store import Store

if TYPE_CHECKING:
    from core.graph.types import WordGraph

__all__ = ["GRAPH_FILE", "Shelf"]

GRAPH_FILE = "graph.graph"
#: Graphs that stay open.
_OPEN = 4


class Shelf:
    """Finds and opens graphs.

    Parameters
    ----------
    store
        The store of the home.
    helper
        The helper process, for what needs torch.
    submitter
        Token of the manager in this process, if there is one.
    """

    def __init__(self, store: Store, helper: Helper, submitter: str | None = None) -> None:
        self._store = store
        self._helper = helper
        self._submitter = submitter
        self._graphs: OrderedDict[tuple[str, int, int], WordGraph] = OrderedDict()
        self._lock = threading.Lock()

    def file(self, source: str) -> Path:
        """Return the file of a graph: a run's, by its id, or a path.

        Raises
        ------
        RunError
            If the run has left no graph.
        DataError
            If there is neither a run nor a file of this name.
        """
        try:
            run = self._store.runs.get(source)
        except RunNotFound:
            path = Path(source).expanduser() if source and "\0" not in source else None
            # An address may hold any path: other files are not even looked at.
            if path is not None and path.suffix == ".graph" and path.is_file():
                return path
            raise DataError(
                "There is no graph of this name.", where=source[:200], expected="a graph's run, or a .graph file",
                advice="Choose one from the list, or build one.",
            ) from None  # fmt: skip
        found = self._store.home.run(run.id) / GRAPH_FILE
        if run.status is not Status.FINISHED or not found.is_file():
            raise RunError(
                f"The run {run.name!r} ({run.status.value}) has left no graph.", where=f"run {run.id}",
                expected="a finished run of kind graph or link",
            )  # fmt: skip
        return found

    def open(self, source: str) -> WordGraph:
        """Return a graph; the latest few stay open."""
        from core.graph.file import load_graph

        path = self.file(source)
        state = path.stat()
        key = (str(path), state.st_size, state.st_mtime_ns)
        with self._lock:
            if key in self._graphs:
                self._graphs.move_to_end(key)
                return self._graphs[key]
        graph = load_graph(path)
        with self._lock:
            graph = self._graphs.setdefault(key, graph)
            while len(self._graphs) > _OPEN:
                self._graphs.popitem(last=False)
        return graph
