"""What :mod:`tests.benchmarks.bench_distillation` measures beside speed: the cost of looking, and memory."""

from __future__ import annotations

import contextlib
import resource
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from core.config import Plan
from tests.benchmarks.distillation_timing import opened

__all__ = ["looking", "memory"]

PINS = 3
#: What is looked at, and the function that does it.
PARTS = ("strips", "quadrants", "gradient shares", "layers", "rows of gate")


def looking(plan: Plan, cache: Path, folder: Path, pairs: int) -> dict[str, Any]:
    """Take two steps on each batch, one with everything that is looked at and one without, in turns.

    Evaluations stand at the end of each epoch; what scoring takes is in neither.

    Parameters
    ----------
    plan
        A student's, of as many steps as there are pairs.
    cache
        Where the answers are kept.
    folder
        Where what is seen is written to.
    pairs
        Pairs of steps.

    Returns
    -------
    dict
        ``more`` (the seconds more, by those of the steps without), ``parts`` (what looking took by its own clock, by
        the same), ``step_ms``, ``pairs``.
    """
    from core.training.choices import choose
    from core.training.device import set_threads
    from core.training.distil import objective as objectives
    from core.training.distil.gaps import Gaps
    from core.training.distil.monitor import Monitor
    from core.training.distil.pins import write_pin

    session = opened(plan, cache)
    engine, rates = session.engine, dict(session.optimiser.base)
    assert engine.objective is not None
    choice, _ = choose(engine, steps=pairs)  # as a run does
    set_threads(choice.threads)
    engine.precision = choice.precision
    engine.use_path(choice.path)
    engine.objective.take()
    folder.mkdir(parents=True, exist_ok=True)
    for row in range(PINS):
        write_pin(folder, session.prepared.roles.gate[row]["text"][:400], tagging=False)
    spent = dict.fromkeys(PARTS, 0.0)
    seconds = {True: 0.0, False: 0.0}

    @contextlib.contextmanager
    def counted() -> Iterator[None]:
        began = time.perf_counter()
        yield
        seconds[True] += time.perf_counter() - began

    blind = mock.patch.multiple(
        objectives, _compared=lambda *_: {}, gradient_shares=lambda *_: {}, measured_at=lambda *_, **__: False
    )
    with (
        _clocked(Monitor, "_look", spent, "strips"), _clocked(Monitor, "_compare", spent, "layers"),
        _clocked(Gaps, "look", spent, "rows of gate"), _clocked(objectives, "_compared", spent, "quadrants"),
        _clocked(objectives, "gradient_shares", spent, "gradient shares"),
    ):  # fmt: skip
        monitor = Monitor(engine, engine.objective, folder, 0, step=0, fresh=True, event=lambda *_, **__: None)
        with counted():
            monitor.begin(0)
        for own, (_, index, in_epoch, batch) in zip(range(1, pairs + 1), session.batches(), strict=False):
            for looks in (True, False) if own % 2 else (False, True):
                with contextlib.nullcontext() if looks else blind:
                    began = time.perf_counter()
                    taken = session.step(batch, own, rates)
                    if looks:
                        monitor.stepped(own, taken.seconds)
                    seconds[looks] += time.perf_counter() - began
            if index + 1 == in_epoch or own == pairs:
                scored = session.score()
                with counted():
                    monitor.evaluated(own, scored.logits)
    session.close()
    plain = seconds[False]
    return {
        "more": seconds[True] / plain - 1, "parts": {name: one / plain for name, one in spent.items()},
        "step_ms": 1000 * plain / pairs, "pairs": pairs,
    }  # fmt: skip


@contextlib.contextmanager
def _clocked(owner: Any, name: str, spent: dict[str, float], part: str) -> Iterator[None]:
    """Count what a function takes."""
    found = getattr(owner, name)

    def call(*given: Any, **named: Any) -> Any:
        began = time.perf_counter()
        try:
            return found(*given, **named)
        finally:
            spent[part] += time.perf_counter() - began

    with mock.patch.object(owner, name, call):
        yield


def memory(folder: Path, units: int, *, kept: bool, classes: int = 512) -> dict[str, Any]:
    """Read answers to so many rows, batch by batch over two epochs, from the disk or (`kept` False) from memory.

    Nothing else of a run is there, so that what grows is the answers' own: each row is one text of many classes.

    Parameters
    ----------
    folder
        Where the file is written, a thousand rows at a time.
    units
        Rows.
    kept
        Whether they lie in a memory-mapped file, as a run keeps them.
    classes
        Classes.

    Returns
    -------
    dict
        ``file_mb``, ``before_mb`` and ``own_mb``: the process's own memory before, and how much it grew at most;
        ``peak_mb``: all of it at most, pages of the file that the system may take back included.
    """
    from core.training.distil.teacher import Answers

    folder.mkdir(parents=True, exist_ok=True)
    rng, path, shape = np.random.default_rng(0), folder / "answers.f16", (units, classes)
    with path.open("wb") as file:
        for start in range(0, units, 1000):
            file.write(rng.normal(size=(min(1000, units - start), classes)).astype(np.float16).tobytes())
    before = highest = own_mb()
    values = np.memmap(path, dtype=np.float16, mode="r", shape=shape)
    answers = Answers(values if kept else np.array(values), list(np.arange(units)[:, None]), units)
    for _ in range(2):
        order = rng.permutation(units)
        for start in range(0, units, 32):
            answers.of(order[start : start + 32])
            highest = max(highest, own_mb())
    return {
        "file_mb": path.stat().st_size / 1e6, "before_mb": before, "own_mb": highest - before,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
    }  # fmt: skip


def own_mb() -> float:
    """Return the memory that belongs to this process alone, in MB: not the pages of files."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise OSError("this system does not tell how much memory a process has of its own")
