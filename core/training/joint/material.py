"""What belongs to a joint run: rows, heads and tokenised features of every task, on one shared encoder."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch

from core.config import Plan, Stage
from core.config.joint import JointPlan
from core.data.tasks.base import Encoded, Task
from core.errors import BertloomError, ConfigError
from core.training.groups import GroupSpec
from core.training.joint.combined import CombinedTask
from core.training.joint.leaks import TaskRows, without_leaks
from core.training.joint.schedule import Schedule
from core.training.joint.tied import check_labels, check_tokenizers, tie
from core.training.material import ROLES, Material, load_material, load_rows

__all__ = ["JointMaterial", "load_joint", "located", "single_plan", "with_own_head"]

_STAGE = "stages.0."


@dataclass
class _Rows:
    """Rows of all tasks, as numbers of them."""

    train: range
    gate: range
    test: range
    labels: tuple[str, ...]
    report: dict[str, Any]
    fingerprint: str


class JointMaterial(Material):
    """A joint run before and between its steps; see :class:`core.training.material.Material`.

    Parameters
    ----------
    joint
        The plan.
    plan
        The plan that stands for it in what knows one task only.
    parts
        What each task has of its own, on the shared encoder.
    model, units
        Of :func:`core.training.joint.tied.tie`.
    """

    def __init__(
        self, joint: JointPlan, plan: Plan, parts: Sequence[Material], model: torch.nn.Module, units: dict[str, str]
    ):
        first = parts[0]
        self.joint = joint
        self.parts = list(parts)
        self.names = [one.name for one in joint.tasks]
        self._schedule: tuple[str, int, Schedule] | None = None
        encoded = {role: _joined([part.encoded[role] for part in parts if role in part.encoded]) for role in ROLES}
        sizes = {role: sum(len(getattr(part.roles, role)) for part in parts) for role in ROLES}
        rows = _Rows(
            range(sizes["train"]), range(sizes["gate"]), range(sizes["test"]), (),
            {"tasks": {name: _report(part.roles) for name, part in zip(self.names, parts, strict=True)}},
            "|".join(part.roles.fingerprint for part in parts),
        )  # fmt: skip
        super().__init__(
            plan, rows, _task(joint, parts), model, first.tokenizer,
            {role: one for role, one in encoded.items() if one.features}, first.layers, first.encoder, units,
            first.device,
        )  # fmt: skip
        shared = [parameter for name, parameter in model.named_parameters() if units[name] != "head"]
        own = [
            sum(parameter.numel() for name, parameter in part.model.named_parameters() if part.units[name] == "head")
            for part in parts
        ]
        #: Number of parameters that all tasks share, and of each one's head.
        self.counted = sum(parameter.numel() for parameter in shared), own

    def where(self, index: int) -> str:
        """Return the path in the plan of what a stage says."""
        return "training"

    def places(self, folder: Path) -> list[tuple[str, Material, Path]]:
        """Return name, model and folder of each task."""
        return [(name, part, folder / name) for name, part in zip(self.names, self.parts, strict=True)]

    def schedule(self, stage: Stage, seed: int) -> Schedule:
        """Return which task has which step."""
        key = stage.model_dump_json()
        if self._schedule is None or self._schedule[:2] != (key, seed):
            mixing = self.joint.mixing
            quotas = [one.quota for one in self.joint.tasks if one.quota is not None]
            made = Schedule(
                [part.lengths for part in self.parts], stage, seed, alpha=mixing.alpha, alpha_end=mixing.alpha_end,
                quotas=quotas or None, together=mixing.pcgrad,
            )  # fmt: skip
            self._schedule = key, seed, made
        return self._schedule[2]

    def steps_of(self, stage: Stage, seed: int) -> tuple[int, int]:
        """Return the optimiser steps of all, and of the first round: as many as the first epoch of all tasks has."""
        schedule = self.schedule(stage, seed)
        return schedule.steps, schedule.round_steps(0)

    def groups_of(self, stage: Stage, where: str) -> tuple[list[GroupSpec], list[str]]:
        """Return the groups that are trained: heads with a rate of their own stand alone."""
        groups, frozen = super().groups_of(stage, where)
        for index, task in enumerate(self.joint.tasks):
            if task.head_lr is None:
                continue
            mine = {
                name for name, unit in self.units.items() if unit == "head" and name.startswith(f"parts.{index}.")
            }  # fmt: skip
            for spec in list(groups):
                moved = [name for name in spec.parameters if name in mine]
                if moved:
                    spec.parameters = [name for name in spec.parameters if name not in mine]
                    groups.append(GroupSpec(f"head {task.name}", task.head_lr, spec.weight_decay, moved))
        left = [spec for spec in groups if spec.parameters]
        for name in {spec.name for spec in left}:
            members = [spec for spec in left if spec.name == name]
            heads = any(self.units[one] == "head" for spec in members for one in spec.parameters)
            if not heads:
                for spec in members:
                    spec.name = "encoder" if name == "all" else name.removesuffix(" + head")
        return left, frozen

    def data_digest(self) -> bytes:
        """Return the SHA-256 of all tasks' rows and tokenised training rows."""
        found = hashlib.sha256()
        for part in self.parts:
            found.update(part.data_digest())
        return found.digest()


