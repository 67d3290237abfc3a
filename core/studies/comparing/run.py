"""The worker's function of a comparison: every strategy, task and seed, one run after the other, then the verdict."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.config import Plan, RunConfig, kind_of
from core.config.comparison import Comparison
from core.errors import ConfigError, DataError
from core.runs import folder
from core.settings import safe_name
from core.studies.comparing.clock import Clock
from core.studies.comparing.ending import results_of
from core.studies.comparing.plans import Job, digest_of, examples_seen, jobs_of, plan_of
from core.studies.comparing.records import ChildRun, read_children, record_of, write_child
from core.studies.parts import Trainer, train_part
from core.training.allocator import give_back_freed_memory
from core.training.context import Outcome, Request, RunContext
from core.training.files import write_json
from core.training.sharing import shared

__all__ = ["RECORDS", "run", "train_job"]

#: Folder of the records within the run's folder.
RECORDS = "compared"


def run(config: Comparison, context: RunContext, *, resume: bool = True, trainer: Trainer | None = None) -> Outcome:
    """Execute a comparison.

    Parameters
    ----------
    config
        The comparison.
    context
        The run's context. Every strategy, task and seed is a part of the run with a page of its own.
    resume
        Keep the runs that are already recorded; the one that was interrupted begins again.
    trainer
        What trains a plan; by default the function of the plan's kind of run.

    Returns
    -------
    Outcome
        Finished, paused or cancelled.

    Raises
    ------
    BertloomError
        If data or model cannot be used, or rows have changed since the first runs. A run that diverges or needs more
        memory than there is counts as failed; the others go on.
    """
    place = context.folder / RECORDS
    if not resume:
        shutil.rmtree(place, ignore_errors=True)
        (context.folder / "results.json").unlink(missing_ok=True)
    if (context.folder / "results.json").exists():
        context.event("info", "This comparison is already finished.")
        return Outcome.FINISHED
    jobs = jobs_of(config)
    done = {record.key: record for record in read_children(place)}
    _take_over(config, context, jobs, done)
    with shared():
        if trainer is None:
            _check_rows(config, context, list(done.values()))
        outcome = _train_all(config, context, jobs, done, trainer)
        if outcome is not Outcome.FINISHED:
            return outcome
        context.progress(phase="comparing", step=len(jobs), total_steps=len(jobs), eta_s=None)
        found = results_of(config, list(done.values()), context, looked_at=trainer is None)
    for one in found["details"]["verdicts"]:
        context.event("decision", one["sentence"], data={"task": one["task"], "verdict": one["verdict"]})
    write_json(context.folder / "results.json", found)
    context.progress(phase="finished", step=len(jobs), total_steps=len(jobs), eta_s=0.0)
    context.flush()
    return Outcome.FINISHED


def _train_all(
    config: Comparison, context: RunContext, jobs: Sequence[Job], done: dict[str, ChildRun], trainer: Trainer | None
) -> Outcome:
    clock = Clock(done.values())
    for number, job in enumerate(jobs):
        if job.key in done:
            continue
        asked = context.request()
        if asked in (Request.PAUSE, Request.CANCEL):
            return Outcome.PAUSED if asked is Request.PAUSE else Outcome.CANCELLED
        context.progress(
            phase=job.title, step=len(done), total_steps=len(jobs),
            eta_s=clock.left([one for one in jobs if one.key not in done]),
        )  # fmt: skip
        threads = next((one.threads for one in done.values() if one.threads), None)
        outcome, record = train_job(job, config, context, trainer, threads)
        if record is None:
            return outcome
        clock.note(record)
        write_child(context.folder / RECORDS, record)
        done[job.key] = record
        _tell(context, job, record, number + 1)
    return Outcome.FINISHED


def train_job(
    job: Job, config: Comparison, context: RunContext, trainer: Trainer | None = None, threads: int | None = None
) -> tuple[Outcome, ChildRun | None]:
    """Train one run as a part of the comparison; no record where a person stopped it."""
    plan = plan_of(config, job, threads)
    child = context.child(job.key, name=plan.name, plan=plan, tags=(*config.tags, job.strategy.name))
    if trainer is None:  # so that each run's memory is its own
        give_back_freed_memory()
    trained = train_part(child, plan, trainer or _trainer(plan))
    if trained.outcome is not Outcome.FINISHED:
        return trained.outcome, None
    failed = trained.failed
    results = {} if failed else folder.read_json(child.folder / "results.json") or {}
    sizes = _sizes(child.folder / "best", results) if not failed else (None, None)
    record = record_of(
        config, job, trained.points, results, failed=failed, seconds=trained.seconds, run_id=child.id,
        steps=max((step for step, _ in trained.points.get("train/loss", ())), default=0), parameters=sizes[0],
        encoder_parameters=sizes[1], digest=digest_of(plan),
    )  # fmt: skip
    stays = not failed and _stays(config, job)
    if not failed:
        _complete(record, plan, results, child.folder, context.folder if stays else None)
        _check_metric(job, record)
        child.finish("finished", metrics=results.get("metrics"))
    for name in ("checkpoints", "restore", *(() if stays else ("best",))):
        shutil.rmtree(child.folder / name, ignore_errors=True)
    return trained.outcome, record


def _trainer(plan: RunConfig) -> Trainer:
    from core.runs.kinds import resolve

    return resolve(kind_of(plan))


def _stays(config: Comparison, job: Job) -> bool:
    """Whether a run's best weights are kept: those of the first seed, or all."""
    keep = config.runtime.keep
    return keep == "all" or (keep == "best" and job.seed == config.first_seed)


