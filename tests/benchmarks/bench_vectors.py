"""Word vectors and nearest neighbours against plain peers: ``python -m tests.benchmarks.bench_vectors``.

Measured against the promises: word vectors of 2,000 sentences at all layers at least 3 times as fast as a loop of one
sentence at a time over stock transformers, and the exact 10 nearest neighbours of all 30,522 words of the vocabulary no
slower than faiss' exact index, below 1.5 GB. Arms are interleaved and use the same threads; medians and spread are
reported.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np

from core.config.graph import VectorConfig
from core.config.plan import ModelConfig
from core.data.sample_rows import read_sample
from core.graph.encoder import Encoder, load_encoder
from core.graph.knn import nearest
from core.graph.types import Corpus, Sentence
from core.graph.vectors import normalise, word_vectors
from core.training.choices import usable_cores

__all__ = ["main", "measure_neighbours", "measure_vectors"]

_RESULTS = Path(__file__).resolve().parents[2] / "docs" / "results" / "graph" / "vectors.json"
_MAX_LENGTH = 128
_NEIGHBOURS = 10
#: A process that only searches prints its peak memory in MB.
_PEAK = """
import pathlib, resource, sys
import numpy
from core.graph.knn import nearest
nearest(numpy.load(sys.argv[1], allow_pickle=False), int(sys.argv[2]))
status = pathlib.Path("/proc/self/status")
if status.exists():  # getrusage would count what the process that started this one held
    print(next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")) / 1e3)
else:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6)
"""


def _corpus(sentences: int) -> Corpus:
    """Return the first sentences of the review sample, split at spaces."""
    split = []
    for row in read_sample("reviews"):
        split.append(str(row["text"]).split())
        if len(split) == sentences:
            break
    counts = Counter(token.lower() for tokens in split for token in tokens)
    words = [word for word, _ in counts.most_common()]
    index = {word: node for node, word in enumerate(words)}
    made = [
        Sentence(" ".join(tokens), tokens, np.array([index[token.lower()] for token in tokens])) for tokens in split
    ]
    blank = [""] * len(words)
    return Corpus(made, words, np.array([counts[word] for word in words]), blank, blank)


def _loop(corpus: Corpus, encoder: Encoder, stock: Any, contexts: int) -> np.ndarray:
    """Do it plainly: one sentence at a time, every layer from one pass; shape (layers, words, width)."""
    import torch

    sums = torch.zeros(encoder.num_layers + 1, len(corpus.words), encoder.width)
    seen = [0] * len(corpus.words)
    with torch.no_grad():
        for sentence in corpus.sentences:
            encoded = encoder.tokenizer(
                sentence.tokens, is_split_into_words=True, truncation=True, max_length=_MAX_LENGTH, return_tensors="pt"
            )
            hidden = torch.stack(stock(**encoded, output_hidden_states=True).hidden_states)[:, 0]
            pieces: dict[int, list[int]] = {}
            for place, token in enumerate(encoded.word_ids()):
                if token is not None:
                    pieces.setdefault(token, []).append(place)
            for token, places in pieces.items():
                node = int(sentence.nodes[token])
                if seen[node] < contexts:
                    sums[:, node] += hidden[:, places].mean(dim=1)
                    seen[node] += 1
    return (sums / torch.tensor(seen).clamp(min=1)[None, :, None]).numpy()


def _turns(arms: dict[str, Callable[[], Any]], seconds: float, most: int) -> dict[str, list[tuple[float, float]]]:
    """Time arms in turns, at least three times each, until the seconds are over: (wall time, process time) each."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in arms}
    end = time.monotonic() + seconds
    for turn in range(most):
        if turn >= 3 and time.monotonic() > end:
            break
        for name, arm in arms.items():
            begun, spent = time.perf_counter(), time.process_time()
            arm()
            times[name].append((time.perf_counter() - begun, time.process_time() - spent))
    return times


def _figures(times: dict[str, list[tuple[float, float]]], ours: str, peer: str) -> dict[str, Any]:
    """Return medians and spread of both arms; `ratio` by wall time, `cpu_ratio` by process time (for busy machines)."""
    found: dict[str, Any] = {}
    for name, pairs in times.items():
        values = [wall for wall, _ in pairs]
        found[f"{name}_s"] = statistics.median(values)
        found[f"{name}_s_low"], found[f"{name}_s_high"] = min(values), max(values)
        found[f"{name}_cpu_s"] = statistics.median(cpu for _, cpu in pairs)
    for clock, name in enumerate(("ratio", "cpu_ratio")):
        ratios = [other[clock] / own[clock] for own, other in zip(times[ours], times[peer], strict=True)]
        found |= {name: statistics.median(ratios), f"{name}_low": min(ratios), f"{name}_high": max(ratios)}
    return found | {"turns": len(times[ours])}


