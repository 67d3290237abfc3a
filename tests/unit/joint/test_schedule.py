"""Whose turn it is: proportions against the formula, single-task order, quotas, resuming anywhere."""

from __future__ import annotations

from itertools import islice
from typing import Any

import numpy as np
import pytest

from core.config import GuardConfig, Stage
from core.errors import TrainingDiverged
from core.training.batches import iterate, total_steps
from core.training.joint.guard import TaskLossGuard
from core.training.joint.schedule import Schedule, draw_tasks, task_shares

LENGTHS = [np.arange(5, 5 + size) % 17 + 3 for size in (100, 37, 12)]


def taken(schedule: Schedule, steps: int, start: int = 0) -> list[list[tuple[int, list[int]]]]:
    stream = schedule.stream(start)
    return [[(task, batch.tolist()) for task, batch in stream.take()] for _ in range(steps)]


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_tasks_are_drawn_in_proportion_to_their_size_to_the_power_of_alpha(alpha: float) -> None:
    sizes, steps = (10_000, 400, 25), 40_000
    expected = np.array([size**alpha for size in sizes]) / sum(size**alpha for size in sizes)
    assert task_shares(sizes, alpha) == pytest.approx(expected)
    drawn = np.bincount(draw_tasks(sizes, steps, 3, alpha=alpha, alpha_end=None), minlength=3) / steps
    error = np.sqrt(expected * (1 - expected) / steps)
    assert (np.abs(drawn - expected) < 4 * error).all()


def test_annealing_goes_from_one_power_to_the_other() -> None:
    sizes, steps = (9_000, 1_000), 60_000
    drawn = draw_tasks(sizes, steps, 1, alpha=1.0, alpha_end=0.0)
    for part, alpha in ((slice(0, 3000), 0.975), (slice(28_500, 31_500), 0.5), (slice(57_000, None), 0.025)):
        assert (drawn[part] == 0).mean() == pytest.approx(task_shares(sizes, alpha)[0], abs=0.03)


def test_drawing_touches_no_other_generator_and_depends_on_the_seed() -> None:
    before = str(np.random.get_state())
    one, again, other = (draw_tasks((5, 5), 50, seed, alpha=0.5, alpha_end=None) for seed in (1, 1, 2))
    assert str(np.random.get_state()) == before
    assert (one == again).all()
    assert (one != other).any()


SETTINGS: dict[str, dict[str, Any]] = {
    "size": {"stage": {"batch_size": 8, "steps": 60}},
    "tokens": {"stage": {"batch_tokens": 90, "epochs": 2.5}},
    "together": {"stage": {"batch_size": 8, "epochs": 2}, "together": True},
    "quotas": {"stage": {"batch_size": 8}, "quotas": (70, 90, 11)},
    "quotas together": {"stage": {"batch_tokens": 90}, "quotas": (70, 90, 11), "together": True},
}


def made(name: str, lengths: list[np.ndarray] = LENGTHS) -> Schedule:
    case = dict(SETTINGS[name])
    return Schedule(lengths, Stage(**case.pop("stage")), 5, **case)


@pytest.mark.parametrize("name", ["size", "tokens"])
def test_one_task_has_the_steps_rounds_and_batches_of_a_run_of_its_own(name: str) -> None:
    stage = Stage(**SETTINGS[name]["stage"])
    schedule = made(name, LENGTHS[:1])
    steps, first = total_steps(LENGTHS[0], stage, 5)
    assert (schedule.steps, schedule.round_steps(0)) == (steps, first)
    alone = [batch.tolist() for *_, batch in islice(iterate(LENGTHS[0], stage, 5), steps)]
    assert [batch for ((_, batch),) in taken(schedule, steps)] == alone


@pytest.mark.parametrize("name", SETTINGS)
def test_each_task_keeps_its_own_order_and_any_position_can_be_gone_on_from(name: str) -> None:
    schedule = made(name)
    every = taken(schedule, schedule.steps)
    for task, lengths in enumerate(LENGTHS):
        mine = [batch for step in every for at, batch in step if at == task]
        alone = [
            batch.tolist() for *_, batch in islice(iterate(lengths, Stage(**SETTINGS[name]["stage"]), 5), len(mine))
        ]
        if "quotas" in name:
            assert mine[:-1] == alone[:-1]
            assert mine[-1] == alone[-1][: len(mine[-1])]
            assert sum(map(len, mine)) == SETTINGS[name]["quotas"][task]
        else:
            assert mine == alone
        assert schedule.done(schedule.steps)[task] == len(mine)
    for start in (1, schedule.steps // 2, schedule.steps - 1):
        assert taken(made(name), schedule.steps - start, start) == every[start:]
    assert [tuple(task for task, _ in step) for step in every] == [
        schedule.tasks_at(own) for own in range(1, schedule.steps + 1)
    ]


def test_steps_are_those_of_all_tasks_alone() -> None:
    stage = Stage(batch_size=8, epochs=3)
    sums = sum(total_steps(lengths, stage, 0)[0] for lengths in LENGTHS)
    assert Schedule(LENGTHS, stage, 0).steps == sums
    assert Schedule(LENGTHS, stage, 0, together=True).steps == -(-sums // 3)


def test_a_look_at_the_next_batch_changes_nothing() -> None:
    schedule = made("size")
    stream = schedule.stream()
    seen = []
    for _ in range(20):
        looked = [stream.peek(task).tolist() for task in range(3)]
        ((task, batch),) = stream.take()
        assert batch.tolist() == looked[task]
        seen.append([(task, batch.tolist())])
    assert seen == taken(made("size"), 20)


def test_losses_of_different_height_are_watched_apart() -> None:
    losses = {0: 0.1, 1: 6.0}  # in turns: one mean over both would never tell that the first task explodes

    def watched(step: int, exploded: bool) -> float:
        return 3.0 if exploded and step % 2 == 0 else losses[step % 2]

    guard = TaskLossGuard(GuardConfig(explode_factor=10.0), tasks_at=lambda step: (step % 2,))
    for step in range(100):
        guard.observe(step, watched(step, False), 1.0)
    again = TaskLossGuard(GuardConfig(explode_factor=10.0), tasks_at=lambda step: (step % 2,))
    again.load_state_dict(guard.state_dict())

    def explode() -> None:
        for step in range(100, 300):
            again.observe(step, watched(step, True), 1.0)

    with pytest.raises(TrainingDiverged, match="smoothed loss rose"):
        explode()
