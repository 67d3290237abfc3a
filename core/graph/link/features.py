"""What a graph network may see: vectors and edges of training sentences alone, and the links that other parts show.

Only workers import this module: the encoder needs torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from core.config.graph import EDGE_TYPES, GraphConfig
from core.errors import DataError
from core.graph.corpus import read_corpus
from core.graph.edges.cooc import cooc_edges
from core.graph.edges.dep import dep_edges
from core.graph.edges.sim import sim_edges
from core.graph.encoder import Encoder
from core.graph.link.negatives import MatchedNodes
from core.graph.link.split import FOLDS, TEST, VALIDATION, first_seen, part_of_corpus, seen_pairs, split_sentences
from core.graph.link.train import Task
from core.graph.types import Corpus, EdgeSet, WordGraph
from core.graph.vectors import normalise, word_vectors

__all__ = ["KINDS", "Material", "corpus_of", "material_of", "relations_of"]

#: Kinds of links that are predicted, the headline first. Not sim: its edges are the features' own cosine.
KINDS = ("dep", "cooc")
_REVERSED = "dep reversed"


@dataclass
class Material:
    """Everything that training and scoring need.

    Parameters
    ----------
    vectors
        Word vectors from the training sentences, float32 of shape (words, width).
    training
        One task a fold of the training sentences.
    validation, test
        Tasks over the edges of all training sentences, with the links that these parts show first.
    parts
        Sentences a part: train, validation, held_out.
    kinds
        Kinds of links, the headline first.
    notices
        What a person should know.
    """

    vectors: np.ndarray
    training: list[Task]
    validation: Task
    test: Task
    parts: dict[str, int]
    kinds: list[str]
    notices: list[str]


def relations_of(sets: list[EdgeSet]) -> dict[str, np.ndarray]:
    """Turn edge sets into the relations that a network hears along: dep in both directions, apart from each other."""
    found: dict[str, np.ndarray] = {}
    for one in sets:
        edges = np.stack([one.sources, one.targets], axis=1).astype(np.int64)
        found[one.type] = edges
        if one.type == "dep":
            found[_REVERSED] = edges[:, ::-1].copy()
    return found


def corpus_of(
    graph: WordGraph,
    *,
    tokenizer: Any = None,
    check: Callable[[], None] = lambda: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[GraphConfig, Corpus]:
    """Read the corpus that a graph was built from once more: the graph keeps texts, but no trees.

    Raises
    ------
    DataError
        If the graph does not say what it was built from, or its source is another one now.
    """
    try:
        config = GraphConfig.model_validate(graph.about.get("config"))
    except ValidationError as error:
        raise DataError(
            "The graph does not say what it was built from.", expected="a graph that Bertloom built",
            advice="Build it again.",
        ) from error  # fmt: skip
    corpus = read_corpus(config.corpus, tokenizer=tokenizer, check=check, progress=progress)
    if corpus.words != graph.words or [one.text for one in corpus.sentences] != list(graph.sentences):
        raise DataError(
            "The graph's corpus has changed since the graph was built.", where=config.corpus.source,
            expected="the same sentences", advice="Build the graph again, then train the network on the new one.",
        )  # fmt: skip
    return config, corpus


def material_of(
    graph: WordGraph,
    config: GraphConfig,
    corpus: Corpus,
    encoder: Encoder,
    layer: int,
    *,
    held_out: float,
    seed: int,
    cache: Path | None = None,
    check: Callable[[], None] = lambda: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Material:
    """Split the sentences and compute vectors, edges and links of the parts.

    Vectors, edges and their weights come from the training sentences only. Each fold of these in turn is hidden and
    gives the links to learn; validation and test give those that no training sentence shows, the test moreover none
    that validation shows. Negatives are pairs that no sentence of the whole corpus shows.

    Parameters
    ----------
    graph, config, corpus
        The graph, what it was built by, and its corpus; see :func:`corpus_of`.
    encoder, layer
        What the vectors come from.
    held_out, seed
        Share of the sentences that is held out; seed of the split.
    cache
        Folder of cached word vectors.
    check, progress
        As for :func:`~core.graph.vectors.word_vectors`.

    Raises
    ------
    DataError
        If the graph has neither dep nor cooc edges, or a part shows no new links.
    """
    notices: list[str] = []
    kinds = _kinds(graph, config, notices)
    part = split_sentences([one.text for one in corpus.sentences], held_out, seed)
    training = part_of_corpus(corpus, part > VALIDATION)
    raw = word_vectors(training, encoder, [layer], config.vectors, cache=cache, check=check, progress=progress)
    vectors = normalise(raw.raw[layer], config.vectors.remove_components, config.vectors.whiten)
    work = _Links(corpus, config, graph, kinds, part, vectors, layer, check)
    tasks = [work.task(part > VALIDATION, fold) for fold in range(1, FOLDS)]
    if not any(len(task.links[kinds[0]]) for task in tasks):
        raise _no_links(kinds[0], "training")
    validation, test = work.scoring_tasks()
    for name, task in (("validation", validation), ("held-out", test)):
        if not len(task.links[kinds[0]]):
            raise _no_links(kinds[0], name)
    notices += [
        "The network sees vectors and edges of training sentences only; it is scored on pairs that occur in held-out "
        "sentences and in none of the others, between words that training sentences hold, each against pairs that "
        "occur nowhere, whose target has about as many neighbours.",
        "sim edges are no links to predict: they are the cosine of the features.",
    ]
    parts = {"train": int((part > VALIDATION).sum()), "validation": int((part == VALIDATION).sum())}
    return Material(vectors, tasks, validation, test, {**parts, "held_out": int((part == TEST).sum())}, kinds, notices)


def _kinds(graph: WordGraph, config: GraphConfig, notices: list[str]) -> list[str]:
    kinds = [kind for kind in KINDS if kind in graph.types]
    if "dep" in kinds and config.settings.dep.source == "probe":
        kinds.remove("dep")
        notices.append(
            "The dep edges are those of a probe, which learnt from the same sentences; they are neither seen nor "
            "scored here."
        )
    if not kinds:
        raise DataError(
            "The graph has no edges whose links could be predicted.", where=f"edge types {', '.join(graph.types)}",
            expected="dep edges from trees, or cooc edges", advice="Build a graph with dep and cooc edges.",
        )  # fmt: skip
    left = [name for name in EDGE_TYPES if name in graph.types and name not in (*KINDS, "sim")]
    if left:
        notices.append(f"The network does not see {' and '.join(left)} edges: they were made from all sentences.")
    return kinds


class _Links:
    """Edges of some sentences, and links that others show first."""

    def __init__(
        self, corpus: Corpus, config: GraphConfig, graph: WordGraph, kinds: list[str], part: np.ndarray,
        vectors: np.ndarray, layer: int, check: Callable[[], None],
    ):  # fmt: skip
        self.corpus, self.settings, self.kinds, self.part, self.check = corpus, config.settings, kinds, part, check
        self.nodes = len(corpus.words)
        self.types = graph.types
        # Cosines do not depend on the fold: the vectors are those of all training sentences.
        self.sim = sim_edges(vectors, config.settings.sim, layer, check=check) if "sim" in graph.types else None
        self.everything = {kind: self._seen(kind, np.ones(len(part), dtype=bool))[0] for kind in kinds}

    def _seen(self, kind: str, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.check()
        sentences = [one for one, take in zip(self.corpus.sentences, chosen.tolist(), strict=True) if take]
        window = self.settings.cooc.window if kind == "cooc" else None
        return seen_pairs(sentences, self.nodes, window=window, punctuation=self.settings.dep.punctuation)

    def task(self, chosen: np.ndarray, hidden: int) -> Task:
        """Return the task of predicting what one part shows, from the other chosen sentences."""
        return self._task(chosen & (self.part != hidden), self.part == hidden, chosen & (self.part != hidden))

    def scoring_tasks(self) -> tuple[Task, Task]:
        """Return the tasks of validation and test, over the edges of all training sentences."""
        train = self.part > VALIDATION
        validation = self._task(train, self.part == VALIDATION, train)
        test = self._task(train, self.part == TEST, self.part != TEST)
        test.edges = validation.edges
        return validation, test

    def _task(self, visible: np.ndarray, later: np.ndarray, before: np.ndarray) -> Task:
        part = part_of_corpus(self.corpus, visible)
        known = part.counts > 0
        sets: list[EdgeSet] = []
        for kind in self.kinds:
            self.check()
            sets.append(dep_edges(part, self.settings.dep) if kind == "dep" else cooc_edges(part, self.settings.cooc))
        links, matched = {}, {}
        for kind, edges in zip(self.kinds, sets, strict=True):
            least = self.settings.cooc.min_count if kind == "cooc" else self.settings.dep.min_count
            new = first_seen(self._seen(kind, later), self._seen(kind, before)[0], known, min_count=least)
            links[kind] = _one_direction(new) if kind == "cooc" else new
            degrees = np.bincount(edges.targets, minlength=self.nodes)
            matched[kind] = MatchedNodes(degrees, known, self.everything[kind])
        return Task(relations_of([*sets, *([self.sim] if self.sim is not None else [])]), links, matched)


def _one_direction(pairs: np.ndarray) -> np.ndarray:
    """Keep one direction of each pair, by turns, so that neither end is always the more frequent word."""
    low, high = pairs.min(axis=1), pairs.max(axis=1)
    return pairs[(pairs[:, 0] == low) == ((low + high) % 2 == 0)]


def _no_links(kind: str, part: str) -> DataError:
    return DataError(
        f"The {part} sentences show no {kind} links that the others do not show.", where="the graph's corpus",
        expected="some hundred sentences", advice="Build the graph from more sentences.",
    )  # fmt: skip
