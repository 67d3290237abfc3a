"""What the structure experiment compares, and with which margins. Pure functions of the measured runs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from core.runs.compare import Comparison, Documents, Pair, compare
from core.studies.records import answers
from tests.benchmarks.structure_arms import ARMS
from tests.benchmarks.structure_records import ShapeRun

__all__ = [
    "ASKED", "BEST", "MARGINS", "MEASURES", "TITLES", "Known", "by_arm", "comparisons", "found_best", "mean_of",
    "name_of", "t_interval", "values_of",
]  # fmt: skip

#: Runs by arm and seed.
Known = Mapping[str, Mapping[int, ShapeRun]]
MEASURES = {"loss": "distillation loss", "accuracy": "accuracy on test"}
#: Set before the runs: a hundredth of loss (predicting the mean scores 2), one point of accuracy.
MARGINS = {"loss": 0.01, "accuracy": 0.01}
#: The graph prior has earned its place if it beats all of these.
ASKED = ("uniform", "random", "permuted")
_BESIDE = ("taper", "reverse", "bulge")
#: Not an arm of its own: for each seed, the run whose shape ranked best.
BEST = "found"
TITLES = {arm.name: arm.title for arm in ARMS} | {BEST: "best found shape"}


def by_arm(runs: Sequence[ShapeRun], seeds: int) -> dict[str, dict[int, ShapeRun]]:
    """Return the runs of the first so many seeds by arm and seed."""
    return {arm.name: {run.seed: run for run in runs if run.arm == arm.name and run.seed < seeds} for arm in ARMS}


def found_best(known: Known) -> dict[int, ShapeRun]:
    """Return for each seed the run whose shape ranked best of all that are not uniform, before any training.

    It is chosen by the ranking and not by what came of it, so that luck in training does not choose. Seeds that lack an
    arm are left out.
    """
    others = [known[arm.name] for arm in ARMS if arm.name != "uniform"]
    seeds = set(others[0]).intersection(*others[1:])
    return {seed: min((runs[seed] for runs in others), key=lambda run: (run.before, run.arm)) for seed in sorted(seeds)}


def values_of(measure: str, runs: Mapping[int, ShapeRun]) -> dict[int, float | None]:
    """Return a measure by seed."""
    return {seed: run.after if measure == "loss" else run.task.score for seed, run in sorted(runs.items())}


def name_of(arm: str, reference: str) -> str:
    """Return the name of a comparison."""
    return f"{TITLES[arm]} − {TITLES[reference]}"


def comparisons(measure: str, known: Known) -> dict[str, Comparison]:
    """Return the comparisons of a measure by name: those that are asked, then those beside them, two families."""
    families = [[("prior", name) for name in ASKED], [*(("prior", name) for name in _BESIDE), (BEST, "uniform")]]
    every = {**known, BEST: found_best(known)}
    found: dict[str, Comparison] = {}
    for family in families:
        pairs = [_pair(measure, arm, reference, every) for arm, reference in family]
        found.update({pair.name: one for pair, one in zip(pairs, compare(pairs), strict=True)})
    return found


def _pair(measure: str, arm: str, reference: str, every: Known) -> Pair:
    return Pair(
        name_of(arm, reference), values_of(measure, every[arm]), values_of(measure, every[reference]),
        delta=MARGINS[measure], larger_is_better=measure == "accuracy",
        documents=_documents(every[arm], every[reference]) if measure == "accuracy" else None,
    )  # fmt: skip


def _documents(arm: Mapping[int, ShapeRun], reference: Mapping[int, ShapeRun]) -> Documents | None:
    """Return how both answered the same test rows with the seeds that both have; None where that is not known."""
    sides = []
    for runs in (arm, reference):
        told = [answers(runs[seed].task) for seed in sorted(set(arm) & set(reference))]
        known = [one for one in told if one is not None]
        if not known or len(known) < len(told):
            return None
        sides.append(np.stack(known))
    return Documents(sides[0], sides[1])


def mean_of(values: Sequence[float]) -> float:
    """Return the mean."""
    return sum(values) / len(values)


def t_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """Return the 95 % t-interval of a mean; None with fewer than two values."""
    from scipy.stats import t

    if len(values) < 2:
        return None
    half = float(t.ppf(0.975, len(values) - 1)) * float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return mean_of(values) - half, mean_of(values) + half
