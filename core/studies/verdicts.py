"""From the records of a claim's runs to its verdict: pure, so the page, the command line and the docs say the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from core.config.claims import Part
from core.runs.compare import (
    LEAST_SEEDS,
    TOGETHER,
    Comparison,
    Documents,
    Pair,
    Verdict,
    compare,
    restricted,
    steps_to_target,
)
from core.studies.records import ArmRun, answers
from core.studies.shelf import Claim, Contrast, Measure

__all__ = ["ClaimVerdict", "Judged", "Standing", "judge"]

#: Weight of the past in the smoothed score that must reach the target.
SMOOTHING = 0.5
#: Margins of measures that are no scores: a tenth of the steps, and megabytes.
STEPS_MARGIN, MEMORY_MARGIN_MB = 0.1, 10.0


class ClaimVerdict(StrEnum):
    """What a claim's comparisons say together."""

    HOLDS = "holds"
    FAILS = "does not hold"
    IN_PART = "holds in part"
    UNDECIDED = "not distinguishable"
    NONE = "no verdict"
    TABLE = "a table"


@dataclass(frozen=True)
class Standing:
    """How one arm did, over its seeds.

    ``mean`` and ``sd`` are of the score on test; ``sd`` is None with one seed.
    """

    arm: str
    title: str
    seeds: int
    failed: int
    mean: float | None
    sd: float | None
    steps: float | None
    never: int
    memory_mb: float | None
    seconds: float | None


@dataclass(frozen=True)
class Judged:
    """The verdict on a claim for one part, and what it is made of."""

    part: Part
    verdict: ClaimVerdict
    words: str
    target: float | None
    majority: float | None
    standings: tuple[Standing, ...]
    contrasts: tuple[Contrast, ...]
    comparisons: tuple[Comparison, ...]
    complete: bool

    def as_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "part": self.part, "verdict": str(self.verdict), "words": self.words, "target": self.target,
            "majority": self.majority, "complete": self.complete,
            "arms": [dict(vars(one)) for one in self.standings],
            "comparisons": [
                {**one.as_dict(), "measure": contrast.measure, "arm": contrast.arm, "reference": contrast.reference,
                 "expected": sorted(map(str, contrast.expected)),
                 "agrees": one.verdict in contrast.expected if contrast.expected else None}
                for contrast, one in zip(self.contrasts, self.comparisons, strict=True)
            ],
        }  # fmt: skip

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Judged:
        """Return a verdict from what :meth:`as_dict` gave."""
        contrasts, comparisons = [], []
        for one in values["comparisons"]:
            expected = frozenset(Verdict(name) for name in one["expected"])
            contrasts.append(Contrast(one["arm"], one["reference"], one["measure"], expected))
            fields: dict[str, Any] = {
                name: tuple(value) if isinstance(value := one[name], list) else value
                for name in Comparison.__dataclass_fields__
                if name in one  # older runs tell less
            }
            fields["verdict"] = Verdict(one["verdict"])
            comparisons.append(Comparison(**fields))
        return cls(
            values["part"], ClaimVerdict(values["verdict"]), values["words"], values["target"], values["majority"],
            tuple(Standing(**arm) for arm in values["arms"]), tuple(contrasts), tuple(comparisons), values["complete"],
        )  # fmt: skip


def judge(
    claim: Claim,
    records: Sequence[ArmRun],
    seeds: Sequence[int],
    *,
    parts: Sequence[Part],
    delta: float = 0.01,
    compared: bool = True,
) -> list[Judged]:
    """Judge a claim for each part.

    Parameters
    ----------
    claim
        The claim.
    records
        What was trained so far; records of other arms are left out.
    seeds
        The seeds that were planned; a claim whose runs are not all there has no verdict yet.
    parts
        The parts that were planned.
    delta
        Margin of scores.
    compared
        Whether arms are compared. Without it there are only their means, for a look before all runs are there.

    All comparisons of the claim, of all parts, are one family for Holm's correction. A run that failed counts with the
    majority's score and with all its steps, for anybody gets that score without training; it is counted as failed
    beside.
    """
    by_part = {part: _by_arm([one for one in records if one.part == part], seeds) for part in parts}
    pairs: list[Pair] = []
    for part in parts if compared else ():
        pairs += [_pair(contrast, claim, part, by_part[part], delta) for contrast in claim.designs[part].contrasts]
    results = iter(compare(pairs))
    found = []
    for part in parts:
        arms, named = by_part[part], claim.designs[part].arms
        contrasts = claim.designs[part].contrasts if compared else ()
        comparisons = tuple(next(results) for _ in contrasts)
        complete = all(len(arms.get(arm.name, {})) == len(seeds) for arm in named)
        verdict = _together(claim, contrasts, comparisons, complete)
        target = _target(claim, part, arms)
        standings = tuple(
            _standing(arm.name, arm.title, arms.get(arm.name, {}), target) for arm in claim.designs[part].arms
        )
        titles = {arm.name: arm.title for arm in named}
        words = _words(verdict, contrasts, comparisons, complete, len(seeds), titles)
        found.append(
            Judged(
                part, verdict, words, target, _majority(arms), standings, contrasts, comparisons, complete
            )
        )  # fmt: skip
    return found


