"""The finalists are fine-tuned on labelled rows, each as a child run that can be opened."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from core.config import Plan, RuntimeConfig, Stage
from core.config.plan import ModelConfig
from core.errors import DeviceError, TrainingDiverged
from core.graph.requests import Stopped
from core.search.inheriting import Calibration
from core.search.structure.leaving import encoder_of, export
from core.search.structure.records import Candidate
from core.search.structure.students import Students
from core.search.structure.work import Work
from core.training import train
from core.training.context import ChildContext, Outcome

__all__ = ["finetune_all", "finetune_plan"]

_EVALUATIONS = 3


def finetune_all(work: Work, students: Students, calibration: Calibration) -> None:
    """Fine-tune everyone of the last rung, one after the other; a child that was stopped goes on where it was."""
    config, record = work.config.finetune, work.record
    assert config is not None
    last = [work.candidates[key] for key in record.rungs[-1]]
    finalists = [one for one in last if one.loss is not None and math.isfinite(one.loss)]
    for number, candidate in enumerate(finalists, 1):
        if candidate.score is not None:
            continue
        work.check()
        work.tell(f"fine-tuning: candidate {number} of {len(finalists)}")
        export(work, candidate, students, calibration)
        _finetune(work, candidate)
        work.refresh()


def finetune_plan(work: Work, candidate: Candidate, source: Path) -> Plan:
    """Return the plan that fine-tunes a candidate's encoder."""
    config, runtime = work.config.finetune, work.config.runtime
    assert config is not None
    stage = Stage(
        steps=config.steps, lr=config.lr, batch_size=config.batch_size,
        eval_every=max(1, config.steps // _EVALUATIONS),
    )  # fmt: skip
    return Plan(
        name=work.name_of(candidate, "fine-tuned "), tags=["candidate"], task=config.task, data=config.data,
        model=ModelConfig(source=str(source), max_length=work.config.model.max_length), stages=[stage],
        # one precision for all: a timing must not decide who wins
        runtime=RuntimeConfig(
            backend=runtime.backend, device=runtime.device, threads=runtime.threads, seed=runtime.seed,
            precision="fp32",
        ),
    )  # fmt: skip


def _finetune(work: Work, candidate: Candidate) -> None:
    assert candidate.run is not None
    plan = finetune_plan(work, candidate, encoder_of(work, candidate))
    child = work.context.child(f"finetune-{candidate.key}", name=plan.name, plan=plan, tags=["candidate"])
    candidate.finetune_run = child.id
    candidate.write(work.folder)
    try:
        outcome = train(plan, child, resume=True)
    except (TrainingDiverged, DeviceError) as error:
        if isinstance(error, DeviceError) and error.where != "memory":
            child.finish("failed", error=error)
            raise
        work.note(f"{plan.name} could not be fine-tuned: {error.what}")
        child.finish("failed", error=error)
        return
    except BaseException as error:
        child.finish("failed", error=error)
        raise
    if outcome is not Outcome.FINISHED:
        child.leave()
        raise Stopped(outcome)
    _read(work, candidate, child)
    candidate.write(work.folder)


def _read(work: Work, candidate: Candidate, child: ChildContext) -> None:
    """Take over the scores, and record the end of the child."""
    from core.data.tasks import example_labels, task_for

    config = work.config.finetune
    assert config is not None
    results: dict[str, Any] = json.loads((child.folder / "results.json").read_text(encoding="utf-8"))
    metrics = {str(name): float(value) for name, value in results["metrics"].items() if isinstance(value, int | float)}
    # the metric's name does not depend on the labels
    labels = example_labels(config.task.kind, relations=config.task.relations)
    candidate.metric = task_for(config.task, labels).primary_metric
    candidate.score = metrics.get(f"gate/{candidate.metric}")
    candidate.test = {name.removeprefix("test/"): value for name, value in metrics.items() if name.startswith("test/")}
    child.finish("finished", metrics=metrics)
