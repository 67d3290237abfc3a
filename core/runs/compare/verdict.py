"""From values by seed to a verdict that says no more than was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from core.runs.compare.crossed import crossed_difference
from core.runs.compare.documents import Documents, bootstrap_intervals, permutation_p
from core.runs.compare.holm import holm, holm_levels
from core.runs.compare.seeds import SeedDifference, paired_difference, seeds_needed, welch_difference

__all__ = ["LEAST_SEEDS", "TOGETHER", "Comparison", "Pair", "Verdict", "compare"]

#: With fewer pairs there is no verdict.
LEAST_SEEDS = 5
#: Why nobody wins where only the interval over seeds and documents at once includes 0.
TOGETHER = "seeds and documents together may explain the difference"
#: Standard errors that a difference must measure to be found with a power of 80 %: z(0.975) + z(0.80).
_DETECTABLE = 1.96 + 0.8416


class Verdict(StrEnum):
    """What a comparison says about an arm against its reference."""

    BETTER = "better"
    WORSE = "worse"
    EQUIVALENT = "equivalent"
    UNDECIDED = "not distinguishable"
    NONE = "no verdict"


@dataclass(frozen=True)
class Pair:
    """Two arms to compare.

    Parameters
    ----------
    name
        Name of the comparison.
    arm, reference
        Seed → value; ``None`` for a run that failed.
    delta
        The margin, set before the runs: smaller differences do not matter.
    larger_is_better
        False for losses, steps, seconds and memory.
    paired
        Whether runs of one seed share data order and initial weights.
    documents
        What both arms did with the same test rows; ``None`` where the value is no score over rows.
    resolution
        Width of the grid on which values were observed, see :func:`~core.runs.compare.seeds.paired_difference`.
    """

    name: str
    arm: Mapping[int, float | None]
    reference: Mapping[int, float | None]
    delta: float = 0.01
    larger_is_better: bool = True
    paired: bool = True
    documents: Documents | None = None
    resolution: float = 0.0


@dataclass(frozen=True)
class Comparison:
    """One comparison, with everything that its verdict was made of.

    ``interval`` (over seeds), ``documents_interval`` and ``both_interval`` (over seeds and documents at once) are 95 %
    intervals of this comparison alone; those that end with ``_corrected`` take account of all comparisons made together
    (Holm), and the verdict is made of them.
    """

    name: str
    verdict: Verdict
    #: Why there is no verdict, or what the verdict lacks.
    why: str
    seeds: int
    failed_arm: int
    failed_reference: int
    delta: float
    arm_mean: float | None = None
    reference_mean: float | None = None
    difference: float | None = None
    sd: float | None = None
    p: float | None = None
    p_corrected: float | None = None
    interval: tuple[float, float] | None = None
    interval_corrected: tuple[float, float] | None = None
    documents: int = 0
    documents_p: float | None = None
    documents_p_corrected: float | None = None
    documents_interval: tuple[float, float] | None = None
    documents_interval_corrected: tuple[float, float] | None = None
    both_p: float | None = None
    both_p_corrected: float | None = None
    both_interval: tuple[float, float] | None = None
    both_interval_corrected: tuple[float, float] | None = None
    seeds_needed: int | None = None
    #: Whether no number of seeds would find a difference of the margin: the documents are too few.
    documents_limit: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        plain = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
        return {**plain, "verdict": str(self.verdict)}


def compare(pairs: Sequence[Pair], *, alpha: float = 0.05) -> list[Comparison]:
    """Compare arms; all pairs given together are one family for Holm's correction.

    An arm is *better* or *worse* only if the corrected intervals over seeds, over documents and over both at once all
    exclude 0 on the same side and the difference is at least the margin. It is *equivalent* if all corrected intervals
    lie within the margin. Everything else is *not distinguishable*, with the number of seeds that would be enough. With
    fewer than five pairs of runs there is no verdict.

    The interval over both is needed: where seeds and documents err by as much, a difference may lie outside of each
    single interval in one of six comparisons of arms that are equally good.

    Parameters
    ----------
    pairs
        What to compare.
    alpha
        Error rate of the family.
    """
    measured = [_differ(pair) for pair in pairs]
    tested = {at: one for at, one in enumerate(measured) if one is not None}
    known = {at: pair.documents for at, pair in enumerate(pairs) if at in tested and pair.documents is not None}
    crossed = {at: crossed_difference(tested[at], documents) for at, documents in known.items()}
    by_documents = {at: permutation_p(documents) for at, documents in known.items()}
    seed_p, seed_levels = _family({at: one.p for at, one in tested.items()}, alpha)
    document_p, document_levels = _family(by_documents, alpha)
    both_p, both_levels = _family({at: one.p for at, one in crossed.items()}, alpha)
    found = []
    for at, (pair, one) in enumerate(zip(pairs, measured, strict=True)):
        if one is None:
            found.append(_nothing(pair))
            continue
        corrected = [one.interval(seed_levels[at])]
        rows: dict[str, Any] = {}
        if at in known:
            spread = bootstrap_intervals(known[at], (1 - alpha, document_levels[at]))
            both = [crossed[at].interval(level) for level in (1 - alpha, both_levels[at])]
            corrected += [spread[1], both[1]]
            rows = {
                "documents": known[at].count, "documents_p": by_documents[at], "documents_p_corrected": document_p[at],
                "documents_interval": spread[0], "documents_interval_corrected": spread[1], "both_p": crossed[at].p,
                "both_p_corrected": both_p[at], "both_interval": both[0], "both_interval_corrected": both[1],
            }  # fmt: skip
        limit = at in crossed and _DETECTABLE * crossed[at].documents_error > pair.delta
        verdict, why = _judge(pair, one, corrected, limit)
        shared = _shared(pair)
        found.append(
            Comparison(
                pair.name, verdict, why, one.seeds, _failed(pair.arm), _failed(pair.reference), pair.delta,
                _mean(pair.arm, shared), _mean(pair.reference, shared), one.difference, one.sd, one.p, seed_p[at],
                one.interval(1 - alpha), corrected[0], seeds_needed=seeds_needed(one.sd, pair.delta),
                documents_limit=limit, **rows,
            )
        )  # fmt: skip
    return found


def _judge(
    pair: Pair, one: SeedDifference, intervals: Sequence[tuple[float, float]], limit: bool
) -> tuple[Verdict, str]:
    """Return the verdict and what it lacks; the intervals are over seeds, documents and both."""
    if one.seeds < LEAST_SEEDS:
        return Verdict.NONE, f"fewer than {LEAST_SEEDS} seeds: no verdict"
    if all(-pair.delta <= low and high <= pair.delta for low, high in intervals):
        return Verdict.EQUIVALENT, ""
    sign = 1 if one.difference > 0 else -1
    apart = [sign * low > 0 and sign * high > 0 for low, high in intervals]
    if all(apart) and abs(one.difference) >= pair.delta:
        return Verdict.BETTER if (sign > 0) == pair.larger_is_better else Verdict.WORSE, ""
    if all(apart):
        return Verdict.UNDECIDED, "there is a difference, but smaller than the margin"
    why = "an interval includes 0"
    if apart[:2] == [True, True]:
        why = TOGETHER
    if limit:
        why += "; more seeds alone would not find a difference of the margin, the documents are too few"
    return Verdict.UNDECIDED, why


def _differ(pair: Pair) -> SeedDifference | None:
    """Return the difference over seeds, or ``None`` where too few runs ended well to compute one."""
    seeds = _shared(pair)
    if seeds is not None:
        if len(seeds) < 2:
            return None
        arm, reference = _values(pair.arm, seeds), _values(pair.reference, seeds)
        return paired_difference(arm, reference, resolution=pair.resolution)
    left, right = _values(pair.arm, pair.arm), _values(pair.reference, pair.reference)
    return welch_difference(left, right) if min(len(left), len(right)) >= 2 else None


def _shared(pair: Pair) -> list[int] | None:
    """Return the seeds for which both runs ended well; ``None`` where runs are not paired."""
    if not pair.paired:
        return None
    return sorted(
        seed for seed, value in pair.arm.items() if value is not None and pair.reference.get(seed) is not None
    )


def _values(values: Mapping[int, float | None], seeds: Any) -> list[float]:
    return [float(value) for seed in seeds if (value := values[seed]) is not None]


def _mean(values: Mapping[int, float | None], seeds: list[int] | None) -> float:
    """Return the mean over the runs that the comparison is made of."""
    found = _values(values, values if seeds is None else seeds)
    return sum(found) / len(found)


def _failed(values: Mapping[int, float | None]) -> int:
    return sum(value is None for value in values.values())


def _family(p_values: Mapping[int, float], alpha: float) -> tuple[dict[int, float], dict[int, float]]:
    """Return corrected p-values and levels by the place of the comparison."""
    values = list(p_values.values())
    return dict(zip(p_values, holm(values), strict=True)), dict(zip(p_values, holm_levels(values, alpha), strict=True))


def _nothing(pair: Pair) -> Comparison:
    """Return a comparison without an interval; with a single run a side there is a difference at least."""
    shared = _shared(pair)
    sides = [_values(side, side if shared is None else shared) for side in (pair.arm, pair.reference)]
    means = [sum(values) / len(values) if values else None for values in sides]
    return Comparison(
        pair.name, Verdict.NONE, f"fewer than {LEAST_SEEDS} seeds: no verdict", min(map(len, sides)), _failed(pair.arm),
        _failed(pair.reference), pair.delta, means[0], means[1],
        means[0] - means[1] if means[0] is not None and means[1] is not None else None,
    )  # fmt: skip
