"""Where a run's head pointed while it learnt, as pages read it: sentence by sentence. Plain data, without torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from core.training.diary import read_diary
from core.training.pointing import FILE, SCALE

__all__ = ["pointer_looks", "pointing_tasks", "sentences_of_test"]


def pointer_looks(folder: Path) -> list[dict[str, Any]]:
    """Return the sentences that were looked at while a run learnt, and every look.

    Parameters
    ----------
    folder
        The run's.

    Returns
    -------
    list of dict
        ``id``, ``task`` (empty in a run with one task), ``role`` (gate or test), ``row`` (number in its source),
        ``gold`` (see :func:`core.data.tasks.pointer_view.gold_of`), ``text`` and ``looks``, oldest first: views as
        :func:`core.data.tasks.pointer_view.pointer_views` gives them, with ``step`` and ``stage``. Sentences of gate
        come first. Empty where nothing was looked at.
    """
    found: dict[str, dict[str, Any]] = {}
    for entry in _entries(folder / FILE):
        if entry["kind"] == "sentence":
            found[entry["pin"]] = {**entry, "id": entry["pin"], "looks": found.get(entry["pin"], {}).get("looks", [])}
        elif entry["kind"] == "look" and entry["pin"] in found:
            found[entry["pin"]]["looks"].append(_view(found[entry["pin"]], entry))
    told = [
        {name: one[name] for name in ("id", "task", "role", "row", "gold", "text", "looks")}
        for one in found.values() if one["looks"]
    ]  # fmt: skip
    return sorted(told, key=lambda one: (one["task"], one["role"] == "test"))


def sentences_of_test(folder: Path, most: int = 2) -> dict[str, list[dict[str, Any]]]:
    """Return the first test sentences that a run looked at, as :func:`pointer_looks` gives them, by task.

    Parameters
    ----------
    folder
        The run's.
    most
        Sentences of each task at most.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for one in pointer_looks(folder):
        if one["role"] == "test" and len(found.get(one["task"], ())) < most:
            found.setdefault(one["task"], []).append(one)
    return found


def pointing_tasks(plan: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the tasks of a plan whose heads point: settings by name, which is empty in a run with one task.

    See :func:`core.data.tasks.pointer_view.points`; plans of older versions are read too.
    """
    tasks = {str(one["name"]): one.get("task") or {} for one in plan.get("tasks") or ()} or {"": plan.get("task") or {}}
    return {
        name: dict(task) for name, task in tasks.items()
        if task.get("kind") == "dependency" or task.get("head") == "pointer"
    }  # fmt: skip


def _entries(path: Path) -> Iterator[dict[str, Any]]:
    cursor, name = 0, ""
    while True:
        batch = read_diary(path, cursor, name)
        yield from batch["entries"]
        cursor, name = batch["cursor"], batch["name"]
        if not batch["more"]:
            return


def _view(sentence: Mapping[str, Any], entry: Mapping[str, Any]) -> dict[str, Any]:
    memory = entry.get("memory")
    return {
        "kind": sentence["form"], **{name: sentence[name] for name in ("text", "rows", "columns", "slot")},
        **{name: entry[name] for name in ("step", "stage", "pointed", "names", "spans", "contains")},
        "shares": _shares(entry["shares"]), "memory": None if memory is None else _shares(memory),
        "read": entry.get("read"), "entries": sentence.get("entries"),
    }  # fmt: skip


def _shares(values: list[list[int]]) -> list[list[float]]:
    return [[value / SCALE for value in row] for row in values]
