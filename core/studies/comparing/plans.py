"""From a comparison to its runs: which there are, with which budget, and the plan of each."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.config import Plan, RunConfig, Stage
from core.config.comparison import Comparison, ComparisonTask, Strategy, changed_stage

__all__ = ["Job", "digest_of", "examples_seen", "jobs_of", "plan_of", "spent", "stage_of", "steps_of"]

#: Evaluations on gate in one run: enough for a curve, few enough to cost little.
_EVALUATIONS = 12


@dataclass(frozen=True)
class Job:
    """One run of a comparison.

    Parameters
    ----------
    strategy
        What trains.
    tasks
        What is learnt in this run: one task, or all where they are learnt together.
    seed
        Its seed.
    key
        Its name for files and parts of a run.
    """

    strategy: Strategy
    tasks: tuple[ComparisonTask, ...]
    seed: int
    key: str

    @property
    def title(self) -> str:
        """What it is called in lists."""
        what = " + ".join(task.name for task in self.tasks)
        return f"{self.strategy.name} · {what} · seed {self.seed}"


def jobs_of(config: Comparison) -> list[Job]:
    """Return all runs in order: seed after seed, so that what is there is comparable early."""
    found = []
    for seed in config.seed_list:
        for at, strategy in enumerate(config.strategies):
            for place, task in enumerate(config.tasks):
                found.append(Job(strategy, (task,), seed, f"{at}-{place}-{seed}"))
    return found


def steps_of(config: Comparison, strategy: Strategy, task: ComparisonTask) -> int:
    """Return the optimiser steps that a strategy makes for a task.

    Rule *steps*: as the budget says, whatever a step holds. Rule *examples*: as many as the examples need, at so many
    examples a step.
    """
    if config.budget.rule == "steps":
        return task.steps or config.budget.steps
    stage = changed_stage(config.stage, strategy.stage, "stage")
    return math.ceil((task.examples or config.budget.examples) / stage.batch_size)


def spent(config: Comparison, strategy: Strategy) -> int:
    """Return the optimiser steps that a strategy makes with one seed, over all tasks."""
    return sum(steps_of(config, strategy, task) for task in config.tasks)


def examples_seen(examples: int, batch: int, steps: int) -> int:
    """Return how many examples some steps hold: the last step of each pass holds what is left of it.

    Parameters
    ----------
    examples
        Examples of one pass.
    batch
        Examples a step.
    steps
        Steps made.
    """
    whole, rest = divmod(steps, math.ceil(examples / batch))
    return whole * examples + min(rest * batch, examples)


def stage_of(config: Comparison, strategy: Strategy, task: ComparisonTask) -> Stage:
    """Return the training stage of a strategy for one task."""
    stage = changed_stage(config.stage, strategy.stage, "stage")
    steps = steps_of(config, strategy, task)
    own_head = "head_lr" in strategy.stage
    every = stage.eval_every or max(1, steps // _EVALUATIONS)
    changes: dict[str, Any] = {"name": "train", "steps": steps, "epochs": None, "eval_every": every}
    if task.head_lr is not None and not own_head:
        changes["head_lr"] = task.head_lr
    if strategy.encoder == "frozen":
        # Only the head is trained: a rate that the strategy names is the head's.
        rate = stage.lr if "lr" in strategy.stage and not own_head else changes.get("head_lr", stage.head_lr)
        changes |= {"freeze_encoder": True, "lr": rate or stage.lr, "head_lr": None}
    return Stage.model_validate({**stage.model_dump(mode="json"), **changes})


def plan_of(config: Comparison, job: Job, threads: int | None = None) -> RunConfig:
    """Return the plan of one run, which can be started by itself.

    Runs of one seed begin with the same weights and see the same batches; the rows of train, gate and test are the same
    for all seeds and strategies.

    Parameters
    ----------
    config
        The comparison.
    job
        The run.
    threads
        Takes the place of ``auto`` in the runtime: what the comparison's first run found fastest.
    """
    runtime = config.runtime.model_dump(mode="json") | {"seed": job.seed}
    if threads is not None and config.runtime.threads == "auto":
        runtime["threads"] = threads
    (task,) = job.tasks
    model = config.model.model_dump(mode="json") | {"max_length": task.max_length or config.model.max_length}
    return Plan.model_validate(
        {
            "name": job.title[:120], "tags": list(config.tags), "task": task.task.model_dump(mode="json"),
            "data": task.data.model_dump(mode="json"), "model": model, "runtime": runtime,
            "stages": [stage_of(config, job.strategy, task).model_dump(mode="json")],
        }
    )  # fmt: skip


def digest_of(plan: RunConfig) -> str:
    """Return a hash of what decides a run's result: all but its name, its tags and how the machine executes it."""
    values = plan.model_dump(mode="json")
    runtime = values.get("runtime") or {}
    kept = {key: value for key, value in values.items() if key not in ("name", "tags", "runtime")}
    kept["runtime"] = {key: runtime.get(key) for key in ("seed", "precision", "device", "deterministic")}
    return hashlib.sha256(json.dumps(kept, sort_keys=True, default=str).encode()).hexdigest()[:24]


def estimated_plans(config: Comparison) -> Sequence[tuple[RunConfig, int]]:
    """Return one plan for each strategy and task, and how many runs cost as much: all seeds."""
    first = [job for job in jobs_of(config) if job.seed == config.first_seed]
    return [(plan_of(config, job), config.seeds) for job in first]
