"""Joint plans before their start: what each task gets, where tasks clash, and how long it will take."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from core.config.joint import JointPlan
from core.config.plan import Plan
from core.runs.helper import Helper
from core.runs.sources import absolute_sources, names_hub, stamp
from core.settings import Home

__all__ = ["JointDesk", "timed_plans"]


class JointDesk:
    """Questions about joint plans.

    Parameters
    ----------
    home
        The home folder.
    helper
        The helper process, which reads rows.
    estimate
        Estimates the plan of a single task by a dry run.
    """

    def __init__(self, home: Home, helper: Helper, estimate: Callable[[Plan], dict[str, Any]]) -> None:
        self._home = home
        self._helper = helper
        self._estimate = estimate

    def check(self, plan: JointPlan) -> dict[str, Any]:
        """Return the steps of each task, and everything in which tasks clash (helper process, remembered).

        Returns
        -------
        dict
            See :func:`core.training.joint.check.check_joint`.
        """
        plan = absolute_sources(plan, self._home)
        told = plan.model_dump(mode="json") | {"name": "joint", "tags": []}
        marks = tuple(stamp(one.data, one.task) for one in plan.tasks)
        return dict(self._helper.call("check_joint", {"plan": told}, timeout=600, hub=names_hub(told), remember=marks))

    def estimate(self, plan: JointPlan, counted: Mapping[str, Any]) -> dict[str, Any]:
        """Estimate time and memory from a dry run of each task: joint steps cost what the single ones cost.

        A look at the gradients costs a step of every other task; of the memory of all tasks, which share the encoder,
        the largest one's is told.

        Parameters
        ----------
        plan
            The plan.
        counted
            What :meth:`check` said of it.

        Returns
        -------
        dict
            ``seconds``, ``seconds_low``, ``seconds_high``, ``memory_mb``, ``steps``, and ``tasks`` [{"name", "steps",
            "seconds"}].
        """
        found = [self._estimate(one) for one in timed_plans(plan, counted)]
        steps = [int(one["steps"]) for one in counted["tasks"]]
        looks = int(counted["steps"]) // plan.monitored if plan.monitored else 0
        more = 1 + looks * (len(steps) - 1) / max(1, sum(steps))
        seconds = {
            key: round(more * sum(float(one[key]) for one in found), 1)
            for key in ("seconds", "seconds_low", "seconds_high")
        }
        tasks = [
            {"name": task.name, "steps": own, "seconds": one["seconds"]}
            for task, own, one in zip(plan.tasks, steps, found, strict=True)
        ]
        memory = max(float(one["memory_mb"]) for one in found)
        return {**seconds, "memory_mb": memory, "steps": counted["steps"], "tasks": tasks}


def timed_plans(plan: JointPlan, counted: Mapping[str, Any]) -> list[Plan]:
    """Return the plans of the single tasks with the steps, and the number of evaluations, that each has in the joint.

    Parameters
    ----------
    plan
        The joint plan.
    counted
        What :meth:`JointDesk.check` said of it.
    """
    evaluations = max(1, int(counted["steps"]) // max(1, plan.training.eval_every or int(counted["round"])))
    found = []
    for index, one in enumerate(counted["tasks"]):
        own, single = max(1, int(one["steps"])), plan.plan_of(index)
        stage = single.stages[0].model_copy(update={"steps": own, "eval_every": max(1, own // evaluations)})
        found.append(single.model_copy(update={"stages": [stage]}))
    return found
