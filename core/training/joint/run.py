"""A joint run: that of a plan with one stage, over the rows and heads of several tasks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from core.config import Stage
from core.config.joint import JointPlan
from core.training.context import Outcome, RunContext
from core.training.device import exclusive, reading_errors
from core.training.joint.material import JointMaterial, load_joint, single_plan
from core.training.joint.session import JointSession
from core.training.loop import execute
from core.training.material import Material
from core.training.run import Run
from core.training.session import Session

__all__ = ["JointRun", "train"]


def train(plan: JointPlan, context: RunContext, *, resume: bool = True) -> Outcome:
    """Execute a joint plan.

    Parameters
    ----------
    plan
        The complete plan.
    context
        Where numbers, events and files go, and where requests come from.
    resume
        Go on from the run folder's newest whole checkpoint, if there is one.

    Returns
    -------
    Outcome
        Finished, paused or cancelled.

    Raises
    ------
    BertloomError
        If data, model or plan cannot be used, tasks do not fit each other, texts leak between them, the memory does
        not suffice, or a guard holds.
    """
    with reading_errors(), exclusive(deterministic=plan.runtime.deterministic):
        return execute(JointRun(plan, context), resume=resume)


class JointRun(Run):
    """One execution of a joint plan.

    Parameters
    ----------
    joint
        The plan.
    context
        Where numbers, events and files go, and where requests come from.
    """

    material: JointMaterial

    def __init__(self, joint: JointPlan, context: RunContext):
        super().__init__(single_plan(joint), context)
        self.joint = joint

    def load(self) -> Material:
        """Load rows and models of all tasks, and tie their encoders."""
        return load_joint(
            self.joint, Path(self.context.cache), check=self.check, phase=self.phase, event=self.event
        )  # fmt: skip

    def build(self, stage: Stage, index: int, *, fresh: bool) -> Session:
        """Build the training on the tied models."""
        return JointSession(self.material, stage, index, fresh=fresh)

    @property
    def taught(self) -> bool:
        """Whether a task learns from teachers."""
        return bool(self.joint.taught)

    def teacher_results(self, student: dict[str, list[np.ndarray]]) -> list[dict[str, Any]]:
        """Score the teachers of each task on its gate and test rows, and find what the student lost of them."""
        from core.training.distil.scores import teacher_results

        found: list[dict[str, Any]] = []
        for index, (name, part) in enumerate(zip(self.material.names, self.material.parts, strict=True)):
            own = {key.rpartition("/")[2]: one for key, one in student.items() if key.rpartition("/")[0] == name}
            scored = teacher_results(part, own, where=f"tasks.{index}", check=self.check)
            found += [{"task": name, **one} for one in scored]
        return found

    def told(self) -> dict[str, Any]:
        """Return what was trained of each task, and how their gradients lay to one another."""
        session = None if self.current is None else self.current.session
        if not isinstance(session, JointSession):
            return {}
        shared, heads = self.material.counted
        turns = session.schedule.done(self.step)
        weights = session.loss_weights.values(len(turns))
        tasks = [
            {"name": one.name, "kind": one.task.kind, "batches": turns[index], "examples": session.examples[index],
             "weight": weights[index], "parameters": heads[index],
             "rows": {role: len(getattr(part.roles, role)) for role in part.encoded}}
            for index, (one, part) in enumerate(zip(self.joint.tasks, self.material.parts, strict=True))
        ]  # fmt: skip
        return {"tasks": tasks, "shared_parameters": shared, "conflicts": session.conflicts.summary()}
