"""Intervals and majority scores that gates compare with."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import f1_score, log_loss

from core.config import Plan, TaskConfig
from core.data.tasks import task_for
from core.data.tasks.base import Encoded, Evaluation
from core.training.evaluation import entropy_share
from core.training.intervals import majority_score, score_of, wilson


@given(rows=st.integers(1, 3000), share=st.floats(0, 1))
def test_wilson_is_scipys(rows: int, share: float) -> None:
    hits = round(share * rows)
    expected = binomtest(hits, rows).proportion_ci(0.95, method="wilson")
    assert wilson(hits, rows) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_accuracy_has_wilsons_interval_and_other_metrics_that_of_the_details() -> None:
    found = Evaluation({"accuracy": 0.75, "macro_f1": 0.7, "loss": 0.5}, {"intervals": {"macro_f1": [0.6, 0.8]}})
    one = score_of(found, "accuracy", 40)
    assert (one.low, one.high) == pytest.approx(wilson(30, 40))
    other = score_of(found, "macro_f1", 40)
    assert (other.value, other.low, other.high) == (0.7, 0.6, 0.8)
    assert score_of(found, "loss", 40).low is None


def test_weights_that_are_not_numbers_have_no_score() -> None:
    assert math.isnan(score_of(Evaluation({"accuracy": 0.9, "loss": math.nan}), "accuracy", 10).value)


@pytest.mark.parametrize(("tagging", "metric"), [(False, "macro_f1"), (False, "loss"), (True, "strict_f1")])
def test_every_metric_of_a_real_evaluation_has_an_interval_around_it(
    tagging: bool, metric: str, make_plan: Callable[..., Plan], shared_cache: Path
) -> None:
    from core.training.prepare import prepare
    from core.training.session import Session

    prepared = prepare(make_plan(tagging=tagging), shared_cache)
    prepared.release()
    session = Session(prepared.material, prepared.stage, 0)
    found = score_of(session.score(details=True).evaluation, metric, len(prepared.roles.gate))
    session.close()
    assert found.low is not None
    assert found.high is not None
    assert found.low <= found.value <= found.high


class _Roles:
    train: Any = None
    gate: Any

    def __init__(self, gate: Any):
        self.gate = gate


def _encoded(gold: list[Any]) -> Encoded:
    return Encoded([{"input_ids": [1, 2], "labels": one} for one in gold], [2] * len(gold), list(range(len(gold))))


def test_majority_of_one_label_is_always_answering_the_most_frequent_one() -> None:
    task = task_for(TaskConfig(), ["a", "b", "c"])
    gold = [0, 1, 1, 1, 2, 2]
    roles, encoded = _Roles(range(6)), _encoded(gold)
    assert majority_score(task, "accuracy", roles, encoded) == pytest.approx(0.5)
    expected = f1_score(gold, [1] * 6, average="macro", zero_division=0)
    assert majority_score(task, "macro_f1", roles, encoded) == pytest.approx(expected)
    shares = np.bincount(gold) / 6
    assert majority_score(task, "loss", roles, encoded) == pytest.approx(log_loss(gold, [shares] * 6))


def test_majority_of_several_labels_is_the_most_frequent_set() -> None:
    task = task_for(TaskConfig(multi_label=True), ["a", "b"])
    gold = [[1.0, 0.0], [1.0, 0.0], [0.0, 0.0], [1.0, 1.0]]
    assert majority_score(task, "accuracy", _Roles(range(4)), _encoded(gold)) == pytest.approx(0.5)
    loss = majority_score(task, "loss", _Roles(range(4)), _encoded(gold))
    binary = [-(share * math.log(share) + (1 - share) * math.log(1 - share)) for share in (0.75, 0.25)]
    assert loss == pytest.approx(sum(binary) / 2)


def test_majority_of_tags_is_the_most_frequent_tag_of_each_word(
    make_plan: Callable[..., Plan], shared_cache: Path
) -> None:
    from core.training.prepare import prepare

    prepared = prepare(make_plan(tagging=True), shared_cache)
    roles, encoded = prepared.roles, prepared.encoded["gate"]
    found = majority_score(prepared.task, "strict_f1", roles, encoded)
    assert found == pytest.approx(prepared.task.baseline(roles.train, roles.gate)["strict_f1"])
    assert 0 < (majority_score(prepared.task, "loss", roles, encoded) or 0) < math.log(len(roles.labels))


def test_entropy_of_predictions_is_a_share_of_its_maximum() -> None:
    one, many = TaskConfig(), TaskConfig(multi_label=True)
    encoded = _encoded([0, 1])
    even, sure = np.zeros(4), np.array([50.0, 0.0, 0.0, 0.0])
    assert entropy_share([even, even], encoded, one) == pytest.approx(1.0)
    assert entropy_share([sure, sure], encoded, one) == pytest.approx(0.0, abs=1e-9)
    assert entropy_share([even, sure], encoded, one) == pytest.approx(0.5)
    assert entropy_share([even, 60 * (even + 1)], encoded, many) == pytest.approx(0.5)
    tags = Encoded([{"positions": np.array([1])}], [3], [0])
    assert entropy_share([np.stack([sure, even, sure])], tags, TaskConfig(kind="tagging")) == pytest.approx(1.0)
