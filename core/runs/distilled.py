"""What a distillation came to: the student beside its teacher, and beside itself without a teacher. Plain data."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from core.config import Plan
from core.config.joint import JointPlan
from core.errors import RunError
from core.runs.compare.documents import answered, ratio_interval
from core.runs.joint_tasks import taught_tasks
from core.runs.records import RunRecord
from core.runs.speed import measured_of

__all__ = ["MAIN_METRICS", "alone", "alone_key", "complete", "distils", "report", "without_teacher"]

#: Metrics by which runs are told apart, where no stage names one: of each kind of task the first that it has.
MAIN_METRICS = (
    "strict_f1", "span_f1", "micro_f1", "accuracy", "f1", "las", "labelled_accuracy", "uas", "pointer_accuracy",
)  # fmt: skip
_Plan = TypeVar("_Plan", Plan, JointPlan)
#: Parts of a plan that say nothing of what is learnt.
_NAMES = ("name", "tags")


def alone(plan: _Plan) -> _Plan:
    """Return the same plan without teachers: its stages of kind ``distil``, or its tasks, learn from the gold alone."""
    data = plan.model_dump(mode="json")
    for stage in data.get("stages", ()):
        if stage["kind"] == "distil":
            stage.update(kind="train", distil=None)
    for task in data.get("tasks", ()):
        task["distil"] = None
    data["name"] = f"{(plan.name or 'student')[:100]} without a teacher"
    return type(plan).model_validate(data)


def without_teacher(plan: Mapping[str, Any], others: Iterable[RunRecord]) -> RunRecord | None:
    """Return the newest finished run that trains the same student on the same rows without a teacher."""
    wanted, kind = alone_key(plan), "joint" if plan.get("kind") == "joint" else "train"
    for record in others:
        if record.kind != kind or str(record.status) != "finished" or distils(record.plan):
            continue
        if alone_key(record.plan) == wanted:
            return record
    return None


def alone_key(plan: Mapping[str, Any]) -> str:
    """Return what two plans share that differ in nothing but teachers, name and tags; a plan of its own if it is no
    longer valid.
    """
    try:
        if plan.get("kind") == "joint":
            data = alone(JointPlan.model_validate(plan)).model_dump(mode="json")
        else:
            data = alone(Plan.model_validate(plan)).model_dump(mode="json")
    except ValueError:
        data = dict(plan)
    return json.dumps({key: value for key, value in data.items() if key not in _NAMES}, sort_keys=True, default=str)


def distils(plan: Mapping[str, Any]) -> bool:
    """Whether a plan has a stage, or a task, that learns from a teacher."""
    return any(stage.get("kind") == "distil" for stage in plan.get("stages") or []) or bool(taught_tasks(plan))


def report(
    record: RunRecord, results: Mapping[str, Any] | None, series: Mapping[str, Sequence[tuple[int, float]]],
    baseline: tuple[RunRecord, Mapping[str, Any]] | None,
) -> dict[str, Any]:  # fmt: skip
    """Put a distilled run's scores side by side.

    Parameters
    ----------
    record
        The run.
    results
        Its results.json.
    series
        Its series, of which those that begin with ``distil/`` are told.
    baseline
        The same student without a teacher, and its results, if there is one.

    Returns
    -------
    dict
        ``id``, ``role`` (``test``, or ``gate`` where there are no test rows), ``metric``, ``student`` and ``alone``
        {``id``, ``score``, ``interval``, ``parameters``?}, ``teachers`` [{``source``, ``name``, ``score``,
        ``interval``, ``parameters``, ``retention`` {``value``, ``interval``}, ``quadrants`` (of the scored rows) or
        None, ``lost`` (see :func:`core.training.distil.lost.lost_rows`; None in results of older versions)}],
        ``majority``, ``training`` (the last value of every series), ``notices``.

    Raises
    ------
    RunError
        If the run has no stage of kind distil, or has not finished.
    """
    if not distils(record.plan):
        raise RunError(
            f"The run {record.name!r} learns from no teacher.", where=f"run {record.id}",
            expected="a plan with a stage of kind distil",
        )  # fmt: skip
    if not results or not results.get("teachers"):
        raise RunError(
            f"The run {record.name!r} has no results yet.", where=f"run {record.id}", expected="a finished run"
        )
    role = "test" if (results.get("details") or {}).get("test") else "gate"
    details = (results.get("details") or {}).get(role) or {}
    metric = _metric(results["metrics"], role, record.plan)
    own = answered(details.get("documents") or {}, int(details.get("n") or 0))
    scored = _scored(details, metric, record.plan)
    notices = []
    teachers = []
    for one in results["teachers"]:
        other = (one.get("details") or {}).get(role) or {}
        theirs = answered(other.get("documents") or {}, int(other.get("n") or 0))
        score = one["metrics"].get(f"{role}/{metric}")
        teachers.append(
            {
                "source": one["source"], "name": one["name"], "parameters": one["parameters"], "score": score,
                "interval": (other.get("intervals") or {}).get(metric),
                "retention": _retention(
                    results["metrics"].get(f"{role}/{metric}"), score, scored, _scored(other, metric, record.plan)
                ),
                "quadrants": _quadrants(theirs, own), "lost": (one.get("lost") or {}).get(role),
            }
        )  # fmt: skip
    if baseline is None:
        notices.append("The same student without a teacher was not trained yet: what the teacher gave is not known.")
    found = {
        "id": record.id, "name": record.name, "role": role, "metric": metric,
        "student": _side(record, results, role, metric), "teachers": teachers,
        "alone": None if baseline is None else _side(baseline[0], baseline[1], role, metric),
        "majority": details.get("majority", (details.get("baseline") or {}).get(metric)),
        "training": {name: points[-1][1] for name, points in series.items() if points and name.startswith("distil/")},
        "notices": notices,
    }  # fmt: skip
    return found


def complete(
    found: Mapping[str, Any], speed: Mapping[str, Any] | None, exports: Sequence[Mapping[str, Any]],
    parameters: Callable[[str], int | None],
) -> dict[str, Any]:  # fmt: skip
    """Return a report with what was measured of everything in it.

    Parameters
    ----------
    found
        What :func:`report` returns.
    speed
        What :func:`core.runs.speed.read_speed` returns.
    exports
        What :func:`core.runs.speed.read_exports` returns.
    parameters
        How many numbers the weights of a run hold; None where they are gone.
    """

    def sized(one: Mapping[str, Any], form: str, **named: str) -> dict[str, Any]:
        bench = measured_of(speed, form, **named)
        size = one.get("parameters") if bench is None else bench["parameters"]
        return {**one, "parameters": parameters(one["id"]) if size is None and "id" in one else size, "bench": bench}

    student, other = found["student"], found["alone"]
    result = {
        **found,
        "student": sized(student, "student", run=student["id"]),
        "teachers": [sized(one, "teacher", source=one["source"]) for one in found["teachers"]],
        "alone": None if other is None else sized(other, "alone", run=other["id"]),
        "exports": [{**one, "bench": measured_of(speed, "export", source=one["folder"])} for one in exports],
        "speed": None,
    }
    if speed is None:
        result["notices"] = [*found["notices"], "Speed and memory were not measured yet."]
    else:
        result["speed"] = {key: speed.get(key) for key in ("machine", "threads", "versions", "measured", "seconds")}
    return result


def _metric(metrics: Mapping[str, float], role: str, plan: Mapping[str, Any]) -> str:
    named = [stage.get("metric") for stage in plan.get("stages") or [] if stage.get("metric")]
    known = [name for name in (*named, *MAIN_METRICS) if f"{role}/{name}" in metrics]
    return str(known[0]) if known else "loss"


def _scored(details: Mapping[str, Any], metric: str, plan: Mapping[str, Any]) -> tuple[str, np.ndarray] | None:
    """Return what a metric was made of, row by row, as :func:`answered` does; None where that was not kept."""
    documents, task = details.get("documents") or {}, plan.get("task") or {}
    if task.get("kind") == "question_answering" and metric == "f1":
        found = np.asarray(documents.get("f1") or [], dtype=np.float64)
        return ("mean", found[:, None]) if len(found) else None
    kinds = {"accuracy": "mean", "em": "mean", "span_f1" if task.get("gold") == "spans" else "strict_f1": "f1"}
    if task.get("kind") == "dependency":  # words with the right head, and relation where these are learnt
        made = ("las", "labelled_accuracy") if task.get("relations", True) else ("uas", "pointer_accuracy")
        kinds = dict.fromkeys(made, "f1")
    found_rows = answered(documents, int(details.get("n") or 0))
    return found_rows if found_rows is not None and found_rows[0] == kinds.get(metric) else None


def _side(record: RunRecord, results: Mapping[str, Any], role: str, metric: str) -> dict[str, Any]:
    details = (results.get("details") or {}).get(role) or {}
    return {
        "id": record.id, "name": record.name, "score": results["metrics"].get(f"{role}/{metric}"),
        "interval": (details.get("intervals") or {}).get(metric), "seconds": round(record.seconds, 1),
    }  # fmt: skip


def _retention(score: float | None, teacher: float | None, own: Any, theirs: Any) -> dict[str, Any] | None:
    """Return the student's share of its teacher's score, with an interval over the rows where that is possible."""
    if score is None or not teacher:
        return None
    interval = None
    if own is not None and theirs is not None and len(own[1]) == len(theirs[1]) > 1:
        interval = list(ratio_interval(own[1], theirs[1], own[0]))
    return {"value": score / teacher, "interval": interval}


def _quadrants(theirs: Any, own: Any) -> dict[str, int] | None:
    """Cross what teacher and student answer on the scored rows; None where rows are not right or wrong as a whole."""
    if own is None or theirs is None or own[0] != "mean" or theirs[0] != "mean" or len(own[1]) != len(theirs[1]):
        return None
    knows, answers = np.asarray(theirs[1][:, 0]) > 0.5, np.asarray(own[1][:, 0]) > 0.5
    return {
        "teachable": int((knows & ~answers).sum()), "harmful": int((~knows & answers).sum()),
        "both_wrong": int((~knows & ~answers).sum()), "both_right": int((knows & answers).sum()),
    }  # fmt: skip
