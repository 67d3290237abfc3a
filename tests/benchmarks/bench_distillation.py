"""Distillation with kept answers against recomputed ones: ``python -m tests.benchmarks.bench_distillation``.

Arms, each a student of three layers that learns for ten epochs from the bundled encoder of six, fine-tuned on reviews,
on the same rows with the same weights, batch size and rate:

``cached``
    :func:`core.training.train`; the teacher answers once, before the first step. That pass is part of the time.
``recomputed``
    The same loop and plan, but the teacher runs in every step: in evaluation mode, without gradients, in the precision
    of the step, which bf16 may be.
``recomputed-fp32``
    The same in fp32, as the pass is made whose answers are kept: here both arms learn from the same answers.
``trainer``
    A subclass of ``transformers.Trainer`` whose loss runs the teacher in every step.

Loading models and rows, and scoring, are outside the measured time of every arm. Beside the arms: how exact losses from
kept answers are; what looking at the student costs, step by step with and without it on the same batches; and memory.
Every measurement is a process of its own, arms in turns. Ratios are of medians.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.runs.backends.process import worker_environment
from core.training.allocator import keep_freed_memory

__all__ = ["ARMS", "PROMISES", "main", "measure", "summary"]

RESULTS = Path(__file__).resolve().parents[2] / "docs" / "results"
TARGET = RESULTS / "distillation-speed.json"
ARMS = ("cached", "recomputed", "recomputed-fp32", "trainer")
#: Rows of the memory measurement.
UNITS = (1000, 20_000)
#: Ratios at least (that of fp32 is told beside); at most the relative difference of losses at T = 1, and the share of
#: the steps' time for looking.
PROMISES = {"recomputed": 1.7, "trainer": 3.0, "loss": 1e-4, "looking": 0.02}
#: The gate rows that are looked at in the measurement of looking.
_GATE = 200


def measure(name: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Make one measurement, in this process."""
    from tests.benchmarks.distillation_looking import looking, memory
    from tests.benchmarks.distillation_timing import BATCH, losses, student_plan, teacher_folder, timed, timed_trainer

    if name != "trainer":
        keep_freed_memory()  # as every worker does
    with tempfile.TemporaryDirectory(prefix="bertloom-distil-") as place:
        folder = Path(place)
        if name.startswith("memory"):
            _, kind, units = name.split("-")
            return memory(folder, int(units), kept=kind == "kept")
        teacher = teacher_folder(options.cache, rows=options.teacher_rows, steps=options.teacher_steps)
        if name == "teacher":
            return {}
        if name == "looking":
            rows = max(BATCH, round(options.pairs * BATCH / options.epochs))  # as many epochs as the arms have
            plan = student_plan(teacher, rows, options.epochs, seed, _GATE)
            return looking(plan, folder / "cache", folder / "run", options.pairs)
        plan = student_plan(teacher, options.rows, options.epochs, seed)
        if name == "losses":
            return losses(plan, folder / "cache")
        if name == "trainer":
            return timed_trainer(plan, folder, options.cache)
        every_step, precision = name != "cached", "fp32" if name == "recomputed-fp32" else None
        # Nothing is in the cache yet.
        return timed(plan, folder, folder / "cache", every_step=every_step, precision=precision)


