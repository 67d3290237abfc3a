"""How a search stands: who is ahead within a depth, who goes on, and the front of those that were trained. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from core.search.front import hypervolume, pareto_front
from core.search.structure.records import Candidate, SearchRecord

__all__ = ["Standing", "entrants", "goes_on", "quotas", "rank_within_depths", "standing", "values_of"]

#: Parameters that differ by less than so much of the budget are the same: rounding of FFN units decides nothing.
_SAME = 0.01
#: Bounds of the hypervolume lie so much above what the parent costs; the mean predictor's loss is 2.
MARGIN = 1.1
MEAN_LOSS = 2.0


class Standing:
    """The front as it is now.

    Parameters
    ----------
    front
        Keys of the candidates on it, the best loss first.
    hypervolume
        Share of the box between nothing and the reference that they dominate; None before anything is trained.
    best_loss
        Least held-out loss of a trained candidate; None before.
    objectives
        What was weighed: the loss stands for the score as long as nobody has one.
    """

    def __init__(
        self, front: list[str], hypervolume: float | None, best_loss: float | None, objectives: list[str]
    ) -> None:  # fmt: skip
        self.front, self.hypervolume, self.best_loss, self.objectives = front, hypervolume, best_loss, objectives


def rank_within_depths(candidates: Iterable[Candidate]) -> dict[int, list[Candidate]]:
    """Return the ranked candidates of each depth, the least loss first; across depths the losses say nothing."""
    found: dict[int, list[Candidate]] = {}
    for one in candidates:
        if one.rank_loss is not None:
            found.setdefault(one.depth, []).append(one)
    return {depth: sorted(ones, key=lambda one: (one.rank_loss, one.order)) for depth, ones in sorted(found.items())}


def quotas(depths: Sequence[int], enter: int) -> dict[int, int]:
    """Divide the places of the first rung evenly over depths; what is left over goes to the deeper ones."""
    ordered = sorted(depths, reverse=True)
    return {depth: enter // len(ordered) + (place < enter % len(ordered)) for place, depth in enumerate(ordered)}


def entrants(candidates: Iterable[Candidate], enter: int) -> tuple[list[str], list[str]]:
    """Return the keys that enter the first rung, and which of them enter as references only.

    The best of each depth enter, and beside them the best even shape of each depth, whatever its loss.
    """
    ranked = rank_within_depths(candidates)
    places = quotas(list(ranked), enter)
    chosen = [one.key for depth, ones in ranked.items() for one in ones[: places[depth]]]
    references = [next((one.key for one in ones if one.source == "uniform"), None) for ones in ranked.values()]
    even = [key for key in references if key is not None and key not in chosen]
    return [*chosen, *even], even


def goes_on(rung: Sequence[Candidate], keep: float) -> tuple[list[str], str | None]:
    """Return the keys that go on from a rung, and the reference among them that goes on whatever its loss.

    Parameters
    ----------
    rung
        The candidates that this rung has trained equally long.
    keep
        Share of them that goes on; at least one does. Those that diverged never do.
    """
    ordered = sorted((one for one in rung if _number(one.loss) < math.inf), key=lambda one: (one.loss, one.order))
    chosen = [one.key for one in ordered[: max(1, math.floor(keep * len(rung) + 0.5))]]
    even = next((one.key for one in ordered if one.source == "uniform"), None)
    if even is None or even in chosen:
        return chosen, None
    return [*chosen, even], even


def values_of(candidate: Candidate, objectives: Sequence[str], record: SearchRecord) -> list[float] | None:
    """Return a candidate's objectives by their references, all to be small; None where one was not measured."""
    budget = float(record.budget["parameters"])
    measured: Mapping[str, float | None] = {
        "parameters": round(candidate.parameters / (_SAME * budget)) * _SAME * budget,
        "flops": float(candidate.flops),
        "latency": None if candidate.latency is None else float(candidate.latency["p50"]),
        "loss": candidate.loss,
        "score": None if candidate.score is None else 1.0 - candidate.score,
    }
    found = []
    for name in objectives:
        value = measured[name]
        if value is None or not math.isfinite(value):
            return None
        found.append(value / record.reference[name])
    return found


def standing(candidates: Iterable[Candidate], record: SearchRecord) -> Standing:
    """Lay those that were trained on a front, each by its latest values.

    One that was dropped early stands with the loss that it had then. Training would only lower it, so nothing is on the
    front undeserved.
    """
    trained = [one for one in candidates if one.rungs]
    scored = any(one.score is not None for one in trained)
    named = [name if name != "score" or scored else "loss" for name in record.objectives]
    objectives = list(dict.fromkeys(named))
    losses = [one.loss for one in trained if one.loss is not None and math.isfinite(one.loss)]
    rows = [(one, values_of(one, objectives, record)) for one in trained]
    known = [(one, values) for one, values in rows if values is not None]
    if not known:
        return Standing([], None, min(losses, default=None), objectives)
    front = [known[at][0] for at in pareto_front([values for _, values in known])]
    front.sort(key=lambda one: (_number(one.loss), one.order))
    volume = hypervolume([values for _, values in known], [1.0] * len(objectives))
    return Standing([one.key for one in front], volume, min(losses, default=None), objectives)


def _number(loss: float | None) -> float:
    return loss if loss is not None and math.isfinite(loss) else math.inf
