"""What students of three and two layers keep of a fine-tuned teacher, with and without it: one JSON a run.

python -m tests.benchmarks.distillation --minutes 60    # trains what is missing (make experiment-distillation), renders
python -m tests.benchmarks.distillation --speed         # measures what models cost (a quiet machine), renders
python -m tests.benchmarks.distillation --render        # renders docs/distilled.md only

Teachers stay in docs/results/distillation/.cache, which git does not know; one that is missing is trained again.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from core.config import Plan
from core.studies.records import ArmRun, record_of
from core.training import MemoryContext, Outcome, train
from tests.benchmarks.distillation_arms import Job, jobs, student_plan, teacher_plan
from tests.benchmarks.distillation_speed import measure_speed

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "docs" / "results" / "distillation"
PAGE = ROOT / "docs" / "distilled.md"
SPEED = "speed.json"


@dataclass(frozen=True)
class Taught:
    """One run of the experiment: its scores as the claims keep them, and its size."""

    task: str
    seed: int
    layers: int
    arm: str
    parameters: int
    run: ArmRun

    @property
    def key(self) -> str:
        """A name for files."""
        return Job(self.task, self.seed, self.layers, self.arm).key


def read_results(folder: Path = RESULTS) -> list[Taught]:
    """Return what was measured; files that are no results are left out."""
    found = []
    for path in sorted(folder.glob("*_*.json")):
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            found.append(Taught(**{**data, "run": ArmRun.from_dict(data["run"])}))
        except (OSError, ValueError, TypeError, KeyError):
            continue
    return found


def write_result(one: Taught, folder: Path = RESULTS) -> None:
    """Write one result: whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{one.key}.part"
    part.write_text(
        json.dumps({**asdict(one), "run": one.run.as_dict()}, separators=(",", ":")) + "\n", encoding="utf-8"
    )
    part.replace(folder / f"{one.key}.json")


def run_job(job: Job, plan: Plan, folder: Path, cache: Path) -> Taught:
    """Train one teacher or student into a folder and return what is kept of it."""
    context = MemoryContext(folder, cache)
    folder.mkdir(parents=True)
    started = time.monotonic()
    if train(plan, context, resume=False) is not Outcome.FINISHED:
        raise SystemExit(f"{job.key} was not finished")
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    names = {name for name, _ in context.points}
    points = {name: context.series(name) for name in names}
    record = record_of(
        "full", job.arm, job.seed, plan, points, results, seconds=time.monotonic() - started, run_id=job.key
    )
    from core.models.info import describe

    return Taught(job.task, job.seed, job.layers, job.arm, describe(str(folder / "best")).parameters, record)


def measure(minutes: float) -> int:
    """Train what is missing until the minutes are over, and return how many runs are still missing."""
    until = time.monotonic() + 60 * minutes
    there = {one.key for one in read_results()}
    missing = [job for job in jobs() if job.key not in there]
    longest = 0.0
    cache = RESULTS / ".cache"
    while missing and time.monotonic() + longest < until:
        job = missing[0]
        started = time.monotonic()
        teacher = cache / f"{job.task}_{job.seed}"
        if not (teacher / "results.json").exists():
            shutil.rmtree(teacher, ignore_errors=True)
            made = run_job(Job(job.task, job.seed), teacher_plan(job.task, job.seed), teacher, cache)
            write_result(made)
            _tell(made, len(missing))
        if job.layers:
            with tempfile.TemporaryDirectory(prefix="bertloom-distil-") as folder:
                made = run_job(job, student_plan(job, str(teacher / "best")), Path(folder) / "run", cache)
            write_result(made)
            _tell(made, len(missing) - 1)
        missing.pop(0)
        longest = max(longest, time.monotonic() - started)
    return len(missing)


def _tell(made: Taught, left: int) -> None:
    print(f"{made.key}: {made.run.score:.4f} ({made.run.seconds:.1f} s), {left} left", flush=True)


def main() -> None:
    """Measure what is missing, or only render."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--speed", action="store_true", help="measure what models cost (a quiet machine), render")
    parser.add_argument("--render", action="store_true")
    arguments = parser.parse_args()
    if arguments.speed:
        if found := measure_speed(RESULTS / ".cache"):
            (RESULTS / SPEED).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    elif not arguments.render:
        measure(arguments.minutes)
    from tests.benchmarks.report_distillation import page

    speed = json.loads((RESULTS / SPEED).read_text(encoding="utf-8")) if (RESULTS / SPEED).exists() else {}
    PAGE.write_text(page(read_results(), speed), encoding="utf-8")


if __name__ == "__main__":
    main()
