"""How far a finetuning set is shifted from the original one: held against scipy and figures by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from core.data.fit import Shift, divergence, length_bins, level_of, patterns, shift


def of_counts(counts: list[int]) -> tuple[np.ndarray, np.ndarray]:
    return np.eye(len(counts), dtype=np.int64), np.array(counts)


def test_the_divergence_is_that_of_its_definition() -> None:
    one, other = np.array([0.5, 0.5, 0.0]), np.array([0.1, 0.2, 0.7])
    middle = (one + other) / 2

    def kullback(of: np.ndarray) -> float:
        held = of > 0
        return float((of[held] * np.log2(of[held] / middle[held])).sum())

    assert divergence(one, other) == pytest.approx((kullback(one) + kullback(other)) / 2, abs=1e-12)
    assert divergence(np.array([1, 0]), np.array([0, 3])) == pytest.approx(1)
    assert divergence(np.array([1, 2]), np.array([10, 20])) == 0
    # One half and all: 1 - h(1/4)/... by hand: 0.5*(0.5*log2(0.5/0.75) + 0.5*log2(0.5/0.25)) + 0.5*log2(1/0.75).
    by_hand = 0.5 * (0.5 * np.log2(0.5 / 0.75) + 0.5 * np.log2(0.5 / 0.25)) + 0.5 * np.log2(1 / 0.75)
    assert divergence(np.array([2, 2]), np.array([7, 0])) == pytest.approx(by_hand)


def test_a_shift_is_scipys_distance_squared_and_lies_in_its_interval() -> None:
    random = np.random.default_rng(0)
    for _ in range(10):
        one, other = random.integers(1, 200, (2, 5)).tolist()
        found = shift(of_counts(one), of_counts(other))
        assert found is not None
        assert found.divergence == pytest.approx(float(jensenshannon(one, other, base=2)) ** 2)
        assert 0 <= found.low <= found.divergence <= found.high <= 1
        assert found.rows == (sum(one), sum(other))
        assert found.finetuning == pytest.approx((np.array(other) / sum(other)).tolist())
    again = shift(of_counts(one), of_counts(other))
    assert again == found


def test_a_small_sample_of_the_same_distribution_is_not_taken_for_another() -> None:
    # The divergence of small samples lies above 0 by chance alone; the interval must not.
    random = np.random.default_rng(3)
    found = [
        shift(of_counts([200] * 10), of_counts(np.bincount(random.integers(0, 10, 60), minlength=10).tolist()))
        for _ in range(20)
    ]
    assert all(one is not None and one.divergence > 0 for one in found)
    assert sum(one is not None and one.low > 0.02 for one in found) == 0


def test_the_interval_covers_the_true_shift() -> None:
    random = np.random.default_rng(5)
    one, other = [0.5, 0.3, 0.2], [0.2, 0.3, 0.5]
    truth = float(jensenshannon(one, other, base=2)) ** 2
    hits = 0
    for _ in range(60):
        found = shift(
            of_counts(random.multinomial(400, one).tolist()), of_counts(random.multinomial(300, other).tolist())
        )
        hits += found is not None and found.low <= truth <= found.high
    assert hits >= 52  # 95 % of 60 are 57


def test_rows_of_several_classes_are_resampled_whole() -> None:
    counts, often = patterns([[0, 1], [1, 0], [2], [], [2], [1, 1]], 3)
    assert {(*row, times) for row, times in zip(counts.tolist(), often.tolist(), strict=True)} == {
        (1, 1, 0, 2), (0, 0, 1, 2), (0, 0, 0, 1), (0, 2, 0, 1),
    }  # fmt: skip
    found = shift((counts, often), patterns([[0], [1], [2]], 3))
    assert found is not None
    assert found.original == pytest.approx([2 / 8, 4 / 8, 2 / 8])
    assert shift((counts, often), patterns([[], []], 3)) is None


def test_lengths_fall_into_tenths_of_the_original() -> None:
    original = np.arange(1, 101)
    assert np.bincount(length_bins(original, original)).tolist() == [10] * 10
    assert length_bins(original, np.array([0, 5, 55, 100, 5000])).tolist() == [0, 0, 5, 9, 9]
    assert length_bins(np.array([3, 3, 3]), np.array([2, 3, 9])).tolist() == [0, 1, 1]


@pytest.mark.parametrize(
    ("low", "warn", "refuse", "level"),
    [(0.05, 0.1, 0.5, "fits"), (0.2, 0.1, 0.5, "warned"), (0.6, 0.1, 0.5, "refused"), (0.6, 0.1, None, "warned")],
)
def test_a_threshold_is_passed_by_the_whole_interval(low: float, warn: float, refuse: float | None, level: str) -> None:
    assert level_of(Shift(0.7, low, 0.9, [], [], (1, 1)), warn, refuse) == level
