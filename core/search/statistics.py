"""Statistics of every layer of a parent: likeness of layers, syntax, and how many directions its word graphs need.

Only workers and commands import this module: it loads torch.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from core.config import ProbeConfig, VectorConfig
from core.config.statistics import StatisticsConfig
from core.errors import DataError
from core.graph.corpus import read_corpus
from core.graph.encoder import Encoder, load_encoder
from core.graph.probe.run import probe_corpus
from core.graph.types import Corpus
from core.graph.vectors import WordVectors, normalise, word_vectors
from core.models.cka import CkaAccumulator
from core.models.loading import load_tokenizer
from core.models.sources import resolve
from core.search.preservation import preservation, width_grid
from core.search.proposal import propose

__all__ = ["Keep", "compute", "statistics"]

#: A corpus of fewer words or sentences says too little of a layer's neighbourhoods.
LEAST_WORDS = 200
LEAST_SENTENCES = 50
T = TypeVar("T")
_Progress = Callable[[int, int], None]
#: Called with the name of a piece and what computes it, as plain data; returns the piece, perhaps from an earlier time.
Keep = Callable[[str, Callable[[], Any]], Any]


def compute(name: str, make: Callable[[], T]) -> T:
    """Compute a piece and keep nothing."""
    return make()


def statistics(
    config: StatisticsConfig,
    *,
    cache: Path,
    check: Callable[[], None] = lambda: None,
    phase: Callable[[str], _Progress] = lambda name: lambda done, total: None,
    keep: Keep = compute,
) -> dict[str, Any]:
    """Measure every layer of a parent and propose a depth.

    Parameters
    ----------
    config
        Corpus, parent and thresholds.
    cache
        Folder of cached word vectors (``vectors`` in the home's cache).
    check
        Called often; may raise to stop.
    phase
        Called with the name of each part; what it returns is called with what is done and what there is in all.
    keep
        Called for every costly piece (``likeness``, ``vectors``, ``layer-0`` …, ``syntax``): what was measured before a
        stop need not be measured again.

    Returns
    -------
    dict
        ``layers`` (one entry for layers 0 … L: ``layer``, ``width``, ``widths``, ``rho``, ``overlap``, ``unreachable``,
        ``least`` (d*) with ``least_low`` and ``least_high``; from 1 also ``cka_below`` and ``novelty``; ``uuas`` and
        ``margin`` where there are trees), ``cka`` (matrix of layers 0 … L), ``draws`` (for each layer ``rho`` and
        ``overlap`` of shape (draws, widths), so that intervals follow moved thresholds), ``depth`` (``fewest``,
        ``lowest``, ``highest``, ``costs``, ``segments``: for each depth that is searched a list of {first, last,
        representative, least}), ``chain``, ``words``, ``sentences``, ``total_sentences``, ``sampled``, ``tokens``,
        ``trees``, ``parser``, ``language``, ``corpus``, ``thresholds``, ``encoder``, ``parent`` (``heads``,
        ``intermediate``, ``vocabulary``, ``positions``, ``types``), ``notices``.

    Raises
    ------
    DataError
        If the corpus is too small.
    BertloomError
        If corpus or encoder cannot be used.
    """
    tokenizer = None
    if config.corpus.unit == "subword":
        tokenizer = load_tokenizer(resolve(config.model.source, config.model.revision), words=True)
    corpus = read_corpus(
        config.corpus, tokenizer=tokenizer, check=check, looking=phase("rows"), progress=phase("corpus")
    )
    if len(corpus.sentences) < LEAST_SENTENCES or len(corpus.words) < LEAST_WORDS:
        raise DataError(
            f"The corpus has {len(corpus.sentences)} sentences and {len(corpus.words)} different words: too few for "
            "statistics of layers.", where=config.corpus.source,
            expected=f"at least {LEAST_SENTENCES} sentences and {LEAST_WORDS} words",
            advice="Take a larger corpus, or a smaller minimum count.",
        )  # fmt: skip
    work = _Work(config, corpus, Path(cache), check, phase)
    likeness = keep("likeness", work.likeness)
    notices = [*corpus.notices, *keep("vectors", lambda: list(work.vectors().notices))]
    widths, matrix = likeness["widths"], np.asarray(likeness["cka"])
    told, entries, draws = phase("graphs of fewer directions"), [], []
    for layer, width in enumerate(widths):
        check()
        found = keep(f"layer-{layer}", partial(work.preserved, layer, likeness["parent"]["heads"]))
        entry = {"layer": layer, "width": width, **{key: found[key] for key in ("widths", "rho", "overlap")}}
        entry["unreachable"] = found["unreachable"]
        if layer:
            entry["cka_below"] = round(float(matrix[layer - 1, layer]), 6)
            entry["novelty"] = round(1.0 - float(matrix[layer - 1, layer]), 6)
        entries.append(entry)
        draws.append({"rho": found["rho_draws"], "overlap": found["overlap_draws"]})
        told(layer + 1, len(widths))
    work.forget()
    syntax = keep("syntax", work.syntax)
    for entry, uuas in zip(entries, syntax["uuas"], strict=False):
        if uuas is not None:
            entry["uuas"], entry["margin"] = round(uuas, 6), round(uuas - syntax["chain"], 6)
    notices += syntax["notices"]
    measured = {
        "layers": entries, "cka": likeness["cka"], "draws": draws, "chain": syntax["chain"],
        "words": min(len(corpus.words), config.words), "sentences": len(corpus.sentences),
        "total_sentences": corpus.total_sentences, "sampled": corpus.sampled, "tokens": likeness["tokens"],
        "trees": corpus.trees, "parser": corpus.parser, "language": corpus.language, "corpus": config.corpus.source,
        "encoder": likeness["encoder"], "parent": likeness["parent"], "notices": list(dict.fromkeys(notices)),
    }  # fmt: skip
    return propose(measured, rho=config.rho, overlap=config.overlap, share=config.share)


class _Work:
    """The pieces; encoder and vectors are loaded when the first piece needs them."""

    def __init__(
        self, config: StatisticsConfig, corpus: Corpus, cache: Path, check: Callable[[], None],
        phase: Callable[[str], _Progress],
    ):  # fmt: skip
        self.config, self.corpus, self.cache, self.check, self.phase = config, corpus, cache, check, phase
        self._encoder: Encoder | None = None
        self._vectors: WordVectors | None = None

    def encoder(self) -> Encoder:
        if self._encoder is None:
            self.check()
            self.phase("encoder")
            runtime = self.config.runtime
            self._encoder = load_encoder(
                self.config.model, seed=runtime.seed, device=runtime.device, threads=runtime.threads
            )
        return self._encoder

    def forget(self) -> None:
        """Free encoder and vectors: the probes load their own."""
        self._encoder = self._vectors = None

    def likeness(self) -> dict[str, Any]:
        """Return the CKA of all pairs of layers, from the states of all tokens that have one."""
        encoder = self.encoder()
        layers = list(range(encoder.num_layers + 1))
        sums, progress = CkaAccumulator(len(layers)), self.phase("likeness of layers")
        sentences = [one.tokens for one in self.corpus.sentences]
        for batch in encoder.states(sentences, layers, check=self.check, progress=progress):
            sums.add([batch.states[layer][batch.found] for layer in layers])
        return {
            "cka": [_rounded(row) for row in sums.matrix()], "tokens": sums.count, "parent": _parent(encoder),
            "widths": list(encoder.widths), "encoder": encoder.describe(),
        }  # fmt: skip

    def vectors(self) -> WordVectors:
        """Return the vectors of the most frequent words at every layer."""
        if self._vectors is None:
            encoder, few = self.encoder(), _frequent(self.corpus, self.config.words)
            self._vectors = word_vectors(
                few, encoder, list(range(encoder.num_layers + 1)), VectorConfig(contexts=self.config.contexts),
                cache=self.cache, check=self.check, progress=self.phase("vectors"),
            )  # fmt: skip
        return self._vectors

    def preserved(self, layer: int, heads: int) -> dict[str, Any]:
        """Return what is left of one layer's word graph in fewer directions."""
        config, raw = self.config, self.vectors().raw[layer]
        width = raw.shape[1]
        found = preservation(
            normalise(raw, config.remove_components), width_grid(width, max(1, width // heads)),
            neighbours=config.neighbours, draws=config.draws, seed=config.runtime.seed, check=self.check,
        )  # fmt: skip
        return {
            "widths": found.widths, "rho": _rounded(found.rho), "overlap": _rounded(found.overlap),
            "unreachable": _rounded(found.unreachable), "rho_draws": [_rounded(one, 4) for one in found.rho_draws],
            "overlap_draws": [_rounded(one, 4) for one in found.overlap_draws],
        }  # fmt: skip

    def syntax(self) -> dict[str, Any]:
        """Train probes: UUAS of every layer, and the chain's; None where there are no trees."""
        config = self.config
        if not config.probe:
            notice = "No structural probe was trained; novelty alone chooses the layers that stand for segments."
            return {"uuas": [], "chain": None, "notices": [notice]}
        if self.corpus.trees == "none":
            notice = (
                "The corpus has no trees, so no structural probe was trained; novelty alone chooses the layers that "
                "stand for segments."
            )
            return {"uuas": [], "chain": None, "notices": [notice]}
        probing = ProbeConfig(
            corpus=config.corpus, model=config.model, rank=config.rank, random_encoder=False, runtime=config.runtime
        )
        found = probe_corpus(
            probing, cache=self.cache, check=self.check, phase=lambda name: self.phase(f"probe: {name}")
        )
        scores = {entry["layer"]: entry["uuas"] for entry in found["layers"]}
        uuas = [None if scores[layer] is None else float(scores[layer]) for layer in sorted(scores)]
        return {"uuas": uuas, "chain": round(float(found["chain"]["uuas"]), 6), "notices": list(found["notices"])}


def _parent(encoder: Encoder) -> dict[str, int]:
    """Return what shapes are made of, under one name for all families; what a config does not say is as usual."""
    config, width = encoder.model.config, encoder.widths[-1]

    def named(usual: int, *names: str) -> int:
        return next((int(found) for name in names if (found := getattr(config, name, None))), usual)

    return {
        "heads": named(max(1, width // 64), "num_attention_heads", "n_heads"),
        "intermediate": named(4 * width, "intermediate_size", "hidden_dim"),
        "vocabulary": named(len(encoder.tokenizer), "vocab_size"),
        "positions": named(encoder.max_length, "max_position_embeddings"), "types": named(1, "type_vocab_size"),
    }  # fmt: skip


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


def _rounded(values: np.ndarray, digits: int = 6) -> list[float]:
    return [round(float(one), digits) for one in values]
