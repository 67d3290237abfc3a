"""Successive halving (Jamieson & Talwalkar 2016): all that enter are distilled a little, the best of them go on.

Across depths it is the trained loss that decides. Each candidate is a child run with a page of its own; it is opened
again in every rung that it enters. Training goes on from weights and optimiser of the rung before.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from core.errors import TrainingDiverged
from core.graph.requests import Stopped
from core.models.shaped.inherit import Inherited
from core.search.distilling import Distilled, distil_states
from core.search.inheriting import Calibration
from core.search.latency import latency_of
from core.search.structure.leaving import close
from core.search.structure.records import Candidate, Rung
from core.search.structure.standing import entrants
from core.search.structure.students import INHERITED, Students
from core.search.structure.work import Work
from core.training.context import ChildContext, Outcome, Request
from core.training.files import free_bytes

__all__ = ["halve"]

#: Seconds of training after which a candidate's state is kept.
EVERY_S = 30.0


def halve(work: Work, students: Students, calibration: Calibration, threads: int) -> None:
    """Train rung after rung; what is done already is not done again."""
    config, record = work.config, work.record
    if not record.rungs:
        _first(work, students)
    for number in range(len(config.halving.rungs)):
        if number >= len(record.rungs):
            _next(work, students, number)
        with work.phase(f"rung {number + 1}"):
            for place, key in enumerate(record.rungs[number], 1):
                candidate = work.candidates[key]
                if len(candidate.rungs) > number:
                    continue
                work.check()
                if "latency" in record.objectives and candidate.latency is None:
                    work.tell("measuring how fast shapes are")
                    _measure(work, candidate, threads)
                where = f"rung {number + 1} of {len(config.halving.rungs)}: candidate {place} of "
                work.tell(where + str(len(record.rungs[number])), eta_s=_left(work, number))
                _train(work, candidate, number, students, calibration)
                record.bytes = students.bytes()
                work.refresh()


def _measure(work: Work, candidate: Candidate, threads: int) -> None:
    """Measure how fast a shape is, or read what was measured before; at the end all are measured again, in turns."""
    candidate.latency = latency_of(candidate.encoder_shape, work.cache, threads, check=work.check).as_dict()
    candidate.write(work.folder)


def _first(work: Work, students: Students) -> None:
    """Decide who enters, and say what it takes on the disk."""
    config, record = work.config, work.record
    keys, even = entrants(work.candidates.values(), config.halving.enter)
    record.rungs, record.kept = [keys], even
    size = 3 * sum(4 * work.candidates[key].parameters for key in keys)  # weights and two moments each
    work.context.event(
        "decision",
        f"{len(keys) - len(even)} of {len(work.ranked)} candidates are trained, the best of each depth"
        + (f", and {len(even)} of one width as references" if even else "")
        + f". Their weights take up to {size / 1e6:,.0f} MB until the search ends.",
        data={"rung": 0, "keys": keys, "references": even, "bytes": size},
    )  # fmt: skip
    if free_bytes(work.folder) < 2 * size:
        work.note(
            f"The disk has {free_bytes(work.folder) / 1e6:,.0f} MB left, the weights of the candidates may take "
            f"{size / 1e6:,.0f} MB."
        )
    students.tidy(set(keys))
    work.write()


def _next(work: Work, students: Students, number: int) -> None:
    """Decide who goes on into a rung."""
    record = work.record
    keys, even = work.next_rung(number - 1)
    losses = {key: work.candidates[key].loss for key in record.rungs[number - 1]}
    if not keys:
        raise TrainingDiverged(
            f"All {len(losses)} candidates of rung {number} diverged.", where="halving.lr",
            expected="losses that are finite numbers",
            advice=f"Lower the learning rate; it is {work.config.halving.lr:g}.",
        )  # fmt: skip
    record.rungs.append(keys)
    if even is not None and even not in record.kept:
        record.kept.append(even)
    chosen = [key for key in keys if key != even]
    work.context.event(
        "decision",
        f"Rung {number + 1}: {len(chosen)} of {len(losses)} candidates go on; the least held-out loss is "
        + f"{losses[chosen[0]]:.4f}."
        + (" The best even shape goes on as a reference." if even else ""),
        data={"rung": number, "keys": keys, "reference": even, "losses": losses},
    )  # fmt: skip
    work.write()


def _left(work: Work, number: int) -> float | None:
    """Return the seconds that training may still take, by what a step took so far; None before the first."""
    rungs, config = [rung for one in work.candidates.values() for rung in one.rungs], work.config.halving
    steps = sum(config.rungs[rung.number] for rung in rungs)
    if not steps:
        return None
    each = sum(rung.seconds for rung in rungs) / steps
    sizes = [len(rung) for rung in work.record.rungs]
    while len(sizes) < len(config.rungs):
        sizes.append(max(1, round(config.keep * sizes[-1])) + 1)
    here = sum(len(work.candidates[key].rungs) <= number for key in work.record.rungs[number])
    left = here * config.rungs[number]
    left += sum(size * rung for size, rung in list(zip(sizes, config.rungs, strict=True))[number + 1 :])
    return round(each * left, 1)


@dataclass
class _Trained:
    """What a rung made of a student, with what the next one goes on from."""

    result: Distilled
    state: dict[str, Any]


def _train(work: Work, candidate: Candidate, number: int, students: Students, calibration: Calibration) -> None:
    """Train one candidate to the end of a rung, from wherever its weights on the disk stand."""
    config = work.config.halving
    kept = students.read(candidate.key)
    done = INHERITED if kept is None else kept.rung
    state = None if kept is None else kept.state
    student = students.inherited(candidate) if kept is None else students.with_weights(candidate, kept.weights)
    plan = work.distil_config(candidate, sum(config.rungs))
    child = work.context.child(f"candidate-{candidate.key}", name=plan.name, plan=plan, tags=["candidate"])
    candidate.run = child.id
    candidate.write(work.folder)
    try:
        # mostly one rung; where weights were lost, those before are trained once more, and come out the same
        for rung in range(done + 1, number + 1):
            trained = _rung(work, candidate, rung, student, calibration, students, child, state)
            state = trained.state
            students.keep(candidate, student, rung, state=state)
        assert state is not None
        _record(candidate, number, state, config.rungs)
        close(work, candidate, child, student, calibration)
    except Stopped:
        child.leave()
        raise
    except TrainingDiverged as error:  # its own doing, and a result: it goes no further
        _fail(candidate, number, config.rungs)
        students.drop(candidate.key)
        work.note(f"The candidate {'-'.join(map(str, candidate.widths))} diverged in rung {number + 1}: {error.what}")
        child.finish("failed", error=error)
    except BaseException as error:
        child.finish("failed", error=error)
        raise
    candidate.write(work.folder)


def _rung(
    work: Work, candidate: Candidate, number: int, student: Inherited, calibration: Calibration, students: Students,
    child: ChildContext, state: Mapping[str, Any] | None,
) -> _Trained:  # fmt: skip
    config, total = work.config.halving, sum(work.config.halving.rungs[: number + 1])
    saved, held = [time.monotonic()], list[Callable[[], dict[str, Any]]]()
    words = f"rung {number + 1} of {len(config.rungs)}"
    child.progress(phase=words, step=0 if state is None else int(state["step"]), total_steps=sum(config.rungs))

    def on_step(step: int, loss: float, lr: float) -> None:
        child.metrics(step, {"train/loss": loss, "lr": lr})
        child.progress(step=step)

    def on_eval(step: int, loss: float) -> None:
        child.metrics(step, {"held/loss": loss})

    def on_state(step: int, snapshot: Callable[[], dict[str, Any]]) -> None:
        if step >= total:
            held[:] = [snapshot]
            return
        asked = work.context.request()
        if asked is not Request.NONE or time.monotonic() - saved[0] >= EVERY_S:
            students.keep(candidate, student, number - 1, state=snapshot(), partial=True)
            saved[0] = time.monotonic()
        if asked in (Request.PAUSE, Request.CANCEL):
            raise Stopped(Outcome.PAUSED if asked is Request.PAUSE else Outcome.CANCELLED)

    result = distil_states(
        student, calibration, steps=total, lr=config.lr, batch_tokens=config.batch_tokens,
        evaluate_every=work.evaluate_every, seed=work.config.runtime.seed, on_step=on_step,
        on_eval=on_eval, on_state=on_state, state=state,
    )  # fmt: skip
    return _Trained(result, held[0]())


def _record(candidate: Candidate, number: int, state: Mapping[str, Any], rungs: list[int]) -> None:
    """Note down a rung from the state that it ended with."""
    before, total = sum(rungs[:number]), sum(rungs[: number + 1])
    curve = [(int(step), float(loss)) for step, loss in state["curve"] if number == 0 or before < step <= total]
    first = float(state["before"]) if number == 0 else float(candidate.rungs[-1].loss)
    spent = float(state["seconds"]) - sum(one.seconds for one in candidate.rungs)
    candidate.rungs = [*candidate.rungs[:number], Rung(number, total, first, curve[-1][1], round(spent, 2), curve)]


def _fail(candidate: Candidate, number: int, rungs: list[int]) -> None:
    total, before = sum(rungs[: number + 1]), candidate.loss
    failed = Rung(number, total, math.nan if before is None else before, math.inf, 0.0)
    candidate.rungs = [*candidate.rungs[:number], failed]
