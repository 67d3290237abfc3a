"""What the modules of this room hand to each other: corpus, edges, word graph. Arrays inside, numpy only.

A node is an index into ``words``. Edges of a type are directed pairs of nodes with a non-negative weight; they are
sorted by (source, target) and name each pair once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

__all__ = ["NO_NODE", "Corpus", "EdgeSet", "Sentence", "WordGraph"]

#: Node of a token that was filtered out.
NO_NODE = -1
#: Examples kept an edge.
EXAMPLES = 3


@dataclass
class Sentence:
    """One sentence of a corpus.

    Parameters
    ----------
    text
        As it stands in the source.
    tokens
        Units in order: words, sub-words or characters, as they stand in the text.
    spans
        Start and end of each token in `text`, shape (tokens, 2); None where tokens came without a text.
    nodes
        Node of each token, :data:`NO_NODE` where it was filtered out; shape (tokens,).
    heads
        Index of each token's head, -1 for the root; shape (tokens,). None without trees.
    relations
        Name of the relation to the head, one a token. None without trees.
    tags
        Universal part of speech of each token, or empty.
    lemmas
        Lemma of each token, or empty.
    row
        Row of the source that it comes from, from 1.
    """

    text: str
    tokens: list[str]
    nodes: np.ndarray
    spans: np.ndarray | None = None
    heads: np.ndarray | None = None
    relations: list[str] | None = None
    tags: list[str] = field(default_factory=list)
    lemmas: list[str] = field(default_factory=list)
    row: int = 0


@dataclass
class Corpus:
    """Sentences and the words that are nodes.

    Parameters
    ----------
    sentences
        The sentences.
    words
        Label of each node, most frequent first; equal labels do not occur.
    counts
        Occurrences of each node in `sentences`, shape (words,).
    tags, lemmas
        Most frequent part of speech and lemma of each node; empty strings where there are none.
    language
        ISO code.
    unit
        ``word``, ``subword`` or ``character``.
    trees
        ``gold`` (from CoNLL-U), ``silver`` (from a parser) or ``none``.
    parser
        Name of what segmented and parsed, for labels.
    notices
        What a person should know: sampled, filtered, segmented by whitespace, rows that could not be read …
    total_sentences
        Sentences that the source holds (before drawing), or an estimate if `sampled`.
    sampled
        Whether only a part of the sentences is used.
    """

    sentences: list[Sentence]
    words: list[str]
    counts: np.ndarray
    tags: list[str]
    lemmas: list[str]
    language: str = "en"
    unit: str = "word"
    trees: Literal["gold", "silver", "none"] = "none"
    parser: str = ""
    notices: list[str] = field(default_factory=list)
    total_sentences: int = 0
    sampled: bool = False

    def index(self) -> dict[str, int]:
        """Return node by word."""
        return {word: node for node, word in enumerate(self.words)}


@dataclass
class EdgeSet:
    """The edges of one type, in one layer or in all.

    Parameters
    ----------
    type
        ``dep``, ``sim``, ``cooc``, ``attn`` or ``gnn``.
    sources, targets
        Nodes, int32 of shape (edges,), sorted by (source, target); each pair once, no loops.
    weights
        Non-negative float32 of shape (edges,): PPMI, cosine, attention or probability.
    layer
        Layer that it belongs to; None where the type does not depend on the layer (dep, cooc).
    counts
        How often the pair occurs, int32 of shape (edges,); None where that means nothing.
    examples
        Indices of up to three sentences that hold the pair, int32 of shape (edges, 3), -1 where there are fewer.
    relations
        Relation labels, for `relation_counts`; empty but for dep.
    relation_counts
        (edge, label, count), int32 of shape (entries, 3), sorted by edge.
    """

    type: str
    sources: np.ndarray
    targets: np.ndarray
    weights: np.ndarray
    layer: int | None = None
    counts: np.ndarray | None = None
    examples: np.ndarray | None = None
    relations: list[str] = field(default_factory=list)
    relation_counts: np.ndarray | None = None

    def __post_init__(self) -> None:
        self.sources = np.asarray(self.sources, dtype=np.int32)
        self.targets = np.asarray(self.targets, dtype=np.int32)
        self.weights = np.asarray(self.weights, dtype=np.float32)

    def __len__(self) -> int:
        return len(self.sources)

    @classmethod
    def of(
        cls, type: str, sources: Any, targets: Any, weights: Any, *, layer: int | None = None, **rest: Any
    ) -> EdgeSet:
        """Make a set from pairs in any order: they are sorted; further arrays by edge are sorted along.

        Raises
        ------
        ValueError
            If a pair occurs twice, is a loop, or has a weight that is negative or no number.
        """
        sources, targets = np.asarray(sources, dtype=np.int64), np.asarray(targets, dtype=np.int64)
        weights = np.asarray(weights, dtype=np.float32)
        order = np.lexsort((targets, sources))
        sources, targets, weights = sources[order], targets[order], weights[order]
        if len(order) > 1 and bool(((np.diff(sources) == 0) & (np.diff(targets) == 0)).any()):
            raise ValueError(f"{type}: a pair of nodes occurs twice")
        if bool((sources == targets).any()):
            raise ValueError(f"{type}: an edge leads from a node to itself")
        if not bool(np.isfinite(weights).all() and (weights >= 0).all()):
            raise ValueError(f"{type}: weights must be finite and not negative")
        place = np.empty(len(order), dtype=np.int64)
        place[order] = np.arange(len(order))
        for name in ("counts", "examples"):
            if rest.get(name) is not None:
                rest[name] = np.asarray(rest[name], dtype=np.int32)[order]
        if rest.get("relation_counts") is not None:
            entries = np.asarray(rest["relation_counts"], dtype=np.int64).reshape(-1, 3).copy()
            entries[:, 0] = place[entries[:, 0]]
            rest["relation_counts"] = entries[np.lexsort((entries[:, 1], entries[:, 0]))].astype(np.int32)
        return cls(type, sources, targets, weights, layer, **rest)

    def find(self, source: int, target: int) -> int:
        """Return the edge's index, or -1."""
        low, high = np.searchsorted(self.sources, [source, source + 1])
        at = low + int(np.searchsorted(self.targets[low:high], target))
        return at if at < high and int(self.targets[at]) == target else -1

    def relations_of(self, edge: int) -> dict[str, int]:
        """Return relation → count of an edge, the most frequent first."""
        if self.relation_counts is None or edge < 0:
            return {}
        low, high = np.searchsorted(self.relation_counts[:, 0], [edge, edge + 1])
        found = {self.relations[int(label)]: int(count) for _, label, count in self.relation_counts[low:high]}
        return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))

    def examples_of(self, edge: int) -> list[int]:
        """Return the indices of the sentences that hold an edge's pair."""
        if self.examples is None or edge < 0:
            return []
        return [int(index) for index in self.examples[edge] if index >= 0]


