"""A run without training: written to the store the way a worker writes, for tests of what is shown."""

from __future__ import annotations

import json
import math
import random
import threading
import time
from pathlib import Path
from typing import Any

from core.config import Plan
from core.runs.claims import Claim
from core.runs.events import NewEvent
from core.runs.line import Batch, StoreLine
from core.runs.points import Point
from core.runs.records import Status
from core.runs.store import Store
from core.runs.table import NewRun
from core.settings import Home

__all__ = ["FakeRun", "results_of"]

_SERIES = ("train/loss", "train/grad_norm", "train/examples_per_s", "train/memory_mb", "lr/head", "lr/encoder")


class FakeRun:
    """One running run whose worker is the calling process. Use as a context manager: it keeps the heartbeat going."""

    def __init__(
        self, home: Home, name: str = "reviews, first try", run_id: str = "20261122-141530-a1b2", total: int = 3000,
        stage: dict[str, Any] | None = None, task: dict[str, Any] | None = None, backend: str = "process",
    ):  # fmt: skip
        self.home = home.ensure()
        self.store = Store(home)
        self.id = run_id
        self.total = total
        self.step = 0
        self.random = random.Random(7)
        self.manager = f"test-{run_id}"
        stages = [{"steps": total, "eval_every": max(total // 10, 1), **(stage or {})}]
        plan = Plan.model_validate({"name": name, "tags": ["demo"], "stages": stages, "task": task or {}})
        self.store.claims.beat(self.manager)  # a run in a thread of a process that lives is taken by no other
        self.store.runs.insert(
            NewRun(
                id=run_id,
                kind="train",
                name=name,
                plan=plan.model_dump(mode="json"),
                tags=("demo",),
                backend=backend,
                now=True,
                submitter=self.manager,
            )
        )
        claim = self.store.claims.claim(self.manager)
        assert claim is not None, "another manager was faster"
        assert claim.id == run_id
        self.claim: Claim = claim
        self.store.claims.begin(run_id, claim.token)
        self.line = StoreLine(self.store, claim)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._ended = False

    def __enter__(self) -> FakeRun:
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread:
            self._thread.join(5)
        self.store.close()

    def _beat(self) -> None:
        while not self._stop.wait(0.7):
            self.store.claims.beat(self.manager)
            try:
                self.line.write(Batch())
            except Exception:  # the run ended
                return

    def loss(self, step: int) -> float:
        """A loss curve as one knows it: falling, noisy, with a spike."""
        base = 0.18 + 0.55 * math.exp(-3.2 * step / self.total)
        return base + self.random.gauss(0, 0.045) + (0.5 if step == self.total // 3 else 0.0)

    def advance(self, steps: int, *, seconds_a_step: float = 0.12, batch: int = 5000) -> None:
        """Write so many further steps with evaluations, checkpoints and progress."""
        start = time.time() - steps * seconds_a_step
        points: list[Point] = []
        events: list[NewEvent] = []
        best: dict[str, Any] | None = None
        for offset in range(1, steps + 1):
            self.step += 1
            moment = start + offset * seconds_a_step
            share = self.step / self.total
            warm = min(self.step / (0.06 * self.total), 1.0)
            values = (
                self.loss(self.step),
                1.1 + self.random.gammavariate(2, 0.3),
                236 + self.random.gauss(0, 9),
                712 + 40 * share,
                3e-4 * warm * (1 - share),
                1e-4 * warm * (1 - share),
            )
            points += [(name, self.step, value, moment) for name, value in zip(_SERIES, values, strict=True)]
            if self.step % max(self.total // 10, 1) == 0:
                accuracy = 0.79 - 0.22 * math.exp(-5 * share) + self.random.gauss(0, 0.004)
                points += [
                    ("gate/loss", self.step, 0.42 + 0.22 * math.exp(-4 * share) + 0.1 * share, moment),
                    ("gate/accuracy", self.step, accuracy, moment),
                    ("gate/macro_f1", self.step, accuracy - 0.02, moment),
                ]
                best = {"metric": "gate/accuracy", "value": accuracy, "step": self.step}
                events.append(NewEvent("best", f"New best: gate accuracy {accuracy:.1%}", self.step, time=moment))
            if self.step % max(self.total // 4, 1) == 0:
                events.append(
                    NewEvent("checkpoint", f"Checkpoint written at step {self.step:,}", self.step, time=moment)
                )
            if self.step == 1:
                events.append(
                    NewEvent("decision", "bf16 and 2 threads chosen: 1.9 times as fast as fp32 with 1", 1, time=moment)
                )
            if self.step == self.total // 3:
                events.append(
                    NewEvent("warning", "The gradient norm was clipped 14 times in 100 steps", self.step, time=moment)
                )
            if len(points) >= batch * len(_SERIES):
                self._write(points, events, best)
                points, events = [], []
        self._write(points, events, best)

    def _write(self, points: list[Point], events: list[NewEvent], best: dict[str, Any] | None) -> None:
        left = (self.total - self.step) * 0.12
        progress = {
            "phase": "training",
            "step": self.step,
            "total_steps": self.total,
            "epoch": 2 * self.step / self.total,
            "eta_s": left,
            "examples_per_s": 236.4,
            "choices": {"precision": "bf16", "threads": 2},
        }
        before = self.store.runs.get(self.id).progress.get("best")
        progress["best"] = best or before
        self.line.write(Batch(points=points, events=events, progress=progress, seconds=self.step * 0.12))
        self.line.settle()

    def event(self, kind: str, message: str) -> None:
        """Write one event at the present step."""
        self.line.write(Batch(events=[NewEvent(kind, message, self.step)]))

    def finish(self, *, hostile: bool = False) -> None:
        """End the run with results, a data report and a log."""
        folder = self.home.run(self.id)
        folder.mkdir(parents=True, exist_ok=True)
        results = results_of(hostile=hostile)
        (folder / "results.json").write_text(json.dumps(results), encoding="utf-8")
        report = {
            "ok": True,
            "findings": [
                {
                    "level": "warning",
                    "code": "cut",
                    "message": "3.1 % of the texts are longer than 128 sub-words and are cut.",
                    "where": "text",
                },
                {"level": "info", "code": "duplicates", "message": "69 duplicate texts were dropped.", "where": None},
            ],
            "balance": {
                "train": {"fresh": 1160, "rotten": 840},
                "gate": {"fresh": 145, "rotten": 105},
                "test": {"fresh": 146, "rotten": 104},
            },
        }
        (folder / "data_report.json").write_text(json.dumps(report), encoding="utf-8")
        (folder / "log.txt").write_text("loading the encoder\nstep 1 loss 0.71\n<b>not bold</b>\n", encoding="utf-8")
        self.store.claims.end(self.id, self.claim.token, Status.FINISHED, metrics=results["metrics"])
        self._ended = True

    def fail(self, error: dict[str, Any], status: Status = Status.FAILED) -> None:
        """End the run with an error."""
        self.store.claims.end(self.id, self.claim.token, status, error=error)
        self._ended = True

    def end(self) -> None:
        """End the run, if it has not, so that it stands in nobody's way."""
        if not self._ended:
            self.finish()


def results_of(*, hostile: bool = False) -> dict[str, Any]:
    """Return what a finished classification run writes; with HTML in labels and texts if `hostile`."""
    labels = ["<img src=x onerror=alert(1)>", "rotten"] if hostile else ["fresh", "rotten"]
    text = (
        "<script>window.hacked = 1</script> **bold** [link](javascript:alert(1))"
        if hostile
        else "A quiet, clever film with little to say."
    )
    worst = [
        {
            "row": row,
            "text": text,
            "gold": labels[0],
            "predicted": labels[1],
            "loss": 4.2 - 0.1 * row,
            "confidence": 0.98 - 0.01 * row,
        }
        for row in range(1, 21)
    ]
    return {
        "metrics": {
            "test/accuracy": 0.788,
            "test/macro_f1": 0.781,
            "test/mcc": 0.563,
            "test/loss": 0.463,
            "gate/accuracy": 0.792,
        },
        "details": {
            "test": {
                "n": 250,
                "majority": 0.584,
                "intervals": {"accuracy": [0.736, 0.836], "macro_f1": [0.727, 0.831], "mcc": [0.454, 0.662]},
                "confusion": {"labels": labels, "matrix": [[122, 24], [29, 75]]},
                "worst": worst,
            }
        },
        "choices": {"precision": "bf16", "threads": 2},
        "environment": {"python": "3.11.2", "torch": "2.13", "device": "cpu"},
    }


def folder_of(home: Home, run_id: str) -> Path:
    """Return a run's folder."""
    return home.run(run_id)