def measure_vectors(seconds: float, sentences: int = 2000, threads: int | Literal["auto"] = "auto") -> dict[str, Any]:
    """Measure word vectors at all layers against a loop of one sentence at a time, both with the same threads."""
    import torch
    from transformers import AutoModel

    from core.models.loading import quiet
    from core.models.sources import resolve

    corpus = _corpus(sentences)
    encoder = load_encoder(ModelConfig(max_length=_MAX_LENGTH), device="cpu", threads=threads)
    with quiet():
        stock = AutoModel.from_pretrained(str(resolve("bundled").folder), local_files_only=True).eval()
    torch.set_num_threads(encoder.threads)
    config = VectorConfig()
    kept: dict[str, Any] = {}

    def batched() -> None:
        kept["batched"] = word_vectors(corpus, encoder, "all", config)

    def loop() -> None:
        kept["loop"] = _loop(corpus, encoder, stock, config.contexts)

    small = _corpus(50)
    word_vectors(small, encoder, "all", config)
    _loop(small, encoder, stock, config.contexts)
    found = _figures(_turns({"batched": batched, "loop": loop}, seconds, 9), "batched", "loop")
    rare = corpus.counts <= config.contexts  # of more frequent words other contexts are taken
    difference = max(
        float(np.abs(kept["batched"].raw[layer][rare] - kept["loop"][layer][rare]).max())
        for layer in range(encoder.num_layers + 1)
    )
    return found | {
        "promise": "ratio >= 3",
        "sentences": len(corpus.sentences),
        "words": len(corpus.words),
        "tokens": int(corpus.counts.sum()),
        "layers": encoder.num_layers + 1,
        "threads": encoder.threads,
        "largest_difference": difference,
    }


def _vocabulary() -> np.ndarray:
    """Return the bundled encoder's whole embedding table, normalised like word vectors; shape (words, width)."""
    encoder = load_encoder(ModelConfig(max_length=_MAX_LENGTH), device="cpu", threads=1)
    return normalise(encoder.model.get_input_embeddings().weight.detach().numpy(), 2)


def measure_neighbours(seconds: float) -> dict[str, Any]:
    """Measure exact nearest neighbours of the whole vocabulary against faiss' exact index."""
    import faiss
    from threadpoolctl import threadpool_info, threadpool_limits

    threads = usable_cores()
    vectors = _vocabulary()
    kept: dict[str, Any] = {}

    def exact() -> None:
        kept["exact"] = nearest(vectors, _NEIGHBOURS)

    def flat() -> None:
        index = faiss.IndexFlatIP(vectors.shape[1])
        index.add(vectors)
        kept["faiss"] = index.search(vectors, _NEIGHBOURS + 1)

    with threadpool_limits(threads):  # the products of both; what ran before may have left them at different numbers
        faiss.omp_set_num_threads(threads)
        blas = {info["num_threads"] for info in threadpool_info() if info["user_api"] == "blas"}
        found = _figures(_turns({"exact": exact, "faiss": flat}, seconds, 9), "exact", "faiss")
    mine, theirs = np.sort(kept["exact"][1], axis=1), np.sort(kept["faiss"][0][:, 1:], axis=1)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "vectors.npy"
        np.save(file, vectors)
        # By itself, so that neither torch nor faiss is counted.
        command = [sys.executable, "-c", _PEAK, str(file), str(_NEIGHBOURS)]
        peak = float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return found | {
        "promise": "ratio >= 1, peak below 1,500 MB",
        "words": len(vectors),
        "width": vectors.shape[1],
        "k": _NEIGHBOURS,
        "threads": faiss.omp_get_max_threads(),
        "threads_of_products": max(blas),
        "largest_difference_of_cosines": float(np.abs(mine - theirs).max()),
        "peak_mb": peak,
    }


def main(minutes: float = 5.0, threads: int | Literal["auto"] = "auto") -> dict[str, dict[str, Any]]:
    """Run both and return the figures."""
    return {
        "word_vectors": measure_vectors(30 * minutes, threads=threads),
        "neighbours": measure_neighbours(30 * minutes),
        "machine": {"processor": platform.processor() or platform.machine(), "python": platform.python_version()},
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0, help="begin no further turn after about this time")
    parser.add_argument("--threads", type=int, default=None, help="threads of the encoder in both arms; default: timed")
    options = parser.parse_args()
    measured = main(options.minutes, options.threads or "auto")
    for part, figures in measured.items():
        print(part)
        for figure, value in figures.items():
            print(f"  {figure:30} {value:.4g}" if isinstance(value, int | float) else f"  {figure:30} {value}")
    _RESULTS.parent.mkdir(parents=True, exist_ok=True)
    _RESULTS.write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")