@dataclass
class WordGraph:
    """A corpus graph: nodes, the edges of every type and layer, and what they were made from.

    Parameters
    ----------
    words, counts, tags, lemmas
        The nodes; see :class:`Corpus`.
    sentences
        Texts of the corpus' sentences; the examples of edges are indices into it.
    sentence_nodes
        Nodes of each sentence's tokens, in order, without those that were filtered out.
    edges
        Edge sets: one a type, or one a (type, layer).
    layers
        Layers of the encoder that were used, ascending; empty for a graph without an encoder.
    widths
        Vector size of each layer in `layers`.
    vectors
        Layer → normalised word vectors, float16 of shape (words, width). Rows of zeros: no context was found.
    about
        What it was made from: the config, language, trees, parser, notices, sentences, encoder, versions; plain data.
    """

    words: list[str]
    counts: np.ndarray
    tags: list[str]
    lemmas: list[str]
    sentences: list[str]
    sentence_nodes: list[np.ndarray]
    edges: list[EdgeSet]
    layers: list[int] = field(default_factory=list)
    widths: list[int] = field(default_factory=list)
    vectors: dict[int, np.ndarray] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.words)

    @property
    def types(self) -> list[str]:
        """Edge types that it has, in the order of their first set."""
        return list(dict.fromkeys(one.type for one in self.edges))

    @property
    def middle(self) -> int | None:
        """The middle one of its layers; None without layers."""
        return self.layers[len(self.layers) // 2] if self.layers else None

    def edge_sets(self, layer: int | None = None, types: Sequence[str] | None = None) -> list[EdgeSet]:
        """Return the edge sets that hold in a layer: those of the layer and those that depend on none."""
        return [
            one
            for one in self.edges
            if (types is None or one.type in types) and (one.layer is None or one.layer == layer)
        ]

    def index(self) -> dict[str, int]:
        """Return node by word."""
        return {word: node for node, word in enumerate(self.words)}
