"""Seeds and documents added: textbook mean squares are the oracle, and simulated data sets whose truth is known.

Each data set has strategies that err by seed *and* by document: some documents suit one strategy better, whatever the
seed. The truth is the difference over all seeds and all documents.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from scipy import stats

from core.runs.compare import (
    Comparison,
    Documents,
    Pair,
    Verdict,
    compare,
    crossed_difference,
    paired_difference,
    welch_difference,
)

_Drawn = tuple[np.ndarray, np.ndarray]


# -- data sets -------------------------------------------------------------------------------------------------------
def _scores(
    generator: np.random.Generator, gain: float = 0.0, *, seeds: int, documents: int, by_seed: float,
    by_document: float, rest: float = 0.3,
) -> _Drawn:  # fmt: skip
    """Scores of two strategies, shape (seeds, documents) each: shared documents, seeds and documents of their own."""
    shared = generator.normal(0.6, 0.3, (1, documents))

    def one(mean: float) -> np.ndarray:
        own = generator.normal(0, by_seed, (seeds, 1)) + generator.normal(0, by_document, (1, documents))
        return mean + shared + own + generator.normal(0, rest, (seeds, documents))

    return one(gain), one(0.0)


def _answers(
    generator: np.random.Generator, gain: float = 0.0, *, seeds: int, documents: int, by_seed: float, by_document: float
) -> _Drawn:
    """Right and wrong answers, of documents that are easy or hard for both (a probit of such scores)."""
    drawn = _scores(generator, gain, seeds=seeds, documents=documents, by_seed=by_seed, by_document=by_document, rest=1)
    return (drawn[0] > 0).astype(float), (drawn[1] > 0).astype(float)


def _share(mean: float, by_seed: float, by_document: float) -> float:
    return float(stats.norm.cdf(mean / (1 + 0.3**2 + by_seed**2 + by_document**2) ** 0.5))


def _compared(drawn: _Drawn, margin: float = 0.01) -> Comparison:
    sides = [dict(enumerate(side.mean(axis=1))) for side in drawn]
    return compare([Pair("a", *sides, margin, documents=Documents(drawn[0][..., None], drawn[1][..., None]))])[0]


def _covered(found: list[Comparison], truth: float, which: str = "both_interval") -> float:
    bounds = np.array([getattr(one, which) for one in found])
    return float(((bounds[:, 0] <= truth) & (truth <= bounds[:, 1])).mean())


def _won(found: list[Comparison]) -> float:
    return float(np.mean([one.verdict in (Verdict.BETTER, Verdict.WORSE) for one in found]))


#: As much error by seeds as by documents, mostly one of them, and answers that are right or wrong.
_BALANCED = partial(_scores, seeds=6, documents=100, by_seed=0.03, by_document=0.3)
_SEEDS = partial(_scores, seeds=5, documents=100, by_seed=0.05, by_document=0.1)
_DOCUMENTS = partial(_scores, seeds=5, documents=100, by_seed=0.01, by_document=0.4)
_RIGHT = partial(_answers, seeds=6, documents=150, by_seed=0.1, by_document=0.5)


# -- calibration -----------------------------------------------------------------------------------------------------
def test_intervals_cover_the_truth_and_strategies_that_are_equally_good_get_no_winner() -> None:
    """200 data sets: what a procedure of 95 % and 5 % gives in all but one of a thousand such tests."""
    draw = partial(_scores, seeds=5, documents=40, by_seed=0.03, by_document=0.15)
    generator = np.random.default_rng(11)
    found = [_compared(draw(generator), margin=1e-6) for _ in range(200)]
    low, high = stats.binom.ppf([0.0005, 0.9995], 200, 0.95) / 200
    assert low <= _covered(found, 0.0) <= high
    assert _won(found) <= stats.binom.ppf(0.999, 200, 0.05) / 200


@pytest.mark.verify
@pytest.mark.parametrize("draw", [_BALANCED, _SEEDS, _DOCUMENTS, _RIGHT], ids=["balanced", "seeds", "rows", "answers"])
def test_two_thousand_data_sets_are_covered_and_equal_strategies_get_no_winner(draw: Callable[..., _Drawn]) -> None:
    generator = np.random.default_rng(12)
    found = [_compared(draw(generator), margin=1e-6) for _ in range(2000)]  # without the help of a margin
    assert 0.93 <= _covered(found, 0.0) <= 0.97
    assert _won(found) <= 0.06


@pytest.mark.verify
def test_two_thousand_intervals_cover_a_difference_of_answers() -> None:
    generator = np.random.default_rng(13)
    found = [_compared(_RIGHT(generator, 0.3)) for _ in range(2000)]
    assert 0.93 <= _covered(found, _share(0.9, 0.1, 0.5) - _share(0.6, 0.1, 0.5)) <= 0.97


@pytest.mark.verify
def test_two_copies_of_one_strategy_get_no_winner() -> None:
    """Nothing but seeds tells them apart: documents are as hard for one as for the other."""
    generator = np.random.default_rng(14)
    draw = partial(_answers, seeds=5, documents=150, by_seed=0.1, by_document=0.0)
    found = [_compared(draw(generator), margin=1e-6) for _ in range(2000)]
    assert 0.93 <= _covered(found, 0.0) <= 0.97
    assert _won(found) <= 0.06


@pytest.mark.verify
def test_each_source_of_error_alone_would_not_cover_the_truth() -> None:
    """Why there is a third interval, and why two of them that exclude 0 are not enough for a winner."""
    generator = np.random.default_rng(15)
    draw = partial(_scores, seeds=10, documents=100, by_seed=0.05, by_document=0.1, rest=0.2)
    found = [_compared(draw(generator), margin=1e-6) for _ in range(2000)]
    assert _covered(found, 0.0, "documents_interval") < 0.9
    assert 0.93 <= _covered(found, 0.0) <= 0.97
    apart = [
        np.prod(one.interval_corrected) > 0 and np.prod(one.documents_interval_corrected) > 0  # type: ignore[arg-type]
        for one in found
    ]
    assert np.mean(apart) > 0.06
    assert _won(found) <= 0.06


# -- the sum ---------------------------------------------------------------------------------------------------------
def _documents(drawn: _Drawn) -> Documents:
    return Documents(drawn[0][..., None], drawn[1][..., None])


def test_the_error_is_that_of_the_mean_squares_of_a_crossed_layout() -> None:
    """Rows, columns and rest by least squares; the mean's variance is (rows + columns − rest) / all."""
    drawn = _BALANCED(np.random.default_rng(1))
    apart = drawn[0] - drawn[1]
    count = apart.shape
    design = [np.kron(np.eye(count[0]), np.ones((count[1], 1))), np.kron(np.ones((count[0], 1)), np.eye(count[1]))]

    def left(columns: np.ndarray) -> float:
        fit = columns @ np.linalg.lstsq(columns, apart.ravel(), rcond=None)[0]
        return float(((apart.ravel() - fit) ** 2).sum())

    none, rows, columns, both = (left(one) for one in (np.ones((apart.size, 1)), *design, np.hstack(design)))
    squares = (none - rows) / (count[0] - 1), (none - columns) / (count[1] - 1), both / (count[0] - 1) / (count[1] - 1)
    found = crossed_difference(paired_difference(drawn[0].mean(1), drawn[1].mean(1)), _documents(drawn))
    assert found.difference == pytest.approx(apart.mean())
    assert found.error**2 == pytest.approx((squares[0] + squares[1] - squares[2]) / apart.size)
    assert found.documents_error**2 == pytest.approx((squares[1] - squares[2]) / apart.size)


