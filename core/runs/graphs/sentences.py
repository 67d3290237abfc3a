"""A sentence of a graph with its trees: the corpus' or the parser's, and a probe's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from core.errors import DataError, RunNotFound
from core.runs.graphs.trained import PROBE_FILE, Runs
from core.runs.records import RunRecord, Status

if TYPE_CHECKING:
    from core.graph.types import WordGraph

__all__ = ["Sentences"]


class Sentences(Runs):
    """Reads stored trees, and asks the helper process for those of a probe."""

    def sentence(self, source: str, index: int) -> dict[str, Any]:
        """Return a sentence's tokens and trees: the corpus' or the parser's, and a probe's where one was trained.

        Raises
        ------
        DataError
            If there is no such sentence.
        """
        graph = self.open(source)
        if not 0 <= index < len(graph.sentences):
            raise DataError("There is no such sentence.", where=f"sentence {index + 1}",
                            expected=f"1 to {len(graph.sentences):,}")  # fmt: skip
        stored = self._stored_tree(source, index)
        if stored is None:
            return {"text": graph.sentences[index], "tokens": [], "heads": None, "relations": None, "trees": []}
        kind = {"gold": "gold tree", "silver": "parser (silver)"}.get(str(graph.about.get("trees")), "tree")
        trees = [{"name": kind, "heads": stored["heads"], "relations": stored["relations"]}] if stored["heads"] else []
        notices: list[str] = []
        probe = self._probe_of(graph) if graph.about.get("unit", "word") == "word" else None
        if probe is not None:
            model = probe.plan["model"]
            found = self._helper.call(
                "probe_tree",
                {"probe": str(self._store.home.run(probe.id) / PROBE_FILE), "model": model,
                 "sentence": {**stored, "text": graph.sentences[index]}},
                timeout=300, hub=str(model.get("source")).startswith("hub:"),
            )  # fmt: skip
            if found["heads"] is not None:
                trees.append({"name": f"probe, layer {found['layer']}", "heads": found["heads"], "relations": None})
            else:
                notices.append("The sentence is too long for the encoder: the probe has no tree of it.")
        return {
            "text": graph.sentences[index], "tokens": stored["tokens"], "heads": stored["heads"],
            "relations": stored["relations"], "trees": trees, "notices": notices,
        }  # fmt: skip

    def _probe_of(self, graph: WordGraph) -> RunRecord | None:
        """Return the probe whose trees are the graph's dep edges, else the newest one of the same encoder."""
        config = graph.about.get("config") or {}
        encoder = (graph.about.get("encoder") or {}).get("fingerprint")
        named = config.get("probe_run")
        same = []
        for run in self._runs("probe"):
            if run.status is not Status.FINISHED or not _alike(run.plan.get("model"), config.get("model")):
                continue
            known = self._described(run)["encoder"]
            if run.id == named or encoder is None or known is None or known == encoder:
                same.append(run)
        return next((run for run in same if run.id == named), same[0] if same else None)

    def _stored_tree(self, source: str, index: int) -> dict[str, Any] | None:
        from core.graph.sentences import TREES, load_tree

        try:
            run = self._store.runs.get(source)
        except RunNotFound:
            return None  # a file that came from elsewhere
        if run.kind == "link":  # a graph that got edges has the sentences of the one that it was made from
            return self._stored_tree(str(run.plan.get("graph")), index)
        return load_tree(self._store.home.run(run.id) / TREES, index)


def _alike(one: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> bool:
    """Whether two configs name one encoder."""
    return bool(one and other) and all((one or {}).get(key) == (other or {}).get(key) for key in ("source", "revision"))
