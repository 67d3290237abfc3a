"""What a graph is worth: statistics, stability, plausibility of paths, lists of similar words."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from core.errors import DataError, RunNotFound
from core.runs.graphs.trained import Runs
from core.runs.records import RunRecord
from core.runs.sources import list_uploads, save_upload

__all__ = ["LIST_TYPES", "Measures"]

#: Endings of files that are looked at as lists of similar words.
LIST_TYPES = (".csv", ".tsv", ".txt")


class Measures(Runs):
    """Gathers measures, each with what it was computed on."""

    def stats(self, source: str, layer: int | None = None) -> dict[str, Any]:
        """Return the statistics of a graph in a layer (None: the middle one).

        Returns
        -------
        dict
            See :func:`core.graph.stats.graph_stats`.
        """
        from core.graph.stats import graph_stats

        return graph_stats(self.open(source), layer)

    def quality(self, source: str) -> dict[str, Any]:
        """Return what was measured of a graph: ``measures`` [{"name", "value", "on", "items"}] and ``notices``.

        Stability is measured when a graph is built. What a probe and a graph network say is in their own results.
        """
        run: RunRecord | None = None
        with contextlib.suppress(RunNotFound):
            run = self._store.runs.get(source)
        if run is not None and run.kind == "link":
            return self.quality(str(run.plan.get("graph")))
        details = (self.results(run.id) or {}).get("details", {}) if run is not None else {}
        stable = details.get("stability") or {}
        measures = [
            {
                "name": f"stability of {kind} edges (Jaccard index, {one['low']:.2f} – {one['high']:.2f})",
                "value": one["jaccard"],
                "on": f"{stable['rounds']} resamples of {stable['sentences']:,} sentences, drawn with replacement",
                "items": one["edges"],
            }
            for kind, one in (stable.get("types") or {}).items()
            if one.get("jaccard") is not None
        ]
        notices = [] if measures else ["Nothing was measured when this graph was built: no dep or cooc edges."]
        return {"measures": measures, "notices": notices}

    def plausibility(self, source: str, words: Sequence[str], layer: int | None = None) -> dict[str, Any]:
        """Compare a path with random ones on sentences that the graph did not see (helper process).

        Returns
        -------
        dict
            See :func:`core.graph.quality.path_plausibility`.
        """
        arguments = {"file": str(self.file(source)), "words": list(words), "layer": layer}
        return dict(self._helper.call("plausibility", arguments, timeout=600))

    def similarity_lists(self) -> Sequence[dict[str, Any]]:
        """Return the lists of similar words at hand: those among the uploads, and those of the benchmark folder.

        Returns
        -------
        sequence of dict
            ``name``, ``path``, ``pairs``. Uploads that are no such list are left out.
        """
        from core.graph.quality import similarity_lists

        uploads = [Path(str(one["path"])) for one in list_uploads(self._store.home)]
        found = []
        for path in [*(one for one in uploads if one.suffix.lower() in LIST_TYPES), *similarity_lists()]:
            pairs = _pairs_in(str(path), *_state(path))
            if pairs:
                found.append({"name": path.name, "path": str(path), "pairs": pairs})
        return found

    def add_similarity_list(self, name: str, content: bytes) -> str:
        """Keep a list of similar words among the uploads and return its path; what is no list is refused.

        Raises
        ------
        DataError
            If it is not a list of word, word and score; the line is named.
        StorageError, PathRefused
            If it cannot be kept under this name.
        """
        from core.graph.quality import parse_similarity

        parse_similarity(content, name)
        return str(save_upload(self._store.home, name, content))

    def similarity(self, source: str, path: str) -> dict[str, Any]:
        """Correlate the cosines of word vectors with a list's scores, at every layer.

        Returns
        -------
        dict
            See :func:`core.graph.quality.word_similarity`.

        Raises
        ------
        DataError
            If the list cannot be read; the line is named.
        """
        from core.graph.quality import read_similarity, word_similarity

        return word_similarity(self.open(source), read_similarity(path), name=Path(path).name)


def _state(path: Path) -> tuple[int, int]:
    try:
        state = path.stat()
    except OSError:
        return 0, 0
    return state.st_size, state.st_mtime_ns


@lru_cache(maxsize=256)
def _pairs_in(path: str, size: int, changed: int) -> int:
    """Return how many pairs a file holds, 0 if it is no list. It is read again when it has changed."""
    from core.graph.quality import MOST_BYTES, read_similarity

    if not 0 < size <= MOST_BYTES:
        return 0
    try:
        return len(read_similarity(path))
    except DataError:
        return 0
