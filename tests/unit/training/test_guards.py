from __future__ import annotations

import math

import pytest

from core.config import EarlyStopping, GuardConfig
from core.errors import TrainingDiverged
from core.training.guards import BestKeeper, LossGuard, SingleClassGuard


@pytest.mark.parametrize("values", [(math.nan, 1.0), (math.inf, 1.0), (1.0, math.nan)])
def test_not_a_number_stops_unless_switched_off(values: tuple[float, float]) -> None:
    with pytest.raises(TrainingDiverged, match="at step 7"):
        LossGuard(GuardConfig()).observe(7, *values)
    LossGuard(GuardConfig(nan=False)).observe(7, *values)


def test_exploding_loss_stops_and_a_spike_does_not() -> None:
    guard = LossGuard(GuardConfig(explode_factor=4))
    for step in range(60):
        guard.observe(step, 0.5)
    guard.observe(60, 10.0)  # one bad batch: smoothed 0.975
    state = guard.state_dict()
    resumed = LossGuard(GuardConfig(explode_factor=4))
    resumed.load_state_dict(state)

    def explode() -> None:
        for step in range(61, 90):
            resumed.observe(step, 10.0)

    with pytest.raises(TrainingDiverged, match=r"its best was 0\.5"):
        explode()


def test_loss_near_zero_may_grow_many_fold() -> None:
    guard = LossGuard(GuardConfig(explode_factor=10))
    for step in range(300):
        guard.observe(step, 1e-6 if step < 200 else 0.2)


def test_explosion_can_be_switched_off() -> None:
    guard = LossGuard(GuardConfig(explode_factor=None))
    for step in range(200):
        guard.observe(step, 0.1 if step < 100 else 1e6)


def test_single_class_warns_and_stops_at_its_limit() -> None:
    guard = SingleClassGuard(None)
    assert guard.observe(1, 2, "8") is None
    assert (guard.observe(2, 1, "8") or "").endswith("as one class (1 evaluation).")
    assert (guard.observe(3, 1, "8") or "").endswith("as one class (2 evaluations in a row).")
    limited = SingleClassGuard(2)
    limited.observe(1, 1, "8")
    limited.observe(2, 3, "8")  # in between two classes: counted anew
    limited.observe(3, 1, "8")
    with pytest.raises(TrainingDiverged):
        limited.observe(4, 1, "8")


def test_best_and_patience() -> None:
    keeper = BestKeeper("accuracy", EarlyStopping(patience=2, min_delta=0.05))
    assert keeper.observe(1, 0.5)
    assert keeper.observe(2, 0.52)  # better, but not by enough to be patient for
    assert not keeper.stop
    assert not keeper.observe(3, 0.52)
    assert keeper.stop
    assert keeper.as_dict() == {"metric": "gate/accuracy", "value": 0.52, "step": 2}
    other = BestKeeper("accuracy", EarlyStopping(patience=2, min_delta=0.05))
    other.load_state_dict(keeper.state_dict())
    assert other == keeper


def test_loss_is_better_when_smaller_and_nan_never_is() -> None:
    keeper = BestKeeper("loss", EarlyStopping())
    assert keeper.observe(1, 2.0)
    assert not keeper.observe(2, 3.0)
    assert keeper.observe(3, 1.0)
    assert not keeper.observe(4, math.nan)
    assert keeper.step == 3
    assert not keeper.stop
