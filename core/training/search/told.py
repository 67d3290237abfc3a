"""What a search says: of a trial, of its best one, and as the stage's entry in the record."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.config.space import Value
    from core.training.search.history import History, Tried

__all__ = ["best_words", "pruned_words", "summary", "trial_words"]


def trial_words(tried: Tried, names: Sequence[str], *, best: bool, pruner: str) -> str:
    """Return a line on a trial that was made.

    Parameters
    ----------
    tried
        The trial.
    names
        What trials are judged by.
    best
        Whether it is the best so far.
    pruner
        What ended it early, if it ended early.
    """
    if tried.state == "finished" and tried.scores is not None:
        how = _scores(tried.scores, names)
        if tried.repeats is not None:
            how += f", as trial {tried.repeats + 1} with the same values"
        elif best:
            how += ", the best so far"
    elif tried.state == "pruned":
        how = f"ended early, {pruned_words(tried, names[0], pruner)}"
    else:
        how = f"failed: {tried.error}"
    return f"Trial {tried.number + 1} ({_given(tried.values)}): {how}"


def pruned_words(tried: Tried, name: str, pruner: str) -> str:
    """Return where a trial stood when it was ended early."""
    last = max(tried.steps, default=0)
    unit, count = "seed" if pruner == "wilcoxon" else "evaluation", len(tried.steps)
    after = f"{count} {unit}{'s' if count > 1 else ''}"
    return f"{name} {tried.steps.get(last, math.nan):.4g} after {after} ({pruner})."


def best_words(stage: str, best: Tried, names: Sequence[str], history: History) -> str:
    """Return the sentence on the trial whose weights go on."""
    assert best.scores is not None
    several = f"; {len(history.front)} trials are on the Pareto front" if len(names) > 1 else ""
    return (
        f"Search {stage}: trial {best.number + 1} is the best ({_given(best.values)}): {_scores(best.scores, names)}; "
        f"{history.ended}{several}. Its weights go on."
    )


def summary(best: Tried, names: Sequence[str], history: History) -> dict[str, Any]:
    """Return what the record of the stage says of its search."""
    assert best.scores is not None
    return {
        "trials": len(history.trials), "best": best.number, "values": best.values,
        "scores": dict(zip(names, best.scores, strict=True)), "run": best.runs[0] if best.runs else None,
        "front": history.front, "ended": history.ended, "sampler": history.sampler, "pruner": history.pruner,
        "seeds": history.seeds, "objectives": history.objectives,
    }  # fmt: skip


def _given(values: dict[str, Value]) -> str:
    return ", ".join(f"{key} {_short(value)}" for key, value in values.items())


def _scores(scores: Sequence[float], names: Sequence[str]) -> str:
    return ", ".join(f"{name} {score:.4g}" for name, score in zip(names, scores, strict=True))


def _short(value: Value) -> str:
    return f"{value:.3g}" if isinstance(value, float) else ("empty" if value is None else str(value))