def single_plan(joint: JointPlan) -> Plan:
    """Return the plan that stands for a joint one in what knows one task only: its training, encoder and runtime."""
    first = joint.plan_of(0)
    return first.model_copy(update={"name": joint.name, "stages": [joint.stage()]})


def with_own_head(plan: Plan, task: str) -> Plan:
    """Return a task's plan with its own head where the encoder is that of a joint run which has learnt it by this name.

    The tasks of a joint run lie side by side, each with the same encoder.
    """
    place = Path(plan.model.source)
    beside = place.parent / task
    if plan.model.source.startswith("hub:") or place.parent.name != "best" or beside == place:
        return plan
    if not (beside / "config.json").is_file():
        return plan
    return plan.model_copy(update={"model": plan.model.model_copy(update={"source": str(beside)})})


def load_joint(
    joint: JointPlan,
    cache: Path,
    *,
    check: Callable[[], None] = lambda: None,
    phase: Callable[[str], None] = lambda name: None,
    event: Callable[..., None] = lambda *args, **data: None,
) -> JointMaterial:
    """Load rows and models of all tasks, and let them share one encoder.

    Parameters
    ----------
    joint
        The plan.
    cache
        The home's cache folder.
    check
        Called between pieces of work; may raise to stop.
    phase
        Told what is being done: ``data``, ``model``, ``tokenising``.
    event
        Told which rows were left out because another task is judged on their texts.

    Raises
    ------
    BertloomError
        If data, model or plan cannot be used, tasks do not fit each other, or texts leak between them.
    """
    plans = [with_own_head(joint.plan_of(index), task.name) for index, task in enumerate(joint.tasks)]
    phase("data")
    rows: list[TaskRows] = []
    several = len(plans) + len(joint.beside) > 1
    for part, tasks in (("tasks", joint.tasks), ("beside", joint.beside)):
        for index, task in enumerate(tasks):
            check()
            with located(f"{part}.{index}", task.name, several=several):
                loaded = load_rows(joint.plan_for(task), cache)
            rows.append(TaskRows(task.name, index, loaded, task.data.drop_duplicates, part))
    kinds = [(one.name, plan.task.kind) for one, plan in zip(joint.tasks, plans, strict=True)]
    check_labels(
        [(name, kind, one.roles.labels, one.roles.fingerprint) for (name, kind), one in zip(kinds, rows, strict=False)]
    )
    roles, notices = without_leaks(rows)
    learnt = {one.name for one in joint.tasks}
    for notice in notices:
        if notice.partition(":")[0] in learnt:  # no name has a colon
            event("warning", notice)
    parts: list[Material] = []
    for index, (task, plan, own) in enumerate(zip(joint.tasks, plans, roles, strict=False)):  # those beside come last
        with located(f"tasks.{index}", task.name, several=several):
            parts.append(load_material(plan, cache, check=check, phase=phase, roles=own))
    check_tokenizers({one.name: part.tokenizer for one, part in zip(joint.tasks, parts, strict=True)})
    unjudged = [
        task.name for task, part in zip(joint.tasks, parts, strict=True) if task.share and "gate" not in part.encoded
    ]
    if unjudged and any("gate" in part.encoded for part in parts):
        event("warning", f"Without gate rows these do not count for the best checkpoint: {', '.join(unjudged)}.")
    if (
        unjudged
        and not any(task.share and task.name not in unjudged for task in joint.tasks)
        and any("gate" in part.encoded for part in parts)
    ):
        raise ConfigError(
            "No task that counts for the best checkpoint has gate rows.",
            where="tasks", expected="a task with a share above 0 and gate rows",
        )  # fmt: skip
    model, units = tie(parts)
    return JointMaterial(joint, single_plan(joint), parts, model, units)


def _task(joint: JointPlan, parts: Sequence[Material]) -> Task:
    shares = {
        task.name: (task.metric or part.task.primary_metric, task.share)
        for task, part in zip(joint.tasks, parts, strict=True) if task.share and "gate" in part.encoded
    }  # fmt: skip
    names = {
        task.name: tuple(dict.fromkeys((*part.task.metric_names, "loss")))
        for task, part in zip(joint.tasks, parts, strict=True)
    }
    return cast(Task, CombinedTask(shares, names))


def _joined(encoded: Sequence[Encoded]) -> Encoded:
    return Encoded(
        [feature for one in encoded for feature in one.features], [size for one in encoded for size in one.lengths], []
    )


def _report(roles: Any) -> Any:
    return roles.report if isinstance(roles.report, dict) else roles.report.as_dict()


@contextlib.contextmanager
def located(place: str, name: str, *, several: bool) -> Iterator[None]:
    """Let errors name the place in the joint plan, and the task where there are several."""
    try:
        yield
    except BertloomError as error:
        where = error.where
        if where is not None and where.startswith(_STAGE):
            own = where.removeprefix(_STAGE)
            of_task = own.split(".")[0] in ("class_weights", "label_smoothing", "metric")
            where = f"{place}.{own}" if of_task else f"training.{own}"
        elif where is not None and where.split(".")[0] in ("data", "task"):
            where = f"{place}.{where}"
        what = f"Task {name}: {error.what}" if several else error.what
        raise type(error)(what, where=where, expected=error.expected, advice=error.advice) from error
