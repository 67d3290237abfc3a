"""Statistics of every layer of a parent: likeness of layers, syntax, and how many directions its word graphs need.

Only workers and commands import this module: it loads torch.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from core.config import ProbeConfig, VectorConfig
from core.config.statistics import StatisticsConfig
from core.errors import DataError
from core.graph.cka import CkaAccumulator
from core.graph.corpus import read_corpus
from core.graph.encoder import load_encoder
from core.graph.probe.run import probe_corpus
from core.graph.types import Corpus
from core.graph.vectors import normalise, word_vectors
from core.search.depth import best_partition, depth_of, novelty, representatives
from core.search.preservation import preservation, width_grid

__all__ = ["statistics"]

#: A corpus of fewer words or sentences says too little of a layer's neighbourhoods.
LEAST_WORDS = 200
LEAST_SENTENCES = 50
_Progress = Callable[[int, int], None]


def statistics(
    config: StatisticsConfig,
    *,
    cache: Path,
    check: Callable[[], None] = lambda: None,
    phase: Callable[[str], _Progress] = lambda name: lambda done, total: None,
) -> dict[str, Any]:
    """Measure every layer of a parent and propose a depth.

    Parameters
    ----------
    config
        Corpus, parent and thresholds.
    cache
        The home's cache folder: word vectors are kept in it.
    check
        Called often; may raise to stop.
    phase
        Called with the name of each part; what it returns is called with what is done and what there is in all.

    Returns
    -------
    dict
        ``layers`` (one entry for layers 0 … L: ``layer``, ``width``, ``widths``, ``rho``, ``overlap``, ``unreachable``,
        ``least`` (d*) with ``least_low`` and ``least_high``; from 1 also ``cka_below`` and ``novelty``; ``uuas`` and
        ``margin`` where there are trees), ``cka`` (matrix of layers 0 … L), ``depth`` (``fewest``, ``lowest``,
        ``highest``, ``costs``, ``segments``: for each depth that is searched a list of {first, last, representative,
        least}), ``chain``, ``words``, ``sentences``, ``tokens``, ``trees``, ``thresholds``, ``encoder``, ``notices``.

    Raises
    ------
    DataError
        If the corpus is too small.
    BertloomError
        If corpus or encoder cannot be used.
    """
    seed = config.runtime.seed
    corpus = read_corpus(config.corpus, check=check, looking=phase("rows"), progress=phase("corpus"))
    if len(corpus.sentences) < LEAST_SENTENCES or len(corpus.words) < LEAST_WORDS:
        raise DataError(
            f"The corpus has {len(corpus.sentences)} sentences and {len(corpus.words)} different words: too few for "
            "statistics of layers.", where=config.corpus.source,
            expected=f"at least {LEAST_SENTENCES} sentences and {LEAST_WORDS} words",
            advice="Take a larger corpus, or a smaller minimum count.",
        )  # fmt: skip
    notices = list(corpus.notices)
    encoder = load_encoder(config.model, seed=seed, device=config.runtime.device, threads=config.runtime.threads)
    layers = list(range(encoder.num_layers + 1))
    likeness, tokens = _cka(corpus, encoder, layers, check, phase("likeness of layers"))
    few = _frequent(corpus, config.words)
    vectors = word_vectors(
        few,
        encoder,
        layers,
        VectorConfig(contexts=config.contexts),
        cache=cache,
        check=check,
        progress=phase("vectors"),
    )
    notices += vectors.notices
    heads = int(getattr(encoder.model.config, "num_attention_heads", 0) or max(1, encoder.widths[-1] // 64))
    told, entries = phase("graphs of fewer directions"), []
    for number, layer in enumerate(layers, 1):
        width = encoder.widths[layer]
        found = preservation(
            normalise(vectors.raw[layer], config.remove_components), width_grid(width, max(1, width // heads)),
            neighbours=config.neighbours, draws=config.draws, seed=seed, check=check,
        )  # fmt: skip
        low, high = found.interval(config.rho, config.overlap)
        entry: dict[str, Any] = {
            "layer": layer, "width": width, "widths": found.widths, "rho": _rounded(found.rho),
            "overlap": _rounded(found.overlap), "unreachable": _rounded(found.unreachable),
            "least": found.least(config.rho, config.overlap), "least_low": low, "least_high": high,
        }  # fmt: skip
        if layer:
            entry["cka_below"] = round(float(likeness[layer - 1, layer]), 6)
            entry["novelty"] = round(1.0 - float(likeness[layer - 1, layer]), 6)
        entries.append(entry)
        told(number, len(layers))
    described = encoder.describe()
    del encoder
    chain = _syntax(config, corpus, entries, cache, check, phase, notices)
    return {
        "layers": entries,
        "cka": [_rounded(row) for row in likeness],
        "depth": _depth(likeness, entries, config.share),
        "chain": chain,
        "words": len(few.words),
        "sentences": len(corpus.sentences),
        "tokens": tokens,
        "trees": corpus.trees,
        "corpus": config.corpus.source,
        "thresholds": {"rho": config.rho, "overlap": config.overlap},
        "encoder": described,
        "notices": list(dict.fromkeys(notices)),
    }


def _frequent(corpus: Corpus, most: int) -> Corpus:
    """Return the corpus with its most frequent words only; words are in the order of their counts."""
    if len(corpus.words) <= most:
        return corpus
    sentences = [
        type(one)(**{**one.__dict__, "nodes": np.where(one.nodes < most, one.nodes, -1)}) for one in corpus.sentences
    ]
    return Corpus(
        sentences, corpus.words[:most], corpus.counts[:most], corpus.tags[:most], corpus.lemmas[:most],
        corpus.language, corpus.unit, corpus.trees, corpus.parser, [], corpus.total_sentences, corpus.sampled,
    )  # fmt: skip


def _cka(
    corpus: Corpus, encoder: Any, layers: list[int], check: Callable[[], None], progress: _Progress
) -> tuple[np.ndarray, int]:
    """Return the CKA of all pairs of layers, from the states of all tokens that have one, and how many those are."""
    sums = CkaAccumulator(len(layers))
    for batch in encoder.states([one.tokens for one in corpus.sentences], layers, check=check, progress=progress):
        sums.add([batch.states[layer][batch.found] for layer in layers])
    return sums.matrix(), sums.count


def _syntax(
    config: StatisticsConfig, corpus: Corpus, entries: list[dict[str, Any]], cache: Path, check: Callable[[], None],
    phase: Callable[[str], _Progress], notices: list[str],
) -> float | None:  # fmt: skip
    """Train probes and write UUAS and its margin over the chain into the entries; return the chain's."""
    if not config.probe:
        notices.append("No structural probe was trained; novelty alone chooses the layers that stand for segments.")
        return None
    if corpus.trees == "none":
        notices.append(
            "The corpus has no trees, so no structural probe was trained; novelty alone chooses the layers that stand "
            "for segments."
        )
        return None
    probing = ProbeConfig(
        corpus=config.corpus, model=config.model, rank=config.rank, random_encoder=False, runtime=config.runtime
    )
    found = probe_corpus(probing, cache=cache, check=check, phase=lambda name: phase(f"probe: {name}"))
    chain = float(found["chain"]["uuas"])
    for entry in found["layers"]:
        if entry["uuas"] is not None:
            entries[entry["layer"]]["uuas"] = round(float(entry["uuas"]), 6)
            entries[entry["layer"]]["margin"] = round(float(entry["uuas"]) - chain, 6)
    notices += [notice for notice in found["notices"] if notice not in notices]
    return round(chain, 6)


def _depth(likeness: np.ndarray, entries: list[dict[str, Any]], share: float) -> dict[str, Any]:
    inner, new = likeness[1:, 1:], novelty(likeness)
    margins = [entry.get("margin") for entry in entries[1:]]
    margin = None if any(one is None for one in margins) else np.asarray(margins, dtype=float)
    found = depth_of(inner, share)
    segments = {}
    for depth in range(found.lowest, found.highest + 1):
        chosen = representatives(best_partition(inner, depth)[1], margin, new)
        segments[str(depth)] = [
            {
                "first": one.first, "last": one.last, "representative": one.representative,
                "least": max(entries[layer]["least"] for layer in range(one.first, one.last + 1)),
            }
            for one in chosen
        ]  # fmt: skip
    return {
        "fewest": found.fewest, "lowest": found.lowest, "highest": found.highest,
        "costs": [round(cost, 6) for cost in found.costs], "segments": segments,
    }  # fmt: skip


def _rounded(values: np.ndarray) -> list[float]:
    return [round(float(one), 6) for one in values]
