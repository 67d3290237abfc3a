"""Findings about data, memory and time: texts that were cut, labels missing in train, memory, evaluations."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from core.runs.findings import remedies
from core.runs.findings.types import Evidence, Finding, Recorded, Remedy, Segment

__all__ = ["evaluation_dominates", "labels_missing", "memory_near_limit", "texts_cut"]

#: Lengths are offered in steps that suit the kernels, and no further than usual encoders reach.
_LONGEST = 512


def texts_cut(run: Recorded) -> Iterator[Finding]:
    """More than 5 % of the texts were longer than the model was let read."""
    lengths = (run.data_report or {}).get("lengths") or {}
    share, p95 = lengths.get("cut_share"), lengths.get("p95")
    limit = run.plan.model.max_length
    if run.plan.task.kind != "classification" or not isinstance(share, int | float) or share <= 0.05:
        return
    cures = []
    reach = min(_LONGEST, -(-int(p95) // 8) * 8) if isinstance(p95, int | float) else limit
    if reach > limit:
        cures.append(Remedy(f"Read up to {reach} sub-words", remedies.max_length(reach)))
    longest = f"; one in twenty has {int(p95)} or more" if isinstance(p95, int | float) else ""
    yield Finding(
        "texts_cut", "warning", f"{100 * share:.1f} % of the texts were cut at {limit} sub-words{longest}.",
        "What stands behind the cut was never seen. Longer texts cost time and memory.", Evidence(()), tuple(cures),
    )  # fmt: skip


def labels_missing(run: Recorded) -> Iterator[Finding]:
    """A label that gate or test rows have does not occur in train."""
    labels = (run.data_report or {}).get("labels") or ()
    names = [
        str(one.get("label"))[:40]
        for one in labels
        if not (one.get("roles") or {}).get("train") and sum((one.get("roles") or {}).values())
    ]
    if not names or len(labels) < 2:
        return
    shown = ", ".join(repr(name) for name in names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
    cures: tuple[Remedy, ...] = ()
    if run.plan.data.train_rows is not None:
        cures = (Remedy("Use all training rows", remedies.keep_all_rows()),)
    yield Finding(
        "labels_missing", "warning",
        f"{len(names)} of {len(labels)} labels ha{'s' if len(names) == 1 else 've'} no training row: {shown}.",
        "The model cannot learn what it is never shown; every such text of gate and test is wrong.",
        Evidence(()), cures,
    )  # fmt: skip


def memory_near_limit(run: Recorded) -> Iterator[Finding]:
    """Memory ran out, or the run's process took more than 85 % of what it may use."""
    error = run.error or {}
    memory = run.points("train/memory_mb").finite()
    out = error.get("error") == "DeviceError" and error.get("where") == "memory"
    used = float(memory.values.max()) if len(memory) else 0.0
    limit = run.memory_limit_mb
    if not out and (limit is None or used < 0.85 * limit):
        return
    index = run.segments()[-1].index
    length = max(8, run.plan.model.max_length // 2)
    cures = (
        Remedy("Two micro-batches a step", remedies.accumulate(index, 2)),
        Remedy(f"Read up to {length} sub-words", remedies.max_length(length)),
    )
    if out:
        told = f"The memory was not enough; the last measured use was {used:,.0f} MB" if used else "The memory ran out"
    else:
        told = f"The run used up to {used:,.0f} of {limit:,.0f} MB, {100 * used / (limit or 1):.0f} %"
    yield Finding(
        "memory_near_limit", "problem" if out else "warning", f"{told}.",
        "The same batch in two halves (accumulation) gives the same steps in less memory; shorter texts help most.",
        Evidence(("train/memory_mb",), None, int(memory.steps[int(np.argmax(memory.values))]) if len(memory) else None),
        cures,
    )  # fmt: skip


def evaluation_dominates(segment: Segment) -> Iterator[Finding]:
    """More than 30 % of a stage's time went into evaluations on gate.

    An evaluation's time is that between two logged steps in which it lies, less the usual time between steps.
    """
    loss, gate = segment.points("train/loss"), segment.points("gate/loss")
    if len(loss) < 20 or len(gate) < 3 or not np.isfinite(loss.times).all():
        return
    gaps = np.diff(loss.times)
    if not len(gaps) or (gaps < 0).any():  # resumed: the clock says nothing
        return
    usual = float(np.median(gaps))
    # The points of an evaluation are written right after it, those of the next step after that step.
    held = [int(at) for at in np.searchsorted(loss.steps, gate.steps, side="left") if at < len(gaps)]
    spent = [max(0.0, float(gaps[at]) - usual) for at in held]
    if len(spent) < 3:
        return
    whole = float(loss.times[-1] - loss.times[0])
    # Pauses and checkpoints also fall into gaps; the median evaluation stands for all of them.
    share = float(np.median(spent)) * len(spent) / whole if whole > 0 else 0.0
    if share < 0.3 or whole < 5.0:
        return
    every = max(1, round(float(np.median(np.diff(gate.steps)))))
    a_tenth = round(every * share / (1 - share) / 0.1)
    wanted = max(every + 1, min(a_tenth, (segment.last - segment.first + 1) // 2))
    yield Finding(
        "evaluation_dominates", "warning",
        f"{len(gate)} evaluations took {100 * share:.0f} % of the time{segment.where}: one every {every} steps, about "
        f"{float(np.median(spent)):.2g} s each.",
        "Evaluate less often, or on fewer rows.",
        Evidence(("gate/loss", "train/loss"), segment.first, segment.last),
        (Remedy(f"Evaluate every {wanted} steps", remedies.evaluate_every(segment.index, wanted)),),
    )  # fmt: skip
