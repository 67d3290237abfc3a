"""Word vectors at every layer: means over contexts, cached on disk by what they were computed from.

Only workers import this module: it needs torch.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from core.config.graph import VectorConfig
from core.errors import DataError, StorageError
from core.graph.encoder import Encoder
from core.graph.pieces import Aligned
from core.graph.types import Corpus
from core.training.files import atomic_folder, manifest_ok, recover, sweep, write_manifest

__all__ = ["WordVectors", "choose_occurrences", "normalise", "vocabulary_vectors", "word_vectors"]

#: Raise it when the computing changes, so that cached vectors are computed anew.
_VERSION = 1
_ABOUT = "about.json"
#: Share of the free memory that vectors may take.
_MEMORY_SHARE = 0.6
_UNUSED = re.compile(r"[\[<|]*unused[_-]?\d+[\]>|]*", re.IGNORECASE)


@dataclass
class WordVectors:
    """Word vectors as they are averaged, before :func:`normalise`.

    Parameters
    ----------
    layers
        Layers, ascending; 0 = embeddings.
    widths
        Vector size of each of them.
    raw
        Layer → float32 of shape (words, width). A row of zeros: no context was found.
    seen
        Occurrences that each word's vector is the mean of, int32 of shape (words,).
    notices
        What a person should know: sentences that were cut, words without a vector, words unknown to the encoder.
    """

    layers: list[int]
    widths: list[int]
    raw: dict[int, np.ndarray]
    seen: np.ndarray
    notices: list[str] = field(default_factory=list)


def word_vectors(
    corpus: Corpus,
    encoder: Encoder,
    layers: Any,
    config: VectorConfig,
    *,
    cache: Path | None = None,
    check: Callable[[], None] = lambda: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> WordVectors:
    """Average every word's vectors over its contexts, at every layer, in one forward pass a sentence.

    A word's vector at a layer is the mean, over at most ``config.contexts`` of its occurrences, of the mean of its
    sub-word vectors. Occurrences are taken evenly from the whole corpus, and only sentences that hold one are run.

    Parameters
    ----------
    corpus, encoder
        Words and sentences; and what reads them.
    layers
        ``all``, or numbers from 0 (embeddings).
    config
        Most contexts a word.
    cache
        Folder of cached vectors, one folder an entry; None: nothing is kept. An entry that is damaged is computed anew.
    check
        Called between batches; may raise to stop.
    progress
        Called with sentences done and sentences in all.

    Raises
    ------
    ConfigError
        If the encoder has no such layer.
    DataError
        If the vectors would not fit into the memory.
    """
    chosen = encoder.pick_layers(layers)
    widths = [encoder.widths[layer] for layer in chosen]
    _fits(len(corpus.words), sum(widths))
    entry = cache / _key(corpus, encoder, chosen, config) if cache is not None else None
    if entry is not None:
        kept = _load(entry, len(corpus.words), chosen, widths)
        if kept is not None:
            return kept
    found = _compute(corpus, encoder, chosen, widths, config.contexts, check, progress)
    if entry is not None:
        try:
            _save(entry, found)
        except StorageError as error:
            found.notices.append(f"The word vectors were not kept for the next time: {error.what}")
    return found


def choose_occurrences(nodes: np.ndarray, words: int, most: int) -> np.ndarray:
    """Choose at most `most` occurrences of every node, evenly from first to last.

    Parameters
    ----------
    nodes
        Node of every token of the corpus, in order; negative: none. Shape (tokens,).
    words
        Number of nodes.
    most
        Most occurrences a node.

    Returns
    -------
    numpy.ndarray
        Indices into `nodes`, ascending. Of n occurrences the r-th is taken if ⌊(r + 1)·most / n⌋ > ⌊r·most / n⌋.
    """
    places = np.flatnonzero(nodes >= 0)
    order = places[np.argsort(nodes[places], kind="stable")]
    of = nodes[order].astype(np.int64)
    counts = np.bincount(of, minlength=words)
    total = counts[of]
    rank = np.arange(len(of)) - (np.cumsum(counts) - counts)[of]
    taken = (total <= most) | ((rank + 1) * most // np.maximum(total, 1) > rank * most // np.maximum(total, 1))
    return np.sort(order[taken])


def _compute(
    corpus: Corpus,
    encoder: Encoder,
    layers: list[int],
    widths: list[int],
    contexts: int,
    check: Callable[[], None],
    progress: Callable[[int, int], None],
) -> WordVectors:
    check()
    aligned = encoder.align([sentence.tokens for sentence in corpus.sentences], unit=corpus.unit, check=check)
    nodes = np.concatenate(
        [np.asarray(sentence.nodes, dtype=np.int64) for sentence in corpus.sentences] or [np.zeros(0, dtype=np.int64)]
    )
    wanted = np.zeros(len(nodes), dtype=bool)
    wanted[choose_occurrences(np.where(aligned.found, nodes, -1), len(corpus.words), contexts)] = True
    per_token = np.concatenate([[0], np.cumsum(wanted)])
    needed = np.flatnonzero(per_token[aligned.tokens[1:]] > per_token[aligned.tokens[:-1]])
    sums = {layer: torch.zeros(len(corpus.words), width) for layer, width in zip(layers, widths, strict=True)}
    for batch in encoder.states(aligned, layers, only=needed, keep=wanted, check=check, progress=progress):
        tokens = np.concatenate([np.arange(aligned.tokens[one], aligned.tokens[one + 1]) for one in batch.sentences])
        rows = np.flatnonzero(wanted[tokens])
        target, source = torch.from_numpy(nodes[tokens[rows]]), torch.from_numpy(rows)
        for layer in layers:
            sums[layer].index_add_(0, target, torch.from_numpy(batch.states[layer]).index_select(0, source))
    seen = np.bincount(nodes[wanted], minlength=len(corpus.words)).astype(np.int32)
    divisor = torch.from_numpy(np.maximum(seen, 1)).to(torch.float32).unsqueeze(1)
    raw = {layer: sums[layer].div_(divisor).numpy() for layer in layers}
    return WordVectors(layers, widths, raw, seen, _notices(corpus, encoder, aligned, nodes, seen))


def _notices(corpus: Corpus, encoder: Encoder, aligned: Aligned, nodes: np.ndarray, seen: np.ndarray) -> list[str]:
    found = []
    if encoder.random:
        found.append("The encoder's weights are random: its word vectors are a baseline.")
    if aligned.cut:
        found.append(
            f"{aligned.cut:,} of {len(aligned):,} sentences are longer than {encoder.max_length} sub-words and were "
            "cut; words beyond that have no context there."
        )
    unknown = np.unique(nodes[(nodes >= 0) & aligned.unknown])
    if len(unknown):
        examples = ", ".join(corpus.words[node] for node in unknown[:3])
        found.append(
            f"{len(unknown):,} words are unknown to the encoder's vocabulary ({examples}): their vectors come from "
            "their contexts only."
        )
    missing = np.flatnonzero(seen == 0)
    if len(missing):
        examples = ", ".join(repr(corpus.words[node])[:40] for node in missing[:3])
        found.append(f"{len(missing):,} words have no vector: no context of theirs could be read ({examples}).")
    return found


def _fits(words: int, width: int) -> None:
    import psutil

    need, free = words * width * 4, psutil.virtual_memory().available
    if need > _MEMORY_SHARE * free:
        raise DataError(
            f"The word vectors would take {need / 1e9:.1f} GB, and {free / 1e9:.1f} GB of memory are free.",
            where=f"{words:,} words, {width:,} numbers a word in all layers",
            advice="Keep fewer words (corpus.max_words or corpus.min_count) or name fewer layers.",
        )


def _key(corpus: Corpus, encoder: Encoder, layers: list[int], config: VectorConfig) -> str:
    """Return a hash of everything that the vectors depend on."""
    parts = {
        "version": _VERSION,
        "encoder": encoder.fingerprint,
        "max_length": encoder.max_length,
        "unit": corpus.unit,
        "words": len(corpus.words),
        "layers": layers,
        "contexts": config.contexts,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode())
    for word in corpus.words:
        digest.update(json.dumps(word).encode())
    for sentence in corpus.sentences:
        digest.update(json.dumps(sentence.tokens).encode())
        digest.update(np.asarray(sentence.nodes, dtype=np.int64).tobytes())
    return digest.hexdigest()[:32]


def _save(entry: Path, found: WordVectors) -> None:
    sweep(entry.parent)
    with atomic_folder(entry, need=sum(one.nbytes for one in found.raw.values()) + found.seen.nbytes) as folder:
        np.save(folder / "seen.npy", found.seen, allow_pickle=False)
        for layer, raw in found.raw.items():
            np.save(folder / f"layer-{layer}.npy", raw, allow_pickle=False)
        (folder / _ABOUT).write_text(json.dumps({"notices": found.notices}), encoding="utf-8")
        write_manifest(folder)


def _load(entry: Path, words: int, layers: list[int], widths: list[int]) -> WordVectors | None:
    """Return a cached entry, or None where it is missing or damaged."""
    recover(entry)
    if not manifest_ok(entry):
        return None
    try:
        about = json.loads((entry / _ABOUT).read_text(encoding="utf-8"))
        seen = np.load(entry / "seen.npy", allow_pickle=False)
        raw = {layer: np.load(entry / f"layer-{layer}.npy", allow_pickle=False) for layer in layers}
        notices = [str(notice) for notice in about["notices"]]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    shapes = all(raw[layer].shape == (words, width) for layer, width in zip(layers, widths, strict=True))
    if not shapes or seen.shape != (words,) or any(one.dtype != np.float32 for one in raw.values()):
        return None
    return WordVectors(list(layers), list(widths), raw, seen.astype(np.int32), notices)


def normalise(raw: np.ndarray, remove_components: int = 2, whiten: bool = False) -> np.ndarray:
    """Centre word vectors, remove their main directions or whiten them, and give them unit length.

    Parameters
    ----------
    raw
        Shape (words, width). Rows of zeros are words that were not seen: they do not count and stay zero.
    remove_components
        Principal components that are removed, but never more than half of what the centred vectors span. Not used with
        `whiten`.
    whiten
        Give all directions the same variance instead. Directions without variance are left out.

    Returns
    -------
    numpy.ndarray
        float32, rows of length 1 or 0, shape (words, width). A word without anything left (a corpus of one word) has a
        row of zeros.

    References
    ----------
    Mu & Viswanath (2018), All-but-the-Top: simple and effective postprocessing for word representations.
    Huang et al. (2021), WhiteningBERT: an easy unsupervised sentence embedding approach.
    """
    raw = np.asarray(raw, dtype=np.float32)
    result = np.zeros_like(raw)
    rows = np.flatnonzero(raw.any(axis=1))
    if len(rows) < 2:
        return result
    vectors = raw[rows].astype(np.float64)
    vectors -= vectors.mean(axis=0)
    before = np.linalg.norm(vectors, axis=1)
    if whiten or remove_components:
        variances, directions = np.linalg.eigh(vectors.T @ vectors / len(rows))
        rank = int((variances > 1e-10 * max(float(variances[-1]), 1e-300)).sum())
        rank = min(rank, len(rows) - 1)
        if whiten:
            kept = slice(len(variances) - rank, None)
            vectors = (vectors @ directions[:, kept]) / np.sqrt(variances[kept]) @ directions[:, kept].T
        else:
            top = directions[:, len(variances) - min(remove_components, rank // 2) :]
            vectors -= (vectors @ top) @ top.T
    lengths = np.linalg.norm(vectors, axis=1)
    # What is left of a word that lay in the removed directions is rounding, not a direction.
    real = lengths > 1e-6 * np.maximum(before, float(before.mean()))
    if whiten:
        real = lengths > 1e-6
    result[rows[real]] = vectors[real] / lengths[real, None]
    return result


def vocabulary_vectors(encoder: Encoder, *, notices: list[str] | None = None) -> tuple[list[str], np.ndarray]:
    """Return the encoder's own input embeddings and their pieces.

    Special pieces, pieces that are named as unused, and rows of the table beyond the vocabulary are left out.

    Parameters
    ----------
    encoder
        The encoder.
    notices
        A list that is told how many pieces were left out.

    Returns
    -------
    pieces
        As the tokenizer spells them (``##ing``, ``Ġthe``), in the order of their ids.
    vectors
        float32 of shape (pieces, width of the table), not normalised.
    """
    table = encoder.model.get_input_embeddings().weight.detach().to("cpu", torch.float32).numpy()
    special = set(encoder.tokenizer.all_special_ids)
    special |= {index for index, piece in encoder.tokenizer.added_tokens_decoder.items() if piece.special}
    pieces = sorted(encoder.tokenizer.get_vocab().items(), key=lambda item: item[1])
    kept = [
        (piece, index)
        for piece, index in pieces
        if index < len(table) and index not in special and not _UNUSED.fullmatch(piece)
    ]
    if notices is not None and len(kept) < len(table):
        notices.append(
            f"{len(table) - len(kept):,} of {len(table):,} rows of the embedding table are special or unused pieces "
            "and were left out."
        )
    names: Sequence[str] = [piece for piece, _ in kept]
    return list(names), table[[index for _, index in kept]].copy()
