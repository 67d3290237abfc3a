"""The run of kind ``graph``: a graph's file, its sentences with their trees, and figures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.config.graph import GraphConfig
from core.graph.build import build_graph
from core.graph.file import NAME, save_graph
from core.graph.quality import stability
from core.graph.requests import Leaves, execute
from core.graph.sentences import TREES, save_trees
from core.graph.stats import graph_stats
from core.graph.types import Corpus
from core.training.context import Outcome, RunContext

__all__ = ["NAME", "run"]

_PHASES = {
    "rows": "looking through the corpus", "corpus": "reading the corpus", "encoder": "loading the encoder",
    "vectors": "word vectors", "dep": "dep edges", "cooc": "cooc edges", "sim": "sim edges", "attn": "attn edges",
    "probe": "trees of the probe", "stability": "resampling the corpus", "file": "writing",
}  # fmt: skip
#: Resamples by which the stability of edges is measured, and the most sentences with which that takes seconds.
_ROUNDS = 5
_RESAMPLED = 20_000


def run(config: GraphConfig, context: RunContext, resume: bool = True) -> Outcome:
    """Execute a run of kind ``graph``; one that was stopped starts over, with the vectors that it had computed.

    It leaves ``graph.graph`` and ``results.json`` in the run's folder.

    Raises
    ------
    BertloomError
        If corpus or encoder cannot be used.
    """
    folder, dep = Path(context.folder), config.settings.dep
    types = [name for name in config.edges if name == "cooc" or (name == "dep" and dep.source == "trees")]

    def work(check: Callable[[], None], phase: Callable[[str], Callable[[int, int], None]]) -> Leaves:
        phases: dict[str, Callable[[int, int], None]] = {}
        found: dict[str, Any] = {}

        def progress(name: str, done: int, total: int) -> None:
            if name not in phases:
                phases[name] = phase(_PHASES[name])
            phases[name](done, total)

        def keep(corpus: Corpus) -> None:
            save_trees(corpus, folder / TREES)
            if types and len(corpus.sentences) <= _RESAMPLED:
                progress("stability", 0, 1)
                found["stability"] = stability(
                    corpus, config.settings, types=types, rounds=_ROUNDS, seed=config.runtime.seed, check=check
                )
                progress("stability", 1, 1)

        graph = build_graph(config, cache=Path(context.cache), check=check, progress=progress, keep=keep)
        check()
        progress("file", 0, 1)
        save_graph(graph, folder / NAME)
        progress("file", 1, 1)
        stats = graph_stats(graph)
        metrics: dict[str, float | None] = {
            "graph/words": len(graph), "graph/sentences": len(graph.sentences), "graph/isolated": stats["isolated"],
            "graph/components": stats["components"]["number"], "graph/largest": stats["components"]["largest"],
        }  # fmt: skip
        for name in graph.types:
            metrics[f"graph/edges_{name}"] = sum(len(one) for one in graph.edges if one.type == name)
        return Leaves(metrics, {"graph": stats, **found}, stats["notices"])

    return execute(context, work, config.runtime, resume=resume, files=[NAME])
