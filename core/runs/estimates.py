"""Estimates beside what then happened: kept with the run, compared at its end, remembered for this machine."""

from __future__ import annotations

import contextlib
import json
import platform
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.errors import BertloomError
from core.runs import folder
from core.runs.records import Status
from core.runs.store import Store

__all__ = ["FILE", "accuracy", "compare", "keep"]

#: Name of the file in a run's folder, and of the history in the home folder.
FILE = "estimate.json"
_HISTORY = "estimates.json"
#: Runs that are looked through for estimates, and comparisons that are remembered.
_LOOKED_THROUGH, _REMEMBERED = 200, 50
_KEPT = (
    "steps", "seconds", "seconds_low", "seconds_high", "seconds_most", "upper", "memory_mb", "trainable_parameters",
    "choices", "machine",
)  # fmt: skip
_KEPT_OF_STAGES = ("name", "kind", "steps", "seconds", "seconds_low", "seconds_high", "memory_mb")


def keep(place: Path, estimate: Mapping[str, Any]) -> None:
    """Write the estimate that a person had when a run was started into its folder."""
    kept = {name: estimate[name] for name in _KEPT if name in estimate}
    kept["stages"] = [
        {name: stage[name] for name in _KEPT_OF_STAGES if name in stage} for stage in estimate.get("stages") or []
    ]
    folder.write_text(place / FILE, json.dumps(kept))


def compare(store: Store, run_id: str) -> dict[str, Any] | None:
    """Compare a run's estimate with what it took.

    Parameters
    ----------
    store
        The store.
    run_id
        The run.

    Returns
    -------
    dict or None
        ``seconds`` and ``memory_mb``: ``{"estimated", "low", "high", "real", "error"}``, the error as a share of the
        estimate (0.1: it took 10 % more), ``stages`` [{"name", "estimated", "real", "attempts"}] and ``machine``. What
        is not known yet is None. ``None`` if there was no estimate when the run was started.
    """
    place = store.home.run(run_id)
    estimate = folder.read_json(place / FILE)
    if estimate is None:
        return None
    results = folder.read_json(place / "results.json") or {}
    training = results.get("training") or {}
    stages = results.get("stages") or []
    memory = _most(store, run_id) if results else None
    return {
        "seconds": _pair(estimate, "seconds", training.get("seconds")),
        "memory_mb": _pair(estimate, "memory_mb", memory),
        "stages": _stages(estimate.get("stages") or [], stages),
        "upper": bool(estimate.get("upper")),
        "machine": estimate.get("machine") or {},
    }


def _pair(estimate: Mapping[str, Any], name: str, real: Any) -> dict[str, Any]:
    estimated = estimate.get(name)
    known = isinstance(estimated, int | float) and isinstance(real, int | float) and estimated > 0
    return {
        "estimated": estimated, "low": estimate.get(f"{name}_low"), "high": estimate.get(f"{name}_high"), "real": real,
        "error": real / estimated - 1 if known else None,
    }  # fmt: skip


def _stages(estimated: list[dict[str, Any]], real: list[dict[str, Any]]) -> list[dict[str, Any]]:
    took = {str(entry.get("name")): entry for entry in real}
    return [
        {"name": str(stage.get("name")), "estimated": stage.get("seconds"),
         "real": took.get(str(stage.get("name")), {}).get("seconds"),
         "attempts": len(took.get(str(stage.get("name")), {}).get("attempts") or []) or None}
        for stage in estimated
    ]  # fmt: skip


def _most(store: Store, run_id: str) -> float | None:
    batch = store.points.series(run_id, names=["train/memory_mb"], max_points=None)
    values = [value for value in batch.series.get("train/memory_mb", {}).get("values", []) if value is not None]
    return max(values, default=None)


def accuracy(store: Store) -> dict[str, Any]:
    """Say how good the last estimates on this machine were.

    Comparisons are remembered in the home folder, so that they outlive their runs.

    Returns
    -------
    dict
        ``count`` of the comparisons, ``seconds_error`` and ``memory_error`` (medians of the errors' sizes, as shares;
        None without any), ``seconds_bias`` (median with sign: above 0, runs took longer than estimated), and ``runs``
        [{"run", "time", "seconds_error", "memory_error"}], newest first.
    """
    file = store.home.root / _HISTORY
    known: dict[str, dict[str, Any]] = {}
    with contextlib.suppress(BertloomError):  # a history that cannot be read is begun anew
        known = {str(key): value for key, value in (folder.read_json(file) or {}).items() if isinstance(value, dict)}
    host = platform.node()
    fresh = False
    for run in store.runs.list(status=Status.FINISHED, limit=_LOOKED_THROUGH):
        if run.id in known or not (store.home.run(run.id) / FILE).is_file():
            continue
        with contextlib.suppress(BertloomError):
            found = compare(store, run.id)
            if found is not None and found["seconds"]["error"] is not None:
                known[run.id] = {
                    "time": run.ended or run.created, "host": found["machine"].get("host"),
                    "seconds_error": found["seconds"]["error"], "memory_error": found["memory_mb"]["error"],
                }  # fmt: skip
                fresh = True
    newest = dict(sorted(known.items(), key=lambda item: -float(item[1].get("time") or 0))[:_REMEMBERED])
    if fresh:
        with contextlib.suppress(BertloomError, OSError):
            folder.write_text(file, json.dumps(newest))
    here = [{"run": key, **value} for key, value in newest.items() if value.get("host") in (host, None)]
    seconds = [one["seconds_error"] for one in here if isinstance(one.get("seconds_error"), int | float)]
    memory = [one["memory_error"] for one in here if isinstance(one.get("memory_error"), int | float)]
    return {
        "count": len(seconds),
        "seconds_error": statistics.median(abs(error) for error in seconds) if seconds else None,
        "seconds_bias": statistics.median(seconds) if seconds else None,
        "memory_error": statistics.median(abs(error) for error in memory) if memory else None,
        "runs": here,
    }
