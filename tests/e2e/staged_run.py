"""A fake run of several stages: what the engine tells of gates, guards, roll-backs and raised rates."""

from __future__ import annotations

import json
import time
from typing import Any

from core.runs.events import NewEvent
from core.runs.line import Batch
from tests.e2e.fake_run import FakeRun, results_of

__all__ = ["finish_staged", "tell_stages"]

#: (share of the run, event's kind, message, data)
_STORY: tuple[tuple[float, str, str, dict[str, Any]], ...] = (
    (0.0, "stage", "Stage head: 600 steps.", {"name": "head", "index": 0, "attempt": 1}),
    (0.3, "decision", "Gate of head: gate/accuracy 0.702 passes 0.584; its best weights go on to the next stage.",
     {"stage": "head", "index": 0, "attempt": 1, "rule": "gate", "action": "promote", "lr_scale": 1.0,
      "evidence": {"metric": "gate/accuracy", "value": 0.702, "low": 0.64, "high": 0.757, "reference": 0.584,
                   "min_delta": 0.0, "rule": "point", "passed": True}}),
    (0.3, "stage", "Stage all <b>: 1200 steps.", {"name": "all <b>", "index": 1, "attempt": 1}),
    (0.5, "guard", "The smoothed loss rose to 4.2; its best was 0.31.", {}),
    (0.5, "decision", "The smoothed loss rose to 4.2. Stage all: back to its start, on with rates × 0.3333.",
     {"stage": "all <b>", "index": 1, "attempt": 1, "rule": "guard", "action": "rollback", "lr_scale": 0.3333,
      "evidence": {"smoothed": 4.2, "best": 0.31}}),
    (0.5, "stage", "Stage all, attempt 2: 1200 steps, rates × 0.3333.", {"name": "all <b>", "index": 1, "attempt": 2}),
    (0.65, "decision", "The loss fell by 12.0 % and the gradient is steady: the rates are raised.",
     {"stage": "all <b>", "index": 1, "attempt": 2, "rule": "raise_if", "action": "raise", "lr_scale": 0.6667,
      "evidence": {"loss": 0.44, "previous": 0.5, "fall": 0.12, "variation": 0.31, "steps": 20}}),
    (0.8, "decision", "Gate of all: gate/accuracy 0.71 does not pass 0.72; back to its best weights.",
     {"stage": "all <b>", "index": 1, "attempt": 2, "rule": "gate", "action": "cut", "lr_scale": 0.2222,
      "evidence": {"metric": "gate/accuracy", "value": 0.71, "low": 0.65, "high": 0.765, "reference": 0.72,
                   "min_delta": 0.0, "rule": "point", "passed": False}}),
)  # fmt: skip


def tell_stages(run: FakeRun) -> None:
    """Write the events of the stages up to the run's present step."""
    events = [
        NewEvent(kind, words, int(share * run.total), {**data, "step": int(share * run.total)}, time.time() + 0.01 * at)
        for at, (share, kind, words, data) in enumerate(_STORY)
        if share * run.total <= run.step
    ]
    run.line.write(Batch(events=events))


def finish_staged(run: FakeRun) -> None:
    """End the run with the results of its stages, and with an estimate from before."""
    folder = run.home.run(run.id)
    folder.mkdir(parents=True, exist_ok=True)
    estimate = {
        "seconds": 300.0, "seconds_low": 250.0, "seconds_high": 340.0, "memory_mb": 700.0, "machine": {"host": None},
        "stages": [{"name": "head", "seconds": 40.0}, {"name": "all <b>", "seconds": 260.0}],
    }  # fmt: skip
    (folder / "estimate.json").write_text(json.dumps(estimate), encoding="utf-8")
    run.finish()
    results = results_of()
    results["training"] = {"seconds": 330.0, "steps": run.total}
    results["stages"] = [
        {"name": "head", "kind": "train", "index": 0, "attempts": [{"first_step": 1, "last_step": 900}],
         "outcome": "promoted", "start": {"metric": "accuracy", "value": 0.41},
         "best": {"metric": "gate/accuracy", "value": 0.702, "step": 880}, "gate": {"passed": True}, "seconds": 44.0,
         "gate_seconds": 3.0},
        {"name": "all <b>", "kind": "train", "index": 1,
         "attempts": [{"first_step": 901, "last_step": 1500}, {"first_step": 1501, "last_step": 3000}],
         "outcome": "rolled back", "start": {"metric": "accuracy", "value": 0.702},
         "best": {"metric": "gate/accuracy", "value": 0.79, "step": 2900}, "gate": {"passed": False}, "seconds": 280.0,
         "gate_seconds": 12.0},
    ]  # fmt: skip
    (folder / "results.json").write_text(json.dumps(results), encoding="utf-8")
