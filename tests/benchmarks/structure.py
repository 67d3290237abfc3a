"""Are the word graphs' shapes worth anything? Every arm with every seed, one small JSON each.

python -m tests.benchmarks.structure --minutes 60   # makes what is missing (make experiment-structure), then renders
python -m tests.benchmarks.structure --render       # renders docs/structure.md and its picture only

One arm with one seed: its shapes inherit the bundled encoder's weights and are ranked by their distillation loss on
held-out texts; the best is distilled, measured on the same texts, and fine-tuned. Seed after seed, so that what is
there can be compared; the minutes may be spent in portions, and the page says what is missing.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.config import Plan
from core.config.graph import CorpusConfig
from core.config.statistics import StatisticsConfig
from core.settings import home
from core.studies.records import ArmRun, record_of
from core.training import MemoryContext
from core.training.files import write_json
from tests.benchmarks.structure_arms import ARMS, Arm, permuted, shapes_of
from tests.benchmarks.structure_records import ShapeRun, key_of, read_runs, write_run

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "docs" / "results" / "structure"
STATISTICS = RESULTS / "statistics.json"
PAGE = ROOT / "docs" / "structure.md"
PICTURE = ROOT / "docs" / "pictures" / "structure.svg"
SEEDS = 8
#: Distillation: steps of so many sub-words, all other texts of the calibration corpus at most once.
STEPS, BATCH_TOKENS = 120, 512
TRAIN_TOKENS = STEPS * BATCH_TOKENS
#: Fine-tuning: steps of 32 texts.
TASK_STEPS, TASK_BATCH = 60, 32
#: Texts of this many sub-words say how many operations a shape costs.
FLOPS_TOKENS = 64


@dataclass(frozen=True)
class Job:
    """One arm to be made with one seed."""

    arm: Arm
    seed: int

    @property
    def key(self) -> str:
        """Its name for files."""
        return key_of(self.arm.name, self.seed)


def every_job() -> list[Job]:
    """Return all runs, seed after seed."""
    return [Job(arm, seed) for seed in range(SEEDS) for arm in ARMS]


def corpus() -> CorpusConfig:
    """Return where calibration and distillation texts come from: review sentences, cut without a parser."""
    return CorpusConfig(source="reviews", language="und", max_sentences=6000)


def statistics_config() -> StatisticsConfig:
    """Return what is measured of the parent: d* of each layer. At the parent's depth no layer has to be chosen."""
    return StatisticsConfig(
        corpus=CorpusConfig(source="reviews", language="und", max_sentences=2000, min_count=2), probe=False
    )


def plan_of(student: str, seed: int) -> Plan:
    """Return the fine-tuning of a student: the same rows for all, the same batches for all arms of a seed."""
    return Plan.model_validate(
        {
            "name": f"structure, seed {seed}",
            "data": {
                "source": "reviews", "gate_share": 0.05, "test_share": 0.2, "train_rows": TASK_STEPS * TASK_BATCH,
                "gate_rows": 100, "test_rows": 2000,
            },
            "model": {"source": student, "max_length": 64},
            "stages": [
                {
                    "name": "train", "lr": 1e-4, "steps": TASK_STEPS, "batch_size": TASK_BATCH,
                    "schedule": {"name": "linear", "warmup": 0.1}, "eval_every": TASK_STEPS,
                    "guards": {"nan": True, "explode_factor": None},
                }
            ],
            "runtime": {"seed": seed, "precision": "fp32", "threads": 2, "keep": "metrics"},
        }
    )  # fmt: skip


def needed_widths() -> list[int]:
    """Return d* of the parent's layers 1 … 6 from the stored statistics, which are measured if they are missing."""
    if not STATISTICS.exists():
        from core.search.statistics_cache import cached_statistics

        # In the home's cache, so that what was measured before an interruption is not measured again.
        found = cached_statistics(statistics_config(), home().cache, phase=_told)
        RESULTS.mkdir(parents=True, exist_ok=True)
        write_json(STATISTICS, {name: value for name, value in found.items() if name != "draws"})  # told as intervals
    return [int(entry["least"]) for entry in json.loads(STATISTICS.read_text(encoding="utf-8"))["layers"][1:]]


def _told(name: str) -> Callable[[int, int], None]:
    print(f"statistics: {name}", flush=True)
    return lambda done, total: None


class Bench:
    """What the arms of one seed share: the parent on calibration texts, made once."""

    def __init__(self, cache: Path) -> None:
        self.cache = cache
        self._calibrated: tuple[int, Any, float] | None = None

    def calibration(self, seed: int) -> tuple[Any, float]:
        """Return the calibration of a seed and the seconds it took; only the last one is kept."""
        if self._calibrated is None or self._calibrated[0] != seed:
            from core.search.inheriting import calibrate

            started = time.monotonic()
            self._calibrated = None  # the old one's memory first
            found = calibrate("bundled", corpus(), seed=seed, train_tokens=TRAIN_TOKENS)
            self._calibrated = (seed, found, time.monotonic() - started)
        return self._calibrated[1], self._calibrated[2]


