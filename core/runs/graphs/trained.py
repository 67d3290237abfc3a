"""Runs of the graph room: building graphs, training probes and graph networks, and what they left."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from core.config import CorpusConfig, EdgeType, GraphConfig, LinkConfig, ProbeConfig
from core.runs import folder
from core.runs.control import Control
from core.runs.graphs.shelf import Shelf
from core.runs.helper import Helper
from core.runs.records import RunRecord, Status
from core.runs.store import Store

__all__ = ["PROBE_FILE", "Runs"]

PROBE_FILE = "probe.npz"

# inside a class with a method `list`, the name no longer means the type
_Dicts = list[dict[str, Any]]


class Runs(Shelf):
    """Starts runs of the kinds graph, probe and link, and lists them."""

    def __init__(self, store: Store, helper: Helper, submitter: str | None = None) -> None:
        super().__init__(store, helper, submitter)
        self._control = Control(store)

    def list(self) -> _Dicts:
        """Return graphs that were built or are being built, newest first, with what is known of them."""
        return [self._described(run) for run in self._runs("graph", "link")]

    def probes(self) -> _Dicts:
        """Return the runs of structural probes, newest first; ``best`` is the best layer with its scores."""
        return [self._described(run) for run in self._runs("probe")]

    def links(self) -> _Dicts:
        """Return the runs of graph networks, newest first."""
        return [self._described(run) for run in self._runs("link")]

    def build(self, config: GraphConfig, *, request_id: str | None = None) -> str:
        """Build a graph in a run that starts at once, beside a training, and return its id."""
        return self._submit(config, request_id)

    def probe(self, config: ProbeConfig, *, request_id: str | None = None) -> str:
        """Train a structural probe in a run of the queue and return its id."""
        return self._submit(config, request_id)

    def link(self, config: LinkConfig, *, request_id: str | None = None) -> str:
        """Train a graph network in a run of the queue and return its id."""
        return self._submit(config, request_id)

    def usual_edges(self, config: CorpusConfig, *, text: str | None = None) -> tuple[Sequence[EdgeType], str | None]:
        """Return the edge types that suit a corpus, and why there is no ``dep`` among them.

        Returns
        -------
        edges, reason
            See :func:`core.graph.corpus.usual.usual_edges`.
        """
        from core.graph.corpus.usual import usual_edges

        return usual_edges(config, text=text)

    def results(self, run_id: str) -> dict[str, Any] | None:
        """Return what a run left; ``None`` while there is nothing."""
        return folder.read_json(self._store.home.run(self._store.runs.get(run_id).id) / "results.json")

    def _submit(self, config: GraphConfig | ProbeConfig | LinkConfig, request_id: str | None) -> str:
        return self._control.submit(
            config, kind=config.kind, request_id=request_id, now=config.kind == "graph", submitter=self._submitter
        )

    def _runs(self, *kinds: str) -> Sequence[RunRecord]:
        return [run for run in self._store.runs.list(limit=500) if run.kind in kinds]

    def _described(self, run: RunRecord) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if run.status is Status.FINISHED:
            found = (self.results(run.id) or {}).get("details") or {}
        details, probe = found.get("graph") or {}, found.get("probe") or {}
        return {
            "id": run.id, "kind": run.kind, "name": run.name, "status": run.status, "progress": run.progress,
            "created": run.created, "error": run.error, "words": details.get("words"),
            "types": list(dict.fromkeys(str(one["type"]) for one in details.get("edges") or [])),
            "layers": [one["layer"] for one in details.get("layers") or []],
            "widths": [one["width"] for one in details.get("layers") or []], "language": details.get("language"),
            "notices": details.get("notices") or [], "plan": run.plan, "best": probe.get("best"),
            "encoder": (probe.get("encoder") or {}).get("fingerprint"),
        }  # fmt: skip
