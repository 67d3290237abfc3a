"""The shelf of claims on the bundled reviews: every arm of every claim with five seeds, one small JSON each.

python -m tests.benchmarks.claims --minutes 60     # trains what is missing (make claims), then renders
python -m tests.benchmarks.claims --render         # renders docs/claims.md and its picture only

Arms that serve several claims are trained once. The minutes may be spent in portions; the page says what is missing.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from core.config import ClaimConfig
from core.studies import CLAIMS
from core.studies.records import read_records, write_record
from core.studies.run import Job, jobs_of, train_job
from core.training import MemoryContext

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "docs" / "results" / "claims"
PAGE = ROOT / "docs" / "claims.md"
PICTURE = ROOT / "docs" / "pictures" / "learning-rates.svg"
SEEDS = 5


def config_of(claim: str) -> ClaimConfig:
    """Return what is measured: the defaults of the shelf, on bundled data."""
    return ClaimConfig(claim=claim, seeds=SEEDS)


def every_job() -> list[Job]:
    """Return all runs without repeats: heads before whole encoders, one claim after the other, seed by seed."""
    found: dict[str, Job] = {}
    for claim in CLAIMS:
        for job in jobs_of(claim, config_of(claim.name)):
            found.setdefault(job.key, job)
    return sorted(found.values(), key=lambda job: job.part != "head")


def measure(minutes: float, *, part: str | None = None) -> int:
    """Train what is missing until the minutes are over, and return how many runs are still missing."""
    until = time.monotonic() + 60 * minutes
    there = {record.key for record in read_records(RESULTS)}
    missing = [job for job in every_job() if job.key not in there]
    wanted = [job for job in missing if part in (None, job.part)]
    config = config_of(CLAIMS[0].name)  # data, model and runtime are the same for all
    longest = 0.0
    with tempfile.TemporaryDirectory(prefix="bertloom-claims-") as folder:
        for number, job in enumerate(wanted):
            if time.monotonic() + longest > until:
                break
            started = time.monotonic()
            context = MemoryContext(Path(folder) / str(number), Path(folder) / "cache")
            context.folder.mkdir()
            _, record = train_job(job, config, context)
            assert record is not None
            write_record(RESULTS, record)
            missing.remove(job)
            longest = max(longest, time.monotonic() - started)
            told = record.failed or (f"{record.score:.4f}" if record.score is not None else f"{record.memory_mb} MB")
            print(f"{job.key}: {told} ({record.seconds:.1f} s), {len(missing)} left", flush=True)
    return len(missing)


def main() -> None:
    """Measure what is missing, or only render."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--part", choices=["head", "full"])
    parser.add_argument("--render", action="store_true")
    arguments = parser.parse_args()
    if not arguments.render:
        measure(arguments.minutes, part=arguments.part)
    from tests.benchmarks.report_claims import page, picture

    records = read_records(RESULTS)
    PICTURE.write_text(picture(records), encoding="utf-8")
    PAGE.write_text(page(records), encoding="utf-8")


if __name__ == "__main__":
    main()
