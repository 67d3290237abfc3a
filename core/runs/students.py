"""All students so far of one task, data and metric: what they cost and score, and which no other beats. Plain data."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from core.runs.distilled import alone_key, distils
from core.runs.records import RunRecord
from core.runs.speed import comparable, measured_of, timing_of
from core.search.front import pareto_front

__all__ = ["overview"]

_Speed = Mapping[str, Any]


def overview(
    record: RunRecord, others: Iterable[RunRecord], report: Mapping[str, Any],
    speed: Callable[[RunRecord], _Speed | None], parameters: Callable[[RunRecord], int | None],
) -> dict[str, Any]:  # fmt: skip
    """Gather the students that can be held against a run's, and its teachers.

    Parameters
    ----------
    record
        A distilled run.
    others
        Finished runs, newest first; those of another task, other data, or without this metric are left out, and so are
        those that neither learn from a teacher nor are such a student without one.
    report
        What :func:`core.runs.distilled.report` says of the run.
    speed, parameters
        What was measured of a run, and how many numbers its weights hold; None where that is not known.

    Returns
    -------
    dict
        ``metric``, ``role``, ``machine``, ``threads`` (of the run's measurement, else of the newest that there is),
        ``students`` [{``run``, ``name``, ``kind`` (distilled, alone), ``score``, ``parameters``, ``file_bytes``,
        ``p50_ms``, ``p95_ms``, ``texts_per_s`` (one text of 64 sub-words; 32 of them for the last), ``why`` (there are
        no such numbers), ``here``, ``on_front``}], ``teachers`` [the same with ``source``].
    """
    role, metric = report["role"], report["metric"]
    name = f"{role}/{metric}"
    here = [record, *(one for one in others if one.id != record.id)]
    rows = [one for one in here if _same(one.plan, record.plan) and name in one.metrics]
    wanted = {alone_key(one.plan) for one in rows if distils(one.plan)}
    rows = [one for one in rows if distils(one.plan) or alone_key(one.plan) in wanted]
    speeds = {one.id: found for one in rows if (found := speed(one)) is not None}
    standard = next((speeds[one.id] for one in rows if one.id in speeds), None)
    students = [
        {
            "run": one.id, "name": one.name, "kind": "distilled" if distils(one.plan) else "alone",
            "score": one.metrics[name], "here": one.id == record.id, "on_front": False,
            **_cost(one.id, speeds, standard, functools.partial(parameters, one)),
        }
        for one in rows
    ]  # fmt: skip
    known = [one for one in students if one["why"] is None]
    for place in pareto_front([(one["parameters"], one["p50_ms"], -one["score"]) for one in known]) if known else []:
        known[place]["on_front"] = True
    teachers = [
        {
            "run": None, "name": one["name"], "kind": "teacher", "source": one["source"], "score": one["score"],
            "here": False, "on_front": False, **_teacher_cost(one, speeds, standard),
        }
        for one in report["teachers"] if one["score"] is not None
    ]  # fmt: skip
    return {
        "metric": metric, "role": role, "machine": (standard or {}).get("machine"),
        "threads": (standard or {}).get("threads"), "students": students, "teachers": teachers,
    }  # fmt: skip


def _same(plan: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return plan.get("task") == other.get("task") and plan.get("data") == other.get("data")


def _cost(
    run_id: str, speeds: Mapping[str, _Speed], standard: _Speed | None, parameters: Callable[[], int | None]
) -> dict[str, Any]:
    """Return what was measured of a run: by itself, or beside another run whose student it is without a teacher."""
    found = [(speeds[run_id], measured_of(speeds[run_id], "student"))] if run_id in speeds else []
    found += [(one, measured_of(one, "alone", run=run_id)) for one in speeds.values()]
    return _numbers([(whole, one) for whole, one in found if one is not None], standard, parameters)


def _teacher_cost(
    teacher: Mapping[str, Any], speeds: Mapping[str, _Speed], standard: _Speed | None
) -> dict[str, Any]:  # fmt: skip
    found = [(one, measured_of(one, "teacher", source=teacher["source"])) for one in speeds.values()]
    known = [(whole, one) for whole, one in found if one is not None]
    return _numbers(known, standard, lambda: int(teacher["parameters"]))


def _numbers(
    found: list[tuple[_Speed, dict[str, Any]]], standard: _Speed | None, parameters: Callable[[], int | None]
) -> dict[str, Any]:
    numbers: dict[str, Any] = {
        "parameters": None, "file_bytes": None, "p50_ms": None, "p95_ms": None, "texts_per_s": None, "why": None
    }  # fmt: skip
    fitting = [one for whole, one in found if standard is not None and comparable(whole, standard)]
    if fitting:
        one = fitting[0]
        numbers.update(parameters=one["parameters"], file_bytes=one["file_bytes"])
        timing, many = timing_of(one), timing_of(one, 32)
        if timing is not None:
            numbers.update(p50_ms=timing["p50_ms"], p95_ms=timing["p95_ms"])
            numbers["texts_per_s"] = None if many is None else many["texts_per_s"]
            return numbers
        return {**numbers, "why": "it does not read texts of 64 sub-words"}
    size = found[0][1]["parameters"] if found else parameters()
    why = "measured on another machine or with other threads" if found else "its speed was not measured"
    if size is None:
        why = "its weights were deleted before it was measured"
    return {**numbers, "parameters": size, "why": why}
