"""Verdicts on a table of scores: task, strategy, seed, document, score, wherever they were measured. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any

import numpy as np

from core.runs.compare.documents import Documents
from core.runs.compare.verdict import LEAST_SEEDS, Comparison, Pair, Verdict, compare

__all__ = ["Scores", "TableVerdict", "judge_scores", "too_few"]


@dataclass(frozen=True)
class Scores:
    """The scores of one task.

    Parameters
    ----------
    task
        Its name; None where a table knows one task only.
    runs
        (strategy, seed) of each run, in the order in which they appear.
    documents
        Names of the documents.
    values
        Shape (runs, documents); NaN where a run has no score for a document.
    """

    task: str | None
    runs: tuple[tuple[str, str], ...]
    documents: tuple[str, ...]
    values: np.ndarray

    @property
    def strategies(self) -> list[str]:
        """Names of the strategies, in the order in which they appear."""
        return list(dict.fromkeys(strategy for strategy, _ in self.runs))

    def rows_of(self, strategy: str) -> dict[str, int]:
        """Return seed → row of ``values``."""
        return {seed: at for at, (name, seed) in enumerate(self.runs) if name == strategy}


@dataclass(frozen=True)
class TableVerdict:
    """Two strategies on one task, compared.

    Parameters
    ----------
    task, a, b
        What was compared; differences are a − b.
    comparison
        Everything that the verdict was made of.
    left_out
        ``seeds`` {strategy: [seed]} that the other strategy lacks, ``documents``: how many some run of the two lacks.
    """

    task: str | None
    a: str
    b: str
    comparison: Comparison
    left_out: dict[str, Any] = field(default_factory=dict)

    @property
    def winner(self) -> str:
        """``a``, ``b``, ``equivalent``, ``not distinguishable`` or ``no verdict``."""
        named = {Verdict.BETTER: "a", Verdict.WORSE: "b"}
        return named.get(self.comparison.verdict, str(self.comparison.verdict))

    @property
    def interval(self) -> tuple[float, float] | None:
        """95 % interval of the difference, over seeds and documents; over seeds where there are no documents."""
        return self.comparison.both_interval or self.comparison.interval

    @property
    def corrected(self) -> tuple[float, float] | None:
        """The same interval, corrected for all comparisons of the table (Holm)."""
        return self.comparison.both_interval_corrected or self.comparison.interval_corrected

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        one = self.comparison
        both = one.both_interval is not None
        return {
            "task": self.task, "a": self.a, "b": self.b, "difference": one.difference,
            "interval": _plain(self.interval), "p": one.both_p if both else one.p, "verdict": self.winner,
            "margin": one.delta, "seeds": one.seeds, "seeds_needed": one.seeds_needed, "why": one.why,
            "a_mean": one.arm_mean, "b_mean": one.reference_mean, "documents": one.documents,
            "interval_corrected": _plain(self.corrected),
            "p_corrected": one.both_p_corrected if both else one.p_corrected,
            "seeds_interval": _plain(one.interval), "seeds_p": one.p,
            "documents_interval": _plain(one.documents_interval), "documents_p": one.documents_p,
            "left_out": self.left_out,
        }  # fmt: skip


def judge_scores(
    scores: Sequence[Scores],
    *,
    margin: float = 0.01,
    larger_is_better: bool = True,
    paired: bool = True,
    reference: str | None = None,
) -> list[TableVerdict]:
    """Compare the strategies of each task, two by two; all comparisons are one family for Holm's correction.

    Of two strategies only documents that every run of both has are compared, and, if runs of one seed are paired, only
    seeds that both have. What that leaves out is told.

    Parameters
    ----------
    scores
        One a task.
    margin
        Smaller differences do not matter.
    larger_is_better
        False for losses.
    paired
        Whether runs of one seed share data order or initial weights, or at least do no harm as pairs. False: every run
        is one of its own (Welch).
    reference
        Compare the others with this strategy only, so that fewer comparisons share the error rate.
    """
    found: list[tuple[Scores, str, str, Pair, dict[str, Any]]] = []
    for one in scores:
        for a, b in _pairs(one.strategies, reference):
            pair, left_out = _pair(one, a, b, margin, larger_is_better, paired)
            found.append((one, a, b, pair, left_out))
    results = compare([pair for *_, pair, _ in found])
    return [
        TableVerdict(one.task, a, b, _explained(result, pair, left_out), left_out)
        for (one, a, b, pair, left_out), result in zip(found, results, strict=True)
    ]


def _pairs(strategies: Sequence[str], reference: str | None) -> Iterator[tuple[str, str]]:
    if reference is None:
        yield from combinations(strategies, 2)
    elif reference in strategies:
        yield from ((name, reference) for name in strategies if name != reference)


def _pair(
    one: Scores, a: str, b: str, margin: float, larger_is_better: bool, paired: bool
) -> tuple[Pair, dict[str, Any]]:
    rows = {name: one.rows_of(name) for name in (a, b)}
    left_out: dict[str, Any] = {"seeds": {}, "documents": 0}
    if paired:
        shared = [seed for seed in rows[a] if seed in rows[b]]
        for name in (a, b):
            lone = [seed for seed in rows[name] if seed not in shared]
            if lone:
                left_out["seeds"][name] = lone
        rows = {name: {seed: rows[name][seed] for seed in shared} for name in (a, b)}
    sides = [one.values[list(rows[name].values())] for name in (a, b)]
    known = ~np.isnan(np.concatenate(sides)) if all(len(side) for side in sides) else np.zeros((0, 0), dtype=bool)
    used = known.all(axis=0) if known.size else np.zeros(one.values.shape[1], dtype=bool)
    touched = ~np.isnan(one.values[[*one.rows_of(a).values(), *one.rows_of(b).values()]]).all(axis=0)
    left_out["documents"] = int((touched & ~used).sum()) if known.size else 0
    sides = [side[:, used] for side in sides]
    count = int(used.sum())
    values = [{at: float(score) for at, score in enumerate(side.mean(axis=1))} if count else {} for side in sides]
    documents = Documents(sides[0][..., None], sides[1][..., None]) if count > 1 else None
    # Shares of right answers lie on a grid; other scores do not.
    right = count > 0 and all(np.isin(side, (0.0, 1.0)).all() for side in sides)
    pair = Pair(
        f"{a} against {b}", values[0], values[1], margin, larger_is_better, paired, documents,
        resolution=1 / count if right else 0.0,
    )  # fmt: skip
    return pair, left_out


def _explained(result: Comparison, pair: Pair, left_out: dict[str, Any]) -> Comparison:
    """Say why there is no verdict in the words of a table."""
    if result.verdict is Verdict.NONE and not (pair.arm and pair.reference):
        why = "no document that all their runs have" if left_out["documents"] else "no seed in common"
        return replace(result, why=why)
    return too_few(result)


def too_few(result: Comparison) -> Comparison:
    """Return the comparison with the reason in words where too few seeds keep it from a verdict."""
    if result.verdict is not Verdict.NONE:
        return result
    if result.seeds == 1:
        return replace(
            result, why=f"one seed says nothing about another one; {LEAST_SEEDS} are the least for a verdict"
        )
    return replace(result, why=f"{result.seeds or 'no'} seeds in common; {LEAST_SEEDS} are the least for a verdict")


def _plain(bounds: tuple[float, float] | None) -> list[float] | None:
    return None if bounds is None else list(bounds)