def run_job(job: Job, needed: Sequence[int], bench: Bench, folder: Path) -> ShapeRun:
    """Make one arm with one seed.

    Parameters
    ----------
    job
        Arm and seed.
    needed
        d* of the parent's layers.
    bench
        What the seed's arms share.
    folder
        An empty folder for what is not kept.
    """
    from core.models.loading import quiet
    from core.models.shaped import count
    from core.models.shaped.distance import distance
    from core.models.shaped.inherit import inherit
    from core.search.distilling import distil_states

    calibration, calibrated = bench.calibration(job.seed)
    started, worked = time.monotonic(), time.process_time()
    ranked: list[dict[str, Any]] = []
    student, best = None, math.inf
    for shape in shapes_of(job.arm, job.seed, needed):
        candidate = inherit(calibration.fit, shape, seed=job.seed)
        loss = distance(candidate, calibration.held_out).loss
        ranked.append(
            {
                "widths": [layer.width for layer in shape.layers],
                "units": [layer.intermediate for layer in shape.layers],
                "parameters": count(shape).body, "flops": count(shape).flops(FLOPS_TOKENS), "loss": round(loss, 6),
            }
        )  # fmt: skip
        if loss < best:
            student, best = candidate, loss
    assert student is not None
    del candidate
    ranking = time.monotonic()
    done = distil_states(
        student, calibration, steps=STEPS, batch_tokens=BATCH_TOKENS, evaluate_every=STEPS // 3, seed=job.seed
    )
    last = distance(student, calibration.held_out).last
    distilled = time.monotonic()
    place = folder / "student"
    with quiet():
        student.model.save_pretrained(place)
        calibration.tokenizer.save_pretrained(place)
    del student
    task = fine_tune(str(place), job, folder, bench.cache)
    return ShapeRun(
        job.arm.name, job.seed, ranked, min(range(len(ranked)), key=lambda at: ranked[at]["loss"]),
        _followed(job, needed), round(done.before, 6), round(done.after, 6), round(last, 6),
        [[step, round(loss, 6)] for step, loss in done.curve], done.steps, task,
        {
            "calibrate": round(calibrated, 1), "rank": round(ranking - started, 1),
            "distil": round(distilled - ranking, 1), "task": round(time.monotonic() - distilled, 1),
            "cpu": round(time.process_time() - worked, 1),
        },
    )  # fmt: skip


def _followed(job: Job, needed: Sequence[int]) -> list[int] | None:
    if job.arm.name == "prior":
        return list(needed)
    return permuted(needed, job.seed) if job.arm.name == "permuted" else None


def fine_tune(student: str, job: Job, folder: Path, cache: Path) -> ArmRun:
    """Fine-tune a student and score it on test."""
    from core.training import train

    context = MemoryContext(folder / "task", cache)
    context.folder.mkdir()
    plan = plan_of(student, job.seed)
    started = time.monotonic()
    train(plan, context, resume=False)
    results = json.loads((context.folder / "results.json").read_text(encoding="utf-8"))
    points = {name: context.series(name) for name in ("train/loss", "gate/accuracy")}
    return record_of("full", job.arm.name, job.seed, plan, points, results, seconds=time.monotonic() - started)


def measure(minutes: float) -> int:
    """Make what is missing until the minutes are over, and return how many runs are still missing."""
    until = time.monotonic() + 60 * minutes
    needed = needed_widths()
    there = {run.key for run in read_runs(RESULTS)}
    missing = [job for job in every_job() if job.key not in there]
    longest = 0.0
    with tempfile.TemporaryDirectory(prefix="bertloom-structure-") as place:
        bench = Bench(Path(place) / "cache")
        for number, job in enumerate(list(missing)):
            if time.monotonic() + longest > until:
                break
            started = time.monotonic()
            with tempfile.TemporaryDirectory(dir=place, prefix=f"{number}-") as folder:
                run = run_job(job, needed, bench, Path(folder))
            write_run(RESULTS, run)
            missing.remove(job)
            longest = max(longest, time.monotonic() - started)
            print(
                f"{run.key}: {run.shape['widths']} loss {run.before:.3f} → {run.after:.3f}, accuracy {run.task.score} "
                f"({time.monotonic() - started:.0f} s), {len(missing)} left", flush=True,
            )  # fmt: skip
    return len(missing)


def main() -> None:
    """Make what is missing, or only render."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--render", action="store_true")
    arguments = parser.parse_args()
    if not arguments.render:
        measure(arguments.minutes)
    from tests.benchmarks.report_structure import page, picture, statistics

    runs = read_runs(RESULTS)
    PICTURE.write_text(picture(runs), encoding="utf-8")
    PAGE.write_text(page(runs, statistics()), encoding="utf-8")


if __name__ == "__main__":
    main()
