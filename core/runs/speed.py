"""What was measured of a run's model and those it is held against: kept in its folder, read without torch."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from core.errors import BertloomError, StorageError
from core.models.onnx_folder import is_onnx, read_about
from core.runs import folder
from core.runs.plain import plain
from core.runs.records import RunRecord

__all__ = [
    "EXPORTS", "SPEED", "comparable", "forms", "kept", "measured_of", "note_export", "read_exports", "read_speed",
    "timing_of", "told",
]  # fmt: skip

#: Files in a run's folder.
SPEED, EXPORTS = "speed.json", "exports.json"
_MOST_EXPORTS = 50


def read_speed(run: Path) -> dict[str, Any] | None:
    """Return what was measured last, or None where nothing was (or the file is damaged: it can be measured again).

    Returns
    -------
    dict
        ``forms`` [{``form`` (student, teacher, alone, export), ``name``, ``run`` (id or None), and what
        :func:`core.models.bench.bench_models` says of it, or ``error``}], ``threads``, ``machine``, ``versions``,
        ``measured``, ``seconds``.
    """
    try:
        found = folder.read_json(run / SPEED)
    except StorageError:
        return None
    return found if found is not None and isinstance(found.get("forms"), list) else None


def read_exports(run: Path) -> list[dict[str, Any]]:
    """Return the exports of a run that are still there, newest first.

    Returns
    -------
    list of dict
        ``folder``, ``name``, ``format``, ``time``, of ONNX exports ``about`` (what ``onnx.json`` holds), and of joint
        runs ``task``.
    """
    found = []
    for entry in _noted(run):
        place = Path(str(entry.get("folder")))
        about = read_about(place) if is_onnx(place) else {}
        here = about.get("format") if about else "safetensors" if any(place.glob("*.safetensors")) else None
        if here == entry.get("format"):
            found.append({**entry, "name": place.name, **({"about": about} if about else {})})
    return found


def note_export(run: Path, target: Path, format: str, time: float, task: str = "") -> None:
    """Note down that a run, or a task of it, was exported to a folder, in place of what was noted of that before."""
    noted = [entry for entry in _noted(run) if entry.get("folder") != str(target)]
    own = {"folder": str(target), "format": format, "time": round(time), **({"task": task} if task else {})}
    entries = [own, *noted]
    folder.write_text(run / EXPORTS, json.dumps({"exports": entries[:_MOST_EXPORTS]}, indent=1))


def _noted(run: Path) -> list[dict[str, Any]]:
    try:
        found = folder.read_json(run / EXPORTS) or {}
    except StorageError:
        return []
    entries = found.get("exports")
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []


def forms(
    record: RunRecord, source: str | None, teachers: Sequence[Mapping[str, Any]], twin: tuple[RunRecord, str] | None,
    exports: Sequence[Mapping[str, Any]],
) -> list[dict[str, Any]]:  # fmt: skip
    """Return what is to be measured of a run, in the order in which it is shown.

    Parameters
    ----------
    record, source
        The run and the folder with its weights; None where they are gone.
    teachers
        ``source`` and ``name`` of each.
    twin
        The run of the same student without a teacher and the folder with its weights.
    exports
        What :func:`read_exports` returns; ONNX ones are measured, the newest of each format.
    """
    found: list[dict[str, Any]] = []
    if source is not None:
        found.append({"form": "student", "name": record.name, "run": record.id, "source": source})
    found += [{"form": "teacher", "name": one["name"], "run": None, "source": one["source"]} for one in teachers]
    if twin is not None:
        found.append({"form": "alone", "name": twin[0].name, "run": twin[0].id, "source": twin[1]})
    seen: set[str] = set()
    for one in exports:
        if "about" in one and one["format"] not in seen:
            seen.add(one["format"])
            found.append({"form": "export", "name": one["name"], "run": record.id, "source": one["folder"]})
    return found


def kept(wanted: Sequence[Mapping[str, Any]], found: Mapping[str, Any]) -> dict[str, Any]:
    """Return what ``speed.json`` is to hold: the forms in their order with what was measured of each."""
    rest = {key: value for key, value in found.items() if key != "models"}
    rows = [{**one, **found["models"][str(at)]} for at, one in enumerate(wanted) if str(at) in found["models"]]
    return {"format": 1, "forms": plain(rows), **rest}


def told(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return measurements with their errors as plain data."""
    models = {
        name: {**one, "error": one["error"].message()} if isinstance(one.get("error"), BertloomError) else one
        for name, one in found["models"].items()
    }
    return {**found, "models": models}


def comparable(speed: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two measurements were made on the same kind of machine with as many threads."""
    return bool(speed.get("machine") == other.get("machine") and speed.get("threads") == other.get("threads"))


def measured_of(speed: Mapping[str, Any] | None, form: str, **named: str) -> dict[str, Any] | None:
    """Return the first form of a kind (and of a ``source`` or ``run``) that was measured, or None."""
    for one in (speed or {}).get("forms") or []:
        if (
            one.get("form") == form
            and one.get("timings")
            and all(one.get(key) == value for key, value in named.items())
        ):
            return dict(one)
    return None


def timing_of(one: Mapping[str, Any] | None, batch: int = 1, length: int = 64) -> dict[str, Any] | None:
    """Return what was timed for a size of batch and text, or None."""
    for timing in (one or {}).get("timings") or []:
        if (timing["batch"], timing["length"]) == (batch, length):
            return dict(timing)
    return None
