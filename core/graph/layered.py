"""The layered graph: nodes are (word, layer); a path may change the layer at a word.

Inside a layer edges are mixed as there. A word and itself in the neighbouring layer are joined by an edge of cost
κ·(1 − cosine), after the two layers' vectors were turned onto each other by an orthogonal Procrustes alignment
(Schönemann 1966), the narrower padded with zeros.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import svd

from core.errors import ConfigError
from core.graph.mixing import Mixed, check_layer, mix
from core.graph.shortest import SearchGraph
from core.graph.types import WordGraph

__all__ = ["Layered", "aligned_cosines", "layered"]


@dataclass(frozen=True, eq=False)
class Layered:
    """Words × layers. Node = index of the layer in `layers` · words + word.

    Parameters
    ----------
    indptr, targets, costs, penalty
        As in :class:`core.graph.mixing.Mixed`, over layers · words nodes.
    layers
        The layers, ascending.
    widths
        Vector size of the nodes of each layer.
    words
        Number of words.
    kappa
        Cost of changing the layer at cosine 0.
    mixed
        The mixed graph of each layer.
    cosines
        Cosine of each word with itself in the next layer, float64 of shape (layers − 1, words).
    """

    indptr: np.ndarray
    targets: np.ndarray
    costs: np.ndarray
    penalty: np.ndarray
    layers: list[int]
    widths: list[int]
    words: int
    kappa: float
    mixed: list[Mixed]
    cosines: np.ndarray

    def __len__(self) -> int:
        return len(self.indptr) - 1

    @cached_property
    def search(self) -> SearchGraph:
        """The same edges, prepared for searching."""
        return SearchGraph(self.indptr, self.targets, self.costs, self.penalty)

    def node(self, word: int, layer: int) -> int:
        """Return the node of a word in a layer.

        Raises
        ------
        ConfigError
            If it has no such layer.
        """
        if layer not in self.layers:
            raise ConfigError(
                f"The layered graph has no layer {layer}.", where="layer",
                expected=f"one of {', '.join(map(str, self.layers))}",
            )  # fmt: skip
        return self.layers.index(layer) * self.words + word

    def nodes(self, word: int, layer: int | None = None) -> list[int]:
        """Return the nodes of a word: in one layer, or in all."""
        if layer is not None:
            return [self.node(word, layer)]
        return [index * self.words + word for index in range(len(self.layers))]

    def place(self, node: int) -> tuple[int, int]:
        """Return (word, layer) of a node."""
        index, word = divmod(node, self.words)
        return word, self.layers[index]

    def width(self, node: int) -> int:
        """Return the size of a node's vector."""
        return self.widths[node // self.words]


def aligned_cosines(lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """Return each row's cosine with itself after the best rotation of one matrix onto the other.

    Parameters
    ----------
    lower, upper
        Vectors of the same words, shapes (words, width) and (words, other width).

    Returns
    -------
    numpy.ndarray
        Shape (words,), in [−1, 1]; 0 where a vector is zero.
    """
    # Vectors of half precision gain nothing from double; the turn itself is found in double either way.
    exact = np.float64 in (lower.dtype, upper.dtype)
    width = max(lower.shape[1], upper.shape[1])
    first, second = (_padded(one, width, np.float64 if exact else np.float32) for one in (lower, upper))
    held = first.any(axis=1) & second.any(axis=1)
    found = np.zeros(len(first))
    if held.any():
        if not held.all():
            first, second = first[held], second[held]
        turn, _, back = svd((first.T @ second).astype(np.float64))
        first = first @ (turn @ back).astype(first.dtype)
        norms = np.sqrt(np.einsum("ij,ij->i", first, first) * np.einsum("ij,ij->i", second, second))
        found[held] = np.clip(np.einsum("ij,ij->i", first, second) / norms, -1.0, 1.0)
    return found


def _padded(vectors: np.ndarray, width: int, dtype: type[np.floating]) -> np.ndarray:
    """Return vectors with zeros behind them."""
    if vectors.shape[1] == width:
        return vectors.astype(dtype)
    found = np.zeros((len(vectors), width), dtype=dtype)
    found[:, : vectors.shape[1]] = vectors
    return found


def layered(
    graph: WordGraph,
    weights: Mapping[str, float] | None = None,
    *,
    kappa: float | None = None,
    layers: Sequence[int] | None = None,
    hub_penalty: float = 0.0,
    directed: bool = True,
    min_weight: Mapping[str, float] | None = None,
    mixed: Sequence[Mixed] | None = None,
) -> Layered:
    """Put the layers of a word graph on top of each other.

    Parameters
    ----------
    graph
        The word graph, with vectors of the layers.
    weights, hub_penalty, directed, min_weight
        As in :func:`core.graph.mixing.mix`.
    kappa
        Cost of changing the layer at cosine 0; None: the median cost of the edges inside layers.
    layers
        Layers to use; neighbours in this list are joined. None: all.
    mixed
        The mixed graph of each layer, if they are there already.

    Raises
    ------
    ConfigError
        If there are no vectors, a layer is missing, or κ is negative.
    """
    chosen = sorted(set(graph.layers if layers is None else layers))
    for layer in chosen:
        check_layer(graph, layer)
    if not chosen or any(layer not in graph.vectors for layer in chosen):
        raise ConfigError(
            "Layers can only be joined where the graph holds word vectors of each.", where="layers",
            advice="Build the graph with an encoder, or ask within one layer.",
        )  # fmt: skip
    if kappa is not None and not (math.isfinite(kappa) and kappa >= 0):
        raise ConfigError(
            f"The cost {kappa} of changing layers is not usable.", where="kappa", expected="a number of at least 0"
        )
    size = len(graph)
    parts = list(mixed) if mixed is not None else [
        mix(graph, layer, weights, directed=directed, hub_penalty=hub_penalty, min_weight=min_weight)
        for layer in chosen
    ]  # fmt: skip
    if kappa is None:
        inside = np.concatenate([one.costs for one in parts])
        kappa = float(np.median(inside)) if len(inside) else 1.0
    cosines = np.zeros((len(chosen) - 1, size))
    words = np.arange(size)
    froms, tos, costs = [], [], []
    for index, one in enumerate(parts):
        froms.append(one.sources.astype(np.int64) + index * size)
        tos.append(one.targets.astype(np.int64) + index * size)
        costs.append(one.costs)
        if index + 1 < len(parts):
            cosines[index] = aligned_cosines(graph.vectors[chosen[index]], graph.vectors[chosen[index + 1]])
            low, high = words + index * size, words + (index + 1) * size
            froms += [low, high]
            tos += [high, low]
            costs += [kappa * (1 - cosines[index])] * 2
    sources, targets = np.concatenate(froms), np.concatenate(tos)
    order = np.lexsort((targets, sources))
    sources = sources[order]
    return Layered(
        indptr=np.searchsorted(sources, np.arange(size * len(chosen) + 1)).astype(np.int64),
        targets=targets[order].astype(np.int32),
        costs=np.concatenate(costs)[order],
        penalty=np.concatenate([one.penalty for one in parts]),
        layers=chosen,
        widths=[int(graph.vectors[layer].shape[1]) for layer in chosen],
        words=size,
        kappa=kappa,
        mixed=parts,
        cosines=cosines,
    )
