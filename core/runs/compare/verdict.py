"""From values by seed to a verdict that says no more than was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from core.runs.compare.documents import Documents, bootstrap_interval, permutation_p
from core.runs.compare.holm import holm, holm_levels
from core.runs.compare.seeds import SeedDifference, paired_difference, seeds_needed, welch_difference

__all__ = ["LEAST_SEEDS", "Comparison", "Pair", "Verdict", "compare"]

#: With fewer pairs there is no verdict.
LEAST_SEEDS = 5


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

    ``interval`` and ``documents_interval`` are 95 % intervals of this comparison alone; those that end with
    ``_corrected`` take account of all comparisons made together (Holm), and the verdict is made of them.
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
    seeds_needed: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        plain = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
        return {**plain, "verdict": str(self.verdict)}


def compare(pairs: Sequence[Pair], *, alpha: float = 0.05) -> list[Comparison]:
    """Compare arms; all pairs given together are one family for Holm's correction.

    An arm is *better* or *worse* only if the corrected intervals over seeds and over documents both exclude 0 on the
    same side and the difference is at least the margin. It is *equivalent* if all corrected intervals lie within the
    margin. Everything else is *not distinguishable*, with the number of seeds that would be enough. With fewer than
    five pairs of runs there is no verdict.

    Parameters
    ----------
    pairs
        What to compare.
    alpha
        Error rate of the family.
    """
    measured = [_differ(pair) for pair in pairs]
    tested = [at for at, one in enumerate(measured) if one is not None]
    with_documents = [at for at in tested if pairs[at].documents is not None]
    seed_p, seed_levels = _family([_p(measured[at]) for at in tested], tested, alpha)
    by_documents = {at: permutation_p(_documents(pairs[at])) for at in with_documents}
    document_p, document_levels = _family(list(by_documents.values()), with_documents, alpha)
    found = []
    for at, (pair, one) in enumerate(zip(pairs, measured, strict=True)):
        if one is None:
            found.append(_nothing(pair))
            continue
        corrected = one.interval(seed_levels[at])
        spread = spread_corrected = None
        if pair.documents is not None:
            spread = bootstrap_interval(pair.documents, 1 - alpha)
            spread_corrected = bootstrap_interval(pair.documents, document_levels[at])
        intervals = [corrected] + ([spread_corrected] if spread_corrected is not None else [])
        verdict, why = _judge(pair, one, intervals)
        shared = _shared(pair)
        found.append(
            Comparison(
                pair.name, verdict, why, one.seeds, _failed(pair.arm), _failed(pair.reference), pair.delta,
                _mean(pair.arm, shared), _mean(pair.reference, shared), one.difference, one.sd, one.p, seed_p[at],
                one.interval(1 - alpha), corrected, pair.documents.count if pair.documents is not None else 0,
                by_documents.get(at), document_p.get(at), spread, spread_corrected, seeds_needed(one.sd, pair.delta),
            )
        )  # fmt: skip
    return found


def _judge(pair: Pair, one: SeedDifference, intervals: Sequence[tuple[float, float]]) -> tuple[Verdict, str]:
    if one.seeds < LEAST_SEEDS:
        return Verdict.NONE, f"fewer than {LEAST_SEEDS} seeds: no verdict"
    if all(-pair.delta <= low and high <= pair.delta for low, high in intervals):
        return Verdict.EQUIVALENT, ""
    sign = 1 if one.difference > 0 else -1
    apart = all(sign * low > 0 and sign * high > 0 for low, high in intervals)
    if apart and abs(one.difference) >= pair.delta:
        return Verdict.BETTER if (sign > 0) == pair.larger_is_better else Verdict.WORSE, ""
    if apart:
        return Verdict.UNDECIDED, "there is a difference, but smaller than the margin"
    return Verdict.UNDECIDED, "an interval includes 0"


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


def _documents(pair: Pair) -> Documents:
    assert pair.documents is not None
    return pair.documents


def _p(one: SeedDifference | None) -> float:
    assert one is not None
    return one.p


def _family(
    p_values: Sequence[float], places: Sequence[int], alpha: float
) -> tuple[dict[int, float], dict[int, float]]:
    """Return corrected p-values and levels by the place of the comparison."""
    adjusted, levels = holm(p_values), holm_levels(p_values, alpha)
    return dict(zip(places, adjusted, strict=True)), dict(zip(places, levels, strict=True))


def _nothing(pair: Pair) -> Comparison:
    """Return a comparison without an interval; with a single pair there is a difference at least."""
    shared = _shared(pair) or []
    means = [_mean(side, shared) if shared else None for side in (pair.arm, pair.reference)]
    return Comparison(
        pair.name, Verdict.NONE, f"fewer than {LEAST_SEEDS} seeds: no verdict", len(shared), _failed(pair.arm),
        _failed(pair.reference), pair.delta, means[0], means[1],
        means[0] - means[1] if means[0] is not None and means[1] is not None else None,
    )  # fmt: skip
