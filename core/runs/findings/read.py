"""Reading from the store what findings are made of."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from core.runs.findings.types import Points, Recorded

if TYPE_CHECKING:
    from core.runs.desk.reading import Reading

__all__ = ["memory_limit_mb", "read"]

_SERIES = ("train/loss", "train/grad_norm", "train/memory_mb")
#: Longer series are read reduced: a page must not wait for a hundred thousand points.
_POINTS = 4000


def read(desk: Reading, run_id: str) -> Recorded:
    """Read a training run: the series that findings look at, events, results and the data report.

    Raises
    ------
    BertloomError
        If there is no such run, or its plan is not valid any more.
    """
    record = desk.get(run_id)
    names = [name for name in desk.series_names(run_id) if name in _SERIES or name.startswith(("gate/", "lr/"))]
    batch = desk.series(run_id, names=names, max_points=_POINTS) if names else None
    series = {
        name: Points.of(points["steps"], points["values"], points["times"])
        for name, points in (batch.series if batch else {}).items()
    }
    results = desk.results(run_id)
    events: list[dict[str, Any]] = [
        {"kind": event.kind, "message": event.message, "step": event.step, "data": event.data}
        for event in desk.events(run_id)
    ]
    on_cpu = str(((results or {}).get("choices") or record.progress.get("choices") or {}).get("device", "cpu")) == "cpu"
    return Recorded(
        desk.plan(run_id), str(record.status), series, events, results, desk.data_report(run_id), record.error,
        memory_limit_mb() if on_cpu else None, bool(batch and batch.reduced),
    )  # fmt: skip


def memory_limit_mb() -> float:
    """Return the memory that a process may use here: the machine's, or less where a control group says so."""
    whole = float(psutil.virtual_memory().total)
    for path in (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes")):
        try:
            whole = min(whole, float(path.read_text()))
        except (OSError, ValueError):  # no control groups here, or no limit ("max")
            continue
    return whole / 1e6
