"""What the picture asks of the graph desk, and how an address that leaves words or layer open is completed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from core.api import Studio
from core.runs.records import Status
from pages.ui.graph.ask import core_query, default_pair, mixing, question, starting_layer
from pages.ui.graph.state import Query, View

if TYPE_CHECKING:
    from core.graph.types import WordGraph

__all__ = ["Drawing", "complete", "drawing", "latest"]


@dataclass(frozen=True)
class Drawing:
    """One view of a graph.

    Parameters
    ----------
    query
        The page's query.
    types
        Edge types of the graph.
    kind
        What is shown.
    around
        The word in the middle of a neighbourhood.
    """

    query: Query
    types: tuple[str, ...]
    kind: View
    around: str

    @property
    def asked(self) -> list[Any]:
        """Plain data that the view depends on."""
        query = self.query
        what = {"path": question(query), "neighbourhood": self.around, "overview": None}[self.kind]
        return [query.graph, self.kind, query.layer, query.weights, query.size, query.most, what]

    @property
    def fit(self) -> str:
        """Name of this kind of view: as long as it stays the same, so does the zoom."""
        return f"{self.kind} {self.query.most} {self.around if self.kind == 'neighbourhood' else ''}"

    def find(self, desk: Studio) -> dict[str, Any]:
        """Ask the desk."""
        query = self.query
        return desk.graphs.view(
            query.graph, self.kind, query=core_query(query, self.types) if self.kind == "path" else None,
            word=self.around if self.kind == "neighbourhood" else None, layer=query.layer,
            weights=mixing(query, self.types), size=query.size, limit=query.most,
        )  # fmt: skip


def drawing(query: Query, types: Sequence[str], *, selected: str | None, path: bool) -> Drawing:
    """Return what is drawn.

    Parameters
    ----------
    query
        The query.
    types
        Edge types of the graph.
    selected
        Word that is chosen in the picture.
    path
        Whether there is a path. Without one there is still something to look at: where the search began.
    """
    kind = query.view
    around = query.word or selected or query.start
    if kind == "path" and not path:
        kind, around = "neighbourhood", query.start
    return Drawing(query, tuple(types), kind, around)


def latest(known: Sequence[Mapping[str, Any]]) -> str:
    """Return the graph that is shown where none is asked for: the newest one that is ready."""
    ready = [graph for graph in known if graph["status"] == Status.FINISHED]
    return str((ready or known)[0]["id"])


def complete(query: Query, graph: WordGraph) -> Query:
    """Fill in words and layer that an address leaves open."""
    if not query.start and not query.end:
        start, end = default_pair(graph.words, graph.tags)
        query = replace(query, start=start, end=end)
    if query.layer is None:
        query = replace(query, layer=starting_layer(graph.layers))
    return query
