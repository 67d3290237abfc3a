"""A comparison against its runs one by one: ``python -m tests.benchmarks.bench_compare``.

Two strategies (everything trained, the head alone) on the bundled reviews, with several seeds, in one process that has
loaded its libraries. Arms take turns, run by run:

``compare``
    the comparison: rows read and tokenised once, a frozen encoder's activations computed once, threads timed once;
``apart``
    the same plans, each with an empty cache of its own, as runs that know nothing of each other.

Promised is the ratio of the times: 0.9 at most.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from contextvars import Context
from pathlib import Path
from typing import Any

from core.config import Comparison, RunConfig
from core.studies.comparing.plans import jobs_of, plan_of
from core.studies.comparing.run import run
from core.training import train
from core.training.allocator import keep_freed_memory
from core.training.context import MemoryChild, MemoryContext

__all__ = ["PROMISED", "Turns", "comparison", "main", "measure"]

PROMISED = 0.9
TARGET = Path(__file__).resolve().parents[2] / "docs" / "results" / "compare-speed.json"


def comparison(rows: int, steps: int, seeds: int, model: str = "bundled") -> Comparison:
    """Return the comparison that is measured."""
    return Comparison.model_validate(
        {
            "strategies": [{"name": "all"}, {"name": "head", "encoder": "frozen", "stage": {"lr": 0.01}}],
            "tasks": [
                {"name": "reviews",
                 "data": {"source": "reviews", "train_rows": rows, "gate_rows": 200, "test_rows": 200}},
            ],
            "seeds": seeds, "budget": {"steps": steps}, "model": {"source": model, "max_length": 64},
            "runtime": {"precision": "fp32", "device": "cpu", "keep": "metrics"},
        }
    )  # fmt: skip


class Turns(MemoryContext):
    """The context of a comparison in which every run waits for the same plan as a run that knows nothing of others.

    Every second run is first, and the one alone after it, so that neither arm is always the later one.
    """

    def __init__(self, place: Path, config: Comparison) -> None:
        super().__init__(place / "run", place / "cache")
        self.folder.mkdir()
        self.alone = 0.0
        self._plans: list[Any] = [plan_of(config, job) for job in jobs_of(config)]
        self._waiting: list[Any] = []
        self._number = 0

    def child(self, key: str, *, name: str, plan: RunConfig, tags: Any = ()) -> MemoryChild:
        self.catch_up()
        self._waiting.append(self._plans[self._number])
        self._number += 1
        if self._number % 2:
            self.catch_up()
        return super().child(key, name=name, plan=plan, tags=tags)

    def catch_up(self) -> None:
        """Train what waits, in an empty cache and without what the comparison's runs share."""
        while self._waiting:
            began = time.perf_counter()
            with tempfile.TemporaryDirectory() as place:
                own = MemoryContext(Path(place) / "run", Path(place) / "cache")
                Context().run(train, self._waiting.pop(), own)
            self.alone += time.perf_counter() - began


def measure(config: Comparison) -> dict[str, float]:
    """Return the seconds of the comparison and of its runs apart, run by run in turns."""
    with tempfile.TemporaryDirectory() as place:
        context = Turns(Path(place), config)
        began = time.perf_counter()
        run(config, context)
        within = time.perf_counter() - began - context.alone
        context.catch_up()
    return {"compare": within, "apart": context.alone}


def main(arguments: list[str] | None = None) -> int:
    """Measure until the minutes are over, and write ``docs/results/compare-speed.json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--model", default="bundled")
    parser.add_argument("--dry", action="store_true", help="Print only: nothing is written.")
    options = parser.parse_args(arguments)
    keep_freed_memory()  # as every worker does
    until = time.monotonic() + 60 * options.minutes
    config = comparison(options.rows, options.steps, options.seeds, options.model)
    measure(comparison(100, 2, 1, options.model))  # libraries and files are then loaded for both arms
    rounds: list[dict[str, float]] = []
    while len(rounds) < options.rounds and (not rounds or time.monotonic() < until):
        rounds.append(measure(config))
        print(f"comparison {rounds[-1]['compare']:.1f} s, apart {rounds[-1]['apart']:.1f} s", flush=True)
    ratios = [one["compare"] / one["apart"] for one in rounds]
    found: dict[str, Any] = {
        "rows": options.rows, "steps": options.steps, "seeds": options.seeds, "runs": len(jobs_of(config)),
        "rounds": len(rounds), "promised": PROMISED, "ratio": statistics.median(ratios), "highest": max(ratios),
        "seconds": {name: statistics.median(one[name] for one in rounds) for name in ("compare", "apart")},
    }  # fmt: skip
    if not options.dry:
        TARGET.parent.mkdir(parents=True, exist_ok=True)
        TARGET.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(found, indent=1))
    return 0 if found["ratio"] <= PROMISED else 1


if __name__ == "__main__":
    raise SystemExit(main())
