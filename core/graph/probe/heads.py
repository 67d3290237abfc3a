"""The trees that a trained probe reads out of an encoder. Only workers import this module: the encoder needs torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from core.errors import ConfigError, ModelError
from core.graph.encoder import Encoder
from core.graph.probe.file import ProbeFile
from core.graph.probe.trees import heads_from_edges, spanning_edges, word_mask
from core.graph.types import Sentence

__all__ = ["probe_trees", "tree_of"]


def tree_of(distances: np.ndarray, words: np.ndarray) -> np.ndarray:
    """Turn predicted distances into a tree with a root.

    The words span it; punctuation hangs on the nearest word. The probe knows no direction: the root is the middle of
    the words' tree, see :func:`~core.graph.probe.trees.heads_from_edges`.

    Parameters
    ----------
    distances
        Shape (tokens, tokens).
    words
        False for punctuation; shape (tokens,). Without any word, all tokens are taken for words.

    Returns
    -------
    numpy.ndarray
        Index of each token's head, -1 for the root; int64 of shape (tokens,).
    """
    words = np.asarray(words, dtype=bool)
    words = words if words.any() else np.ones(len(words), dtype=bool)
    places = np.flatnonzero(words)
    inner = heads_from_edges(spanning_edges(distances[np.ix_(words, words)]), len(places))
    heads = np.full(len(words), -1, dtype=np.int64)
    heads[places] = np.where(inner >= 0, places[inner], -1)
    rest = np.flatnonzero(~words)
    if len(rest):
        heads[rest] = places[distances[np.ix_(rest, places)].argmin(axis=1)]
    return heads


def probe_trees(
    probe: ProbeFile,
    sentences: Sequence[Sentence],
    encoder: Encoder,
    *,
    layer: int | None = None,
    check: Callable[[], None] = lambda: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[np.ndarray | None]:
    """Return a probe's trees over sentences, as :func:`core.graph.edges.dep.dep_edges` takes them.

    Parameters
    ----------
    probe
        From :func:`~core.graph.probe.file.load_probe`.
    sentences
        Sentences of words.
    encoder
        The encoder that the probe was trained on.
    layer
        Layer to read; None: the best one.
    check, progress
        As for :meth:`~core.graph.encoder.Encoder.states`.

    Returns
    -------
    list
        Heads of each sentence, shape (tokens,); None where a token has no vector, since the encoder does not read that
        far.

    Raises
    ------
    ModelError
        If the encoder is another one.
    ConfigError
        If the probe does not know the layer.
    """
    trained = probe.about.get("encoder", {})
    if trained.get("fingerprint") != encoder.fingerprint:
        raise ModelError(
            f"The probe was trained on another encoder ({trained.get('source')}).", where=encoder.source,
            expected="the encoder of the probe's run, with the same weights",
            advice="Train a probe on this encoder.",
        )  # fmt: skip
    layer = probe.best if layer is None else layer
    if layer not in probe.projections:
        raise ConfigError(
            f"The probe was not trained on layer {layer}.", expected=", ".join(map(str, probe.projections))
        )
    from core.graph.probe.train import predicted_distances

    projection = probe.projections[layer]
    found: list[np.ndarray | None] = [None] * len(sentences)
    tokens = [sentence.tokens for sentence in sentences]
    for batch in encoder.states(tokens, [layer], check=check, progress=progress):
        for at, index in enumerate(batch.sentences.tolist()):
            rows = slice(int(batch.starts[at]), int(batch.starts[at + 1]))
            if batch.found[rows].all():
                sentence = sentences[index]
                distances = predicted_distances(batch.states[layer][rows], projection)
                found[index] = tree_of(distances, word_mask(sentence.tokens, sentence.tags))
    return found
