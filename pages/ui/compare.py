"""Comparing runs, as pure functions: which keys differ, which numbers each run reached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from core.config.reference import plan_keys
from core.runs.records import RunRecord

__all__ = ["best_of", "differences", "metric_table", "series_choices", "unique_names"]

_MISSING = object()
#: Not settings: they differ between any two runs.
_NAMES = ("name", "tags", "version")


def differences(plans: Mapping[str, Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return the keys whose values differ between plans.

    Parameters
    ----------
    plans
        Column title → plan as nested plain data.

    Returns
    -------
    list of dict
        One a key, in the order of the schema: ``key`` and the value for each column, as text. Keys that only old
        plans have come last.
    """
    flat = {title: _flatten(plan) for title, plan in plans.items()}
    order = [key for key in plan_keys() if key not in _NAMES]
    extra = sorted({key for values in flat.values() for key in values} - set(plan_keys()))
    rows = []
    for key in (*order, *extra):
        found = [values.get(key, _MISSING) for values in flat.values()]
        if any(value != found[0] for value in found[1:]):
            rows.append({"key": key, **{title: _text(values.get(key, _MISSING)) for title, values in flat.items()}})
    return rows


def metric_table(runs: Sequence[RunRecord], titles: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return a row of numbers for each run: status, steps, seconds, best gate metric, and all metrics of any of them.

    Parameters
    ----------
    runs
        The runs.
    titles
        Run id → name in the table.
    """
    names = sorted({name for run in runs for name in run.metrics})
    rows = []
    for run in runs:
        best = best_of(run)
        rows.append(
            {
                "run": titles[run.id],
                "status": str(run.status),
                "steps": run.progress.get("step"),
                "seconds": round(run.seconds, 1),
                "best on gate": best[1] if best else None,
                "measured by": best[0] if best else None,
                **{name: run.metrics.get(name) for name in names},
            }
        )
    return rows


def best_of(run: RunRecord) -> tuple[str, float] | None:
    """Return name and value of a run's best gate metric, if it has been measured."""
    best = run.progress.get("best")
    if not isinstance(best, Mapping) or not isinstance(best.get("value"), int | float):
        return None
    return str(best.get("metric") or "metric"), float(best["value"])


def series_choices(names: Sequence[Sequence[str]]) -> list[str]:
    """Return the series that any of the runs has: train loss first, then gate, then the others."""
    rank = {"train/loss": 0}
    every = {name for found in names for name in found}
    return sorted(every, key=lambda name: (rank.get(name, 1 if name.startswith("gate/") else 2), name))


def unique_names(runs: Sequence[RunRecord]) -> dict[str, str]:
    """Return run id → name, with the end of the id where names repeat."""
    names = [run.name for run in runs]
    return {run.id: f"{run.name} · {run.id[-4:]}" if names.count(run.name) > 1 else run.name for run in runs}


def _flatten(plan: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}

    def walk(value: Any, prefix: str) -> None:
        if prefix in plan_keys():
            found[prefix] = value
        elif isinstance(value, Mapping):
            for key, item in value.items():
                walk(item, f"{prefix}.{key}" if prefix else str(key))
        elif isinstance(value, list) and prefix == "stages":
            for index, item in enumerate(value):
                walk(item, f"{prefix}.{index}")
        else:
            found[prefix] = value

    walk(plan, "")
    return found


def _text(value: Any) -> str:
    if value is _MISSING:
        return "(not in this plan)"
    if value is None or value == "":
        return "(empty)"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)
