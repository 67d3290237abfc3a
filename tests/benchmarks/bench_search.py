"""What a search of a head costs: ``python -m tests.benchmarks.bench_search``.

Measured against the promise: twenty trials that share a frozen encoder's activations take at most 2.5 times as long as
one trial that computes them anew in every epoch. Trials are recorded as runs in a store, as in a worker; arms take
turns. The growth of memory from the third trial to the last says whether trials that are over hold theirs.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from core.config import Plan
from core.runs.control import Control
from core.runs.execute import execute
from core.runs.folder import read_json
from core.runs.records import Status
from core.runs.store import Store
from core.settings import Home

__all__ = ["main", "measure"]

TRIALS = 20
PROMISED = 2.5
ROWS = 2000


def _plan(epochs: int, *, trials: int, cached: bool, seed: int, pruner: str = "none") -> Plan:
    return Plan.model_validate(
        {
            "name": "bench", "data": {"source": "reviews", "train_rows": ROWS, "gate_rows": 500, "test_rows": 100},
            "model": {"max_length": 64},
            "stages": [
                {"name": "look", "kind": "search", "freeze_encoder": True, "epochs": epochs, "batch_size": 32,
                 "cache_activations": cached,
                 "search": {"trials": trials, "pruner": pruner,
                            "space": {"lr": {"low": 1e-4, "high": 1e-1, "log": True},
                                      "weight_decay": {"low": 0.0, "high": 0.1}}}}
            ],
            "runtime": {"threads": 1, "precision": "fp32", "seed": seed, "backend": "thread"},
        }
    )  # fmt: skip


def measure(epochs: int, seed: int, *, trials: int, cached: bool, pruner: str = "none") -> dict[str, Any]:
    """Execute one search in a home of its own and return its seconds and its memory."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Home(Path(folder) / "home").ensure())
        try:
            plan = _plan(epochs, trials=trials, cached=cached, seed=seed, pruner=pruner)
            Control(store).submit(plan)
            claim = store.claims.claim("benchmark")
            assert claim is not None
            ended = execute(store, claim.id, claim.token)
            assert ended is Status.FINISHED, ended
            results = read_json(store.home.run(claim.id) / "results.json")
            assert results is not None
            memory = [
                one.series["train/memory_mb"]["values"][-1]
                for part in reversed(store.runs.list(part_of=claim.id))
                if (one := store.points.series(part.id, names=["train/memory_mb"])).series
            ]
            states = [part.status.value for part in store.runs.list(part_of=claim.id)]
        finally:
            store.close()
    grown = memory[-1] - memory[2] if len(memory) > 3 else None
    return {"seconds": results["stages"][0]["seconds"], "memory_mb": memory[-1], "grown_mb": grown,
            "pruned": states.count("cancelled"), "trials": len(states)}  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    """Measure in turns until the minutes are over, and write ``docs/results/search.json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(arguments)
    until = time.monotonic() + 60 * options.minutes
    found: dict[str, Any] = {"trials": TRIALS, "rows": ROWS, "promised": PROMISED, "threads": 1}
    rounds: dict[int, list[tuple[dict[str, Any], dict[str, Any]]]] = {1: [], 3: []}
    for seed in range(options.rounds):
        for epochs, pairs in rounds.items():
            if time.monotonic() < until:
                many = measure(epochs, seed, trials=TRIALS, cached=True)
                one = measure(epochs, seed, trials=1, cached=False)
                pairs.append((many, one))
                print(f"{epochs} epochs: {TRIALS} trials {many['seconds']:.1f} s, one that recomputes "
                      f"{one['seconds']:.1f} s, memory grew by {many['grown_mb']:.0f} MB", flush=True)  # fmt: skip
    for epochs, pairs in rounds.items():
        if pairs:
            ratios = [many["seconds"] / one["seconds"] for many, one in pairs]
            found[f"{epochs} epochs"] = {
                "searches": len(pairs),
                "search_s": statistics.median(many["seconds"] for many, _ in pairs),
                "recomputing_s": statistics.median(one["seconds"] for _, one in pairs),
                "ratio": statistics.median(ratios),
                "ratio_highest": max(ratios),
                "grown_mb": max(many["grown_mb"] for many, _ in pairs),
            }
    if time.monotonic() < until:
        pruned = measure(3, 0, trials=TRIALS, cached=True, pruner="median")
        found["pruned"] = {key: pruned[key] for key in ("pruned", "grown_mb", "seconds")}
        print(f"{pruned['pruned']} of {TRIALS} trials ended early: memory grew by {pruned['grown_mb']:.0f} MB")
    target = Path(__file__).resolve().parents[2] / "docs" / "results" / "search.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(found, indent=1))
    held = all(one["ratio"] <= PROMISED for name, one in found.items() if name.endswith("epochs"))
    return 0 if held else 1


if __name__ == "__main__":
    raise SystemExit(main())
