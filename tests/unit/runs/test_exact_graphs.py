"""Runs that build a graph, train a probe or a graph network, killed at random moments and resumed, end as others do."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.api import Studio
from core.config import GraphConfig, LinkConfig, ProbeConfig
from core.runs.records import RunRecord, Status
from core.settings import Home
from tests.tiny import tiny_encoder

NOUNS = [f"{one}{other}" for one in "abcdefg" for other in "aeiou"]
VERBS = ["love", "hate", "read", "ran", "said", "went", "lives", "works"]
HEADS = [2, 3, 0, 5, 3, 3]
RELATIONS = ["det", "nsubj", "root", "det", "obj", "punct"]

Config = GraphConfig | ProbeConfig | LinkConfig


def write_trees(path: Path, sentences: int) -> Path:
    """Write sentences "the NOUN VERB a NOUN ." with their trees."""
    luck = random.Random(3)
    blocks = []
    for _ in range(sentences):
        words = ["the", luck.choice(NOUNS), luck.choice(VERBS), "a", luck.choice(NOUNS), "."]
        rows = enumerate(zip(words, HEADS, RELATIONS, strict=True), 1)
        lines = [f"{place}\t{word}\t{word}\tX\t_\t_\t{head}\t{name}\t_\t_" for place, (word, head, name) in rows]
        blocks.append("\n".join(lines))
    path.write_text("\n\n".join(blocks) + "\n\n", encoding="utf-8")
    return path


def graph_config(folder: Path, **changes: Any) -> GraphConfig:
    source = write_trees(folder / "trees.conllu", 1500)
    return GraphConfig.model_validate(
        {
            "name": "exact", "corpus": {"source": str(source), "language": "en"},
            "model": {"source": str(tiny_encoder(folder / "encoder", max_positions=32)), "max_length": 32},
            "edges": ["dep", "sim", "cooc", "attn"], "settings": {"sim": {"k": 4}},
            "runtime": {"device": "cpu", "threads": 1}, **changes,
        }
    )  # fmt: skip


def probe_config(graph: GraphConfig) -> ProbeConfig:
    shared = graph.model_dump(include={"corpus", "model", "runtime"})
    return ProbeConfig.model_validate({**shared, "name": "exact", "rank": 8, "epochs": 15, "lr": 0.01})


def link_config(graph: GraphConfig, file: Path) -> LinkConfig:
    shared = graph.model_dump(include={"runtime"})
    own = {"name": "exact", "graph": str(file), "layer": 1, "hidden": 16, "epochs": 30, "min_probability": 0.1}
    return LinkConfig.model_validate({**shared, **own})


def submit(studio: Studio, config: Config) -> str:
    if isinstance(config, GraphConfig):
        return studio.graphs.build(config)
    return studio.graphs.probe(config) if isinstance(config, ProbeConfig) else studio.graphs.link(config)


def fingerprint(studio: Studio, run: str) -> dict[str, Any]:
    """Return everything of a finished run that must be equal: files, results, series."""
    place = studio.home.run(run)
    results = json.loads((place / "results.json").read_text(encoding="utf-8"))
    found: dict[str, Any] = {"metrics": results["metrics"], "details": results["details"]}
    for name in ("graph.graph", "trees.jsonl"):
        if (place / name).exists():
            found[name] = hashlib.sha256((place / name).read_bytes()).hexdigest()
    if (place / "probe.npz").exists():
        with np.load(place / "probe.npz") as arrays:
            found |= {f"probe.npz/{name}": arrays[name].tobytes() for name in arrays.files}
    for name, series in studio.runs.series(run, max_points=None).series.items():
        found[name] = list(zip(series["steps"], series["values"], strict=True))
    return found


def strike(studio: Studio, run: str, delay: float, struck: set[int]) -> RunRecord:
    """Kill a run's worker (``kill -9``) so many seconds after it began; return the record when it has ended."""
    end = time.monotonic() + 100
    while not (record := studio.runs.get(run)).status.active or record.pid is None or record.pid in struck:
        assert time.monotonic() < end, f"the run stayed {record.status}"
        time.sleep(0.01)
    time.sleep(delay)
    if studio.runs.get(run).status.active:
        struck.add(record.pid)
        with contextlib.suppress(ProcessLookupError):  # it ended by itself just now
            os.kill(record.pid, signal.SIGKILL)
    return studio.runs.wait(run, 200)


def finish(studio: Studio, config: Config) -> tuple[str, float]:
    """Execute a run undisturbed; return its id and how many seconds its worker took."""
    run = submit(studio, config)
    record = studio.runs.wait(run, 300)
    assert record.status is Status.FINISHED, record.error
    assert record.started is not None
    assert record.ended is not None
    return run, record.ended - record.started


def prove(folder: Path, kind: str, blows: int, seed: int) -> None:
    """Compare a run that is killed so many times with one that is not, each in a home (and cache) of its own."""
    luck = random.Random(seed)
    graph = graph_config(folder)
    with Studio(Home(folder / "calm"), warm=False) as calm, Studio(Home(folder / "struck"), warm=False) as struck:
        config: Config = graph
        if kind == "probe":
            config = probe_config(graph)
        elif kind == "link":  # both read the same file: that the graphs are equal is another proof
            config = link_config(graph, calm.home.run(finish(calm, graph)[0]) / "graph.graph")
        undisturbed, seconds = finish(calm, config)
        expected = fingerprint(calm, undisturbed)
        run, told, workers = submit(struck, config), f"{kind}, seed {seed}", set[int]()
        for _ in range(blows):
            delay = luck.random() * seconds
            told += f", killed after {delay:.2f} of {seconds:.2f} s"
            record = strike(struck, run, delay, workers)
            if record.status is Status.FINISHED:  # the blow came too late
                break
            assert record.status is Status.INTERRUPTED, f"{told}: {record.error}"
            struck.runs.resume(run)
        record = struck.runs.wait(run, 300)
        assert record.status is Status.FINISHED, f"{told}: {record.error}"
        assert workers, f"{told}: no blow struck"
        found = fingerprint(struck, run)
        differing = [name for name in expected if expected[name] != found.get(name)]
        assert not differing, f"{told}: {differing} differ"
        assert found.keys() == expected.keys()


@pytest.mark.verify
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("kind", ["graph", "probe", "link"])
def test_a_killed_run_ends_as_the_undisturbed_one(kind: str, tmp_path: Path) -> None:
    prove(tmp_path, kind, 6, random.SystemRandom().randrange(10**6))
