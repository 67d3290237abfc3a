"""What a run's searches and range tests have found, from what its worker keeps: live, without Optuna or torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from core.config import Plan, RangeTestConfig, Stage
from core.runs.folder import read_json
from core.runs.store import Store

__all__ = ["range_tests", "searches"]

#: More points of one test than this are reduced before they are drawn.
_MOST_POINTS = 2000


def searches(store: Store, run_id: str, plan: Plan) -> list[dict[str, Any]]:
    """Return the searches of a run; see :meth:`core.runs.desk.RunDesk.searches`."""
    folder = store.home.run(run_id)
    there = {record.id for record in store.runs.list(part_of=run_id, limit=100_000)}
    found = []
    for index, stage in enumerate(plan.active):
        if stage.kind != "search":
            continue
        history = _history(folder, index)
        if history is None:
            found.append({"stage": stage.name, "index": index, "trials": [], "begun": False, **_asked(stage)})
            continue
        for trial in history["trials"]:
            # a part that was deleted cannot be opened any more
            trial["runs"] = [one if one in there else None for one in trial["runs"]]
        found.append({**history, "begun": True})
    return found


def range_tests(store: Store, run_id: str, plan: Plan) -> list[dict[str, Any]]:
    """Return the range tests of a run; see :meth:`core.runs.desk.RunDesk.range_tests`."""
    stages = [(index, stage) for index, stage in enumerate(plan.active) if stage.kind == "range_test"]
    if not stages:
        return []
    decided = {
        event.data.get("stage"): event.data.get("evidence") or {}
        for event in store.events.list(run_id)
        if event.kind == "decision" and event.data.get("rule") == "range_test"
    }
    names = store.points.names(run_id)
    found = []
    for index, stage in stages:
        said = {one["group"]: one for one in decided.get(stage.name, {}).get("groups", [])}
        prefix, end = f"range/{stage.name}/", "/loss"
        seen = [name[len(prefix) : -len(end)] for name in names if name.startswith(prefix) and name.endswith(end)]
        groups = [*said, *(one for one in seen if one not in said)]
        config = stage.range_test or RangeTestConfig()
        found.append(
            {
                "stage": stage.name,
                "index": index,
                "done": stage.name in decided,
                "suggestion": decided.get(stage.name, {}).get("suggestion"),
                "groups": [
                    {"group": one, **said.get(one, {}), **_curve(store, run_id, prefix + one, config)} for one in groups
                ],
            }
        )
    return found


def _history(folder: Path, index: int) -> dict[str, Any] | None:
    from core.training.search.history import path_of

    return read_json(path_of(folder, index))


def _asked(stage: Stage) -> dict[str, Any]:
    assert stage.search is not None
    search = stage.search
    return {
        "wanted": search.trials, "sampler": search.sampler, "pruner": search.pruner, "seeds": search.seeds,
        "objectives": [{"metric": one.metric, "direction": one.way} for one in search.objectives],
        "space": [], "best": None, "front": [], "importance": None, "ended": None,
    }  # fmt: skip


def _curve(store: Store, run_id: str, name: str, config: RangeTestConfig) -> dict[str, list[float | None]]:
    """Return `rates`, `losses` and `smoothed` losses, and `at`, the rates that the smoothed losses belong to."""
    from core.training.range_test import smooth

    wanted = [f"{name}/{part}" for part in ("lr", "loss", "smoothed")]
    series = store.points.series(run_id, names=wanted, max_points=_MOST_POINTS * 5).series
    columns = {}
    for label in wanted:
        one = series.get(label, {"steps": [], "values": []})
        columns[label.rpartition("/")[2]] = dict(zip(one["steps"], one["values"], strict=True))
    steps = sorted(columns["lr"])
    rates = [columns["lr"][step] for step in steps]
    at = np.exp(smooth(np.log(np.asarray(rates, dtype=np.float64)), config.smoothing)).tolist() if rates else []
    every = max(1, len(steps) // _MOST_POINTS)
    return {
        "rates": rates[::every], "at": at[::every],
        "losses": [columns["loss"].get(step) for step in steps][::every],
        "smoothed": [columns["smoothed"].get(step) for step in steps][::every],
    }  # fmt: skip