def _sizes(best: Path, results: dict[str, Any]) -> tuple[int | None, int | None]:
    """Return the parameters of a run's model, and of those the encoder's."""
    from core.models.weights import read_headers, weight_files

    if "shared_parameters" in results:
        shared = int(results["shared_parameters"])
        return shared + sum(int(one["parameters"]) for one in results["tasks"]), shared
    by_part: dict[str, int] = {}
    for file in weight_files(best) if best.is_dir() else ():
        for name, header in read_headers(file).items():
            part = name.partition(".")[0]
            by_part[part] = by_part.get(part, 0) + math.prod(header.shape)
    return (sum(by_part.values()), max(by_part.values())) if by_part else (None, None)


def _complete(
    record: ChildRun, plan: RunConfig, results: dict[str, Any], place: Path, whole: Path | None
) -> None:  # fmt: skip
    """Add what the results do not say of a task: the rows' fingerprint, examples seen, where its weights are kept."""
    report = folder.read_json(place / "data_report.json") or {}
    features = (results.get("training") or {}).get("features") or {}
    for name, result in record.tasks.items():
        best, told, seen = place / "best", report, result.examples
        if isinstance(plan, Plan):
            stage = plan.stages[0]
            if stage.batch_tokens is None and features.get("train"):
                seen = examples_seen(int(features["train"]), stage.batch_size, record.steps)
        else:
            best, told = best / name, (report.get("tasks") or {}).get(name) or {}
        kept = whole is not None and (best / "config.json").is_file()
        record.tasks[name] = replace(
            result, fingerprint=str(told.get("fingerprint") or ""), examples=seen,
            model=os.path.relpath(best, whole) if kept else "",
        )  # fmt: skip


def _check_metric(job: Job, record: ChildRun) -> None:
    for task in job.tasks:
        result = record.tasks[task.name]
        if result.score is None:
            raise ConfigError(
                f"The task {task.name} has no score {task.score!r} on test.", where="tasks, key metric",
                expected=", ".join(sorted(name for name in result.metrics if name != "loss")) or "a number",
            )  # fmt: skip


def _check_rows(config: Comparison, context: RunContext, done: Sequence[ChildRun]) -> None:
    """Read every task's rows before the first run: what is wrong with the last task is told at once.

    Raises
    ------
    DataError
        If rows cannot be used, gate or test has none, or rows are not those that earlier runs saw.
    """
    from core.training.material import load_rows

    for task in config.tasks:
        context.progress(phase=f"reading {task.name}")
        plan = Plan(task=task.task, data=task.data)
        roles = load_rows(plan, Path(context.cache))
        for role, least in (("gate", 1), ("test", 2)):
            rows = getattr(roles, role)
            if rows is None or len(rows) < least:
                raise DataError(
                    f"The task {task.name} has {0 if rows is None else len(rows)} {role} rows.", where="tasks",
                    expected=f"at least {least}", advice=f"Raise data.{role}_share, or name a data.{role}_source.",
                )  # fmt: skip
        seen = {one.tasks[task.name].fingerprint for one in done if task.name in one.tasks} - {"", roles.fingerprint}
        if seen:
            raise DataError(
                f"The rows of the task {task.name} are no longer those that the first runs saw.",
                where=task.data.source, advice="Put the file back as it was, or start a new comparison.",
            )  # fmt: skip


def _take_over(config: Comparison, context: RunContext, jobs: Sequence[Job], done: dict[str, ChildRun]) -> None:
    """Take records of the comparison that this one continues, where the plan of the run has not changed."""
    if config.continues is None:
        return
    name = safe_name(config.continues, what="id of the comparison that is continued")
    earlier = {one.digest: one for one in read_children(context.folder.parent / name / RECORDS)}
    taken = 0
    for job in jobs:
        found = earlier.get(digest_of(plan_of(config, job)))
        if job.key in done or found is None:
            continue
        done[job.key] = replace(found, key=job.key, strategy=job.strategy.name)
        write_child(context.folder / RECORDS, done[job.key])
        taken += 1
    if taken:
        context.event("info", f"{taken} runs are taken over from {name}.", data={"run": name, "runs": taken})
    elif not done:
        context.event("warning", f"No run of {name} could be taken over: all are made.", data={"run": name})


def _tell(context: RunContext, job: Job, record: ChildRun, number: int) -> None:
    scores = {name: one.score for name, one in record.tasks.items() if one.score is not None}
    told = ", ".join(f"{name} {score:.4f}" for name, score in scores.items())
    words = f"failed: {record.failed}" if record.failed else told
    context.metrics(number, {f"{job.strategy.name}/{name}": score for name, score in scores.items()})
    context.event(
        "info", f"{job.title}: {words} after {record.seconds:.1f} s.", step=number,
        data={"strategy": job.strategy.name, "tasks": [task.name for task in job.tasks], "seed": job.seed,
              "run": record.run_id},
    )  # fmt: skip
