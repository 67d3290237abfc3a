"""A joint plan checked against its rows, without training: steps of each task, and everything in which tasks clash.

What the run itself would refuse is asked of the same functions.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from core.config import Plan
from core.config.joint import JointPlan
from core.data.tasks.base import Encoded, Task
from core.errors import BertloomError
from core.training.batches import stage_seed
from core.training.joint.leaks import TaskRows, without_leaks
from core.training.joint.material import with_own_head
from core.training.joint.schedule import Schedule
from core.training.joint.tied import check_labels
from core.training.material import ROLES, load_rows

__all__ = ["check_joint"]

#: Fields of a stage that each task has for itself.
_OF_TASK = ("class_weights", "label_smoothing", "metric")


def check_joint(joint: JointPlan, *, cache: Path) -> dict[str, Any]:
    """Check a joint plan that is valid by itself, and count what each task gets.

    Parameters
    ----------
    joint
        The plan.
    cache
        The home's cache folder.

    Returns
    -------
    dict
        ``findings`` [{"level", "key", "message", "advice"}], errors first; ``tasks`` [{"name", "rows" {role: rows},
        "steps", "share", "examples", "cut_share", "labels", "label_names", "answers"}], where ``steps`` are the batches
        that a task gets, ``share`` is their part of all, ``examples`` are the texts or windows that it trains on, and
        ``answers`` what a teacher is asked about them, see :func:`core.training.distil.forms.asked` (None each where
        its rows cannot be read); ``steps`` and ``round`` (steps of one epoch of every task), None while the rows of a
        task cannot be read.
    """
    findings: list[dict[str, Any]] = []
    plans = [with_own_head(joint.plan_of(index), task.name) for index, task in enumerate(joint.tasks)]
    loaded = [_rows(f"tasks.{index}", plan, cache, findings) for index, plan in enumerate(plans)]
    beside = [
        _rows(f"beside.{index}", joint.plan_for(task), cache, findings) for index, task in enumerate(joint.beside)
    ]
    _labels(joint, plans, loaded, findings)
    roles = _leaks(joint, loaded, beside, findings)
    lengths = [_lengths(joint, index, plan, roles[index], findings, cache) for index, plan in enumerate(plans)]
    answer: dict[str, Any] = {"findings": findings, "steps": None, "round": None}
    turns: list[int | None] = [None] * len(plans)
    counted = [one["lengths"] for one in lengths if one is not None and len(one["lengths"])]
    if len(counted) == len(plans):
        stage, mixing = joint.stage(), joint.mixing
        quotas = [one.quota for one in joint.tasks if one.quota is not None]
        schedule = Schedule(
            counted, stage, stage_seed(stage, 0, joint.runtime.seed), alpha=mixing.alpha, alpha_end=mixing.alpha_end,
            quotas=quotas or None, together=mixing.pcgrad,
        )  # fmt: skip
        turns = list(schedule.done(schedule.steps))
        answer |= {"steps": schedule.steps, "round": schedule.round_steps(0)}
    batches = sum(turn or 0 for turn in turns)
    answer["tasks"] = [
        {
            "name": one.name, "rows": {role: len(getattr(rows, role)) for role in ROLES} if rows is not None else None,
            "steps": turn, "share": None if turn is None else turn / max(1, batches),
            "examples": None if encoded is None else len(encoded["lengths"]),
            "cut_share": None if encoded is None else encoded["cut_share"],
            "labels": None if rows is None else len(rows.labels),
            "label_names": None if rows is None else list(rows.labels),
            "answers": None if encoded is None else encoded["answers"],
        }
        for one, rows, encoded, turn in zip(joint.tasks, roles, lengths, turns, strict=True)
    ]  # fmt: skip
    _judged(joint, roles, findings)
    order = ("error", "warning", "note")
    findings.sort(key=lambda finding: order.index(finding["level"]))
    return answer


def _finding(level: str, key: str, message: str, advice: str | None = None) -> dict[str, Any]:
    return {"level": level, "key": key, "message": message, "advice": advice}


def _of_error(error: BertloomError, key: str, place: str = "") -> dict[str, Any]:
    """Return an error as a finding beside the key that it names, else beside `key`, with the place in its words.

    Parameters
    ----------
    error
        The error.
    key
        Key of the plan that it most likely concerns.
    place
        Key of the task that it is about: keys of that task's own plan are those of the task, or of the training.
    """
    named = error.where or ""
    own = named.removeprefix("stages.0.")
    if place and named.split(".")[0] in ("data", "task"):
        key, named = f"{place}.{named}", ""
    elif place and own != named:
        key, named = f"{place}.{own}" if own.split(".")[0] in _OF_TASK else f"training.{own}", ""
    message = f"{error.what} Where: {named}." if named and named != key else error.what
    if error.expected:
        message += f" Expected: {error.expected}."
    return _finding("error", key, message, error.advice)


def _rows(place: str, plan: Plan, cache: Path, findings: list[dict[str, Any]]) -> Any:
    try:
        rows = load_rows(plan, cache)
    except BertloomError as error:
        findings.append(_of_error(error, f"{place}.data.source", place))
        return None
    findings += [
        _finding(found["level"], f"{place}.task.pointer.dictionary", str(found["message"]), found.get("advice") or None)
        for found in rows.report.get("findings") or () if found.get("code") == "dictionary"
    ]  # fmt: skip
    return rows


def _labels(joint: JointPlan, plans: list[Plan], loaded: list[Any], findings: list[dict[str, Any]]) -> None:
    known = [
        (index, (joint.tasks[index].name, plans[index].task.kind, rows.labels, rows.fingerprint))
        for index, rows in enumerate(loaded) if rows is not None
    ]  # fmt: skip
    for (_, one), (at, other) in combinations(known, 2):
        try:
            check_labels([one, other])
        except BertloomError as error:
            findings.append(_of_error(error, f"tasks.{at}.data.source"))


def _leaks(
    joint: JointPlan, loaded: list[Any], beside: list[Any], findings: list[dict[str, Any]]
) -> list[Any]:  # fmt: skip
    """Return the roles without what is dropped; where texts are refused, as they were read."""
    known = [
        TaskRows(task.name, index, rows, task.data.drop_duplicates, part)
        for part, tasks, roles in (("tasks", joint.tasks, loaded), ("beside", joint.beside, beside))
        for index, (task, rows) in enumerate(zip(tasks, roles, strict=True)) if rows is not None
    ]  # fmt: skip
    try:
        roles, notices = without_leaks(known)
    except BertloomError as error:
        # The advice names the switches of the tasks that have to give their rows up.
        switches = [f"{one.part}.{one.index}.data.drop_duplicates" for one in known]
        findings += [_of_error(error, switch) for switch in switches if switch in (error.advice or "")]
        return loaded
    places = {one.name: one.index for one in known if one.part == "tasks"}
    for notice in notices:
        name = notice.partition(":")[0]  # no name has a colon
        if name in places:
            findings.append(_finding("note", f"tasks.{places[name]}.data.drop_duplicates", notice))
    kept = list(loaded)
    for one, own in zip(known, roles, strict=True):
        if one.part == "tasks":
            kept[one.index] = own
    return kept


def _teachers(
    index: int, plan: Plan, task: Task, roles: Any, encoded: Encoded, tokenizer: Any, cache: Path
) -> Iterator[dict[str, Any]]:
    """Ask the teachers of a task whether they can teach it with this encoder, and whether their answers have room."""
    from core.models import build_model, structure
    from core.training.distil.rehearsal import teacher_findings

    model, _ = build_model(plan.model, task, seed=plan.runtime.seed)
    place, layers = f"tasks.{index}", list(structure(model).layers)
    for level, key, found in teacher_findings(
        plan.stages[0], place, task, model, tokenizer, layers, plan.model.max_length, roles.train, encoded, cache
    ):
        if not isinstance(found, BertloomError):
            yield _finding(level, key, found)
            continue
        finding = _of_error(found, key)
        named = found.where or ""
        yield {**finding, "key": named} if named.startswith(f"{place}.distil") else finding


def _lengths(
    joint: JointPlan, index: int, plan: Plan, roles: Any, findings: list[dict[str, Any]], cache: Path
) -> dict[str, Any] | None:
    """Return the sub-words of a task's training examples, and which share of its texts is cut; None if unknown.

    Where the task has teachers, they are asked whether they can teach it.
    """
    from core.data.tasks import task_for
    from core.models import load_tokenizer, resolve
    from core.training.demands import check_labels as check_class_weights
    from core.training.demands import check_metrics
    from core.training.distil.forms import asked

    if roles is None:
        return None
    try:
        task = task_for(plan.task, roles.labels, entries=roles.entries)
        check_metrics(plan, task, gate_rows=len(roles.gate))
        check_class_weights(plan.stages[0], roles.labels, "stages.0")
        words = plan.task.kind in ("tagging", "dependency")
        tokenizer = load_tokenizer(resolve(plan.model.source, plan.model.revision), words=words)
        encoded = task.encode(roles.train, tokenizer, plan.model.max_length)
        if encoded.features and joint.tasks[index].distil is not None:
            findings += _teachers(index, plan, task, roles, encoded, tokenizer, cache)
    except BertloomError as error:
        of_model = (error.where or "").split(".")[0] == "model"
        place = f"tasks.{index}"
        findings.append(_of_error(error, "model.source" if of_model else f"{place}.task.kind", place))
        return None
    if not encoded.features:
        findings.append(
            _finding(
                "error", f"tasks.{index}.data.source", f"{joint.tasks[index].name} has no training row left.",
                "Check the column mapping, and the shares of gate and test.",
            )
        )  # fmt: skip
    return {
        "lengths": np.asarray(encoded.lengths, dtype=np.int64), "cut_share": encoded.cut / max(1, len(roles.train)),
        "answers": asked(task, encoded, roles.train) if encoded.features else None,
    }  # fmt: skip


def _judged(joint: JointPlan, roles: list[Any], findings: list[dict[str, Any]]) -> None:
    """Tell which tasks do not count for the best checkpoint because they have no gate rows."""
    counting = [index for index, one in enumerate(joint.tasks) if one.share and roles[index] is not None]
    without = [index for index in counting if not len(roles[index].gate)]
    if not any(rows is not None and len(rows.gate) for rows in roles):
        return
    if without and len(without) == len(counting):
        findings.append(
            _finding(
                "error", f"tasks.{without[0]}.share", "No task that counts for the best checkpoint has gate rows.",
                "Give a task with a share above 0 some gate rows.",
            )
        )  # fmt: skip
        return
    for index in without:
        message = f"{joint.tasks[index].name} has no gate rows: it does not count for the best checkpoint."
        findings.append(_finding("warning", f"tasks.{index}.share", message))
