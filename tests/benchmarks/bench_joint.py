"""Joint training against single training: ``python -m tests.benchmarks.bench_joint``.

Two tasks, names in tweets and questions about tweets, on the bundled encoder. In each round one process opens

``joint``
    both tasks on one encoder, without looks at their gradients;
``looking``
    the same with looks at the default interval;
``single``
    each task alone.

All take the same steps on the same examples, one step each in turns, whose order changes from step to step. What is
promised are ratios of the sums over all steps: joint to the sum of its singles, and looking to not looking. Loading,
tokenising and scoring are outside.
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

from core.config.joint import JointPlan
from core.runs.backends.process import worker_environment

__all__ = ["PROMISES", "joint_plan", "main", "measure", "summary"]

TARGET = Path(__file__).resolve().parents[2] / "docs" / "results" / "joint-speed.json"
#: Ratios at most.
PROMISES = {"joint": 1.1, "looking": 1.05}
#: Steps before anything is timed: first ones set things up.
WARM = 4


def joint_plan(rows: int, batch: int, *, every: int | None) -> JointPlan:
    """Return the plan of both tasks, in fp32 on one thread."""
    # The samples' roles were not divided alike: tweets that the other task is judged on are dropped.
    sizes = {"train_rows": rows, "gate_rows": 50, "test_rows": 50, "drop_duplicates": True}
    return JointPlan.model_validate(
        {
            "tasks": [
                {"name": "names", "task": {"kind": "tagging"}, "data": {"source": "tweets", **sizes}},
                {
                    "name": "questions", "task": {"kind": "question_answering"},
                    "data": {"source": "tweet-questions", **sizes},
                },
            ],
            "training": {"lr": 1e-4, "batch_size": batch, "steps": 1_000_000},
            "mixing": {"alpha": 0.0, "monitor_every": every},
            "runtime": {"threads": 1, "precision": "fp32", "device": "cpu"},
        }
    )  # fmt: skip


def measure(rows: int, batch: int, steps: int, cache: Path) -> dict[str, Any]:
    """Take the steps, in this process.

    Returns
    -------
    dict
        Seconds of all steps of ``joint``, ``looking`` and ``single``, and how many ``looks`` there were.
    """
    from core.training.device import set_threads
    from core.training.joint.material import load_joint
    from core.training.joint.session import JointSession
    from core.training.material import load_material
    from core.training.session import Session

    set_threads(1)
    plans = {"joint": joint_plan(rows, batch, every=0), "looking": joint_plan(rows, batch, every=None)}
    joint = {name: JointSession(load_joint(plan, cache), plan.stage(), 0) for name, plan in plans.items()}
    whole = plans["joint"]
    parts = joint["joint"]._parts
    single = [
        Session(load_material(whole.plan_of(index), cache, roles=part.roles), whole.plan_of(index).stages[0], 0)
        for index, part in enumerate(parts)
    ]
    for session in (*joint.values(), *single):
        for engine in session.engines:
            engine.use_path(engine.paths()[-1])
    streams = {name: session.batches() for name, session in joint.items()}
    seconds = dict.fromkeys(("joint", "looking", "single"), 0.0)
    for own in range(1, WARM + steps + 1):
        turn = own % len(seconds)
        arms = list(seconds)
        given = {name: next(stream)[3] for name, stream in streams.items()}
        ((task, indices),) = given["joint"]
        for arm in (*arms[turn:], *arms[:turn]):
            taker: Session = single[task] if arm == "single" else joint[arm]
            started = time.perf_counter()
            taker.step(indices if arm == "single" else given[arm], own, taker.optimiser.base)
            if own > WARM:
                seconds[arm] += time.perf_counter() - started
    looks = joint["looking"].conflicts.looks
    for session in (*joint.values(), *single):
        session.close()
    return {"steps": steps, "looks": looks, "seconds": {arm: round(value, 3) for arm, value in seconds.items()}}


def summary(rounds: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the ratios of what was measured: median, lowest and highest over the rounds."""
    found: dict[str, Any] = {"promised": PROMISES, "rounds": len(rounds), "ratios": {}}
    for arm, other in (("joint", "single"), ("looking", "joint")):
        each = [one["seconds"][arm] / one["seconds"][other] for one in rounds]
        ratio = statistics.median(each)
        found["ratios"][arm] = {
            "ratio": round(ratio, 4), "low": round(min(each), 4), "high": round(max(each), 4),
            "held": ratio <= PROMISES[arm],
        }  # fmt: skip
    found["step_ms"] = {
        arm: round(1000 * statistics.median(one["seconds"][arm] / one["steps"] for one in rounds), 2)
        for arm in ("joint", "looking", "single")
    }
    found["looks"] = rounds[0]["looks"]
    found["steps"] = rounds[0]["steps"]
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure until all rounds are done or the minutes are over, and write ``docs/results/joint-speed.json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=240)
    parser.add_argument("--out", type=Path, default=TARGET)
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = parser.parse_args(given)
    if options.one:
        with tempfile.TemporaryDirectory(prefix="bertloom-joint-") as place:
            found = measure(options.rows, options.batch, options.steps, Path(place))
        options.one.write_text(json.dumps(found), encoding="utf-8")
        return 0
    until = time.monotonic() + 60 * options.minutes
    rounds: list[dict[str, Any]] = []
    while len(rounds) < options.rounds and (not rounds or time.monotonic() < until):
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / "found.json"
            command = [sys.executable, "-m", "tests.benchmarks.bench_joint", *given, "--one", str(target)]
            subprocess.run(command, check=True, env={**os.environ, **worker_environment(hub=False)})
            rounds.append(json.loads(target.read_text(encoding="utf-8")))
        print(json.dumps(rounds[-1]), flush=True)
        told = {"rows": options.rows, "batch": options.batch, **summary(rounds)}
        options.out.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
