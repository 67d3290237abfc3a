from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from core.data.tasks import scores

PAIRS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40)


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=40, deadline=None)
@given(PAIRS)
def test_scores_of_counts_equal_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    gold, predicted = (np.array(column) for column in zip(*pairs, strict=True))
    truth, answer = np.eye(4, dtype=int)[gold], np.eye(4, dtype=int)[predicted]
    found = scores.matrix_scores((truth & answer).sum(0)[None], answer.sum(0)[None], truth.sum(0)[None])
    assert found["accuracy"][0] == pytest.approx(sk.accuracy_score(gold, predicted))
    assert found["macro_f1"][0] == pytest.approx(sk.f1_score(gold, predicted, average="macro", zero_division=0))
    if len({*gold, *predicted}) > 1:  # scikit-learn calls a constant answer to a constant gold 0 as well
        assert found["mcc"][0] == pytest.approx(sk.matthews_corrcoef(gold, predicted), abs=1e-9)


def test_an_interval_of_accuracy_is_that_of_the_binomial() -> None:
    from scipy import stats

    groups, sizes = np.array([[1, 1], [0, 1]]), np.array([160, 40])
    drawn = scores.bootstrap_counts(groups, sizes, lambda sums: {"accuracy": sums[:, 0] / sums[:, 1]})
    low, high = scores.interval(drawn["accuracy"])
    wanted = stats.binom(200, 0.8).ppf([0.025, 0.975]) / 200
    assert low == pytest.approx(wanted[0], abs=0.011)
    assert high == pytest.approx(wanted[1], abs=0.011)


def test_resampling_groups_is_resampling_rows() -> None:
    """Moments of a ratio drawn both ways agree within the noise of 20,000 resamples."""
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 4, size=(60, 2))
    rows[:, 1] += 1

    def ratio(sums: np.ndarray) -> dict[str, np.ndarray]:
        return {"ratio": sums[:, 0] / sums[:, 1]}

    grouped = scores.bootstrap_counts(*np.unique(rows, axis=0, return_counts=True), ratio, resamples=20_000)["ratio"]
    plain = ratio(rows[rng.integers(0, 60, size=(20_000, 60))].sum(axis=1))["ratio"]
    assert grouped.mean() == pytest.approx(plain.mean(), abs=0.003)
    assert grouped.std() == pytest.approx(plain.std(), rel=0.03)


def test_the_same_answers_have_the_same_interval_however_they_are_chunked(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(1).random(500)
    first = scores.interval(scores.bootstrap_mean(values))
    assert scores.interval(scores.bootstrap_mean(values)) == first
    assert first[0] < values.mean() < first[1]
    assert scores.interval(scores.bootstrap_mean(values, seed=2)) != first


def test_a_weighted_mean_resamples_values_and_weights_together() -> None:
    weights = np.random.default_rng(1).integers(1, 9, size=300).astype(float)
    assert scores.bootstrap_mean(3 * weights, weights).tolist() == pytest.approx([3.0] * scores.RESAMPLES)


def test_softmax_does_not_overflow() -> None:
    np.testing.assert_allclose(scores.softmax(np.array([[1000.0, 1000.0], [-1000.0, 0.0]])), [[0.5, 0.5], [0.0, 1.0]])
