"""From a config to a word graph: corpus, vectors, edges.

A worker's work: it loads torch inside its functions, and only where an encoder is needed.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core.config.graph import GraphConfig
from core.errors import ConfigError, DataError
from core.graph.types import Corpus, EdgeSet, WordGraph
from core.settings import Home

if TYPE_CHECKING:
    from core.graph.encoder import Encoder

__all__ = ["build_graph"]

_Progress = Callable[[str, int, int], None]


def build_graph(
    config: GraphConfig,
    *,
    cache: Path,
    check: Callable[[], None] = lambda: None,
    progress: _Progress = lambda phase, done, total: None,
    keep: Callable[[Corpus], None] = lambda corpus: None,
) -> WordGraph:
    """Build a word graph.

    Parameters
    ----------
    config
        Corpus, encoder, layers and edges. In the mode ``vocabulary`` of vectors the nodes are the pieces of the
        encoder's vocabulary and there is no corpus: sim edges of layer 0 only.
    cache
        The home's cache folder: word vectors are kept in it, by what they were computed from.
    check
        Called often; may raise to stop.
    progress
        Called with the phase, what is done and what there is in all.
    keep
        Called with the corpus once it is read; a graph does not hold tokens and trees.

    Returns
    -------
    WordGraph
        With vectors in float16 for every chosen layer. Edge types that need no encoder (dep from trees, cooc) load
        none: such a graph has no layers.

    Raises
    ------
    ConfigError
        If layers, edges or the probe do not fit the encoder or the corpus.
    DataError, ModelError, HubError
        If corpus, encoder or probe cannot be used.
    """
    work = _Work(config, Path(cache), check, progress, keep)
    return work.vocabulary() if config.vectors.mode == "vocabulary" else work.corpus_graph()


class _Work:
    """One building: what was loaded for it, and what a person should know."""

    def __init__(
        self, config: GraphConfig, cache: Path, check: Callable[[], None], progress: _Progress,
        keep: Callable[[Corpus], None],
    ) -> None:  # fmt: skip
        self.config, self.cache, self.check, self.progress, self.keep = config, cache, check, progress, keep
        self.notices: list[str] = []

    def vocabulary(self) -> WordGraph:
        """Return the graph of the encoder's own pieces."""
        config = self.config
        others = [name for name in config.edges if name != "sim"]
        if others:
            raise ConfigError(
                f"A graph of the encoder's vocabulary has no {' and no '.join(others)} edges: they come from "
                "sentences, and there is no corpus.",
                where="edges",
                expected="sim",
                advice="Set vectors.mode to contexts, or leave the other edge types out.",
            )
        if config.layers not in ("all", [0]):
            raise ConfigError(
                "A graph of the encoder's vocabulary has layer 0 only: the embedding table.",
                where="layers", expected="all, or 0",
            )  # fmt: skip
        encoder = self._encoder(eager=False)
        from core.graph.edges.sim import sim_edges
        from core.graph.vectors import normalise, vocabulary_vectors

        self.progress("vectors", 0, 1)
        words, table = vocabulary_vectors(encoder, notices=self.notices)
        if not words:
            raise DataError("The encoder's vocabulary has no pieces that could be nodes.", where=config.model.source)
        vectors = normalise(table, config.vectors.remove_components, config.vectors.whiten)
        self.progress("vectors", 1, 1)
        edges = [self._sim(sim_edges, vectors, 0, 0, 1)]
        self.notices.append("The words are the pieces of the encoder's vocabulary; they come without counts.")
        blank = [""] * len(words)
        return WordGraph(
            words, np.zeros(len(words), dtype=np.int64), blank, list(blank), [], [], edges, [0], [vectors.shape[1]],
            {0: vectors.astype(np.float16)},
            self._about(encoder, language=None, unit="subword", trees="none", parser="", sentences=0),
        )  # fmt: skip

    def corpus_graph(self) -> WordGraph:
        """Return the graph of a corpus."""
        config = self.config
        named = set(config.edges)
        probed = "dep" in named and config.settings.dep.source == "probe"
        encoder: Encoder | None = None
        if named & {"sim", "attn"} or probed:
            encoder = self._encoder(eager="attn" in named)
        layers = encoder.pick_layers(config.layers) if encoder is not None and named & {"sim", "attn"} else []
        if "attn" in named and not any(layers):
            raise ConfigError(
                "Layer 0 is the embeddings, and has no attention.", where="layers", expected="a layer from 1 on"
            )
        corpus = self._corpus(encoder)
        edges: list[EdgeSet] = []
        if "dep" in named:
            edges.append(self._dep(corpus, encoder if probed else None))
        if "cooc" in named:
            from core.graph.edges.cooc import cooc_edges

            self._phase("cooc", 0, 1)
            edges.append(cooc_edges(corpus, config.settings.cooc))
            self.progress("cooc", 1, 1)
        vectors, widths, more = (
            self._layers(corpus, encoder, layers) if encoder is not None and layers else ({}, [], [])
        )
        return WordGraph(
            words=list(corpus.words), counts=np.asarray(corpus.counts, dtype=np.int64), tags=list(corpus.tags),
            lemmas=list(corpus.lemmas), sentences=[one.text for one in corpus.sentences],
            sentence_nodes=[_known(one.nodes) for one in corpus.sentences], edges=[*edges, *more], layers=layers,
            widths=widths, vectors=vectors, about=self._about_corpus(corpus, encoder),
        )  # fmt: skip

    def _phase(self, name: str, done: int, total: int) -> None:
        self.check()
        self.progress(name, done, total)

    def _encoder(self, *, eager: bool) -> Encoder:
        self._phase("encoder", 0, 1)
        from core.graph.encoder import load_encoder

        runtime = self.config.runtime
        found = load_encoder(
            self.config.model, eager=eager, seed=runtime.seed, device=runtime.device, threads=runtime.threads
        )
        self.progress("encoder", 1, 1)
        return found

    def _corpus(self, encoder: Encoder | None) -> Corpus:
        from core.graph.corpus import read_corpus

        self._phase("corpus", 0, 0)
        tokenizer = encoder.tokenizer if encoder is not None else None
        if self.config.corpus.unit == "subword" and tokenizer is None:
            from core.models.loading import load_tokenizer
            from core.models.sources import resolve

            tokenizer = load_tokenizer(resolve(self.config.model.source, self.config.model.revision), words=True)
        found = read_corpus(
            self.config.corpus, tokenizer=tokenizer, check=self.check,
            progress=lambda done, total: self.progress("corpus", done, total),
            looking=lambda done, total: self.progress("rows", done, total),
        )  # fmt: skip
        self.notices += found.notices
        self.keep(found)
        return found

    def _dep(self, corpus: Corpus, encoder: Encoder | None) -> EdgeSet:
        from core.graph.edges.dep import dep_edges

        heads = None
        if encoder is not None:
            from core.graph.probe.file import load_probe
            from core.graph.probe.heads import probe_trees

            if corpus.unit != "word":
                raise ConfigError(
                    "A probe's trees are over words.",
                    where="corpus.unit",
                    expected="word",
                    advice="Take dep from trees.",
                )
            probe = load_probe(self._probe_file())
            self._phase("probe", 0, len(corpus.sentences))
            heads = probe_trees(
                probe, corpus.sentences, encoder, check=self.check,
                progress=lambda done, total: self.progress("probe", done, total),
            )  # fmt: skip
            missing = sum(one is None for one in heads)
            self.notices.append(
                f"Dep edges are from the trees of a structural probe (layer {probe.best}), not a parser's."
            )
            if missing:
                self.notices.append(
                    f"{missing:,} sentences are too long for the encoder and have no tree of the probe."
                )
        self._phase("dep", 0, 1)
        found = dep_edges(corpus, self.config.settings.dep, heads)
        self.progress("dep", 1, 1)
        return found

    def _probe_file(self) -> Path:
        """Return the file of the probe: of a run of this home by its id, or a path."""
        from core.graph.probe.file import NAME as PROBE

        named = str(self.config.probe_run)
        plain = "/" not in named and "\\" not in named and named not in (".", "..") and "\0" not in named
        of_run = Home(self.cache.parent).run(named) / PROBE if plain else None
        if of_run is not None and of_run.is_file():
            return of_run
        path = Path(named).expanduser() if "\0" not in named else Path()
        if path.is_file():
            return path
        if (path / PROBE).is_file():
            return path / PROBE
        raise ConfigError(
            f"There is no probe {named[:200]!r}.",
            where="probe_run",
            expected=f"a finished run of kind probe, or a file {PROBE}",
            advice="Train a probe first: `bertloom graph probe`.",
        )

    def _layers(
        self, corpus: Corpus, encoder: Encoder, layers: list[int]
    ) -> tuple[dict[int, np.ndarray], list[int], list[EdgeSet]]:
        """Return vectors, widths, and the edges that depend on layers."""
        from core.graph.edges.sim import sim_edges
        from core.graph.vectors import normalise, word_vectors

        config, edges = self.config, []
        self._phase("vectors", 0, len(corpus.sentences))
        found = word_vectors(
            corpus, encoder, layers, config.vectors, cache=self.cache / "vectors", check=self.check,
            progress=lambda done, total: self.progress("vectors", done, total),
        )  # fmt: skip
        self.notices += found.notices
        vectors: dict[int, np.ndarray] = {}
        for number, layer in enumerate(found.layers):
            self.check()
            # raw vectors are dropped one by one, so that a large graph is never held three times
            normal = normalise(found.raw.pop(layer), config.vectors.remove_components, config.vectors.whiten)
            if "sim" in config.edges:
                edges.append(self._sim(sim_edges, normal, layer, number, len(found.layers)))
            vectors[layer] = normal.astype(np.float16)
        if "attn" in config.edges:
            from core.graph.edges.attn import attn_edges

            self._phase("attn", 0, len(corpus.sentences))
            edges += attn_edges(
                corpus, encoder, config.settings.attn, layers, check=self.check,
                progress=lambda done, total: self.progress("attn", done, total), notices=self.notices,
            )  # fmt: skip
        return vectors, list(found.widths), edges

    def _sim(self, sim_edges: Callable[..., EdgeSet], vectors: np.ndarray, layer: int, number: int, of: int) -> EdgeSet:
        self._phase("sim", number, of)
        found = sim_edges(vectors, self.config.settings.sim, layer, check=self.check)
        self.progress("sim", number + 1, of)
        return found

    def _about_corpus(self, corpus: Corpus, encoder: Encoder | None) -> dict[str, Any]:
        from core.graph.corpus.language import stop_words

        stops = stop_words(corpus.language) or frozenset()
        return {
            **self._about(
                encoder, language=corpus.language, unit=corpus.unit, trees=corpus.trees, parser=corpus.parser,
                sentences=len(corpus.sentences),
            ),
            "total_sentences": corpus.total_sentences,
            "sampled": corpus.sampled,
            "stop_nodes": [node for node, word in enumerate(corpus.words) if word.lower() in stops],
        }  # fmt: skip

    def _about(self, encoder: Encoder | None, **corpus: Any) -> dict[str, Any]:
        return {
            "config": self.config.model_dump(mode="json"),
            **corpus,
            "encoder": None if encoder is None else encoder.describe(),
            "notices": list(dict.fromkeys(self.notices)),
            "versions": _versions(),
        }


def _known(nodes: np.ndarray) -> np.ndarray:
    nodes = np.asarray(nodes, dtype=np.int32)
    return nodes[nodes >= 0]


def _versions() -> dict[str, str]:
    import importlib.metadata

    found = {}
    for name in ("bertloom", "torch", "transformers", "spacy", "jieba", "numpy", "scipy"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
