"""From a graph to a trained network, its scores and its edges; and the run of kind ``link``.

Only workers import this module: it needs torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from core.config.graph import GraphConfig, LinkConfig
from core.errors import ConfigError, DataError
from core.graph.encoder import Encoder, load_encoder
from core.graph.file import NAME, load_graph, save_graph
from core.graph.link.calibration import Calibration, fit, reliability
from core.graph.link.features import Material, corpus_of, material_of, relations_of
from core.graph.link.network import LinkNetwork
from core.graph.link.table import TITLES, Scored, compare_methods
from core.graph.link.train import NetworkSetting, Task, score_pairs, train_network
from core.graph.requests import Leaves, execute
from core.graph.types import EdgeSet, WordGraph
from core.settings import confine
from core.training.context import Outcome, RunContext
from core.training.device import set_threads

__all__ = ["Linked", "gnn_edges", "graph_file", "link_graph", "run", "with_edges"]

_Progress = Callable[[int, int], None]


@dataclass
class Linked:
    """What a network gave.

    Parameters
    ----------
    result
        Scores, verdict, calibration and notices; plain data.
    edges
        The gnn edges.
    """

    result: dict[str, Any]
    edges: EdgeSet


def link_graph(
    config: LinkConfig,
    graph: WordGraph,
    *,
    cache: Path | None = None,
    check: Callable[[], None] = lambda: None,
    progress: _Progress = lambda done, total: None,
    phase: Callable[[str], _Progress] | None = None,
    log: Callable[[int, dict[str, float]], None] = lambda step, values: None,
) -> Linked:
    """Train a graph network on a graph, score it beside the baselines, and predict edges.

    Parameters
    ----------
    config
        Layer, network and training; ``config.graph`` is not read.
    graph
        The graph.
    cache
        The home's cache folder.
    check
        Called often; may raise to stop.
    progress, phase
        Called with what is done and what there is in all; with `phase`, what it returns for a phase's name is called.
    log
        Called after each epoch with its number and ``link/loss`` and ``gate/auc``.

    Raises
    ------
    ConfigError
        If the graph has no vectors of the layer.
    DataError
        If the graph or its corpus does not serve; see :func:`~core.graph.link.features.material_of`.
    """
    return _Work(config, graph, cache, check, phase or (lambda name: progress), log).result()


def run(config: LinkConfig, context: RunContext, resume: bool = True) -> Outcome:
    """Execute a run of kind ``link``; one that was stopped starts over.

    It leaves ``graph.graph`` (the graph with its gnn edges) and ``results.json`` in the run's folder.

    Raises
    ------
    BertloomError
        If the graph, its corpus or its encoder cannot be used.
    """
    folder = Path(context.folder)

    def work(check: Callable[[], None], phase: Callable[[str], _Progress]) -> Leaves:
        graph = load_graph(graph_file(config.graph, folder))
        found = link_graph(
            config, graph, cache=Path(context.cache), check=check, phase=phase, log=context.metrics
        )  # fmt: skip
        save_graph(with_edges(graph, found), folder / NAME)
        result = found.result
        scores = result["kinds"][result["headline"]]
        named = {f"link/{name}": scores["methods"]["network"][name] for name in ("auc", "mrr", "hits")}
        named["link/auc_best_baseline"] = scores["methods"][scores["best_baseline"]]["auc"]
        named["link/auc_difference"] = scores["difference"][0]
        named["link/gnn_edges"] = len(found.edges)
        return Leaves(named, {"link": result}, result["notices"], ("eval", result["verdict"], None))

    return execute(context, work, config.runtime, resume=resume)


def graph_file(name: str, folder: Path) -> Path:
    """Return the file of a graph: that of a run beside `folder`, or a file by its path.

    Raises
    ------
    ConfigError
        If there is no such run or file.
    """
    path = Path(name).expanduser()
    if name and path.is_file():
        return path
    if name and "/" not in name and "\\" not in name:
        beside = confine(folder.parent / name, folder.parent) / NAME
        if beside.is_file():
            return beside
    raise ConfigError(
        f"There is no graph {name!r}." if name else "No graph is named.", where="graph",
        expected="a run of kind graph that is finished, or a graph file",
    )  # fmt: skip


def with_edges(graph: WordGraph, found: Linked) -> WordGraph:
    """Return a graph with gnn edges of a layer in place of those that it had there."""
    layer = found.edges.layer
    kept = [one for one in graph.edges if one.type != "gnn" or one.layer != layer]
    about = {**graph.about, "link": {name: value for name, value in found.result.items() if name != "notices"}}
    about["notices"] = [*graph.about.get("notices", []), found.result["verdict"]]
    return replace(graph, edges=[*kept, found.edges], about=about)


def gnn_edges(
    graph: WordGraph,
    layer: int,
    score: Callable[[np.ndarray], np.ndarray],
    calibration: Calibration,
    min_probability: float,
) -> EdgeSet:
    """Predict edges among the pairs that other types of edges join, and nowhere else.

    Parameters
    ----------
    graph
        Whose edges in `layer`, gnn edges aside, are the candidates, in their directions.
    layer
        Layer that the edges belong to: that of the network's features.
    score
        Gives the network's scores of pairs of shape (pairs, 2).
    calibration
        Turns them into probabilities.
    min_probability
        Pairs below are left out.
    """
    nodes = max(1, len(graph))
    sets = [one for one in graph.edge_sets(layer) if one.type != "gnn"]
    keys = np.unique(np.concatenate([one.sources.astype(np.int64) * nodes + one.targets for one in sets] or [[]]))
    pairs = np.stack(np.divmod(keys.astype(np.int64), nodes), axis=1)
    weights = calibration.apply(score(pairs))
    kept = (weights >= min_probability) & (weights > 0)
    return EdgeSet.of("gnn", pairs[kept, 0], pairs[kept, 1], weights[kept], layer=layer)


class _Work:
    def __init__(
        self, config: LinkConfig, graph: WordGraph, cache: Path | None, check: Callable[[], None],
        phase: Callable[[str], _Progress], log: Callable[[int, dict[str, float]], None],
    ):  # fmt: skip
        self.config, self.graph, self.cache, self.check = config, graph, cache, check
        self.phase, self.log, self.seed = phase, log, config.runtime.seed

    def result(self) -> Linked:
        config, graph = self.config, self.graph
        layer = graph.middle if config.layer is None else config.layer
        if layer is None or layer not in graph.vectors:
            raise ConfigError(
                "The graph has no word vectors, which are the network's features." if layer is None
                else f"The graph has no word vectors of layer {layer}.",
                where="layer", expected=", ".join(map(str, graph.vectors)) or "a graph that was built with an encoder",
            )  # fmt: skip
        material, encoder = self._material(layer)
        set_threads(1)
        setting = NetworkSetting(config.network, config.hidden, config.epochs, config.lr, config.dropout, self.seed)
        headline, progress = material.kinds[0], self.phase("training")

        def log(epoch: int, loss: float, value: float) -> None:
            self.log(epoch, {"link/loss": loss, "gate/auc": value})
            progress(epoch, config.epochs)

        network, epoch, value = train_network(
            material.vectors, material.training, material.validation, headline, setting,
            device=encoder.device, check=self.check, log=log,
        )  # fmt: skip
        kinds, calibration, calibrated = self._scores(material, network, encoder)
        edges = self._edges(material, network, calibration, layer, encoder)
        found = kinds[headline]
        if "verdict" not in found:
            raise DataError(f"The held-out {headline} links have no negatives to be told from.", where="the graph")
        notices = [
            *material.notices,
            "A probability holds at even odds: of one link and one pair that is none, with ends as well connected.",
            f"gnn edges are the pairs with a probability of at least {config.min_probability:g} among those that other "
            f"edges of layer {layer} join; for them the network hears along the edges of the whole graph.",
        ]
        result = {
            "headline": headline, "layer": layer, "network": config.network, "kinds": kinds,
            "verdict": found["verdict"], "titles": TITLES, "calibration": calibration.as_dict(),
            "reliability": calibrated, "training": {"best_epoch": epoch, "auc": value},
            "sentences": material.parts, "encoder": encoder.describe(), "gnn_edges": len(edges),
            "min_probability": config.min_probability, "notices": notices,
        }  # fmt: skip
        return Linked(result, edges)

    def _material(self, layer: int) -> tuple[Material, Encoder]:
        config, runtime = self.config, self.config.runtime
        built = self._built()
        encoder = load_encoder(built.model, seed=built.runtime.seed, device=runtime.device, threads=runtime.threads)
        named = (self.graph.about.get("encoder") or {}).get("fingerprint")
        if named is not None and named != encoder.fingerprint:
            raise DataError(
                "The graph's encoder has changed since the graph was built.", where=built.model.source,
                expected="the same weights", advice="Build the graph again.",
            )  # fmt: skip
        tokenizer = encoder.tokenizer if built.corpus.unit == "subword" else None
        built, corpus = corpus_of(self.graph, tokenizer=tokenizer, check=self.check, progress=self.phase("corpus"))
        return (
            material_of(
                self.graph, built, corpus, encoder, layer, held_out=config.held_out, seed=self.seed,
                cache=None if self.cache is None else self.cache / "vectors",
                check=self.check, progress=self.phase("vectors"),
            ),
            encoder,
        )  # fmt: skip

    def _built(self) -> GraphConfig:
        try:
            return GraphConfig.model_validate(self.graph.about.get("config"))
        except ValueError as error:
            raise DataError(
                "The graph does not say what it was built from.", expected="a graph that Bertloom built"
            ) from error

    def _scores(
        self, material: Material, network: LinkNetwork, encoder: Encoder
    ) -> tuple[dict[str, Any], Calibration, dict[str, Any]]:
        """Calibrate on validation, score on test, and see there whether the probabilities hold."""
        headline, progress = material.kinds[0], self.phase("scoring")

        def scorer(task: Task, kind: str) -> Callable[[np.ndarray], np.ndarray]:
            def score(pairs: np.ndarray) -> np.ndarray:
                return score_pairs(network, material.vectors, task, {kind: pairs}, device=encoder.device)[kind]

            return score

        rng = np.random.default_rng([0xCA1B, self.seed])
        task = material.validation
        links = task.links[headline]
        others = task.matched[headline].sample(links, rng)
        good = others >= 0
        pairs = np.concatenate([links[good], np.stack([links[good, 0], others[good]], axis=1)])
        labels = np.arange(len(pairs)) < int(good.sum())
        if not good.any():
            raise DataError(f"The {headline} links have no negatives to be told from.", where="the graph")
        calibration = fit(self.config.calibration, scorer(task, headline)(pairs), labels)
        kinds: dict[str, Any] = {}
        scored: Scored | None = None
        for number, kind in enumerate(material.kinds, 1):
            self.check()
            found, scores = compare_methods(
                material.test, kind, material.vectors, scorer(material.test, kind), seed=self.seed
            )
            kinds[kind] = found
            scored = scored or scores
            progress(number, len(material.kinds))
        assert scored is not None  # there is a headline
        positive, negative = scored
        first = negative[:, 0]
        there = ~np.isnan(first)
        even = np.concatenate([positive[there], first[there]])
        held = np.arange(len(even)) < int(there.sum())
        return kinds, calibration, reliability(calibration.apply(even), held)

    def _edges(
        self, material: Material, network: LinkNetwork, calibration: Calibration, layer: int, encoder: Encoder
    ) -> EdgeSet:
        names = set(material.test.edges)
        seen = [one for one in self.graph.edge_sets(layer) if one.type in names]
        whole = Task(relations_of(seen), {}, {})
        vectors = np.asarray(self.graph.vectors[layer], dtype=np.float32)
        headline = material.kinds[0]

        def score(pairs: np.ndarray) -> np.ndarray:
            return score_pairs(network, vectors, whole, {headline: pairs}, device=encoder.device)[headline]

        return gnn_edges(self.graph, layer, score, calibration, self.config.min_probability)
