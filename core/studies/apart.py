"""Train a plan in a process of its own, so that its memory is its own: ``python -m core.studies.apart FOLDER CACHE``.

The parent waits, hears requests and passes on what was recorded when the child has ended. A run that is asked to stop
is ended at once and begins again later: such runs are short.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from core.config import Plan, plan_from_yaml, plan_to_yaml
from core.errors import DeviceError, RunError, TrainingDiverged
from core.training.context import MemoryContext, Outcome, Request, RunContext

__all__ = ["train_apart"]

_POLL_SECONDS = 0.2
_WRITTEN = "apart.json"


def train_apart(plan: Plan, context: RunContext, *, resume: bool = True) -> Outcome:
    """Execute a plan in a child process; see :func:`core.training.train`.

    Raises
    ------
    TrainingDiverged, DeviceError
        As the training did.
    RunError
        If it ended otherwise.
    """
    del resume  # it always begins anew
    place = context.folder
    place.mkdir(parents=True, exist_ok=True)
    (place / _WRITTEN).unlink(missing_ok=True)
    (place / "apart.yaml").write_text(plan_to_yaml(plan), encoding="utf-8")
    child = subprocess.Popen(
        [sys.executable, "-m", __name__, str(place), str(context.cache)], stdin=subprocess.DEVNULL
    )  # fmt: skip
    try:
        while child.poll() is None:
            asked = context.request()
            if asked in (Request.PAUSE, Request.CANCEL):
                return Outcome.PAUSED if asked is Request.PAUSE else Outcome.CANCELLED
            time.sleep(_POLL_SECONDS)
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()
    try:
        found = json.loads((place / _WRITTEN).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = {"error": {"error": "DeviceError", "what": "The memory was not enough for this run."}}
        if child.returncode != -9:
            raise RunError(
                f"The process of this run ended with exit status {child.returncode}.", where=str(place),
                advice="The log of the claim says more.",
            ) from None  # fmt: skip
    if error := found.get("error"):
        if error["error"] == "TrainingDiverged":
            raise TrainingDiverged(str(error["what"]), where=error.get("where"))
        if error["error"] == "DeviceError":
            raise DeviceError(str(error["what"]), where="memory")
        raise RunError(str(error["what"]), where=error.get("where"), advice=error.get("advice"))
    for name, step, value in found["points"]:
        context.metrics(step, {name: value})
    for event in found["events"]:
        context.event(event["kind"], event["message"], step=event["step"], data=event["data"])
    return Outcome.FINISHED


def main(arguments: list[str]) -> int:
    """Train what stands in the folder and write what was recorded beside it."""
    from core.errors import BertloomError
    from core.runs.trouble import error_of
    from core.training import train

    place, cache = Path(arguments[0]), Path(arguments[1])
    plan = plan_from_yaml((place / "apart.yaml").read_text(encoding="utf-8"))
    context = MemoryContext(place, cache)
    written: dict[str, Any] = {"error": None}
    try:
        train(plan, context, resume=False)
    except (BertloomError, MemoryError, RuntimeError) as error:
        written["error"] = error_of(error)
    written["points"] = [[name, step, value] for (name, step), value in context.points.items()]
    written["events"] = context.events
    (place / _WRITTEN).write_text(json.dumps(written, default=str), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