def test_without_error_by_documents_the_interval_is_that_over_seeds() -> None:
    generator = np.random.default_rng(2)
    shared = generator.random((1, 50))
    drawn = generator.normal(0.1, 0.05, (5, 1)) + shared, np.zeros((5, 1)) + shared
    seeds = paired_difference(drawn[0].mean(1), drawn[1].mean(1))
    found = crossed_difference(seeds, _documents(drawn))
    assert found.interval() == pytest.approx(seeds.interval())
    assert found.p == pytest.approx(seeds.p)
    assert found.documents_error == pytest.approx(0.0)


def test_many_seeds_leave_the_error_of_the_documents() -> None:
    drawn = _scores(np.random.default_rng(3), seeds=400, documents=80, by_seed=0.01, by_document=0.3, rest=0.1)
    found = crossed_difference(paired_difference(drawn[0].mean(1), drawn[1].mean(1)), _documents(drawn))
    means = (drawn[0] - drawn[1]).mean(0)
    assert found.error == pytest.approx(stats.sem(means), rel=0.02)
    oracle = stats.ttest_1samp(means, 0).confidence_interval()
    assert found.interval() == pytest.approx((oracle.low, oracle.high), rel=0.05)


def test_seeds_that_have_nothing_in_common_add_their_own_rests() -> None:
    generator = np.random.default_rng(4)
    long = _scores(generator, seeds=8, documents=60, by_seed=0.05, by_document=0.2)
    drawn = long[0], long[1][:5]
    seeds = welch_difference(drawn[0].mean(1), drawn[1].mean(1))
    found = crossed_difference(seeds, _documents(drawn))
    rest = 0.0
    for side in drawn:
        left = side - side.mean(0) - side.mean(1, keepdims=True) + side.mean()
        rest += (left**2).sum() / (len(side) - 1) / 59 / side.size
    means = drawn[0].mean(0) - drawn[1].mean(0)
    assert found.error**2 == pytest.approx(seeds.error**2 + means.var(ddof=1) / 60 - rest)


