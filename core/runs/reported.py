"""What the report of a training run is written from."""

from __future__ import annotations

from typing import Any

from core.config.files import plan_to_yaml
from core.errors import RunError
from core.runs.desk import RunDesk
from core.runs.pointing import sentences_of_test
from core.settings import Home

__all__ = ["reported"]


def reported(runs: RunDesk, home: Home, run_id: str) -> dict[str, Any]:
    """Return a run, its results, its plan as YAML, the curve of the score that picked its checkpoint, and its pointers.

    Parameters
    ----------
    runs
        The runs' desk.
    home
        The home folder.
    run_id
        The run.

    Returns
    -------
    dict
        ``run``, ``results``, ``plan``, ``curve`` ({"name", "steps", "values"} or None) and ``pointed`` [{"name",
        "sentences"}], one entry a task whose head points.

    Raises
    ------
    RunError
        If the run is of another kind, or has no results yet.
    """
    record = runs.get(run_id)
    if record.kind not in ("train", "joint"):
        raise RunError(
            f"There is no report of a run of this kind: {record.kind}.", where=f"run {record.id}",
            expected="a run of training, of one task or of several",
            advice=f"`bertloom compare report {record.id}`" if record.kind == "compare" else None,
        )  # fmt: skip
    results = runs.results(record.id)
    if not results:
        raise RunError(
            "This run has no results yet: a report is written from its scores on test.", where=f"run {record.id}",
            expected="a run that has finished",
        )  # fmt: skip
    name = str((record.progress.get("best") or {}).get("metric") or "")
    series = runs.series(record.id, names=[name]).series.get(name) if name else None
    looked = sentences_of_test(home.run(record.id))
    pointed = [{"name": task or record.name, "sentences": told} for task, told in looked.items()]
    return {
        "run": record, "results": results, "plan": plan_to_yaml(runs.config(record.id)),
        "curve": {"name": name, "steps": series["steps"], "values": series["values"]} if series else None,
        "pointed": pointed,
    }  # fmt: skip
