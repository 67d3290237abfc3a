"""A search as plain data for pages and the command line, from what its worker keeps: live, without torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.search.structure.records import Candidate, SearchRecord, read_candidates

__all__ = ["conclusion", "view"]


def view(folder: Path) -> dict[str, Any] | None:
    """Return what a search has found so far; None where it has not begun to choose candidates.

    Parameters
    ----------
    folder
        The run's folder.

    Returns
    -------
    dict
        ``phase``, ``ended``, ``sampler``, ``wanted``, ``parent``, ``budget``, ``depths`` {depth: segments},
        ``objectives``, ``reference`` (the bound of each), ``threads``, ``statistics`` (key in the cache), ``seconds``
        {phase: seconds}, ``bytes``, ``notices``, ``rungs`` (keys of those that entered each), ``references`` (keys of
        even shapes that are trained along), ``front`` (keys, the best loss first), ``hypervolume``, ``history`` [{step,
        phase, hypervolume, best_loss, front, objectives}], ``conclusion`` (see :func:`conclusion`; None before the
        end), and ``candidates``: [{key, order, source, label, depth, widths, units, shape, segments, parameters, total,
        flops, latency, rank_loss, rank_last, rank_layers, rank_seconds, rank, rungs, loss, steps, score, test, metric,
        run, finetune_run, on_front, reference, state (waiting, ranked, training, dropped, left, failed)}].
    """
    record = SearchRecord.read(folder)
    if record is None:
        return None
    found = read_candidates(folder)
    ordered = {key: found[key] for key in record.order if key in found}
    return {
        "phase": record.phase, "ended": record.ended, "sampler": record.sampler, "wanted": record.wanted,
        "parent": record.parent, "budget": record.budget, "depths": record.depths, "objectives": record.objectives,
        "reference": record.reference, "threads": record.threads, "statistics": record.statistics,
        "seconds": record.seconds, "bytes": record.bytes, "notices": record.notices, "rungs": record.rungs,
        "references": record.kept, "front": record.front, "hypervolume": record.hypervolume,
        "history": record.history, "conclusion": conclusion(record, ordered) if record.ended else None,
        "candidates": [_shown(one, record) for one in ordered.values()],
    }  # fmt: skip


def _shown(candidate: Candidate, record: SearchRecord) -> dict[str, Any]:
    data = candidate.as_dict()
    loss = candidate.loss
    for rung in data["rungs"]:
        for name in ("before", "loss"):
            rung[name] = rung[name] if math.isfinite(rung[name]) else None
    data["segments"] = [list(one) for one in candidate.segments]
    return {
        **data, "loss": loss if loss is not None and math.isfinite(loss) else None, "steps": candidate.steps,
        "on_front": candidate.key in record.front, "reference": candidate.key in record.kept,
        "state": _state(candidate, record),
    }  # fmt: skip


def _state(candidate: Candidate, record: SearchRecord) -> str:
    if candidate.rank_loss is None:
        return "waiting"
    if candidate.loss is not None and not math.isfinite(candidate.loss):
        return "failed"
    if not record.rungs:
        return "ranked"
    if candidate.key in record.rungs[-1]:
        return "left" if len(candidate.rungs) >= len(record.rungs) else "training"
    return "dropped"


def conclusion(record: SearchRecord, candidates: Mapping[str, Candidate]) -> dict[str, Any]:
    """Compare the best with the best even shape, both trained equally long, in numbers and in words.

    Returns
    -------
    dict
        ``best``, ``even`` (keys or None), ``best_loss``, ``even_loss``, ``best_score`` (and ``even_score``), ``source``
        of the best, ``words``. It is one search with one seed: the words say so and name no winner.
    """
    last = [candidates[key] for key in (record.rungs[-1] if record.rungs else []) if key in candidates]
    known = [(one.loss, one.order, one) for one in last if one.loss is not None and math.isfinite(one.loss)]
    found: dict[str, Any] = {
        "best": None, "even": None, "best_loss": None, "even_loss": None, "best_score": None, "even_score": None,
        "source": None, "words": "Nothing was trained to the end.",
    }  # fmt: skip
    if not known:
        return found
    known.sort(key=lambda one: one[:2])
    best = known[0][2]
    even = next((one for _, _, one in known if one.source == "uniform"), None)
    scored = max((one for one in last if one.score is not None), key=lambda one: one.score or 0.0, default=None)
    found |= {
        "best": best.key, "best_loss": best.loss, "source": best.source,
        "best_score": None if scored is None else scored.score,
    }  # fmt: skip
    words = (
        f"The least held-out loss is {best.loss:.4f}, of widths {', '.join(map(str, best.widths))} "
        f"({_SOURCES[best.source]}) after {best.steps:,} steps."
    )
    if even is best:
        words += " It is the even shape itself: no other was better at equal parameters and steps."
        found |= {"even": even.key, "even_loss": even.loss, "even_score": even.score}
    elif even is not None and even.loss is not None and best.loss is not None:
        found |= {"even": even.key, "even_loss": even.loss, "even_score": even.score}
        words += (
            f" The best even shape has {even.loss:.4f} at equal parameters and steps, {even.loss - best.loss:+.4f}. "
            "This is one search with one seed: it does not say that the statistics helped."
        )
    if scored is not None:
        widths = ", ".join(map(str, scored.widths))
        words += f" The best {scored.metric} on gate rows is {scored.score:.4f}, of widths {widths}."
    return {**found, "words": words}


_SOURCES = {
    "prior": "from the prior", "random": "drawn evenly", "uniform": "even", "hand": "made by hand", "given": "given",
    "tpe": "proposed by TPE",
}  # fmt: skip
