"""From a config to scored probes: corpus, states, training, baselines; and the run of kind ``probe``.

Only workers import this module: it needs torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from core.config.graph import ProbeConfig
from core.errors import DataError
from core.graph.corpus import read_corpus
from core.graph.encoder import Encoder, load_encoder
from core.graph.probe.file import NAME, save_probe
from core.graph.probe.scores import LENGTHS, chain_scores, score
from core.graph.probe.states import TokenStates, token_states
from core.graph.probe.train import Probe, Setting, predicted_distances, train_probes
from core.graph.probe.trees import is_tree, tree_distances, word_mask
from core.graph.requests import Leaves, execute
from core.graph.types import Corpus, Sentence
from core.training.context import Outcome, RunContext
from core.training.device import set_threads

__all__ = ["probe_corpus", "run"]

#: Share of the training sentences that decides on rates and ends, not on weights.
_STOPPING = 0.1
#: Fewer sentences with trees than this are not worth a score.
_FEWEST = 20

_Progress = Callable[[int, int], None]


@dataclass
class _Material:
    """Sentences with trees, and what was left out."""

    sentences: list[Sentence]
    left_out: dict[str, int] = field(default_factory=dict)


def probe_corpus(
    config: ProbeConfig,
    *,
    cache: Path,
    check: Callable[[], None] = lambda: None,
    progress: _Progress = lambda done, total: None,
    phase: Callable[[str], _Progress] | None = None,
    log: Callable[[int, dict[str, float]], None] | None = None,
    out: Path | None = None,
) -> dict[str, Any]:
    """Train and score a structural probe at every layer, beside its baselines.

    Parameters
    ----------
    config
        Corpus, encoder, layers, rank and training.
    cache
        Where large states may lie meanwhile.
    check
        Called often; may raise to stop.
    progress
        Called with what is done and what there is in all, of each phase anew.
    phase
        Called with the name of each phase; what it returns is called in place of `progress`.
    log
        Called after each epoch with its number and the losses, named ``probe/loss_layer_3``, and
        ``probe/random_loss_layer_3`` of the random encoder.
    out
        Where the trained projections go; None: nowhere.

    Returns
    -------
    dict
        ``layers`` and ``random`` (one entry a layer: scores with intervals, loss, epochs), ``chain``, ``best``,
        ``trees``, ``sentences``, ``rank``, ``notices``, ``encoder``, ``corpus``; plain data.

    Raises
    ------
    DataError
        If the corpus has no trees, or too few.
    BertloomError
        If corpus or encoder cannot be read.
    """
    work = _Work(config, Path(cache), check, phase or (lambda name: progress), log or (lambda step, values: None))
    return work.result(out)


def run(config: ProbeConfig, context: RunContext, resume: bool = True) -> Outcome:
    """Execute a run of kind ``probe``; one that was stopped starts over.

    It leaves ``probe.npz`` and ``results.json`` in the run's folder.

    Raises
    ------
    BertloomError
        If corpus or encoder cannot be used.
    """
    out = Path(context.folder) / NAME

    def work(check: Callable[[], None], phase: Callable[[str], _Progress]) -> Leaves:
        found = probe_corpus(config, cache=Path(context.cache), check=check, phase=phase, log=context.metrics, out=out)
        best, chain = found["best"], found["chain"]["uuas"]
        words = f"Layer {best['layer']} holds the trees best: UUAS {best['uuas']:.3f}, linear chain {chain:.3f}."
        metrics = {
            "probe/uuas_best": best["uuas"], "probe/layer_best": best["layer"], "probe/uuas_chain": chain,
            "probe/dspr_best": best["dspr"],
        }  # fmt: skip
        return Leaves(metrics, {"probe": found}, found["notices"], ("best", words, best))

    return execute(context, work, config.runtime, resume=resume)


class _Work:
    def __init__(
        self, config: ProbeConfig, cache: Path, check: Callable[[], None], phase: Callable[[str], _Progress],
        log: Callable[[int, dict[str, float]], None],
    ):  # fmt: skip
        self.config, self.cache, self.check, self.phase, self.log = config, cache, check, phase, log
        self.seed = config.runtime.seed
        self.notices: list[str] = []

    def result(self, out: Path | None) -> dict[str, Any]:
        config = self.config
        corpus = read_corpus(config.corpus, check=self.check, looking=self.phase("rows"), progress=self.phase("corpus"))
        self.notices += corpus.notices
        material = _with_trees(corpus)
        encoder = self._encoder(random=False)
        layers = sorted({0, *encoder.pick_layers(config.layers)})
        found = self._probe(encoder, material, layers)
        random: list[dict[str, Any]] = []
        if config.random_encoder:
            described = encoder.describe()
            del encoder  # two encoders at once would only cost memory
            random = self._probe(self._encoder(random=True), material, layers, parts=found.parts).entries
        else:
            described = encoder.describe()
        ranked = [entry for entry in found.entries if entry["uuas"] is not None]
        if not ranked:
            raise DataError("No held-out sentence has two words, so there is nothing to score.", where="corpus")
        best = max(ranked, key=lambda entry: entry["uuas"])
        self._say(corpus, material, found)
        result = {
            "layers": found.entries, "random": random, "chain": found.chain, "trees": corpus.trees,
            "parser": corpus.parser, "language": corpus.language, "corpus": config.corpus.source,
            "encoder": described, "sentences": found.sentences, "rank": config.rank,
            "best": {name: best[name] for name in ("layer", "uuas", "uuas_low", "uuas_high", "dspr")},
            "notices": self.notices,
        }  # fmt: skip
        if out is not None:
            projections = {layer: probe.projection for layer, probe in found.probes.items()}
            save_probe(out, projections, {**result, "config": config.model_dump(mode="json")})
        return result

    def _encoder(self, *, random: bool) -> Encoder:
        self.check()
        runtime = self.config.runtime
        return load_encoder(
            self.config.model, random=random, seed=self.seed, device=runtime.device, threads=runtime.threads
        )

    def _probe(
        self, encoder: Encoder, material: _Material, layers: list[int], parts: dict[str, np.ndarray] | None = None
    ) -> _Probed:
        name = "random encoder: " if encoder.random else ""
        sentences = material.sentences
        tokens = [sentence.tokens for sentence in sentences]
        with token_states(
            encoder, tokens, layers, folder=self.cache, seed=self.seed, check=self.check,
            progress=self.phase(f"{name}states"),
        ) as states:  # fmt: skip
            if len(states.sentences) < _FEWEST:
                raise _too_few(len(states.sentences))
            heads = [np.asarray(sentences[index].heads) for index in states.sentences.tolist()]
            parts = parts or _split(len(heads), self.config.held_out, self.seed)
            set_threads(1)  # products of this size lose more to a second thread than they gain
            probes = self._train(encoder, states, heads, parts, name)
            held = parts["held_out"].tolist()
            trees = [heads[at] for at in held]
            chosen = [sentences[int(states.sentences[at])] for at in held]
            words = [word_mask(one.tokens, one.tags) for one in chosen]
            entries = self._score(encoder, states, probes, held, trees, words, name)
            chain = chain_scores(trees, words, seed=self.seed).as_dict()
            counts = {key: len(part) for key, part in parts.items()}
            return _Probed(entries, chain, counts, parts, probes, states.cut, states.thinned)

    def _train(
        self, encoder: Encoder, states: TokenStates, heads: list[np.ndarray], parts: Mapping[str, np.ndarray], name: str
    ) -> dict[int, Probe]:
        config, progress = self.config, self.phase(f"{name}training")
        series = "probe/random_loss_layer_" if encoder.random else "probe/loss_layer_"

        def log(epoch: int, losses: dict[int, float]) -> None:
            self.log(epoch, {f"{series}{layer}": loss for layer, loss in losses.items()})
            progress(epoch, config.epochs)

        setting = Setting(config.rank, config.epochs, config.lr, self.seed)
        distances = [tree_distances(tree) for tree in heads]
        return train_probes(
            states.layers, states.offsets, distances, parts["train"], parts["stopping"], setting,
            device=encoder.device, check=self.check, log=log,
        )  # fmt: skip

    def _score(
        self, encoder: Encoder, states: TokenStates, probes: dict[int, Probe], held: Sequence[int],
        trees: list[np.ndarray], words: list[np.ndarray], name: str,
    ) -> list[dict[str, Any]]:  # fmt: skip
        entries, progress = [], self.phase(f"{name}scoring")
        for number, (layer, probe) in enumerate(probes.items(), 1):
            self.check()
            distances = (predicted_distances(states.of(layer, at), probe.projection) for at in held)
            scores = score(distances, trees, words, seed=self.seed).as_dict()
            about = {"layer": layer, "width": encoder.widths[layer], "loss": probe.loss, "epochs": probe.epochs}
            entries.append({**about, **scores})
            progress(number, len(probes))
        return entries

    def _say(self, corpus: Corpus, material: _Material, found: _Probed) -> None:
        left_out = {
            **material.left_out, "with a token that the encoder gives no vector (too long, or no sub-word)": found.cut,
            "drawn out so that the states fit": found.thinned,
        }  # fmt: skip
        for reason, count in left_out.items():
            if count:
                were = "sentence was" if count == 1 else "sentences were"
                self.notices.append(f"{count:,} {were} left out: {reason}.")
        if corpus.trees == "silver":
            self.notices.append("The scores say how well layers agree with the parser, whose trees are not all right.")
        low, high = LENGTHS
        self.notices.append(
            f"UUAS counts {found.chain['edges']:,} edges between words of {found.sentences['held_out']:,} held-out "
            f"sentences; DSpr counts the {found.chain['dspr_sentences']:,} of them with {low} to {high} tokens. The "
            "best layer was chosen on the same sentences."
        )


@dataclass
class _Probed:
    """Probes of one encoder and what they scored."""

    entries: list[dict[str, Any]]
    chain: dict[str, Any]
    sentences: dict[str, int]
    parts: dict[str, np.ndarray]
    probes: dict[int, Probe]
    cut: int
    thinned: int


def _with_trees(corpus: Corpus) -> _Material:
    """Choose the sentences that a probe can learn from.

    Raises
    ------
    DataError
        If there are none or too few.
    """
    if corpus.trees == "none":
        raise DataError(
            "A structural probe needs trees, and this corpus has none.",
            where=f"language {corpus.language}, unit {corpus.unit}",
            expected="words of an English corpus, which is parsed, or a CoNLL-U file with heads",
            advice="Choose another corpus, or the unit word.",
        )
    found: list[Sentence] = []
    left_out = {"without a tree": 0, "with a broken tree": 0, "of less than two words": 0, "repeated": 0}
    seen: set[tuple[str, ...]] = set()
    for sentence in corpus.sentences:
        if sentence.heads is None:
            left_out["without a tree"] += 1
        elif not is_tree(sentence.heads):
            left_out["with a broken tree"] += 1
        elif int(word_mask(sentence.tokens, sentence.tags).sum()) < 2:
            left_out["of less than two words"] += 1
        elif (key := tuple(sentence.tokens)) in seen:  # the same sentence in training and held out would be a leak
            left_out["repeated"] += 1
        else:
            seen.add(key)
            found.append(sentence)
    if len(found) < _FEWEST:
        raise _too_few(len(found))
    return _Material(found, left_out)


def _too_few(count: int) -> DataError:
    return DataError(
        f"Only {count} sentences with trees can be used.", where="corpus",
        expected=f"at least {_FEWEST}, of two words or more, that the encoder reads to their end",
        advice="Use more sentences.",
    )  # fmt: skip


def _split(count: int, held_out: float, seed: int) -> dict[str, np.ndarray]:
    order = np.random.default_rng([0x9F0B, seed]).permutation(count)
    held = min(count - 2, max(1, round(held_out * count)))
    stopping = min(count - held - 1, max(1, round(_STOPPING * (count - held))))
    parts = np.split(order, [held, held + stopping])
    return dict(zip(("held_out", "stopping", "train"), (np.sort(part) for part in parts), strict=True))
