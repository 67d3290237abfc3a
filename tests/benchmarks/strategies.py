"""Single, joint and pointer-based fine-tuning for names and questions on the same tweets: both budgets, five seeds.

python -m tests.benchmarks.strategies --minutes 60    # trains what is missing (make experiment-strategies), renders
python -m tests.benchmarks.strategies --rule steps    # one rule, or --seed 3: processes can share the work
python -m tests.benchmarks.strategies --render        # renders docs/strategies.md only

One small JSON a run under docs/results/strategies/RULE, written by what writes the records of a comparison.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from core.config.comparison import Comparison
from core.studies.comparing.plans import Job, jobs_of
from core.studies.comparing.records import ChildRun, read_children, write_child
from core.studies.comparing.run import train_job
from core.training.context import MemoryContext
from core.training.sharing import shared
from tests.benchmarks.strategies_arms import ABLATED, RULES, comparison

__all__ = ["PAGE", "RESULTS", "main", "measure", "missing", "read_results"]

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "docs" / "results" / "strategies"
PAGE = ROOT / "docs" / "strategies.md"
PICTURE = ROOT / "docs" / "pictures" / "strategies.svg"
_Found = tuple[str, Comparison, Job]


def read_results(rule: str) -> list[ChildRun]:
    """Return the records of a rule, by seed."""
    wanted = {(job.key, job.strategy.name) for job in jobs_of(comparison(rule))}
    return [one for one in read_children(RESULTS / rule) if (one.key, one.strategy) in wanted]


def missing(rules: Sequence[str] = RULES, seeds: Sequence[int] | None = None) -> list[_Found]:
    """Return what has to be trained, seed after seed, ablations last; of some seeds only, if they are given."""
    found = []
    for rule in rules:
        config = comparison(rule)
        there = {one.key for one in read_results(rule)}
        found += [(rule, config, job) for job in jobs_of(config) if job.key not in there]
    found = [one for one in found if seeds is None or one[2].seed in seeds]
    return sorted(found, key=lambda one: (one[2].strategy.name in ABLATED, one[2].seed))


def measure(jobs: Sequence[_Found], minutes: float) -> int:
    """Train until the minutes are over, and return how many runs are still missing."""
    until, longest = time.monotonic() + 60 * minutes, 0.0
    left = len(jobs)
    with tempfile.TemporaryDirectory(prefix="bertloom-strategies-") as temporary, shared():
        for rule, config, job in jobs:
            if time.monotonic() + longest > until:
                break
            started = time.monotonic()
            context = MemoryContext(Path(temporary) / rule / job.key, Path(temporary) / "cache")
            context.folder.mkdir(parents=True)
            _, record = train_job(job, config, context)
            assert record is not None, "nobody stops it"
            write_child(RESULTS / rule, record)
            left -= 1
            longest = max(longest, time.monotonic() - started)
            scores = ", ".join(f"{name} {one.score or 0:.4f}" for name, one in record.tasks.items())
            print(f"{rule} · {job.title}: {record.failed or scores} ({record.seconds:.1f} s), {left} left", flush=True)
    return left


def main() -> None:
    """Measure what is missing, or only render."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--minutes", type=float, default=60, help="begin nothing that would end later")
    parser.add_argument("--rule", choices=RULES, help="one rule of equal budgets only")
    parser.add_argument("--seed", type=int, action="append", help="this seed only; may be given several times")
    parser.add_argument("--render", action="store_true", help="render only")
    arguments = parser.parse_args()
    if not arguments.render:
        measure(missing([arguments.rule] if arguments.rule else RULES, arguments.seed), arguments.minutes)
    from tests.benchmarks.report_strategies import page, picture

    results = {rule: read_results(rule) for rule in RULES}
    PAGE.write_text(page(results), encoding="utf-8")
    PICTURE.write_text(picture(results), encoding="utf-8")


if __name__ == "__main__":
    main()
