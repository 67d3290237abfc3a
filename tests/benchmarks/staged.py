"""Staged plans against a search at equal steps, five seeds; and what every ready plan gives, once on each sample.

python -m tests.benchmarks.staged --minutes 60                # trains what is missing (make experiment-staged), renders
python -m tests.benchmarks.staged --part race --minutes 60    # staged plans against the search only
python -m tests.benchmarks.staged --part plans --minutes 30   # the table of ready plans only
python -m tests.benchmarks.staged --render                    # renders docs/staged.md only

One small JSON a run under docs/results/staged and docs/results/templates. A search goes on after the trial at which the
minutes were over; until it has ended, its trials lie beside the results in a folder that git ignores.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from core.config import Plan, RuntimeConfig
from core.config.templates import template, templates
from core.errors import TrainingDiverged
from core.studies.records import record_of
from core.training import MemoryContext, Outcome, train
from core.training.context import Request
from core.training.counting import count_steps
from core.training.search.history import History
from tests.benchmarks.staged_arms import (
    LONG,
    PLAIN,
    READY,
    SEARCH,
    SHORT,
    arm_name,
    attempts,
    plain_plan,
    ready_plan,
    search_plan,
)
from tests.benchmarks.staged_records import Result, read_results, stages_of, write_result

ROOT = Path(__file__).resolve().parents[2]
RACE = ROOT / "docs" / "results" / "staged"
PLANS = ROOT / "docs" / "results" / "templates"
PAGE = ROOT / "docs" / "staged.md"
SEEDS = 5
#: Sample → task of the table of ready plans.
SAMPLES = {"reviews": "classification", "tweets": "tagging"}


@dataclass(frozen=True)
class Job:
    """One run to be made."""

    folder: Path
    name: str
    seed: int
    plan: Callable[[], Plan]

    @property
    def key(self) -> str:
        """Name of its file."""
        return f"{self.name}_{self.seed}"


def race_jobs() -> list[Job]:
    """Return the runs of the experiment, seed after seed, the short ones first."""
    found = []
    for seed in range(SEEDS):
        found.append(Job(RACE, PLAIN, seed, partial(plain_plan, seed)))
        found += [
            Job(RACE, arm_name(name, steps), seed, partial(ready_plan, name, steps, seed))
            for steps in (SHORT, LONG)
            for name in READY
        ]
        found.append(Job(RACE, SEARCH, seed, partial(search_plan, seed)))
    return found


def plan_jobs() -> list[Job]:
    """Return one run of every ready plan on every sample, as the plan stands."""
    return [
        Job(PLANS, f"{sample}-{one.name}", 0, partial(whole_plan, one.name, sample))
        for sample in SAMPLES
        for one in templates()
    ]


def whole_plan(name: str, sample: str) -> Plan:
    """Return a ready plan for a sample as it stands; of the weights nothing is kept."""
    plan = template(name).plan(sample, SAMPLES[sample])
    return plan.model_copy(update={"runtime": RuntimeConfig(keep="metrics")})


# -- one run ---------------------------------------------------------------------------------------------------------
@dataclass
class Sliced(MemoryContext):
    """A context that pauses between two trials of a search of `trials` when the time is over.

    A trial that is stopped in the middle would begin again, and a search that is stopped after its last one would train
    the best one once more.
    """

    trials: int = 0
    until: float = float("inf")
    over: bool = False
    taken: list[float] = field(default_factory=list)
    _last: float = field(default_factory=time.monotonic)

    def event(self, kind: str, message: str, *, step: int | None = None, data: Mapping[str, Any] | None = None) -> None:
        """Keep an event, and look at the clock after a trial."""
        super().event(kind, message, step=step, data=data)
        if kind == "trial":
            now = time.monotonic()
            self.taken.append(now - self._last)
            self._last = now
            left = self.trials - 1 - (data or {})["trial"]
            self.over = left > 0 and now + max(self.taken) > self.until

    def request(self) -> Request:
        """Ask for a pause when the time is over."""
        return Request.PAUSE if self.over else Request.NONE


def run_job(job: Job, folder: Path, cache: Path, until: float = float("inf")) -> Result | None:
    """Make one run, or go on with a search in its folder.

    Parameters
    ----------
    job
        What is run.
    folder
        The run's folder; a search that was stopped has its trials there.
    cache
        Cached activations.
    until
        When a search is to stop after the trial that it is at (time.monotonic); other runs always end.

    Returns
    -------
    Result or None
        None where a search is not over.
    """
    plan = job.plan()
    searches = [stage.search for stage in plan.active if stage.search is not None]
    context = Sliced(folder, cache)
    if job.name == SEARCH:
        context.until, context.trials = until, searches[0].trials
    folder.mkdir(parents=True, exist_ok=True)
    started, failed = time.monotonic(), ""
    try:
        if train(plan, context, resume=bool(searches)) is not Outcome.FINISHED:
            return None
    except TrainingDiverged as error:
        failed = error.what
    seconds = time.monotonic() - started
    path = folder / "results.json"
    results: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    points: dict[str, list[tuple[int, float]]] = {}
    for (name, step), value in sorted(context.points.items()):
        points.setdefault(name, []).append((step, value))
    counted = count_steps(plan, cache=cache)["stages"]
    tried = _tried(plan, counted, folder)
    if job.name == SEARCH:  # those before a stop included
        seconds = sum(one["seconds"] for one in tried)
    record = record_of("full", job.name, job.seed, plan, points, results, failed=failed, seconds=seconds)
    best = (results.get("training") or {}).get("best") or {}
    record = dataclasses.replace(record, gate_score=None if failed else best.get("value"), run_id="")
    trained = max((step for step, _ in points.get("train/loss", ())), default=0)
    tested = sum(len(curve) for name, curve in points.items() if name.startswith("range/") and name.endswith("/loss"))
    spent = trained + tested + sum(one["steps"] for one in tried)
    most = sum(one["steps"] * attempts(stage) for one, stage in zip(counted, plan.active, strict=True))
    return Result(job.name, job.seed, record, most, spent, stages_of(results), tried)


def _tried(plan: Plan, counted: list[dict[str, Any]], folder: Path) -> list[dict[str, Any]]:
    """Return the trials of a plan's searches: number, values, score, state, steps, seconds.

    A trial whose values repeat an earlier one's takes no steps; one that failed counts with all of its steps.
    """
    found = []
    for index, stage in enumerate(plan.active):
        history = History.read(folder, index) if stage.kind == "search" else None
        for one in history.trials if history is not None else ():
            steps = 0
            if one.repeats is None:
                steps = _last_step(folder / "children" / f"{index}-{one.number}") or counted[index]["trial_steps"]
            found.append(
                {"number": one.number, "values": {key: _short(value) for key, value in one.values.items()},
                 "score": one.scores[0] if one.scores else None, "state": one.state, "steps": steps,
                 "seconds": one.seconds}
            )  # fmt: skip
    return found


def _last_step(folder: Path) -> int:
    """Return the last step of a trial; 0 where it failed and left no results."""
    path = folder / "results.json"
    if not path.exists():
        return 0
    results = json.loads(path.read_text(encoding="utf-8"))
    return max((one.get("last_step") or 0 for stage in results["stages"] for one in stage["attempts"]), default=0)


def _short(value: Any) -> Any:
    return float(f"{value:.4g}") if isinstance(value, float) else value


# -- all runs --------------------------------------------------------------------------------------------------------
def missing(jobs: list[Job]) -> list[Job]:
    """Return the jobs without a result."""
    there = {(folder, one.key) for folder in {job.folder for job in jobs} for one in read_results(folder)}
    return [job for job in jobs if (job.folder, job.key) not in there]


def measure(jobs: list[Job], minutes: float) -> int:
    """Make what is missing until the minutes are over, and return how many runs are still missing."""
    until = time.monotonic() + 60 * minutes
    left, longest = missing(jobs), dict[str, float]()
    with tempfile.TemporaryDirectory(prefix="bertloom-staged-") as temporary:
        for number, job in enumerate(list(left)):
            kind = job.name.rpartition("-")[2] if job.folder == RACE else "plan"
            if time.monotonic() + longest.get(kind, 0.0) > until:
                continue  # a shorter one may still fit
            folder = RACE / ".cache" / job.key if job.name == SEARCH else Path(temporary) / str(number)
            started = time.monotonic()
            result = run_job(job, folder, Path(temporary) / "cache", until)
            if result is None:
                print(f"{job.key}: stopped after a trial; the next call goes on", flush=True)
                continue
            write_result(job.folder, result)
            shutil.rmtree(folder, ignore_errors=True)
            left.remove(job)
            if job.name != SEARCH:
                longest[kind] = max(longest.get(kind, 0.0), time.monotonic() - started)
            told = result.run.failed or f"gate {result.gate or 0:.4f}, test {result.score or 0:.4f}"
            words = f"{result.spent} of {result.planned} steps, {result.run.seconds:.1f} s"
            print(f"{job.key}: {told} ({words}), {len(left)} left", flush=True)
    return len(left)


def main() -> None:
    """Measure what is missing, or only render."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--minutes", type=float, default=60, help="begin nothing that would end later")
    parser.add_argument("--part", choices=["race", "plans"], help="only this part")
    parser.add_argument("--render", action="store_true", help="render only")
    arguments = parser.parse_args()
    jobs = {"race": race_jobs(), "plans": plan_jobs()}
    if not arguments.render:
        wanted = [job for part in jobs if arguments.part in (None, part) for job in jobs[part]]
        measure(wanted, arguments.minutes)
    from tests.benchmarks.report_staged import page

    PAGE.write_text(page(read_results(RACE), read_results(PLANS)), encoding="utf-8")


if __name__ == "__main__":
    main()
