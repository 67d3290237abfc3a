"""The worker's function of a claim: train every arm with every seed, one after the other, then judge."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.config.claims import ClaimConfig, Part
from core.runs import folder
from core.studies.arms import plan_of
from core.studies.parts import Trainer, train_part
from core.studies.records import ArmRun, key_of, read_records, record_of, write_record
from core.studies.shelf import Arm, Claim, claim_named
from core.studies.verdicts import judge
from core.training.context import Outcome, Request, RunContext

__all__ = ["Job", "jobs_of", "run", "train_job"]


@dataclass(frozen=True)
class Job:
    """One arm to be trained with one seed."""

    part: Part
    arm: Arm
    seed: int

    @property
    def key(self) -> str:
        """Its name for files and parts of a run."""
        return key_of(self.part, self.arm.name, self.seed)


def jobs_of(claim: Claim, config: ClaimConfig) -> list[Job]:
    """Return what has to be trained, in order: seed after seed, so that what is there is comparable early."""
    return [
        Job(part, arm, seed) for part in config.parts for seed in config.seed_list for arm in claim.designs[part].arms
    ]


def run(config: ClaimConfig, context: RunContext, *, resume: bool = True, trainer: Trainer | None = None) -> Outcome:
    """Execute a claim.

    Parameters
    ----------
    config
        The claim's config.
    context
        The run's context. Every arm and seed is a part of the run with a page of its own.
    resume
        Keep the runs that are already recorded; the one that was interrupted begins again.
    trainer
        What trains a plan; by default :func:`core.training.train`, for memory in a process of its own.

    Returns
    -------
    Outcome
        Finished, paused or cancelled.

    Raises
    ------
    BertloomError
        If data or model cannot be used, or the memory does not suffice for the first run of an arm. A run that
        diverges is a result: it is recorded as failed.
    """
    claim = claim_named(config.claim)
    place = context.folder / "arms"
    if not resume:
        shutil.rmtree(place, ignore_errors=True)
        (context.folder / "results.json").unlink(missing_ok=True)
    if (context.folder / "results.json").exists():
        context.event("info", "This claim is already tested.")
        return Outcome.FINISHED
    jobs = jobs_of(claim, config)
    done = {record.key: record for record in read_records(place)}
    clock = _Clock()
    for number, job in enumerate(jobs):
        if job.key in done:
            continue
        asked = context.request()
        if asked in (Request.PAUSE, Request.CANCEL):
            return Outcome.PAUSED if asked is Request.PAUSE else Outcome.CANCELLED
        context.progress(
            phase=f"{job.part}, {job.arm.title}, seed {job.seed}", step=number, total_steps=len(jobs),
            eta_s=clock.left([one for one in jobs[number:] if one.key not in done]),
        )  # fmt: skip
        started = time.monotonic()
        outcome, record = train_job(job, config, context, trainer)
        if record is None:
            return outcome
        clock.note(job, time.monotonic() - started)
        write_record(place, record)
        done[job.key] = record
        _tell(context, job, record, number + 1)
    _finish(claim, config, context, list(done.values()))
    context.progress(phase="finished", step=len(jobs), total_steps=len(jobs), eta_s=0.0)
    context.flush()
    return Outcome.FINISHED


def train_job(
    job: Job, config: ClaimConfig, context: RunContext, trainer: Trainer | None = None
) -> tuple[Outcome, ArmRun | None]:
    """Train one arm with one seed as a part of the run; no record where a person stopped it."""
    plan = plan_of(config, job.part, job.arm, job.seed)
    child = context.child(job.key, name=plan.name, plan=plan, tags=(config.claim,))
    trained = train_part(child, plan, trainer or _trainer(job.arm))
    if trained.outcome is not Outcome.FINISHED:
        return trained.outcome, None
    results = folder.read_json(child.folder / "results.json")
    record = record_of(
        job.part, job.arm.name, job.seed, plan, trained.points, results, failed=trained.failed,
        seconds=trained.seconds, run_id=child.id,
    )  # fmt: skip
    if not trained.failed:
        child.finish("finished", metrics=(results or {}).get("metrics"))
    for name in ("checkpoints", "best", "restore"):
        shutil.rmtree(child.folder / name, ignore_errors=True)
    return trained.outcome, record


def _trainer(arm: Arm) -> Trainer:
    if arm.apart:
        from core.studies.apart import train_apart

        return train_apart
    from core.training import train

    return train


def _tell(context: RunContext, job: Job, record: ArmRun, number: int) -> None:
    if record.failed:
        words = f"failed: {record.failed}"
    elif record.score is not None:
        words = f"test/{record.metric} {record.score:.4f}"
        context.metrics(number, {f"{job.part}/{job.arm.name}": record.score})
    else:
        words = f"{record.memory_mb or 0:,.0f} MB at most"
    context.event(
        "info", f"{job.part}, {job.arm.title}, seed {job.seed}: {words} after {record.seconds:.1f} s.", step=number,
        data={"part": job.part, "arm": job.arm.name, "seed": job.seed, "run": record.run_id},
    )  # fmt: skip


def _finish(claim: Claim, config: ClaimConfig, context: RunContext, records: list[ArmRun]) -> None:
    """Judge, tell and write ``results.json``."""
    judged = judge(claim, records, config.seed_list, parts=config.parts, delta=config.delta)
    metrics = {
        f"{one.part}/{arm.arm}": arm.mean for one in judged for arm in one.standings if arm.mean is not None
    }  # fmt: skip
    for one in judged:
        context.event(
            "decision", f"“{claim.sentence}” {one.part}: {one.verdict}. {one.words}",
            data={"part": one.part, "verdict": str(one.verdict)},
        )  # fmt: skip
    found = {
        "metrics": metrics,
        "details": {"verdicts": [one.as_dict() for one in judged]},
        "claim": {"name": claim.name, "sentence": claim.sentence, "tested": claim.tested, "decided": claim.decided},
        "runs": [{**one.as_dict(), "documents": {}} for one in records],
    }
    folder.write_text(context.folder / "results.json", _json(found))


def _json(value: Mapping[str, Any]) -> str:
    import json

    return json.dumps(value, ensure_ascii=False, indent=1) + "\n"


class _Clock:
    """Time left, from what runs of the same part took."""

    def __init__(self) -> None:
        self._taken: dict[Part, list[float]] = {}

    def note(self, job: Job, seconds: float) -> None:
        self._taken.setdefault(job.part, []).append(seconds)

    def left(self, jobs: list[Job]) -> float | None:
        """Return the seconds left; ``None`` as long as a part is unknown."""
        if any(job.part not in self._taken for job in jobs):
            return None
        return round(sum(sum(taken) / len(taken) for job in jobs if (taken := self._taken[job.part])), 1)
