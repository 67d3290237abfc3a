"""Strategies with a head that points."""

from __future__ import annotations

from core.studies.comparing.plans import jobs_of, plan_of
from tests.unit.comparing.made import comparison


def test_tasks_that_can_point_have_the_strategys_head() -> None:
    config = comparison(
        strategies=[{"name": "a"}, {"name": "b", "head": "pointer", "task": {"pointer": {"memory": False}}}],
        tasks=[{"name": "words", "task": {"kind": "tagging"}, "data": {"source": "tweets"}}, {"name": "texts"}],
    )
    plans = [plan_of(config, job) for job in jobs_of(config)[:4]]
    assert [plan.task.head for plan in plans] == ["linear", "linear", "pointer", "linear"]
    assert not plans[2].task.pointer.memory
    assert plans[0].task.pointer.memory
