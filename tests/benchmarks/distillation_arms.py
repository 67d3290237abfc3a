"""The arms of the distillation experiment: a teacher, and students of three and two of its layers. Pure data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from core.config import Plan

__all__ = ["ARMS", "LAYERS", "SEEDS", "TASKS", "Job", "jobs", "student_plan", "teacher_plan"]

TASKS = ("reviews", "tweets")
LAYERS = (3, 2)
SEEDS = 5
#: Arm → what it changes in the settings of a distillation; ``alone`` has no teacher.
ARMS: dict[str, dict[str, Any] | None] = {
    "alone": None,
    "plain": {},
    "differences": {"differences": 0.5},
    "harmful-dropped": {"harmful": "drop"},
}
#: Rows, batches and rates of each task, and the steps of a teacher and of its students.
_TASKS: dict[str, dict[str, Any]] = {
    "reviews": {
        "task": {"kind": "classification"},
        "data": {"source": "reviews", "train_rows": 2000, "gate_rows": 300, "test_rows": 1000},
        "stage": {"lr": 1e-4, "head_lr": 1e-3, "batch_size": 32, "schedule": {"name": "linear", "warmup": 0.1}},
        "steps": (80, 240), "eval_every": 40, "max_length": 64,
    },
    "tweets": {
        "task": {"kind": "tagging"},
        "data": {"source": "tweets", "train_rows": 1500, "gate_rows": 300, "test_rows": 1000},
        "stage": {"lr": 3e-4, "head_lr": 1e-3, "batch_size": 16, "schedule": {"name": "linear", "warmup": 0.1}},
        "steps": (400, 400), "eval_every": 100, "max_length": 64,
    },
}  # fmt: skip


@dataclass(frozen=True)
class Job:
    """One run: a teacher (no layers, no arm), or a student."""

    task: str
    seed: int
    layers: int = 0
    arm: str = "teacher"

    @property
    def key(self) -> str:
        """A name for files."""
        size = f"-{self.layers}" if self.layers else ""
        return f"{self.task}{size}-{self.arm}_{self.seed}"


def jobs() -> list[Job]:
    """Return all runs, seed after seed, each teacher before its students."""
    found = []
    for seed in range(SEEDS):
        for task in TASKS:
            found.append(Job(task, seed))
            found += [Job(task, seed, layers, arm) for layers in LAYERS for arm in ARMS]
    return found


def teacher_plan(task: str, seed: int) -> Plan:
    """Return the plan of a teacher: the bundled encoder, fine-tuned."""
    return _plan(task, seed, {"source": "bundled"}, {"steps": _TASKS[task]["steps"][0]})


def student_plan(job: Job, teacher: str) -> Plan:
    """Return the plan of a student that begins as some of the teacher's layers, with its head.

    Parameters
    ----------
    job
        Task, seed, layers and arm.
    teacher
        Folder of the trained teacher.
    """
    changes = ARMS[job.arm]
    stage: dict[str, Any] = {"steps": _TASKS[job.task]["steps"][1]}
    if changes is not None:
        stage |= {"kind": "distil", "distil": {"teachers": [{"source": teacher}], **changes}}
    return _plan(job.task, job.seed, {"source": teacher, "keep_layers": job.layers}, stage)


def _plan(task: str, seed: int, model: dict[str, Any], stage: dict[str, Any]) -> Plan:
    given = _TASKS[task]
    return Plan.model_validate(
        {
            "task": given["task"], "data": given["data"], "model": {**model, "max_length": given["max_length"]},
            "stages": [{**given["stage"], "eval_every": given["eval_every"], **stage}],
            "runtime": {"seed": seed, "precision": "fp32", "log_every": 5},
        }
    )  # fmt: skip