def summary(found: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Return medians and ratios of what was measured.

    Parameters
    ----------
    found
        The measurements by name; what is missing is left out.
    """
    told: dict[str, Any] = {"promised": PROMISES, "arms": {}, "ratios": {}}
    for arm in ARMS:
        if runs := found.get(arm):
            seconds = [one["seconds"] for one in runs]
            told["arms"][arm] = {
                "runs": len(runs), "median_s": statistics.median(seconds), "fastest_s": min(seconds),
                "slowest_s": max(seconds), "steps": runs[0]["steps"], "choices": runs[0]["choices"],
                "parts": {
                    part: statistics.median(one["parts"][part] for one in runs) for part in runs[0].get("parts", ())
                },
            }  # fmt: skip
    for arm in ARMS[1:]:
        pairs = list(zip(found.get("cached", ()), found.get(arm, ()), strict=False))
        if pairs:
            each = [slow["seconds"] / fast["seconds"] for fast, slow in pairs]
            ratio = told["arms"][arm]["median_s"] / told["arms"]["cached"]["median_s"]
            told["ratios"][arm] = {
                "ratio": round(ratio, 3), "low": round(min(each), 3), "high": round(max(each), 3),
                "held": ratio >= PROMISES[arm] if arm in PROMISES else None,
            }  # fmt: skip
    if found.get("losses"):
        one = found["losses"][0]
        told["losses"] = {**one, "held": one["temperatures"]["1"]["loss"]["largest"] <= PROMISES["loss"]}
    if looks := found.get("looking"):
        more = [one["more"] for one in looks]
        told["looking"] = {
            "runs": len(looks), "pairs": looks[0]["pairs"],
            "step_ms": round(statistics.median(one["step_ms"] for one in looks), 2),
            "more": round(statistics.median(more), 5), "low": round(min(more), 5), "high": round(max(more), 5),
            "parts": {
                part: round(statistics.median(one["parts"][part] for one in looks), 5) for part in looks[0]["parts"]
            },
            "held": statistics.median(more) <= PROMISES["looking"],
        }  # fmt: skip
    told["memory"] = {
        name.removeprefix("memory-"): {key: round(value, 2) for key, value in runs[0].items()}
        for name, runs in found.items() if name.startswith("memory") and runs
    }  # fmt: skip
    return told


def _turns(rounds: int) -> list[tuple[str, int]]:
    """Return all measurements in order: what one needs of, then arms in turns."""
    found = [("losses", 0)]
    for seed in range(rounds):
        turn = seed % len(ARMS)
        found += [(arm, seed) for arm in (*ARMS[turn:], *ARMS[:turn])]  # no arm always comes first
    memories = [(f"memory-{kind}-{units}", 0) for units in UNITS for kind in ("kept", "loaded")]
    return [*found, *memories, ("looking", 0)]


def _measured(name: str, seed: int, given: Sequence[str]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "found.json"
        command = [
            sys.executable, "-m", "tests.benchmarks.bench_distillation", *given, "--one", name, "--seed", str(seed),
            "--to", str(target),
        ]  # fmt: skip
        # Ours runs in the environment of a worker, the peer in that of whoever starts it.
        environment = dict(os.environ) if name == "trainer" else worker_environment(hub=False)
        subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
        found: dict[str, Any] = json.loads(target.read_text(encoding="utf-8"))
        return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure until everything is there or the minutes are over, and write ``docs/results/distillation-speed.json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=256)
    parser.add_argument("--epochs", type=float, default=10)
    parser.add_argument("--pairs", type=int, default=300, help="steps with and without looking")
    parser.add_argument("--teacher-rows", type=int, default=1500)
    parser.add_argument("--teacher-steps", type=int, default=60)
    parser.add_argument("--cache", type=Path, default=RESULTS / ".cache" / "distillation-speed")
    parser.add_argument("--out", type=Path, default=TARGET)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--to", type=Path, help=argparse.SUPPRESS)
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = parser.parse_args(given)
    options.cache.mkdir(parents=True, exist_ok=True)
    if options.one:
        found = measure(options.one, options.seed, options)
        options.to.write_text(json.dumps(found), encoding="utf-8")
        return 0
    until = time.monotonic() + 60 * options.minutes
    _measured("teacher", 0, given)
    everything: dict[str, list[dict[str, Any]]] = {}
    for name, seed in _turns(options.rounds):
        if time.monotonic() > until:
            print("the minutes are over", flush=True)
            break
        everything.setdefault(name, []).append(_measured(name, seed, given))
        print(f"{name} {seed}: {json.dumps(everything[name][-1])}", flush=True)
        told = {"rows": options.rows, "epochs": options.epochs, **summary(everything)}
        options.out.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
