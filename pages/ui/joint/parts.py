"""Joint plan ↔ form, as pure functions.

A joint plan is made of plans of one task: one for everything that is shared (name, encoder, training, runtime), and one
for each task (its data and what is learnt). The planner knows how to draw and to check those. What only joint training
has stands beside them. One entry for every key of the schema, so that nothing is lost between YAML, form and run.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from pydantic import ValidationError

from core.config import Plan, problems
from core.config.joint import JointPlan, JointTask, JointTraining, MixingConfig
from pages.ui.forms import State, state_from_plan
from pages.ui.nested import nested

__all__ = [
    "OF_STAGE", "OWN", "TRAINING", "Parts", "data_of", "from_single", "own_values", "parts_of", "read", "task_name",
    "task_state",
]  # fmt: skip

#: Fields of a task that a plan of one task does not have, or has for the encoder.
OWN = ("name", "max_length", "head_lr", "weight", "quota", "share")
#: Fields of a task that a plan of one task has in its stage.
OF_STAGE = ("metric", "class_weights", "label_smoothing", "distil")
#: Fields of the training: those of a stage that mean something for several tasks.
TRAINING = tuple(JointTraining.model_fields)
_STAGE = "stages.0."
#: Parts of the plan that the forms of single tasks hold.
_HELD = ("name", "tags", "tasks", "model", "training", "mixing", "runtime")
_UNFIT = re.compile(r'[/\\:*?"<>|\x00-\x1f\x7f]+')


@dataclass
class Parts:
    """A joint plan as a form holds it.

    Parameters
    ----------
    shared
        State of a plan with name, encoder, training (its only stage) and runtime of all.
    tasks
        Of each task the state of its own plan; see :func:`task_state`.
    own
        Of each task the values of :data:`OWN`.
    mixing
        The values of ``mixing``.
    rest
        Other keys of the plan, which have no field.
    """

    shared: State
    tasks: list[State]
    own: list[dict[str, Any]]
    mixing: dict[str, Any]
    rest: dict[str, Any]


def parts_of(plan: JointPlan) -> Parts:
    """Return a valid plan as a form holds it."""
    data = plan.model_dump(mode="json")
    first = plan.plan_of(0)
    whole = first.model_copy(update={"name": plan.name, "stages": [plan.stage()], "model": plan.model})
    return Parts(
        state_from_plan(whole), [state_from_plan(plan.plan_of(index)) for index in range(len(plan.tasks))],
        [own_values(task) for task in plan.tasks], copy.deepcopy(data["mixing"]),
        {name: copy.deepcopy(value) for name, value in data.items() if name not in _HELD},
    )  # fmt: skip


def own_values(task: JointTask) -> dict[str, Any]:
    """Return what a task has beside data, what is learnt, and what its stage says."""
    return {name: copy.deepcopy(getattr(task, name)) for name in OWN}


def task_state(state: Mapping[str, Any], shared: Mapping[str, Any], own: Mapping[str, Any]) -> State:
    """Return the state of a task's plan with encoder, training and runtime of the whole.

    Parameters
    ----------
    state
        The task's, of which data, task and :data:`OF_STAGE` count.
    shared
        What all tasks have in common.
    own
        The task's values of :data:`OWN`.
    """
    kept = tuple(f"{_STAGE}{name}" for name in OF_STAGE)
    found = {path: value for path, value in state.items() if path.startswith(("data.", "task.", *kept))}
    for path, value in shared.items():
        if path.startswith(("model.", "runtime.")) or (path.startswith(_STAGE) and not path.startswith(kept)):
            found[path] = copy.deepcopy(value)
    found[f"{_STAGE}kind"] = "train" if found.get(f"{_STAGE}distil") is None else "distil"
    found["name"], found["tags"] = str(own.get("name") or "task"), []
    for name, path in (("max_length", "model.max_length"), ("head_lr", f"{_STAGE}head_lr")):
        if own.get(name) is not None:
            found[path] = own[name]
    return found


def data_of(parts: Parts) -> dict[str, Any]:
    """Return the plan as plain data; it may not be valid."""
    shared = nested(parts.shared)
    stage = shared["stages"]["0"]
    tasks = []
    for state, own in zip(parts.tasks, parts.own, strict=True):
        plan = nested(state)
        told = {name: plan["stages"]["0"][name] for name in OF_STAGE}
        tasks.append({**own, **told, "task": plan["task"], "data": plan["data"]})
    return {
        **copy.deepcopy(parts.rest), "name": shared["name"], "tags": shared["tags"], "tasks": tasks,
        "model": shared["model"], "training": {name: stage[name] for name in TRAINING},
        "mixing": copy.deepcopy(parts.mixing), "runtime": shared["runtime"],
    }  # fmt: skip


def read(parts: Parts) -> tuple[JointPlan | None, dict[str, str]]:
    """Return the plan, or ``None`` and the messages by dotted key of the plan; ``""`` concerns the whole."""
    own = dict(_clashes(parts))
    try:
        plan = JointPlan.model_validate(data_of(parts))
    except ValidationError as error:
        found = problems(error)
        if own:
            # What the plan says of names, quotas, weights and shares is said beside their fields already.
            found = {key: message for key, message in found.items() if key not in ("", "tasks")}
        return None, {**found, **own}
    return (None, own) if own else (plan, {})


def from_single(plan: Plan) -> JointPlan:
    """Return a joint plan whose only task is that of a plan: what a person has chosen so far is kept."""
    stage = plan.active[0] if plan.active else plan.stages[0]
    training = JointTraining.of(stage) if stage.trains else JointTraining()
    task = JointTask(
        name=task_name(plan.data.source), task=plan.task, data=plan.data, class_weights=stage.class_weights,
        label_smoothing=stage.label_smoothing, distil=stage.distil,
    )  # fmt: skip
    return JointPlan(
        name=plan.name, tags=list(plan.tags), tasks=[task], model=plan.model, training=training, mixing=MixingConfig(),
        runtime=plan.runtime,
    )  # fmt: skip


def task_name(source: str, taken: Iterable[str] = ()) -> str:
    """Return a name for a task by its source, which no other one has, capitals aside."""
    word = source.removeprefix("hub:").rstrip("/")
    stem = PurePath(word).stem if "." in PurePath(word).name else word.rpartition("/")[2]
    base = " ".join(_UNFIT.sub(" ", stem).split()).strip(" .")[:36].strip() or "task"
    if base.casefold() in ("combined", "loss"):
        base = f"{base} task"
    known = {name.casefold() for name in taken}
    number, name = 2, base
    while name.casefold() in known:
        name, number = f"{base} {number}", number + 1
    return name


def _clashes(parts: Parts) -> Iterable[tuple[str, str]]:
    """Yield what is wrong between tasks, beside the field where it can be mended."""
    names = [str(one["name"] or "").casefold() for one in parts.own]
    for at, name in enumerate(names):
        if name and name in names[:at]:
            yield f"tasks.{at}.name", "another task is called so already (capitals do not tell names apart)"
    given = [at for at, one in enumerate(parts.own) if one["quota"] is not None]
    for at in range(len(parts.own)) if given else ():
        if at not in given:
            yield (
                f"tasks.{at}.quota",
                f"give a quota to every task or to none: {_name(parts.own, given[0])} has one",
            )
    if given and parts.shared.get(f"{_STAGE}steps") is not None:
        yield "training.steps", "quotas say how many steps there are: leave this empty"
    if parts.mixing.get("weights") != "fixed":
        for at, one in enumerate(parts.own):
            if one["weight"] not in (1.0, None):
                yield f"tasks.{at}.weight", "this weight would not count: choose fixed weights, or set it to 1"
    if parts.own and all(one["share"] == 0 for one in parts.own):
        yield "tasks.0.share", "the share of every task is 0: at least one must count for the best checkpoint"


def _name(own: Sequence[Mapping[str, Any]], at: int) -> str:
    return str(own[at]["name"] or f"task {at + 1}")