# -- values ----------------------------------------------------------------------------------------------------------
_Arms = Mapping[str, Mapping[int, ArmRun]]


def _by_arm(records: Sequence[ArmRun], seeds: Sequence[int]) -> _Arms:
    found: dict[str, dict[int, ArmRun]] = {}
    for one in records:
        if one.seed in seeds:
            found.setdefault(one.arm, {})[one.seed] = one
    return found


def _majority(arms: _Arms) -> float | None:
    values = [one.majority for runs in arms.values() for one in runs.values() if one.majority is not None]
    return float(np.mean(values)) if values else None


def _target(claim: Claim, part: Part, arms: _Arms) -> float | None:
    """Return the score to reach: halfway between the majority's and the best that the mean run of an arm reached."""
    base = _majority(arms)
    names = [arm.name for arm in claim.designs[part].arms]
    means = [
        float(np.mean(scores))
        for name in names
        if (scores := [one.gate_score for one in arms.get(name, {}).values() if one.gate_score is not None])
    ]
    return (base + max(means)) / 2 if base is not None and means and max(means) > base else None


def _reached(one: ArmRun, target: float | None) -> int | None:
    curve = one.curves.get(f"gate/{one.metric}")
    if target is None or curve is None:
        return None
    return steps_to_target(curve["steps"], curve["values"], target, smoothing=SMOOTHING)


def _pair(contrast: Contrast, claim: Claim, part: Part, arms: _Arms, delta: float) -> Pair:
    sides = [arms.get(name, {}) for name in (contrast.arm, contrast.reference)]
    match contrast.measure:
        case "score":
            base = _majority(arms)
            values = [{seed: base if one.failed else one.score for seed, one in side.items()} for side in sides]
            documents = _documents(sides)
            rows = documents.count if documents is not None else 0
            return Pair(
                contrast.name, values[0], values[1], delta, documents=documents, resolution=1 / rows if rows else 0.0
            )
        case "steps":
            target = _target(claim, part, arms)
            whole = max((one.steps for side in sides for one in side.values() if not one.failed), default=0)
            steps = [restricted({seed: _reached(one, target) for seed, one in side.items()}, whole) for side in sides]
            if not whole or all(never == len(values) for values, never in steps):  # nobody arrived: nothing to compare
                return Pair(contrast.name, {}, {}, 1.0, larger_is_better=False)
            return Pair(
                contrast.name, steps[0][0], steps[1][0], max(1.0, STEPS_MARGIN * whole), larger_is_better=False,
                resolution=_grid(sides),
            )  # fmt: skip
        case "memory":
            memory = [{seed: None if one.failed else one.memory_mb for seed, one in side.items()} for side in sides]
            return Pair(contrast.name, memory[0], memory[1], MEMORY_MARGIN_MB, larger_is_better=False)


def _grid(sides: Sequence[Mapping[int, ArmRun]]) -> float:
    """Return the steps between two evaluations."""
    for side in sides:
        for one in side.values():
            steps = (one.curves.get(f"gate/{one.metric}") or {}).get("steps") or []
            if len(steps) > 1:
                return float(np.median(np.diff(steps)))
    return 0.0


def _documents(sides: Sequence[Mapping[int, ArmRun]]) -> Documents | None:
    """Return the answers of both arms for the seeds of which both are known."""
    known = [{seed: found for seed, one in side.items() if (found := answers(one)) is not None} for side in sides]
    seeds = sorted(known[0].keys() & known[1].keys())
    sizes = {known[at][seed].shape for at in (0, 1) for seed in seeds}
    if not seeds or len(sizes) != 1 or next(iter(sizes))[0] < 2:
        return None
    stacked = [np.stack([known[at][seed] for seed in seeds]) for at in (0, 1)]
    return Documents(stacked[0], stacked[1], "mean" if stacked[0].shape[2] == 1 else "f1")


