"""What a person sees of, and says to, a run that learns from a teacher: changed values, pins, what was seen of it.

Plain files in the run's folder, without torch: ``pins.json`` is written here and read by the worker; ``watched.jsonl``
is written by the worker and read here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from core.config.distillation import DistillationConfig
from core.errors import RunError
from core.runs.records import EventRecord, RunRecord, Status
from core.training.diary import FILE, read_diary
from core.training.distil.pins import Pin, read_pins, remove_pin, write_pin

__all__ = ["answered", "learns", "pin", "pins", "trains_now", "unpin", "watched"]


def learns(plan: Mapping[str, Any]) -> bool:
    """Whether a stage of a plan that is executed learns from a teacher."""
    return any(one.get("kind") == "distil" and one.get("enabled", True) for one in plan.get("stages") or [])


def trains_now(record: RunRecord) -> tuple[int, DistillationConfig]:
    """Return the stage that trains now, and how it learns from its teacher.

    Returns
    -------
    (int, DistillationConfig)
        Its place among the stages that are executed, from 0, and its config.

    Raises
    ------
    RunError
        If no stage of the run has a teacher, none trains yet, or the one that does has none.
    """
    where = f"run {record.id}"
    if record.kind != "train" or not learns(record.plan):
        raise RunError(
            f"The run {record.name!r} learns from no teacher: it has no temperature, alpha or lambda.", where=where,
            expected="a plan with a stage of kind distil",
        )  # fmt: skip
    active = [one for one in record.plan["stages"] if one.get("enabled", True)]
    index = record.progress.get("stage")
    if not isinstance(index, int) or index >= len(active):
        raise RunError(
            f"The run {record.name!r} has not begun to train.", where=where, expected="a stage with a teacher that "
            "trains", advice="Wait for its first step, or change the plan and start it again.",
        )  # fmt: skip
    stage = active[index]
    if stage.get("kind") != "distil":
        raise RunError(
            f"The stage {stage.get('name')!r} that trains now has no teacher.", where=where,
            expected="a stage of kind distil", advice="Wait until such a stage trains.",
        )  # fmt: skip
    return index, DistillationConfig.model_validate(stage["distil"])


def pins(folder: Path) -> list[dict[str, Any]]:
    """Return the pins of a run: ``id``, ``text``, ``pair``, ``tokens``, ``gold``."""
    return [vars(one) for one in read_pins(folder)]


def pin(
    record: RunRecord, folder: Path, text: str, *, tokens: Sequence[str] | None = None, pair: str | None = None,
    gold: Any = None,
) -> Pin:  # fmt: skip
    """Pin a sentence of a run that has steps before it; see :func:`core.training.distil.pins.write_pin`.

    Raises
    ------
    RunError
        If the run learns from no teacher, or is over.
    ConfigError
        If the sentence is empty, too long, a question without a context (`pair`), or there are too many pins.
    """
    where = f"run {record.id}"
    if record.kind != "train" or not learns(record.plan):
        raise RunError(
            f"The run {record.name!r} learns from no teacher: there is nothing to compare a sentence with.",
            where=where, expected="a plan with a stage of kind distil",
        )  # fmt: skip
    if record.status is Status.FINISHED:
        raise RunError(
            f"The run {record.name!r} has finished: no step would look at the sentence.", where=where,
            expected="a run that is queued or trains", advice="Duplicate it, and pin the sentence before it starts.",
        )  # fmt: skip
    kind = (record.plan.get("task") or {}).get("kind")
    folder.mkdir(parents=True, exist_ok=True)  # of a joint run each task has one of its own
    return write_pin(
        folder, text, tagging=kind in ("tagging", "dependency"), tokens=tokens, pair=pair, gold=gold,
        asks=kind == "question_answering",
    )  # fmt: skip


def unpin(folder: Path, which: str) -> None:
    """Take a pin away.

    Raises
    ------
    RunError
        If there is no such pin.
    """
    known = [one.id for one in read_pins(folder)]
    if which not in known:
        raise RunError(
            f"No sentence is pinned as {which!r}.", where="pin", expected=", ".join(known) or "a run with pins",
            advice="`bertloom distil pins ID` lists them.",
        )  # fmt: skip
    remove_pin(folder, which)


def watched(folder: Path, after: int = 0, name: str = "") -> dict[str, Any]:
    """Return what was seen of a student behind a place; see :func:`core.training.diary.read_diary`."""
    return read_diary(folder / FILE, after, name)


def answered(events: Iterable[EventRecord], task: str = "") -> list[dict[str, Any]]:
    """Return how many training rows each teacher had answered before, and answered in this run.

    Parameters
    ----------
    events
        Of the run.
    task
        Of a joint run the task whose teachers are meant.

    Returns
    -------
    list of dict
        ``teacher``, ``rows``, ``computed`` (in this run, whatever resumes there were), ``found`` (in the cache).
    """
    told: dict[str, dict[str, Any]] = {}
    for event in events:
        one = event.data.get("answered")
        if isinstance(one, Mapping) and one.get("task", "") == task:
            entry = told.setdefault(str(one["teacher"]), {"teacher": str(one["teacher"]), "rows": 0, "computed": 0})
            entry["rows"] = int(one["rows"])
            entry["computed"] = min(entry["rows"], entry["computed"] + int(one["computed"]))
    return [{**one, "found": one["rows"] - one["computed"]} for one in told.values()]
