"""Kinds of runs for tests: small stand-ins for training that count steps, keep checkpoints and hear requests."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

from core.config import Plan
from core.errors import DataError
from core.training.context import Outcome, Request, RunContext

#: For BERTLOOM_TEST_KINDS.
KINDS = ",".join(
    f"{name}=tests.unit.runs.work:{name}"
    for name in (
        "count",
        "deaf",
        "fail",
        "stumble",
        "memory",
        "crash",
        "leave",
        "chatter",
        "devour",
        "doomed",
        "squeezed",
        "parts",
    )
)


def count(plan: Plan, context: RunContext, resume: bool = True) -> Outcome:
    """Count to ``stages.0.steps`` with ``checkpoint_every_s`` seconds a step; the checkpoint is the step.

    A file ``hurry`` in the run's folder lets it count without pauses from then on.
    """
    steps = plan.stages[0].steps or 1
    step = _load(context.folder) if resume else 0
    context.progress(phase="training", total_steps=steps)
    while step < steps:
        if not (context.folder / "hurry").exists():
            time.sleep(plan.runtime.checkpoint_every_s)
        step += 1
        context.metrics(step, {"train/loss": 1.0 / step, "lr/head": 1e-3})
        with (context.folder / "counted").open("ab") as counted:  # one byte a step: never half written
            counted.write(b".")
        context.progress(step=step)
        if step % (plan.runtime.checkpoint_every_steps or 5) == 0:
            _save(context, step)
        asked = context.request()
        if asked is Request.SAVE:
            _save(context, step)
        elif asked is not Request.NONE:
            _save(context, step)
            return Outcome.PAUSED if asked is Request.PAUSE else Outcome.CANCELLED
    _save(context, step)
    (context.folder / "best").mkdir(exist_ok=True)
    (context.folder / "best" / "config.json").write_text("{}")
    (context.folder / "results.json").write_text(json.dumps({"metrics": {"test/accuracy": 0.75, "steps": step}}))
    context.event("info", "done", step=step)
    return Outcome.FINISHED


def deaf(plan: Plan, context: RunContext, resume: bool = True) -> Outcome:
    """Never look at requests."""
    context.metrics(1, {"train/loss": 1.0})
    time.sleep(120)
    return Outcome.FINISHED


def fail(plan: Plan, context: RunContext, resume: bool = True) -> Outcome:
    """Fail with an error that a person can read."""
    context.metrics(1, {"train/loss": 1.0})
    raise DataError("The label 'x' is unknown.", where="row 3", expected="a or b", advice="Mend the row.")


def stumble(plan: Plan, context: RunContext, resume: bool = True) -> Outcome:
    """Fail with an error that nobody foresaw."""
    raise ZeroDivisionError("nobody foresaw this")


def memory(plan: Plan, context: RunContext, resume: bool = True) -> Outcome:
    """Run out of memory as torch does on the CPU."""
    raise RuntimeError(
        "[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: tried 9 bytes"
    )


def crash(plan: Plan, context: RunContext, resume: bool = True) -> Outcome:
    """Crash as a broken library does."""
    context.flush()
    os.kill(os.getpid(), signal.SIGSEGV)
    time.sleep(10)
    return Outcome.FINISHED


def leave(plan: Plan, context: RunContext, resume: bool = True) -> Outcome:
    """End the process without a word."""
    print("MemoryError: the last words", flush=True)
    os._exit(3)


def chatter(plan: Plan, context: RunContext, resume: bool = True) -> Outcome:
    """Print more than any pipe holds."""
    for number in range(20_000):
        print(f"line {number} " + "x" * 40)
    print("\x1b[31mred\x1b[0m\rlast line", flush=True)
    return Outcome.FINISHED


def devour(plan: Plan, context: RunContext, resume: bool = True) -> Outcome:
    """Ask for more memory than the process may have."""
    import resource

    limit = 2**30 * 3
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    held = []
    while True:
        held.append(bytearray(2**28))


def _load(folder: Path) -> int:
    found = [int(path.name) for path in (folder / "checkpoints").glob("[0-9]*")]
    return max(found, default=0)


def _save(context: RunContext, step: int) -> None:
    context.flush()
    place = context.folder / "checkpoints"
    place.mkdir(parents=True, exist_ok=True)
    temporary = place / f".{step}.part"
    temporary.mkdir(exist_ok=True)
    (temporary / "state.json").write_text(json.dumps({"step": step}))
    target = place / str(step)
    if target.exists():
        (temporary / "state.json").unlink()
        temporary.rmdir()
    else:
        temporary.rename(target)
    context.event("checkpoint", f"checkpoint at step {step}", step=step)


def plan_of(steps: int = 20, pause: float = 0.01, **changes: Any) -> Plan:
    """Return a plan for these kinds."""
    runtime = {"checkpoint_every_s": pause, **changes.pop("runtime", {})}
    return Plan.model_validate({"name": "test", "stages": [{"steps": steps}], "runtime": runtime, **changes})


def doomed(plan: Plan, context: RunContext, resume: bool = True) -> Outcome:
    """Train, and be killed (as by ``kill -9``) just after the step named in the file ``kill_at``, if there is one."""
    from core.training import train

    order = context.folder / "kill_at"
    if order.exists():
        step, delay = order.read_text().split()
        order.unlink()
        context = _Doom(context, int(step), float(delay))
    return train(plan, context, resume=resume)


class _Doom:
    def __init__(self, context: RunContext, step: int, delay: float) -> None:
        self._context, self._step, self._delay, self._set = context, step, delay, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    def metrics(self, step: int, values: Any) -> None:
        self._context.metrics(step, values)
        if step >= self._step and not self._set:
            self._set = True
            # from another thread, so that it strikes anywhere: in a step, in an evaluation, while a checkpoint is
            # written
            threading.Timer(self._delay, os.kill, (os.getpid(), signal.SIGKILL)).start()


def squeezed(plan: Plan, context: RunContext, resume: bool = True) -> Outcome:
    """Train while the disk takes nothing more: the system refuses to let any file of this process grow."""
    import resource

    context.metrics(1, {"train/loss": 1.0})
    context.flush()
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
    for step in range(2, 202):
        time.sleep(0.01)
        context.metrics(step, {"train/loss": 1.0 / step})
        assert context.request() is Request.NONE
    context.flush()
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    return Outcome.FINISHED


def parts(plan: Plan, context: RunContext, resume: bool = True) -> Outcome:
    """Do ``stages.0.steps`` parts of three steps each, every one a run of its own; the second fails."""
    done = int((context.folder / "done").read_text()) if (context.folder / "done").exists() else 0
    for number in range(done, plan.stages[0].steps or 1):
        part = context.child(str(number), name=f"{plan.name} · part {number}", plan=plan, tags=["part"])
        part.progress(phase="training", total_steps=3)
        for step in range(1, 4):
            part.metrics(step, {"train/loss": number + 1 / step})
            time.sleep(plan.runtime.checkpoint_every_s)
            if part.request() is not Request.NONE:
                part.leave()
                return Outcome.PAUSED if part.request() is Request.PAUSE else Outcome.CANCELLED
        if number == 1:
            part.finish("failed", error=DataError("It went wrong.", where="row 3"))
        else:
            part.finish("finished", metrics={"gate/accuracy": number / 10})
        (context.folder / "done").write_text(str(number + 1))
        context.metrics(number + 1, {"search/score": float(number)})
        context.progress(step=number + 1)
    return Outcome.FINISHED