def _standing(name: str, title: str, runs: Mapping[int, ArmRun], target: float | None) -> Standing:
    done = list(runs.values())
    scores = [one.score for one in done if one.score is not None]
    reached = [_reached(one, target) for one in done]
    arrived = [step for step in reached if step is not None]
    memory = [one.memory_mb for one in done if one.memory_mb is not None]
    return Standing(
        name, title, len(done), sum(bool(one.failed) for one in done),
        float(np.mean(scores)) if scores else None, float(np.std(scores, ddof=1)) if len(scores) > 1 else None,
        float(np.median(arrived)) if arrived else None, len(reached) - len(arrived),
        float(np.mean(memory)) if memory else None, float(np.median([one.seconds for one in done])) if done else None,
    )  # fmt: skip


# -- verdicts --------------------------------------------------------------------------------------------------------
def _together(
    claim: Claim, contrasts: Sequence[Contrast], comparisons: Sequence[Comparison], complete: bool
) -> ClaimVerdict:
    deciding = [(contrast, one) for contrast, one in zip(contrasts, comparisons, strict=True) if contrast.expected]
    if not deciding:
        return ClaimVerdict.TABLE if claim.is_table else ClaimVerdict.NONE
    if not complete or any(one.verdict is Verdict.NONE for _, one in deciding):
        return ClaimVerdict.NONE
    agree = [one.verdict in contrast.expected for contrast, one in deciding]
    open_ = [one.verdict is Verdict.UNDECIDED for _, one in deciding]
    if all(agree):
        return ClaimVerdict.HOLDS
    against = any(not yes and not unknown for yes, unknown in zip(agree, open_, strict=True))
    if against:
        return ClaimVerdict.IN_PART if any(agree) else ClaimVerdict.FAILS
    return ClaimVerdict.IN_PART if any(agree) else ClaimVerdict.UNDECIDED


def _words(
    verdict: ClaimVerdict,
    contrasts: Sequence[Contrast],
    comparisons: Sequence[Comparison],
    complete: bool,
    seeds: int,
    titles: Mapping[str, str],
) -> str:
    if verdict is ClaimVerdict.TABLE:
        return "Nothing is claimed here."
    if not complete:
        return "Not all runs are there yet."
    if not comparisons:
        return "The arms are not compared yet."
    if verdict is ClaimVerdict.NONE:
        if seeds < LEAST_SEEDS:
            return f"With {seeds} seed{'s' if seeds > 1 else ''} there is no verdict; {LEAST_SEEDS} are the least."
        return "No run reached the target, or too few ended: there is nothing to compare."
    parts = [sentence(contrast, one, titles) for contrast, one in zip(contrasts, comparisons, strict=True)]
    return " ".join(parts)


_LARGER: Mapping[Measure, tuple[str, str]] = {
    "score": ("scores higher", "scores lower"),
    "steps": ("takes fewer steps", "takes more steps"),
    "memory": ("takes less memory", "takes more memory"),
}


def amount(measure: Measure, value: float, *, signed: bool = False) -> str:
    """Return a value of a measure in its unit."""
    sign = "+" if signed else ""
    if measure == "score":
        return f"{100 * value:{sign}.1f} {'points' if signed else '%'}"
    return f"{value:{sign},.0f} {'steps' if measure == 'steps' else 'MB'}"


def sentence(contrast: Contrast, one: Comparison, titles: Mapping[str, str]) -> str:
    """Return a comparison in words, with its interval, or why there is none; arms are called by their titles."""
    arm, reference = (titles.get(name, name) for name in (contrast.arm, contrast.reference))
    names = f"{arm} against {reference}"
    if one.difference is None:
        return f"{names}: {one.why}."
    if one.interval_corrected is None:
        return f"{names}: {amount(contrast.measure, one.difference, signed=True)}; {one.why}."
    low, high = (amount(contrast.measure, bound, signed=True) for bound in one.interval_corrected)
    told = f"{amount(contrast.measure, one.difference, signed=True)} ({low} to {high})"
    better, worse = _LARGER[contrast.measure]
    match one.verdict:
        case Verdict.BETTER:
            return f"{arm} {better} than {reference}: {told}."
        case Verdict.WORSE:
            return f"{arm} {worse} than {reference}: {told}."
        case Verdict.EQUIVALENT:
            return f"{arm} and {reference} are equivalent: {told}."
        case Verdict.UNDECIDED:
            more = f"; about {one.seeds_needed} seeds would tell" if one.seeds_needed else ""
            if one.documents_limit:
                more = "; too few test rows to find a difference of the margin, with any number of seeds"
            if one.both_interval_corrected is not None and one.why.startswith(TOGETHER):
                both = (amount(contrast.measure, bound, signed=True) for bound in one.both_interval_corrected)
                more = f", {' to '.join(both)} over seeds and test rows together{more}"
            return f"{arm} and {reference} are not distinguishable: {told}{more}."
        case _:
            return f"{names}: {told}; {one.why}."
