"""From a comparison to its runs: which there are, with which budget, and the plan of each."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

from core.config import Plan, RunConfig
from core.config.compared import joint_plan, shares_rows, single_plan
from core.config.comparison import Comparison, ComparisonTask, Strategy

__all__ = ["Job", "digest_of", "estimated_plans", "examples_seen", "jobs_of", "plan_of"]


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
            if strategy.sharing == "joint":
                found.append(Job(strategy, tuple(config.tasks), seed, f"{at}-all-{seed}"))
                continue
            for place, task in enumerate(config.tasks):
                found.append(Job(strategy, (task,), seed, f"{at}-{place}-{seed}"))
    return found


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
    # Quotas count examples one by one, whatever a pass's last step holds: so single runs have them too. And rows that
    # joint runs leave out are left out of single ones.
    if job.strategy.sharing == "joint" or config.budget.rule == "examples" or shares_rows(config):
        return joint_plan(config, job.strategy, job.tasks, runtime, job.title)
    (task,) = job.tasks
    return single_plan(config, job.strategy, task, runtime, job.title)


def digest_of(plan: RunConfig) -> str:
    """Return a hash of what decides a run's result: all but its name, its tags and how the machine executes it."""
    values = plan.model_dump(mode="json")
    runtime = values.get("runtime") or {}
    kept = {key: value for key, value in values.items() if key not in ("name", "tags", "runtime")}
    kept["runtime"] = {key: runtime.get(key) for key in ("seed", "precision", "device", "deterministic")}
    return hashlib.sha256(json.dumps(kept, sort_keys=True, default=str).encode()).hexdigest()[:24]


def estimated_plans(config: Comparison) -> Sequence[tuple[str, Plan, int]]:
    """Return what has to be tried to estimate the time: name, plan, and how many runs cost as much.

    A joint run costs what its single runs cost together, so these stand for it.
    """
    runtime = config.runtime.model_dump(mode="json") | {"seed": config.first_seed}
    return [
        (f"{strategy.name} · {task.name}", single_plan(config, strategy, task, runtime, task.name), config.seeds)
        for strategy in config.strategies
        for task in config.tasks
    ]