def test_the_parts_of_an_f1_are_those_that_leaving_a_document_out_shows() -> None:
    generator = np.random.default_rng(5)
    gold = generator.integers(1, 5, (3, 300, 1))
    hits = generator.binomial(gold, 0.7)
    answers = np.concatenate([hits, hits + generator.integers(0, 2, hits.shape), gold], 2).astype(float)
    values, _ = Documents(answers, answers, "f1").values()
    whole = answers.sum(1)
    f1 = 2 * whole[:, 0] / (whole[:, 1] + whole[:, 2])
    assert values.mean(1) == pytest.approx(f1)
    without = whole[:, None] - answers
    jackknife = f1[:, None] - 2 * without[..., 0] / (without[..., 1] + without[..., 2])
    assert values - f1[:, None] == pytest.approx(300 * jackknife, rel=0.05, abs=0.01)


def test_equal_answers_differ_by_nothing_for_certain() -> None:
    same = np.ones((5, 20))
    found = crossed_difference(paired_difference([1.0] * 5, [1.0] * 5), _documents((same, same)))
    assert (found.interval(), found.p) == ((0.0, 0.0), 1.0)


def test_one_document_has_no_error() -> None:
    with pytest.raises(ValueError, match="two"):
        crossed_difference(paired_difference([0.1, 0.2], [0.2, 0.1]), _documents((np.ones((2, 1)), np.ones((2, 1)))))


# -- verdicts --------------------------------------------------------------------------------------------------------
def test_a_difference_that_both_errors_together_explain_names_no_winner() -> None:
    """Each interval alone excludes 0, the sum of both errors does not."""
    apart = np.array([0.02, 0.04, 0.05, 0.06, 0.08])[:, None] + np.linspace(-0.45, 0.45, 120)[None]
    drawn = apart, np.zeros_like(apart)
    found = _compared(drawn)
    assert found.interval_corrected is not None
    assert found.documents_interval_corrected is not None
    assert found.interval_corrected[0] > 0
    assert found.documents_interval_corrected[0] > 0
    assert found.both_interval_corrected is not None
    assert found.both_interval_corrected[0] < 0
    assert found.verdict is Verdict.UNDECIDED
    assert found.why.startswith("seeds and documents together")


def test_where_documents_are_too_few_more_seeds_are_no_advice() -> None:
    found = _compared(_DOCUMENTS(np.random.default_rng(6)))
    assert found.verdict is Verdict.UNDECIDED
    assert found.documents_limit
    assert "the documents are too few" in found.why
    assert found.seeds_needed is not None  # of the seeds' own error
