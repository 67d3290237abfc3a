"""Dependencies: head and dependent of the corpus' trees, or of a probe's, weighted by PPMI."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from core.config.graph import DepEdges
from core.errors import DataError
from core.graph.edges.pairs import blocks, count_keys, examples
from core.graph.edges.ppmi import ppmi
from core.graph.types import Corpus, EdgeSet, Sentence

__all__ = ["PROBE", "dep_edges"]

#: Relation of edges that come from a probe's trees, which have neither labels nor directions.
PROBE = "probe"
_PUNCTUATION = "punct"


def dep_edges(corpus: Corpus, settings: DepEdges, heads: Sequence[np.ndarray | None] | None = None) -> EdgeSet:
    """Return edges from heads to dependents.

    Pairs with a token that was filtered out are left out. A word that depends on itself (another occurrence of it)
    counts for the marginals and is no edge. Pairs below ``min_count`` and edges of weight 0 are left out last.

    Parameters
    ----------
    corpus
        Sentences with nodes and, unless `heads` is given, trees.
    settings
        Minimum count, and whether the relation ``punct`` is kept.
    heads
        Trees instead of the corpus' own: one array a sentence, the index of each token's head or -1, shape (tokens,);
        None for a sentence without one. They are those of a probe: without labels, and which end of an arc is the
        head is not known, so every arc counts in both directions, under the relation ``probe``.

    Returns
    -------
    EdgeSet
        Of type ``dep``, with counts, relation labels with their counts, and up to three examples an edge (the
        shortest sentences). Directed from head to dependent, but for a probe's trees.

    Raises
    ------
    DataError
        If there are no trees.
    ValueError
        If `heads` does not fit the sentences.
    """
    probed = heads is not None
    trees = list(heads) if heads is not None else [one.heads for one in corpus.sentences]
    if all(tree is None for tree in trees):
        raise DataError(
            "Dependency edges need trees, and this corpus has none.",
            where=f"language {corpus.language}, unit {corpus.unit}",
            expected="words of an English corpus, which is parsed, or a CoNLL-U file with heads",
            advice="Take the trees of a trained probe, or leave dep out: cooc needs no trees, and sim and attn need "
            "only an encoder.",
        )
    if len(trees) != len(corpus.sentences):
        raise ValueError(f"heads has {len(trees)} trees for {len(corpus.sentences)} sentences")
    for index, (tree, sentence) in enumerate(zip(trees, corpus.sentences, strict=True)):
        if tree is not None and (len(tree) != len(sentence.nodes) or np.max(tree, initial=-1) >= len(tree)):
            raise ValueError(f"heads[{index}] does not fit a sentence of {len(sentence.nodes)} tokens")
    nodes, labels = len(corpus.words), _Labels()
    everything = [index for index, tree in enumerate(trees) if tree is not None]
    punctuation = settings.punctuation or probed
    read = _Arcs(corpus.sentences, trees, labels, nodes, probed, punctuation)
    # Pair and label are one key: the labels' counts add up to the pair's.
    labelled = count_keys(key * _Labels.MOST + label for key, label, _ in read.over(everything))
    pair, label = np.divmod(labelled.keys, _Labels.MOST)
    starts = np.flatnonzero(np.diff(pair, prepend=-1))
    keys = pair[starts]
    counts = np.add.reduceat(labelled.counts, starts) if len(starts) else np.zeros(0, dtype=np.int64)
    sources, targets = np.divmod(keys, max(nodes, 1))
    weights = ppmi(sources, targets, counts, nodes)
    kept = (sources != targets) & (counts >= settings.min_count) & (weights > 0)
    by_length = sorted(everything, key=lambda index: len(corpus.sentences[index].nodes))
    found = examples(keys[kept], ((key, sentence) for key, _, sentence in read.over(by_length)))
    number = np.cumsum(kept) - 1
    edge = np.repeat(np.arange(len(keys)), np.diff(starts, append=len(pair)))
    inside = kept[edge]
    entries = np.stack([number[edge[inside]], label[inside], labelled.counts[inside]], axis=1)
    names, entries = _used(labels.names, entries)
    return EdgeSet.of(
        "dep",
        sources[kept],
        targets[kept],
        weights[kept],
        counts=counts[kept],
        examples=found,
        relations=names,
        relation_counts=entries,
    )


class _Labels:
    """Relation names by number, in order of appearance."""

    #: No tag set comes near; a corpus that does has something else in its DEPREL column.
    MOST = 1 << 16

    def __init__(self) -> None:
        self.names: list[str] = []
        self._numbers: dict[str, int] = {}

    def number(self, name: str) -> int:
        found = self._numbers.get(name)
        if found is None:
            if len(self.names) >= self.MOST:
                raise DataError(
                    f"The trees have more than {self.MOST:,} different relations.", expected="names of relations"
                )
            found = self._numbers[name] = len(self.names)
            self.names.append(name)
        return found


class _Arcs:
    """The arcs of trees as (pair's key, label, sentence), block by block."""

    def __init__(
        self,
        sentences: list[Sentence],
        trees: list[np.ndarray | None],
        labels: _Labels,
        nodes: int,
        probed: bool,
        punctuation: bool,
    ):
        self.sentences, self.trees, self.labels, self.nodes = sentences, trees, labels, nodes
        self.probed, self.punctuation = probed, punctuation

    def over(self, order: Sequence[int]) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        for block in blocks(self.sentences, order):
            lengths = np.array([len(self.sentences[index].nodes) for index in block])
            offsets = np.repeat(np.cumsum(lengths) - lengths, lengths)
            tokens = np.concatenate([self.sentences[index].nodes for index in block]).astype(np.int64)
            numbers = np.repeat(np.array(block, dtype=np.int32), lengths)
            local = np.concatenate([np.asarray(self.trees[index], dtype=np.int64) for index in block])
            label = np.array(self._relations(block, len(tokens)), dtype=np.int64)
            head = tokens[np.where(local >= 0, local + offsets, 0)] if len(tokens) else tokens
            arc = (local >= 0) & (head >= 0) & (tokens >= 0)
            if not self.punctuation:
                arc &= label != self.labels.number(_PUNCTUATION)
            head, tokens, label, numbers = head[arc], tokens[arc], label[arc], numbers[arc]
            keys = head * self.nodes + tokens
            if self.probed:
                keys = np.stack([keys, tokens * self.nodes + head], axis=1).ravel()
                label, numbers = np.repeat(label, 2), np.repeat(numbers, 2)
            yield keys, label, numbers

    def _relations(self, block: list[int], size: int) -> list[int]:
        if self.probed:
            return [self.labels.number(PROBE)] * size
        return [
            self.labels.number(name)
            for index in block
            for name in self.sentences[index].relations or [""] * len(self.sentences[index].nodes)
        ]


def _used(names: list[str], entries: np.ndarray) -> tuple[list[str], np.ndarray]:
    """Return the names that entries use, by alphabet, and the entries with their numbers."""
    occurring = sorted({int(label) for label in entries[:, 1]}, key=lambda label: names[label])
    place = np.zeros(len(names) + 1, dtype=np.int64)
    place[occurring] = np.arange(len(occurring))
    entries = entries.copy()
    entries[:, 1] = place[entries[:, 1]]
    return [names[label] for label in occurring], entries
